"""Sessions in a SQLite file: what survives, what is refused, and what is answered when SQLite fails (B6, B7, S21)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tenure.canonical import Json, canonical
from tenure.errors import InvalidValue, LeaseLost, SessionCorrupt, SessionUnavailable, StoreUnusable
from tenure.instants import StoreTime
from tenure.process import Registration, Work
from tenure.replies import Succeeded, Unavailable, Unknown
from tenure.requests import Register
from tenure.session import Session
from tenure.session_model import execute
from tenure.sessions import (
    Appended,
    AppendEntry,
    Delete,
    Deleted,
    Open,
    Opened,
    ReadPath,
    ReadTree,
    Residency,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionRequest,
    SessionStore,
)
from tenure.stores import DurabilityTier
from tenure_driver.driving import driven
from tenure_memory import MemorySessions
from tenure_sqlite import SqliteSessions, open_sessions, open_store
from tenure_sqlite.session_rows import PIECE, SqliteSessionTables
from tests.stores.session_stores import opened, plant
from tests.stores.test_sqlite_trouble import TRANSIENT, Fault

FIRST, SECOND = SessionFence("r", "p", 1, 1), SessionFence("r", "p", 1, 2)
FULL = 2


def faulty(path: Path, fault: Fault) -> tuple[SqliteSessions, SessionStore]:
    sessions = SqliteSessions(path, busy_timeout=0.05, open_connection=fault.connect)
    return sessions, sessions.open("s", SessionPolicy())


def raw(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        for statement in statements:
            link.execute(statement)


def stored(path: Path) -> list[str]:
    with closing(open_sessions(f"sqlite:///{path}")) as sessions:
        return [entry.id for entry in opened(sessions, residency=Residency.KEEP_ALL).tree]


# --- the file -----------------------------------------------------------------------------------------------------


def test_the_tiers_are_told_honestly(tmp_path: Path) -> None:
    """B6: memory is lost with its program; a file that waits for the disk is not."""
    assert MemorySessions().tier is DurabilityTier.INLINE
    with closing(open_sessions(f"sqlite:///{tmp_path}/s.db")) as sessions:
        assert sessions.tier is DurabilityTier.DURABLE
        (link,) = sessions.file.connections()
        assert link.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_was_answered_is_there_for_whoever_opens_the_file(tmp_path: Path) -> None:
    """S21: before the store that answered is closed."""
    url = f"sqlite:///{tmp_path}/s.db"
    sessions = open_sessions(url)
    session = opened(sessions, FIRST)
    a, b = driven(session.append({"a": 1})), driven(session.append("é"))
    driven(session.fork(a.id))
    other = open_sessions(url)
    again = opened(other, SECOND, Residency.KEEP_ALL)
    assert (again.tree, again.path) == ((a, b), (a,))
    with pytest.raises(LeaseLost):
        driven(session.append("late"))
    for one in (other, sessions):
        one.close()


@pytest.mark.parametrize("first", ["registry", "sessions"])
def test_one_file_has_processes_and_sessions(tmp_path: Path, first: str) -> None:
    """Whoever is first makes the file; each finds its tables or makes them."""
    url = f"sqlite:///{tmp_path}/s.db"
    if first == "registry":
        open_store(url).close()
    else:
        open_sessions(url).close()
    for _ in range(2):
        registry, sessions = open_store(url), open_sessions(url)
        (answer,) = registry.execute([Register(Registration("p", Work("k")))])
        assert isinstance(answer, Succeeded)
        assert driven(opened(sessions).append("a", key="k")).seq == 1
        sessions.close()
        registry.close()


def test_another_programs_file_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    raw(path, "CREATE TABLE theirs (a)")
    with pytest.raises(StoreUnusable, match="another program's database") as raised:
        open_sessions(f"sqlite:///{path}")
    assert str(path) in str(raised.value)
    with closing(sqlite3.connect(path)) as link:
        assert link.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


def test_a_url_that_names_no_file_is_refused() -> None:
    for url in ("sqlite::memory:", "sqlite:///", "memory:"):
        with pytest.raises(InvalidValue):
            open_sessions(url)


def test_sessions_in_another_file_than_the_registry_are_fenced_too(tmp_path: Path) -> None:
    """CONTRACT §8: nothing here relies on the registry's tables. Two registries may have a process of one name."""
    with closing(open_sessions(f"sqlite:///{tmp_path}/sessions.db")) as sessions:
        zombie = opened(sessions, FIRST)
        other = opened(sessions, SessionFence("another registry", "p", 1, 1))
        opened(sessions, SECOND)
        with pytest.raises(LeaseLost):
            driven(zombie.append("a"))
        driven(other.append("b"))


# --- trouble ------------------------------------------------------------------------------------------------------

APPEND = AppendEntry("a", "", Json("1"), FIRST)


@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO sessions", "INSERT INTO session_entries"])
@pytest.mark.parametrize("code", TRANSIENT)
def test_before_commit_an_append_is_surely_not_applied(tmp_path: Path, code: int, at: str) -> None:
    fault = Fault()
    sessions, store = faulty(tmp_path / "s.db", fault)
    store.execute(Open(FIRST))
    fault.at, fault.code = at, code
    answer = store.execute(APPEND)
    assert isinstance(answer, Unavailable)
    assert str(tmp_path) in answer.cause
    fault.at = ""
    assert stored(tmp_path / "s.db") == []
    assert isinstance(store.execute(APPEND), Appended)
    sessions.close()


@pytest.mark.parametrize("afterwards", [True, False])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM])
def test_an_append_without_an_answer_is_unknown(tmp_path: Path, code: int, *, afterwards: bool) -> None:
    """S18: it may have been applied or not; the same request again resolves it."""
    fault = Fault()
    sessions, store = faulty(tmp_path / "s.db", fault)
    store.execute(Open(FIRST))
    fault.at, fault.code, fault.afterwards = "COMMIT", code, afterwards
    assert isinstance(store.execute(APPEND), Unknown)
    fault.at = ""
    assert stored(tmp_path / "s.db") == (["a"] if afterwards else [])
    assert isinstance(store.execute(APPEND), Appended)
    assert stored(tmp_path / "s.db") == ["a"]
    sessions.close()


@pytest.mark.parametrize("at", ["SELECT head", "WITH RECURSIVE", "SELECT id, parent"])
def test_a_load_that_fails_in_the_middle_is_trouble_that_may_pass(tmp_path: Path, at: str) -> None:
    """W4: an Unavailable that outlasts the tries is SessionUnavailable, and the session opens when it is over."""
    fault = Fault()
    sessions, store = faulty(tmp_path / "s.db", fault)
    store.execute(Open(FIRST))
    store.execute(APPEND)
    fault.at, fault.code = at, sqlite3.SQLITE_IOERR
    residency = Residency.ACTIVE_PATH_ONLY if at.startswith("WITH") else Residency.KEEP_ALL
    with pytest.raises(
        SessionUnavailable, match=r"session 's': .*: the disk reported an error \(made to fail\)"
    ):
        opened(sessions, SECOND, residency)
    fault.at = ""
    assert [entry.id for entry in opened(sessions, SECOND, residency)] == ["a"]
    sessions.close()


def test_a_session_stands_where_it_was_after_its_store_failed(tmp_path: Path) -> None:
    """The same call again, when the disk is there again: one entry, though the first time it was written too."""
    fault = Fault()
    sessions, _ = faulty(tmp_path / "s.db", fault)
    session: Session = opened(sessions, FIRST)
    fault.at, fault.code, fault.afterwards = "COMMIT", sqlite3.SQLITE_IOERR, True
    with pytest.raises(SessionUnavailable):
        driven(session.append("a"))
    fault.at = ""
    a = driven(session.append("a"))
    b = driven(session.append("b"))
    assert session.path == (a, b)
    assert stored(tmp_path / "s.db") == [a.id, b.id]
    sessions.close()


def test_another_program_that_writes_is_waited_for_and_then_it_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    sessions, store = faulty(path, Fault())
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("BEGIN IMMEDIATE")
        answer = store.execute(Open(FIRST))
        assert isinstance(answer, Unavailable)
        assert "another process is writing" in answer.cause
        requests: list[SessionRequest] = [Open(), ReadPath("a"), ReadTree()]
        assert not any(isinstance(store.execute(request), Unavailable) for request in requests)
        link.execute("ROLLBACK")
    assert isinstance(store.execute(Open(FIRST)), Opened)
    sessions.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY])
def test_a_file_that_turns_unusable_is_trouble_that_may_pass_elsewhere(tmp_path: Path, code: int) -> None:
    """W4: the store says that it cannot go on; the process is not failed for it."""
    fault = Fault()
    sessions, store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = "BEGIN", code
    with pytest.raises(StoreUnusable, match=str(tmp_path)):
        store.execute(Open(FIRST))
    with pytest.raises(SessionUnavailable, match="StoreUnusable: "):
        opened(sessions, FIRST)
    sessions.close()


# --- deleting what is large ---------------------------------------------------------------------------------------


def left(path: Path) -> tuple[int, int]:
    """How many entries there are, and how many deleted sessions that still have some."""
    with closing(sqlite3.connect(path)) as link:
        (entries,) = link.execute("SELECT count(*) FROM session_entries").fetchone()
        (sessions,) = link.execute("SELECT count(*) FROM session_leftovers").fetchone()
        return entries, sessions


@pytest.mark.parametrize("entries", [1, PIECE - 1, PIECE, 2 * PIECE + 1])
def test_a_large_session_is_removed_in_short_transactions(tmp_path: Path, entries: int) -> None:
    """Nobody else waits for more than PIECE entries; the session is gone with the first of them."""
    assert PIECE == 2_000
    path = tmp_path / "s.db"
    plant(f"sqlite:///{path}", entries, 1)
    removed: list[int] = []

    class Counting(sqlite3.Connection):
        before = 0

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if sql.startswith("BEGIN IMMEDIATE"):
                self.before = self.total_changes
            if sql.startswith("COMMIT"):
                removed.append(self.total_changes - self.before)
            return super().execute(sql, parameters)

    def connect(where: Path, mode: str) -> sqlite3.Connection:
        uri = f"{where.as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Counting
        )

    sessions = SqliteSessions(path, open_connection=connect)
    store = sessions.open("s", SessionPolicy())
    assert store.execute(Delete()) == Deleted(entries)
    assert left(path) == (0, 0)
    assert max(removed) <= PIECE + 5
    assert store.execute(Open()) == Opened("", 0, 0)
    sessions.close()


def test_what_a_crash_left_of_a_deleted_session_is_removed_by_later_openings(tmp_path: Path) -> None:
    """And is no part of the session that begins in its place, nor in the way of its ids."""
    path = tmp_path / "s.db"
    plant(f"sqlite:///{path}", 2 * PIECE + 1, 1)
    fault = Fault()
    sessions, store = faulty(path, fault)
    store.execute(Open(FIRST))
    first = f"{PIECE + 1:032x}"
    deleted: list[SessionAnswer] = []

    def die_after(link: sqlite3.Connection) -> None:
        deleted.append(execute(SqliteSessionTables(link, "s"), Delete(FIRST), SessionPolicy(), StoreTime(0)))

    sessions.file.writing(die_after)
    assert deleted == [Deleted(2 * PIECE + 1)]
    assert left(path) == (PIECE + 1, 1)
    assert isinstance(store.execute(AppendEntry(first, "", Json("1"), FIRST)), Appended)
    assert stored(path) == [first]
    assert isinstance(store.execute(Open(FIRST)), Opened)
    assert left(path) == (2, 1)
    assert isinstance(store.execute(Open(FIRST)), Opened)
    assert left(path) == (1, 0)
    assert stored(path) == [first]
    sessions.close()


def test_a_deletion_removes_what_is_its_own_and_what_a_crash_left_of_another(tmp_path: Path) -> None:
    """CONTRACT §8: of two sessions that were deleted nothing stays."""
    path = tmp_path / "s.db"
    plant(f"sqlite:///{path}", 3 * PIECE, 1)
    plant(f"sqlite:///{path}", PIECE + 1, 1, "t")
    sessions = open_sessions(f"sqlite:///{path}")
    sessions.file.writing(
        lambda link: execute(SqliteSessionTables(link, "s"), Delete(), SessionPolicy(), StoreTime(0))
    )
    assert left(path) == (3 * PIECE + 1, 1)
    assert sessions.open("t", SessionPolicy()).execute(Delete()) == Deleted(PIECE + 1)
    assert left(path) == (0, 0)
    sessions.close()


def test_trouble_after_a_deletion_leaves_it_done(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    plant(f"sqlite:///{path}", 2 * PIECE, 1)
    fault = Fault(at="DELETE FROM session_leftovers", code=sqlite3.SQLITE_FULL)
    sessions, store = faulty(path, fault)
    assert store.execute(Delete()) == Deleted(2 * PIECE)
    assert left(path) == (0, 1)
    assert store.execute(Open()) == Opened("", 0, 0)
    fault.at = ""
    store.execute(Open(FIRST))
    assert left(path) == (0, 0)
    sessions.close()


# --- content altered on disk --------------------------------------------------------------------------------------

ALTERED = [
    ("UPDATE session_entries SET body = '{' WHERE id = 'b'", "b", "its body is not canonical JSON"),
    (
        "UPDATE session_entries SET body = CAST(x'22ff22' AS TEXT) WHERE id = 'b'",
        "b",
        "its body is not canonical JSON",
    ),
    ("DELETE FROM session_entries WHERE id = 'c'", "c", "it does not exist, though it is the head"),
    ("DELETE FROM session_entries WHERE id = 'a'", "a", "it does not exist, though it is the parent of 'b'"),
    (
        "UPDATE session_entries SET parent = 'c' WHERE id = 'a'",
        "c",
        "what is stored there is no older entry, though it is the parent of 'a'",
    ),
    ("UPDATE sessions SET head = ''", "", "it has entries, but no head"),
]


@pytest.mark.parametrize("residency", list(Residency), ids=lambda one: one.value)
@pytest.mark.parametrize(("statement", "entry_id", "reason"), ALTERED, ids=range(len(ALTERED)))
def test_what_was_altered_on_disk_is_seen(
    tmp_path: Path, residency: Residency, statement: str, entry_id: str, reason: str
) -> None:
    sessions = open_sessions(f"sqlite:///{tmp_path}/s.db")
    store = sessions.open("s", SessionPolicy())
    for name, parent in (("a", ""), ("b", "a"), ("c", "b")):
        assert isinstance(store.execute(AppendEntry(name, parent, canonical(name))), Appended)
    raw(tmp_path / "s.db", statement)
    with pytest.raises(SessionCorrupt) as raised:
        opened(sessions, FIRST, residency)
    assert raised.value.session_id == "s"
    if residency is Residency.ACTIVE_PATH_ONLY:
        assert (raised.value.entry_id, raised.value.reason) == (entry_id, reason)
    sessions.close()
