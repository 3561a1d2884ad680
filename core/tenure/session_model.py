"""The law of sessions (CONTRACT §8): `execute` decides every request; a store owns tables, transactions and a clock.

1. *Fence.* A write holds only under the very (epoch, token) that is the watermark of its process; Open raises it.
2. *Replay.* An entry's id that is there is answered with the entry, and a move that was made with the head.
3. *Head.* What is new moves the head from where the caller knows it, or is refused with where it is.
4. *Policy.* What would be too large is refused. A refusal changes nothing.

A watermark lives as long as its session, and for the retry horizon after the session was deleted; `Open` forgets it.
"""

from __future__ import annotations

from typing import assert_never

from tenure.canonical import text_fault, utf8_size
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, bad_name, bad_text
from tenure.replies import Fenced
from tenure.session_tables import Mark, SessionRow, SessionTables
from tenure.sessions import (
    NAME_LIMIT,
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
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    TreeRead,
)
from tenure.values import changed

FORGOTTEN_AT_ONCE = 10
"""Deleted sessions whose watermarks one Open forgets at most, so that its transaction stays short."""


def execute(
    tables: SessionTables,
    request: SessionRequest,
    policy: SessionPolicy,
    clock: StoreTime,
    retry_horizon: int = DEFAULT_LIMITS.retry_horizon,
) -> SessionAnswer:
    """Answer one request: decide, and write what the decision changes. `retry_horizon` in ms."""
    match request:
        case Open():
            return _open(tables, request.fence, policy, StoreTime(clock - retry_horizon))
        case ReadPath():
            return PathRead(tuple(tables.path(request.leaf, request.limit)))
        case ReadTree():
            return TreeRead(tuple(tables.tree(request.after, request.limit)))
        case AppendEntry() | MoveHead() | Delete():
            fence, mark = request.fence, None
            if fence is not None:
                mark = tables.mark(fence.registry, fence.process_id)
                if mark is None or mark.height != (fence.epoch, fence.token):
                    return Fenced()
            row = tables.row()
            if isinstance(request, AppendEntry):
                return _append(tables, row or SessionRow(), request, policy)
            if isinstance(request, MoveHead):
                return _move(tables, row or SessionRow(), request, mark)
            if row is None:
                return Deleted(0)
            tables.remove(clock)
            return Deleted(row.entries)
        case _:
            assert_never(request)


def _open(
    tables: SessionTables, fence: SessionFence | None, policy: SessionPolicy, before: StoreTime
) -> SessionAnswer:
    row = tables.row()
    stands = row or SessionRow()
    refused = _over(stands, policy)
    opened = Opened(stands.head, stands.entries, stands.size) if refused is None else refused
    if fence is None:
        return opened
    fault = bad_text(fence.registry, NAME_LIMIT) or bad_name(fence.process_id, DEFAULT_LIMITS)
    if fault:
        return SessionRefused(SessionReason.BAD_TEXT, f"the fence's registry or process: {fault.detail}")
    tables.forget(before, FORGOTTEN_AT_ONCE)  # before this one's own is looked at, which may be among them
    mark = tables.mark(fence.registry, fence.process_id)
    if mark is not None and (fence.epoch, fence.token) < mark.height:
        return Fenced()
    if refused is not None:
        return refused
    if row is None:
        tables.write_row(stands)
    if mark is None or mark.height < (fence.epoch, fence.token):
        moves = 0 if mark is None else mark.moves
        tables.write_mark(fence.registry, fence.process_id, Mark(fence.epoch, fence.token, moves))
    return opened


def _append(
    tables: SessionTables, row: SessionRow, request: AppendEntry, policy: SessionPolicy
) -> SessionAnswer:
    fault = bad_name(request.entry_id, DEFAULT_LIMITS)
    detail = f"the entry's id: {fault.detail}" if fault else text_fault(request.body)
    if detail:
        return SessionRefused(SessionReason.BAD_TEXT, detail)
    known = tables.entry(request.entry_id)
    if known is not None:
        if known.body != request.body:
            return SessionRefused(SessionReason.CONFLICT, "the entry was appended with another body")
        return Appended(known, row.head)
    if request.parent != row.head:
        return _head_moved(row, request.parent)
    size = utf8_size(request.body)
    grown = SessionRow(request.entry_id, row.entries + 1, row.size + size, max(row.largest, size))
    refused = _over(grown, policy)
    if refused is not None:
        return refused
    entry = Entry(request.entry_id, request.parent, grown.entries, request.body)
    tables.write_row(grown)
    tables.add(entry)
    return Appended(entry, entry.id)


def _move(tables: SessionTables, row: SessionRow, request: MoveHead, mark: Mark | None) -> SessionAnswer:
    if mark is not None and 0 < request.n <= mark.moves:
        return Moved(row.head)
    if tables.entry(request.to) is None:
        return SessionRefused(SessionReason.UNKNOWN_ENTRY, f"no entry {request.to!r}")
    if row.head not in (request.head, request.to):
        return _head_moved(row, request.head)
    tables.write_row(changed(row, head=request.to))
    if request.fence is not None and mark is not None and request.n:
        tables.write_mark(request.fence.registry, request.fence.process_id, changed(mark, moves=request.n))
    return Moved(request.to)


def _head_moved(row: SessionRow, known: str) -> SessionRefused:
    return SessionRefused(SessionReason.HEAD_MOVED, f"the head is {row.head!r}, not {known!r}", row.head)


def _over(row: SessionRow, policy: SessionPolicy) -> SessionRefused | None:
    """Why a session would be, or is, larger than the policy allows."""
    for reason, count, limit, words in (
        (SessionReason.ENTRY_BYTES, row.largest, policy.entry_bytes, "bytes in one entry"),
        (SessionReason.ENTRIES, row.entries, policy.entries, "entries"),
        (SessionReason.TOTAL_BYTES, row.size, policy.total_bytes, "bytes in all entries together"),
    ):
        if count > limit:
            return SessionRefused(reason, f"{count} {words}; the limit is {limit}")
    return None
