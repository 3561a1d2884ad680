"""How the store thread forms batches (CONTRACT §5): renewals; other fenced requests, by kind; clients' requests; reads;
and each claim alone. A class that failed twice in a row goes out in ever smaller batches, so that one request that
breaks its transaction ends up alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tenure.instants import Instant
from tenure.process import Failure, Success
from tenure.replies import Answer, Fenced, Unavailable
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


TOO_LATE = Unavailable("its time was over before it was executed")
"""The answer to what is dropped since its `not_after` has passed."""

MAX_LOST = 10_000
"""Lost leases that are remembered, the newest."""


class Batches:
    """What waits for the store, which classes failed of late, and which leases are lost. One batch of each class in
    turn, so that none starves; but renewals that came meanwhile never wait for more than the one batch that is being
    executed."""

    def __init__(self) -> None:
        self._waiting: tuple[deque[StoreCall], ...] = (deque(), deque(), deque(), deque(), deque())
        self._failed = [0] * 5
        self._turn = RENEWALS
        self._lost: dict[int, None] = {}

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

    def leaving(
        self, batch: Iterable[StoreCall], now: Instant
    ) -> tuple[list[StoreCall], list[tuple[StoreCall, Answer]]]:
        """What of the batch may leave, looked at right before it does; and what is dropped, with its answer (S14): its
        `not_after` has passed, whatever it waited for, or its lease was lost by an answer that came meanwhile."""
        kept: list[StoreCall] = []
        dropped: list[tuple[StoreCall, Answer]] = []
        for call in batch:
            if call.not_after is None:
                kept.append(call)
            elif now > call.not_after:
                dropped.append((call, TOO_LATE))
            elif self._lost and _token(call) in self._lost:
                dropped.append((call, Fenced()))
            else:
                kept.append(call)
        return kept, dropped

    def heard(self, kind: int, calls: Iterable[StoreCall], answers: Sequence[Answer]) -> None:
        """The store's answers to what left of a batch."""
        for call, answer in zip(calls, answers, strict=True):
            token = _token(call) if isinstance(answer, Fenced) else None
            if token is not None:
                self._lost[token] = None
                if len(self._lost) > MAX_LOST:
                    del self._lost[next(iter(self._lost))]
        self.done(kind, bool(answers) and all(isinstance(answer, Unavailable) for answer in answers))

    def done(self, kind: int, failed: bool) -> None:
        """Whether the batch failed as a whole."""
        self._failed[kind] = self._failed[kind] + 1 if failed else 0

    def _limit(self, kind: int) -> int:
        if kind == CLAIMS:
            return 1
        failed = self._failed[kind]
        return MAX_COUNT if failed < 2 else max(1, MAX_COUNT >> min(failed - 1, 10))


def _token(call: StoreCall) -> int | None:
    fence = getattr(call.request, "fence", None)
    return None if fence is None else fence.token


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
