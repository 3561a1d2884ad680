"""What goes wrong around a process: services that raise when they should not, openings that come too late, hung stores,
a worker that does not drive."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import evolve

import tenure_driver
from tenure import (
    App,
    Cancelled,
    Context,
    DurabilityTier,
    Failure,
    Plugin,
    Success,
    WorkerClosed,
    WorkerRefused,
)
from tenure.canonical import canonical
from tenure.config import RuntimeHost
from tenure.effects import RegistryEffects
from tenure.replies import Got, Succeeded
from tenure.requests import Get
from tenure_driver.deployments import config_of
from tests.adapters import stores
from tests.adapters.loops import BOUND, HOSTS, Host
from tests.adapters.rebuilding import OWNER, Sessions, configured

Services = Callable[[Any], AbstractAsyncContextManager[None]]


async def broken() -> None:
    raise RuntimeError("the service broke")


@asynccontextmanager
async def of_asyncio(runtime: Any) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(broken())
        yield


@asynccontextmanager
async def of_trio(runtime: Any) -> AsyncGenerator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broken)
        yield


@asynccontextmanager
async def of_neither(runtime: Any) -> AsyncGenerator[None]:
    yield
    raise RuntimeError("the service broke")


def test_a_service_that_breaks_before_the_start_ends_the_process(host: Host) -> None:
    """L9: its failure is the process's, or the handler was faster; nothing is held for ever, and no loop breaks."""
    services: Services = {"asyncio": of_asyncio, "trio": of_trio}.get(host.name, of_neither)
    app = App()

    @app.process("k")
    async def k(ctx: Context) -> None: ...

    config = config_of(stores.memory(), Plugin("web", app.kinds, services=services))

    async def main() -> None:
        async with host.adapter.worker(config) as worker:
            for _ in range(3):
                outcome = await (await worker.client.start(k)).outcome(BOUND)
                assert isinstance(outcome, Success | Failure)

    host.run(main)


def test_what_services_raise_when_they_are_left_replaces_no_ending(host: Host) -> None:
    """CONTRACT §7: a handler that returned has succeeded, and one that was cancelled is cancelled."""
    app = App()
    running = threading.Event()

    @app.process("returns")
    async def returns(ctx: Context) -> int:
        return 7

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        running.set()
        await host.forever()

    @asynccontextmanager
    async def services(runtime: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            raise ConnectionError("no such host")

    config = config_of(stores.memory(), Plugin("web", app.kinds, services=services))

    async def main() -> None:
        async with host.adapter.worker(config) as worker:
            done = await worker.client.start(returns)
            assert await done.outcome(BOUND) == Success(canonical(7))
            waiting = await worker.client.start(waits)
            await host.until(running.is_set)
            await waiting.cancel("enough")
            assert await waiting.outcome(BOUND) == Cancelled("enough")

    host.run(main)


@pytest.mark.parametrize("gathered", [False, True])
@pytest.mark.parametrize("host", HOSTS[:2], ids=lambda host: host.name)
def test_ctrl_c_while_services_are_left_reaches_the_program(
    host: Host, gathered: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the operator's: neither logged away with what services raise nor lost in a group of a nursery's. And the
    handler has ended: what it returned is written all the same (L2)."""
    app, registry = App(), stores.memory()

    @app.process("k")
    async def k(ctx: Context) -> int:
        return 42

    @asynccontextmanager
    async def services(runtime: Any) -> AsyncGenerator[None]:
        yield
        interrupt = KeyboardInterrupt()
        raise BaseExceptionGroup("both", [OSError(), interrupt]) if gathered else interrupt

    config = config_of(registry, Plugin("web", app.kinds, services=services))

    async def main() -> None:
        async with host.adapter.worker(config) as worker:
            await (await worker.client.start(k, id="p")).outcome(BOUND)

    with pytest.raises(KeyboardInterrupt):
        host.run(main)
    gc.collect()
    assert caplog.records == []  # such as of a task whose exception nobody took
    (answer,) = registry.execute([Get("p")])
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Got)
    assert answer.reply.record.outcome == Success(canonical(42))


def test_an_opening_that_is_over_before_it_began_opens_nothing(host: Host) -> None:
    """Another handler blocks the loop while a process is claimed and cancelled: what comes late is not begun."""
    app = App()
    said: list[str] = []
    go_on, blocking = threading.Event(), threading.Event()

    @app.process("blocks")
    async def blocks(ctx: Context) -> None:
        blocking.set()
        assert go_on.wait(BOUND)

    @app.process("k")
    async def k(ctx: Context) -> None:
        said.append("ran")

    @asynccontextmanager
    async def services(runtime: Any) -> AsyncGenerator[None]:
        said.append(f"open {runtime.session.id}")
        yield
        said.append(f"close {runtime.session.id}")

    store = stores.memory()
    config = config_of(store, Plugin("web", app.kinds, services=services))

    def meanwhile() -> None:
        try:
            with tenure_driver.connect(store) as client:
                assert blocking.wait(BOUND)
                victim = client.start("k", id="victim")
                bound = threading.Event()
                for _ in range(1_000):
                    if client.get("victim").held:
                        break
                    bound.wait(0.01)
                victim.cancel("enough")
                assert victim.outcome(BOUND) == Cancelled("enough")
        finally:
            go_on.set()

    async def main() -> None:
        async with host.adapter.worker(config, poll_interval=0.01) as worker:
            blocked = await worker.client.start(blocks, id="blocked")
            thread = threading.Thread(target=meanwhile)
            thread.start()
            await blocked.wait(BOUND)
            await host.until(lambda: not thread.is_alive())
        own = ["open process:blocked", "close process:blocked"]
        assert [one for one in said if "victim" not in one] == own
        assert [one.split()[0] for one in said if "victim" in one] in ([], ["open", "close"])

    host.run(main)


def test_a_hung_session_store_takes_no_handlers_thread(host: Host) -> None:
    """CONTRACT §9: openings have threads of their own; a plain handler starts beside them."""
    app = App()
    let_go = threading.Event()

    @app.process("plain")
    def plain(ctx: Any) -> str:
        return "done"

    @app.process("k")
    async def k(ctx: Context) -> None: ...

    def hangs(opening: int) -> None:
        let_go.wait(BOUND)

    registry = stores.memory()
    config = configured(registry, Sessions(registry, hangs), app)

    async def main() -> None:
        async with host.adapter.worker(config, max_running=2) as worker:
            try:
                hung = await worker.client.start(k, owner=OWNER)
                assert await (await worker.client.start("plain")).wait(BOUND) == "done"
            finally:
                let_go.set()
            await hung.wait(BOUND)

    host.run(main)


class Durable:
    """A store that says that it is durable."""

    tier = DurabilityTier.DURABLE

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_who_waits_at_a_worker_that_does_not_drive_is_told(host: Host) -> None:
    """S15, B6: at once, and not when its block is left."""
    app = App()

    @app.process("k")
    async def k(ctx: Context) -> None: ...

    registry: Any = Durable(stores.memory())
    made = config_of(registry, app)
    inline = stores.memory()
    facets: Any = inline
    runtime = RuntimeHost(
        RegistryEffects(DurabilityTier.DURABLE), facets.facets().attachments, made.runtime.artifacts
    )
    refuses = "the worker does not drive: a durable worker needs a durable attachment store"

    async def main() -> None:
        async with host.adapter.worker(evolve(made, runtime=runtime)) as worker:
            with pytest.raises(WorkerRefused, match=refuses):
                await (await worker.client.start(k)).wait()
            with pytest.raises(WorkerRefused, match=refuses):
                await worker.client.get("p")

    with pytest.raises(WorkerRefused, match=refuses):
        host.run(main)


def test_contents_of_a_client_that_was_closed(host: Host) -> None:
    """As every other call of it."""

    async def main() -> None:
        async with host.adapter.connect(stores.memory()) as client:
            pass
        with pytest.raises(WorkerClosed):
            await client.attachments.put(b"x")

    host.run(main)
