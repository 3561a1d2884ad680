"""The registry in one SQLite file: `sqlite:///file.db`. Tier DURABLE: an answered write survives a crash (S21).

A batch is one transaction. A batch of reads takes no lock that a writer would wait for; so does a claim that would
grant nothing, which is what an idle worker sends again and again. `wait` has a connection of its own.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Lock

from tenure.errors import ForkedProcess, StoreUnavailable, StoreUnusable
from tenure.facets import StoredFacets
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.model import execute
from tenure.replies import Answer, Unavailable
from tenure.requests import (
    AppendEvent,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Get,
    List,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.stores import Cursor, DurabilityTier
from tenure_sqlite import forks
from tenure_sqlite.clock import system_clock
from tenure_sqlite.facets import SqliteFacets
from tenure_sqlite.link import CLOSE_PATIENCE, GAP, Connect, check_place, connect, open_file, patiently
from tenure_sqlite.location import path_of
from tenure_sqlite.tables import NeedsWrite, SqliteTables
from tenure_sqlite.trouble import TROUBLE, Trouble, answer_to, is_busy, raise_unusable, words_of

FEED_POLL = 0.03
"""Seconds between two looks at the file's change counter, while somebody waits."""

_READS = (Get, List, ReadEvents, ReadOwnerEvents, ReadEffects, ReadEndings, ReadCancels, ReadFenceLog)
_MAYBE_READS = frozenset((*_READS, ClaimNext))


def open_store(
    url: str,
    *,
    clock: Callable[[], StoreTime] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    busy_timeout: float = 2.0,
    gap: float = GAP,
) -> SqliteRegistry:
    """The store in the file that the URL names; the file is made where it is missing.

    `busy_timeout`: seconds to wait for another process's transaction, then it is Unavailable. Less than a worker's
    `call_timeout`, which is 3 s unless told: at that the worker takes an answer for lost, and drops it when it comes.
    `gap`: seconds that this process leaves between two write transactions; 0 is for a file that nobody else opens.
    `clock` is for tests.

    Raises InvalidValue for the URL, StoreUnusable for a file that tenure cannot work on, StoreUnavailable for trouble
    that may pass.
    """
    return SqliteRegistry(path_of(url), clock or system_clock, limits, busy_timeout, gap=gap)


class SqliteRegistry:
    """A `tenure.stores.ProcessRegistry`. Any thread may call; `execute` and `wait` do not wait for each other.

    `open_connection` is a seam for tests, which make SQLite fail there.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], StoreTime],
        limits: Limits,
        busy_timeout: float,
        open_connection: Connect = connect,
        gap: float = GAP,
    ) -> None:
        self.path, self._gap = path, gap
        self._clock, self._limits, self._patience = clock, limits, busy_timeout
        self._connect = open_connection
        self._pid = os.getpid()
        self._closed = Event()
        self._lock, self._feed_lock = Lock(), Lock()
        self._tables: SqliteTables | None = None
        self._feed: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._last_write = 0.0
        self._facets = SqliteFacets(path, clock, limits, busy_timeout, gap, open_connection)
        check_place(path)
        forks.refuse_inherited(path)
        forks.watch(self)
        try:
            tables = self._open("rwc")
            tables.load((), reading=True)
        except TROUBLE as error:
            self._drop()
            raise_unusable(error, path, opening=True)
            raise StoreUnavailable(f"{path} could not be opened: {words_of(error)}") from error
        self._epoch = tables.epoch

    @property
    def tier(self) -> DurabilityTier:
        """DURABLE: what was answered survives a crash of the program or the machine."""
        return DurabilityTier.DURABLE

    @property
    def epoch(self) -> int:
        """The file's epoch as last read: outside this store a fencing token is compared as (epoch, token)."""
        return self._epoch

    def facets(self) -> StoredFacets:
        """The sessions, attachments and artifacts in the same file. Raises StoreUnusable, StoreUnavailable."""
        self._check_process()
        return self._facets.opened()

    # --- requests -------------------------------------------------------------------------------------------------

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """The answers to the batch, in its order. Raises StoreUnusable; other trouble is an answer (`trouble`)."""
        self._check_process()
        with self._lock:
            if self._closed.is_set():
                return [Unavailable("the store was closed")] * len(batch)
            try:
                answers = self._read(batch) if all(type(r) in _MAYBE_READS for r in batch) else None
                return self._write(batch) if answers is None else answers
            finally:
                if self._closed.is_set():
                    self._drop()

    def _read(self, batch: Sequence[Request]) -> Sequence[Answer] | None:
        """The answers, or None where a claim would grant, or a refusal be noted: that takes the lock."""
        try:
            tables = self._ready()
            return patiently(lambda: self._read_once(tables, batch), self._patience)
        except NeedsWrite:
            return None
        except TROUBLE as error:
            return self._failed(error, batch, committing=False)

    def _read_once(self, tables: SqliteTables, batch: Sequence[Request]) -> Sequence[Answer]:
        link = tables.link
        link.execute("BEGIN")
        try:
            tables.load(_named(batch), reading=True)
            clock = self._clock()
            answers = [execute(tables, request, clock) for request in batch]
            tables.keep()
            return answers
        finally:
            if link.in_transaction:
                link.execute("ROLLBACK")

    def _write(self, batch: Sequence[Request]) -> Sequence[Answer]:
        committing = False
        try:
            tables = self._ready()
            link = tables.link
            gap = self._last_write + self._gap - time.monotonic()
            if gap > 0:
                time.sleep(gap)
            patiently(lambda: link.execute("BEGIN IMMEDIATE"), self._patience)
            tables.load(_named(batch), reading=False)
            clock = self._clock()
            answers = [execute(tables, request, clock) for request in batch]
            if tables.flush():
                committing = True
                link.execute("COMMIT")
                tables.keep()
            else:
                link.execute("ROLLBACK")
            self._epoch = tables.epoch
            return answers
        except TROUBLE as error:
            return self._failed(error, batch, committing=committing)
        except BaseException:
            self._drop()
            raise
        finally:
            self._last_write = time.monotonic()

    def _failed(self, error: Trouble, batch: Sequence[Request], *, committing: bool) -> Sequence[Answer]:
        # Closing rolls back. What only waited for the lock, and did not get it, has nothing to roll back.
        if not is_busy(error) or (self._tables is not None and self._tables.link.in_transaction):
            self._drop()
        return [answer_to(error, self.path, committing=committing)] * len(batch)

    def _ready(self) -> SqliteTables:
        """The connection, made again after trouble. Never makes the file: what was acknowledged is in the old one."""
        if forks.file_identity(self.path) != self._identity:
            self._drop()
            raise StoreUnusable(
                f"{self.path} was moved, removed or replaced while it was open; put it back and start again"
            )
        return self._tables or self._open("rw")

    def _open(self, mode: str) -> SqliteTables:
        link = open_file(self.path, self._connect, mode, self._patience)
        self._identity = forks.file_identity(self.path)
        self._tables = SqliteTables(link, self._limits)
        return self._tables

    def _drop(self) -> None:
        tables, self._tables = self._tables, None
        if tables is not None:
            tables.link.close()

    # --- the feed -------------------------------------------------------------------------------------------------

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """The cursor as soon as it moved past `after`, or after `timeout` seconds, or after `close`: a hint."""
        self._check_process()
        until = time.monotonic() + timeout
        with self._feed_lock:
            try:
                return self._watch(after, until)
            except TROUBLE:
                self._drop_feed()
                self._closed.wait(max(0.0, min(1.0, until - time.monotonic())))
                return after
            finally:
                if self._closed.is_set():
                    self._drop_feed()

    def _watch(self, after: Cursor, until: float) -> Cursor:
        if self._closed.is_set():
            return after
        if self._feed is None:
            self._feed = self._connect(self.path, "rw")
            self._feed.execute("PRAGMA query_only = ON")
        seen, cursor = None, after
        while True:
            (changes,) = self._feed.execute("PRAGMA data_version").fetchone()
            if changes != seen:
                seen = changes
                cursor = Cursor(*self._feed.execute("SELECT number, work FROM meta").fetchone())
                if cursor.version > after.version or cursor.work > after.work:
                    return cursor
            left = until - time.monotonic()
            if left <= 0 or self._closed.wait(min(left, FEED_POLL)):
                return cursor

    def _drop_feed(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    # --- the end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections; one in use by a call that hangs is closed by that call's own thread. Repeatable."""
        self._check_process()
        self._closed.set()
        self._facets.close()
        for lock, drop in ((self._feed_lock, self._drop_feed), (self._lock, self._drop)):
            if lock.acquire(timeout=CLOSE_PATIENCE):
                try:
                    drop()
                finally:
                    lock.release()

    def connections(self) -> list[sqlite3.Connection]:
        """What is open now; `forks` keeps it so in a child."""
        links = [self._feed, self._tables.link if self._tables else None]
        return [link for link in links if link is not None]

    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file."""
        return self._identity

    def _check_process(self) -> None:
        """Before any lock: in a child it may be held by a thread that is not there."""
        if os.getpid() != self._pid:
            raise ForkedProcess(
                f"{self.path} was opened before fork(); a child can neither use nor close what its parent has open. "
                "Open the store after the fork only, or start the child by spawn."
            )


def _named(batch: Sequence[Request]) -> list[str]:
    """The processes that the batch asks for by name: their rows are read together."""
    names: dict[str, None] = {}
    for request in batch:
        match request:
            case Complete() | Renew() | RecordEffect() | EmitEvent() | Release():
                names[request.fence.process_id] = None
            case Register():
                names[request.registration.id] = None
            case Get() | ReadEvents() | RequestCancel() | AppendEvent() | CompleteExternal():
                names[request.process_id] = None
            case _:
                pass
    return list(names)
