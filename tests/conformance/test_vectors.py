"""The published vectors: what the shipped law makes, valid under their schema, complete, and reviewed in words."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from tenure.instants import StoreTime
from tenure.process import ClaimId
from tenure.replies import Reason, Reply
from tenure.requests import Claim, Complete, Get, Prune, Register, Release, Renew, Request
from tenure_testing.checking.configurations import law_of, named
from tenure_testing.checking.rows import CLOCK
from tenure_testing.checking.rows import LIMITS as CHECKED
from tenure_testing.conforming.alphabets import ALPHABETS, LEASES, claims, one
from tenure_testing.conforming.catalogue import FILES, LINES, scenarios, schema
from tenure_testing.conforming.graph import TICKS, Alphabet, explored
from tenure_testing.conforming.steps import steps
from tenure_testing.conforming.story import NotBorneOut, Story, Told
from tenure_testing.conforming.tours import Coarse, played, walks
from tenure_testing.conforming.vectors import Exchange, lines_of, vectors_in
from tenure_testing.registry_world import success
from tests.conformance.pairs import pair_of

FOLDER = Path(__file__).parents[2] / "docs" / "conformance"
MOST = 3_000_000
"""Bytes of one file."""


@pytest.mark.parametrize("file", [*FILES, "schema"])
def test_the_published_files_are_what_the_law_makes(file: str, request: pytest.FixtureRequest) -> None:
    """Whoever changes the law sees here which vectors it changes."""
    path = FOLDER / ("schema.json" if file == "schema" else f"{file}.jsonl")
    wanted = schema() if file == "schema" else lines_of(FILES[file]())
    if request.config.getoption("--rewrite"):
        path.write_text(wanted)
    published = path.read_text()
    if published != wanted:
        old, new = set(published.splitlines()), set(wanted.splitlines())
        pytest.fail(
            f"{path.name}: {len(old - new)} lines are not made any more, {len(new - old)} are new; "
            "`pytest tests/conformance --rewrite` writes it, commit it only if you understand the difference"
        )
    assert len(published) <= MOST


@pytest.mark.parametrize("file", FILES)
def test_lines_come_back_equal(file: str) -> None:
    """What a line says is the vector, and no more: S1 for whoever reads them."""
    vectors = list(vectors_in((FOLDER / f"{file}.jsonl").read_text(), LINES[file]))
    assert lines_of(vectors) == (FOLDER / f"{file}.jsonl").read_text()


def validator(name: str) -> Any:
    body: dict[str, Any] = json.loads((FOLDER / "schema.json").read_text())
    checker: Any = Draft202012Validator
    checker.check_schema(body)
    return checker({**body, "anyOf": [{"$ref": f"#/$defs/{name}"}]})


@pytest.mark.parametrize(
    ("file", "name"), [("scenarios", "script"), ("tours", "script"), ("steps", "row_step")]
)
def test_lines_are_valid_under_the_schema(file: str, name: str) -> None:
    """A sample of each file, and none that was spoilt."""
    lines = (FOLDER / f"{file}.jsonl").read_text().splitlines()
    valid = validator(name)
    for line in lines[:: 5 if file == "scenarios" else 25]:
        valid.validate(json.loads(line))
    body = json.loads(lines[0])
    for key in body:
        assert not valid.is_valid({other: value for other, value in body.items() if other != key})
    assert not valid.is_valid({**body, "more": 1})


def test_the_schema_knows_what_types_do_not_say() -> None:
    """A script without steps says nothing, and store time is counted from an epoch."""
    script = json.loads((FOLDER / "scenarios.jsonl").read_text().splitlines()[0])
    first = script["steps"][0]
    assert not validator("script").is_valid({**script, "steps": []})
    assert not validator("script").is_valid({**script, "steps": [{**first, "now": -1}]})
    step = json.loads((FOLDER / "steps.jsonl").read_text().splitlines()[0])
    assert not validator("row_step").is_valid({**step, "now": -1})
    command: dict[str, Any] = {"is": "execute", "now": 0, "requests": []}
    assert validator("command").is_valid(command)
    assert not validator("command").is_valid({**command, "now": -1})


# --- completeness -----------------------------------------------------------------------------------------------------


def test_scenarios_are_many_and_each_says_why() -> None:
    """A name of its own, one sentence of reason, and what it is about."""
    told = list(scenarios())
    assert len(told) >= 150
    assert max(Counter(script.name for script in told).values()) == 1
    for script in told:
        assert re.fullmatch(r"[a-z0-9-]+", script.name), script.name
        assert script.why.endswith("."), script.name
        assert script.cites, script.name
    cited = {name for script in told for name in script.cites}
    assert {f"S{n}" for n in (*range(2, 12), *range(16, 21), 22, 23)} <= cited
    assert {"K1", "K2", "K3", "K6", "K10", "K12", "K13", "K16", "K18", "K19", "K20", "K23", "K24"} <= cited


def test_scenarios_meet_every_kind_of_answer() -> None:
    """Every request, every reply and every reason for a refusal occurs in a scenario."""
    text = lines_of(scenarios())
    tags = set(re.findall(r'"is":"([a-z_]+)"', text))
    wanted = {kind.__name__ for kind in (*get_args(Request), *get_args(Reply))}
    assert {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in wanted} <= tags
    assert set(re.findall(r'"reason":"([a-z_]+)"\}', text)) >= {reason.value for reason in Reason}


@pytest.mark.parametrize("alphabet", ALPHABETS, ids=lambda alphabet: alphabet.name)
def test_tours_take_every_edge_of_the_closed_graphs(alphabet: Alphabet) -> None:
    """From every class, every request that has a meaning there, and the tick; and the graphs are closed."""
    graph = explored(alphabet)
    edges = {(edge.source, edge.ask): edge.target for edge in graph.edges}
    assert {edge.target for edge in graph.edges} <= set(range(len(graph.places)))
    for source, place in enumerate(graph.places):
        assert {ask for ask, _ in graph.asked(place)} | {TICKS} == {ask for at, ask in edges if at == source}
    taken = set[tuple[int, str]]()
    for walk in walks(graph):
        at = 0
        for ask in walk:
            taken.add((at, ask))
            at = edges[at, ask]
    assert taken == set(edges)


def test_classes_that_are_too_coarse_are_noticed() -> None:
    """Two places of one class that behave differently: claims by number only, with nothing that tells numbers apart."""
    asks = dict(LEASES.asks)
    asks["claim of the third"] = lambda place: (
        one(ClaimId("w", 99)) if len(place.leases) > 3 else claims("c", one)["c anew"](place)
    )
    asks["release"] = lambda place: Release(place.leases[-1], 7 * len(place.leases)) if place.leases else None
    graph = explored(Alphabet("coarse", asks))
    with pytest.raises(Coarse):
        deque((step for walk in walks(graph) for step in played(graph, walk, set())), maxlen=0)


@pytest.mark.parametrize("name", ["tiers", "effects and events"])
def test_steps_hold_every_pair_that_the_checker_asks(name: str) -> None:
    """Every request to every row that occurs in the checker's configuration, as far as the law can tell them apart."""
    known = {pair_of(step.before, step.now, step.request) for step in steps()}
    for pair in law_of(named(name)).pairs:
        late = isinstance(pair.request, Prune)
        clock = StoreTime(CLOCK + CHECKED.retry_horizon + 1) if late else CLOCK
        assert pair_of(pair.before, clock, pair.request) in known, pair


# --- words, and not merely what came out ------------------------------------------------------------------------------


def wrong_success(story: Story) -> None:
    story.ok(Get("nobody"))


def wrong_field(story: Story) -> None:
    fence = story.started()
    story.ok(Renew(fence, 5), expires_at=story.now + 5)


def wrong_fenced(story: Story) -> None:
    story.fenced(Complete(story.started(), success()))


def wrong_reason(story: Story) -> None:
    story.started()
    story.refused("ended", Claim(ClaimId("x", 1), "p", 5))


def wrong_row(story: Story) -> None:
    story.started()
    story.row("p", held=False)


def wrong_replay(story: Story) -> None:
    fence = story.started()
    story.again(Renew(fence, 5), story.ok(Renew(fence, 5)))


def wrong_order(story: Story) -> None:
    story.register("a", "b")
    story.get_next("b", "a")


@pytest.mark.parametrize(
    "tell",
    [wrong_success, wrong_field, wrong_fenced, wrong_reason, wrong_row, wrong_replay, wrong_order],
    ids=lambda tell: tell.__name__,
)
def test_a_scenario_that_the_model_does_not_bear_out_cannot_be_made(tell: Any) -> None:
    """Each way of expecting something can fail."""
    with pytest.raises(NotBorneOut, match="odd: "):
        Told("odd", "Why.", ("S1",), tell).script()


def test_every_scenario_is_answered_and_looked_at() -> None:
    """Each ends with reads of whatever it registered, so that a change which no answer shows is seen."""
    for script in scenarios():
        exchanges = [step for step in script.steps if isinstance(step, Exchange)]
        assert all(len(step.answers) == len(step.requests) for step in exchanges)
        asked = [request for step in exchanges for request in step.requests]
        registered = {request.registration.id for request in asked if isinstance(request, Register)}
        looked = {request.process_id for request in exchanges[-1].requests if isinstance(request, Get)}
        assert registered <= looked, script.name
