"""The traces come out as they are written, there is one for everything that is promised, and together they take
every edge of both tables that does something."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.core.edges import TABLES, Taken, edges
from tests.core.traces import rerun

FOLDER = Path(__file__).parent.parent / "traces"
TRACES = sorted(FOLDER.glob("*.txt"))

CROSSINGS = (
    "cancel_x_completed",
    "renewed_x_deadline_passed",
    "completed_x_fenced",
    "shutdown_x_claim_granted",
    "handler_returned_x_lease_lost",
    "cancel_x_retrying_the_terminal_write",
)
"""Those in the docstring of `tenure.attempt`."""

ENDINGS = (
    "returned",
    "raised",
    "cancelled",
    "max_run",
    "shutdown",
    "deadline_or_loss",
    "cancelled_by_nobody",
)
"""The rows of CONTRACT §7's table."""

BESIDE_THE_TABLE = (
    "cancel_outranks_shutdown",
    "opening_fails_for_good",
    "opening_fails_for_now",
    "detached",
    "lost_too_often",
    "cancel_flag_on_claim",
    "useless_grant",
    "drain",
)
"""What CONTRACT §4 and §7 say beside it."""


@cache
def taken_by(path: Path) -> tuple[str, frozenset[Taken]]:
    rewritten, recorder = rerun(path.read_text(encoding="utf-8"))
    return rewritten, frozenset(name for name, _ in recorder.taken)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace_comes_out_as_written(path: Path, request: pytest.FixtureRequest) -> None:
    rewritten, _ = taken_by(path)
    if request.config.getoption("--rewrite"):
        path.write_text(rewritten, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == rewritten


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace_says_why_it_exists(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith((".", ")"))


@pytest.mark.parametrize("number", range(9, 21))
def test_every_behaviour_of_the_worker_has_a_trace(number: int) -> None:
    (path,) = FOLDER.glob(f"b{number:02}_*.txt")
    assert f"B{number}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_known_mistake_has_a_trace(number: int) -> None:
    (path,) = FOLDER.glob(f"w{number}_*.txt")
    assert f"W{number}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CROSSINGS)
def test_every_crossing_has_a_trace(name: str) -> None:
    assert (FOLDER / f"crossing_{name}.txt").is_file()


@pytest.mark.parametrize("name", ENDINGS + BESIDE_THE_TABLE)
def test_every_ending_has_a_trace(name: str) -> None:
    assert (FOLDER / f"ends_{name}.txt").is_file()


def test_every_edge_is_taken_by_a_trace() -> None:
    """An edge that no trace takes is not understood; it fails the run."""
    taken = {name for path in TRACES for name in taken_by(path)[1]}
    missing = [
        str(name) for machine in TABLES for name, edge in edges(machine) if edge.go and name not in taken
    ]
    assert not missing, "no trace takes\n  " + "\n  ".join(missing)
