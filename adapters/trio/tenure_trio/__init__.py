"""tenure on trio: `worker`, `connect` and `run`. Two things only: the bridge that answers `ask`, and the runner that
starts, cancels and reports handlers. Everything else is `tenure_driver`'s.

Handlers are trio's system tasks, each in a cancel scope of its own and in the context of the block that opened the
worker. A nursery around the block would pass an outer cancellation on to handlers that tenure did not ask to stop,
would wait without a bound for one that does not stop, and would wrap the block's own exceptions in groups.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar, Unpack, cast

import trio

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
    """`tenure_driver.AsyncLoop` in the running trio."""

    def __init__(self, what: What | None, store: Store | None, options: WorkerOptions) -> None:
        self._trio = trio.lowlevel.current_trio_token()
        self._over = trio.Event()
        self._scopes: dict[int, trio.CancelScope] = {}
        self._threads, self._aside = trio.CapacityLimiter(options.max_running), trio.CapacityLimiter(ASIDE)
        self.runner = Runner(what, store, options, self)

    async def ask(self, ask: Ask | AwaitStart) -> Any:
        """Wait for the reply; cancelled, the call may still have its effect."""
        if isinstance(ask, CallPlain):
            self.runner.check()
            return await self._in_thread(ask.called)
        await trio.lowlevel.checkpoint_if_cancelled()
        task = trio.lowlevel.current_task()
        replies: list[Any] = []

        def resolve(reply: Any) -> None:
            replies.append(reply)
            trio.lowlevel.reschedule(task)

        number = self.runner.post(ask, resolve)

        def abandon(_: object) -> trio.lowlevel.Abort:
            self.runner.abandon(number)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abandon)
        return reply_of(replies[0])

    def wake(self) -> None:
        """One call of the loop for a whole batch of messages. Raises trio.RunFinishedError, a RuntimeError."""
        self._trio.run_sync_soon(self.runner.pump)

    def spawn(self, job: Spawned) -> None:
        """Handlers inherit the contextvars of the block that opened the worker."""
        scope = self._scopes[job.token] = trio.CancelScope()
        context = self.runner.context_of(job)
        name = f"tenure handler {job.name}"
        trio.lowlevel.spawn_system_task(self._handle, job, scope, name=name, context=context)

    def cancel(self, token: int) -> None:
        """Cancel the handler's scope."""
        scope = self._scopes.get(token)
        if scope is not None:
            scope.cancel()

    def ended(self) -> None:
        """Wake whoever waits for the worker's end."""
        self._over.set()

    async def over(self) -> None:
        """Wait for the worker's end."""
        await self._over.wait()

    async def _handle(self, job: Spawned, scope: trio.CancelScope) -> None:
        """Run the handler; nothing may escape from here, since it would end trio itself."""
        outcome: Outcome | None = None
        try:
            with scope:  # takes its own Cancelled out of whatever the handler's nurseries raise
                outcome = await self._interruptible(job)
        except BaseException as raised:
            leaves = _leaves(raised)
            if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
                self.runner.drain(0)  # the operator's, not the handler's: give the process back
                signal.raise_signal(signal.SIGINT)  # this frame is protected: trio raises it in its main task
            elif not all(isinstance(leaf, trio.Cancelled) for leaf in leaves):
                outcome = failure_of(raised)
            elif trio.current_effective_deadline() == -math.inf:
                self.runner.drain(0)  # nobody left the block, and trio ends: no failure of the handler's
        finally:
            del self._scopes[job.token]
            self.runner.returned(job, outcome)

    @trio.lowlevel.disable_ki_protection
    async def _interruptible(self, job: Spawned) -> Outcome | None:
        """Ctrl-C reaches a handler that never yields."""
        return await job.outcome(self._in_thread)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        body = self.runner.body(call)
        limiter = self._threads if body.handler is not None else self._aside
        try:
            return await trio.to_thread.run_sync(body, limiter=limiter, abandon_on_cancel=True)
        finally:
            body.drop()

    async def close(self, grace: float | None) -> None:
        """Drain, wait for the end, and end the threads; shielded from cancellation, and bounded."""
        self.runner.drain(grace)
        try:
            if self.runner.owner and grace != 0:
                await self._over.wait()
        finally:
            with trio.CancelScope(shield=True):
                if self.runner.owner and not self._over.is_set():
                    self.runner.drain(0)
                    await self._over.wait()
                own = trio.CapacityLimiter(1)  # trio's own may be full
                await trio.to_thread.run_sync(self.runner.close, limiter=own)
                self.runner.fail_calls()


def _leaves(raised: BaseException) -> list[BaseException]:
    """The exception, or those in it where it is a group."""
    if not isinstance(raised, BaseExceptionGroup):
        return [raised]
    group = cast("BaseExceptionGroup[BaseException]", raised)
    return [leaf for part in group.exceptions for leaf in _leaves(part)]


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

    return trio.run(opened)


async def run_process(
    config: WorkerConfig, registration: Registration, **options: Unpack[DirectOptions]
) -> Outcome:
    """Run one process here, without a worker, and return its outcome, which the caller writes under its lease (B3-B8).

    `tenure_driver.DirectOptions` has the options; raises as `tenure.run_process` does. Where the call is cancelled, a
    plain handler is told to stop, and goes on in its thread until it does.
    """
    in_thread = partial(trio.to_thread.run_sync, abandon_on_cancel=True)
    return await directly(config, registration, in_thread, **options)
