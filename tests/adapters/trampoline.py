"""tenure in a loop of one's own: a bare trampoline over generators, and the adapter that embeds tenure in it.

The upper half is the loop: tasks, parking, timers, and callbacks posted by other threads. The lower half is everything
that an adapter has to bring; whoever passes `tests/adapters` with theirs can embed tenure in any loop.
"""

from __future__ import annotations

import contextvars
import queue
import time
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, Unpack

from tenure import Client, Limits, Registration, WorkerConfig
from tenure.asks import Ask, CallPlain
from tenure.handlers import failure_of
from tenure.process import Outcome
from tenure_driver import (
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
from tenure_driver.bodies import handler_of

__all__ = ["Worker", "connect", "run", "run_process", "worker"]

T = TypeVar("T")
Resume = Callable[[Any], None]

# --- the loop -----------------------------------------------------------------------------------------------------


class Cancelled(BaseException):
    """Thrown into a task once per `Task.cancel`."""


@types.coroutine
def _suspended() -> Generator[None, Any, Any]:
    return (yield)


class Task:
    """A coroutine that the trampoline drives, until it has a `value` or an `error`."""

    def __init__(self, coro: Coroutine[Any, Any, Any], context: contextvars.Context) -> None:
        self._coro, self._context = coro, context
        self._parking: object = None
        self._cancel = False
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._joining: list[Resume] = []

    def cancel(self) -> None:
        """Throw Cancelled where the task waits now, or waits next."""
        self._cancel = True
        if self._parking is not None:
            self._resume(self._parking, None)

    async def parked(self, register: Callable[[Resume], object]) -> Any:
        """Wait until the callback that `register` gets is called; a call that comes later is dropped."""
        if self._cancel:
            self._cancel = False
            raise Cancelled
        parking = self._parking = object()
        register(partial(self._resume, parking))
        return await _suspended()

    def _resume(self, parking: object, value: Any) -> None:
        if parking is self._parking and not self.done:
            self._parking = None
            _loop().ready.append(partial(self.step, value))

    async def joined(self) -> None:
        """Wait until the task is done."""
        if not self.done:
            await current().parked(self._joining.append)

    def step(self, value: Any) -> None:
        """Run the task until it waits again."""
        _loop().task = self
        try:
            if self._cancel:
                self._cancel = False
                self._context.run(self._coro.throw, Cancelled())
            else:
                self._context.run(self._coro.send, value)
        except StopIteration as stop:
            self.done, self.value = True, stop.value
        except BaseException as error:
            self.done, self.error = True, error
        if self.done:
            for resume in self._joining:
                resume(None)

    def drop(self) -> None:
        """Whatever the task does about its end, it is over."""
        try:
            self._coro.close()
        except RuntimeError:  # it awaited something
            pass


class Trampoline:
    """Drives tasks in one thread. `post` is the only thing that other threads may call."""

    def __init__(self) -> None:
        self.ready: deque[Callable[[], None]] = deque()
        self.task: Task | None = None
        self.tasks: list[Task] = []
        self._timers: list[tuple[float, int, Resume]] = []
        self._numbers = count()
        self._posted: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._closed = False

    def spawn(self, coro: Coroutine[Any, Any, Any], context: contextvars.Context | None = None) -> Task:
        """A new task, begun soon."""
        task = Task(coro, context or contextvars.copy_context())
        self.tasks = [known for known in self.tasks if not known.done] + [task]
        self.ready.append(partial(task.step, None))
        return task

    def post(self, call: Callable[[], object]) -> None:
        """Have the loop call it soon. Raises RuntimeError where the loop is over."""
        if self._closed:
            raise RuntimeError("the trampoline is over")
        self._posted.put(call)

    def after(self, seconds: float, resume: Resume) -> None:
        """Resume the task in that time."""
        heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), resume))

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done."""
        task = self.spawn(main)
        while not task.done:
            pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else 60.0
            try:
                self._posted.get(block=not self.ready, timeout=pause or 0.001)()
            except queue.Empty:
                pass
            while self._timers and self._timers[0][0] <= time.monotonic():
                heappop(self._timers)[2](None)
            for _ in range(len(self.ready)):
                self.ready.popleft()()
        self._closed = True
        for left in self.tasks:
            left.drop()
        if task.error is not None:
            raise task.error
        value: T = task.value
        return value


_running: list[Trampoline] = []


def _loop() -> Trampoline:
    return _running[-1]


def current() -> Task:
    """The task that runs."""
    task = _loop().task
    assert task is not None
    return task


def drive(main: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine on a new trampoline."""
    _running.append(Trampoline())
    try:
        return _running[-1].drive(main)
    finally:
        _running.pop()


def spawn(coro: Coroutine[Any, Any, Any]) -> Task:
    """A new task of the running trampoline."""
    return _loop().spawn(coro)


async def sleep(seconds: float) -> None:
    """Wait for that long."""
    await current().parked(partial(_loop().after, seconds))


# --- the adapter --------------------------------------------------------------------------------------------------


class _Loop:
    """`tenure_driver.AsyncLoop` on the running trampoline."""

    def __init__(self, what: What | None, store: Store | None, options: WorkerOptions) -> None:
        self._trampoline = _loop()
        self._ended = False
        self._waiting: list[Resume] = []
        self._tasks: dict[int, Task] = {}
        self._threads, self._aside = ThreadPoolExecutor(options.max_running), ThreadPoolExecutor(2)
        self.runner = Runner(what, store, options, self)

    async def ask(self, ask: Ask | AwaitStart) -> Any:
        if isinstance(ask, CallPlain):
            self.runner.check()
            body = handler_of.get()
            return await self._in_thread(self._threads if body is not None else self._aside, ask.called)
        numbers: list[int] = []
        try:
            return reply_of(
                await current().parked(lambda resume: numbers.append(self.runner.post(ask, resume)))
            )
        except Cancelled:
            self.runner.abandon(numbers[0])
            raise

    def wake(self) -> None:
        self._trampoline.post(self.runner.pump)

    def spawn(self, job: Spawned) -> None:
        self._trampoline.spawn(self._handle(job), self.runner.context_of(job))

    def cancel(self, token: int) -> None:
        if token in self._tasks:  # one that has not begun looks at its stop reason first
            self._tasks[token].cancel()

    def ended(self) -> None:
        self._ended = True
        for resume in self._waiting:
            resume(None)

    async def over(self) -> None:
        if not self._ended:
            await current().parked(self._waiting.append)

    async def _handle(self, job: Spawned) -> None:
        self._tasks[job.token] = current()
        outcome: Outcome | None = None
        try:
            outcome = await job.outcome(partial(self._in_thread, self._threads))
        except Cancelled:
            pass
        except BaseException as raised:
            outcome = failure_of(raised)
        finally:
            del self._tasks[job.token]
            self.runner.returned(job, outcome)

    async def _in_thread(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        body = self.runner.body(call)
        try:
            return await _in_thread(threads, body)
        finally:
            body.drop()

    async def close(self, grace: float | None) -> None:
        self.runner.drain(grace)
        closing = self._trampoline.spawn(self._closed())
        cancelled: Cancelled | None = None
        while not closing.done:
            try:
                await closing.joined()
            except Cancelled as error:
                cancelled = error
                self.runner.drain(0)
        if closing.error or cancelled:
            raise closing.error or cancelled or AssertionError

    async def _closed(self) -> None:
        if self.runner.owner:
            await self.over()
        with ThreadPoolExecutor(1) as own:
            await self._in_thread(own, self.runner.close)
        self.runner.fail_calls()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._aside.shutdown(wait=False, cancel_futures=True)


async def _in_thread(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    trampoline = _loop()
    done = threads.submit(contextvars.copy_context().run, call)

    def register(resume: Resume) -> None:
        def told(_: Future[T]) -> None:
            try:
                trampoline.post(partial(resume, None))
            except RuntimeError:  # nobody is left to be told
                pass

        done.add_done_callback(told)

    await current().parked(register)
    return done.result()


def worker(
    what: What, store: Store | None = None, **options: Unpack[Options]
) -> AbstractAsyncContextManager[Worker]:
    """A worker of the store, by URL or as an object."""
    return working(partial(_Loop, what, store, WorkerOptions(**options)))


def connect(store: Store, *, limits: Limits | None = None) -> AbstractAsyncContextManager[Client]:
    """A client without a worker."""
    return connected(partial(_Loop, None, store, WorkerOptions(limits=limits or Limits())))


def run(
    what: What,
    store: Store | None,
    main: Callable[[Client], Awaitable[T]],
    **options: Unpack[Options],
) -> T:
    """Open a worker, await `main(client)`, drain, and return what it returned."""

    async def opened() -> T:
        async with worker(what, store, **options) as running:
            return await main(running.client)

    return drive(opened())


async def run_process(
    config: WorkerConfig, registration: Registration, **options: Unpack[DirectOptions]
) -> Outcome:
    """Run one process here, without a worker."""
    with ThreadPoolExecutor(1) as threads:
        return await directly(config, registration, partial(_in_thread, threads), **options)
