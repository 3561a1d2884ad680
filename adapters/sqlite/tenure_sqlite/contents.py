"""Attachments and artifacts in tenure's SQLite file. Tier DURABLE: a content that was answered survives a crash.

The chunks are in the database, not in files beside it, because a content and the rows that name it then cannot be
parted: there is one file to back up, and one that fills the disk; a content becomes visible in the transaction that
writes its last chunks; and what a crash leaves is rows, which a rule removes. Files beside it would want an fsync of
their own and of their folder, in the right order, and would be found as orphans or missed as lost after each crash in
between. The price is that the bytes are written twice, to the log and to the file, and that the file never shrinks by
itself: the room of what was removed is used again.

An upload commits every few chunks, so that the write-ahead log stays a few MiB long and the registry's own writes wait
for one such transaction at most; between two of them there is a gap for other programs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from tenure.contents import SIZE_LIMIT, BytesLike, Chunk, Content, Intake, check_id, verified
from tenure.errors import ContentCorrupt, ContentNotFound, InvalidValue, StoreUnavailable, StoreUnknown
from tenure.instants import StoreTime
from tenure.stores import DurabilityTier
from tenure_sqlite.clock import system_clock
from tenure_sqlite.contents_schema import FIRST, TABLES
from tenure_sqlite.held import HeldFile
from tenure_sqlite.link import GAP, Connect, connect
from tenure_sqlite.location import path_of

PER_WRITE = 8
"""Chunks that an upload adds in one transaction."""
PER_REMOVAL = 64
"""Chunks that are removed in one transaction."""
FORGOTTEN = 86_400_000
"""Milliseconds after which an upload that nobody wrote to counts as left behind by a crash."""
PATIENCE = 10.0
"""Seconds to wait for another process's transaction. A content's call delays no lease, so it may wait longer than the
registry's."""


def open_contents(
    url: str,
    what: Literal["attachment", "artifact"],
    *,
    clock: Callable[[], StoreTime] | None = None,
    busy_timeout: float = PATIENCE,
    gap: float = GAP,
    size_limit: int = SIZE_LIMIT,
) -> SqliteContents:
    """The attachments, or the artifacts, in the file that the URL names; the file is made where it is missing.

    `busy_timeout` and `gap` in seconds, as for the registry; `size_limit`: bytes of one content. `clock` is for tests.
    Raises InvalidValue for the URL, StoreUnusable for a file that tenure cannot work on, StoreUnavailable for trouble
    that may pass.
    """
    return SqliteContents(path_of(url), what, clock or system_clock, busy_timeout, gap, size_limit)


class SqliteContents:
    """A `tenure.ContentStore`. `open_connection` is a seam for tests, which make SQLite fail there."""

    def __init__(
        self,
        path: Path,
        what: str,
        clock: Callable[[], StoreTime] = system_clock,
        busy_timeout: float = PATIENCE,
        gap: float = GAP,
        size_limit: int = SIZE_LIMIT,
        open_connection: Connect = connect,
    ) -> None:
        self.what, self.size_limit = what, size_limit
        self._clock = clock
        self._file = HeldFile(path, FIRST, TABLES, busy_timeout, open_connection, gap)
        self._abandoned: set[int] = set()

    @property
    def tier(self) -> DurabilityTier:
        """DURABLE: what was answered survives a crash of the program or the machine."""
        return DurabilityTier.DURABLE

    def begin(self) -> SqliteUpload:
        """A new upload, of which the file has nothing before its first chunks; uploads that were left are removed."""
        self.remove_left()
        return SqliteUpload(self, self._file, self._clock)

    def stat(self, content_id: str) -> Content:
        """What is known of it."""
        return self._kept(content_id)[1]

    def chunks(self, content_id: str) -> Iterator[bytes]:
        """Its bytes. Each chunk is read by itself, so that nothing is held while the caller takes its time."""
        number, content = self._kept(content_id)
        yield from verified(self.what, content, self._stored(number))

    def corrupt(self, content_id: str) -> int | None:
        """The number of what is kept under that id, where it is not what was put there. Reads all of it."""
        found = self._file.reading(lambda link: find(link, self.what, content_id))
        if found is None:
            return None
        number, content = found
        try:
            for _ in verified(self.what, content, self._stored(number)):
                pass
        except ContentCorrupt:
            return number
        return None

    def close(self) -> None:
        """Close the connection. Repeatable."""
        self._file.close()

    def _kept(self, content_id: str) -> tuple[int, Content]:
        check_id(self.what, content_id)
        found = self._file.reading(lambda link: find(link, self.what, content_id))
        if found is None:
            raise ContentNotFound(self.what, content_id)
        return found

    def _stored(self, number: int) -> Iterator[Chunk]:
        """Whatever is stored, in order; whether that is all, and right, `verified` sees."""
        after = -1
        while True:
            row = self._file.reading(partial(_chunk_after, number=number, n=after))
            if row is None:
                return
            after, digest, body = row
            yield Chunk(after, body, digest)

    # --- what is left behind --------------------------------------------------------------------------------------

    def abandon(self, number: int) -> None:
        """Have the upload removed by the next `remove_left`; waits for nothing."""
        self._abandoned.add(number)

    def remove_left(self) -> None:
        """Remove the uploads that were given up here, and those that nobody wrote to for a day, wherever."""
        before = self._clock() - FORGOTTEN
        abandoned = self._abandoned.copy()
        if not abandoned and not self._file.reading(lambda link: _are_left(link, before)):
            return
        self._file.writing(lambda link: _give_up(link, abandoned, before))
        self._abandoned -= abandoned
        while self._file.writing(_remove_some):
            pass


class SqliteUpload:
    """A `tenure.contents.Upload`."""

    def __init__(self, store: SqliteContents, file: HeldFile, clock: Callable[[], StoreTime]) -> None:
        self._store, self._file, self._clock = store, file, clock
        self._intake = Intake(store.what, store.size_limit)
        self._pending: list[Chunk] = []
        self._number: int | None = None
        self._over = False

    def write(self, chunk: BytesLike) -> None:
        """Add bytes; every few chunks they are written."""
        self._check()
        try:
            for full in self._intake.feed(chunk):
                self._pending.append(full)
                if len(self._pending) >= PER_WRITE:
                    self._number = self._file.writing(self._add)
                    self._pending.clear()
                    self._check()  # given up meanwhile, perhaps, by somebody who did not know the number
        except BaseException:
            self.abandon()
            raise

    def commit(self, name: str, media_type: str) -> Content:
        """Write what is pending and make it visible, in one transaction.

        What is kept under its id already is read first, and replaced if it is corrupt: what is answered can be read.
        """
        self._check()
        try:
            self._pending.extend(self._intake.last())
            content = self._intake.content(name, media_type)
            corrupt = self._store.corrupt(content.id)
            kept, is_new = self._file.writing(lambda link: self._keep(link, content, corrupt))
        except BaseException:
            self.abandon()
            raise
        if is_new:
            self._over = True
        else:
            self.abort()
        return kept

    def abort(self) -> None:
        """Give it up, and remove its chunks."""
        self.abandon()
        try:
            self._store.remove_left()
        except (StoreUnavailable, StoreUnknown):  # it is tried again
            pass

    def abandon(self) -> None:
        """Give it up. A write under way may still add a few chunks; it is removed after that."""
        self._over = True
        if self._number is not None:
            self._store.abandon(self._number)

    def _check(self) -> None:
        if self._over:
            raise InvalidValue(f"this upload of an {self._store.what} is over; begin another")

    def _add(self, link: sqlite3.Connection) -> int:
        """Write the pending chunks, and the upload's row before the first; its number."""
        self._check()
        now = self._clock()
        number = self._number
        if number is None:
            (number,) = link.execute(
                "INSERT INTO contents (what, state, written_at, id, size, name, media_type) "
                "VALUES (?, 'uploading', ?, '', 0, '', '') RETURNING number",
                (self._store.what, now),
            ).fetchone()
        elif not link.execute(
            "UPDATE contents SET written_at = ? WHERE number = ? AND state = 'uploading'", (now, number)
        ).rowcount:
            raise StoreUnavailable(
                f"{self._file.path}: the upload was removed, since nobody wrote to it for a day; begin it again"
            )
        link.executemany(
            "INSERT INTO content_chunks (content, n, digest, body) VALUES (?, ?, ?, ?)",
            [(number, chunk.n, chunk.digest, chunk.body) for chunk in self._pending],
        )
        return number

    def _keep(self, link: sqlite3.Connection, content: Content, corrupt: int | None) -> tuple[Content, bool]:
        """The content as it is kept now, and whether it is this upload's, which replaces the `corrupt` one."""
        self._check()
        found = find(link, self._store.what, content.id)
        if found is not None and found[0] != corrupt:
            return found[1], False
        link.execute("UPDATE contents SET state = 'removing' WHERE number = ?", (corrupt,))
        link.execute(
            "UPDATE contents SET state = 'kept', id = ?, size = ?, name = ?, media_type = ? WHERE number = ?",
            (content.id, content.size, content.name, content.media_type, self._add(link)),
        )
        return content, True


def find(link: sqlite3.Connection, what: str, content_id: str) -> tuple[int, Content] | None:
    """The number of a visible content, and what is known of it."""
    row = link.execute(
        "SELECT number, id, size, name, media_type FROM contents WHERE what = ? AND id = ? AND state = 'kept'",
        (what, content_id),
    ).fetchone()
    return None if row is None else (row[0], Content(*row[1:]))


def _chunk_after(link: sqlite3.Connection, number: int, n: int) -> tuple[int, bytes, bytes] | None:
    row: tuple[int, bytes, bytes] | None = link.execute(
        "SELECT n, digest, body FROM content_chunks WHERE content = ? AND n > ? ORDER BY n LIMIT 1",
        (number, n),
    ).fetchone()
    return row


def _are_left(link: sqlite3.Connection, before: int) -> bool:
    query = (
        "SELECT 1 FROM contents WHERE state = 'removing' OR (state = 'uploading' AND written_at < ?) LIMIT 1"
    )
    return link.execute(query, (before,)).fetchone() is not None


def _give_up(link: sqlite3.Connection, abandoned: set[int], before: int) -> None:
    """From here on nobody can write to them any more."""
    link.execute(
        "UPDATE contents SET state = 'removing' WHERE state = 'uploading' AND written_at < ?", (before,)
    )
    link.executemany(
        "UPDATE contents SET state = 'removing' WHERE state = 'uploading' AND number = ?",
        [(number,) for number in abandoned],
    )


def _remove_some(link: sqlite3.Connection) -> bool:
    """Remove a few chunks of one upload, and its row with the last of them; False where there is none any more."""
    row = link.execute("SELECT number FROM contents WHERE state = 'removing' LIMIT 1").fetchone()
    if row is None:
        return False
    removed = link.execute(
        "DELETE FROM content_chunks WHERE rowid IN (SELECT rowid FROM content_chunks WHERE content = ? LIMIT ?)",
        (row[0], PER_REMOVAL),
    ).rowcount
    if removed < PER_REMOVAL:
        link.execute("DELETE FROM contents WHERE number = ?", row)
    return True
