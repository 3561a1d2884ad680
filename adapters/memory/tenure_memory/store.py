"""The registry in memory: `memory:`. Tier INLINE, since it ends with the operating system's process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from threading import Condition

from tenure.errors import ForkedProcess, InvalidValue
from tenure.facets import StoredFacets
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.model import execute
from tenure.replies import Answer, Unavailable
from tenure.requests import Request
from tenure.stores import Cursor, DurabilityTier
from tenure_memory.clock import system_clock
from tenure_memory.contents import MemoryContents
from tenure_memory.sessions import MemorySessions
from tenure_memory.tables import MemoryTables


def open_store(
    url: str, *, clock: Callable[[], StoreTime] | None = None, limits: Limits = DEFAULT_LIMITS
) -> MemoryRegistry:
    """A new, empty store for `memory:`; no two openings share one. `clock` is for tests."""
    if url not in ("memory:", "memory://"):
        raise InvalidValue(f"{url!r} names no store in memory; write 'memory:'")
    return MemoryRegistry(clock or system_clock, limits)


class MemoryRegistry:
    """A `tenure.stores.ProcessRegistry`; any thread may call anything at any time.

    `tables`: what it holds from the start, for tests.
    """

    def __init__(
        self, clock: Callable[[], StoreTime], limits: Limits, tables: MemoryTables | None = None
    ) -> None:
        self._clock = clock
        self._tables = tables or MemoryTables(limits)
        self._facets = StoredFacets(
            MemorySessions(clock=clock, limits=limits),
            MemoryContents("attachment"),
            MemoryContents("artifact"),
        )
        self._changed = Condition()
        self._closed = False
        self._pid = os.getpid()

    @property
    def tier(self) -> DurabilityTier:
        """INLINE: what it holds ends with the operating system's process."""
        return DurabilityTier.INLINE

    @property
    def epoch(self) -> int:
        """Always 1, since nothing here is ever restored from a backup."""
        return self._tables.epoch

    def facets(self) -> StoredFacets:
        """The sessions, attachments and artifacts of this deployment in memory."""
        return self._facets

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """The answers to the batch, in its order; all of it or, if it breaks off by an error of ours, nothing."""
        self._check_process()
        with self._changed:
            if self._closed:
                return [Unavailable("the store was closed")] * len(batch)
            tables = self._tables
            before = tables.number
            clock = self._clock()
            try:
                answers = [execute(tables, request, clock) for request in batch]
            except BaseException:
                tables.roll_back()
                raise
            tables.commit()
            if tables.number != before:
                self._changed.notify_all()
            return answers

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """The cursor as soon as it moved past `after`, or after `timeout` seconds, or after `close`."""
        self._check_process()
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._moved(after), timeout)
            return self._cursor()

    def close(self) -> None:
        """End the store; what it held is gone. Repeatable."""
        self._check_process()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _cursor(self) -> Cursor:
        return Cursor(self._tables.number, self._tables.work)

    def _moved(self, after: Cursor) -> bool:
        return self._tables.number > after.version or self._tables.work > after.work

    def _check_process(self) -> None:
        """Before the lock: in a child of fork() it may be held by a thread that is not there."""
        if os.getpid() != self._pid:
            raise ForkedProcess(
                "this store in memory was opened before fork(); the child has a copy that nobody else sees. "
                "Open a store in the child instead."
            )
