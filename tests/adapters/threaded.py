"""The real threads of a driver in front of a store that a test holds up, on a local clock that the test moves."""

from __future__ import annotations

import queue
import types
from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeVar

import pytest

from tenure.attempt_types import Terms
from tenure.instants import Instant, after
from tenure.requests import Request
from tenure.timings import LeaseTimings, nanos
from tenure.worker_types import WorkerTerms
from tenure_driver import Tap
from tenure_driver.messages import Abandoned, Inbound, Loopward, Outbox, StoreCall
from tenure_driver.threads import Threads
from tests.adapters import stores
from tests.adapters.loops import BOUND

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

HOUR = nanos(3_600)


class Threaded(Tap):
    """A worker with one slot, whom nothing but its leases wakes; or a client. `store` is in front of `behind`."""

    def __init__(self, patch: pytest.MonkeyPatch, worker: bool = True) -> None:
        self.now = Instant(nanos(1_000))
        self.clock = stores.Clock()
        self.behind = stores.memory(self.clock)
        self.store = stores.Troubled(self.behind)
        self.pauses: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._loop: queue.SimpleQueue[Loopward] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[StoreCall] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[Inbound] = queue.SimpleQueue()
        self._signs = count(-1, -1)
        self._turned_at = self.now
        self._fates: queue.SimpleQueue[tuple[str, Request]] = queue.SimpleQueue()
        patch.setattr("tenure_driver.threads.local_now", lambda: self.now)
        patch.setattr("tenure_driver.threads.queue", self._queues())
        timings = LeaseTimings()
        terms = WorkerTerms("us", Terms(timings, "", ("work",)), 1, 1, HOUR) if worker else None
        self.threads = Threads(self.store, terms, self._deliver, 3_600.0, self)

    def _queues(self) -> types.SimpleNamespace:
        """As the module `queue`, for the threads: how long they wait for a message goes to `pauses`."""
        pauses = self.pauses

        class Watched(queue.SimpleQueue[object]):
            def get(self, block: bool = True, timeout: float | None = None) -> object:
                if timeout is not None:
                    pauses.put(timeout)
                return super().get(block, timeout)

        return types.SimpleNamespace(SimpleQueue=Watched, Empty=queue.Empty)

    def __enter__(self) -> Threaded:
        self.threads.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.store.held.set()
        self.threads.close()

    def post(self, message: Inbound) -> None:
        """Hand it to the machine thread."""
        self.threads.post(message)

    def pass_time(self, seconds: float) -> None:
        """So much later, the machine thread has a turn; ends when it had it."""
        self.now = after(self.now, nanos(seconds))
        sign = Abandoned(next(self._signs))
        self.post(sign)
        _next(self._heard, lambda message: message if message == sign else None)
        assert self._turned_at == self.now, "S13: the turn has the time from before it waited"

    def hold(self) -> None:
        """The store executes nothing more, until `store.held` is set."""
        self.store.entered.clear()
        self.store.held.clear()

    # --- what they did --------------------------------------------------------------------------------------------

    def told(self, kind: type[R]) -> R:
        """The next message of that kind for the loop."""
        return _next(self._loop, lambda said: said if isinstance(said, kind) else None)

    def asked(self, kind: type[R]) -> R:
        """The next request of that kind that the machines want sent; from now on it waits for the store thread."""
        return _next(self._asked, lambda call: call.request if isinstance(call.request, kind) else None)

    def fate(self, kind: type[object]) -> str:
        """Whether the next request of that kind was `executed` or `declined` by the store thread."""
        return _next(self._fates, lambda told: told[0] if isinstance(told[1], kind) else None)

    def _deliver(self, messages: Sequence[Loopward]) -> None:
        for message in messages:
            self._loop.put(message)

    def turned(self, inbox: Sequence[Inbound], now: Instant, box: Outbox) -> None:
        for call in box.calls:
            self._asked.put(call)
        self._turned_at = now
        for message in inbox:
            self._heard.put(message)

    def before_transaction(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self._fates.put(("executed", request))

    def declined(self, request: Request) -> None:
        self._fates.put(("declined", request))


def _next(told: queue.SimpleQueue[S], wanted: Callable[[S], T | None]) -> T:
    """The first that is wanted. Raises queue.Empty where nothing comes any more."""
    while True:
        found = wanted(told.get(timeout=BOUND))
        if found is not None:
            return found
