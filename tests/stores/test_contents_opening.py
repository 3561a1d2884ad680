"""How a store of contents is opened and closed: with trouble, by several at once, and while a call hangs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event, Thread

import pytest

import tenure_sqlite.held
from tenure.errors import StoreUnavailable
from tenure.instants import StoreTime
from tenure_sqlite import SqliteContents, open_contents, open_store
from tests.stores.contents_faults import BOUND, LARGE, faulty, goes_on, put
from tests.stores.contents_tables import alter
from tests.stores.test_sqlite_trouble import Fault


@pytest.mark.parametrize(
    "at", ["PRAGMA application_id", "SELECT count(*) FROM sqlite_schema WHERE", "CREATE UNIQUE INDEX"]
)
def test_trouble_at_opening_is_unavailable_and_leaves_half_of_nothing(tmp_path: Path, at: str) -> None:
    open_store(f"sqlite:///{tmp_path}/s.db").close()
    fault = Fault(at, sqlite3.SQLITE_NOMEM)
    with pytest.raises(StoreUnavailable, match=r"could not be opened: no memory left$"):
        faulty(tmp_path / "s.db", fault)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        fault.opened[0].total_changes  # noqa: B018 - asking is the test: a closed connection refuses
    store = faulty(tmp_path / "s.db", Fault())
    goes_on(store, b"bytes")
    store.close()


def test_several_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    stores: list[SqliteContents] = []
    threads = [
        Thread(
            target=lambda: stores.append(open_contents(f"sqlite:///{tmp_path}/s.db", "artifact")), daemon=True
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert len(stores) == 4
    content = put(stores[0], b"bytes")
    for store in stores:
        assert store.stat(content.id) == content
        store.close()


def test_a_closed_store_holds_no_file(tmp_path: Path) -> None:
    fault = Fault()
    store = faulty(tmp_path / "s.db", fault)
    content = put(store, LARGE)
    reading = store.chunks(content.id)
    next(reading)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match=r"s\.db: the store was closed$"):
        next(reading)
    with pytest.raises(sqlite3.ProgrammingError):
        fault.opened[0].execute("SELECT 1")
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]


def test_closing_does_not_wait_for_a_call_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread stuck in the store is abandoned; its connection is closed by itself when it comes back."""
    monkeypatch.setattr(tenure_sqlite.held, "CLOSE_PATIENCE", 0.01)
    stuck, free = Event(), Event()
    fault = Fault()
    times = iter([False, True])

    def clock() -> StoreTime:
        if next(times):
            stuck.set()
            free.wait(BOUND)
        return StoreTime(1_000)

    store = SqliteContents(tmp_path / "s.db", "attachment", clock, open_connection=fault.connect)
    caller = Thread(target=lambda: put(store, b"bytes"), daemon=True)
    caller.start()
    assert stuck.wait(BOUND)
    store.close()
    assert caller.is_alive()
    free.set()
    caller.join(BOUND)
    assert not caller.is_alive()
    with pytest.raises(sqlite3.ProgrammingError):
        fault.opened[0].execute("SELECT 1")


def test_a_content_has_one_of_three_states(tmp_path: Path) -> None:
    """Whatever another program writes into the file."""
    open_contents(f"sqlite:///{tmp_path}/s.db", "attachment").close()
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        alter(
            tmp_path / "s.db",
            "INSERT INTO contents (what, state, written_at, id, size, name, media_type) "
            "VALUES ('attachment', 'new', 0, '', 0, '', '')",
        )
