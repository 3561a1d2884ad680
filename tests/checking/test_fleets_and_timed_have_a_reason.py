"""Each search of a fleet, and each under bounded drift, is in the set for a bug that it finds and no smaller one of its
kind does; the one that has no such bug says so, and finds what it says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from tenure import attempt, worker
from tenure import attempt_types as t
from tenure.attempt_rules import may_renew
from tenure_testing.checking import Configuration, Violation, explore_world, named
from tenure_testing.checking.explorer import Broken
from tenure_testing.checking.fleet import FleetWorld
from tenure_testing.checking.fleet_configurations import FLEETS
from tenure_testing.checking.fleet_forms import NOW
from tenure_testing.checking.golden import pinned
from tenure_testing.checking.graph import Graph
from tenure_testing.checking.timed import TimedWorld
from tenure_testing.checking.timed_configurations import TIMED
from tests.checking import fleet_bugs, timed_bugs
from tests.checking.patching import Patch, violation_of

REASONS = fleet_bugs.REASONS | timed_bugs.REASONS
WITHOUT = "no bug of its own"


def smaller(configuration: Configuration) -> list[Configuration]:
    """Those of its kind that have fewer states, the smallest first. What has no bug of its own is not asked: it is in
    none but the large set."""
    counts = {name: count["states"] for name, count in pinned().items()}
    kind = FLEETS if configuration in FLEETS else TIMED
    found = [
        one for one in kind if counts[one.name] < counts[configuration.name] and WITHOUT not in one.reason
    ]
    return sorted(found, key=lambda one: counts[one.name])


@cache
def asked(configuration: Configuration) -> tuple[Graph, list[Any]]:
    """All that the search asks the core, and what the shipped core answers."""
    world = configuration.world(configuration)
    assert isinstance(world, Graph)
    assert explore_world(configuration, world).violation is None
    return world, answers(configuration, world)


def answers(configuration: Configuration, world: Graph) -> list[Any]:
    """The answers of the core as it is now to what was asked in that world."""
    anew = configuration.world(configuration)
    if isinstance(world, FleetWorld):
        assert isinstance(anew, FleetWorld)
        steps = [worker.step(state, event) for state, event, _ in world.steps]
        return [worker.start(world.terms, NOW), *steps, *(anew.answered(*key) for key in world.law)]
    assert isinstance(world, TimedWorld)
    timed = [attempt.step(state, event) for state, event in world.steps]
    held = [step.state for step in timed if isinstance(step.state, t.Holding)]
    waits = [attempt.next_wakeup(step.state) for step in timed]
    return [*timed, *waits, *(may_renew(state) for state in held)]


def violation_in(configuration: Configuration, patch: Patch) -> Violation | None:
    """What the search finds under that bug. Where the core with it answers all that the shipped one is asked there, and
    answers it alike, the search is the same, and need not be made again."""
    world, shipped = asked(configuration)
    with pytest.MonkeyPatch.context() as patched:
        patch(patched)
        try:
            same = answers(configuration, world) == shipped
        except Broken:
            same = False
    return None if same else violation_of(configuration, patch)


@pytest.mark.parametrize("name", REASONS)
def test_its_bug_is_found_there_and_in_no_smaller_one(name: str) -> None:
    found = violation_of(named(name), REASONS[name])
    assert found is not None
    assert named(name).reason.startswith(f"{found.properties[0]}: ")
    assert [one.name for one in smaller(named(name)) if violation_in(one, REASONS[name])] == []


def test_each_has_its_bug_or_says_that_it_has_none() -> None:
    without: Sequence[str] = [one.name for one in (*FLEETS, *TIMED) if one.reason.startswith(f"{WITHOUT}: ")]
    assert without == [timed_bugs.EVERY_OTHER]
    assert {one.name for one in (*FLEETS, *TIMED)} == {*REASONS, *without}
    assert all(named(name).large for name in without)


@pytest.mark.parametrize("bug", timed_bugs.SAME)
def test_what_has_no_bug_of_its_own_shows_what_it_says(bug: str) -> None:
    """K11, K17, K22."""
    assert bug in named(timed_bugs.EVERY_OTHER).reason
    name, patch = timed_bugs.SAME[bug]
    found = violation_of(named(timed_bugs.EVERY_OTHER), patch)
    assert found is not None
    assert found.properties[0] == name


def test_a_core_that_answers_otherwise_is_searched() -> None:
    """K14 is asked for where handlers stray: there the answers differ; with one slot none does."""
    patch = REASONS[fleet_bugs.STRAYS]
    assert violation_in(named(fleet_bugs.SLOT), patch) is None
    assert violation_in(named(fleet_bugs.STRAYS), patch) is not None
