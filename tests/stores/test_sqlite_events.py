"""What it costs the file to look at a log that did not grow, and to tell a session what ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.canonical import NULL
from tenure.limits import Limits
from tenure.process import ClaimId, Provenance, Registration, Work
from tenure.replies import EventsRead, OwnerEventsRead
from tenure.requests import (
    AppendEvent,
    Claim,
    ReadEvents,
    ReadOwnerEvents,
    Register,
    Request,
    RequestCancel,
)
from tenure_sqlite.link import connect
from tenure_sqlite.scans import TOLD
from tenure_sqlite.store import SqliteRegistry
from tenure_testing.registry_world import ManualClock, reply_of

NAMES = [f"p{number}" for number in range(20)]


class Watched:
    """A store, and the statements that it ran since `statements` was last emptied."""

    def __init__(self, path: Path) -> None:
        self.statements: list[str] = []
        self.store = SqliteRegistry(path, ManualClock(), Limits(), 1.0, self._connect)

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        link = connect(path, mode)
        link.set_trace_callback(self.statements.append)
        return link

    def run(self, *batch: Request) -> list[EventsRead]:
        self.statements.clear()
        return [reply_of(answer, EventsRead) for answer in self.store.execute(batch)]

    def reading(self, table: str) -> list[str]:
        return [sql for sql in self.statements if f"{table} " in sql.replace("\n", " ")]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Twenty processes that somebody holds, with one event each; a store that did not write them itself."""
    with closing(SqliteRegistry(tmp_path / "s.db", ManualClock(), Limits(), 1.0)) as other:
        other.execute([Register(Registration(name, Work("k"), (), Provenance("s"))) for name in NAMES])
        for number, name in enumerate(NAMES, 1):
            other.execute([Claim(ClaimId("other", number), name, 60_000), AppendEvent(name, "a", NULL, "k")])
    made = Watched(tmp_path / "s.db")
    yield made
    made.store.close()


def test_a_look_at_logs_that_did_not_grow_reads_neither_rows_nor_events(watched: Watched) -> None:
    """A handful of statements, however many look."""
    looks = [ReadEvents(name, 1) for name in NAMES]
    watched.run(*looks)
    assert watched.run(*looks) == [EventsRead((), False)] * 20
    assert watched.reading("FROM events") == watched.reading("JOIN inputs") == []
    assert len(watched.statements) <= 5


def test_a_look_at_a_log_that_grew_reads_what_is_new(watched: Watched) -> None:
    looks = [ReadEvents(name, 1) for name in NAMES]
    watched.run(*looks)
    with closing(SqliteRegistry(watched.store.path, ManualClock(), Limits(), 1.0)) as other:
        other.execute([AppendEvent("p7", "b", NULL, "l")])
    found = watched.run(*looks)
    assert [[event.type for event in read.events] for read in found] == [
        ["b"] if name == "p7" else [] for name in NAMES
    ]
    assert len(watched.reading("FROM events")) == 1


def test_what_a_session_is_told_is_read_off_an_index(watched: Watched) -> None:
    """By session and version: no other session's rows, none before, and nothing to be sorted."""
    watched.store.execute([RequestCancel(name) for name in NAMES])
    (answer,) = watched.store.execute([ReadOwnerEvents("s", 0, 5)])
    assert reply_of(answer, OwnerEventsRead).events == ()  # somebody holds them
    with closing(connect(watched.store.path, "rw")) as link:
        plan = link.execute(f"EXPLAIN QUERY PLAN {TOLD}", ("s", 0, 5)).fetchall()
    assert [row[3] for row in plan] == ["SEARCH processes USING INDEX told (owner_scope=? AND version>?)"]
