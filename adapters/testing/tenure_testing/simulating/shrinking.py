"""Makes the plan of a failing seed smaller, as long as it breaks the same property."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import evolve

from tenure_testing.simulating.plans import Plan
from tenure_testing.simulating.run import Verdict, run

TRIES = 150
"""Runs that shrinking may take."""
OTHERS = 3
"""Seeds that are tried for a smaller plan: what is left of the faults falls otherwise there."""


def smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, the greatest steps first."""
    half = plan.processes // 2
    for processes in (1, half, plan.processes - 1):
        if 1 <= processes < plan.processes:
            yield evolve(plan, processes=processes)
    for workers in (1, plan.workers - 1):
        if 1 <= workers < plan.workers:
            yield evolve(plan, workers=workers)
    for fault in plan.faults:
        if len(plan.faults) > 1:
            yield evolve(plan, faults=tuple(other for other in plan.faults if other != fault))
    for one in plan.company:
        yield evolve(plan, company=tuple(other for other in plan.company if other != one))
    if plan.storm > 10:
        yield evolve(plan, storm=float(plan.storm // 2))
    if plan.slots > 1:
        yield evolve(plan, slots=1)
    if plan.store != "memory":
        yield evolve(plan, store="memory")


def shrunk(failure: Verdict, play: Callable[[Plan], Verdict] = run, tries: int = TRIES) -> Verdict:
    """The verdict on the smallest plan that was found, of those that break the same property."""
    best, left = failure, tries
    again = True
    while again:
        again = False
        for plan in smaller(best.plan):
            for other in range(OTHERS):
                if left <= 0:
                    return best
                left -= 1
                verdict = play(evolve(plan, seed=plan.seed + other * 1_000_003))
                if verdict.broken == failure.broken:
                    best, again = verdict, True
                    break
            if again:
                break
    return best
