"""What was answered is on the disk: every connection that commits waits for it (S21, K24)."""

from __future__ import annotations

from pathlib import Path

from tenure.process import Registration, Work
from tenure.replies import Got, Registered
from tenure.requests import Get, Register
from tenure_sqlite import open_store
from tenure_testing.registry_world import reply_of

FULL = 2


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """S21, K24: of a new file and of one that was there, and its log is one that a crash leaves whole."""
    for _ in range(2):
        store = open_store(f"sqlite:///{tmp_path}/s.db")
        store.execute([Register(Registration("p", Work("k")))])
        (link,) = store.connections()
        assert link.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        store.close()


def test_what_was_answered_is_there_for_whoever_opens_the_file(tmp_path: Path) -> None:
    """S21, S23: before the store that answered is closed."""
    url = f"sqlite:///{tmp_path}/s.db"
    store = open_store(url)
    (answer,) = store.execute([Register(Registration("p", Work("k")))])
    told = reply_of(answer, Registered)
    other = open_store(url)
    for reader in (other, store):
        (answer,) = reader.execute([Get("p")])
        record = reply_of(answer, Got).record
        assert (record.id, record.seq, record.version) == ("p", told.seq, told.stamp.version)
    other.close()
    store.close()
