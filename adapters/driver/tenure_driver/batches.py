"""How the store thread forms batches (CONTRACT §5): renewals; other fenced requests, by kind; clients' requests; reads;
and claims alone. A class that failed twice in a row goes out in ever smaller batches, so that one request that breaks
its transaction ends up alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenure.process import Failure, Success
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


class Batches:
    """Forms batches, and remembers which classes failed of late."""

    def __init__(self) -> None:
        self._failed = [0] * 5

    def form(self, calls: Sequence[StoreCall]) -> Iterator[tuple[int, list[StoreCall]]]:
        """(class, batch) in the order in which they are to be executed."""
        classes: list[list[StoreCall]] = [[], [], [], [], []]
        for call in calls:
            classes[_CLASS.get(type(call.request), READS)].append(call)
        classes[FENCED].sort(key=lambda call: _KIND_ORDER[type(call.request)])
        for kind, waiting in enumerate(classes):
            batch: list[StoreCall] = []
            size = 0
            for call in waiting:
                weight = size_of(call.request)
                if batch and (len(batch) >= self._limit(kind) or size + weight > MAX_BYTES):
                    yield kind, batch
                    batch, size = [], 0
                batch.append(call)
                size += weight
            if batch:
                yield kind, batch

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
