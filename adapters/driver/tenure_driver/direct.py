"""`run_process` for programs: the answers to what a direct run asks, from the configured registry itself.

There are no threads of the driver here, and no machine: each request is executed where it may block, again while the
store is away, and not once the local deadline of the caller's lease has passed (CONTRACT §6).
"""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypedDict, TypeVar, Unpack, assert_never

from attrs import define, field

from tenure.asks import Act, Ask, AwaitEnd, AwaitEvents, CallPlain, Heard, Submit
from tenure.attempt_types import Permitted, StopReason
from tenure.config import WorkerConfig
from tenure.direct import WAKES_THE_OWNER, Cancellation, ExecutionContext, HeldLease
from tenure.direct import run_process as run_in_core
from tenure.effects import EffectScope
from tenure.errors import LeaseLost
from tenure.events import heard
from tenure.instants import NANOS_PER_SECOND, Instant, after
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.plugins import PluginStack
from tenure.process import Outcome, Registration
from tenure.replies import Answer, EventsRead, Refused, Renewed, Succeeded, Unavailable, Unknown
from tenure.requests import ReadEvents, Renew, Request
from tenure.timings import LeaseTimings, nanos
from tenure_driver.blocking import BlockingContext
from tenure_driver.clocks import local_now
from tenure_driver.convert import CattrsConverter
from tenure_driver.driving import driven
from tenure_driver.rebuilding import NOT_LEFT

T = TypeVar("T")

log = logging.getLogger("tenure")
FIRST_PAUSE, LAST_PAUSE = 0.025, 0.8
"""Seconds between two tries of a request that the store could not answer, doubled from the one to the other."""
DEFAULT_TIMINGS = LeaseTimings()
POLL = 0.25
"""Seconds between two looks at the log of a process whose handler waits for an event."""


class DirectOptions(TypedDict, total=False):
    """The options of a direct run. As `tenure.run_process` has them: `execution`, `cancellation`, `effects`, `lease`
    and `plugins`. `timings`: those that the lease was claimed with; `limits`: those of the store."""

    execution: ExecutionContext
    cancellation: Cancellation
    effects: EffectScope
    lease: HeldLease
    plugins: PluginStack
    timings: LeaseTimings
    limits: Limits


class InThread(Protocol):
    """Calls a plain function where it may block, and waits for it."""

    @abstractmethod
    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """What it returns, or raises."""


@define(eq=False)
class DirectCalls:
    """Answers what one direct run asks. What a plain handler asks, in its own thread, is answered right there.

    `clock` and `sleep` (seconds) are the world's.
    """

    config: WorkerConfig
    registration: Registration
    lease: HeldLease | None
    cancellation: Cancellation
    timings: LeaseTimings
    in_thread: InThread
    clock: Callable[[], Instant] = local_now
    sleep: Callable[[float], None] = time.sleep
    _home: int = field(factory=threading.get_ident, init=False)
    _one: threading.Lock = field(factory=threading.Lock, init=False)
    _since: Instant = field(init=False)
    _over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._since = self.clock()

    async def ask(self, ask: Ask) -> Any:
        """The reply. Raises LeaseLost once the run is over."""
        if threading.get_ident() != self._home:
            return self._reply(ask)
        return await self.in_thread(partial(self._reply, ask))

    def end(self) -> None:
        """The run is over. A plain handler that goes on in its thread, which nobody can stop, gets nothing more."""
        self._over = True

    def _reply(self, ask: Ask) -> Any:
        if self._over:
            raise LeaseLost(self.registration.id)
        match ask:
            case CallPlain():
                return ask.called()
            case Submit():
                return self._answer(ask.request, after(self.clock(), nanos(ask.timeout)))
            case Act():
                return self._renewed() if ask.request is None else self._answer(ask.request, self._deadline)
            case AwaitEvents():
                return self._heard(ask)
            case AwaitEnd():
                raise AssertionError(ask)  # a client's; a context waits for no end
            case _:
                assert_never(ask)

    @property
    def _deadline(self) -> Instant:
        return after(self._since, self.timings.budget_ns)

    def _answer(self, request: Request, until: Instant) -> Answer:
        """The registry's answer. A request that it could not answer is sent again until then (S18), and none after."""
        answer: Answer = Unavailable("there was no time left to ask")
        pause, unknown = FIRST_PAUSE, False
        while self.clock() < until:
            with self._one:
                (answer,) = self.config.registry.execute([request])
            if not isinstance(answer, Unavailable | Unknown):
                return answer
            unknown = unknown or isinstance(answer, Unknown)
            self.sleep(min(pause, self._seconds(until)))
            pause = min(2 * pause, LAST_PAUSE)
        return Unknown(answer.cause) if unknown and isinstance(answer, Unavailable) else answer

    def _renewed(self) -> Permitted | Answer:
        """Leave to act is a renewal: what the store says of the lease is as fresh as can be, and brings the cancel flag
        (B15). The deadline counts from its first sending."""
        assert self.lease is not None  # without one the core asks for nothing of the kind
        sent = self.clock()
        answer = self._answer(Renew(self.lease.grant.fence, self.timings.ttl_ms), self._deadline)
        if not (isinstance(answer, Succeeded) and isinstance(answer.reply, Renewed)):
            return answer
        self._since = max(self._since, sent)
        if answer.reply.cancel is not None:
            self.cancellation.cancel(answer.reply.cancel)
        return Permitted(self._deadline)

    def _heard(self, ask: AwaitEvents) -> Heard | StopReason | Refused:
        """Look at the log, page by page, then now and again; the lease is renewed meanwhile."""
        reached = ask.after
        until = None if ask.timeout is None else after(self.clock(), nanos(ask.timeout))
        while True:
            answer = self._answer(ReadEvents(ask.process_id, reached), self._deadline)
            if isinstance(answer, Refused):
                return answer
            if isinstance(answer, Succeeded) and isinstance(answer.reply, EventsRead):
                found = heard(ask, reached, answer.reply)
                if found.events or found.ended:
                    return found
                if found.reached > reached:
                    reached = found.reached
                    continue
            if self.cancellation.reason is not None:
                return StopReason.CANCEL
            if until is not None and self.clock() >= until:
                return Heard((), reached, False)
            due = self.clock() >= after(self._since, self.timings.renew_interval_ns)
            if due and not isinstance(self._renewed(), Permitted):
                return StopReason.LEASE_LOST
            self.sleep(POLL if until is None else min(POLL, self._seconds(until)))

    def _seconds(self, until: Instant) -> float:
        return max(0, until - self.clock()) / NANOS_PER_SECOND


async def directly(
    config: WorkerConfig,
    registration: Registration,
    in_thread: InThread,
    *,
    execution: ExecutionContext = WAKES_THE_OWNER,
    cancellation: Cancellation | None = None,
    effects: EffectScope | None = None,
    lease: HeldLease | None = None,
    plugins: PluginStack | None = None,
    timings: LeaseTimings = DEFAULT_TIMINGS,
    limits: Limits = DEFAULT_LIMITS,
) -> Outcome:
    """`tenure.direct.run_process` on any loop: `in_thread` calls a plain function in a thread, as
    `asyncio.to_thread` and `trio.to_thread.run_sync` do. Raises as that does; what services raise when they are left
    is logged."""
    told = Cancellation() if cancellation is None else cancellation
    calls = DirectCalls(config, registration, lease, told, timings, in_thread)
    try:
        return await run_in_core(
            config,
            registration,
            ask=calls.ask,
            convert=CattrsConverter(),
            execution=execution,
            cancellation=told,
            effects=effects,
            lease=lease,
            plugins=plugins,
            limit=limits.payload,
            for_plain=BlockingContext,
            not_left=partial(log.warning, NOT_LEFT, registration.id),
        )
    finally:
        calls.end()


def run_process(
    config: WorkerConfig, registration: Registration, **options: Unpack[DirectOptions]
) -> Outcome:
    """Run one process here, for a program without an event loop: its handler is a plain function, called in this
    thread, and so is all that its plugins start. Returns its outcome, which the caller writes (`Complete`, under the
    lease); raises as `tenure.direct.run_process` does, and InvalidValue for a handler that needs an event loop."""
    return driven(directly(config, registration, _here, **options))


async def _here(call: Callable[[], T]) -> T:
    return call()
