"""A store in which effects have the results that they had in an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tenure.canonical import Json
from tenure.facets import BringsFacets
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS
from tenure.replies import Answer
from tenure.requests import RecordEffect, Request
from tenure.stores import Cursor, DurabilityTier, ProcessRegistry
from tenure.values import changed
from tenure_testing.playing import Make
from tenure_testing.playing.stores import maker

Results = Mapping[tuple[str, str], Json]
"""What was recorded, by the effect's key and fingerprint."""


def recalling(store: str, results: Results) -> Make:
    """How the store of that URL is opened, as one that recalls these results."""
    make = maker(store, DEFAULT_LIMITS)

    def opened(clock: Callable[[], StoreTime]) -> ProcessRegistry:
        return _Recalling(make(clock), results)

    return opened


class _Recalling:
    """A `ProcessRegistry`. An effect that is recorded under a key and fingerprint of `results` gets the result from
    there, whatever its body returned this time; the handler is told what was recorded, so it goes on with that. Two
    runs then differ only where the handler itself is not the same function of what its effects return."""

    def __init__(self, inner: ProcessRegistry, results: Results) -> None:
        self._inner, self._results = inner, results
        if isinstance(inner, BringsFacets):
            self.facets = inner.facets

    @property
    def tier(self) -> DurabilityTier:
        """That of the store itself."""
        return self._inner.tier

    @property
    def epoch(self) -> int:
        """That of the store itself."""
        return self._inner.epoch

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """The store's answers, to effects with the recalled results."""
        return self._inner.execute([self._recalled(request) for request in batch])

    def _recalled(self, request: Request) -> Request:
        if not isinstance(request, RecordEffect):
            return request
        known = self._results.get((request.key, request.fingerprint))
        return request if known is None else changed(request, result=known)

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """As the store itself."""
        return self._inner.wait(after, timeout)

    def close(self) -> None:
        """Let go of the store."""
        self._inner.close()
