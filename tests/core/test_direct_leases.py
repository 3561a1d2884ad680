"""A direct run under its caller's lease, which may be lost, and without one."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.app import App
from tenure.asks import Act
from tenure.attempt_types import StopReason
from tenure.canonical import canonical
from tenure.direct import Cancellation, HeldLease
from tenure.effects import EffectHost, InlineEffects, RegistryEffects
from tenure.errors import LeaseLost, StoreUnusable
from tenure.instants import StoreTime
from tenure.process import ClaimId, Failure, Fence, Record, Success
from tenure.replies import EffectsRead, EventsRead, Fenced, Grant, Unavailable, Unknown
from tenure.requests import ReadEffects, ReadEvents
from tenure.sessions import Open, SessionFence, SessionPolicy
from tests.core.direct_parts import DONE, INLINE, NOBODYS, Job, appending, working
from tests.core.direct_world import JOB, DirectWorld, never
from tests.core.trampoline_asks import TTL

# --- under a lease ------------------------------------------------------------------------------------------------


def test_effects_and_events_are_fenced_by_the_callers_lease() -> None:
    """S4: what is recorded has its token."""
    world = DirectWorld.new(effects=RegistryEffects(INLINE))
    lease = world.claimed()
    token = lease.grant.fence.token
    assert world.run(working, lease=lease) == Success(canonical([7, 1, token]))
    effects = world.answer(ReadEffects("p", "")).reply
    assert isinstance(effects, EffectsRead)
    assert [(effect.key, effect.result, effect.token) for effect in effects.effects] == [("one", "7", token)]
    events = world.answer(ReadEvents("p", 0, 10)).reply
    assert isinstance(events, EventsRead)
    assert [(event.type, event.token) for event in events.events] == [("progress", token)]
    assert world.record().outcome is None, "the caller writes it"


def test_a_later_attempt_gets_what_was_recorded() -> None:
    """S10: nothing is done twice."""
    world = DirectWorld.new(effects=RegistryEffects(INLINE))
    world.run(working, lease=world.claimed())
    world.clock[0] += 10 * TTL
    calls: list[Any] = []

    async def again(ctx: Any) -> list[Any]:
        return [await ctx.effect("two", lambda: calls.append(1)), (await working(ctx))[1]]

    assert world.run(again, lease=world.claimed(n=2)) == Success(canonical([None, 2]))
    assert calls == [1]


@pytest.mark.parametrize("lost", [Fenced(), Unavailable(), Unknown()])
def test_a_handler_that_lost_its_lease_is_an_error_and_no_outcome(lost: Any) -> None:
    """B14, CONTRACT §7: its caller has nothing that it could write."""
    world = DirectWorld.new()

    async def handler(ctx: Any) -> None:
        world.trouble.append(lost)
        await working(ctx)

    with pytest.raises(LeaseLost) as raised:
        world.run(handler, lease=world.claimed())
    assert raised.value.process_id == "p"


def test_a_lease_that_was_lost_before_the_start_starts_nothing() -> None:
    """S13; a session may have taken long to open."""
    world = DirectWorld.new()
    lease = world.claimed()
    world.trouble.append(Fenced())
    with pytest.raises(LeaseLost):
        world.run(never, lease=lease)


def test_a_lost_lease_outranks_a_cancellation_and_an_outcome_outranks_both() -> None:
    """CONTRACT §7: after a loss nothing is written; but what was returned is judged by the store, by its token."""
    world, cancellation = DirectWorld.new(), Cancellation()

    async def handler(ctx: Any) -> None:
        world.trouble.append(Fenced())
        cancellation.cancel()
        await working(ctx)

    lease = world.claimed()
    with pytest.raises(LeaseLost):
        world.run(handler, lease=lease, cancellation=cancellation)

    async def stubborn(ctx: Any) -> str:
        world.trouble.append(Fenced())
        with pytest.raises(LeaseLost):
            await working(ctx)
        return "done"

    assert world.run(stubborn, lease=lease) == DONE


def test_a_lease_that_only_the_session_knows_to_be_lost() -> None:
    """S14, L6: a later attempt has opened it; the handler's task group wraps what it raises."""
    world = DirectWorld.new()
    lease = world.claimed()

    async def handler(ctx: Any) -> None:
        later = SessionFence("", "p", lease.epoch, lease.grant.fence.token + 1)
        world.memory.open("the session", SessionPolicy()).execute(Open(later))
        try:
            await appending(ctx)
        except LeaseLost as lost:
            raise ExceptionGroup("a task group's", [lost]) from None

    with pytest.raises(LeaseLost) as raised:
        world.run(handler, lease=lease)
    assert raised.value.process_id == "p"


def test_a_run_under_the_same_lease_again_repeats_no_effect() -> None:
    """S10: the first attempt's journal is read, too: a caller may have run that attempt before."""
    world, calls = DirectWorld.new(effects=RegistryEffects(INLINE)), list[int]()

    async def handler(ctx: Any) -> list[int]:
        await ctx.effect("one", calls.append, 1)
        return [ctx.attempt]

    lease = world.claimed()
    for _ in range(2):
        assert world.run(handler, lease=lease) == Success(canonical([1]))
    world.clock[0] += 10 * TTL
    assert world.run(handler, lease=world.claimed(n=2)) == Success(canonical([2]))
    assert calls == [1]


def test_a_scope_is_told_of_the_attempt_that_it_is() -> None:
    """But for the first, which is told to be the second, so that it is read."""
    told: list[Any] = []

    class Own:
        def journal(self, ask: Any, grant: Any, epoch: int) -> Any:
            told.append((grant.fence, grant.record.claims, epoch))
            return InlineEffects().scope("p").journal(ask, grant, epoch)

    async def handler(ctx: Any) -> None:
        await ctx.effect("one", int)

    world = DirectWorld.new()
    leases: list[HeldLease] = []
    for n in (1, 2, 3):
        world.clock[0] += 10 * TTL
        leases.append(world.claimed(n=n))
        world.run(handler, lease=leases[-1], effects=Own())
    assert told == [(lease.grant.fence, claims, 1) for lease, claims in zip(leases, (2, 2, 3), strict=True)]


def test_what_stands_for_a_lease_where_there_is_none() -> None:
    """No store grants the token 0, so whatever a scope of one's own does with it is refused by any later holder."""
    told: list[Any] = []

    class Own:
        def journal(self, ask: Any, grant: Any, epoch: int) -> Any:
            told.append((grant, epoch))
            return InlineEffects().scope("p").journal(ask, grant, epoch)

    async def handler(ctx: Any) -> None:
        await ctx.effect("one", int)

    DirectWorld.new().run(handler, effects=Own())
    fence = Fence("p", ClaimId("", 0), 0)
    assert told == [(Grant(fence, Record(JOB, 0, 0, StoreTime(0), StoreTime(0), claims=2)), 0)]


@pytest.mark.parametrize("at", [0, 1])
def test_a_store_that_cannot_be_used_any_more_is_no_outcome(at: int) -> None:
    """W4: it says nothing of the process. Before the start, and in the middle."""
    broken = StoreUnusable("no such table")
    started: list[int] = []

    class Unusable(DirectWorld):
        def _acted(self, act: Act) -> Any:
            if len(started) == at:
                raise broken
            return super()._acted(act)

    async def handler(ctx: Any) -> None:
        started.append(1)
        await ctx.emit("progress")

    world = Unusable.new()
    with pytest.raises(LeaseLost) as raised:
        world.run(handler, lease=world.claimed())
    assert raised.value.process_id == "p"
    assert raised.value.__cause__ is broken
    assert len(started) == at


def test_so_it_is_without_a_lease() -> None:
    class Unusable(DirectWorld):
        def answer(self, request: Any) -> Any:
            raise StoreUnusable("no such table")

    async def handler(ctx: Any) -> None:
        await ctx.effect("one", int)

    with pytest.raises(LeaseLost):
        Unusable.new(effects=RegistryEffects(INLINE)).run(handler)


def test_what_a_handlers_own_function_raises_is_the_handlers() -> None:
    def broken() -> None:
        raise StoreUnusable("another store")

    async def handler(ctx: Any) -> None:
        await ctx.effect("one", broken)

    outcome = DirectWorld.new().run(handler)
    assert isinstance(outcome, Failure)
    assert outcome.failure_class == "StoreUnusable"


def test_a_refused_event_is_no_lost_lease() -> None:
    async def handler(ctx: Any) -> None:
        try:
            await ctx.emit("undeclared")
        finally:
            ctx.told_to_stop(StopReason.CANCEL)
            ctx.checkpoint()

    world = DirectWorld.new()
    assert world.run(handler, lease=world.claimed()) == NOBODYS


# --- without a lease ----------------------------------------------------------------------------------------------


def test_without_a_lease_effects_are_inline() -> None:
    async def handler(ctx: Any) -> list[Any]:
        token = ctx.fencing_token
        return [await ctx.effect("one", lambda: 7), token.epoch, token.token, ctx.attempt]

    world = DirectWorld.new()
    assert world.run(handler) == Success(canonical([7, 0, 0, 1]))
    assert not [ask for ask in world.asked if isinstance(ask, Act)]


def test_without_a_lease_nothing_limits_the_time() -> None:
    async def handler(ctx: Any) -> Any:
        return await ctx.permitted()

    assert DirectWorld.new().run(handler) == Success(canonical(2**63 - 1))


@pytest.mark.parametrize(
    ("effects", "call", "arguments", "why"),
    [
        (InlineEffects(), "emit", ("progress",), "it may emit no events"),
        (InlineEffects(), "wait_event", ("progress",), "it has no events to wait for"),
        (RegistryEffects(INLINE), "effect", ("one", int), "its effects cannot be recorded"),
    ],
)
def test_without_a_lease_nothing_can_be_fenced(
    effects: EffectHost, call: str, arguments: tuple[Any, ...], why: str
) -> None:
    async def handler(ctx: Any) -> None:
        await getattr(ctx, call)(*arguments)

    said = f"process 'p' runs without a lease, so {why}; claim the process and pass the lease"
    assert DirectWorld.new(effects=effects).run(handler) == Failure("LeaseRequired", "raised", said)


def test_an_event_has_the_shape_that_its_kind_declares() -> None:
    made = App()

    @made.process("job", emits={"progress": Job})
    async def handler(ctx: Any) -> None:
        await ctx.emit("progress", {"m": 1})

    world = DirectWorld.new()
    outcome = world.run(config=world.config(lambda: made), lease=world.claimed())
    assert isinstance(outcome, Failure)
    assert outcome.failure_class == "EventMismatch"
