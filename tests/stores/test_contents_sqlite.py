"""Contents in a SQLite file: what was tampered with does not come out, and what was given up does not stay.

What is kept is what was put there (S21), whatever becomes of other uploads (S22)."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tenure.contents import CHUNK, SIZE_LIMIT, Content
from tenure.errors import (
    ContentCorrupt,
    ContentNotFound,
    InvalidValue,
    StoreUnavailable,
    StoreUnusable,
)
from tenure.stores import DurabilityTier
from tenure_sqlite import SqliteContents, open_contents, open_store
from tenure_sqlite.contents import FORGOTTEN, PER_REMOVAL, PER_WRITE, SqliteUpload
from tenure_testing.registry_world import ManualClock
from tests.stores.contents_tables import alter, rows_of

DATA = b"".join(n.to_bytes(4, "big") for n in range(2 * CHUNK // 4)) + b"the end"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Generator[SqliteContents]:
    opened = open_contents(f"sqlite:///{path}", "attachment", clock=clock, gap=0)
    yield opened
    opened.close()


def put(store: SqliteContents, data: bytes = DATA) -> Content:
    upload = store.begin()
    upload.write(data)
    return upload.commit("n", "m")


def counts(path: Path) -> tuple[int, int]:
    """Rows of contents and of chunks."""
    return len(rows_of(path, "contents")), len(rows_of(path, "content_chunks"))


# --- what was tampered with -------------------------------------------------------------------------------------------

TAMPERED = [
    ("UPDATE content_chunks SET body = zeroblob(length(body)) WHERE n = 1", 1, "chunk 1 is not what was stored"),
    ("UPDATE content_chunks SET body = substr(body, 2) WHERE n = 1", 1, "chunk 1 is not what was stored"),
    ("UPDATE content_chunks SET body = substr(body, 1, 100) WHERE n = 0", 0, "chunk 0 is not what was stored"),
    ("UPDATE content_chunks SET body = x'' WHERE n = 1", 1, "chunk 1 goes beyond its 524295 bytes"),
    ("UPDATE content_chunks SET digest = zeroblob(32) WHERE n = 2", 2, "chunk 2 is not what was stored"),
    ("UPDATE content_chunks SET body = CAST('the eNd' AS BLOB) WHERE n = 2", 2, "chunk 2 is not what was stored"),
    (
        "UPDATE content_chunks SET body = CAST('the end!' AS BLOB) WHERE n = 2",
        2,
        "chunk 2 goes beyond its 524295 bytes",
    ),
    ("DELETE FROM content_chunks WHERE n = 0", 0, "chunk 0 is missing"),
    ("DELETE FROM content_chunks WHERE n = 1", 1, "chunk 1 is missing"),
    ("DELETE FROM content_chunks WHERE n = 2", 2, "it ends after 524288 of its 524295 bytes"),
    ("DELETE FROM content_chunks", 0, "it ends after 0 of its 524295 bytes"),
    ("UPDATE content_chunks SET n = n + 1 WHERE n = 2", 2, "chunk 2 is missing"),
    ("UPDATE content_chunks SET n = -n - 1", 0, "it ends after 0 of its 524295 bytes"),
    (
        "INSERT INTO content_chunks SELECT content, 3, digest, body FROM content_chunks WHERE n = 2",
        3,
        "chunk 3 goes beyond its 524295 bytes",
    ),
    ("UPDATE contents SET size = size - 7", 1, f"its bytes are those of {sha256(DATA[:-7]).hexdigest()}"),
    ("UPDATE contents SET size = size + 1", 3, "it ends after 524295 of its 524296 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "good", "reason"), TAMPERED)
def test_a_content_that_was_altered_on_disk_is_corrupt_before_a_wrong_byte_comes_out(
    store: SqliteContents, path: Path, statement: str, good: int, reason: str
) -> None:
    content = put(store)
    alter(path, statement)
    out: list[bytes] = []
    with pytest.raises(ContentCorrupt) as raised:
        out.extend(store.chunks(content.id))
    assert out == [DATA[at : at + CHUNK] for at in range(0, good * CHUNK, CHUNK)]
    assert (raised.value.what, raised.value.content_id, raised.value.reason) == (
        "attachment",
        content.id,
        reason,
    )


@pytest.mark.parametrize("statement", [statement for statement, _, _ in TAMPERED])
def test_good_bytes_that_are_put_again_take_the_place_of_corrupt_ones(
    store: SqliteContents, path: Path, statement: str
) -> None:
    """Whoever is told that they are stored can read them (S21); the corrupt ones go, and another's stay (S22)."""
    content = put(store)
    alter(path, statement)
    other = put(store, b"others")
    assert put(store) == content
    assert b"".join(store.chunks(content.id)) == DATA
    assert store.stat(content.id) == content
    store.remove_left()
    assert b"".join(store.chunks(other.id)) == b"others"
    assert counts(path) == (2, 4)


def test_what_is_not_corrupt_is_not_replaced(store: SqliteContents, path: Path) -> None:
    content = put(store)
    before = rows_of(path, "contents")
    assert put(store) == content
    assert rows_of(path, "contents") == before


class Raced(SqliteContents):
    """Between its look at what is kept and its write somebody else commits."""

    other: SqliteUpload | None = None

    def corrupt(self, content_id: str) -> int | None:
        found = super().corrupt(content_id)
        if self.other is not None:
            self.other.commit("its", "m")
        return found


def test_of_two_who_replace_a_corrupt_content_one_does(store: SqliteContents, path: Path) -> None:
    """The other finds the good bytes there, and its own are removed."""
    content = put(store)
    alter(path, "UPDATE content_chunks SET body = zeroblob(length(body)) WHERE n = 1")
    with closing(Raced(path, "attachment", gap=0)) as raced:
        raced.other = store.begin()
        raced.other.write(DATA)
        assert put(raced) == Content(content.id, content.size, "its", "m")
    assert b"".join(store.chunks(content.id)) == DATA
    store.remove_left()
    assert counts(path) == (1, 3)


def test_chunks_that_changed_places_are_seen(store: SqliteContents, path: Path) -> None:
    content = put(store)
    alter(
        path,
        "UPDATE content_chunks SET n = 9 WHERE n = 0",
        "UPDATE content_chunks SET n = 0 WHERE n = 1",
        "UPDATE content_chunks SET n = 1 WHERE n = 9",
    )
    with pytest.raises(ContentCorrupt, match="chunk 0 is not what was stored"):
        next(store.chunks(content.id))


def test_the_chunks_of_another_content_are_seen(store: SqliteContents, path: Path) -> None:
    """All digests fit the bytes; the last does not fit the id."""
    content, other = put(store), put(store, bytes(len(DATA)))
    alter(
        path,
        "DELETE FROM content_chunks WHERE content = 1",
        "UPDATE content_chunks SET content = 1 WHERE content = 2",
    )
    out: list[bytes] = []
    with pytest.raises(ContentCorrupt, match=f"its bytes are those of {other.id}"):
        out.extend(store.chunks(content.id))
    assert len(out) == 2


def test_what_was_altered_while_it_is_read_is_seen(store: SqliteContents, path: Path) -> None:
    reading = store.chunks(put(store).id)
    assert next(reading) == DATA[:CHUNK]
    alter(path, "UPDATE content_chunks SET body = zeroblob(length(body))")
    with pytest.raises(ContentCorrupt, match="chunk 1 is not what was stored"):
        next(reading)


def test_an_id_that_was_altered_is_not_found_and_the_new_one_corrupt(
    store: SqliteContents, path: Path
) -> None:
    content = put(store)
    alter(path, "UPDATE contents SET id = replace(id, substr(id, 1, 8), 'ffffffff')")
    with pytest.raises(ContentNotFound):
        store.stat(content.id)
    with pytest.raises(ContentCorrupt, match=f"its bytes are those of {content.id}"):
        list(store.chunks("f" * 8 + content.id[8:]))


def test_what_is_not_marked_as_kept_is_not_seen(store: SqliteContents, path: Path) -> None:
    content = put(store)
    alter(path, "UPDATE contents SET state = 'removing'")
    with pytest.raises(ContentNotFound):
        store.stat(content.id)
    with pytest.raises(ContentNotFound):
        next(store.chunks(content.id))


# --- what was given up ------------------------------------------------------------------------------------------------


def test_a_small_content_is_one_transaction_and_an_upload_without_chunks_leaves_no_trace(
    store: SqliteContents, path: Path
) -> None:
    upload = store.begin()
    upload.write(DATA)
    assert counts(path) == (0, 0)
    upload.commit("n", "m")
    assert counts(path) == (1, 3)
    assert [(row["what"], row["state"], row["name"]) for row in rows_of(path, "contents")] == [
        ("attachment", "kept", "n")
    ]


def test_the_chunks_of_a_large_one_are_written_a_few_at_a_time(store: SqliteContents, path: Path) -> None:
    upload = store.begin()
    for number in range(1, 2 * PER_WRITE + 2):
        upload.write(number.to_bytes(8, "big") * (CHUNK // 8))
        assert counts(path) == (int(number >= PER_WRITE), number // PER_WRITE * PER_WRITE)
    upload.commit("", "")
    assert counts(path) == (1, 2 * PER_WRITE + 1)


def large(seed: int, chunks: int = PER_WRITE) -> bytes:
    return seed.to_bytes(8, "big") * (CHUNK // 8 * chunks)


def test_an_aborted_upload_is_removed_at_once(store: SqliteContents, path: Path) -> None:
    upload = store.begin()
    upload.write(large(1, PER_REMOVAL + PER_WRITE))
    assert counts(path) == (1, PER_REMOVAL + PER_WRITE)
    upload.abort()
    assert counts(path) == (0, 0)


def test_an_abandoned_upload_is_removed_when_the_next_begins(store: SqliteContents, path: Path) -> None:
    first, second, third = store.begin(), store.begin(), store.begin()
    for number, upload in enumerate((first, second, third)):
        upload.write(large(number))
    first.abandon()
    second.abandon()
    assert counts(path) == (3, 3 * PER_WRITE)
    store.begin()
    assert counts(path) == (1, PER_WRITE)
    assert third.commit("", "").size == PER_WRITE * CHUNK


def test_a_second_upload_of_the_same_bytes_leaves_nothing(store: SqliteContents, path: Path) -> None:
    one, other = store.begin(), store.begin()
    one.write(large(1))
    other.write(large(1))
    assert counts(path) == (2, 2 * PER_WRITE)
    assert one.commit("one", "") == other.commit("other", "")
    assert counts(path) == (1, PER_WRITE)


def test_an_attachment_and_an_artifact_of_the_same_bytes_are_two(store: SqliteContents, path: Path) -> None:
    """One facet may be kept longer than the other."""
    artifacts = open_contents(f"sqlite:///{path}", "artifact")
    first = put(store)
    with pytest.raises(ContentNotFound, match="there is no artifact"):
        artifacts.stat(first.id)
    upload = artifacts.begin()
    upload.write(DATA)
    assert upload.commit("other", "").name == "other"
    assert store.stat(first.id).name == "n"
    assert counts(path) == (2, 6)
    artifacts.close()


def test_an_upload_that_is_written_to_is_not_removed_however_long_it_takes(
    store: SqliteContents, path: Path, clock: ManualClock
) -> None:
    upload = store.begin()
    for number in range(3):
        upload.write(large(number))
        clock.now += FORGOTTEN
        store.begin()
    assert upload.commit("", "").size == 3 * PER_WRITE * CHUNK
    assert counts(path) == (1, 3 * PER_WRITE)


def test_an_upload_that_was_removed_takes_no_more(
    store: SqliteContents, path: Path, clock: ManualClock
) -> None:
    """Also where another upload began since: its number is not used again."""
    slow = store.begin()
    slow.write(large(1))
    clock.now += FORGOTTEN + 1
    other = store.begin()
    assert counts(path) == (0, 0)
    other.write(large(2))
    with pytest.raises(StoreUnavailable, match="nobody wrote to it for a day; begin it again"):
        slow.write(large(3))
    with pytest.raises(InvalidValue, match=r"^this upload of an attachment is over; begin another$"):
        slow.commit("", "")
    content = other.commit("", "")
    assert b"".join(store.chunks(content.id)) == large(2)
    assert counts(path) == (1, PER_WRITE)


def test_what_is_kept_is_never_removed(store: SqliteContents, path: Path, clock: ManualClock) -> None:
    """S21: not with an upload that was left, however old both are."""
    content = put(store)
    store.begin().write(large(1))
    clock.now += 1_000 * FORGOTTEN
    store.begin()
    assert counts(path) == (1, 3)
    assert b"".join(store.chunks(content.id)) == DATA


# --- the file ---------------------------------------------------------------------------------------------------------


def test_it_is_durable_and_takes_the_usual_size(store: SqliteContents) -> None:
    assert store.tier is DurabilityTier.DURABLE
    assert store.size_limit == SIZE_LIMIT


def test_the_tables_come_into_a_file_that_a_registry_made_and_the_other_way_round(tmp_path: Path) -> None:
    for first, second in (("registry", "contents"), ("contents", "registry")):
        url = f"sqlite:///{tmp_path}/{first}.db"
        for one in (first, second, first, second):
            opened: Any = open_store(url) if one == "registry" else open_contents(url, "attachment")
            if one == "contents":
                assert put(opened).size == len(DATA)
            opened.close()
        assert counts(tmp_path / f"{first}.db") == (1, 3)


def test_another_programs_file_is_refused_and_not_changed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as link, link:
        link.execute("CREATE TABLE contents (x)")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="is another program's database"):
        open_contents(f"sqlite:///{path}", "attachment")
    assert path.read_bytes() == before


def test_a_text_file_is_refused(path: Path) -> None:
    path.write_text("not a database, and long enough to be seen as none" * 100)
    with pytest.raises(StoreUnusable, match="is not a database; name another file"):
        open_contents(f"sqlite:///{path}", "attachment")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"its folder .* does not exist; make it first"):
        open_contents(f"sqlite:///{tmp_path}/no/s.db", "attachment")


@pytest.mark.parametrize("url", ["memory:", "sqlite:///:memory:", "sqlite:///s.db?mode=ro"])
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        open_contents(url, "attachment")


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_was_taken_away_makes_it_unusable(store: SqliteContents, path: Path, how: str) -> None:
    content = put(store)
    path.rename(path.with_name("moved.db"))
    if how == "replaced":
        open_contents(f"sqlite:///{path}", "attachment").close()
    with pytest.raises(StoreUnusable, match="while it was open"):
        store.stat(content.id)
    with pytest.raises(StoreUnusable, match="while it was open"):
        put(store)
    assert path.exists() == (how == "replaced")


def test_lost_tables_make_it_unusable(store: SqliteContents, path: Path) -> None:
    content = put(store)
    alter(path, "DROP TABLE content_chunks", "DROP TABLE contents")
    with pytest.raises(StoreUnusable, match="has lost its tables; restore it from a backup"):
        store.stat(content.id)
    with pytest.raises(StoreUnusable, match="has lost its tables; restore it from a backup"):
        store.begin()


def test_the_log_stays_short_however_large_the_content(store: SqliteContents, path: Path) -> None:
    """Nobody reads for long, so each few transactions the log is used again from its beginning."""
    upload = store.begin()
    for number in range(16 * PER_WRITE):
        upload.write(number.to_bytes(8, "big") * (CHUNK // 8))
    upload.commit("", "")
    assert path.with_name("s.db-wal").stat().st_size <= 4 * PER_WRITE * CHUNK
    assert path.stat().st_size >= 16 * PER_WRITE * CHUNK
