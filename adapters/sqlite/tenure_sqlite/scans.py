"""What looks at more than single rows: pages, the feed's reads, the fence log, pruning. The caller wrote before."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from tenure.instants import StoreTime
from tenure.process import Effect, Event, Record
from tenure.reads import listed
from tenure.replies import CancelsRead, EndingsRead, FenceLogRead, FenceNote, Listed, ProcessEnded
from tenure.requests import List, Phase, ReadOwnerEvents
from tenure_sqlite import rows

# Walked by seq, and never by an index that would have its matches sorted first: a page reads as far as it needs.
_BY_SEQ = f"{rows.SELECT} FROM processes p NOT INDEXED CROSS JOIN inputs i ON i.seq = p.seq WHERE p.seq > ?"
_BY_OWNER = (
    f"{rows.SELECT} FROM processes p INDEXED BY owned CROSS JOIN inputs i ON i.seq = p.seq "
    "WHERE p.seq > ? AND p.owner_scope = ? AND p.owner_scope <> ''"
)
TOLD = """
SELECT id, status, version, token, changed_at FROM processes INDEXED BY told
WHERE status IS NOT NULL AND owner_scope = ? AND owner_scope <> '' AND version > ? ORDER BY version LIMIT ?
"""
# What is surely not in a phase; `listed` decides on the rest.
_PHASES = {
    None: "",
    Phase.PENDING: " AND p.status IS NULL",
    Phase.RUNNING: " AND p.held = 1",
    Phase.ENDED: " AND p.status IS NOT NULL",
}


def page(link: sqlite3.Connection, request: List, clock: StoreTime) -> Listed:
    query, values = _BY_SEQ, list[int | str | None]([request.after])
    if request.owner_scope:
        query = _BY_OWNER
        values.append(request.owner_scope)
    query += _PHASES[request.phase]
    if request.kind is not None:
        query += " AND p.kind IS ?"
        values.append(request.kind or None)
    found: list[Record] = []
    with closing(link.execute(query + " ORDER BY p.seq", values)) as cursor:
        for row in cursor:
            record = rows.record_from(row)
            if listed(record, request, clock):
                if len(found) == request.limit:
                    return Listed(tuple(found), found[-1].seq)
                found.append(record)
    return Listed(tuple(found), None)


def events(link: sqlite3.Connection, record: Record, after: int, limit: int) -> Sequence[Event]:
    query = f"{rows.SELECT_EVENT} WHERE process = ? AND seq > ? ORDER BY seq LIMIT ?"
    return [rows.event_from(record.id, row) for row in link.execute(query, (record.seq, after, limit))]


def told(link: sqlite3.Connection, request: ReadOwnerEvents) -> Sequence[ProcessEnded]:
    values = (request.owner_scope, request.after, request.limit)
    return [ProcessEnded(*row) for row in link.execute(TOLD, values)]


def effects(link: sqlite3.Connection, record: Record, after: str, limit: int) -> Sequence[Effect]:
    query = f"{rows.SELECT_EFFECT} WHERE process = ? AND key > ? ORDER BY key LIMIT ?"
    return [rows.effect_from(record.id, row) for row in link.execute(query, (record.seq, after, limit))]


def endings(link: sqlite3.Connection, after: int, limit: int, latest: int) -> EndingsRead:
    query = """
        SELECT version, id FROM processes INDEXED BY ended WHERE status IS NOT NULL AND version > ?
        ORDER BY version LIMIT ?
    """
    return EndingsRead(tuple(link.execute(query, (after, limit)).fetchall()), latest)


def cancels(link: sqlite3.Connection, owner: str, limit: int) -> CancelsRead:
    query = """
        SELECT id, token, cancel FROM processes INDEXED BY cancels
        WHERE claim_owner = ? AND held = 1 AND cancel IS NOT NULL ORDER BY seq LIMIT ?
    """
    return CancelsRead(tuple(link.execute(query, (owner, limit)).fetchall()))


def fence_log(link: sqlite3.Connection, limit: int, total: int) -> FenceLogRead:
    query = "SELECT process_id, request, stale, current, owner, at FROM fence_log ORDER BY n DESC LIMIT ?"
    return FenceLogRead(tuple(FenceNote(*row) for row in link.execute(query, (limit,))), total)


def note(link: sqlite3.Connection, notes: Sequence[FenceNote], total: int, kept: int) -> None:
    """Add the notes, the last of which is the `total`-th ever; keep the newest."""
    first = total - len(notes) + 1
    link.executemany(
        "INSERT INTO fence_log (n, process_id, request, stale, current, owner, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(n, e.process_id, e.request, e.stale, e.current, e.owner, e.at) for n, e in enumerate(notes, first)],
    )
    link.execute("DELETE FROM fence_log WHERE n <= ?", (total - kept,))


def prune(link: sqlite3.Connection, cutoff: StoreTime, limit: int) -> list[str]:
    """Remove what ended before; the ids of what went."""
    query = """
        SELECT seq, id FROM processes INDEXED BY ended WHERE status IS NOT NULL AND changed_at < ? ORDER BY seq LIMIT ?
    """
    old = link.execute(query, (cutoff, limit)).fetchall()
    seqs = [(seq,) for seq, _ in old]
    for statement in (
        "DELETE FROM processes WHERE seq = ?",
        "DELETE FROM inputs WHERE seq = ?",
        "DELETE FROM events WHERE process = ?",
        "DELETE FROM effects WHERE process = ?",
    ):
        link.executemany(statement, seqs)
    link.execute("DELETE FROM claims WHERE at < ?", (cutoff,))
    return [name for _, name in old]
