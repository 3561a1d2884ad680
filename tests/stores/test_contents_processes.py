"""Contents and operating system processes: little memory for much, SIGKILL in the middle, several writers, a fork."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tenure.contents import CHUNK
from tenure.errors import ContentNotFound
from tenure_sqlite import open_contents
from tenure_sqlite.contents import FORGOTTEN, PER_WRITE
from tenure_testing.registry_world import ManualClock
from tests.stores import children
from tests.stores.children import ended, go, line
from tests.stores.contents_tables import rows_of

STREAMED = int(os.environ.get("TENURE_STREAMED_MIB", "256"))
"""MiB that go in and out. A gigabyte takes no more memory, only longer."""
child = partial(children.child, "contents_child")


def test_a_large_content_goes_in_and_out_in_the_memory_of_a_few_chunks(tmp_path: Path) -> None:
    with child("streams", f"sqlite:///{tmp_path}/s.db", str(STREAMED)) as running:
        (said,) = ended(running)
    word, written, read = said.split()
    print(f"{STREAMED} MiB: the peak of memory grew by {int(written)} bytes in, {int(read)} in and out")
    assert word == "grew"
    assert int(read) <= 4 * PER_WRITE * CHUNK < STREAMED << 20


def test_an_upload_that_was_killed_is_never_seen_and_removed_a_day_later(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    data = b"".join(n.to_bytes(8, "big") * (CHUNK // 8) for n in range(PER_WRITE + 1))
    clock = ManualClock()
    with child("uploads", url, str(PER_WRITE + 1)) as running:
        assert line(running) == "written"
        running.kill()
    store = open_contents(url, "attachment", clock=clock)
    left = rows_of(tmp_path / "s.db", "contents")
    assert [row["state"] for row in left] == ["uploading"]
    assert len(rows_of(tmp_path / "s.db", "content_chunks")) == PER_WRITE
    clock.now = left[0]["written_at"] + FORGOTTEN
    store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == left
    clock.now += 1
    upload = store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == rows_of(tmp_path / "s.db", "content_chunks") == []
    upload.write(data)
    content = upload.commit("", "")
    assert b"".join(store.chunks(content.id)) == data
    store.close()


def test_several_programs_put_the_same_at_once(tmp_path: Path) -> None:
    """Each reads back what it put; one of each content stays, and nothing of the others'."""
    url, times = f"sqlite:///{tmp_path}/s.db", 12
    with ExitStack() as stack:
        several = [stack.enter_context(child("puts", url, str(times))) for _ in range(3)]
        for one in several:
            assert line(one) == "ready"
        for one in several:
            go(one)
        said = [ended(one) for one in several]
    assert said[0] == said[1] == said[2]
    assert sorted(row["id"] for row in rows_of(tmp_path / "s.db", "contents")) == sorted(said[0])
    assert len(rows_of(tmp_path / "s.db", "content_chunks")) == 3 * times


def test_a_child_of_a_fork_can_use_no_store_of_its_parents(tmp_path: Path) -> None:
    with child("forked", f"sqlite:///{tmp_path}/s.db") as running:
        said = ended(running)
    assert said == ["refused"] * 10 + ["child 0"] + [f"parent 5 {CHUNK}"] * 2


def test_a_store_that_was_opened_later_sees_what_was_put(tmp_path: Path) -> None:
    """S21: it was acknowledged; and the other facet's store does not see it."""
    url = f"sqlite:///{tmp_path}/s.db"
    store = open_contents(url, "attachment")
    upload = store.begin()
    upload.write(b"bytes")
    content = upload.commit("n", "m")
    store.close()
    again = open_contents(url, "attachment")
    assert again.stat(content.id) == content
    assert list(again.chunks(content.id)) == [b"bytes"]
    again.close()
    other = open_contents(url, "artifact")
    with pytest.raises(ContentNotFound) as missing:
        other.stat(content.id)
    assert missing.value.what == "artifact"
    other.close()
