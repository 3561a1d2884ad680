"""Every boundary of a worker is struck, by a death and by each fault that fits there, and the law holds after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import tenure.claims
import tenure.registry
from tenure.effects import Effects
from tenure.process import Fence, Record
from tenure.replies import Fenced, Unknown
from tenure.requests import (
    ClaimNext,
    Complete,
    EmitEvent,
    ReadCancels,
    ReadEffects,
    RecordEffect,
    Release,
    Renew,
)
from tenure_driver.turn import Driver
from tenure_testing.crashing.points import Watch
from tenure_testing.crashing.worker_points import (
    BLOWS,
    DIES,
    ON_THE_WAY,
    PAUSES,
    STORE_DOWN,
    Boundaries,
    WorkerPoints,
    play,
    worker_points,
)
from tenure_testing.crashing.worker_scenes import SCENES
from tenure_testing.playing import Observer
from tenure_testing.playing.host import Life

LISTED = Path(__file__).with_name("worker_points.txt")
SCENE = {scene.name: scene for scene in SCENES}


@pytest.fixture(scope="module")
def struck() -> WorkerPoints:
    return worker_points(SCENES, [DIES, *ON_THE_WAY])


def test_a_worker_that_is_struck_anywhere_keeps_the_law(struck: WorkerPoints) -> None:
    """L1, L9, S6 and all that a simulation is judged by: it dies at every boundary, with what it sent executed, lost
    or late; a request or its answer is lost, refused, late or doubled."""
    assert list(map(str, struck.violations)) == []


def test_a_worker_that_stands_still_or_whose_store_goes_down_keeps_the_law(
    request: pytest.FixtureRequest,
) -> None:
    """At every boundary of one scene; of every scene under `--hypothesis-profile=verify`."""
    every = request.config.getoption("--hypothesis-profile") == "verify"
    found = worker_points(SCENES if every else [SCENE["a plain handler"]], [PAUSES, STORE_DOWN])
    assert list(map(str, found.violations)) == []
    assert len(found.listed) == 2 * found.boundaries > 100


def test_every_boundary_was_struck_by_a_death(struck: WorkerPoints) -> None:
    """100 %: as many deaths as boundaries that an undisturbed run reaches, and the other blows wherever they fit."""
    by = Counter(blow for _, blow, _ in struck.listed)
    assert by[DIES.name] == struck.boundaries
    sendings = sum(
        boundary.startswith("before sending ") for _, blow, boundary in struck.listed if blow == DIES.name
    )
    assert {blow.name: by[blow.name] for blow in ON_THE_WAY} == {blow.name: sendings for blow in ON_THE_WAY}


def test_the_points_are_those_that_are_listed(struck: WorkerPoints, request: pytest.FixtureRequest) -> None:
    """A boundary of a new kind, or one that is no longer reached, is seen in the list's difference."""
    counted = Counter(boundary for _, _, boundary in struck.listed)
    total = f"{struck.boundaries} boundaries, {len(struck.listed)} strikes; by kind:\n"
    text = total + "".join(f"{counted[kind]:5} {kind}\n" for kind in sorted(counted))
    if request.config.getoption("--rewrite"):
        LISTED.write_text(text)
    assert LISTED.read_text() == text


def test_whatever_can_be_seen_of_a_worker_is_a_boundary(struck: WorkerPoints) -> None:
    """A new kind of step has to be decided on here, and a new kind of request has to be in a scene."""
    steps = {name for name in vars(Observer) if not name.startswith("_")}
    assert steps - set(vars(Boundaries)) == {"happened"}  # a fault is none of the worker's steps
    sent = {
        kind.removeprefix("before sending ") for kind in struck.kinds if kind.startswith("before sending ")
    }
    kinds = (ClaimNext, Complete, EmitEvent, ReadCancels, ReadEffects, RecordEffect, Release, Renew)
    assert sent == {kind.__name__ for kind in kinds}


def test_on_sqlite_it_is_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Deaths in one scene; every blow in every scene under `--hypothesis-profile=verify`."""
    every = request.config.getoption("--hypothesis-profile") == "verify"
    numbers = count()
    scenes = SCENES if every else [SCENE["the worker becomes a zombie"]]
    found = worker_points(
        scenes, BLOWS if every else [DIES], lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    )
    assert list(map(str, found.violations)) == []
    assert len(found.listed) >= found.boundaries > 50


def test_a_scene_is_the_same_each_time() -> None:
    """So that the boundary that is struck is the one that was counted."""
    for scene in SCENES:
        assert play(scene, Watch(), None, "memory:") == play(scene, Watch(), None, "memory:")


# --- bugs ---------------------------------------------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch], None]


def never_taken_over(patch: pytest.MonkeyPatch) -> None:
    """K21: what a worker claimed and never started stays claimed."""
    import tenure_memory.tables as tables

    def claimable(record: Record, *given: Any) -> bool:
        return not record.held and tenure.claims.claimable(record, *given)

    patch.setattr(tables, "claimable", claimable)


def doubt_is_a_loss(patch: pytest.MonkeyPatch) -> None:
    """K9: an ambiguous error is taken for an answer."""
    answered = Driver._answered  # pyright: ignore[reportPrivateUsage]  # the bug is seeded where answers come in

    def wrong(self: Driver, call: int, answer: Any, now: Any) -> None:
        answered(self, call, Fenced() if isinstance(answer, Unknown) else answer, now)

    patch.setattr(Driver, "_answered", wrong)


def stale_writes_count(patch: pytest.MonkeyPatch) -> None:
    """K1, K23: whoever has held the process once may write."""

    def holds(record: Record, fence: Fence) -> bool:
        return record.held

    patch.setattr(tenure.registry, "_fence_holds", holds)


def the_journal_is_not_read(patch: pytest.MonkeyPatch) -> None:
    """W9: an effect that was recorded is run again by the next attempt."""

    async def nothing(self: Effects, journal: object) -> dict[str, Any]:
        return {}

    patch.setattr(Effects, "_recorded", nothing)


def no_handler_is_cancelled(patch: pytest.MonkeyPatch) -> None:
    """A handler that was told to stop goes on: that is seen inside of it, and must not become its own failure."""

    def nothing(self: Life, token: int) -> None: ...

    patch.setattr(Life, "cancel", nothing)


@pytest.mark.parametrize(
    ("bug", "scene", "law"),
    [
        (never_taken_over, "a plain handler", "L9"),
        (doubt_is_a_loss, "a plain handler", "S18"),
        (stale_writes_count, "the worker becomes a zombie", "S4"),
        (the_journal_is_not_read, "a plain handler", "delivery"),
        (no_handler_is_cancelled, "a process is cancelled while it runs", "S14"),
    ],
)
def test_a_bug_is_found_and_its_property_named(
    bug: Patch, scene: str, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    found = worker_points([SCENE[scene]], [DIES, *ON_THE_WAY])
    assert law in {violation.law for violation in found.violations}
