"""The driver's body: `turn(inbox, now) -> outbox`. Machines and bookkeeping, without a thread, a clock or a queue.

Simulations, crash points and the test plugin call it directly; in production three threads are a thin shell around
it (`tenure_driver.threads`). It owns the router with its machines, the clients' requests under way, and those who
wait for a process to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import assert_never

from attrs import define

from tenure.asks import Act, AwaitEnd, AwaitEvents, Submit
from tenure.attempt_types import AnswerAsk, OpenSession, Report, Send, StartHandler, StopHandler
from tenure.instants import Instant, after
from tenure.replies import (
    Answer,
    CancelAccepted,
    Completed,
    EventAppended,
    Got,
    Registered,
    Succeeded,
    Unavailable,
    Unknown,
)
from tenure.replies import Reply as StoreReply
from tenure.requests import ClientRequest, Get, ReadEndings, ReadRequest
from tenure.router import Router
from tenure.stores import Cursor
from tenure.timings import nanos
from tenure.worker_types import WorkerTerms
from tenure_driver.batches import size_of
from tenure_driver.endings import FAR, MAX_RETRY, PAGE, RETRY, Endings
from tenure_driver.listening import FIRST_LOOK, Listening
from tenure_driver.messages import (
    Abandoned,
    Answered,
    Asked,
    Changed,
    Drain,
    Failed,
    Inbound,
    Loopward,
    Opened,
    Outbox,
    Quit,
    Reply,
    Returned,
    Stopped,
    StoreCall,
)
from tenure_driver.openings import Openings, Opens

MAX_PENDING = 100_000
"""Clients' calls under way in one driver; one more is answered Unavailable, so that memory stays bounded."""

MAX_PENDING_BYTES = 64 << 20
"""Likewise for what these calls carry."""

SLACK = 1_000
"""Timers of calls that were answered, which the driver may keep beside those that it needs."""

GET_TIMEOUT = 30.0
"""Seconds for which a wait for an end puts up with a store that does not answer."""


@define(eq=False)
class _Pending:
    """A client's request: repeated while it is Unavailable or Unknown, until `deadline`. `waits`: it is the look at a
    process whose end `ask` awaits. `unknown`: a try of it may have been applied. `cause`: of the last trouble."""

    ask: int
    request: ClientRequest | ReadRequest
    deadline: Instant
    waits: bool = False
    pause: int = RETRY
    unknown: bool = False
    cause: str = "no answer in time"
    size: int = 0


class Driver:
    """One worker's, or one client's where `terms` is None."""

    def __init__(
        self,
        terms: WorkerTerms | None,
        now: Instant,
        jitter: Callable[[], int],
        poll_interval: int = nanos(1.0),
        opens: Opens = Opens.NONE,
    ) -> None:
        self._ids = count(1)
        self.router = Router(terms, now, self._ids.__next__, jitter) if terms else None
        self._openings = Openings(opens)
        self._poll = poll_interval
        self._pending: dict[int, _Pending] = {}
        self._timers: list[tuple[Instant, int, int]] = []
        self._retries: dict[int, _Pending] = {}
        self._waiting: dict[str, set[int]] = {}
        self._waiter_of: dict[int, str] = {}
        self._unseen: set[int] = set()
        self._late: set[int] = set()
        self._endings = Endings()
        self._listening = Listening(self._ids.__next__, poll_interval)
        self._cursor = Cursor()
        self._told = False
        self._bytes = 0
        self._calls: list[StoreCall] = []
        self._loop: list[Loopward] = []
        self._reports: list[Report] = []

    def turn(self, inbox: Sequence[Inbound], now: Instant) -> Outbox:
        """Handle what came in, then whatever time has made due."""
        for message in inbox:
            self._take(message, now)
        self._due(now)
        if self.router is not None:
            self._do(self.router.tick(now), now)
            self._loop.extend(self._openings.over(self.router))
            stopped = self.router.stopped
            if stopped is not None and not self._told:
                self._told = True
                self._loop.append(Stopped(stopped.left, stopped.refused))
        calls, replies = self._listening.due(now)
        self._calls += calls
        self._loop += replies
        wake_at = self._wake_at()
        box = Outbox(
            tuple(self._calls), tuple(self._loop), tuple(self._reports), wake_at, self._feed_wanted()
        )
        self._calls, self._loop, self._reports = [], [], []
        return box

    @property
    def under_way(self) -> int:
        """How many calls wait for a client's answer, for a process to end, or for an event."""
        return len(self._pending) + len(self._retries) + len(self._waiter_of) + len(self._listening)

    # --- what comes in --------------------------------------------------------------------------------------------

    def _take(self, message: Inbound, now: Instant) -> None:
        match message:
            case Answered():
                for call, answer in message.answers:
                    self._answered(call, answer, now)
            case Returned():
                if self.router is not None:
                    token, outcome = message.token, message.outcome
                    self._listening.returned(token)
                    if outcome is None:
                        self._do(self.router.handler_stopped(token, now), now)
                    else:
                        self._do(self.router.handler_returned(token, outcome, now), now)
            case Opened():
                if self.router is not None:
                    self._do(self._opened(self.router, message, now), now)
            case Asked():
                self._asked(message.ask, message.what, now)
            case Abandoned():
                self._forget_waiter(message.ask)
                self._listening.forget(message.ask)
            case Changed():
                moved = message.cursor.work != self._cursor.work
                self._cursor = message.cursor
                if moved and self.router is not None:
                    self._do(self.router.hinted(now), now)
                self._endings.stale = True
                self._listening.hinted()
            case Drain():
                if self.router is not None:
                    self._do(self.router.drain(message.grace, now), now)
            case Failed() | Quit():
                raise AssertionError(message)  # the threads' own; they never reach a turn
            case _:
                assert_never(message)

    def _asked(self, ask: int, what: Submit | AwaitEnd | AwaitEvents | Act, now: Instant) -> None:
        if isinstance(what, Act):
            if self.router is not None:
                self._do(self.router.asked(what.token, ask, what.request, now), now)
        elif self.under_way >= MAX_PENDING:
            self._loop.append(Reply(ask, Unavailable(f"more than {MAX_PENDING} calls are under way")))
        elif isinstance(what, Submit):
            self._submit(ask, what, now)
        elif isinstance(what, AwaitEvents):
            self._listening.add(ask, what, now)
        else:
            self._wait(ask, what, now)

    # --- clients' requests ----------------------------------------------------------------------------------------

    def _submit(self, ask: int, what: Submit, now: Instant) -> None:
        size = size_of(what.request)
        if self._bytes + size > MAX_PENDING_BYTES:
            said = f"calls that carry more than {MAX_PENDING_BYTES} bytes are under way"
            self._loop.append(Reply(ask, Unavailable(said)))
            return
        self._bytes += size
        self._send(_Pending(ask, what.request, after(now, nanos(what.timeout)), size=size))

    def _send(self, pending: _Pending) -> None:
        call = next(self._ids)
        self._pending[call] = pending
        heappush(self._timers, (pending.deadline, call, 0))
        self._calls.append(StoreCall(call, pending.request, None))

    def _answered(self, call: int, answer: Answer, now: Instant) -> None:
        if isinstance(answer, Succeeded):
            self._noticed(answer.reply, now)
        pending = self._pending.pop(call, None)
        if pending is not None:
            self._settle(pending, answer, now)
        elif call == self._endings.call:
            for process_id in tuple(self._endings.heard(answer, now, self._waiting)):
                for waiter in tuple(self._waiting[process_id]):
                    self._look(waiter, process_id, now)
        elif self._listening.answered(call, answer, now):
            pass
        elif self.router is not None:
            self._do(self.router.answered(call, answer, now), now)

    def _noticed(self, reply: StoreReply, now: Instant) -> None:
        """What this driver did itself need not wait for the feed to come round."""
        if isinstance(reply, Registered) and self.router is not None:
            self._do(self.router.hinted(now), now)
        elif isinstance(reply, Completed | CancelAccepted):
            self._endings.stale = True
        elif isinstance(reply, EventAppended):
            self._listening.hinted()

    def _settle(self, pending: _Pending, answer: Answer, now: Instant) -> None:
        """Idempotent, so the same request again is right after either answer (S18)."""
        pending.unknown = pending.unknown or isinstance(answer, Unknown)
        if isinstance(answer, Unavailable | Unknown) and answer.cause:
            pending.cause = answer.cause
        if isinstance(answer, Unavailable | Unknown) and after(now, pending.pause) < pending.deadline:
            self._later(pending, now)
        elif isinstance(answer, Unavailable) and pending.unknown:
            self._replied(pending, Unknown(answer.cause))
        else:
            self._replied(pending, answer)

    def _later(self, pending: _Pending, now: Instant) -> None:
        call = next(self._ids)
        self._retries[call] = pending
        heappush(self._timers, (after(now, pending.pause), call, 1))
        pending.pause = min(pending.pause * 2, MAX_RETRY)

    def _replied(self, pending: _Pending, answer: Answer) -> None:
        self._bytes -= pending.size
        ask, value = pending.ask, answer if not pending.waits or not _running(answer) else None
        if pending.waits:
            if ask not in self._waiter_of or (value is None and ask not in self._late):
                self._unseen.discard(ask)
                return  # told already, or not over yet
            self._forget_waiter(ask)
        self._loop.append(Reply(ask, value))

    # --- those who wait for an end --------------------------------------------------------------------------------

    def _wait(self, ask: int, what: AwaitEnd, now: Instant) -> None:
        """Read the cursor, then the state, then wait: nothing that ends in between is missed (K17)."""
        self._waiting.setdefault(what.process_id, set()).add(ask)
        self._waiter_of[ask] = what.process_id
        self._unseen.add(ask)
        if what.timeout is not None:
            heappush(self._timers, (after(now, nanos(what.timeout)), ask, 2))
        if not self._endings.known and self._endings.call is None:
            self._read_endings(FAR)
        self._look(ask, what.process_id, now)

    def _look(self, ask: int, process_id: str, now: Instant) -> None:
        self._send(_Pending(ask, Get(process_id), after(now, nanos(GET_TIMEOUT)), waits=True))

    def _forget_waiter(self, ask: int) -> None:
        process_id = self._waiter_of.pop(ask, None)
        if process_id is None:
            return
        self._unseen.discard(ask)
        self._late.discard(ask)
        others = self._waiting[process_id]
        others.remove(ask)
        if not others:
            del self._waiting[process_id]

    def _read_endings(self, seen: int) -> None:
        call = next(self._ids)
        self._endings.call, self._endings.stale = call, False
        self._calls.append(StoreCall(call, ReadEndings(seen, PAGE), None))

    # --- time -----------------------------------------------------------------------------------------------------

    def _due(self, now: Instant) -> None:
        while self._timers and self._timers[0][0] <= now:
            _, key, kind = heappop(self._timers)
            if kind == 0:
                pending = self._pending.pop(key, None)
                if pending is not None:
                    self._replied(pending, Unknown(pending.cause))
            elif kind == 1:
                self._send(self._retries.pop(key))
            elif key in self._unseen and key not in self._late:
                self._late.add(key)
                heappush(self._timers, (after(now, FIRST_LOOK), key, 2))
            elif key in self._waiter_of:
                self._forget_waiter(key)
                self._loop.append(Reply(key, None))
        if len(self._timers) > 2 * self.under_way + SLACK:
            self._timers = [timer for timer in self._timers if self._awaited(*timer)]
            heapify(self._timers)
        endings = self._endings
        if not self._waiter_of:
            endings.known = endings.missed = False
        elif endings.call is None and (endings.stale or now >= endings.poll_at):
            endings.poll_at = after(now, self._poll)
            self._read_endings(endings.seen if endings.known else FAR)

    def _awaited(self, at: Instant, key: int, kind: int) -> bool:
        return key in (self._pending, self._retries, self._waiter_of)[kind]

    def _wake_at(self) -> Instant | None:
        times = [self._timers[0][0]] if self._timers else []
        router = self.router.wakeup() if self.router is not None else None
        if router is not None:
            times.append(router)
        if self._waiter_of and self._endings.call is None:
            times.append(self._endings.poll_at)
        times += self._listening.wake_at()
        return min(times, default=None)

    def _feed_wanted(self) -> bool:
        waited = bool(self._waiter_of) or len(self._listening) > 0
        return waited or (self.router is not None and self.router.stopped is None)

    def _opened(self, router: Router, said: Opened, now: Instant) -> Iterable[object]:
        if said.fault is None:
            return router.session_opened(said.call, now)
        return router.session_failed(said.call, said.fault.permanent, said.fault.message, now)

    # --- what the machines want -----------------------------------------------------------------------------------

    def _do(self, commands: Iterable[object], now: Instant) -> None:
        todo = list(commands)
        for command in todo:  # grows while it is walked: what opening a session brings comes after
            match command:
                case Send():
                    self._calls.append(StoreCall(command.id, command.request, command.not_after))
                case OpenSession() if not self._openings.begins(command):
                    assert self.router is not None
                    todo.extend(self.router.session_opened(command.id, now))
                case StartHandler():
                    self._openings.started(command.grant.fence.token)
                    self._loop.append(command)
                case StopHandler():
                    self._listening.stop(command.token, command.reason)
                    self._loop.append(command)
                case OpenSession():
                    self._loop.append(command)
                case AnswerAsk():
                    self._loop.append(Reply(command.ask, command.answer))
                case Report():
                    self._reports.append(command)
                case _:
                    raise AssertionError(command)


def _running(answer: Answer) -> bool:
    reply = answer.reply if isinstance(answer, Succeeded) else None
    return isinstance(reply, Got) and reply.record.outcome is None
