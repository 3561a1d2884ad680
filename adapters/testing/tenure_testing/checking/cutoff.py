"""Whether more workers, or more zombies, bring anything that fewer do not: a request to a row, a step of a machine.

Most properties look at one answer or one step at a time. What holds of all answers and steps in a small world holds in
a large one, if the large one has no others. One worker, crashed and begun again, and one zombie are two rivals already;
what more of them add is only in which order things come about. A search with `no_news` is the evidence that this is so
for its size, beside judging every transition itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from tenure_testing.checking.explorer import Explored, Violation, explore_world
from tenure_testing.checking.world import RowWorld

if TYPE_CHECKING:
    from tenure_testing.checking.configuration import Configuration, Progress


def no_news(configuration: Configuration, progress: Progress | None) -> Explored:
    """The search; a violation too if it asked the core for what one worker and one zombie do not ask for."""
    small = RowWorld(evolve(configuration, workers=1, zombies=1))
    explore_world(configuration, small)
    whole = RowWorld(configuration)
    explored = explore_world(configuration, whole, progress)
    news = [
        f"{type(asked).__name__} of token {token}"
        for _, asked, token, _ in whole.law.known.keys() - small.law.known.keys()
    ]
    steps = whole.attempts.steps.keys() - small.attempts.steps.keys()
    news += [f"{type(event).__name__} in {type(state).__name__}" for state, event, _ in steps]
    if explored.violation is None and news:
        return evolve(explored, violation=Violation(("cut-off",), f"new here: {', '.join(sorted(news))}", ()))
    return explored
