"""run_process once its checks are passed: B7's three points, B8's outcomes, and whom its end wakes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import evolve

from tenure.app import App
from tenure.asks import Act, CallPlain
from tenure.canonical import canonical, parsed
from tenure.direct import ExecutionContext
from tenure.errors import (
    InvalidValue,
    LeaseLost,
    PluginFailed,
    ServicesFailed,
    SessionCorrupt,
    SessionFull,
    SessionUnavailable,
    TenureError,
)
from tenure.plugins import PluginStack
from tenure.process import Failure, Success, Work
from tenure.runtime import Runtime
from tenure.sessions import (
    AppendEntry,
    Open,
    PathRead,
    Residency,
    SessionFence,
    SessionPolicy,
)
from tests.core.direct_parts import (
    DONE,
    Block,
    Broken,
    Job,
    TooBusy,
    appending,
    path,
    plugin,
)
from tests.core.direct_world import JOB, DirectWorld, app, done, never
from tests.core.trampoline_asks import TTL

# --- B7: the session, its runtime, its services -------------------------------------------------------------------


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
    """CONTRACT §8: an earlier attempt that comes back is fenced by the session, before it starts."""
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


@pytest.mark.parametrize("wake", ["", "the session"])
def test_b12_the_handler_sees_whom_its_end_wakes(wake: str) -> None:

    async def handler(ctx: Any) -> list[Any]:
        return [ctx.id, ctx.attempt, ctx.owner_scope, (await ctx.session()).id]

    world = DirectWorld.new()
    for lease in (None, world.claimed()):
        outcome = world.run(handler, execution=ExecutionContext(wake), lease=lease)
        assert outcome == Success(canonical(["p", 1, "the session", "the session"]))
    assert ExecutionContext() == ExecutionContext("")


def test_b12_nobody_but_the_owner_can_be_woken() -> None:
    """The store tells the owner, from the row; what nobody would be told is not promised."""
    world = DirectWorld.new()
    with pytest.raises(InvalidValue) as raised:
        world.run(never, execution=ExecutionContext("somebody else"))
    assert str(raised.value) == (
        "the end of process 'p' is told to its owner 'the session', and cannot be told to 'somebody else'; "
        "register the process with that owner"
    )
    assert world.asked == []
