"""Connections: how the file is opened, recognised, made, and waited for."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tenure.errors import StoreUnusable
from tenure_sqlite.schema import create, recognised
from tenure_sqlite.trouble import is_busy

T = TypeVar("T")

Connect = Callable[[Path, str], sqlite3.Connection]
"""Opens the path in SQLite's mode `rwc` (made where it is missing) or `rw`."""

RETRY = 0.000_7
"""Seconds between two tries for the lock. Other processes leave a gap of 1 ms between their transactions, and SQLite's
own handler, which soon sleeps for 100 ms, would miss it again and again."""

GAP = 0.001
"""Seconds that this process leaves between two write transactions, so that others get in (CONTRACT §5)."""
CLOSE_PATIENCE = 1.0
"""Seconds that `close` waits for a call in another thread; then that thread closes its connection itself."""

_FULL = 2


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection in autocommit mode, for any thread (one at a time), that never waits by itself."""
    uri = f"{path.as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)


def patiently(act: Callable[[], T], patience: float) -> T:
    """What `act` returns; it is tried again for `patience` seconds while another process is in the way."""
    until = time.monotonic() + patience
    while True:
        try:
            return act()
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
        time.sleep(RETRY)


def check_place(path: Path) -> None:
    """Raise StoreUnusable, with its reason, where SQLite could only say that it cannot open the file."""
    if path.is_dir():
        raise StoreUnusable(f"{path} is a directory; name a file in it")
    folder = path.parent
    if not folder.is_dir():
        raise StoreUnusable(f"{path} cannot be opened: its folder {folder} does not exist; make it first")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnusable(f"{path} cannot be written; give this user the right to read and write it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnusable(
            f"{path} cannot be written: SQLite keeps its log beside it; give this user the right to write {folder}"
        )


def open_file(path: Path, open_connection: Connect, mode: str, patience: float) -> sqlite3.Connection:
    """A connection to a file with our schema, made in this call where the file is new (mode `rwc`).

    Several processes may do this to one new file at once: the schema is made in one write transaction by whoever gets
    the lock, after looking again. Raises StoreUnusable, or SQLite's error.
    """
    link = open_connection(path, mode)
    try:
        if not patiently(lambda: _looked_at(link, path), patience):
            # Never on another program's file: this is the first thing that would change it.
            patiently(lambda: _set_up(link, path), patience)
        patiently(lambda: _use_log(link, path), patience)
        link.execute("PRAGMA synchronous = FULL")
        link.execute("PRAGMA fullfsync = ON")
        (synchronous,) = link.execute("PRAGMA synchronous").fetchone()
        if synchronous != _FULL:
            raise StoreUnusable(
                f"{path}: this SQLite does not wait for the disk; acknowledged writes could be lost"
            )
    except BaseException:
        link.close()
        raise
    return link


def _use_log(link: sqlite3.Connection, path: Path) -> None:
    (mode,) = link.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnusable(
            f"{path} cannot have a write-ahead log there (a network file system?); use a local disk"
        )


def _looked_at(link: sqlite3.Connection, path: Path) -> bool:
    """In one read transaction: another process may make the schema between two of these reads, and the half that
    was seen would be taken for another program's."""
    link.execute("BEGIN")
    try:
        return recognised(link, path)
    finally:
        if link.in_transaction:
            link.execute("ROLLBACK")


def _set_up(link: sqlite3.Connection, path: Path) -> None:
    _use_log(link, path)
    link.execute("BEGIN IMMEDIATE")
    try:
        if not recognised(link, path):
            create(link)
        link.execute("COMMIT")
    except BaseException:
        if link.in_transaction:
            link.execute("ROLLBACK")
        raise
