"""How long a worker acts on a lease, and waits: a product that reckons wrongly with the seconds it was given is found,
by the judge's own arithmetic and by what is seen from outside."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

import pytest
from attrs import evolve

from tenure.timings import LeaseTimings
from tenure_testing.playing import World
from tenure_testing.simulating import FAULTS, Verdict, bounds, judge, planned, run
from tenure_testing.simulating.bounds import ASLEEP, TIME_FAULTS, outside

run_module = import_module("tenure_testing.simulating.run")

SEEDS = 12
TTL = LeaseTimings().ttl_ns

Fix = pytest.MonkeyPatch


def reckoning(patch: Fix, name: str, nanos: int) -> None:
    """Have the product make something else of its timings than they say."""
    timings = LeaseTimings()
    object.__setattr__(timings, name, nanos)
    patch.setattr(run_module, "TIMINGS", timings)


def first_found(*faults: str) -> Verdict | None:
    plans = [
        evolve(planned(seed, "memory"), company=(), faults=faults, rate=0.25, processes=12, workers=2)
        for seed in range(SEEDS)
    ]
    return next((verdict for verdict in map(run, plans) if not verdict.ok), None)


@pytest.mark.parametrize(
    ("name", "nanos", "named"),
    [
        ("budget_ns", TTL, "S13"),
        ("budget_ns", 13 * TTL // 10, "S13"),
        ("budget_ns", 3 * TTL, "S13"),
        ("patience_ns", 100 * TTL, "S13"),
        ("call_timeout_ns", 10 * TTL, "C3"),
    ],
)
def test_a_wrong_reckoning_is_found(name: str, nanos: int, named: str, monkeypatch: Fix) -> None:
    reckoning(monkeypatch, name, nanos)
    verdict = first_found("silent", "cut there")
    assert verdict is not None, "no seed found it"
    assert verdict.broken == named, verdict.what


@pytest.mark.parametrize("nanos", [TTL, 13 * TTL // 10, 3 * TTL])
def test_a_wrong_budget_is_seen_from_outside_too(nanos: int, monkeypatch: Fix) -> None:
    """With the judge's own arithmetic as wrong as the product's."""

    def wrong(timings: LeaseTimings) -> int:
        return timings.budget_ns

    reckoning(monkeypatch, "budget_ns", nanos)
    monkeypatch.setattr(judge, "budget", wrong)
    verdict = first_found("silent", "cut there")
    assert verdict is not None, "no seed found it"
    assert verdict.broken == "C3", verdict.what
    assert "ran untold" in verdict.what


def test_a_sound_product_is_seen_to_keep_its_bounds() -> None:
    met: Counter[str] = Counter()
    for seed in range(3):
        plan = evolve(planned(seed, "memory"), company=(), faults=("silent", "cut there"), rate=0.25)
        verdict = run(evolve(plan, processes=12, workers=2))
        assert verdict.ok, verdict.what
        met.update(verdict.met)
    assert met["stop deadline"]
    assert met["stopped before expiry"]
    assert met["answered in time"]


def test_the_judges_own_arithmetic() -> None:
    timings = LeaseTimings(40, 10, 4, 2, 3)
    assert (bounds.budget(timings), bounds.patience(timings)) == (35 * 10**9, 40 * 10**9)
    assert (bounds.call_timeout(timings), bounds.told_of_cancel(timings)) == (4 * 10**9, 18 * 10**9)
    assert bounds.patience(evolve(timings, completion_patience=7)) == 7 * 10**9
    assert timings.budget_ns == bounds.budget(timings)


@pytest.mark.parametrize("fault", FAULTS)
def test_nobody_looks_from_outside_where_the_worker_sleeps(fault: str) -> None:
    plan = evolve(planned(1), faults=(fault,))
    with World() as world:
        assert bool(outside(plan, world, Counter())) is (fault not in ASLEEP)


@pytest.mark.parametrize("fault", sorted(TIME_FAULTS - ASLEEP))
def test_where_clocks_go_wrong_a_time_out_is_one_all_the_same(fault: str, monkeypatch: Fix) -> None:
    reckoning(monkeypatch, "call_timeout_ns", 10 * TTL)
    verdict = first_found("silent", fault)
    assert verdict is not None, "no seed found it"
    assert verdict.broken == "C3", verdict.what
    assert "time-out" in verdict.what
