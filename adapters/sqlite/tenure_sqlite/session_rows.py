"""One session's rows in SQLite, as the law reads and writes them: `tenure.session_tables.SessionTables`.

Each read is one statement, so that it sees one state of the file also where no transaction holds it. A path is read
from its leaf upwards by the index on ids: as many rows as it has entries, however large the tree is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

from tenure.canonical import Json, text_fault
from tenure.instants import StoreTime
from tenure.session_tables import Mark, SessionRow
from tenure.sessions import Entry

_Row: TypeAlias = tuple[str, str, int, bytes]

# A body comes as bytes, so that one that was altered on disk is seen by the session, and named.
_PATH = """
    WITH RECURSIVE up (id, parent, seq, body) AS (
      SELECT e.id, e.parent, e.seq, CAST(e.body AS BLOB) FROM session_entries e
      WHERE e.session = (SELECT n FROM sessions WHERE id = ?1) AND e.id = ?2
      UNION ALL
      SELECT e.id, e.parent, e.seq, CAST(e.body AS BLOB) FROM up CROSS JOIN session_entries e
      WHERE e.session = (SELECT n FROM sessions WHERE id = ?1) AND e.id = up.parent
      LIMIT ?3
    )
    SELECT id, parent, seq, body FROM up
"""
_TREE = """
    SELECT id, parent, seq, CAST(body AS BLOB) FROM session_entries
    WHERE session = (SELECT n FROM sessions WHERE id = ?) AND seq > ? ORDER BY seq LIMIT ?
"""
_WRITE_ROW = """
    INSERT INTO sessions (id, head, entries, size, largest) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE
    SET head = excluded.head, entries = excluded.entries, size = excluded.size, largest = excluded.largest,
      gone_at = NULL
"""
_MARK = """
    SELECT epoch, token, moves FROM session_marks
    WHERE session = (SELECT n FROM sessions WHERE id = ?) AND registry = ? AND process = ?
"""
_WRITE_MARK = """
    INSERT OR REPLACE INTO session_marks (session, registry, process, epoch, token, moves)
    VALUES ((SELECT n FROM sessions WHERE id = ?), ?, ?, ?, ?, ?)
"""
ADD = """
    INSERT INTO session_entries (session, seq, id, parent, body)
    VALUES ((SELECT n FROM sessions WHERE id = ?), ?, ?, ?, ?)
"""
"""Of a session's id, and an entry's seq, id, parent and body."""

_CLEAR = """
    DELETE FROM session_entries
    WHERE rowid IN (SELECT rowid FROM session_entries WHERE session = ? ORDER BY seq LIMIT ?)
"""
PIECE = 2_000
"""Entries that one transaction removes at most, so that nobody else waits long for it."""


@frozen
class SqliteSessionTables:
    """`id` is the session's."""

    link: sqlite3.Connection
    id: str

    def row(self) -> SessionRow | None:
        query = "SELECT head, entries, size, largest FROM sessions WHERE id = ? AND gone_at IS NULL"
        found = self.link.execute(query, (self.id,)).fetchone()
        return None if found is None else SessionRow(*found)

    def write_row(self, row: SessionRow) -> None:
        self.link.execute(_WRITE_ROW, (self.id, row.head, row.entries, row.size, row.largest))

    def mark(self, registry: str, process_id: str) -> Mark | None:
        if text_fault(registry + process_id):
            return None
        found = self.link.execute(_MARK, (self.id, registry, process_id)).fetchone()
        return None if found is None else Mark(*found)

    def write_mark(self, registry: str, process_id: str, mark: Mark) -> None:
        self.link.execute(_WRITE_MARK, (self.id, registry, process_id, mark.epoch, mark.token, mark.moves))

    def entry(self, entry_id: str) -> Entry | None:
        return next(iter(self.path(entry_id, 1)), None)

    def add(self, entry: Entry) -> None:
        self.link.execute(ADD, (self.id, entry.seq, entry.id, entry.parent, entry.body))

    def path(self, leaf: str, limit: int) -> Sequence[Entry]:
        if text_fault(leaf):
            return ()
        return _entries(self.link.execute(_PATH, (self.id, leaf, limit)))

    def tree(self, after: int, limit: int) -> Sequence[Entry]:
        return _entries(self.link.execute(_TREE, (self.id, after, limit)))

    def remove(self, clock: StoreTime) -> None:
        link = self.link
        (number,) = link.execute("SELECT n FROM sessions WHERE id = ?", (self.id,)).fetchone()
        link.execute("DELETE FROM sessions WHERE n = ?", (number,))
        insert = "INSERT INTO sessions (id, head, entries, size, largest, gone_at) VALUES (?, '', 0, 0, 0, ?)"
        left = link.execute(insert, (self.id, clock)).lastrowid
        link.execute("UPDATE session_marks SET session = ?, moves = 0 WHERE session = ?", (left, number))
        link.execute("INSERT INTO session_leftovers (session) VALUES (?)", (number,))
        clear_some(link)

    def forget(self, before: StoreTime, sessions: int) -> None:
        query = "SELECT n FROM sessions WHERE gone_at < ? ORDER BY gone_at, id LIMIT ?"
        gone = self.link.execute(query, (before, sessions)).fetchall()
        if gone:
            self.link.executemany("DELETE FROM session_marks WHERE session = ?", gone)
            self.link.executemany("DELETE FROM sessions WHERE n = ?", gone)
        clear_some(self.link)


def clear_some(link: sqlite3.Connection) -> bool:
    """Remove at most PIECE entries that a deleted session left; False where there are none."""
    left = link.execute("SELECT session FROM session_leftovers LIMIT 1").fetchone()
    if left is None:
        return False
    if link.execute(_CLEAR, (*left, PIECE)).rowcount < PIECE:
        link.execute("DELETE FROM session_leftovers WHERE session = ?", left)
    return True


def _entries(found: Iterable[_Row]) -> list[Entry]:
    return [
        Entry(entry_id, parent, seq, Json(body.decode(errors="surrogateescape")))
        for entry_id, parent, seq, body in found
    ]
