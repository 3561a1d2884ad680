"""The three threads of `tenure_driver.threads`, played: the same driver, the same batches, in the world's time.

The machine thread turns when something came in or the driver wanted to be woken; the store thread has one batch on its
way at a time and gathers the next meanwhile; the feed tells of changes, late or not at all if the weather is so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from tenure.instants import Instant
from tenure.replies import Answer
from tenure.requests import Request
from tenure.stores import Cursor, ProcessRegistry
from tenure.timings import nanos
from tenure.worker_types import WorkerTerms
from tenure_driver.batches import Batches
from tenure_driver.messages import Answered, Changed, Inbound, Loopward, StoreCall
from tenure_driver.openings import Opens
from tenure_driver.options import Tap
from tenure_driver.turn import Driver
from tenure_testing.playing.network import NO_ANSWER, Fate

if TYPE_CHECKING:
    from tenure_testing.playing.host import Host, Life


class Sending:
    """A batch on its way. `answers` are those of its first execution; `copies` are still to be executed."""

    def __init__(self, number: int, host: Host, requests: tuple[Request, ...], sent_at: Instant) -> None:
        self.number, self.host, self.requests, self.sent_at = number, host, requests, sent_at
        self.answers: Sequence[Answer] | None = None
        self.copies = 0


class PlayedShell:
    """A `tenure_driver.Shell` of one life of a host."""

    def __init__(
        self,
        life: Life,
        store: ProcessRegistry,
        terms: WorkerTerms | None,
        deliver: Callable[[Sequence[Loopward]], None],
        poll_interval: float,
        tap: Tap,
        opens: Opens,
    ) -> None:
        self._life, self._deliver, self._tap = life, deliver, tap
        host, world = life.host, life.host.world
        self._host, self._world = host, world
        random = Random(f"{world.seed}/jitter/{host.number}/{life.number}")
        jitter = partial(world.weather.jitter, host.name, random)
        self.driver = Driver(terms, host.clock.now(), jitter, nanos(poll_interval), opens)
        self._inbox: list[Inbound] = []
        self._due = False
        self._wake_at: Instant | None = None
        self._alarm: int | None = None
        self._batches = Batches()
        self._busy = False
        self._seen = Cursor()
        self._feed = False
        self._telling = False

    # --- what the runner calls ------------------------------------------------------------------------------------

    def start(self) -> None:
        """The first turn is due at once: it claims what waits."""
        self._turn_soon()

    def post(self, message: Inbound) -> None:
        """Hand a message to the machine; what comes at the same time is handled in one turn."""
        self._inbox.append(message)
        self._turn_soon()

    def stop(self) -> None:
        """The life is over."""
        self._life.over = True

    def close(self, release: Callable[[], None] | None = None) -> None:
        """The life is over."""
        self.stop()

    # --- the machine thread ---------------------------------------------------------------------------------------

    def _turn_soon(self) -> None:
        if not self._due:
            self._due = True
            self._life.call(self._world.now, self._turn)

    def _turn(self) -> None:
        self._due = False
        inbox, self._inbox = self._inbox, []
        box = self.driver.turn(inbox, self._host.clock.now())
        for observer in self._world.observers:
            observer.turned(self._host, inbox, box)
        if self._life.over:
            return
        self._wake_at, self._feed = box.wake_at, box.feed
        if box.calls:
            self._batches.add(box.calls)
            self._send()
        if box.loop:
            self._deliver(box.loop)
        if box.feed:
            self.hint()
        self.set_alarm()

    def set_alarm(self) -> None:
        """Be woken when the worker's clock shows what the driver wants. An alarm that rings too early looks again."""
        if self._wake_at is None:
            return
        at = self._host.clock.until(self._wake_at)
        if at is not None and (self._alarm is None or at < self._alarm):
            self._alarm = at = max(at, self._world.now)
            self._life.call(at, partial(self._rings, at))

    def _rings(self, alarm: int) -> None:
        if alarm != self._alarm:
            return
        self._alarm = None
        if self._wake_at is not None and self._host.clock.now() >= self._wake_at:
            self._turn_soon()
        else:
            self.set_alarm()

    @property
    def under_way(self) -> bool:
        """Whether something is on its way between the threads, or to the store: a worker's own claim aside."""
        return bool(self._inbox) or self.driver.under_way > 0

    # --- the store thread -----------------------------------------------------------------------------------------

    def _send(self) -> None:
        while not self._busy and not self._life.over:
            formed = self._batches.next()
            if formed is None:
                return
            kind, batch = formed
            kept, dropped = self._batches.leaving(batch, self._host.clock.now())
            if dropped:
                for observer in self._world.observers:
                    observer.declined(self._host, [call for call, _ in dropped])
                self.post(Answered(tuple((call.id, answer) for call, answer in dropped)))
            if kept:
                self._busy = True
                self._leave(kind, kept)
            else:
                self._batches.heard(kind, (), ())

    def _leave(self, kind: int, calls: list[StoreCall]) -> None:
        world, host = self._world, self._host
        for observer in world.observers:
            observer.sending(host, calls)
        if self._life.over:
            return
        requests = tuple([call.request for call in calls])
        sending = Sending(world.next_sending(), host, requests, host.clock.now())
        fate = world.fate(host, requests)
        sending.copies = len(fate.executes)
        for delay in fate.executes:
            world.call(world.now + delay, partial(world.execute_sent, sending))
        for observer in world.observers:
            observer.sent(host, calls)
        self._life.call(world.now + fate.heard, partial(self._hears, kind, calls, sending, fate))

    def _hears(self, kind: int, calls: list[StoreCall], sending: Sending, fate: Fate) -> None:
        answers = sending.answers
        if fate.says is not None or answers is None:
            answers = [fate.says or NO_ANSWER] * len(calls)
        for observer in self._world.observers:
            observer.heard(self._host, calls, answers)
        if self._life.over:
            return
        self._busy = False
        self._batches.heard(kind, calls, answers)
        self.post(Answered(tuple([(call.id, answer) for call, answer in zip(calls, answers, strict=True)])))
        self._send()

    # --- the feed -------------------------------------------------------------------------------------------------

    def hint(self) -> None:
        """The store changed: the worker is told, if it wants to know and the weather allows."""
        if self._feed and not self._telling and self._seen != self._world.store.cursor:
            delay = self._world.weather.hint(self._host.name)
            if delay is not None:
                self._telling = True
                self._life.call(self._world.now + delay, self._told)

    def _told(self) -> None:
        self._telling = False
        if self._seen != self._world.store.cursor:
            self._seen = self._world.store.cursor
            self.post(Changed(self._seen))
