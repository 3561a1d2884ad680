"""The law of stores of contents as a test kit: `check_contents(make)`.

`make(size_limit)` returns a new, empty store that takes contents of at most that many bytes. Each check runs on a store
of its own, which it closes. In a test suite, parametrise over `CONTENT_CHECKS`, so that a failure is named:

    @pytest.mark.parametrize("check", CONTENT_CHECKS, ids=name_of)
    def test_my_store(check):
        run_content_check(check, lambda size_limit: MyStore(size_limit))

What only the store's own files can show (that altered bytes are not handed out, that a crash leaves nothing) is for a
test of yours; `tenure.contents.verified` and `Intake` do the former for a store that uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from threading import Thread
from typing import Any, TypeAlias

from tenure.contents import CHUNK, NAME_LIMIT, BytesLike, Content, ContentStore, Upload
from tenure.errors import ContentNotFound, InvalidValue, StoreUnavailable, TooLarge
from tenure.stores import DurabilityTier
from tenure_testing.kits import name_of, run_on
from tenure_testing.registry_world import expect, holds

__all__ = ["CONTENT_CHECKS", "ContentCheck", "MakeContents", "check_contents", "name_of", "run_content_check"]

MakeContents: TypeAlias = Callable[[int], ContentStore]
ContentCheck: TypeAlias = Callable[[ContentStore], None]

SIZE_LIMIT = 4 * CHUNK
"""Of the stores that are checked."""
BODY = bytes(range(256)) * (CHUNK // 256)
"""A full chunk."""
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7)
PATIENCE = 60
"""Seconds until a thread is given up; a bound, not a speed."""


def run_content_check(check: ContentCheck, make: MakeContents) -> None:
    """Run one check on a store of its own. Raises AssertionError with what the law says and what was seen."""
    store = make(SIZE_LIMIT)
    run_on(check, store, store.close)


def check_contents(make: MakeContents) -> None:
    """Run every check; the first that fails raises."""
    for check in CONTENT_CHECKS:
        run_content_check(check, make)


# --- words ------------------------------------------------------------------------------------------------------------


def bytes_of(size: int) -> bytes:
    """So many bytes, no two chunks of them alike."""
    return b"".join(n.to_bytes(4, "big") for n in range(size // 4 + 1))[:size]


def id_of(data: bytes) -> str:
    """The id that a content of these bytes must have."""
    return sha256(data).hexdigest()


def written(store: ContentStore, pieces: Iterable[BytesLike]) -> Upload:
    """An upload with these pieces, not committed."""
    upload = store.begin()
    for piece in pieces:
        upload.write(piece)
    return upload


def put(store: ContentStore, *pieces: BytesLike, name: str = "n", media_type: str = "text/x") -> Content:
    """Store the pieces."""
    return written(store, pieces).commit(name, media_type)


def raises(kind: type[Exception], what: str, call: Callable[..., object], *args: Any) -> None:
    """Fail unless `call(*args)` raises that kind of error."""
    try:
        got = call(*args)
    except kind:
        return
    except Exception as other:
        raise AssertionError(f"{what}: raised {other!r}, expected {kind.__name__}") from other
    raise AssertionError(f"{what}: answered {got!r}, expected {kind.__name__}")


def is_absent(store: ContentStore, data: bytes, when: str) -> None:
    """Fail if there is a content of these bytes."""
    raises(ContentNotFound, f"stat {when}", store.stat, id_of(data))
    raises(ContentNotFound, f"chunks {when}", read, store, id_of(data))


def read(store: ContentStore, content_id: str) -> bytes:
    """All bytes of a content."""
    return b"".join(store.chunks(content_id))


def is_over(upload: Upload, since: str) -> None:
    """Fail unless the upload takes nothing any more."""
    raises(InvalidValue, f"write {since}", upload.write, b"more")
    raises(InvalidValue, f"commit {since}", upload.commit, "", "")


# --- checks -----------------------------------------------------------------------------------------------------------


def content_is_known_by_the_digest_of_its_bytes_and_comes_back_equal(store: ContentStore) -> None:
    """The id is the SHA-256 of the bytes; they come back in order, in chunks of at most CHUNK bytes, none empty."""
    for size in SIZES:
        data = bytes_of(size)
        content = put(store, data)
        expect(content, Content(id_of(data), size, "n", "text/x"), f"the content of {size} bytes")
        expect(store.stat(content.id), content, f"what is known of {size} bytes")
        chunks = list(store.chunks(content.id))
        holds(b"".join(chunks) == data, f"{size} bytes come back as they were put")
        holds(
            all(type(one) is bytes and 0 < len(one) <= CHUNK for one in chunks), f"the chunks of {size} bytes"
        )


def the_pieces_that_it_comes_in_make_no_difference(store: ContentStore) -> None:
    """One id, however the bytes are cut: small pieces, empty ones, pieces of many chunks, views of memory."""
    data = bytes_of(2 * CHUNK + 10)
    cuts: tuple[tuple[BytesLike, ...], ...] = (
        (data,),
        (b"", data[:1], b"", data[1:], b""),
        (data[:CHUNK], data[CHUNK:]),
        (data[: CHUNK + 1], data[CHUNK + 1 : CHUNK + 3], data[CHUNK + 3 :]),
        (bytearray(data[:77]), memoryview(data)[77:]),
        (memoryview(data[: 2 * CHUNK]).cast("Q"), data[2 * CHUNK :]),
    )
    for pieces in cuts:
        expect(put(store, *pieces).id, id_of(data), "the id")
    holds(read(store, id_of(data)) == data, "the bytes come back as they were put")


def what_a_caller_does_to_its_buffer_later_changes_nothing(store: ContentStore) -> None:
    """The bytes are those of the moment when they were written."""
    buffer = bytearray(b"before")
    upload = written(store, [buffer])
    buffer[:] = b"after!"
    expect(upload.commit("", "").id, id_of(b"before"), "the id")
    expect(list(store.chunks(id_of(b"before"))), [b"before"], "the bytes")


def same_bytes_are_stored_once_and_keep_their_first_name(store: ContentStore) -> None:
    """Deduplicated: the second answer is the first content, with its name and media type."""
    for data in (b"", b"bytes", BODY + b"more"):
        first = put(store, data, name="first", media_type="text/first")
        expect(put(store, data, name="second", media_type="text/second"), first, "put again")
        expect(store.stat(first.id), first, "what is known of it")


def an_upload_is_not_visible_before_it_is_committed(store: ContentStore) -> None:
    """Nothing of it, however much was written."""
    data = bytes_of(3 * CHUNK)
    upload = written(store, [data])
    is_absent(store, data, "before commit")
    expect(upload.commit("", "").size, len(data), "its size")
    expect(store.stat(id_of(data)).size, len(data), "its size afterwards")


def an_upload_that_was_given_up_leaves_nothing(store: ContentStore) -> None:
    """By abort and by abandon, each repeatable; the same bytes can be put afterwards."""
    data = bytes_of(3 * CHUNK)
    for give_up in ("abort", "abandon"):
        upload = written(store, [data])
        for _ in range(2):
            getattr(upload, give_up)()
        is_over(upload, f"after {give_up}")
        is_absent(store, data, f"after {give_up}")
    put(store, data)
    holds(read(store, id_of(data)) == data, "the bytes come back as they were put")


def an_upload_that_was_committed_is_over_and_stays(store: ContentStore) -> None:
    """Neither write nor commit is taken after commit, and abort and abandon change nothing; nor do they for a second
    upload of the same bytes."""
    data = bytes_of(CHUNK + 1)
    for _ in range(2):
        upload = written(store, [data])
        upload.commit("n", "m")
        is_over(upload, "after commit")
        upload.abandon()
        upload.abort()
        store.begin()
        expect(store.stat(id_of(data)), Content(id_of(data), len(data), "n", "m"), "what is known of it")
        holds(read(store, id_of(data)) == data, "the bytes come back as they were put")


def two_uploads_of_the_same_bytes_at_once_both_succeed(store: ContentStore) -> None:
    """Interleaved, they get one id, and one of them stays."""
    data = bytes_of(2 * CHUNK + 1)
    one, other = store.begin(), store.begin()
    for at in range(0, len(data), CHUNK):
        one.write(data[at : at + CHUNK])
        other.write(data[at : at + CHUNK])
    first = other.commit("other", "m")
    expect(one.commit("one", "m"), first, "the later one's answer")
    expect(first.name, "other", "the name of the first to be committed")
    holds(read(store, first.id) == data, "the bytes come back as they were put")


def many_threads_at_once_do_not_disturb_each_other(store: ContentStore) -> None:
    """Each puts what others put too, and something of its own, and reads both."""
    failures: list[str] = []

    def work(number: int) -> None:
        try:
            own = bytes_of(CHUNK + number)
            for data in (own, b"common", own, b"common"):
                content = put(store, data[:CHUNK], data[CHUNK:])
                expect(content.id, id_of(data), "the id")
                holds(read(store, content.id) == data, "the bytes come back as they were put")
        except Exception as failure:
            failures.append(f"thread {number}: {failure!r}")

    threads = [Thread(target=work, args=(number,), daemon=True) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        holds(not thread.is_alive(), "a thread did not end")
    expect(failures, [], "failures")


def two_readers_go_on_side_by_side(store: ContentStore) -> None:
    """A reader that takes its time, or stops, disturbs neither another one nor an upload."""
    data = bytes_of(3 * CHUNK)
    content_id = put(store, data).id
    slow, stopped = store.chunks(content_id), store.chunks(content_id)
    first = next(slow) + next(slow)
    next(stopped)
    put(store, b"another")
    holds(read(store, content_id) == data, "a reader beside a slow one")
    holds(first + b"".join(slow) == data, "the slow reader")


def an_unknown_id_is_not_found(store: ContentStore) -> None:
    """ContentNotFound, and not a word about another content."""
    put(store, b"bytes")
    is_absent(store, b"other bytes", "never put")


def what_is_no_id_is_refused(store: ContentStore) -> None:
    """InvalidValue for anything but 64 hexadecimal digits, in small letters."""
    good = put(store, b"bytes").id
    wrong: tuple[Any, ...] = (
        "",
        "x",
        good[:-1],
        good + "0",
        good + "\n",
        good.upper(),
        "g" * 64,
        None,
        7,
        b"0" * 64,
    )
    for content_id in wrong:
        raises(InvalidValue, f"stat of {content_id!r}", store.stat, content_id)
        raises(InvalidValue, f"chunks of {content_id!r}", read, store, content_id)


def what_is_no_bytes_is_refused(store: ContentStore) -> None:
    """InvalidValue; the upload is over then, and nothing of it stays."""
    wrong: tuple[Any, ...] = ("text", 7, None, [b"bytes"])
    for piece in wrong:
        upload = written(store, [b"good"])
        raises(InvalidValue, f"write of {piece!r}", upload.write, piece)
        is_over(upload, "after what is no bytes")
    is_absent(store, b"good", "given up")


def a_name_that_cannot_be_kept_is_refused(store: ContentStore) -> None:
    """Name and media type: strings of at most 255 characters, without U+0000 and lone surrogates; empty is allowed."""
    wrong: tuple[Any, ...] = ("x" * (NAME_LIMIT + 1), "nul\0", "\ud800", None, b"bytes")
    for bad in wrong:
        for words in ((bad, "m"), ("n", bad)):
            upload = written(store, [b"bytes"])
            raises(InvalidValue, f"commit as {words!r:.80}", upload.commit, *words)
            is_over(upload, "after a name that cannot be kept")
    is_absent(store, b"bytes", "given up")
    for number, good in enumerate(("", "x" * NAME_LIMIT, "ünï cödé ☃.txt", "a/../b")):
        content = put(store, bytes([number]), name=good, media_type=good)
        expect((content.name, content.media_type), (good, good), "the words")
        expect(store.stat(content.id), content, "what is known of it")


def a_content_over_the_limit_is_refused(store: ContentStore) -> None:
    """TooLarge with the first byte over it, in one piece or in many; a content right at the limit is stored."""
    data = bytes_of(SIZE_LIMIT)
    expect(put(store, data).size, SIZE_LIMIT, "the size of a content at the limit")
    raises(TooLarge, "one byte more, in one piece", put, store, data + b"!")
    upload = written(store, [data])
    raises(TooLarge, "one byte more, in a piece of its own", upload.write, b"!")
    is_over(upload, "after TooLarge")
    is_absent(store, data + b"!", "too large")


def a_closed_store_is_unavailable(store: ContentStore) -> None:
    """StoreUnavailable for whatever is asked of it, also in the middle of a content; closing twice is allowed."""
    data = bytes_of(2 * CHUNK)
    content_id = put(store, data).id
    upload, reading = written(store, [b"bytes"]), store.chunks(content_id)
    next(reading)
    for _ in range(2):
        store.close()
    raises(StoreUnavailable, "begin", store.begin)
    raises(StoreUnavailable, "stat", store.stat, content_id)
    raises(StoreUnavailable, "chunks", read, store, content_id)
    raises(StoreUnavailable, "the next chunk", next, reading)
    raises(StoreUnavailable, "commit", upload.commit, "", "")
    upload.abort()


def the_tier_is_one(store: ContentStore) -> None:
    """`tier` is a DurabilityTier."""
    expect(type(store.tier), DurabilityTier, "the type of the tier")


CONTENT_CHECKS: tuple[ContentCheck, ...] = (
    content_is_known_by_the_digest_of_its_bytes_and_comes_back_equal,
    the_pieces_that_it_comes_in_make_no_difference,
    what_a_caller_does_to_its_buffer_later_changes_nothing,
    same_bytes_are_stored_once_and_keep_their_first_name,
    an_upload_is_not_visible_before_it_is_committed,
    an_upload_that_was_given_up_leaves_nothing,
    an_upload_that_was_committed_is_over_and_stays,
    two_uploads_of_the_same_bytes_at_once_both_succeed,
    many_threads_at_once_do_not_disturb_each_other,
    two_readers_go_on_side_by_side,
    an_unknown_id_is_not_found,
    what_is_no_id_is_refused,
    what_is_no_bytes_is_refused,
    a_name_that_cannot_be_kept_is_refused,
    a_content_over_the_limit_is_refused,
    a_closed_store_is_unavailable,
    the_tier_is_one,
)
