"""Deterministic simulation: many workers, clients and processes in a played world, under faults drawn from a seed.

`simulate(seeds)` plays them in this process; `passes.simulate_twice` plays each in two, under two PYTHONHASHSEEDs, and
compares what happened, event by event, through the hash of the trace.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable

from tenure_testing.simulating.plans import FAULTS, GENTLE, Plan, planned
from tenure_testing.simulating.report import SOMETIMES, Report
from tenure_testing.simulating.rows import Violation
from tenure_testing.simulating.run import Verdict, run
from tenure_testing.simulating.saving import load, save
from tenure_testing.simulating.shrinking import shrunk

__all__ = [
    "FAULTS",
    "GENTLE",
    "SOMETIMES",
    "Plan",
    "Report",
    "Verdict",
    "Violation",
    "load",
    "planned",
    "run",
    "save",
    "shrunk",
    "simulate",
]


def simulate(
    seeds: Iterable[int],
    *,
    store: str | None = None,
    steps: int = 0,
    stop_at_failure: bool = False,
    told: Callable[[Verdict], object] = lambda verdict: None,
) -> Report:
    """Play the seeds: what they add up to. `store` is memory or sqlite, or None for some of each; it ends after the
    seed with which `steps` machine steps are reached, if that is above 0. `told` hears of each seed when it is over."""
    report = Report()
    for number, seed in enumerate(seeds):
        verdict = run(planned(seed, store))
        report.add(verdict)
        told(verdict)
        if number % 16 == 0:
            gc.collect()
        if (stop_at_failure and not verdict.ok) or 0 < steps <= report.steps:
            break
    return report
