"""The checker itself: its states and its words agree, nothing that it leaves out is missed, its numbers are its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from tenure import attempt, attempt_opening, attempt_rules, model
from tenure import attempt_types as t
from tenure.process import Cancelled
from tenure.replies import Reason, Refused
from tenure.requests import Complete
from tenure.tables import each
from tenure.values import changed
from tenure_testing.checking import Explored, digest, explore, golden, law_of, measured, named, shrunk
from tenure_testing.checking.attempts import NOW
from tenure_testing.checking.explorer import explore_world
from tenure_testing.checking.rows import CLOCK, CURRENT, NEXT
from tenure_testing.checking.variants import VARIANTS, counterexample
from tenure_testing.checking.world import UNAPPLIED, RowWorld
from tests.core.traces import rerun

CANCEL = shrunk(named("drain and cancel"))


def test_a_small_world_is_closed_and_clean() -> None:
    """And an attempt is kept as new after every step, so each of its limits is one that its time passes to."""
    world = RowWorld(CANCEL)
    explored = explore_world(CANCEL, world)
    assert (explored.states, explored.transitions, explored.depth) == COUNTS
    assert explored.violation is None
    assert "Complete succeeded, though cancelled" in explored.seen
    limits = {attempt.overdue_at(block.attempt) for block in world.blocks.values if block.attempt}
    assert limits <= {None, NOW, *world.attempts.waits}


COUNTS = (37_293, 337_510, 42)


def test_unknown_then_lost_is_seen_where_a_copy_that_was_not_applied_is_in_the_air() -> None:
    """S18: with nothing in the air nobody can tell; the worker that repeats must be the one that sent it."""
    said = {f"{name} {UNAPPLIED}" for name in ("Claim", "Complete", "Release")}
    assert said <= {*CANCEL.sometimes}
    assert said <= explore(CANCEL).seen
    assert not any(UNAPPLIED in word for word in explore(evolve(CANCEL, zombies=0)).seen)


def test_no_worker_asks_for_another_outcome() -> None:
    """S11, S18: why a conflict is not among what must be seen; the judge asks for another outcome by itself."""
    assert not {word for word in explore(CANCEL).seen if "conflict" in word}
    law = law_of(CANCEL)
    pairs = (pair for pair in law.pairs if pair.before != pair.after)
    request, then = next((pair.request, pair.after) for pair in pairs if isinstance(pair.request, Complete))
    again = changed(request, outcome=Cancelled("another"))
    _, answer = model.apply(then, again, CLOCK)
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.CONFLICT


def test_a_search_is_measured() -> None:
    explored = measured(named("tiers"))
    assert explored.seconds > 0
    assert explored.peak_mib > 1


def test_the_same_whatever_the_hashes_are() -> None:
    """The digest is over words, in the order of asking."""
    program = "from tenure_testing.checking import digest, named; print(digest(named('tiers')))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {digest(named("tiers"))}


def test_another_text_of_the_core_is_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a mutant of a message is not taken for an equivalent one."""
    before = digest(named("tiers"))

    def report(state: t.Holding, what: str) -> t.Report:
        return t.Report(state.record.id, f"{what}!")

    monkeypatch.setattr(attempt_rules, "report", report)
    monkeypatch.setattr(attempt_opening, "report", report)
    assert digest(named("tiers")) != before


def test_the_inner_loop_makes_the_moves_that_are_told() -> None:
    """`successors` and `labelled` are two ways to say the same; the second also says who moved."""
    world = RowWorld(evolve(named("forgotten rows"), zombies=1))
    states = [world.start()]
    for state in states[:300]:
        told = sorted((*then[:2], *sorted(then[2:])) for _, _, then in world.labelled(state))
        made = world.successors(state)
        assert sorted(made) == told
        states += [then for then in dict.fromkeys(made) if then not in states]


def test_the_law_comes_as_pairs_that_another_store_can_be_held_to() -> None:
    law = law_of(shrunk(named("rows and zombies")))
    assert len(law.pairs) == len(law.known)
    for pair in law.pairs:
        assert pair.before.number == CURRENT
        assert pair.after.number in (CURRENT, NEXT)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_rules_of_the_original_are_found_out(name: str) -> None:
    """W1, W2, W3: each breaks its property, by a shortest way which traces can say."""
    found = counterexample(name)
    assert found.properties[0] == VARIANTS[name].breaks
    assert len(found.path) == {"W1": 12, "W2": 6, "W2, no deadline": 4, "W3": 6}[name]
    trace = found.as_trace()
    assert rerun(trace)[0].splitlines()[0] == trace.splitlines()[0]


def test_the_way_to_w1_goes_through_a_take_over() -> None:
    """W1: between the renewal and the write another worker takes the process."""
    told = [move.action for move in counterexample("W1").path]
    steps = ("Renew succeeded", "the store's clock ticks", "Claim succeeded, a take-over", "Complete")
    assert sorted(steps, key=told.index) == list(steps)
    assert {move.actor for move in counterexample("W1").path} == {"A", "B", "the store", "time"}


def test_a_counterexample_is_told_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """S14."""
    monkeypatch.setitem(attempt.TABLE, (t.LeaseLost, t.HandlerReturned), each(attempt_rules.returned))
    found = explore(CANCEL).violation
    assert found is not None
    lines = found.lines()
    assert len(lines) == len(found.path) + 1
    assert lines[0].startswith("  1 A: claims")
    assert "HandlerReturned in LeaseLost" in lines[-1]


def test_a_core_that_raises_is_a_counterexample(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a shortest way: it claims, is granted, opens its session, renews, and hears nothing."""

    def raises(state: t.Holding, event: t.Event) -> t.Step:
        raise KeyError("a lease\nthat is not there")

    with monkeypatch.context() as patched:
        patched.setitem(attempt.TABLE, (t.Running, t.CallUnknown), each(raises))
        found = explore(CANCEL).violation
    assert found is not None
    assert found.properties == ("error",)
    assert found.said.startswith("raises KeyError: ")
    assert found.path[-1].action == "hears nothing"
    assert {"claims", "Claim succeeded", "its session opens"} <= {move.action for move in found.path}
    assert rerun(found.as_trace())[0].startswith("# A behaviour that broke error: raises KeyError")


def test_a_callers_own_trouble_is_no_counterexample() -> None:
    def progress(states: int) -> None:
        raise OSError("the pipe is closed")

    with pytest.raises(OSError, match="pipe"):
        explore(CANCEL, progress)


def test_other_counts_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(golden, "FILE", tmp_path / "golden.json")
    golden.FILE.write_text("{}", encoding="utf-8")
    found = Explored(named("tiers"), 10, 20, 3, frozenset())
    assert "--rewrite" in golden.difference(found)
    golden.rewrite([found])
    assert golden.difference(found) == ""
    assert "11 states, pinned 10" in golden.difference(evolve(found, states=11))
