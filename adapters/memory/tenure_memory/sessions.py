"""Sessions in memory: the law over dictionaries. Tier INLINE, since they end with the operating system's process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from threading import Lock

from attrs import define, field

from tenure.errors import ForkedProcess
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.replies import Unavailable
from tenure.session_model import execute
from tenure.session_tables import Mark, SessionRow
from tenure.sessions import Entry, SessionAnswer, SessionPolicy, SessionRequest, session_name
from tenure.stores import DurabilityTier
from tenure_memory.clock import system_clock


class MemorySessions:
    """A `tenure.SessionStoreFactory`; any thread may call anything at any time. `clock` is for tests."""

    def __init__(
        self, *, clock: Callable[[], StoreTime] | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._clock, self._horizon = clock or system_clock, limits.retry_horizon
        self._gone: dict[str, StoreTime] = {}
        self._kept: dict[str, _Kept] = {}
        self._lock = Lock()
        self._closed = False
        self._pid = os.getpid()

    @property
    def tier(self) -> DurabilityTier:
        """INLINE: what it holds ends with the operating system's process."""
        return DurabilityTier.INLINE

    def open(self, session_id: str, policy: SessionPolicy) -> MemorySession:
        """The session of that id. Raises InvalidValue for the id."""
        return MemorySession(self, session_name(session_id), policy)

    def close(self) -> None:
        """End the store; what it held is gone. Repeatable."""
        self._check_process()
        with self._lock:
            self._closed = True
            self._kept.clear()

    def execute(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        """The answer to a request to that session; for `MemorySession`."""
        self._check_process()
        with self._lock:
            if self._closed:
                return Unavailable("the store was closed")
            tables = _Tables(self._kept, self._gone, session_id)
            return execute(tables, request, policy, self._clock(), self._horizon)

    def _check_process(self) -> None:
        """Before the lock: in a child of fork() it may be held by a thread that is not there."""
        if os.getpid() != self._pid:
            raise ForkedProcess(
                "these sessions in memory were opened before fork(); the child has a copy that nobody else sees. "
                "Open a store in the child instead."
            )


class MemorySession:
    """A `tenure.SessionStore`: one session under one policy."""

    def __init__(self, sessions: MemorySessions, session_id: str, policy: SessionPolicy) -> None:
        self._sessions, self._id, self._policy = sessions, session_id, policy

    def execute(self, request: SessionRequest) -> SessionAnswer:
        """The answer."""
        return self._sessions.execute(self._id, self._policy, request)


@define
class _Kept:
    """One session; `row` is None once it was deleted."""

    row: SessionRow | None = None
    entries: list[Entry] = field(factory=list[Entry])
    by_id: dict[str, Entry] = field(factory=dict[str, Entry])
    marks: dict[tuple[str, str], Mark] = field(factory=dict[tuple[str, str], Mark])


@define
class _Tables:
    """`tenure.session_tables.SessionTables` over what is kept of all sessions."""

    all: dict[str, _Kept]
    gone: dict[str, StoreTime]
    id: str

    def row(self) -> SessionRow | None:
        kept = self.all.get(self.id)
        return None if kept is None else kept.row

    def write_row(self, row: SessionRow) -> None:
        self.all.setdefault(self.id, _Kept()).row = row
        self.gone.pop(self.id, None)

    def mark(self, registry: str, process_id: str) -> Mark | None:
        kept = self.all.get(self.id)
        return None if kept is None else kept.marks.get((registry, process_id))

    def write_mark(self, registry: str, process_id: str, mark: Mark) -> None:
        self.all[self.id].marks[registry, process_id] = mark

    def entry(self, entry_id: str) -> Entry | None:
        kept = self.all.get(self.id)
        return None if kept is None else kept.by_id.get(entry_id)

    def add(self, entry: Entry) -> None:
        kept = self.all[self.id]
        kept.entries.append(entry)
        kept.by_id[entry.id] = entry

    def path(self, leaf: str, limit: int) -> Sequence[Entry]:
        found: list[Entry] = []
        entry = self.entry(leaf)
        while entry is not None and len(found) < limit:
            found.append(entry)
            entry = self.entry(entry.parent)
        return found

    def tree(self, after: int, limit: int) -> Sequence[Entry]:
        kept = self.all.get(self.id)
        return () if kept is None else kept.entries[after : after + limit]

    def remove(self, clock: StoreTime) -> None:
        marks = {name: Mark(mark.epoch, mark.token) for name, mark in self.all[self.id].marks.items()}
        self.all[self.id] = _Kept(marks=marks)
        self.gone[self.id] = clock

    def forget(self, before: StoreTime, sessions: int) -> None:
        gone = sorted((at, name) for name, at in self.gone.items() if at < before)
        for _, name in gone[:sessions]:
            del self.all[name], self.gone[name]
