"""Checks of a session's fencing: watermarks, and what a later attempt finds already done (CONTRACT §8; W9)."""

from __future__ import annotations

from attrs import evolve

from tenure.canonical import Json
from tenure.sessions import (
    AppendEntry,
    Delete,
    Deleted,
    Moved,
    MoveHead,
    Open,
    Opened,
)
from tenure_testing.registry_world import expect
from tenure_testing.session_world import BAD_TEXTS, FIRST, SECOND, SessionWorld, writes

HORIZON = 86_400_000
"""Milliseconds for which a watermark outlives its session: `Limits().retry_horizon`."""


def a_move_is_made_once_per_process(world: SessionWorld) -> None:
    """The n-th move of a later attempt is the n-th of the earlier one, and leaves alone what came after it."""
    world.open(FIRST)
    world.append("a", FIRST)
    world.append("b", FIRST)
    move = MoveHead("b", "a", 1, FIRST)
    expect([world.ask(move), world.ask(move)], [Moved("a"), Moved("a")])
    world.append("c", FIRST)
    expect(world.ask(move), Moved("c"), "repeated after the next append")
    world.open(SECOND)
    expect(world.ask(MoveHead("c", "a", 1, SECOND)), Moved("c"), "by a later attempt")
    expect(world.ask(MoveHead("c", "b", 2, SECOND)), Moved("b"), "the next one")
    expect(world.ask(MoveHead("b", "c", 0, SECOND)), Moved("c"), "one that is not counted")
    expect(world.ask(MoveHead("c", "a", 2, SECOND)), Moved("c"), "the second one again")


def opening_fences_earlier_attempts(world: SessionWorld) -> None:
    """Opening raises the watermark of (registry, process); below it nobody opens or writes. An epoch outweighs any
    token."""
    world.open(FIRST)
    world.append("a", FIRST)
    world.append("b", FIRST)
    world.open(SECOND)
    for request in (Open(FIRST), *writes(FIRST, "b", "a"), Delete(FIRST)):
        world.fenced(request)
    world.append("c", SECOND)
    restored = evolve(FIRST, epoch=2, token=1)
    world.open(restored)
    for request in (Open(SECOND), *writes(SECOND, "c", "a"), Delete(SECOND)):
        world.fenced(request)
    world.append("d", restored)


def opening_again_changes_nothing(world: SessionWorld) -> None:
    """An attempt may open as often as it likes: its own watermark does not fence it."""
    world.open(FIRST)
    world.append("a", FIRST)
    expect(world.open(FIRST), Opened("a", 1, 4))
    world.append("b", FIRST)


def a_write_needs_a_watermark(world: SessionWorld) -> None:
    """A token that never opened the session writes nothing, a later one neither."""
    world.append("a")
    world.append("b")
    for fence in (FIRST, *(evolve(FIRST, process_id=text) for text in BAD_TEXTS)):
        for request in (*writes(fence, "b", "a"), Delete(fence)):
            world.fenced(request)
    world.open(FIRST)
    for request in (*writes(SECOND, "b", "a"), Delete(SECOND)):
        world.fenced(request)


def a_watermark_is_of_one_process_in_one_session(world: SessionWorld) -> None:
    """Other processes, other registries and other sessions have their own."""
    world.open(SECOND)
    world.append("a", SECOND)
    for fence in (evolve(FIRST, process_id="q"), evolve(FIRST, registry="other")):
        world.fenced(AppendEntry("b", "a", Json("1"), fence))
        world.open(fence)
        world.append(f"by-{fence.process_id}-{fence.registry}", fence)
    world.fenced(AppendEntry("b", "", Json("1"), FIRST), "another")
    world.open(FIRST, "another")
    world.append("b", FIRST, session="another")


def a_client_relies_on_the_head(world: SessionWorld) -> None:
    """Without a fence anyone writes who knows the head, whatever the watermarks are."""
    world.open(SECOND)
    world.append("a", SECOND)
    world.append("b")
    expect(world.ask(MoveHead("b", "a")), Moved("a"))
    world.append("c", SECOND)


def a_watermark_outlives_the_session(world: SessionWorld) -> None:
    """After a deletion, and before the next session begins, an earlier attempt is still fenced, for the horizon."""
    world.open(SECOND)
    world.append("a", SECOND)
    expect(world.ask(Delete(SECOND)), Deleted(1))
    world.clock.now += HORIZON
    for request in (Open(FIRST), AppendEntry("b", "", Json("1"), FIRST), Delete(FIRST)):
        world.fenced(request)
    world.append("b", SECOND)
    world.clock.now += 10 * HORIZON
    world.open(evolve(FIRST, process_id="q"))
    world.fenced(Open(FIRST))
    world.append("c", SECOND)


def a_watermark_is_forgotten_after_the_horizon(world: SessionWorld) -> None:
    """It counts from the deletion, and any opening forgets."""
    for n in range(3):
        world.open(SECOND, f"s{n}")
        world.append("a", session=f"s{n}")
        world.ask(Delete(), f"s{n}")
    world.clock.now += HORIZON
    world.open(FIRST, "another")
    world.fenced(Open(FIRST), "s0")
    world.clock.now += 1
    world.open(FIRST, "s0")
    world.fenced(AppendEntry("b", "", Json("1"), SECOND), "s1")
    world.open(FIRST, "s2")
    world.append("b", FIRST, session="s2")


FENCE_CHECKS = (
    a_move_is_made_once_per_process,
    opening_fences_earlier_attempts,
    opening_again_changes_nothing,
    a_write_needs_a_watermark,
    a_watermark_is_of_one_process_in_one_session,
    a_client_relies_on_the_head,
    a_watermark_outlives_the_session,
    a_watermark_is_forgotten_after_the_horizon,
)
