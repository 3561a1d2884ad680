"""What the SQLite store answers when SQLite fails: `tenure_sqlite.trouble`'s table, row by row (CONTRACT §2, S18)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from attrs import define, field

import tenure_sqlite.store
from tenure.canonical import canonical
from tenure.errors import StoreUnavailable, StoreUnusable
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ClaimId, Registration, Work
from tenure.replies import Answer, Claimed, Got, Listed, Succeeded, Unavailable, Unknown
from tenure.requests import ClaimFilter, ClaimNext, Get, List, Register, Request
from tenure.stores import Cursor
from tenure_sqlite import SqliteRegistry, open_store
from tenure_sqlite.link import connect
from tenure_testing.registry_world import reply_of

WANTED = ClaimFilter("", ("k",))
PATIENCE = 10.0
"""Seconds until a thread is given up; a bound, not a speed."""


@define
class Fault:
    """SQLite's connections, made to fail: at the statements that begin so, before or after they are done."""

    at: str = ""
    code: int = 0
    afterwards: bool = False
    pages: int = 0
    opened: list[sqlite3.Connection] = field(factory=list[sqlite3.Connection])

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        fault = self

        class Failing(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                fails = bool(fault.at) and sql.lstrip().startswith(fault.at)
                if not fails:
                    return super().execute(sql, parameters)
                if fault.afterwards:
                    super().execute(sql, parameters)
                raise made(fault.code)

        uri = f"{path.as_uri()}?mode={mode}"
        link = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Failing
        )
        if self.pages:
            link.execute(f"PRAGMA max_page_count = {self.pages:d}")
        self.opened.append(link)
        return link


def made(code: int) -> Exception:
    """What Python's module raises for SQLite's code: it has a class of its own for one of them."""
    if code == sqlite3.SQLITE_NOMEM:
        return MemoryError()
    error = sqlite3.OperationalError("made to fail")
    error.sqlite_errorcode = code
    return error


def faulty(path: Path, fault: Fault, patience: float = 0.05) -> SqliteRegistry:
    return SqliteRegistry(path, lambda: StoreTime(1_000), Limits(), patience, fault.connect)


def register(name: str) -> Request:
    return Register(Registration(name, Work("k")))


def names(store: SqliteRegistry) -> list[str]:
    (answer,) = store.execute([List(limit=10_000)])
    return [row.id for row in reply_of(answer, Listed).records]


TRANSIENT = [
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_BUSY_SNAPSHOT,
]


@pytest.mark.parametrize("at", ["BEGIN", "UPDATE meta", "SELECT epoch"])
@pytest.mark.parametrize("code", TRANSIENT)
def test_before_commit_it_is_surely_not_applied(tmp_path: Path, code: int, at: str) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    store.execute([register("before")])
    fault.at, fault.code = at, code
    answers = store.execute([register("a"), register("b")])
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert all(isinstance(answer, Unavailable) and str(tmp_path) in answer.cause for answer in answers)
    fault.at = ""
    assert names(store) == ["before"]
    assert [type(answer) for answer in store.execute([register("a")])] == [Succeeded]
    store.close()


@pytest.mark.parametrize("afterwards", [True, False])
@pytest.mark.parametrize(
    "code",
    [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_FSYNC],
)
def test_a_commit_without_an_answer_is_unknown(tmp_path: Path, code: int, afterwards: bool) -> None:
    """S18: it may have been applied or not; the same request again resolves it."""
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code, fault.afterwards = "COMMIT", code, afterwards
    assert [type(answer) for answer in store.execute([register("a"), Get("a")])] == [Unknown, Unknown]
    fault.at = ""
    assert names(store) == (["a"] if afterwards else [])
    (answer,) = store.execute([register("a")])
    assert isinstance(answer, Succeeded)
    assert names(store) == ["a"]
    store.close()


def test_a_busy_commit_is_not_applied(tmp_path: Path) -> None:
    """BUSY leaves the transaction open; it is rolled back, so the answer is Unavailable and no more."""
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = "COMMIT", sqlite3.SQLITE_BUSY
    assert [type(answer) for answer in store.execute([register("a")])] == [Unavailable]
    fault.at = ""
    assert names(store) == []
    store.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM])
def test_a_failing_read_is_unavailable(tmp_path: Path, code: int) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = "ROLLBACK", code
    assert [type(answer) for answer in store.execute([Get("a")])] == [Unavailable]
    fault.at = ""
    assert names(store) == []
    store.close()


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_READONLY_DBMOVED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    ],
)
@pytest.mark.parametrize("at", ["BEGIN", "UPDATE meta", "COMMIT"])
def test_a_store_that_turns_unusable_says_so(tmp_path: Path, code: int, at: str) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = at, code
    with pytest.raises(StoreUnusable, match=str(tmp_path)):
        store.execute([register("a")])
    store.close()


def test_a_mistake_of_ours_is_raised_as_it_is(tmp_path: Path) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = "UPDATE meta", sqlite3.SQLITE_MISUSE
    with pytest.raises(sqlite3.OperationalError, match="made to fail"):
        store.execute([register("a")])
    fault.at = ""
    assert names(store) == []
    store.close()


def test_lost_tables_make_it_unusable(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = open_store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("DROP TABLE meta")
    with pytest.raises(StoreUnusable, match="lost its tables"):
        store.execute([register("a")])
    store.close()


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_was_taken_away_makes_it_unusable(tmp_path: Path, how: str) -> None:
    """S21: an acknowledged write to a file that nobody can find again would be lost; no new file is made either."""
    path = tmp_path / "s.db"
    store = open_store(f"sqlite:///{path}")
    path.rename(tmp_path / "moved.db")
    if how == "replaced":
        other = open_store(f"sqlite:///{path}")
        other.close()
    for request in (register("a"), Get("a")):
        with pytest.raises(StoreUnusable, match="while it was open"):
            store.execute([request])
    assert path.exists() == (how == "replaced")
    store.close()


def test_a_full_database_loses_nothing(tmp_path: Path) -> None:
    """Full (`max_page_count`): Unavailable, what was there stays, and it goes on where there is room again."""
    fault = Fault(pages=60)
    store = faulty(tmp_path / "s.db", fault)
    kept: list[str] = []
    answer: Answer
    for n in range(1_000):
        wanted = Registration(f"p{n}", Work("k", canonical("x" * 1_000)))
        (answer,) = store.execute([Register(wanted)])
        if not isinstance(answer, Succeeded):
            assert isinstance(answer, Unavailable)
            assert "no room left" in answer.cause
            break
        kept.append(wanted.id)
    assert 10 < len(kept) < 1_000
    assert names(store) == kept
    (answer,) = store.execute([Register(Registration("big", Work("k", canonical("x" * 100_000))))])
    assert isinstance(answer, Unavailable)
    assert names(store) == kept
    store.close()
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    (answer,) = store.execute([register("more")])
    assert isinstance(answer, Succeeded)
    assert names(store) == [*kept, "more"]
    store.close()


def test_a_file_too_small_for_the_tables_is_unavailable_at_opening(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="could not be opened"):
        faulty(tmp_path / "s.db", Fault(pages=3))
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    assert names(store) == []
    store.close()


@pytest.mark.parametrize("at", ["PRAGMA application_id", "PRAGMA synchronous", "SELECT epoch"])
def test_no_memory_at_opening_is_unavailable(tmp_path: Path, at: str) -> None:
    fault = Fault(at, sqlite3.SQLITE_NOMEM)
    with pytest.raises(StoreUnavailable, match=r"could not be opened: no memory left$"):
        faulty(tmp_path / "s.db", fault)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        fault.opened[0].total_changes  # noqa: B018 - asking is the test: a closed connection refuses


def locked(path: Path) -> sqlite3.Connection:
    """Another process's write transaction, which stays open."""
    link = connect(path, "rw")
    link.execute("BEGIN IMMEDIATE")
    return link


def test_a_writer_elsewhere_makes_writes_wait_and_reads_not(tmp_path: Path) -> None:
    """Reads, and a claim that would grant nothing, need no lock: an idle worker disturbs nobody."""
    path = tmp_path / "s.db"
    store = faulty(path, Fault())
    store.execute([register("p")])

    def claim(kind: str) -> Request:
        return ClaimNext(ClaimId("w", 1), 1_000, 5, ClaimFilter("", (kind,)))

    with closing(locked(path)):
        for request, wanted in (
            (register("q"), Unavailable),
            (claim("k"), Unavailable),
            (claim("none"), Succeeded),
            (Get("p"), Succeeded),
        ):
            (answer,) = store.execute([request])
            assert type(answer) is wanted, request
    (answer,) = store.execute([claim("k")])
    assert len(reply_of(answer, Claimed).grants) == 1
    store.close()


def test_a_writer_that_ends_in_time_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = faulty(path, Fault(), patience=PATIENCE)
    link = locked(path)
    seen: list[Answer] = []
    writer = Thread(target=lambda: seen.extend(store.execute([register("a")])), daemon=True)
    writer.start()
    link.execute("ROLLBACK")
    writer.join(PATIENCE)
    assert [type(answer) for answer in seen] == [Succeeded]
    link.close()
    store.close()


# --- closing ------------------------------------------------------------------------------------------------------


def test_a_closed_store_answers_unavailable_and_holds_no_file(tmp_path: Path) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    store.execute([register("a")])
    store.wait(Cursor(), 0)
    store.close()
    store.close()
    assert [type(answer) for answer in store.execute([Get("a")])] == [Unavailable]
    assert store.wait(Cursor(), PATIENCE) == Cursor()
    for link in fault.opened:
        with pytest.raises(sqlite3.ProgrammingError):
            link.execute("SELECT 1")
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]


def test_closing_does_not_wait_for_a_call_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """a thread stuck in the store is abandoned; its connection is closed by itself when it comes back."""
    monkeypatch.setattr(tenure_sqlite.store, "CLOSE_PATIENCE", 0.01)
    stuck, free = Event(), Event()
    fault = Fault()

    def clock() -> StoreTime:
        stuck.set()
        free.wait(PATIENCE)
        return StoreTime(1_000)

    store = SqliteRegistry(tmp_path / "s.db", clock, Limits(), 0.05, fault.connect)
    caller = Thread(target=lambda: store.execute([register("a")]), daemon=True)
    caller.start()
    assert stuck.wait(PATIENCE)
    store.close()
    assert caller.is_alive()
    free.set()
    caller.join(PATIENCE)
    assert not caller.is_alive()
    with pytest.raises(sqlite3.ProgrammingError):
        fault.opened[0].execute("SELECT 1")


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM])
def test_the_feed_survives_trouble(tmp_path: Path, code: int) -> None:
    """CONTRACT §9: the feed is a hint; where it fails it says what it knew, and opens anew."""
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    seen = store.wait(Cursor(), 0)
    store.execute([register("a")])
    fault.at, fault.code = "PRAGMA data_version", code
    assert store.wait(seen, 0) == seen
    fault.at = ""
    assert store.wait(seen, PATIENCE).work == 1
    assert len(fault.opened) == 3  # the requests' connection, the feed's, and the feed's new one
    store.close()


# --- what other processes change ----------------------------------------------------------------------------------


def test_rows_known_from_before_are_read_again_where_others_changed_them(tmp_path: Path) -> None:
    """S23: what this process wrote last is used only while it stands in the file."""
    url = f"sqlite:///{tmp_path}/s.db"
    times = [1_000]
    one = open_store(url, clock=lambda: StoreTime(times[0]))
    two = open_store(url, clock=lambda: StoreTime(times[0]))
    one.execute([register("p"), register("q")])
    granted = Claimed((), 1)
    for store, owner in ((one, "one"), (two, "two"), (one, "three")):
        (answer,) = store.execute([ClaimNext(ClaimId(owner, 1), 50, 5, WANTED)])
        granted = reply_of(answer, Claimed)
        times[0] += 5_000
        for reader in (one, two):
            records = [reply_of(answer, Got).record for answer in reader.execute([Get("p"), Get("q")])]
            assert records == [grant.record for grant in granted.grants]
    assert [grant.record.lost for grant in granted.grants] == [2, 2]
    one.close()
    two.close()
