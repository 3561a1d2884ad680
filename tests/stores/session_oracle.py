"""Sessions told again in the plainest way, without the law's code: lists that are searched from end to end.

`Oracle.answer` says what a store has to answer; a refusal by its reason only, since its words are tested elsewhere.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from tenure.replies import Fenced
from tenure.sessions import (
    Appended,
    AppendEntry,
    Delete,
    Deleted,
    Entry,
    Moved,
    MoveHead,
    Open,
    Opened,
    PathRead,
    ReadPath,
    ReadTree,
    SessionPolicy,
    SessionReason,
    SessionRequest,
    TreeRead,
)


@define
class Told:
    """One session: `deleted` is when, or None while it is there; `marks` of (registry, process)."""

    exists: bool = False
    deleted: int | None = None
    head: str = ""
    entries: list[Entry] = field(factory=list[Entry])
    marks: dict[tuple[str, str], tuple[int, int]] = field(factory=dict[tuple[str, str], tuple[int, int]])
    moves: dict[tuple[str, str], int] = field(factory=dict[tuple[str, str], int])

    def find(self, entry_id: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == entry_id), None)


@define
class Oracle:
    """All sessions. `horizon` in ms."""

    horizon: int
    sessions: dict[str, Told] = field(factory=dict[str, Told])

    def answer(self, name: str, policy: SessionPolicy, request: SessionRequest, now: int) -> Any:
        told = self.sessions.setdefault(name, Told())
        sizes = [len(entry.body.encode()) for entry in told.entries]
        match request:
            case ReadTree():
                return TreeRead(tuple(e for e in told.entries if e.seq > request.after)[: request.limit])
            case ReadPath():
                path: list[Entry] = []
                entry = told.find(request.leaf)
                while entry is not None and len(path) < request.limit:
                    path.append(entry)
                    entry = told.find(entry.parent)
                return PathRead(tuple(path))
            case Open():
                return self._opened(told, sizes, policy, request, now)
            case AppendEntry() | MoveHead() | Delete():
                pass
        fence = request.fence
        key = (fence.registry, fence.process_id) if fence else ("", "")
        if fence and told.marks.get(key) != (fence.epoch, fence.token):
            return Fenced()
        match request:
            case AppendEntry():
                return self._appended(told, sizes, policy, request)
            case MoveHead():
                if fence and 0 < request.n <= told.moves.get(key, 0):
                    return Moved(told.head)
                if told.find(request.to) is None:
                    return SessionReason.UNKNOWN_ENTRY
                if told.head not in (request.head, request.to):
                    return SessionReason.HEAD_MOVED, told.head
                told.head = request.to
                if fence and request.n:
                    told.moves[key] = request.n
                return Moved(request.to)
            case Delete():
                if told.exists:
                    told.exists, told.deleted, told.head, told.entries = False, now, "", []
                    told.moves.clear()
                return Deleted(len(sizes))

    def _opened(self, told: Told, sizes: list[int], policy: SessionPolicy, request: Open, now: int) -> Any:
        fence = request.fence
        if fence:
            for other in self.sessions.values():
                if other.deleted is not None and other.deleted < now - self.horizon:
                    other.deleted = None
                    other.marks.clear()
            mark = told.marks.get((fence.registry, fence.process_id))
            if mark is not None and mark > (fence.epoch, fence.token):
                return Fenced()
        over = _over(sizes, policy)
        if over:
            return over
        if fence:
            told.exists, told.deleted = True, None
            told.marks[fence.registry, fence.process_id] = (fence.epoch, fence.token)
        return Opened(told.head, len(sizes), sum(sizes))

    def _appended(self, told: Told, sizes: list[int], policy: SessionPolicy, request: AppendEntry) -> Any:
        known = told.find(request.entry_id)
        if known is not None:
            same = known.body == request.body
            return Appended(known, told.head) if same else SessionReason.CONFLICT
        if request.parent != told.head:
            return SessionReason.HEAD_MOVED, told.head
        over = _over([*sizes, len(request.body.encode())], policy)
        if over:
            return over
        entry = Entry(request.entry_id, request.parent, len(told.entries) + 1, request.body)
        told.exists, told.deleted, told.head = True, None, entry.id
        told.entries.append(entry)
        return Appended(entry, entry.id)


def _over(sizes: list[int], policy: SessionPolicy) -> SessionReason | None:
    if max(sizes, default=0) > policy.entry_bytes:
        return SessionReason.ENTRY_BYTES
    if len(sizes) > policy.entries:
        return SessionReason.ENTRIES
    return SessionReason.TOTAL_BYTES if sum(sizes) > policy.total_bytes else None
