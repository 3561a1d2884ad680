"""tenure on asyncio: `worker`, `connect` and `run`. Two things only: the bridge that answers `ask`, and the runner
that starts, cancels and reports handlers. Everything else is `tenure_driver`'s."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar, Unpack

from tenure import Client, Limits, Registration, WorkerConfig
from tenure.asks import Ask, CallPlain
from tenure.handlers import failure_of
from tenure.process import Outcome
from tenure_driver import (
    ASIDE,
    AwaitStart,
    DirectOptions,
    Options,
    Runner,
    Spawned,
    Store,
    What,
    Worker,
    WorkerOptions,
    connected,
    directly,
    reply_of,
    working,
)

__all__ = ["Worker", "connect", "run", "run_process", "worker"]

T = TypeVar("T")


class _Loop:
    """`tenure_driver.AsyncLoop` on the running asyncio loop."""

    def __init__(self, what: What | None, store: Store | None, options: WorkerOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._holder = asyncio.current_task()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(options.max_running, thread_name_prefix="tenure-handler")
        self._aside = ThreadPoolExecutor(ASIDE, thread_name_prefix="tenure-aside")
        self.runner = Runner(what, store, options, self)

    async def ask(self, ask: Ask | AwaitStart) -> Any:
        """Wait for the reply; cancelled, the call may still have its effect."""
        if isinstance(ask, CallPlain):
            self.runner.check()
            return await self._in_thread(ask.called)
        future: asyncio.Future[Any] = self._loop.create_future()

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
        """One call of the loop for a whole batch of messages. Raises RuntimeError where the loop is closed."""
        self._loop.call_soon_threadsafe(self.runner.pump, context=self.runner.context)

    def spawn(self, job: Spawned) -> None:
        """Handlers inherit the contextvars of the block that opened the worker."""
        context = self.runner.context_of(job)
        self._loop.create_task(self._handle(job), name=f"tenure handler {job.name}", context=context)

    def cancel(self, token: int) -> None:
        """Cancel the handler's task. One that has not begun is not known here yet, and does not start: a task that is
        cancelled before its first step would end without telling anybody."""
        task = self._tasks.get(token)
        if task is not None:
            task.cancel()

    def ended(self) -> None:
        """Wake whoever waits for the worker's end."""
        self._over.set()

    async def over(self) -> None:
        """Wait for the worker's end."""
        await self._over.wait()

    async def _handle(self, job: Spawned) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[job.token] = task
        outcome: Outcome | None = None
        try:
            outcome = await job.outcome(self._in_thread)
        except asyncio.CancelledError:
            if self._holder is not None and self._holder.cancelling():
                self.runner.drain(0)  # the program ends, and every task with it: give the process back
        except KeyboardInterrupt:
            self.runner.drain(0)  # the operator's, not the handler's: give the process back
            task.add_done_callback(_taken)
            raise
        except BaseException as raised:  # SystemExit would stop the loop
            outcome = failure_of(raised)
        finally:
            del self._tasks[job.token]
            self.runner.returned(job, outcome)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        body = self.runner.body(call)
        threads = self._threads if body.handler is not None else self._aside
        try:
            return await self._loop.run_in_executor(threads, contextvars.copy_context().run, body)
        finally:
            body.drop()

    async def close(self, grace: float | None) -> None:
        """Drain, wait for the end, and end the threads; shielded from cancellation, and bounded."""
        self.runner.drain(grace)
        closing = self._loop.create_task(self._closed())
        cancelled: asyncio.CancelledError | None = None
        try:
            while not closing.done():
                try:
                    await asyncio.shield(closing)
                except asyncio.CancelledError as error:
                    cancelled = error
                    self.runner.drain(0)
        finally:
            self.runner.close()  # asyncio.run cancels every task at its end, and so `closing` as well
        if cancelled is not None:
            raise cancelled

    async def _closed(self) -> None:
        if self.runner.owner:
            await self._over.wait()
        with ThreadPoolExecutor(1, thread_name_prefix="tenure-close") as own:  # the loop's may be full
            await self._loop.run_in_executor(own, self.runner.close)
        self.runner.fail_calls()
        for threads in (self._threads, self._aside):
            threads.shutdown(wait=False, cancel_futures=True)


def _taken(task: asyncio.Task[Any]) -> None:
    """Its loop raises what ended the task, which nobody awaits: asyncio need not tell of it once more."""
    task.exception()


def worker(
    what: What, store: Store | None = None, **options: Unpack[Options]
) -> AbstractAsyncContextManager[Worker]:
    """A worker of an App (or Plugin) and a store, by URL or as an object; or of a `WorkerConfig`, which has its own
    store. `tenure_driver.WorkerOptions` has the options.

    Leaving the block normally drains for up to `grace` seconds; leaving it by an exception or a cancellation stops the
    handlers at once. Raises StoreUnusable, InvalidValue, PluginFailed; at its end WorkerRefused and WorkerCrashed.
    """
    return working(partial(_Loop, what, store, WorkerOptions(**options)))


def connect(store: Store, *, limits: Limits | None = None) -> AbstractAsyncContextManager[Client]:
    """A client without a worker, of a store or of a configuration."""
    return connected(partial(_Loop, None, store, WorkerOptions(limits=limits or Limits())))


def run(
    what: What,
    store: Store | None,
    main: Callable[[Client], Awaitable[T]],
    **options: Unpack[Options],
) -> T:
    """For scripts: open a worker, await `main(client)`, drain, and return what it returned."""

    async def opened() -> T:
        async with worker(what, store, **options) as running:
            return await main(running.client)

    return asyncio.run(opened())


async def run_process(
    config: WorkerConfig, registration: Registration, **options: Unpack[DirectOptions]
) -> Outcome:
    """Run one process here, without a worker, and return its outcome, which the caller writes under its lease (B3-B8).

    `tenure_driver.DirectOptions` has the options; raises as `tenure.run_process` does.
    """
    return await directly(config, registration, asyncio.to_thread, **options)
