"""The searches of the worker machine would notice: for each property a bug which they report under its name first."""

from __future__ import annotations

import pytest

from tenure import worker
from tenure_testing.checking import named
from tests.checking.fleet_bugs import BUGS, leaves_nobody_alone, rule
from tests.checking.patching import Patch, violation_of
from tests.core.traces import rerun

STRAYED = rule(worker, "_strayed", leaves_nobody_alone)


@pytest.mark.parametrize(
    ("name", "configuration", "patch"),
    [(b[0], b[1], b[3]) for b in BUGS],
    ids=[f"{b[0]}: {b[2]}" for b in BUGS],
)
def test_a_bug_of_a_worker_is_found(name: str, configuration: str, patch: Patch) -> None:
    violation = violation_of(named(configuration), patch)
    assert violation is not None
    assert violation.properties[0] == name, violation.said


def test_a_counterexample_tells_the_way() -> None:
    """Its last line says what broke; those before it are the shortest way there."""
    violation = violation_of(named("fleet with handlers that stray"), STRAYED)
    assert violation is not None
    told = violation.lines()
    assert any("runs on without its lease" in line for line in told[:-1])
    assert "S12" in told[-1]
    assert told[-1].endswith("in Driving leads to Driving, and to Send(ClaimNext)")


def test_a_counterexample_that_no_trace_can_say_is_saved_as_comments() -> None:
    """Its first line says so, and why; and the runner of traces reads the file and does nothing."""
    violation = violation_of(named("fleet with handlers that stray"), STRAYED)
    assert violation is not None
    saved = violation.as_trace()
    assert saved.splitlines()[0].startswith("# A behaviour that broke S12; it cannot be replayed, because ")
    assert "runs on without its lease" in saved
    assert rerun(saved)[0] == saved
