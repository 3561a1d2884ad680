"""What a worker rebuilds around a process before its handler starts (B7): sessions and contents, as configured."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import tenure_driver
from tenure import App, Cancelled, Context, DurabilityTier, Failure, InvalidValue, Success
from tenure.attempt_types import OpenSession
from tenure.canonical import canonical
from tenure.config import RuntimeHost
from tenure.errors import FacetMissing
from tenure.plugins import Plugin, PluginStack
from tenure.process import Outcome
from tenure.requests import Release
from tenure.sessions import SessionPolicy
from tenure_driver.convert import CattrsConverter
from tenure_driver.deployments import config_of
from tenure_driver.driving import driven
from tenure_driver.messages import Opened, OpeningFault
from tenure_driver.rebuilding import Rebuild, Surroundings
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host
from tests.adapters.rebuilding import OWNER, Sessions, configured


def test_an_owners_session_is_open_before_its_handler_starts(host: Host) -> None:
    """B7, CONTRACT §8: an async and a plain handler read its path, write to it, and the client sees what they wrote."""
    app = App()

    @app.process("reads")
    async def reads(ctx: Context) -> list[Any]:
        session = await ctx.session()
        assert session is await ctx.session()
        seen = [entry.value for entry in session]
        await session.append("from async")
        return [session.id, *seen]

    @app.process("reads plainly")
    def reads_plainly(ctx: tenure_driver.BlockingContext) -> list[Any]:
        session = ctx.session()
        seen = [entry.value for entry in session]
        session.append("from plain")
        return [session.id, *seen]

    registry = stores.memory()
    sessions = Sessions(registry)

    async def main() -> None:
        async with host.adapter.worker(configured(registry, sessions, app)) as worker:
            session = await worker.client.session(OWNER)
            await session.append("hello")
            first = await worker.client.start(reads, owner=OWNER)
            assert await first.wait(BOUND) == [OWNER, "hello"]
            second = await worker.client.start("reads plainly", owner=OWNER)
            assert await second.wait(BOUND) == [OWNER, "hello", "from async"]
            await session.refresh()
            assert [entry.value for entry in session] == ["hello", "from async", "from plain"]
        assert sessions.opened == [OWNER] * 3

    host.run(main)


def test_a_process_of_its_own_opens_its_session_at_its_first_use(host: Host) -> None:
    """Who never uses it pays nothing; who does gets `process:<id>`, under its lease."""
    app = App()

    @app.process("idle")
    async def idle(ctx: Context) -> None: ...

    @app.process("writes")
    async def writes(ctx: Context) -> str:
        return (await (await ctx.session()).append({"n": 1})).id

    registry = stores.memory()
    sessions = Sessions(registry)

    async def main() -> None:
        async with host.adapter.worker(configured(registry, sessions, app)) as worker:
            await (await worker.client.start(idle)).wait(BOUND)
            assert sessions.opened == []
            entry = await (await worker.client.start(writes, id="p")).wait(BOUND)
            assert sessions.opened == ["process:p"]
            assert (await worker.client.session("process:p")).head == entry

    host.run(main)


def test_trouble_with_a_session_store_gives_the_process_back(host: Host) -> None:
    """W4, CONTRACT §7: it is released with a delay and runs when the store is back; nothing is failed for good."""
    app = App()

    @app.process("k")
    async def k(ctx: Context) -> int:
        return ctx.attempt

    clock = stores.Clock()
    memory = stores.memory(clock)
    store = stores.Troubled(memory)
    sessions = Sessions(memory, lambda opening: OSError("no route to host") if opening == 1 else None)

    async def main() -> None:
        async with host.adapter.worker(configured(store, sessions, app), poll_interval=0.01) as worker:
            handle = await worker.client.start(k, owner=OWNER)
            await host.until(lambda: any(isinstance(one, Release) for one in store.applied))
            (given_back,) = (one for one in store.applied if isinstance(one, Release))
            assert given_back.delay == 5_000
            clock.moved += 5_000
            assert await handle.outcome(BOUND) == Success(canonical(2))

    host.run(main)


@pytest.mark.parametrize("policy", [SessionPolicy(entries=1), SessionPolicy(total_bytes=5)])
def test_a_session_that_nobody_may_open_fails_the_process_for_good(host: Host, policy: SessionPolicy) -> None:
    """B19, CONTRACT §7: `process_recovery_failed`, with the limit's name."""
    app = App()

    @app.process("k")
    async def k(ctx: Context) -> None:
        raise AssertionError("it has no session")

    registry = stores.memory()

    async def main() -> None:
        config = configured(registry, Sessions(registry), app)
        async with host.adapter.connect(config) as client:
            session = await client.session(OWNER)
            await session.append("one")
            await session.append("two")
        async with host.adapter.worker(evolve(config, policy=policy)) as worker:
            outcome = await (await worker.client.start(k, owner=OWNER)).outcome(BOUND)
        assert isinstance(outcome, Failure)
        assert (outcome.failure_class, outcome.code) == ("execution", "process_recovery_failed")
        limit = "entries" if policy.entries == 1 else "total_bytes"
        assert OWNER in outcome.message
        assert limit in outcome.message

    host.run(main)


def test_a_cancel_that_comes_while_a_session_is_opened_ends_the_process_without_a_start(host: Host) -> None:
    """What was being rebuilt for it is given up."""
    app = App()
    said: list[str] = []

    @app.process("k")
    async def k(ctx: Context) -> None:
        said.append("started")

    @asynccontextmanager
    async def waits(runtime: Any) -> AsyncGenerator[None]:
        said.append("opening")
        try:
            await host.forever()
            yield
        finally:
            said.append("given up")

    config = config_of(stores.memory(), Plugin("slow", app.kinds, services=waits))

    async def main() -> None:
        async with host.adapter.worker(config, poll_interval=0.01) as worker:
            handle = await worker.client.start(k)
            await host.until(lambda: said == ["opening"])
            await handle.cancel("enough")
            assert await handle.outcome(BOUND) == Cancelled("enough")
            await host.until(lambda: said == ["opening", "given up"])

    host.run(main)


def test_contents_go_in_and_out_of_handlers_and_clients(host: Host, tmp_path: Path) -> None:
    """In a durable configuration, of one URL."""
    app = App()

    @app.process("stores")
    async def keeps(ctx: Context, text: str) -> list[str]:
        attachment = await ctx.attachments.put(text.encode(), name="in.txt")
        artifact = await ctx.artifacts.put(text.upper().encode())
        return [attachment.id, artifact.id]

    @app.process("stores plainly")
    def keeps_plainly(ctx: tenure_driver.BlockingContext, text: str) -> list[str]:
        attachment = ctx.attachments.put(text.encode(), name="in.txt")
        artifact = ctx.artifacts.put(text.upper().encode())
        return [attachment.id, artifact.id]

    async def main() -> None:
        with tenure_driver.durable_config(f"sqlite:///{tmp_path}/jobs.db", app) as config:
            assert config.tier_fault == ""
            async with host.adapter.worker(config) as worker:
                client = worker.client
                for kind in ("stores", "stores plainly"):
                    attached, made = await (await client.start(kind, kind)).wait(BOUND)
                    assert await client.attachments.get(attached) == kind.encode()
                    assert (await client.attachments.stat(attached)).name == "in.txt"
                    assert await client.artifacts.get(made) == kind.upper().encode()

    host.run(main)


def test_a_registry_of_ones_own_that_brings_no_other_store(host: Host) -> None:
    """It drives, owners' processes too; what is not there is an error that says what to give."""
    app = App()

    @app.process("asks")
    async def asks(ctx: Context) -> str:
        try:
            await ctx.session()
        except FacetMissing as missing:
            return str(missing)
        return "?"

    async def main() -> None:
        async with host.adapter.worker(app, stores.Troubled(stores.memory())) as worker:
            said = await (await worker.client.start(asks, owner=OWNER)).wait(BOUND)
            assert said == (
                "this deployment has no store of sessions: its registry brings none; "
                "give a WorkerConfig that names one"
            )
            with pytest.raises(FacetMissing, match="attachments"):
                await worker.client.attachments.stat("0" * 64)

    host.run(main)


def test_a_configuration_and_what_is_given_beside_it_must_agree(host: Host) -> None:
    registry = stores.memory()
    runtime = evolve(tenure_driver.in_memory_host(), host_profile_id="gpu")
    assert isinstance(runtime, RuntimeHost)
    assert runtime.effects.tier is DurabilityTier.INLINE
    config = evolve(config_of(registry, App()), runtime=runtime)
    with pytest.raises(InvalidValue, match="a WorkerConfig has a registry of its own"):
        host.run(lambda: entered(host.adapter.worker(config, registry)))
    with pytest.raises(InvalidValue, match=r"profile='cpu', and the configuration's host profile is 'gpu'"):
        host.run(lambda: entered(host.adapter.worker(config, profile="cpu")))
    with pytest.raises(InvalidValue, match="name the store that the worker drives"):
        host.run(lambda: entered(host.adapter.worker(App())))
    with pytest.raises(InvalidValue, match="'memory:' names a store that is inline, not durable"):
        with tenure_driver.durable_config("memory:", App()):
            raise AssertionError("it is not durable")


async def entered(block: AbstractAsyncContextManager[object]) -> None:
    async with block:
        raise AssertionError("the block is not entered")


class _Ended(BaseException):
    """As a loop's cancellation."""


class _EndingLoop:
    async def ask(self, ask: object) -> None:
        raise _Ended


async def in_no_thread(call: Callable[[], Outcome | None]) -> Outcome | None:
    raise AssertionError("nothing starts")


def test_an_opening_that_is_cancelled_with_its_loop_is_given_back() -> None:
    """The machine would wait for it until its budget is over."""
    told: list[Opened] = []
    around = Surroundings(config_of(stores.memory()), PluginStack(()), CattrsConverter())
    rebuild = Rebuild(OpenSession(7, "p", OWNER, 3, 1), around, _EndingLoop(), told.append)
    with pytest.raises(_Ended):
        driven(rebuild.outcome(in_no_thread))
    assert told == [Opened(7, OpeningFault(False, "the opening of session 'chat-1' was cancelled"))]
