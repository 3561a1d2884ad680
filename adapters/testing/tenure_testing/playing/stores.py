"""The store of a world: a real one, under a clock that the world moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tenure.errors import InvalidValue
from tenure.facets import BringsFacets, StoredFacets
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import Record
from tenure.replies import Answer, Listed, Succeeded, Unavailable
from tenure.requests import List, Request
from tenure.stores import Cursor, DurabilityTier, ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite

Make = Callable[[Callable[[], StoreTime]], ProcessRegistry]
"""Makes a store that reads that clock; the same one again, with all that it answered, when it is called again."""


def maker(store: str | Make, limits: Limits) -> Make:
    """How the store is opened: by its URL, `memory:` or `sqlite:///file.db`, or by the caller's own function.
    Raises InvalidValue for a URL of another kind."""
    if not isinstance(store, str):
        return store
    if store.startswith("sqlite:"):
        return lambda clock: open_sqlite(store, clock=clock, limits=limits, busy_timeout=0, gap=0)
    if not store.startswith("memory:"):
        raise InvalidValue(
            f"{store!r} names no store that a played world has; write 'memory:' or 'sqlite:///file.db', "
            "or pass a function that makes a store which reads the clock it is given"
        )
    return lambda clock: open_memory(store, clock=clock, limits=limits)


class PlayedStore:
    """A `tenure.stores.ProcessRegistry` that can be down, and restarted. Nobody waits in it: the world tells workers of
    changes by its own feed."""

    def __init__(self, make: Make, clock: Callable[[], StoreTime], lasting: bool) -> None:
        self._make, self._clock, self._lasting = make, clock, lasting
        self.inner = make(clock)
        self.down = False
        self.cursor = Cursor()
        if isinstance(self.inner, BringsFacets):
            self.facets = self._facets

    def _facets(self) -> StoredFacets:
        """Those of the store as it is open now. They are reached while it is down: what is played is the registry."""
        assert isinstance(self.inner, BringsFacets)
        return self.inner.facets()

    @property
    def tier(self) -> DurabilityTier:
        """What the store promises."""
        return self.inner.tier

    @property
    def epoch(self) -> int:
        """The registry's epoch."""
        return self.inner.epoch

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """The answers; Unavailable while the store is down."""
        if self.down:
            return [Unavailable("the store is down")] * len(batch)
        return self.inner.execute(batch)

    def changed(self) -> bool:
        """Whether anything changed since this was last asked; `cursor` is then renewed."""
        cursor = self.inner.wait(self.cursor, 0)
        if cursor == self.cursor:
            return False
        self.cursor = cursor
        return True

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """What the cursor is; a world has no threads that could wait."""
        return self.cursor

    def restart(self) -> None:
        """Close it and open it again: a store that lasts must then have everything that it answered (S21)."""
        if self._lasting:
            self.inner.close()
            self.inner = self._make(self._clock)

    def records(self) -> Iterator[Record]:
        """Every row, in the order of registration."""
        after: int | None = 0
        while after is not None:
            (answer,) = self.inner.execute([List(after, 1_000)])
            assert isinstance(answer, Succeeded)
            assert isinstance(answer.reply, Listed)
            yield from answer.reply.records
            after = answer.reply.next

    def close(self) -> None:
        """Let go of the store."""
        self.inner.close()
