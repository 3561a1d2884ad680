"""What only asyncio has: tasks that may be cancelled before they begin, groups of tasks, and its way with Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time

import pytest

import tenure
import tenure_asyncio
from tenure import App, Cancelled, Context, Failure
from tenure.attempt_types import StartHandler, StopHandler
from tenure_driver import Runner, connect
from tests.adapters import stores

BOUND = 15.0


def waits_for(worker: tenure_asyncio.Worker, wanted: type) -> bool:
    """Whether such a message waits for the loop."""
    (runner,) = (one for one in gc.get_objects() if isinstance(one, Runner) and one.owner == worker.owner)
    return any(isinstance(message, wanted) for message in tuple(vars(runner)["_delivered"]))


def test_a_handler_that_is_stopped_before_it_began() -> None:
    """S12, K4, L2: start and stop come in one batch, since the loop was held up: the handler never starts, and its end
    is told."""
    app, store, runs = App(), stores.memory(), list[str]()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        runs.append(ctx.id)

    async def main() -> None:
        with connect(store) as outside:
            async with tenure_asyncio.worker(app, store) as worker:
                outside.start(handler, id="a")
                end, pause = time.monotonic() + BOUND, threading.Event()
                while not waits_for(worker, StartHandler):
                    assert not pause.wait(0.002)
                    assert time.monotonic() < end
                outside.cancel("a", "early")
                while not waits_for(worker, StopHandler):
                    assert not pause.wait(0.002)
                    assert time.monotonic() < end
                handle = worker.client.handle("a")
                assert await handle.outcome(BOUND) == Cancelled("early")

    asyncio.run(main())
    assert runs == []


def test_a_group_of_tasks_that_is_cancelled() -> None:
    app = App()

    async def main() -> None:
        started = asyncio.Event()

        @app.process("kind")
        async def handler(ctx: Context) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(60))
                started.set()

        async with tenure_asyncio.worker(app, "memory:") as worker:
            handle = await worker.client.start(handler)
            await started.wait()
            await handle.cancel("asked")
            assert await handle.outcome(BOUND) == Cancelled("asked")

    asyncio.run(main())


def test_a_group_of_tasks_that_fails() -> None:
    app = App()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        async def raises() -> None:
            raise KeyError("mine")

        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            group.create_task(raises())

    async def main() -> None:
        async with tenure_asyncio.worker(app, "memory:") as worker:
            outcome = await (await worker.client.start(handler)).outcome(BOUND)
            assert isinstance(outcome, Failure)
            assert outcome.failure_class == "ExceptionGroup"

    asyncio.run(main())


def test_ctrl_c_gives_processes_back() -> None:
    """L5, S17: it is no outcome of the handler's."""
    app, store = App(), stores.memory()

    @app.process("kind")
    async def handler(ctx: Context) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(60)

    async def main(client: tenure.Client) -> None:
        await (await client.start(handler, id="a")).outcome(BOUND)

    with pytest.raises(KeyboardInterrupt):
        tenure_asyncio.run(app, store, main)

    async def look() -> tenure.Record:
        async with tenure_asyncio.connect(store) as client:
            return await client.get("a")

    record = asyncio.run(look())
    assert (record.claims, record.held, record.outcome) == (1, False, None)


def test_a_loop_with_eager_debugging() -> None:
    """asyncio's debug mode checks which thread calls what."""
    app = App()

    @app.process("kind")
    async def handler(ctx: Context) -> str:
        return str(await ctx.effect("key", str, 5))

    async def main() -> None:
        async with tenure_asyncio.worker(app, "memory:") as worker:
            assert await (await worker.client.start(handler)).wait(BOUND) == "5"

    asyncio.run(main(), debug=True)


def test_a_program_that_ends_gives_its_processes_back() -> None:
    """L5, S17: the end of `asyncio.run` cancels every task at once, the handler's among them: that is a shutdown, not a
    cancellation that nobody asked for, and the process is not failed for it."""
    app, store = App(), stores.memory()

    async def main() -> None:
        opened, started, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @app.process("kind")
        async def handler(ctx: Context) -> None:
            started.set()
            try:
                await asyncio.sleep(60)
            finally:
                asyncio.get_running_loop().call_later(0.05, ended.set)

        async def holds_the_block() -> None:
            async with tenure_asyncio.worker(app, store):
                opened.set()
                try:
                    await asyncio.sleep(60)
                finally:  # the handler's task is through before the block is left
                    await ended.wait()

        task = asyncio.create_task(holds_the_block())
        await opened.wait()
        async with tenure_asyncio.connect(store) as client:
            await client.start(handler, id="a")
            await started.wait()
        assert not task.done()

    asyncio.run(main())
    with connect(store) as client:
        record = client.get("a")
    assert (record.outcome, record.held) == (None, False)
