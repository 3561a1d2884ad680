"""tenure on asyncio: `worker`, `connect` and `run`. Two things only: the bridge that answers `ask`, and the runner
that starts, cancels and reports handlers. Everything else is `tenure_driver`'s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, Unpack

from attrs import define, field

from tenure import App, Client, Limits, ProcessRegistry
from tenure.asks import Ask, CallPlain
from tenure.handlers import failure_of
from tenure.process import Outcome
from tenure_driver import Job, Options, Runner, WorkerOptions, reply_of

__all__ = ["Worker", "connect", "run", "worker"]

T = TypeVar("T")


class _Loop:
    """`tenure_driver.Loop` on the running asyncio loop."""

    def __init__(self, app: App | None, store: ProcessRegistry | str, options: WorkerOptions) -> None:
        self.loop = asyncio.get_running_loop()
        self.over = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(options.max_running, thread_name_prefix="tenure-handler")
        self.runner = Runner(app, store, options, self)
        self.runner.start()

    async def ask(self, ask: Ask) -> Any:
        """Wait for the reply; cancelled, the call may still have its effect."""
        if isinstance(ask, CallPlain):
            return await self._in_thread(partial(ask.fn, *ask.args))
        future: asyncio.Future[Any] = self.loop.create_future()

        def resolve(reply: Any) -> None:
            if not future.done():
                future.set_result(reply)

        number = self.runner.post(ask, resolve)
        try:
            return reply_of(await future)
        except asyncio.CancelledError:
            self.runner.abandon(number)
            raise

    def wake(self) -> None:
        """One call of the loop for a whole batch of messages."""
        self.loop.call_soon_threadsafe(self.runner.pump, context=self.runner.context)

    def spawn(self, job: Job) -> None:
        """Handlers inherit the contextvars of the block that opened the worker."""
        task = self.loop.create_task(self._handle(job), context=self.runner.context.copy())
        self._tasks[job.token] = task

    def cancel(self, token: int) -> None:
        """Cancel the handler's task."""
        task = self._tasks.get(token)
        if task is not None:
            task.cancel()

    def ended(self) -> None:
        """Wake whoever waits for the worker's end."""
        self.over.set()

    async def _handle(self, job: Job) -> None:
        outcome: Outcome | None = None
        try:
            if job.plain:
                outcome = await self._in_thread(job.blocking)
            elif job.may_start():
                outcome = await job.run.awaited(job.ctx)
        except asyncio.CancelledError:
            pass
        except KeyboardInterrupt:
            self.runner.drain(0)  # the operator's, not the handler's: give the process back
            raise
        except BaseException as raised:  # SystemExit would stop the loop
            outcome = failure_of(raised)
        finally:
            del self._tasks[job.token]
            self.runner.returned(job.token, outcome)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        context = self.runner.context.copy()
        return await self.loop.run_in_executor(self._threads, context.run, call)

    async def close(self, grace: float | None) -> None:
        """Drain, wait for the end, and end the threads; shielded from cancellation, and bounded."""
        self.runner.drain(grace)
        closing = self.loop.create_task(self._closed())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                cancelled = error
                self.runner.drain(0)
        if cancelled is not None:
            raise cancelled

    async def _closed(self) -> None:
        if self.runner.owner:
            await self.over.wait()
        self.runner.fail_calls()
        await asyncio.to_thread(self.runner.close)
        self._threads.shutdown(wait=False, cancel_futures=True)


@define(eq=False)
class Worker:
    """A running worker. `client` is a client of its store; `owner` its incarnation, `name` what people call it."""

    client: Client
    name: str
    owner: str
    _loop: _Loop = field(repr=False)

    def request_drain(self, grace: float | None = None) -> None:
        """Stop claiming; handlers have `grace` seconds. From any thread, and from a signal handler."""
        self._loop.runner.drain(grace)

    async def finished(self) -> int:
        """Wait until the worker has drained: how many handlers did not stop. Raises WorkerCrashed, WorkerRefused."""
        await self._loop.over.wait()
        return self._loop.runner.left()


@asynccontextmanager
async def worker(
    app: App, store: ProcessRegistry | str, **options: Unpack[Options]
) -> AsyncGenerator[Worker]:
    """A worker of the store, by URL or as an object; `tenure_driver.WorkerOptions` has the options.

    Leaving the block normally drains for up to `grace` seconds; leaving it by an exception or a cancellation stops the
    handlers at once. Raises StoreUnusable, InvalidValue, WorkerRefused; WorkerCrashed at the end of the block.
    """
    opened = WorkerOptions(**options)
    loop = _Loop(app, store, opened)
    grace: float | None = 0
    try:
        yield Worker(loop.runner.client(loop.ask), opened.name, loop.runner.owner, loop)
        grace = None
    finally:
        await loop.close(grace)
    loop.runner.left()


@asynccontextmanager
async def connect(store: ProcessRegistry | str, *, limits: Limits | None = None) -> AsyncGenerator[Client]:
    """A client without a worker."""
    loop = _Loop(None, store, WorkerOptions(limits=limits or Limits()))
    try:
        yield loop.runner.client(loop.ask)
    finally:
        await loop.close(0)


def run(
    app: App,
    store: ProcessRegistry | str,
    main: Callable[[Client], Awaitable[T]],
    **options: Unpack[Options],
) -> T:
    """For scripts: open a worker, await `main(client)`, drain, and return what it returned."""

    async def opened() -> T:
        async with worker(app, store, **options) as running:
            return await main(running.client)

    return asyncio.run(opened())
