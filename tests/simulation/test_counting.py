"""Each kind of fault is counted where it strikes, and only there: a large run has to have had each of them."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from attrs import evolve

import tenure
from tenure_testing.playing import World
from tenure_testing.simulating import FAULTS, Plan, planned, run
from tenure_testing.simulating.report import Report
from tenure_testing.simulating.storm import Chaos
from tests.cli.commanding import tenure as command


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_strikes_is_counted_by_its_name(fault: str) -> None:
    counted: Counter[str] = Counter()
    for seed in range(2_000, 2_004):
        plan = evolve(planned(seed, "memory"), faults=(fault,), rate=0.1, processes=12, workers=2, storm=60.0)
        verdict = run(plan)
        assert verdict.ok, (seed, verdict.broken, verdict.what)
        counted.update(verdict.faults)
    assert set(counted) == {fault}


class Right(Random):
    """Chance that always chooses the middle: of drifts, none."""

    def choice(self, seq: Any) -> Any:
        return seq[len(seq) // 2]


@pytest.mark.parametrize("fault", ["drift", "store drift"])
def test_a_clock_that_is_set_right_is_no_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = evolve(planned(2_000, "memory"), faults=(fault,), rate=1.0)

    def right(self: Plan, what: str) -> Random:
        return Right(what)

    monkeypatch.setattr(Plan, "random", right)
    counted: Counter[str] = Counter()
    with World() as world:
        Chaos(plan, world, [world.worker(tenure.App())], lambda name: counted.update([name]))
        world.run_for(plan.storm)
    assert not counted


def test_which_faults_there_were_none_of() -> None:
    assert Report(faults=Counter(dict.fromkeys(FAULTS[1:], 1))).faults_missed() == [FAULTS[0]]


def test_the_gate_wants_every_fault() -> None:
    said = command("simulate", "--seeds", "1", "--first-seed", "1000", "--jobs", "1", "--complete")
    assert said.exit_code == 1
    assert "no such fault happened: drain" in said.stderr
