"""run_process once its checks are passed: B7's three points, B8's outcomes, cancellation, and the caller's lease."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import define, evolve, frozen

from tenure.app import App
from tenure.asks import Act, CallPlain
from tenure.attempt_types import StopReason
from tenure.canonical import canonical, parsed
from tenure.direct import Cancellation, ExecutionContext, HeldLease
from tenure.effects import EffectHost, InlineEffects, RegistryEffects
from tenure.errors import (
    HandlerStopped,
    InvalidValue,
    LeaseLost,
    OwnerScopeMissing,
    PluginFailed,
    ServicesFailed,
    SessionCorrupt,
    SessionFull,
    SessionUnavailable,
    StoreUnusable,
    TenureError,
)
from tenure.instants import StoreTime
from tenure.plugins import Plugin, PluginStack
from tenure.process import Cancelled, ClaimId, Failure, Fence, Provenance, Record, Success, Work
from tenure.replies import EffectsRead, EventsRead, Fenced, Grant, Unavailable, Unknown
from tenure.requests import ReadEffects, ReadEvents, RequestCancel
from tenure.runtime import Runtime
from tenure.sessions import (
    AppendEntry,
    Open,
    Opened,
    PathRead,
    ReadPath,
    Residency,
    SessionFence,
    SessionPolicy,
)
from tenure.stores import DurabilityTier
from tests.core.direct_world import JOB, DirectWorld, app, done, never
from tests.core.trampoline_asks import TTL

INLINE = DurabilityTier.INLINE
DONE = Success(canonical("done"))
NOBODYS = Failure(
    "execution", "handler_cancelled", "the handler ended by a cancellation that nobody asked for"
)


# --- B7: the session, its runtime, its services -------------------------------------------------------------------


def path(world: DirectWorld, session: str = "the session") -> list[Any]:
    """What the session's active path holds, from its root."""
    store = world.memory.open(session, SessionPolicy())
    opened = store.execute(Open())
    assert isinstance(opened, Opened)
    read = store.execute(ReadPath(opened.head))
    assert isinstance(read, PathRead)
    return [entry.value for entry in reversed(read.entries)]


async def appending(ctx: Any) -> int:
    """Append to the session; how many entries it had."""
    session = await ctx.session()
    entries = len(session.path)
    await session.append(ctx.fencing_token.token)
    return entries


def test_b7_the_handler_has_its_owners_session_and_both_stores_of_contents() -> None:
    async def handler(ctx: Any) -> list[Any]:
        session = await ctx.session()
        kept = await ctx.attachments.put(b"attached")
        made = await ctx.artifacts.put(b"made")
        return [session.id, kept.id, made.id]

    world = DirectWorld.new()
    outcome = world.run(handler, lease=world.claimed())
    assert isinstance(outcome, Success)
    session, attachment, artifact = parsed(outcome.value)
    assert session == "the session"
    assert world.attachments.stat(attachment).size == len(b"attached")
    assert world.artifacts.stat(artifact).size == len(b"made")
    with pytest.raises(TenureError, match="artifact"):
        world.artifacts.stat(attachment)


def test_b7_each_store_of_contents_is_called_what_it_is() -> None:
    said: list[str] = []

    async def handler(ctx: Any) -> None:
        for contents in (ctx.attachments, ctx.artifacts):
            with pytest.raises(InvalidValue) as refused:
                await contents.put(5)
            said.append(str(refused.value))

    DirectWorld.new().run(handler)
    assert ["attachment" in one for one in said] == [True, False]
    assert ["artifact" in one for one in said] == [False, True]
    assert said[0].replace("attachment", "artifact") == said[1]


@pytest.mark.parametrize("residency", list(Residency))
def test_b7_the_session_is_rebuilt_as_policy_and_residency_say(residency: Residency) -> None:
    async def handler(ctx: Any) -> list[Any]:
        session = await ctx.session()
        first = await session.append("first")
        for body in ("left", "right"):
            await session.fork(first.id)
            await session.append(body)
        return []

    world = DirectWorld.new()
    world.run(handler, lease=world.claimed())

    async def counting(ctx: Any) -> int:
        session = await ctx.session()
        return len(session.tree) if residency is Residency.KEEP_ALL else len(session.path)

    config = world.config(lambda: app("app", counting), residency=residency)
    held = {Residency.KEEP_ALL: 3, Residency.ACTIVE_PATH_ONLY: 2}
    assert world.run(config=config) == Success(canonical(held[residency]))


def test_the_session_is_opened_and_used_under_the_lease() -> None:
    """CONTRACT 8: an earlier attempt that comes back is fenced by the session, before it starts."""
    world = DirectWorld.new()
    old = world.claimed()
    world.clock[0] += 10 * TTL
    new = world.claimed(n=2)
    assert world.run(appending, lease=new) == Success(canonical(0))
    world.asked.clear()
    with pytest.raises(LeaseLost):
        world.run(appending, lease=old)
    assert not [ask for ask in world.asked if isinstance(ask, Act)]
    assert path(world) == [new.grant.fence.token]


@pytest.mark.parametrize("leased", [False, True])
def test_the_session_is_told_registry_process_epoch_and_token(leased: bool) -> None:
    asked: list[Any] = []

    class Noting(Broken):
        def execute(self, request: Any) -> Any:
            asked.append(request)
            return self.opened.execute(request)

    world = DirectWorld.new()
    config = world.config(
        lambda: app("app", appending), sessions=Noting(world.memory), registry_name="another"
    )
    lease = world.claimed() if leased else None
    assert world.run(config=config, lease=lease) == Success(canonical(0))
    fence = SessionFence("another", "p", 1, lease.grant.fence.token) if lease else None
    assert [type(one) for one in asked if getattr(one, "fence", fence) != fence] == []
    assert asked[0] == Open(fence)
    assert isinstance(asked[-1], AppendEntry)


def test_without_a_lease_the_session_is_a_clients() -> None:
    world = DirectWorld.new()
    assert world.run(appending) == Success(canonical(0))
    assert world.run(appending) == Success(canonical(1))
    assert path(world) == [0, 0]


class Broken:
    """A session-store factory that fails when a session is opened, or answers the reads of one with `answers`."""

    tier = INLINE

    def __init__(self, store: Any, raised: Exception | None = None, answers: Any = None) -> None:
        self.store, self.raised, self.answers = store, raised, answers

    def open(self, session_id: str, policy: SessionPolicy) -> Any:
        if self.raised is not None:
            raise self.raised
        self.opened = self.store.open(session_id, policy)
        return self

    def execute(self, request: Any) -> Any:
        return self.answers if isinstance(request, ReadPath) else self.opened.execute(request)


def test_b7_first_point_a_store_that_cannot_be_opened() -> None:
    world = DirectWorld.new()
    config = world.config(lambda: app("app", never), sessions=Broken(world.memory, OSError("no disk")))
    with pytest.raises(SessionUnavailable, match=r"'the session'.*OSError: no disk") as failed:
        world.run(config=config)
    assert isinstance(failed.value.__cause__, OSError)


def test_b7_second_point_a_session_that_cannot_be_built() -> None:
    world = DirectWorld.new()
    for _ in range(2):
        world.run(appending)
    small = world.config(lambda: app("app", never), policy=SessionPolicy(entries=1))
    with pytest.raises(SessionFull, match="'the session'"):
        world.run(config=small)
    corrupt = world.config(lambda: app("app", never), sessions=Broken(world.memory, answers=PathRead(())))
    with pytest.raises(SessionCorrupt, match="'the session'"):
        world.run(config=corrupt)


@define
class Block:
    """What a plugin opens; `log` has what happens to it."""

    log: list[str]
    name: str
    opening: BaseException | None = None
    closing: BaseException | None = None

    async def __aenter__(self) -> None:
        self.log.append(f"+{self.name}")
        if self.opening is not None:
            raise self.opening

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.log.append(f"-{self.name} {type(error).__name__}")
        if self.closing is not None:
            raise self.closing


def plugin(block: Block, services: Block, handler: Any, runtimes: list[Runtime] | None = None) -> Plugin:
    def start(runtime: Runtime) -> Block:
        if runtimes is not None:
            runtimes.append(runtime)
        return services

    return Plugin("whole", app("app", handler).kinds, lifespan=lambda: block, services=start)


def test_b7_third_point_services_that_do_not_start() -> None:
    world, log = DirectWorld.new(), list[str]()
    broken = plugin(Block(log, "life"), Block(log, "services", opening=OSError("port in use")), never)
    with pytest.raises(ServicesFailed) as failed:
        world.run(config=world.config(lambda: broken))
    assert str(failed.value) == (
        "the services of plugin 'whole' could not be started for process 'p' in session 'the session': "
        "OSError: port in use"
    )
    assert log == ["+life", "+services", "-life ServicesFailed"]


def test_b7_services_are_started_around_the_handler_with_its_runtime() -> None:
    world, log, runtimes = DirectWorld.new(), list[str](), list[Runtime]()

    async def handler(ctx: Any) -> bool:
        log.append("handler")
        (runtime,) = runtimes
        return (await ctx.session()) is runtime.session and ctx.attachments is runtime.attachments

    whole = plugin(Block(log, "life"), Block(log, "services"), handler, runtimes)
    assert world.run(config=world.config(lambda: whole)) == Success(canonical(True))
    assert log == ["+life", "+services", "handler", "-services NoneType", "-life NoneType"]


def test_an_opened_stack_is_its_openers() -> None:
    """Its lifespan is not entered again, and the configuration's own plugins are not made."""
    world, log = DirectWorld.new(), list[str]()
    stack = PluginStack((plugin(Block(log, "life"), Block(log, "services"), done),))
    config = world.config(lambda: cast("Any", never(None)))
    assert world.run(config=config, plugins=stack) == DONE
    assert log == ["+services", "-services NoneType"]


def test_plugins_that_cannot_be_opened() -> None:
    world = DirectWorld.new()

    def images() -> App:
        raise OSError("no display")

    with pytest.raises(PluginFailed, match="images failed: OSError: no display"):
        world.run(config=world.config(images))
    assert len(world.asked) == 1, "the scope was asked for, no session was opened"


# --- B8: outcomes -------------------------------------------------------------------------------------------------


class TooBusy(Exception):
    code = "busy"


@pytest.mark.parametrize("plain", [False, True])
def test_b8_what_a_handler_does_is_an_outcome_with_its_own_class_and_code(plain: bool) -> None:
    def failing(ctx: Any) -> None:
        raise TooBusy("later")

    async def failing_later(ctx: Any) -> None:
        raise TooBusy("later")

    async def done_later(ctx: Any) -> str:
        return "done"

    def long(ctx: Any) -> str:
        return "x" * 100

    world = DirectWorld.new()
    assert world.run(failing if plain else failing_later) == Failure("TooBusy", "busy", "later")
    assert world.run(done if plain else done_later) == DONE
    assert world.run(long, limit=50) == Failure(
        "TooLarge",
        "result_too_large",
        "what the handler of kind 'job' returned takes 102 bytes; the limit is 50. "
        "Store it elsewhere and pass a reference.",
    )


@frozen
class Job:
    n: int


def test_b8_values_are_converted() -> None:
    async def handler(ctx: Any, job: Job) -> Job:
        return Job(job.n + 1)

    registration = evolve(JOB, input=Work("job", canonical({"n": 1})))
    assert DirectWorld.new().run(handler, registration) == Success(canonical({"n": 2}))


def test_a_plain_handler_gets_what_the_caller_makes_of_the_context() -> None:
    """Called where it may block."""

    def itself(ctx: Any) -> Any:
        return ctx

    def its_id(ctx: Any) -> Any:
        return ctx.id

    world = DirectWorld.new()
    assert world.run(itself, for_plain=its_id) == Success(canonical("p"))
    assert isinstance(world.asked[-1], CallPlain)
    assert world.run(its_id) == Success(canonical("p")), "or the context itself"


def test_services_that_cannot_be_shut_down_are_a_failure_of_the_process() -> None:
    world, log = DirectWorld.new(), list[str]()
    broken = plugin(Block(log, "life"), Block(log, "services", closing=TooBusy("not flushed")), done)
    assert world.run(config=world.config(lambda: broken)) == Failure("TooBusy", "busy", "not flushed")
    assert log == ["+life", "+services", "-services NoneType", "-life NoneType"]


def test_a_plugin_that_cannot_be_shut_down_is_the_callers() -> None:
    """Its handler's work is done, but nobody knows what the plugin still held: the caller decides."""
    world, log = DirectWorld.new(), list[str]()
    broken = plugin(Block(log, "life", closing=OSError("not closed")), Block(log, "services"), done)
    with pytest.raises(OSError, match="not closed"):
        world.run(config=world.config(lambda: broken))
    assert log == ["+life", "+services", "-services NoneType", "-life NoneType"]


@pytest.mark.parametrize("plain", [False, True])
def test_an_interrupt_is_the_callers_own(plain: bool) -> None:
    """Ctrl-C, or a loop's cancellation: no outcome of the process. A handler that goes on in a thread is told."""
    world, log, stopped = DirectWorld.new(), list[str](), list[Any]()

    def now(ctx: Any) -> None:
        stopped.append(ctx)
        raise KeyboardInterrupt

    async def later(ctx: Any) -> None:
        now(ctx)

    whole = plugin(Block(log, "life"), Block(log, "services"), now if plain else later)
    with pytest.raises(KeyboardInterrupt):
        world.run(config=world.config(lambda: whole))
    assert log == ["+life", "+services", "-services KeyboardInterrupt", "-life KeyboardInterrupt"]
    assert [ctx.stop_reason for ctx in stopped] == ["cancel"]


@pytest.mark.parametrize("plain", [False, True])
def test_a_handler_that_exits_has_failed(plain: bool) -> None:
    def now(ctx: Any) -> None:
        raise SystemExit("enough")

    async def later(ctx: Any) -> None:
        now(ctx)

    assert DirectWorld.new().run(now if plain else later) == Failure("SystemExit", "enough", "enough")


# --- B12: the execution context -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wake", "seen"), [("", "the session"), ("somebody else", "somebody else")])
def test_b12_the_handler_sees_whom_its_end_wakes(wake: str, seen: str) -> None:
    """The session is the owner's all the same."""

    async def handler(ctx: Any) -> list[Any]:
        return [ctx.id, ctx.attempt, ctx.owner_scope, (await ctx.session()).id]

    world = DirectWorld.new()
    for lease in (None, world.claimed()):
        outcome = world.run(handler, execution=ExecutionContext(wake), lease=lease)
        assert outcome == Success(canonical(["p", 1, seen, "the session"]))
    assert ExecutionContext() == ExecutionContext("")


# --- cancellation -------------------------------------------------------------------------------------------------


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
    cancellation = Cancellation()

    def handler(ctx: Any) -> str:
        cancellation.cancel()
        return "done"

    assert DirectWorld.new().run(handler, cancellation=cancellation) == DONE
    assert cancellation.reason == ""


def test_what_was_cancelled_before_is_not_started_and_no_session_is_opened() -> None:
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
    """CONTRACT 4: completed as cancelled at once."""
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
    def handler(ctx: Any) -> None:
        raise raised

    assert DirectWorld.new().run(handler) == NOBODYS


# --- under a lease ------------------------------------------------------------------------------------------------


async def working(ctx: Any) -> list[Any]:
    """An effect and an event."""
    value = await ctx.effect("one", lambda: 7)
    await ctx.emit("progress", {"done": 1})
    return [value, ctx.attempt, ctx.fencing_token.token]


def test_effects_and_events_are_fenced_by_the_callers_lease() -> None:
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
    """CONTRACT 7: after a loss nothing is written; but what was returned is judged by the store, by its token."""
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
    """A later attempt has opened it; the handler's task group wraps what it raises."""
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
    """The first attempt's journal is read, too: a caller may have run that attempt before."""
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
