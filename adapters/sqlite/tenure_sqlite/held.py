"""One connection to tenure's file for tables beside the registry's, guarded by a lock, and made again after trouble.

What goes wrong is raised, by `trouble`'s table: StoreUnavailable where it surely was not applied, StoreUnknown where it
may have been, StoreUnusable where trying again cannot help.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import NoReturn, TypeVar

from tenure.errors import ForkedProcess, StoreUnavailable, StoreUnknown, StoreUnusable
from tenure.replies import Unknown
from tenure_sqlite import forks
from tenure_sqlite.link import CLOSE_PATIENCE, GAP, Connect, check_place, connect, open_file, patiently
from tenure_sqlite.trouble import TROUBLE, Trouble, answer_to, is_busy, raise_unusable, words_of

T = TypeVar("T")


class HeldFile:
    """Any thread may call; one at a time is served.

    `tables`: the statements that make the tables, all in one transaction where the file does not have `first`, one of
    them. `patience`: seconds to wait for another process's transaction. `gap`: seconds between two of ours.
    """

    def __init__(
        self,
        path: Path,
        first: str,
        tables: Sequence[str],
        patience: float,
        open_connection: Connect = connect,
        gap: float = GAP,
    ) -> None:
        self.path, self._patience, self._gap, self._connect = path, patience, gap, open_connection
        self._pid = os.getpid()
        self._closed = Event()
        self._lock = Lock()
        self._link: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._last_write = 0.0
        check_place(path)
        forks.refuse_inherited(path)
        forks.watch(self)
        try:
            link = self._open("rwc")
            patiently(lambda: _have_tables(link, first, tables), patience)
        except TROUBLE as error:
            self._drop()
            raise_unusable(error, path, opening=True)
            raise StoreUnavailable(f"{path} could not be opened: {words_of(error)}") from error

    def reading(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """What `act` returns, which reads by one statement."""
        with self._lock_of_process():
            try:
                self._check_open()
                link = self._ready()
                return patiently(lambda: act(link), self._patience)
            except TROUBLE as error:
                self._failed(error, committing=False)
            finally:
                self._drop_if_closed()

    def writing(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """What `act` returns, in one write transaction, which an exception rolls back."""
        committing = False
        with self._lock_of_process():
            try:
                self._check_open()
                link = self._ready()
                gap = self._last_write + self._gap - time.monotonic()
                if gap > 0:
                    time.sleep(gap)
                patiently(lambda: link.execute("BEGIN IMMEDIATE"), self._patience)
                result = act(link)
                committing = True
                link.execute("COMMIT")
                return result
            except TROUBLE as error:
                self._failed(error, committing=committing)
            except BaseException:
                self._drop()  # closing rolls back
                raise
            finally:
                self._last_write = time.monotonic()
                self._drop_if_closed()

    def close(self) -> None:
        """Close the connection; one in use by a call that hangs is closed by that call's own thread. Repeatable."""
        self._check_process()
        self._closed.set()
        if self._lock.acquire(timeout=CLOSE_PATIENCE):
            try:
                self._drop()
            finally:
                self._lock.release()

    def connections(self) -> list[sqlite3.Connection]:
        """What is open now; `forks` keeps it so in a child."""
        return [self._link] if self._link is not None else []

    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file."""
        return self._identity

    def _open(self, mode: str) -> sqlite3.Connection:
        self._link = open_file(self.path, self._connect, mode, self._patience)
        self._identity = forks.file_identity(self.path)
        return self._link

    def _ready(self) -> sqlite3.Connection:
        """The connection, made again after trouble. Never makes the file: what was acknowledged is in the old one."""
        if forks.file_identity(self.path) != self._identity:
            self._drop()
            raise StoreUnusable(
                f"{self.path} was moved, removed or replaced while it was open; put it back and start again"
            )
        return self._link or self._open("rw")

    def _failed(self, error: Trouble, *, committing: bool) -> NoReturn:
        # What only waited for the lock, and did not get it, has nothing to roll back.
        if not is_busy(error) or (self._link is not None and self._link.in_transaction):
            self._drop()
        answer = answer_to(error, self.path, committing=committing)
        raise (StoreUnknown if isinstance(answer, Unknown) else StoreUnavailable)(answer.cause) from error

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _drop_if_closed(self) -> None:
        if self._closed.is_set():
            self._drop()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise StoreUnavailable(f"{self.path}: the store was closed")

    def _lock_of_process(self) -> Lock:
        self._check_process()
        return self._lock

    def _check_process(self) -> None:
        """Before the lock: in a child it may be held by a thread that is not there."""
        if os.getpid() != self._pid:
            raise ForkedProcess(
                f"{self.path} was opened before fork(); a child can neither use nor close what its parent has open. "
                "Open the store after the fork only, or start the child by spawn."
            )


def _have_tables(link: sqlite3.Connection, first: str, tables: Sequence[str]) -> None:
    """Several processes may do this to one file at once: whoever gets the lock looks again."""
    if _has(link, first):
        return
    link.execute("BEGIN IMMEDIATE")
    try:
        if not _has(link, first):
            for statement in tables:
                link.execute(statement)
        link.execute("COMMIT")
    except BaseException:
        if link.in_transaction:
            link.execute("ROLLBACK")
        raise


def _has(link: sqlite3.Connection, table: str) -> bool:
    (found,) = link.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    return bool(found)
