"""The known bugs that SQLite's tables of sessions and contents could have, each shown not to be there.

What a statement of theirs writes or removes is one session's (CONTRACT §8), one upload's, or one content's (S21, S22).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from tenure.canonical import Json
from tenure.contents import CHUNK
from tenure.errors import StoreUnavailable
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.replies import Fenced
from tenure.session_model import execute
from tenure.sessions import (
    Appended,
    AppendEntry,
    Delete,
    Open,
    Opened,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionRequest,
)
from tenure_sqlite import SqliteContents, SqliteSessions, open_contents, open_sessions
from tenure_sqlite.contents import FORGOTTEN, PER_WRITE
from tenure_sqlite.session_rows import PIECE, SqliteSessionTables
from tenure_testing.registry_world import ManualClock
from tests.stores.contents_tables import rows_of
from tests.stores.session_stores import plant
from tests.stores.test_session_sqlite import left

FENCE, LATER = SessionFence("r", "p", 1, 1), SessionFence("r", "p", 1, 2)
HORIZON = Limits().retry_horizon


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sessions(path: Path, clock: ManualClock) -> Generator[SqliteSessions]:
    opened = open_sessions(f"sqlite:///{path}", clock=clock, gap=0)
    yield opened
    opened.close()


def asked(sessions: SqliteSessions, session_id: str, request: SessionRequest) -> SessionAnswer:
    return sessions.open(session_id, SessionPolicy()).execute(request)


def append(sessions: SqliteSessions, session_id: str, fence: SessionFence | None = None) -> SessionAnswer:
    return asked(sessions, session_id, AppendEntry("e", "", Json("1"), fence))


def test_a_deletion_is_of_one_session(sessions: SqliteSessions) -> None:
    """CONTRACT §8: the others keep their entries, their heads and their watermarks."""
    for name in ("s", "t"):
        asked(sessions, name, Open(FENCE))
    append(sessions, "t", FENCE)
    asked(sessions, "s", Delete(FENCE))
    assert asked(sessions, "t", Open()) == Opened("e", 1, 1)
    again = append(sessions, "t", FENCE)
    assert isinstance(again, Appended)
    assert again.entry.body == "1"
    asked(sessions, "t", Open(LATER))
    assert append(sessions, "t", FENCE) == Fenced()


def test_what_is_forgotten_is_of_one_session(sessions: SqliteSessions, clock: ManualClock) -> None:
    """CONTRACT §8: when the horizon of one that was deleted is over, another still has its watermarks."""
    for name in ("s", "t"):
        asked(sessions, name, Open(FENCE))
    append(sessions, "t", FENCE)
    asked(sessions, "s", Delete(FENCE))
    clock.now += HORIZON + 1
    assert asked(sessions, "u", Open(FENCE)) == Opened("", 0, 0)
    assert asked(sessions, "t", Open()) == Opened("e", 1, 1)
    assert isinstance(append(sessions, "t", FENCE), Appended)


def deleted(sessions: SqliteSessions, session_id: str) -> None:
    """In one transaction, after which its program is gone."""
    sessions.file.writing(
        lambda link: execute(SqliteSessionTables(link, session_id), Delete(), SessionPolicy(), StoreTime(0))
    )


def test_what_is_left_of_several_is_removed_one_after_the_other(sessions: SqliteSessions, path: Path) -> None:
    """CONTRACT §8: nothing of a session that was deleted stays in the file, whatever else was deleted with it."""
    for name in ("s", "t"):
        plant(f"sqlite:///{path}", PIECE + 1, 1, name)
    for name in ("s", "t"):
        deleted(sessions, name)
    assert left(path)[0] > 0
    for _ in range(4):
        asked(sessions, "u", Open(FENCE))
    assert left(path) == (0, 0)


def test_what_is_left_is_removed_from_no_other_session(sessions: SqliteSessions, path: Path) -> None:
    """CONTRACT §8."""
    append(sessions, "t")
    plant(f"sqlite:///{path}", PIECE - 1, 1)
    asked(sessions, "s", Delete())
    assert left(path) == (1, 0)


# --- contents ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Generator[SqliteContents]:
    opened = open_contents(f"sqlite:///{path}", "attachment", clock=clock, gap=0)
    yield opened
    opened.close()


def large(seed: int) -> bytes:
    """As much as is written before its commit."""
    return seed.to_bytes(8, "big") * (CHUNK // 8 * PER_WRITE)


def whole(store: SqliteContents, content_id: str) -> bytes:
    return b"".join(store.chunks(content_id))


def test_an_old_content_is_none_that_was_left(store: SqliteContents, clock: ManualClock, path: Path) -> None:
    """S21: a content is removed neither with an upload that was left, nor by giving up what became it."""
    kept = store.begin()
    kept.write(large(1))
    content = kept.commit("", "")
    kept.abort()
    store.begin().write(large(2))
    clock.now += FORGOTTEN + 1
    store.begin()
    assert len(rows_of(path, "contents")) == 1
    assert whole(store, content.id) == large(1)


def test_a_content_is_kept_beside_others(store: SqliteContents, path: Path) -> None:
    """S21, S22: what is kept, given up or removed is one upload; the other contents and uploads stay as they are."""
    first, second, given_up, still = (store.begin() for _ in range(4))
    for number, upload in enumerate((first, second, given_up, still)):
        upload.write(large(number))
    one = first.commit("one", "text/plain")
    two = second.commit("two", "")
    assert (store.stat(one.id), store.stat(two.id)) == (one, two)
    given_up.abort()
    assert [whole(store, content.id) for content in (one, two)] == [large(0), large(1)]
    assert whole(store, still.commit("", "").id) == large(3)
    assert len(rows_of(path, "contents")) == 3


def test_only_what_nobody_writes_to_is_left(store: SqliteContents, clock: ManualClock, path: Path) -> None:
    """S22: an upload that is written to is not removed with another, and keeps no other alive."""
    left_behind, slow = store.begin(), store.begin()
    for number, upload in enumerate((left_behind, slow)):
        upload.write(large(number))
    clock.now += FORGOTTEN
    slow.write(large(2))
    clock.now += 1
    store.begin()
    assert [row["number"] for row in rows_of(path, "contents")] == [2]
    assert whole(store, slow.commit("", "").id) == large(1) + large(2)


def test_what_is_being_removed_takes_no_more(store: SqliteContents, clock: ManualClock, path: Path) -> None:
    """S22: else chunks would be written to an upload while somebody removes it, and stay for ever."""
    slow = store.begin()
    slow.write(large(1))
    clock.now += FORGOTTEN + 1

    def nothing(link: sqlite3.Connection) -> bool:
        return False

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("tenure_sqlite.contents._remove_some", nothing)
        store.begin()  # its program is gone before it removed anything
    assert [row["state"] for row in rows_of(path, "contents")] == ["removing"]
    with pytest.raises(StoreUnavailable, match="begin it again"):
        slow.write(large(2))
    store.begin()
    assert rows_of(path, "content_chunks") == []


def test_bytes_that_replace_corrupt_ones_replace_no_others(store: SqliteContents, path: Path) -> None:
    """S22: what is removed is what was found corrupt, and nothing else."""
    mine, others = store.begin(), store.begin()
    mine.write(large(1))
    others.write(large(2))
    kept, corrupt = others.commit("", ""), mine.commit("", "")
    with sqlite3.connect(path) as link:
        link.execute(
            "UPDATE content_chunks SET body = zeroblob(length(body)) "
            "WHERE n = 0 AND content = (SELECT number FROM contents WHERE id = ?)",
            (corrupt.id,),
        )
    link.close()
    again = store.begin()
    again.write(large(1))
    assert again.commit("", "") == corrupt
    assert whole(store, corrupt.id) == large(1)
    store.begin()
    assert whole(store, kept.id) == large(2)
