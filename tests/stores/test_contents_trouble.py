"""What a store of contents raises when SQLite fails: `tenure_sqlite.trouble`'s table, and what is left afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from tenure.contents import CHUNK
from tenure.errors import ContentNotFound, InvalidValue, StoreUnavailable, StoreUnknown, StoreUnusable
from tenure.instants import StoreTime
from tenure.process import Registration, Work
from tenure.replies import Succeeded
from tenure.requests import Register
from tenure_sqlite import SqliteContents, open_contents, open_store
from tenure_sqlite.contents import FORGOTTEN, PATIENCE, PER_WRITE
from tenure_sqlite.link import connect
from tenure_testing.content_contract import id_of
from tenure_testing.registry_world import ManualClock
from tests.stores.contents_faults import BOUND, LARGE, faulty, goes_on, put
from tests.stores.contents_tables import rows_of
from tests.stores.test_sqlite_trouble import TRANSIENT, Fault
from tests.stores.test_sqlite_waiting import StoppedTime


@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO contents", "UPDATE contents SET state = 'kept'"])
@pytest.mark.parametrize("code", TRANSIENT)
def test_before_commit_it_is_surely_not_there(tmp_path: Path, code: int, at: str) -> None:
    """S18, S21: Unavailable means that nobody will ever see it."""
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    upload = store.begin()
    upload.write(b"bytes")
    fault.at, fault.code = at, code
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        upload.commit("", "")
    fault.at = ""
    with pytest.raises(InvalidValue, match="is over"):
        upload.commit("", "")
    with pytest.raises(ContentNotFound):
        store.stat(id_of(b"bytes"))
    goes_on(store, b"bytes")
    assert len(rows_of(tmp_path / "s.db", "contents")) == 1
    store.close()


@pytest.mark.parametrize("afterwards", [True, False])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM])
@pytest.mark.parametrize("data", [b"bytes", LARGE])
def test_a_commit_without_an_answer_is_unknown_and_putting_it_again_is_safe(
    tmp_path: Path, data: bytes, code: int, afterwards: bool
) -> None:
    """S18: what was kept is not removed with the upload that was given up."""
    fault, clock = Fault(), ManualClock()
    store = faulty(tmp_path / "s.db", fault, clock=clock)
    upload = store.begin()
    upload.write(data)
    fault.at, fault.code, fault.afterwards = "COMMIT", code, afterwards
    with pytest.raises(StoreUnknown, match=str(tmp_path)):
        upload.commit("first", "")
    fault.at = ""
    store.begin()
    if afterwards:
        assert store.stat(id_of(data)).name == "first"
    else:
        with pytest.raises(ContentNotFound):
            store.stat(id_of(data))
    goes_on(store, data)
    assert [row["name"] for row in rows_of(tmp_path / "s.db", "contents")] == ["first" if afterwards else ""]
    store.close()


@pytest.mark.parametrize("afterwards", [True, False])
def test_an_upload_whose_first_chunks_may_be_there_is_over_and_removed_a_day_later(
    tmp_path: Path, afterwards: bool
) -> None:
    fault, clock = Fault(), ManualClock()
    store = faulty(tmp_path / "s.db", fault, clock=clock)
    upload = store.begin()
    fault.at, fault.code, fault.afterwards = "COMMIT", sqlite3.SQLITE_IOERR, afterwards
    with pytest.raises(StoreUnknown):
        upload.write(LARGE)
    fault.at = ""
    with pytest.raises(InvalidValue, match="is over"):
        upload.commit("", "")
    assert len(rows_of(tmp_path / "s.db", "contents")) == int(afterwards)
    clock.now += FORGOTTEN + 1
    store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == rows_of(tmp_path / "s.db", "content_chunks") == []
    store.close()


def test_a_busy_commit_is_not_applied(tmp_path: Path) -> None:
    """S18, K9: it is Unavailable, not Unknown, and the store goes on."""
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = "COMMIT", sqlite3.SQLITE_BUSY
    with pytest.raises(StoreUnavailable):
        put(store, b"bytes")
    fault.at = ""
    goes_on(store, b"bytes")
    store.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY])
def test_a_failing_read_may_be_repeated(tmp_path: Path, code: int) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    content = put(store, LARGE)
    reading = store.chunks(content.id)
    next(reading)
    fault.at, fault.code = "SELECT", code
    calls: list[Callable[[], object]] = [store.begin, lambda: store.stat(content.id), lambda: next(reading)]
    for call in calls:
        with pytest.raises(StoreUnavailable, match=str(tmp_path)):
            call()
    fault.at = ""
    assert b"".join(store.chunks(content.id)) == LARGE
    store.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY])
@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO contents", "COMMIT"])
def test_a_store_that_turns_unusable_says_so(tmp_path: Path, code: int, at: str) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = at, code
    with pytest.raises(StoreUnusable, match=str(tmp_path)):
        put(store, b"bytes")
    store.close()


def test_a_mistake_of_ours_is_raised_as_it_is(tmp_path: Path) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    fault.at, fault.code = "INSERT INTO contents", sqlite3.SQLITE_MISUSE
    with pytest.raises(sqlite3.OperationalError, match="made to fail"):
        put(store, b"bytes")
    fault.at = ""
    goes_on(store, b"bytes")
    store.close()


@pytest.mark.parametrize("at", ["UPDATE contents SET state = 'removing'", "DELETE", "COMMIT"])
def test_what_cannot_be_removed_now_is_removed_later(tmp_path: Path, at: str) -> None:
    """An abort raises nothing for it."""
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    upload = store.begin()
    upload.write(LARGE)
    fault.at, fault.code = at, sqlite3.SQLITE_IOERR
    upload.abort()
    fault.at = ""
    assert len(rows_of(tmp_path / "s.db", "content_chunks")) == PER_WRITE
    with pytest.raises(InvalidValue, match="is over"):
        upload.write(b"more")
    store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == rows_of(tmp_path / "s.db", "content_chunks") == []
    store.close()


def test_an_upload_on_its_way_out_takes_no_more(tmp_path: Path) -> None:
    """Another program began to remove it, and did not come to the end."""
    fault, clock = Fault(), ManualClock()
    store, other = (faulty(tmp_path / "s.db", one, clock=clock) for one in (Fault(), fault))
    upload = store.begin()
    upload.write(LARGE)
    clock.now += FORGOTTEN + 1
    fault.at, fault.code = "DELETE", sqlite3.SQLITE_IOERR
    with pytest.raises(StoreUnavailable, match="made to fail"):
        other.begin()
    with pytest.raises(StoreUnavailable, match="nobody wrote to it for a day"):
        upload.write(LARGE)
    store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == rows_of(tmp_path / "s.db", "content_chunks") == []
    store.close()
    other.close()


def test_an_upload_that_is_given_up_while_it_is_written_is_removed(tmp_path: Path) -> None:
    """By a thread that does not wait, before anybody knows the number of the upload: as a cancelled handler does."""
    stuck, free = Event(), Event()
    clock = ManualClock()

    def slowly() -> StoreTime:
        if not free.is_set():
            stuck.set()
            assert free.wait(BOUND)
        return clock()

    free.set()
    store = SqliteContents(tmp_path / "s.db", "attachment", slowly)
    upload = store.begin()
    seen: list[BaseException] = []

    def write() -> None:
        try:
            upload.write(LARGE)
        except InvalidValue as over:
            seen.append(over)

    free.clear()
    writer = Thread(target=write, daemon=True)
    writer.start()
    assert stuck.wait(BOUND)
    upload.abandon()
    free.set()
    writer.join(BOUND)
    assert [str(one) for one in seen] == ["this upload of an attachment is over; begin another"]
    assert len(rows_of(tmp_path / "s.db", "contents")) == 1
    store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == rows_of(tmp_path / "s.db", "content_chunks") == []
    store.close()


def test_a_full_database_loses_nothing_and_has_room_again_when_the_upload_is_given_up(tmp_path: Path) -> None:
    fault = Fault(pages=1_000)
    store = faulty(tmp_path / "s.db", fault)
    kept = put(store, LARGE[:CHUNK])
    upload = store.begin()
    with pytest.raises(StoreUnavailable, match="no room left"):
        upload.write(LARGE * 3)
    assert b"".join(store.chunks(kept.id)) == LARGE[:CHUNK]
    goes_on(store, LARGE)
    store.close()


def test_a_writer_elsewhere_makes_writes_wait_and_reads_not(tmp_path: Path) -> None:
    path, fault = tmp_path / "s.db", Fault()
    store = faulty(path, fault)
    content = put(store, LARGE)
    upload, half = store.begin(), store.begin()
    upload.write(b"bytes")
    half.write(LARGE)  # its first chunks are in the file
    with closing(connect(path, "rw")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert b"".join(store.chunks(content.id)) == LARGE
        store.begin()  # whoever still writes is not in its way
        with pytest.raises(StoreUnavailable, match="another process is writing"):
            upload.commit("", "")
    goes_on(store, b"bytes")
    assert len(fault.opened) == 1  # who only waited for the lock has nothing to drop
    store.close()


def test_how_long_another_programs_transaction_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_contents(f"sqlite:///{tmp_path}/s.db", "attachment")
    time = StoppedTime()
    began = time.now
    with closing(connect(tmp_path / "s.db", "rw")) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("tenure_sqlite.link.time", time)
        with pytest.raises(StoreUnavailable):
            put(store, b"bytes")
    assert PATIENCE <= time.now - began < PATIENCE + 0.1
    store.close()


def test_other_programs_get_a_gap_between_two_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONTRACT §5: a millisecond from one write transaction to the next, and none before the first."""
    time = StoppedTime()
    monkeypatch.setattr("tenure_sqlite.held.time", time)
    store = open_contents(f"sqlite:///{tmp_path}/s.db", "attachment")
    upload = store.begin()
    upload.write(LARGE * 3)
    content = upload.commit("", "")
    assert time.pauses == pytest.approx([0.001] * 3)
    list(store.chunks(content.id))
    time.now += 1
    put(store, b"bytes")
    assert len(time.pauses) == 3
    store.close()


def test_a_registry_in_the_same_file_gets_in_between(tmp_path: Path) -> None:
    """With its usual patience, while a content goes in as fast as it can."""
    url = f"sqlite:///{tmp_path}/s.db"
    registry, contents = open_store(url), open_contents(url, "attachment")
    over = Event()

    def upload() -> None:
        put(contents, LARGE * 8)
        over.set()

    writer = Thread(target=upload, daemon=True)
    writer.start()
    answers: list[type] = []
    while not over.is_set() or not answers:
        (answer,) = registry.execute([Register(Registration(f"p{len(answers)}", Work("k")))])
        answers.append(type(answer))
    writer.join(BOUND)
    assert set(answers) == {Succeeded}
    registry.close()
    contents.close()
