"""How the store thread forms batches (CONTRACT §5): renewals; other fenced requests, by kind; clients' requests; reads;
and each claim alone. A class that failed twice in a row goes out in ever smaller batches, so that one request that
breaks its transaction ends up alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from tenure.instants import Instant
from tenure.process import Failure, Success
from tenure.replies import Unavailable
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_driver.messages import StoreCall

MAX_COUNT = 1_000
MAX_BYTES = 8 << 20

RENEWALS, FENCED, CLIENTS, READS, CLAIMS = range(5)

_CLASS: dict[type, int] = {
    Renew: RENEWALS,
    RecordEffect: FENCED,
    EmitEvent: FENCED,
    Complete: FENCED,
    Release: FENCED,
    Register: CLIENTS,
    AppendEvent: CLIENTS,
    RequestCancel: CLIENTS,
    CompleteExternal: CLIENTS,
    Prune: CLIENTS,
    Claim: CLAIMS,
    ClaimNext: CLAIMS,
}

_KIND_ORDER: dict[type, int] = {Complete: 0, Release: 1, RecordEffect: 2, EmitEvent: 3}


def timely(batch: Iterable[StoreCall], now: Instant) -> tuple[list[StoreCall], list[StoreCall]]:
    """What may still be executed, and what is dropped because its `not_after` has passed: right before the batch is
    executed, whatever waited in between (S14)."""
    kept: list[StoreCall] = []
    late: list[StoreCall] = []
    for call in batch:
        (kept if call.not_after is None or now <= call.not_after else late).append(call)
    return kept, late


TOO_LATE = Unavailable("its time was over before it was executed")
"""The answer to what was dropped."""


class Batches:
    """What waits for the store, and which classes failed of late. One batch of each class in turn, so that none
    starves; but renewals that came meanwhile never wait for more than the one batch that is being executed."""

    def __init__(self) -> None:
        self._waiting: tuple[deque[StoreCall], ...] = (deque(), deque(), deque(), deque(), deque())
        self._failed = [0] * 5
        self._turn = RENEWALS

    def add(self, calls: Iterable[StoreCall]) -> None:
        """More that waits."""
        waiting = self._waiting
        for call in calls:
            waiting[_CLASS.get(type(call.request), READS)].append(call)

    def next(self) -> tuple[int, list[StoreCall]] | None:
        """The class and the calls of the batch to execute now, or None where nothing waits."""
        for kind in (RENEWALS, *range(self._turn, 5), *range(self._turn)):
            if self._waiting[kind]:
                if kind != RENEWALS:
                    self._turn = (kind + 1) % 5
                return kind, self._taken(kind)
        self._turn = RENEWALS
        return None

    def _taken(self, kind: int) -> list[StoreCall]:
        waiting, limit = self._waiting[kind], self._limit(kind)
        batch = [waiting.popleft()]
        size = size_of(batch[0].request)
        while waiting and len(batch) < limit:
            size += size_of(waiting[0].request)
            if size > MAX_BYTES:
                break
            batch.append(waiting.popleft())
        if kind == FENCED:
            batch.sort(key=lambda call: _KIND_ORDER[type(call.request)])
        return batch

    def done(self, kind: int, failed: bool) -> None:
        """Whether the batch failed as a whole."""
        self._failed[kind] = self._failed[kind] + 1 if failed else 0

    def _limit(self, kind: int) -> int:
        if kind == CLAIMS:
            return 1
        failed = self._failed[kind]
        return MAX_COUNT if failed < 2 else max(1, MAX_COUNT >> min(failed - 1, 10))


def size_of(request: Request) -> int:
    """About how many bytes the request carries."""
    match request:
        case Complete(outcome=Success(value=value)):
            return len(value)
        case Complete(outcome=Failure(message=message)):
            return len(message)
        case RecordEffect():
            return len(request.result)
        case EmitEvent() | AppendEvent():
            return len(request.payload)
        case Register():
            source = request.registration.input
            return len(getattr(source, "payload", "") or getattr(source, "metadata", ""))
        case _:
            return 0
