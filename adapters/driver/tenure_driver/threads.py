"""The three threads around `turn`: machine, store and feed.

The machine thread calls `turn` and never blocks on the store, so that the local deadline fires whatever the store
does. The store thread executes what waits as batches; while it commits, the next batch gathers. The feed thread waits
for changes. All three are daemons; an error in one of them ends the worker, never its host, and is handed to the loop.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from tenure.attempt_types import Report
from tenure.errors import ForkedProcess, TenureError
from tenure.instants import NANOS_PER_SECOND, Instant
from tenure.replies import Answer
from tenure.stores import Cursor, ProcessRegistry
from tenure.timings import nanos
from tenure.worker_types import WorkerTerms
from tenure_driver.batches import Batches
from tenure_driver.clocks import local_now
from tenure_driver.messages import Answered, Changed, Failed, Inbound, Loopward, Quit, StoreCall
from tenure_driver.openings import Opens
from tenure_driver.options import Tap
from tenure_driver.turn import Driver

log = logging.getLogger("tenure")

LONGEST_SLEEP = 1.0
"""Seconds: timed waits stand still during suspend, so the machine thread looks at its clock at least this often."""

MAX_INBOX = 10_000
"""Messages of one turn."""

JOIN = 2.0
"""Seconds that closing waits for each thread; one stuck in the store is abandoned."""

STALL = 1.0
"""Seconds that the machine thread may wake late before that is reported."""

FEED_WAIT = 0.1
"""Seconds of one wait for a change; closing does not wait longer."""


class Threads:
    """The running driver of one worker or client. `deliver` gets messages for the loop, in the machine
    thread; `opens`: whose sessions the loop opens."""

    def __init__(
        self,
        store: ProcessRegistry,
        terms: WorkerTerms | None,
        deliver: Callable[[Sequence[Loopward]], None],
        poll_interval: float = 1.0,
        tap: Tap | None = None,
        opens: Opens = Opens.NONE,
    ) -> None:
        self._store, self._deliver, self._tap = store, deliver, tap or Tap()
        self._inbox: queue.SimpleQueue[Inbound] = queue.SimpleQueue()
        self._calls: queue.SimpleQueue[tuple[StoreCall, ...] | None] = queue.SimpleQueue()
        self._quit = threading.Event()
        self._feed_wanted = threading.Event()
        self._pid = os.getpid()
        jitter = partial(random.randrange, 1000)
        self._driver = Driver(terms, local_now(), jitter, nanos(poll_interval), opens)
        bodies = {"machine": self._machine, "store": self._execute, "feed": self._feed}
        self._threads = [
            threading.Thread(target=self._guarded, args=(name, body), name=f"tenure-{name}", daemon=True)
            for name, body in bodies.items()
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def post(self, message: Inbound) -> None:
        """Hand a message to the machine thread; from any thread, and from a signal handler. Raises ForkedProcess."""
        if os.getpid() != self._pid:
            raise ForkedProcess(
                "this process was made by fork() after tenure was opened, and has none of its threads; "
                "open the worker or client after the fork only, or start the child by spawn"
            )
        self._inbox.put(message)

    def stop(self) -> None:
        """Have the threads end, without waiting for them."""
        self._quit.set()
        self._feed_wanted.set()
        self._inbox.put(Quit())
        self._calls.put(None)

    def close(self, release: Callable[[], None] | None = None) -> None:
        """End the threads, each within a bound; one that hangs in the store is left behind. `release` lets go of the
        store as soon as nothing is executed any more, so that the feed need not be waited for. Idempotent."""
        if os.getpid() == self._pid:
            self.stop()
            for thread in self._threads[:-1]:
                _join(thread)
        try:
            if release is not None:
                release()
        finally:
            if os.getpid() == self._pid:
                _join(self._threads[-1])

    # --- the threads ----------------------------------------------------------------------------------------------

    def _guarded(self, name: str, body: Callable[[], None]) -> None:
        """No thread dies in silence: its error ends the worker."""
        try:
            body()
        except BaseException as error:
            if self._quit.is_set():
                return
            trace = (
                None if isinstance(error, TenureError) else error
            )  # a store that is gone is no mistake of ours
            log.error("the thread tenure-%s ended by an error: %s", name, error, exc_info=trace)
            self.stop()
            self._deliver((Failed(name, error),))

    def _machine(self) -> None:
        wake_at: Instant | None = local_now()  # the first turn is due at once: it claims what waits
        while True:
            pause = LONGEST_SLEEP
            if wake_at is not None:
                pause = min(pause, max(0, wake_at - local_now()) / NANOS_PER_SECOND)
            before = local_now()
            inbox = self._gather(pause)
            if inbox is None:
                return
            report_stall((local_now() - before) / NANOS_PER_SECOND - pause)
            now = local_now()
            box = self._driver.turn(inbox, now)
            self._tap.turned(inbox, now, box)
            wake_at = box.wake_at
            if box.calls:
                self._calls.put(box.calls)
            if box.loop:
                self._deliver(box.loop)
            if box.reports:
                _report(box.reports)
            if box.feed != self._feed_wanted.is_set():
                (self._feed_wanted.set if box.feed else self._feed_wanted.clear)()

    def _gather(self, pause: float) -> list[Inbound] | None:
        inbox: list[Inbound] = []
        try:
            inbox.append(self._inbox.get(timeout=pause) if pause > 0 else self._inbox.get_nowait())
            # Let whoever is sending send the rest: one turn, and one commit, for a thousand handlers.
            time.sleep(0)
            while len(inbox) < MAX_INBOX:
                inbox.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return None if any(isinstance(message, Quit) for message in inbox) else inbox

    def _execute(self) -> None:
        batches = Batches()
        while True:
            formed = batches.next()
            if formed is not None:
                kind, batch = formed
                self._run(batches, kind, batch)
            try:
                more = self._calls.get() if formed is None else self._calls.get_nowait()
                while more is not None:
                    batches.add(more)
                    more = self._calls.get_nowait()
                return
            except queue.Empty:
                pass

    def _run(self, batches: Batches, kind: int, batch: list[StoreCall]) -> None:
        """Execute one batch and post its answers. What may not leave any more is dropped (S14)."""
        kept, dropped = batches.leaving(batch, local_now())
        answers: list[tuple[int, Answer]] = []
        for call, answer in dropped:
            self._tap.declined(call.request)
            answers.append((call.id, answer))
        got: Sequence[Answer] = ()
        if kept:
            requests = [call.request for call in kept]
            self._tap.before_transaction(requests)
            got = self._store.execute(requests)
            for call, answer in zip(kept, got, strict=True):
                self._tap.answered(call.request, answer)
                answers.append((call.id, answer))
        batches.heard(kind, kept, got)
        self._inbox.put(Answered(tuple(answers)))

    def _feed(self) -> None:
        cursor = Cursor()
        while not self._quit.is_set():
            if not self._feed_wanted.wait(FEED_WAIT):
                continue
            if self._quit.is_set():
                return
            moved = self._store.wait(cursor, FEED_WAIT)
            if moved != cursor:
                cursor = moved
                self._inbox.put(Changed(cursor))


def _join(thread: threading.Thread) -> None:
    if thread.is_alive() and thread is not threading.current_thread():
        thread.join(JOIN)
        if thread.is_alive():
            log.warning("the thread %s is stuck in the store and was left behind", thread.name)


def report_stall(late: float) -> None:
    """CONTRACT §10: no thread can renew a lease while none may run. `late`: seconds beyond the longest wait."""
    if late > STALL:
        log.warning(
            "every thread of this process stood still for %.1f s: it was stopped or suspended, or C code held the "
            "interpreter's lock; leases may be lost by that",
            late,
        )


def _report(reports: Sequence[Report]) -> None:
    for report in reports:
        log.warning("process %r: %s", report.process_id, report.what) if report.process_id else log.warning(
            "%s", report.what
        )
