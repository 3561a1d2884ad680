"""Clients on every loop: with a worker, without one, and in scripts."""

from __future__ import annotations

import inspect

import pytest

import tenure
from tenure import App, Context
from tests.adapters import leftovers, stores, trampoline
from tests.adapters.loops import BOUND, HOSTS, Host


def test_waiting_has_an_end(host: Host) -> None:
    async def main() -> None:
        async with host.adapter.worker(App(), "memory:") as worker:
            handle = await worker.client.start("unknown", id="a")
            with pytest.raises(tenure.WaitTimeout, match="'a' had not ended") as caught:
                await handle.wait(0.05)
            assert isinstance(caught.value, TimeoutError)
            with pytest.raises(tenure.WaitTimeout):
                await handle.outcome(0)

    host.run(main)


def test_a_call_is_cancelled_in_the_middle(host: Host) -> None:
    store, before = stores.Troubled(stores.memory()), leftovers.runners_and_drivers()

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            store.held.clear()
            starting = host.spawn(lambda: client.start("unknown", id="a"))
            waiting = host.spawn(lambda: client.wait("a"))
            await host.until(store.entered.is_set)
            starting.cancel()
            waiting.cancel()
            await host.until(lambda: starting.done and waiting.done)
            assert starting.error is not None
            assert waiting.error is not None
            store.held.set()
            # It may have had its effect: repeated, it answers the same.
            assert (await client.start("unknown", id="a")).id == "a"
            assert (await client.get("a")).claims == 0
            leftovers.none_of([one for one in leftovers.runners_and_drivers() if one not in before])

    host.run(main)


def test_run_is_for_scripts(host: Host) -> None:
    app = App()

    @app.process("greet")
    async def greet(ctx: Context, whom: str) -> str:
        return f"hello {whom}"

    async def main(client: tenure.Client) -> str:
        return await (await client.start(greet, "you")).wait(BOUND)

    assert host.adapter.run(app, "memory:", main, max_running=2) == "hello you"


def test_a_client_without_a_worker(host: Host) -> None:
    app = App()

    @app.process("known")
    async def known(ctx: Context) -> str:
        return "done"

    async def main() -> None:
        store = stores.memory()
        async with host.adapter.connect(store) as client:
            handle = await client.start(known)
            waiting = host.spawn(handle.wait)
            async with host.adapter.worker(app, store):
                assert await handle.wait(BOUND) == "done"
                await host.until(lambda: waiting.done)
                assert waiting.error is None
        with pytest.raises(tenure.WorkerClosed):
            await client.get(handle.id)

    host.run(main)


def test_adapters_have_the_same_names_and_signatures() -> None:
    from tenure_asyncio import __all__ as names

    for host in HOSTS:
        assert sorted(getattr(host.adapter, "__all__", trampoline.__all__)) == sorted(names)
        for name in ("worker", "connect", "run", "run_process"):
            ours = inspect.signature(getattr(host.adapter, name))
            assert ours == inspect.signature(getattr(HOSTS[0].adapter, name))
