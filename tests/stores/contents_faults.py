"""Stores of contents over a SQLite that can be made to fail."""

from __future__ import annotations

from pathlib import Path

from tenure.contents import CHUNK, Content
from tenure_sqlite import SqliteContents
from tenure_sqlite.contents import PER_WRITE
from tenure_testing.registry_world import ManualClock
from tests.stores.test_sqlite_trouble import Fault

BOUND = 10.0
"""Seconds until a thread is given up; a bound, not a speed."""
LARGE = b"".join(n.to_bytes(8, "big") * (CHUNK // 8) for n in range(PER_WRITE + 1))
"""Written in two transactions."""


def faulty(
    path: Path, fault: Fault, patience: float = 0.05, clock: ManualClock | None = None
) -> SqliteContents:
    clock = clock or ManualClock()
    return SqliteContents(path, "attachment", clock, patience, gap=0, open_connection=fault.connect)


def put(store: SqliteContents, data: bytes) -> Content:
    upload = store.begin()
    upload.write(data)
    return upload.commit("", "")


def goes_on(store: SqliteContents, data: bytes) -> None:
    """The same again succeeds, and nothing is left of the first time."""
    content = put(store, data)
    assert b"".join(store.chunks(content.id)) == data
