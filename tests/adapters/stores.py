"""Stores under a test's control: a clock that it moves, and answers that it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.replies import Answer, Unavailable, Unknown
from tenure.requests import Request
from tenure.stores import Cursor, DurabilityTier, ProcessRegistry
from tenure_memory import open_store


class Clock:
    """The system's clock, and whatever it was moved."""

    def __init__(self) -> None:
        self.moved = 0

    def __call__(self) -> StoreTime:
        return StoreTime(time.time_ns() // 1_000_000 + self.moved)

    def expire_leases(self) -> None:
        """An hour passes in the store, and in the store alone: no lease lasts that long."""
        self.moved += 3_600_000


def memory(clock: Clock | None = None, limits: Limits = DEFAULT_LIMITS) -> ProcessRegistry:
    """A new store in memory."""
    return open_store("memory:", clock=clock, limits=limits)


Trouble = Callable[[Request], "type[Unavailable] | type[Unknown] | None"]


class Troubled:
    """A store in front of another. `trouble` decides per request: Unavailable keeps it from the store, Unknown hands it
    on and keeps the answer back. `seen` has every request that came, `applied` those that reached the store. While
    `held` is not set nothing is executed; `entered` is set by every batch that comes."""

    def __init__(self, store: ProcessRegistry, trouble: Trouble = lambda request: None) -> None:
        self._store, self.trouble = store, trouble
        self.seen: list[Request] = []
        self.applied: list[Request] = []
        self.entered, self.held = threading.Event(), threading.Event()
        self.held.set()
        self.feed_error: Exception | None = None

    @property
    def tier(self) -> DurabilityTier:
        return self._store.tier

    @property
    def epoch(self) -> int:
        return self._store.epoch

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        self.entered.set()
        self.held.wait(30)
        answers: list[Answer] = []
        for request in batch:
            self.seen.append(request)
            trouble = self.trouble(request)
            if trouble is Unavailable:
                answers.append(Unavailable("injected"))
                continue
            self.applied.append(request)
            answer = self._store.execute([request])[0]
            answers.append(Unknown("injected") if trouble is Unknown else answer)
        return answers

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        if self.feed_error is not None:
            raise self.feed_error
        return self._store.wait(after, timeout)

    def close(self) -> None:
        self._store.close()


def times(kind: type, trouble: type[Unavailable] | type[Unknown], count: int = 1) -> Trouble:
    """The first `count` requests of that kind get into that trouble."""
    left = [count]

    def decide(request: Request) -> type[Unavailable] | type[Unknown] | None:
        if isinstance(request, kind) and left[0]:
            left[0] -= 1
            return trouble
        return None

    return decide
