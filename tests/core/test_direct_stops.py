"""How a direct run is cancelled, before it starts and while it goes on; and what becomes of what its services raise."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tenure.direct import Cancellation, HeldLease
from tenure.errors import HandlerStopped, LeaseLost, OwnerScopeMissing
from tenure.plugins import Plugin
from tenure.process import Cancelled, Failure, Provenance
from tenure.replies import Fenced
from tenure.requests import RequestCancel
from tenure.sessions import SessionPolicy
from tests.core.direct_parts import DONE, NOBODYS, Block, Broken, TooBusy, plugin
from tests.core.direct_world import JOB, DirectWorld, app, done, never


def test_a_cancellation_is_made_of_nothing() -> None:
    made: Any = Cancellation
    with pytest.raises(TypeError):
        made("enough")
    assert Cancellation().reason is None


@pytest.mark.parametrize("plain", [False, True])
def test_a_handler_that_stops_because_it_was_cancelled_ends_as_cancelled(plain: bool) -> None:
    cancellation = Cancellation()

    def handler(ctx: Any) -> None:
        ctx.checkpoint()
        cancellation.cancel("enough")
        cancellation.cancel("too late")
        assert ctx.stop_reason == "cancel"
        ctx.checkpoint()

    async def later(ctx: Any) -> None:
        handler(ctx)

    assert cancellation.reason is None
    outcome = DirectWorld.new().run(handler if plain else later, cancellation=cancellation)
    assert outcome == Cancelled("enough")
    assert cancellation.reason == "enough"


def test_a_handler_that_returns_has_succeeded_whatever_was_asked() -> None:
    """S17, S16: CONTRACT §7."""
    cancellation = Cancellation()

    def handler(ctx: Any) -> str:
        cancellation.cancel()
        return "done"

    assert DirectWorld.new().run(handler, cancellation=cancellation) == DONE
    assert cancellation.reason == ""


def test_what_was_cancelled_before_is_not_started_and_no_session_is_opened() -> None:
    """S12, S16: a cancel is sticky."""
    world, cancellation = DirectWorld.new(), Cancellation()
    cancellation.cancel("before")
    assert world.run(never, cancellation=cancellation) == Cancelled("before")
    assert len(world.asked) == 1, "the scope was asked for, nothing else"


def test_the_checks_come_before_the_cancellation() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(OwnerScopeMissing):
        DirectWorld.new().run(never, evolve(JOB, provenance=Provenance()), cancellation=cancellation)


def test_a_cancel_that_the_claim_has_seen_is_one() -> None:
    """CONTRACT §4: completed as cancelled at once."""
    world = DirectWorld.new()
    lease = world.claimed()
    world.answer(RequestCancel("p", "by a client"))
    flagged = HeldLease(evolve(lease.grant, record=world.record()), lease.epoch)
    cancellation = Cancellation()
    assert world.run(never, lease=flagged, cancellation=cancellation) == Cancelled("by a client")
    assert cancellation.reason == "by a client"
    cancellation = Cancellation()
    cancellation.cancel("by the caller")
    assert world.run(never, lease=flagged, cancellation=cancellation) == Cancelled("by the caller")


def test_what_is_cancelled_while_its_session_is_opened_is_not_started() -> None:
    """S12, L4: the look comes right before the start."""
    world, cancellation = DirectWorld.new(), Cancellation()

    class Cancels(Broken):
        def open(self, session_id: str, policy: SessionPolicy) -> Any:
            cancellation.cancel("meanwhile")
            return super().open(session_id, policy)

        def execute(self, request: Any) -> Any:
            return self.opened.execute(request)

    config = world.config(lambda: app("app", never), sessions=Cancels(world.memory))
    assert world.run(config=config, cancellation=cancellation) == Cancelled("meanwhile")


def test_what_is_cancelled_while_its_services_start_is_not_started() -> None:
    """S12, L4: the look comes right before the start."""
    world, log, cancellation = DirectWorld.new(), list[str](), Cancellation()

    class Cancels(Block):
        async def __aenter__(self) -> None:
            cancellation.cancel("meanwhile")

    whole = plugin(Block(log, "life"), Cancels(log, "services"), never)
    outcome = world.run(config=world.config(lambda: whole), cancellation=cancellation)
    assert outcome == Cancelled("meanwhile")
    assert log == ["+life", "-services NoneType", "-life NoneType"]


@pytest.mark.parametrize("raised", [HandlerStopped("p", "cancel"), LeaseLost("p")])
def test_a_handler_that_stops_though_nobody_asked_it_to_has_failed(raised: Exception) -> None:
    """S17: no cancel is invented (CONTRACT §7)."""

    def handler(ctx: Any) -> None:
        raise raised

    assert DirectWorld.new().run(handler) == NOBODYS


# --- leaving ------------------------------------------------------------------------------------------------------


def not_flushed(handler: Any, log: list[str], error: BaseException) -> Plugin:
    """A plugin whose services raise that when they are left."""
    return plugin(Block(log, "life"), Block(log, "services", closing=error), handler)


def test_services_that_cannot_be_shut_down_leave_the_handlers_outcome_alone() -> None:
    """CONTRACT §7. The caller hears of it, if it wants to."""

    def failing(ctx: Any) -> None:
        raise TooBusy("later")

    ends = {done: DONE, failing: Failure("TooBusy", "busy", "later")}
    for handler, outcome in ends.items():
        world, log, error, heard = DirectWorld.new(), list[str](), OSError("not flushed"), list[Exception]()
        config = world.config(lambda: not_flushed(handler, log, error))  # noqa: B023 -- called at once
        assert world.run(config=config) == outcome
        assert world.run(config=config, not_left=heard.append) == outcome
        assert heard == [error]
        assert log == ["+life", "+services", "-services NoneType", "-life NoneType"] * 2


def test_a_lease_that_was_lost_stays_lost_whatever_services_raise_then() -> None:
    """S14: the caller has nothing that it could write."""
    world, heard, error = DirectWorld.new(), list[Exception](), OSError("not flushed")

    async def loses(ctx: Any) -> None:
        world.trouble.append(Fenced())
        await ctx.emit("progress")

    with pytest.raises(LeaseLost):
        world.run(
            config=world.config(lambda: not_flushed(loses, [], error)),
            lease=world.claimed(),
            not_left=heard.append,
        )
    assert heard == [error]


def test_a_handler_that_stopped_for_a_cancellation_was_cancelled_whatever_services_raise_then() -> None:
    cancellation = Cancellation()

    def stops(ctx: Any) -> None:
        cancellation.cancel("enough")
        ctx.checkpoint()

    world = DirectWorld.new()
    config = world.config(lambda: not_flushed(stops, [], OSError("not flushed")))
    assert world.run(config=config, cancellation=cancellation) == Cancelled("enough")


def test_an_interrupt_while_services_are_left_is_the_callers_own() -> None:
    world, heard = DirectWorld.new(), list[Exception]()
    config = world.config(lambda: not_flushed(done, [], KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        world.run(config=config, not_left=heard.append)
    assert heard == []


def test_a_handler_is_told_to_stop_before_its_services_are_left() -> None:
    """A plain one may go on in its thread, and use them."""
    world, seen = DirectWorld.new(), list[Any]()

    def interrupted(ctx: Any) -> None:
        seen.append(ctx)
        raise KeyboardInterrupt

    class Services(Block):
        async def __aexit__(self, *error: Any) -> None:
            seen.append(seen[0].stop_reason)

    whole = plugin(Block([], "life"), Services([], "services"), interrupted)
    with pytest.raises(KeyboardInterrupt):
        world.run(config=world.config(lambda: whole))
    assert seen[1:] == ["cancel"]
