"""Those who wait for events of a process's log: its handler, and clients that follow it.

A change of the store may concern any of them, so after one each gets a look at its log. Looks leave in rounds of at
most ROUND, ROUND_GAP apart, everybody in turn: however many wait and however fast the store changes, that is all they
read. A look at a log that did not grow costs a store next to nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from attrs import define

from tenure.asks import AwaitEvents, Heard
from tenure.attempt_types import StopReason
from tenure.events import heard
from tenure.instants import Instant, after
from tenure.replies import Answer, EventsRead, Refused, Succeeded, Unavailable, Unknown
from tenure.requests import ReadEvents
from tenure.timings import nanos
from tenure_driver.endings import MAX_RETRY, RETRY
from tenure_driver.messages import Reply, StoreCall

ROUND = 250
ROUND_GAP = nanos(0.05)

PAGE = 100
"""Events of one look."""

PATIENCE = nanos(30.0)
"""For how long a client puts up with a store that does not answer; a handler waits as long as its lease lasts."""

FIRST_LOOK = nanos(1.0)
"""A wait whose time is over before the store answered its first look gets so much more: `timeout=0` asks, and goes."""


@define(eq=False)
class _Waiter:
    """`reached`: how far its log was searched. `until`: when its time is over. `looked`: it was searched to its end
    once; `late`: its time was over before that.
    `known`: the changes that had been heard of when its look left. `patient_until`: when a client gives up, while the
    store does not answer, and `cause` the last trouble. `alarm`: its earliest timer."""

    ask: int
    what: AwaitEvents
    reached: int
    until: Instant | None
    looked: bool = False
    late: bool = False
    known: int = 0
    patient_until: Instant | None = None
    cause: str = "no answer in time"
    alarm: Instant | None = None


class Listening:
    """Everybody of one driver who waits for events; `due` says what is to be done about it."""

    def __init__(self, ids: Callable[[], int], poll: int) -> None:
        self._ids, self._poll = ids, poll
        self._calls: list[StoreCall] = []
        self._replies: list[Reply] = []
        self._waiters: dict[int, _Waiter] = {}
        self._of_token: dict[int, set[int]] = {}
        self._stopped: dict[int, StopReason] = {}
        self._looks: dict[int, int] = {}
        self._line: deque[int] = deque()
        self._behind = 0
        self._changes = 0
        self._timers: list[tuple[Instant, int]] = []
        self._round_at = Instant(0)
        self._poll_at = Instant(0)
        self._pause = RETRY

    def __len__(self) -> int:
        return len(self._waiters)

    # --- who waits ------------------------------------------------------------------------------------------------

    def add(self, ask: int, what: AwaitEvents, now: Instant) -> None:
        """One more waits; its first look leaves at once."""
        if what.token in self._stopped:
            self._replies.append(Reply(ask, self._stopped[what.token]))
            return
        if not self._waiters:
            self._poll_at = after(now, self._poll)
        until = None if what.timeout is None else after(now, nanos(what.timeout))
        waiter = self._waiters[ask] = _Waiter(ask, what, what.after, until)
        if what.token:
            self._of_token.setdefault(what.token, set()).add(ask)
        self._look(waiter, now)

    def forget(self, ask: int) -> None:
        """Nobody waits there any more."""
        waiter = self._waiters.pop(ask, None)
        if waiter is not None and waiter.what.token:
            others = self._of_token[waiter.what.token]
            others.remove(ask)
            if not others:
                del self._of_token[waiter.what.token]

    def stop(self, token: int, reason: StopReason) -> None:
        """The handler of that token is told to stop: it is not left waiting, now or later."""
        self._stopped[token] = reason
        for ask in sorted(self._of_token.get(token, ())):
            self._reply(ask, reason)

    def returned(self, token: int) -> None:
        """The handler of that token is over; what it left waiting has lost its lease."""
        self.stop(token, StopReason.LEASE_LOST)
        del self._stopped[token]

    def hinted(self) -> None:
        """The store changed: everybody looks again."""
        self._changes += 1
        self._behind = len(self._line)

    # --- looks ----------------------------------------------------------------------------------------------------

    def _look(self, waiter: _Waiter, now: Instant) -> None:
        call = self._ids()
        self._looks[call] = waiter.ask
        waiter.known = self._changes
        if not waiter.what.token and waiter.patient_until is None:
            waiter.patient_until = after(now, PATIENCE)
        self._set_alarm(waiter)
        self._calls.append(StoreCall(call, ReadEvents(waiter.what.process_id, waiter.reached, PAGE), None))

    def answered(self, call: int, answer: Answer, now: Instant) -> bool:
        """Whether the call was a look, and if so, what comes of it."""
        ask = self._looks.pop(call, None)
        if ask is None:
            return False
        waiter = self._waiters.get(ask)
        if waiter is None:
            return True
        match answer:
            case Succeeded(reply=EventsRead() as read):
                self._pause = RETRY
                self._read(waiter, read, now)
            case Refused():
                self._reply(ask, answer)
            case _:
                if isinstance(answer, Unavailable | Unknown) and answer.cause:
                    waiter.cause = answer.cause
                self._line.append(ask)
                self._poll_at = min(self._poll_at, after(now, self._pause))
                self._pause = min(self._pause * 2, MAX_RETRY)
        return True

    def _read(self, waiter: _Waiter, read: EventsRead, now: Instant) -> None:
        found = heard(waiter.what, waiter.reached, read)
        if found.events or found.ended:
            self._reply(waiter.ask, found)
            return
        waiter.reached, waiter.patient_until = found.reached, None
        if len(read.events) == PAGE:
            self._look(waiter, now)
            return
        waiter.looked = True
        if waiter.late:
            self._reply(waiter.ask, found)
            return
        self._line.append(waiter.ask)
        if self._changes != waiter.known:
            self._behind = len(self._line)

    def _reply(self, ask: int, value: Heard | StopReason | Refused | Unavailable) -> None:
        self.forget(ask)
        self._replies.append(Reply(ask, value))

    # --- time -----------------------------------------------------------------------------------------------------

    def due(self, now: Instant) -> tuple[list[StoreCall], list[Reply]]:
        """Whatever time has made due; and the calls and replies since the last time."""
        while self._timers and self._timers[0][0] <= now:
            at, ask = heappop(self._timers)
            waiter = self._waiters.get(ask)
            if waiter is not None and waiter.alarm == at:
                waiter.alarm = None
                self._rings(waiter, now)
        if len(self._timers) > 2 * len(self._waiters) + ROUND:
            self._timers = [(at, ask) for at, ask in self._timers if ask in self._waiters]
            heapify(self._timers)
        if not self._behind and now >= self._poll_at:
            self._behind = len(self._line)
        if self._behind and now >= self._round_at:
            self._round(now)
        done = self._calls, self._replies
        self._calls, self._replies = [], []
        return done

    def _round(self, now: Instant) -> None:
        self._round_at = after(now, ROUND_GAP)
        looked = 0
        while self._behind and looked < ROUND:
            self._behind -= 1
            waiter = self._waiters.get(self._line.popleft())
            if waiter is not None:
                self._look(waiter, now)
                looked += 1
        if not self._behind:
            self._poll_at = after(now, self._poll)

    def _rings(self, waiter: _Waiter, now: Instant) -> None:
        if waiter.until is not None and now >= waiter.until:
            if waiter.looked or waiter.late:
                self._reply(waiter.ask, Heard((), waiter.reached, False))
                return
            waiter.late, waiter.until = True, after(now, FIRST_LOOK)
        if waiter.patient_until is not None and now >= waiter.patient_until:
            self._reply(waiter.ask, Unavailable(waiter.cause))
            return
        self._set_alarm(waiter)

    def _set_alarm(self, waiter: _Waiter) -> None:
        times = [at for at in (waiter.until, waiter.patient_until) if at is not None]
        if times and (waiter.alarm is None or min(times) < waiter.alarm):
            waiter.alarm = min(times)
            heappush(self._timers, (waiter.alarm, waiter.ask))

    def wake_at(self) -> list[Instant]:
        """When time alone changes something."""
        times = [self._timers[0][0]] if self._timers else []
        if self._waiters and self._line:
            times.append(self._round_at if self._behind else self._poll_at)
        return times
