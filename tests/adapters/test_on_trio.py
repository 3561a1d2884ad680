"""What only trio has: nurseries and groups, scopes around the block, and its way with Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Awaitable, Callable

import pytest
import trio

import tenure
import tenure_trio
from tenure import App, Cancelled, Context, Failure
from tests.adapters import stores

BOUND = 15.0


async def outcome_of_a_cancelled(body: Callable[[], Awaitable[object]]) -> tenure.Outcome:
    """How a process ends whose handler runs the body and is cancelled."""
    app, started = App(), trio.Event()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        started.set()
        await body()

    async with tenure_trio.worker(app, "memory:") as worker:
        handle = await worker.client.start(handler)
        await started.wait()
        await handle.cancel("asked")
        return await handle.outcome(BOUND)


@pytest.mark.trio
async def test_a_group_of_cancellations_is_a_stop() -> None:
    """S17: it is no failure of the handler's."""

    async def body() -> None:
        async with trio.open_nursery() as outer:
            outer.start_soon(trio.sleep_forever)
            async with trio.open_nursery() as inner:
                inner.start_soon(trio.sleep_forever)
                inner.start_soon(trio.sleep_forever)

    assert await outcome_of_a_cancelled(body) == Cancelled("asked")


@pytest.mark.trio
async def test_a_mixed_group_is_a_failure() -> None:
    """S17, L2: what the handler raised is not lost in its cancellation."""

    async def raises() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("mine")

    async def body() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(raises)

    outcome = await outcome_of_a_cancelled(body)
    assert isinstance(outcome, Failure)
    assert outcome.failure_class == "ExceptionGroup"


@pytest.mark.trio
async def test_a_stray_cancellation_beside_an_error_is_a_failure() -> None:
    """S17, L2: the error is the handler's own."""
    app, strays = App(), list[BaseException]()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as stray:
                strays.append(stray)
                raise
        raise BaseExceptionGroup("mixed", [*strays, BaseExceptionGroup("inner", [*strays, KeyError("mine")])])

    async with tenure_trio.worker(app, "memory:") as worker:
        outcome = await (await worker.client.start(handler)).outcome(BOUND)
    assert isinstance(outcome, Failure)
    assert (outcome.failure_class, outcome.code) == ("BaseExceptionGroup", "raised")


@pytest.mark.trio
async def test_scopes_of_the_handlers_own() -> None:
    app = App()

    @app.process("kind")
    async def handler(ctx: Context) -> str:
        with trio.move_on_after(0.01):
            await trio.sleep_forever()
        with trio.move_on_after(0.01):
            await ctx.effect("key", trio.sleep_forever)
        return "moved on"

    async with tenure_trio.worker(app, "memory:") as worker:
        assert await (await worker.client.start(handler)).wait(BOUND) == "moved on"


@pytest.mark.trio
async def test_what_the_block_raises_comes_out_as_itself() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with tenure_trio.worker(App(), "memory:"):
            raise KeyError("mine")

    # Cancelled from outside as well, the exception is still what comes out.
    async def both() -> None:
        with trio.CancelScope() as scope:
            async with tenure_trio.worker(App(), "memory:"):
                scope.cancel()
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await both()
    with pytest.raises(ExceptionGroup) as caught:
        async with tenure_trio.worker(App(), "memory:"), trio.open_nursery():
            raise KeyError("mine")
    assert caught.group_contains(KeyError)


@pytest.mark.trio
async def test_a_scope_around_the_block() -> None:
    app, stops = App(), list[str | None]()
    store, started = stores.memory(), trio.Event()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            stops.append(ctx.stop_reason)

    async with tenure_trio.connect(store) as client:
        handle = await client.start(handler)
        with trio.CancelScope() as scope:
            async with tenure_trio.worker(app, store):
                await started.wait()
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert stops == ["drain"]
        record = await handle.get()
        assert (record.held, record.outcome) == (False, None)


@pytest.mark.trio
async def test_a_call_in_a_cancelled_scope_is_not_made() -> None:
    async with tenure_trio.connect("memory:") as client:
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.start("nobody", id="a")
        assert scope.cancelled_caught
        with pytest.raises(tenure.ProcessNotFound):
            await client.get("a")


@pytest.mark.trio
async def test_an_effect_in_a_thread_is_abandoned_when_cancelled() -> None:
    """The handler is cancelled at once; its process has ended when the thread has."""
    let_go, began, left = threading.Event(), threading.Event(), trio.Event()

    def blocks() -> None:
        began.set()
        let_go.wait(BOUND)

    app = App()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        try:
            await ctx.effect("key", blocks)
        finally:
            left.set()

    async with tenure_trio.worker(app, "memory:") as worker:
        handle = await worker.client.start(handler)
        await trio.to_thread.run_sync(began.wait, BOUND)
        await handle.cancel("asked")
        with trio.fail_after(BOUND):
            await left.wait()
        let_go.set()
        assert await handle.outcome(BOUND) == Cancelled("asked")


@pytest.mark.parametrize("yields", [True, False])
def test_ctrl_c_gives_processes_back(yields: bool) -> None:
    """L5, S17: while the handler waits, and while it holds up the whole loop."""
    app, store = App(), stores.memory()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        if yields:
            await trio.sleep_forever()
        else:
            time.sleep(30)  # noqa: ASYNC251 - the misdeed under test; Ctrl-C breaks it off

    async def main(client: tenure.Client) -> None:
        await (await client.start(handler, id="a")).outcome(BOUND)

    with pytest.raises(KeyboardInterrupt):
        tenure_trio.run(app, store, main)

    async def look() -> tenure.Record:
        async with tenure_trio.connect(store) as client:
            return await client.get("a")

    record = trio.run(look)
    assert (record.claims, record.held, record.outcome) == (1, False, None)


def test_a_run_that_ends_around_a_handler_gives_its_process_back() -> None:
    """L5, S17: nobody left the block: trio itself cancels the handler, which is no failure of the handler's."""
    app, store, stopped = App(), stores.memory(), list[str]()

    blocks = [tenure_trio.worker(app, store)]

    async def main() -> None:
        started = trio.Event()

        @app.process("kind")
        async def handler(ctx: Context) -> None:
            started.set()
            try:
                await trio.sleep_forever()
            finally:
                stopped.append(ctx.id)

        worker = await blocks[0].__aenter__()
        await worker.client.start(handler, id="a")
        await started.wait()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        trio.run(main)
        blocks.clear()
    assert stopped == ["a"]

    async def look() -> tenure.Record:
        async with tenure_trio.connect(store) as client:
            return await client.get("a")

    assert trio.run(look).outcome is None
