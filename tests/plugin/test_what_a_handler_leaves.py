"""`crash_at_every_effect` compares what a handler leaves beside its outcome: its events, and its session's entries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from itertools import count
from typing import Any

import pytest

import tenure
from tenure.instants import StoreTime
from tenure.stores import ProcessRegistry
from tenure_memory import open_store
from tenure_testing.rehearsing import Survived, crash_at_every_effect
from tenure_testing.rehearsing.crashes import Handler
from tenure_testing.rehearsing.leaving import left_in
from tenure_testing.rehearsing.world import RehearsedWorld
from tests.adapters import stores

Body = Callable[[tenure.Context], Awaitable[Any]]


def emitting(body: Body) -> Handler:
    """A kind that may emit `paid` and `seen`."""
    return tenure.App().process("order", emits=["paid", "seen"])(body)


def said_of(body: Body) -> str:
    """Why the handler does not survive."""
    with pytest.raises(AssertionError) as told:
        crash_at_every_effect(emitting(body))
    return str(told.value)


# --- events with a key of their own ---------------------------------------------------------------------------------


def test_a_key_that_is_new_on_every_attempt_is_told() -> None:
    """A crash leaves the log with the event twice. The message names the point, the event, and what to do."""
    numbers = count()

    async def handler(ctx: tenure.Context) -> int:
        await ctx.effect("charge", lambda: 1)
        await ctx.emit("paid", 1, key=f"key {next(numbers)}")
        return 1

    said = said_of(handler)
    assert said.startswith(
        "after a crash before its first line (boundary 1 of 7) the log has event 'paid' under"
    )
    assert "'key 1', and without a crash it has none under that key" in said
    assert "make it of the process's id, of its payload and of what effects returned" in said


def test_a_key_that_is_new_where_the_event_had_been_appended_is_told_there() -> None:
    """At every other boundary the crash leaves what is left without one."""
    appended: set[str] = set()

    async def handler(ctx: tenure.Context) -> int:
        await ctx.emit("paid", 1, key="again" if appended else "first")
        appended.add("paid")
        return 1

    def fresh(run: int) -> str:
        appended.clear()
        return "memory:"

    with pytest.raises(AssertionError) as told:
        crash_at_every_effect(emitting(handler), store=fresh)
    said = str(told.value)
    assert said.startswith(
        "after a crash after it returned and before that was recorded (boundary 4 of 4) the log"
    )
    assert "event 'paid' under key 'again'" in said


def test_a_payload_that_is_another_on_every_attempt_is_told() -> None:
    numbers = count()

    async def handler(ctx: tenure.Context) -> int:
        await ctx.emit("paid", {"number": next(numbers)}, key="paid")
        return 1

    said = said_of(handler)
    assert (
        "(boundary 1 of 4) the event under key 'paid' is 'paid' with {\"number\":1}, and without a crash"
        in said
    )
    assert (
        "'paid' with {\"number\":0}. What differs from one attempt to the next (the time, a random number"
        in said
    )
    assert "belongs in an effect" in said


def test_a_type_that_is_another_on_every_attempt_is_told() -> None:
    async def handler(ctx: tenure.Context) -> int:
        await ctx.emit("paid" if ctx.attempt == 1 else "seen", key="one")
        return 1

    assert "the event under key 'one' is 'seen' with null, and without a crash 'paid' with null" in said_of(
        handler
    )


def test_an_event_of_the_first_attempt_alone_is_told() -> None:
    async def handler(ctx: tenure.Context) -> int:
        if ctx.attempt == 1:
            await ctx.emit("paid", 1, key="one")
        return 1

    said = said_of(handler)
    assert (
        "(boundary 1 of 4) event 'paid' under key 'one' is not in the log, and without a crash it is" in said
    )


def test_events_of_what_effects_returned_survive() -> None:
    """Also where the effect itself returns something else each time it runs."""
    numbers = count()

    async def handler(ctx: tenure.Context) -> int:
        number = await ctx.effect("draw", lambda: next(numbers))
        await ctx.emit("paid", number, key=f"paid {number}")
        await ctx.emit("seen", number, key="seen")
        return 1

    assert len(crash_at_every_effect(emitting(handler)).points) == 9


# --- events without one ---------------------------------------------------------------------------------------------


def test_an_event_without_a_key_may_come_once_on_every_attempt() -> None:
    async def handler(ctx: tenure.Context) -> int:
        await ctx.emit("seen", 1)
        await ctx.emit("seen", 1)
        await ctx.effect("charge", lambda: 1)
        await ctx.emit("paid", 1)
        return 1

    assert len(crash_at_every_effect(emitting(handler)).points) == 11


def test_an_event_that_an_effect_emits_comes_with_the_attempt_that_ran_it() -> None:
    """No attempt appends both of them, where the crash is in between; together they do."""

    async def handler(ctx: tenure.Context) -> int:
        async def emit() -> None:
            await ctx.emit("seen", 1)

        await ctx.effect("one", emit)
        await ctx.emit("paid", 1)
        return 1

    assert "after effect 'one' was recorded" in crash_at_every_effect(emitting(handler)).points


def test_an_event_without_a_key_that_says_something_else_on_every_attempt_is_told() -> None:
    async def handler(ctx: tenure.Context) -> int:
        await ctx.emit("seen", {"attempt": ctx.attempt})
        return 1

    said = said_of(handler)
    assert "(boundary 1 of 4) an attempt appended event 'seen' with {\"attempt\":2} without a key" in said
    assert "each attempt must say the same" in said


def test_an_event_without_a_key_of_the_first_attempt_alone_is_told() -> None:
    async def handler(ctx: tenure.Context) -> int:
        if ctx.attempt == 1:
            await ctx.emit("seen", "x" * 200)
        return 1

    said = said_of(handler)
    assert (
        "(boundary 1 of 4) no attempt appended event 'seen' with \"" + "x" * 99 + "... without a key" in said
    )


# --- events that tell of the attempt itself -------------------------------------------------------------------------


async def resuming(ctx: tenure.Context) -> int:
    """Says that it goes on where another attempt was lost; once under a key, and once without."""
    if ctx.attempt > 1:
        await ctx.emit("resumed", {"attempt": ctx.attempt})
        await ctx.emit("resumed", ctx.attempt, key=f"resumed {ctx.attempt}")
    await ctx.emit("paid", 1, key="paid")
    return await ctx.effect("charge", lambda: 1)


RESUMING = tenure.App().process("order", emits=["paid", "resumed"])(resuming)


def test_what_an_attempt_says_of_itself_is_told_with_the_way_to_allow_it() -> None:
    with pytest.raises(AssertionError) as told:
        crash_at_every_effect(RESUMING)
    said = str(told.value)
    assert "event 'resumed' under key 'resumed 2', and without a crash it has none" in said
    assert "say attempts_may_differ_in=('resumed',), and its type is not compared" in said


@pytest.mark.parametrize("types", [("resumed",), {"resumed", "more"}, "resumed"])
def test_types_of_events_in_which_attempts_may_differ_are_not_compared(
    types: Collection[str], tenure_crash_at_every_effect: Callable[..., Survived]
) -> None:
    survived = tenure_crash_at_every_effect(RESUMING, attempts_may_differ_in=types)
    assert "after event 'paid' was appended" in survived.points


def test_the_other_types_are_compared_as_ever() -> None:
    async def handler(ctx: tenure.Context) -> int:
        await ctx.emit("seen", ctx.attempt)
        await ctx.emit("paid", ctx.attempt)
        return 1

    with pytest.raises(AssertionError, match=r"event 'paid' with 2 .* attempts_may_differ_in=\('paid',\)"):
        crash_at_every_effect(emitting(handler), attempts_may_differ_in=["seen"])


# --- the session ----------------------------------------------------------------------------------------------------


def test_an_entry_whose_key_is_new_on_every_attempt_is_told() -> None:
    """A crash leaves the session with the entry twice."""
    numbers = count()

    async def handler(ctx: tenure.Context) -> int:
        session = await ctx.session()
        await session.append("paid", key=f"key {next(numbers)}")
        return 1

    said = said_of(handler)
    assert (
        '(boundary 2 of 2) the session of the process says "paid", "paid", and without a crash "paid".'
        in said
    )
    assert "leave the key out, or make it of the process's id" in said


def test_an_entry_that_says_something_else_on_every_attempt_is_told() -> None:
    numbers = count()

    async def handler(ctx: tenure.Context) -> int:
        session = await ctx.session()
        await session.append(next(numbers))
        return 1

    assert "(boundary 1 of 2) the session of the process says 1, and without a crash 0." in said_of(handler)


def test_a_store_without_sessions_has_none_to_compare() -> None:
    def make(clock: Callable[[], StoreTime]) -> ProcessRegistry:
        return stores.Troubled(open_store("memory:", clock=clock))

    async def handler(ctx: tenure.Context) -> int:
        return 1

    with RehearsedWorld(make) as world:
        app = tenure.App()
        kind = app.process("bare")(handler)
        world.worker(app)
        world.client.start(kind, id="p").wait()
        assert left_in(world, "p").session == ()
