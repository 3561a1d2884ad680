"""The simulation: seeds that hold, seeds that repeat to the last event, and what becomes of one that fails."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

import tenure
import tenure.registry
from tenure.errors import InvalidValue
from tenure.process import Fence, Record
from tenure_testing.playing import Host, Observer, Weather, World
from tenure_testing.simulating import (
    FAULTS,
    GENTLE,
    SOMETIMES,
    Plan,
    Verdict,
    load,
    planned,
    run,
    save,
    shrunk,
    simulate,
)
from tenure_testing.simulating import passes as passes_module
from tenure_testing.simulating import report as report_module
from tenure_testing.simulating.passes import HASH_SEEDS, PassFailed, simulate_twice, verdict_of
from tenure_testing.simulating.plans import plan_of
from tenure_testing.simulating.report import Report, total
from tenure_testing.simulating.storm import Chaos
from tests.cli.commanding import tenure as command

Fix = pytest.MonkeyPatch


def held(record: Record, fence: Fence) -> bool:
    """K1: any holder's write is as good as the holder's."""
    return record.held


def test_some_seeds_hold_and_are_the_same_in_two_processes() -> None:
    passes = simulate_twice(1_000, 4)
    assert (passes.first.seeds, passes.second.seeds) == (4, 4)
    assert passes.ok, passes.json()
    assert passes.differing() == []
    assert len(set(HASH_SEEDS)) == 2
    assert len({*passes.first.hashes.values()}) == 4


def test_a_seed_is_the_same_in_this_process_too() -> None:
    plan = planned(1_004, "memory")
    first, again = run(plan), run(plan)
    assert first == again
    assert run(planned(1_005, "memory")).hash != first.hash


def test_a_store_of_the_users_choice() -> None:
    report = simulate([1_006], store="sqlite")
    assert report.ok
    assert report.stores == {"sqlite": 1}
    assert simulate([1_006], store="memory").stores == {"memory": 1}


def test_it_ends_with_the_steps_that_were_asked_for() -> None:
    seen: list[Verdict] = []
    report = simulate(range(1_007, 2_000), steps=1, told=seen.append)
    assert report.seeds == len(seen) == 1
    assert report.steps == seen[0].steps > 0


def test_as_many_steps_as_asked_for_in_both_passes() -> None:
    passes = simulate_twice(1_000, 1, steps=5_000)
    assert passes.first.seeds == passes.second.seeds
    assert passes.first.steps == passes.second.steps >= 5_000


def test_the_plans_of_many_seeds_have_every_fault_and_both_stores() -> None:
    plans = [planned(seed) for seed in range(300)]
    assert {fault for plan in plans for fault in plan.faults} == set(FAULTS)
    assert {plan.store for plan in plans} == {"memory", "sqlite"}
    assert any(plan.gentle for plan in plans)
    assert set(FAULTS) > GENTLE


def test_a_plan_as_json_and_back() -> None:
    plan = planned(7)
    assert plan_of(json.loads(json.dumps(plan.json()))) == plan


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {**planned(7).json(), "store": "postgres"},
        {**planned(7).json(), "faults": ["earthquake"]},
        {**planned(7).json(), "more": 1},
    ],
)
def test_what_is_no_plan(body: object) -> None:
    with pytest.raises(InvalidValue, match="no plan"):
        plan_of(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "q"),
        ("seed", True),
        ("workers", 0),
        ("slots", "x"),
        ("processes", -1),
        ("faults", []),
        ("faults", "crash"),
        ("faults", [["crash"]]),
        ("faults", 7),
        ("storm", "a"),
        ("storm", float("nan")),
        ("rate", None),
        ("rate", 1.5),
    ],
)
def test_a_saved_plan_with_a_value_of_the_wrong_kind_is_named_by_its_field(
    tmp_path: Path, name: str, value: object
) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps({"tenure_simulation": 1, "plan": {**planned(7).json(), name: value}}))
    said = command("simulate", "--replay", str(path))
    assert said.exit_code == 2
    assert f"a plan's {name} must be " in said.stderr


def broken(patched: Fix) -> Verdict:
    """The first seed that fails when any holder may write."""
    patched.setattr(tenure.registry, "_fence_holds", held)
    report = simulate(range(40), store="memory", stop_at_failure=True)
    (failure,) = report.failures
    return failure


def test_a_failing_seed_is_made_smaller_saved_and_played_again(monkeypatch: Fix, tmp_path: Path) -> None:
    failure = broken(monkeypatch)
    assert failure.broken in ("S4", "S9", "S8", "S6")
    assert failure.last, "the last events are told"
    small = shrunk(failure, tries=25)
    assert small.broken == failure.broken
    assert size(small.plan) < size(failure.plan)
    path = save(small, tmp_path / "seeds")
    plan, was = load(path)
    assert (plan, was) == (small.plan, small.hash)
    assert run(plan) == small
    said = command("simulate", "--replay", str(path))
    assert said.exit_code == 1
    assert "the same trace" in said.stdout
    assert f"{small.broken}: " in said.stderr
    monkeypatch.undo()
    said = command("simulate", "--replay", str(path), "--json")
    assert said.exit_code == 0
    body = json.loads(said.stdout)
    assert (body["ok"], body["same_trace"], body["broken"]) == (True, False, "")


def size(plan: Plan) -> int:
    return plan.processes + plan.workers + len(plan.faults) + plan.slots + int(plan.storm)


def test_shrinking_ends_where_nothing_smaller_fails() -> None:
    plan = evolve(planned(3), processes=8, workers=4, faults=("crash", "late"), storm=50.0, slots=2)

    def play(wanted: Plan) -> Verdict:
        fails = wanted.processes >= 3 and "late" in wanted.faults
        return Verdict(wanted, "", 0, 0, 0.0, {}, {}, "S4" if fails else "")

    small = shrunk(play(plan), play)
    assert (small.plan.processes, small.plan.workers, small.plan.faults) == (3, 1, ("late",))
    assert small.plan.storm <= 10
    assert shrunk(play(plan), play, tries=0).plan == plan


@pytest.mark.parametrize("text", ["no json", "[]", '{"tenure_simulation": 2}', '{"tenure_simulation": 1}'])
def test_files_that_are_no_saved_simulation(tmp_path: Path, text: str) -> None:
    path = tmp_path / "saved.json"
    path.write_text(text)
    with pytest.raises(InvalidValue):
        load(path)
    assert command("simulate", "--replay", str(path)).exit_code == 2


def test_the_command_says_what_it_did() -> None:
    said = command("simulate", "--seeds", "2", "--first-seed", "1000", "--store", "memory")
    assert said.exit_code == 0, said.stderr
    assert "seeds          2 (2 on memory), each played twice" in said.stdout
    assert "same traces    all" in said.stdout


def test_the_command_fails_where_something_was_never_met() -> None:
    said = command("simulate", "--seeds", "1", "--first-seed", "1000", "--jobs", "1", "--complete", "--json")
    assert said.exit_code == 1
    body = json.loads(said.stdout)
    assert (body["ok"], body["failures"], body["differing"]) == (False, [], [])
    assert body["sometimes_missed"]
    assert set(body["sometimes"]) == set(SOMETIMES)
    assert f"never met: {body['sometimes_missed'][0]}" in said.stderr


def test_a_large_run_in_which_too_little_happened_fails(monkeypatch: Fix) -> None:
    monkeypatch.setattr(report_module, "LARGE", 1)
    monkeypatch.setattr(report_module, "STEPS_A_SEED", 10_000_000)
    said = command("simulate", "--seeds", "1", "--first-seed", "1000", "--jobs", "1", "--complete")
    assert said.exit_code == 1
    assert "machine steps, where 10,000,000 are due" in said.stderr


@pytest.mark.parametrize(
    ("seeds", "steps", "faults", "lacks"),
    [
        (2_000, 5_000_000, 50_000, 0),
        (2_000, 4_999_999, 50_000, 1),
        (2_000, 5_000_000, 49_999, 1),
        (1_999, 1, 0, 0),
    ],
)
def test_how_much_a_large_run_has_to_have(seeds: int, steps: int, faults: int, lacks: int) -> None:
    assert len(Report(seeds, steps, faults=Counter({"crash": faults})).too_little()) == lacks


def test_a_fault_that_finds_nobody_is_not_counted() -> None:
    """Workers are dead for a while after a crash, and most crashes fall there: only those of living ones count."""
    plan = evolve(planned(2_000, "memory"), faults=("crash",), rate=1.0, workers=1, processes=1)
    counted: Counter[str] = Counter()
    crashed = Crashes()
    with World(weather=Weather(), observers=[crashed]) as world:
        workers = [world.worker(tenure.App(), name="w")]
        Chaos(plan, world, workers, lambda fault: counted.update([fault]))
        world.run_for(plan.storm)
    assert counted["crash"] == crashed.seen > 0


class Crashes(Observer):
    seen = 0

    def happened(self, what: str, host: Host | None) -> None:
        self.seen += what == "crashed"


def test_a_pass_that_breaks_off_is_said(monkeypatch: Fix) -> None:
    monkeypatch.setattr(passes_module, "HASH_SEEDS", ("1", "no number"))
    with pytest.raises(PassFailed, match="PYTHONHASHSEED"):
        simulate_twice(1_000, 1, store="memory")


def test_a_pass_that_was_killed_is_said_in_one_sentence(monkeypatch: Fix, tmp_path: Path) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -9 $$\n")
    dying.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(dying))
    said = command("simulate", "--seeds", "1", "--jobs", "1")
    assert said.exit_code == 1
    assert "was killed by signal 9" in said.stderr
    assert "Traceback" not in said.stderr


def test_traces_that_differ_are_named() -> None:
    passes = simulate_twice(1_000, 1, store="memory")
    (verdict,) = [run(planned(1_000, "memory"))]
    passes.second = total([evolve(verdict, hash="other")])
    assert passes.differing() == [1_000]
    assert not passes.ok
    assert verdict_of(json.loads(json.dumps(verdict.json()))) == verdict


def test_every_fault_alone_holds() -> None:
    """One seed for each kind of fault: swarm subsets of one."""
    for fault in FAULTS:
        plan = evolve(planned(2_000, "memory"), faults=(fault,), rate=0.1, processes=6, workers=2, storm=60.0)
        verdict = run(plan)
        assert verdict.ok, (fault, verdict.broken, verdict.what, verdict.last)


def test_fair_weather_without_faults_loses_no_lease() -> None:
    plan = evolve(planned(2_001, "memory"), faults=("cancel",), processes=8, storm=30.0)
    verdict = run(plan)
    assert verdict.ok, verdict.what
    assert plan.gentle
    assert "takeover" not in verdict.met
    assert verdict.met["complete"] > 0


@pytest.mark.parametrize("seed", [463, 1450])
def test_a_seed_that_found_a_bug_holds(seed: int) -> None:
    """S12: another handler blocked the loop while the leave to start was on its way; it was told to stop by then, and
    its code began all the same."""
    verdict = run(planned(seed))
    assert verdict.ok, verdict.what


def test_a_deaf_handler_that_keeps_every_place_is_lost_too_often_in_the_end() -> None:
    """L9, W10: past its max_run it ignores the stop for minutes, in the only place of each worker; ten times over."""
    verdict = run(planned(18_148))
    assert verdict.ok, verdict.what
