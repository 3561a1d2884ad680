"""Bounded drift and liveness are not vacuous: for each property a bug that is reported under its name, and first."""

from __future__ import annotations

import pytest

from tenure_testing.checking import named
from tenure_testing.checking.liveness import Forever
from tests.checking.patching import Patch, violation_of
from tests.checking.timed_bugs import BLIND, BUGS, CANCELLED
from tests.core.traces import rerun


@pytest.mark.parametrize(
    ("name", "configuration", "patch"),
    [(b[0], b[1], b[3]) for b in BUGS],
    ids=[f"{b[0]}: {b[2]}" for b in BUGS],
)
def test_a_bug_is_found(name: str, configuration: str, patch: Patch) -> None:
    violation = violation_of(named(configuration), patch)
    assert violation is not None
    assert violation.properties[0] == name, violation.lines()


def test_a_run_that_never_keeps_a_promise_is_told_as_a_way_and_a_cycle() -> None:
    """K17: cancelled, renewed, renewed, renewed. The cycle comes back to where it began, through all three clocks."""
    violation = violation_of(named(CANCELLED), BLIND)
    assert isinstance(violation, Forever)
    said = [f"{move.actor}: {move.action}" for move in violation.cycle]
    assert {"A: its clock ticks", "B: its clock ticks", "store: its clock ticks"} <= {*said}
    assert any(move.action.startswith("RequestCancel") for move in violation.path)
    assert not any("cancel" in move.action.lower() for move in violation.cycle)
    assert violation.cycle[-1].note == violation.path[-1].note
    assert [line for line in violation.lines() if line.startswith("  * ")]


def test_such_a_run_is_saved_as_comments_with_its_cycle() -> None:
    violation = violation_of(named(CANCELLED), BLIND)
    assert violation is not None
    saved = violation.as_trace()
    assert "it cannot be replayed, because" in saved.splitlines()[0]
    assert "#   * A: its clock ticks" in saved
    assert rerun(saved)[0] == saved
    assert max(len(line) for line in violation.lines()) < 300
