"""What plugins have around a worker and around each process (B7): lifespans and services."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

from tenure import App, Context, Success
from tenure.canonical import canonical
from tenure.errors import PluginFailed
from tenure.plugins import Plugin, PluginHost
from tenure.requests import Claim, ClaimNext, Release
from tenure_driver.deployments import config_of
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host
from tests.adapters.rebuilding import OWNER


def test_lifespans_enclose_the_worker_and_services_each_process(host: Host) -> None:
    """In the order of the stack, and back; services see the session, and run in the handler's own task."""
    said: list[str] = []

    def block(name: str) -> Callable[..., AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def opened(runtime: Any = None) -> AsyncGenerator[None]:
            head = "" if runtime is None else f" {len(runtime.session.path)}"
            said.append(f"+{name}{head}")
            yield
            said.append(f"-{name}")

        return opened

    app = App()

    @app.process("k")
    async def k(ctx: Context) -> None:
        said.append(f"run {ctx.id}")
        await (await ctx.session()).append(ctx.id)

    first = Plugin("first", app.kinds, block("life 1"), block("service 1"))
    second = Plugin("second", {}, block("life 2"), block("service 2"))
    config = evolve(config_of(stores.memory()), plugins=PluginHost.from_stack(first, second))

    async def main() -> None:
        async with host.adapter.worker(config, max_running=1) as worker:
            await (await worker.client.start(k, id="p", owner=OWNER)).wait(BOUND)
            await (await worker.client.start(k, id="q")).wait(BOUND)

    host.run(main)
    around_p = ["+service 1 0", "+service 2 0", "run p", "-service 2", "-service 1"]
    around_q = ["+service 1 0", "+service 2 0", "run q", "-service 2", "-service 1"]
    assert said == ["+life 1", "+life 2", *around_p, *around_q, "-life 2", "-life 1"]


def test_services_that_do_not_start_give_the_process_back(host: Host) -> None:
    """B7's third point: the error names plugin, session and process; nothing has run."""
    tries: list[int] = []

    @asynccontextmanager
    async def services(runtime: Any) -> AsyncGenerator[None]:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("port taken")
        yield

    app = App()

    @app.process("k")
    async def k(ctx: Context) -> int:
        return ctx.attempt

    clock = stores.Clock()
    store = stores.Troubled(stores.memory(clock))
    config = config_of(store, Plugin("web", app.kinds, services=services))

    async def main() -> None:
        async with host.adapter.worker(config, poll_interval=0.01) as worker:
            handle = await worker.client.start(k)
            await host.until(lambda: any(isinstance(one, Release) for one in store.applied))
            clock.moved += 5_000
            assert await handle.outcome(BOUND) == Success(canonical(2))

    host.run(main)


def test_a_plugin_that_cannot_be_started_claims_nothing(host: Host) -> None:
    @asynccontextmanager
    async def fails(reason: str = "no licence") -> AsyncGenerator[None]:
        if reason:
            raise OSError(reason)
        yield

    app = App()

    @app.process("k")
    async def k(ctx: Context) -> None: ...

    store = stores.Troubled(stores.memory())

    async def main() -> None:
        with pytest.raises(PluginFailed, match=r"plugin 'web' could not be started: OSError: no licence"):
            async with host.adapter.worker(config_of(store, Plugin("web", app.kinds, fails))):
                raise AssertionError("the block is not entered")
        assert not any(isinstance(one, Claim | ClaimNext) for one in store.seen)

    host.run(main)
