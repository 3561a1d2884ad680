"""What comes in is cut and hashed, and nothing else ever comes out: `Intake` and `verified`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tenure import contents
from tenure.contents import CHUNK, Chunk, Content, Intake, check_id, verified
from tenure.errors import ContentCorrupt, InvalidValue, TooLarge


def taken_in(*pieces: bytes, limit: int = 1 << 40) -> tuple[Content, list[Chunk]]:
    """The pieces as a content, and its chunks."""
    intake = Intake("attachment", limit)
    chunks = [chunk for piece in pieces for chunk in intake.feed(piece)]
    chunks += intake.last()
    return intake.content("n", "m"), chunks


DATA = b"".join(n.to_bytes(4, "big") for n in range(2 * CHUNK // 4)) + b"end"
CONTENT, CHUNKS = taken_in(DATA)
OTHERS = taken_in(bytes(len(DATA)))


def test_a_content_is_cut_into_full_chunks_each_with_the_digest_of_all_before_it() -> None:
    assert Content(sha256(DATA).hexdigest(), len(DATA), "n", "m") == CONTENT
    bounds = [(0, CHUNK), (CHUNK, 2 * CHUNK), (2 * CHUNK, len(DATA))]
    assert [
        Chunk(n, DATA[start:end], sha256(DATA[:end]).digest()) for n, (start, end) in enumerate(bounds)
    ] == CHUNKS


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_only_the_last_chunk_may_be_shorter_and_none_is_empty(size: int) -> None:
    _, chunks = taken_in(bytes(size))
    assert [len(chunk.body) for chunk in chunks] == [min(CHUNK, size - at) for at in range(0, size, CHUNK)]


@given(st.data())
def test_any_split_of_any_bytes_gives_the_same_chunks(data: st.DataObject) -> None:
    """With chunks of a few bytes, so that every way to cut them is among what is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "CHUNK", data.draw(st.integers(1, 9)))
        pieces = data.draw(st.lists(st.binary(max_size=20), max_size=10))
        content, chunks = taken_in(*pieces)
        assert (content, chunks) == taken_in(b"".join(pieces))
        assert b"".join(verified("attachment", content, chunks)) == b"".join(pieces)


@given(st.data())
def test_whatever_is_done_to_the_chunks_no_wrong_byte_comes_out(data: st.DataObject) -> None:
    """Chunks altered, lost, doubled, swapped, renumbered, with digests altered as well: what comes out before the
    error is a beginning of the content, and without an error it is the content."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "CHUNK", 3)
        body = data.draw(st.binary(max_size=15))
        content, chunks = taken_in(body)
        digests = st.sampled_from([chunk.digest for chunk in chunks] or [b""])
        anything = st.builds(Chunk, st.integers(0, 5), st.binary(max_size=4), digests)
        altered = data.draw(st.lists(st.one_of(st.sampled_from(chunks), anything) if chunks else anything))
        out = b""
        try:
            for piece in verified("attachment", content, altered):
                out += piece
        except ContentCorrupt:
            assert altered != chunks
            assert body.startswith(out)
        else:
            assert out == body


def corrupt(chunks: Sequence[Chunk], content: Content = CONTENT) -> tuple[int, str]:
    """How many chunks come out, and what is said then."""
    out: list[bytes] = []
    with pytest.raises(ContentCorrupt) as raised:
        out.extend(verified("artifact", content, chunks))
    assert out == [chunk.body for chunk in CHUNKS[: len(out)]]
    assert (raised.value.what, raised.value.content_id) == ("artifact", content.id)
    assert str(raised.value) == (
        f"artifact '{content.id}' is corrupt: {raised.value.reason}; restore the store from a backup"
    )
    return len(out), raised.value.reason


FIRST, SECOND, LAST = CHUNKS


@pytest.mark.parametrize(
    ("chunks", "out", "reason"),
    [
        ([FIRST, evolve(SECOND, body=b"!" + SECOND.body[1:]), LAST], 1, "chunk 1 is not what was stored"),
        ([FIRST, evolve(SECOND, body=SECOND.body[:-1]), LAST], 1, "chunk 1 is not what was stored"),
        ([evolve(FIRST, digest=SECOND.digest), SECOND, LAST], 0, "chunk 0 is not what was stored"),
        ([FIRST, SECOND, evolve(LAST, body=b"eng")], 2, "chunk 2 is not what was stored"),
        ([FIRST, LAST], 1, "chunk 1 is missing"),
        ([SECOND, LAST], 0, "chunk 0 is missing"),
        ([FIRST, FIRST, SECOND, LAST], 1, "chunk 1 is missing"),
        ([evolve(SECOND, n=0), evolve(FIRST, n=1), LAST], 0, "chunk 0 is not what was stored"),
        ([FIRST, SECOND], 2, "it ends after 524288 of its 524291 bytes"),
        ([], 0, "it ends after 0 of its 524291 bytes"),
        ([*CHUNKS, Chunk(3, b"x", b"")], 3, "chunk 3 goes beyond its 524291 bytes"),
        ([*CHUNKS, Chunk(3, b"", LAST.digest)], 3, "chunk 3 goes beyond its 524291 bytes"),
        ([FIRST, SECOND, evolve(LAST, body=b"end!")], 2, "chunk 2 goes beyond its 524291 bytes"),
        ([FIRST, evolve(SECOND, body=b""), LAST], 1, "chunk 1 goes beyond its 524291 bytes"),
    ],
)
def test_a_chunk_that_was_tampered_with_does_not_come_out(
    chunks: Sequence[Chunk], out: int, reason: str
) -> None:
    """S21: what was stored is what is read, or nothing is."""
    assert corrupt(chunks) == (out, reason)


def test_chunks_that_fit_one_another_and_not_the_id_do_not_come_out_as_a_whole() -> None:
    """Every digest was altered with the bytes: the last chunk shows it."""
    out: list[bytes] = []
    with pytest.raises(ContentCorrupt, match=f": its bytes are those of {OTHERS[0].id}; "):
        out.extend(verified("artifact", CONTENT, OTHERS[1]))
    assert len(out) == 2


def test_an_empty_content_that_is_none_does_not_come_out() -> None:
    claims = Content(CONTENT.id, 0, "n", "m")
    assert corrupt([], claims) == (0, f"its bytes are those of {sha256(b'').hexdigest()}")


def test_a_content_of_another_size_does_not_come_out_whole() -> None:
    shorter = evolve(CONTENT, size=2 * CHUNK)
    assert corrupt(CHUNKS, shorter) == (1, f"its bytes are those of {sha256(DATA[: 2 * CHUNK]).hexdigest()}")
    longer = evolve(CONTENT, size=len(DATA) + 1)
    assert corrupt(CHUNKS, longer) == (3, "it ends after 524291 of its 524292 bytes")


def test_a_content_over_its_stores_limit_is_refused_with_the_first_byte_over_it() -> None:
    assert taken_in(b"abc", b"de", limit=5)[0].size == 5
    intake = Intake("artifact", 5)
    assert list(intake.feed(b"abc")) == []
    with pytest.raises(TooLarge) as refused:
        list(intake.feed(b"def"))
    assert str(refused.value) == (
        "an artifact on its way into the store takes 6 bytes; the limit is 5. Store it in parts."
    )
    assert (refused.value.size, refused.value.limit) == (6, 5)


def test_without_another_limit_it_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    intake = Intake("artifact")
    monkeypatch.setattr(intake, "_size", contents.SIZE_LIMIT - 1)
    assert list(intake.feed(b"a")) == []
    with pytest.raises(TooLarge, match=f"the limit is {16 << 30}"):
        list(intake.feed(b"a"))


def test_a_piece_is_looked_at_byte_by_byte_and_not_copied() -> None:
    """A piece may be large."""
    for piece in (DATA, bytearray(DATA), memoryview(DATA), memoryview(bytes(8)).cast("Q")):
        view = contents._viewed("attachment", piece)  # pyright: ignore[reportPrivateUsage] - how it is done is the point
        assert view.obj is (piece.obj if isinstance(piece, memoryview) else piece)
        assert (view.format, len(view)) == ("B", memoryview(piece).nbytes)


def test_an_empty_intake_is_the_empty_content() -> None:
    assert taken_in() == (Content(sha256(b"").hexdigest(), 0, "n", "m"), [])


def test_the_words_are_checked_where_the_content_is_made() -> None:
    with pytest.raises(InvalidValue, match=r"^the name of an attachment cannot be kept: it contains U"):
        Intake("attachment").content("\0", "m")
    with pytest.raises(InvalidValue, match=r"^the media type of an attachment cannot be kept: it contains U"):
        Intake("attachment").content("n", "\0")


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ("", "''"),
        ("0" * 63, repr("0" * 63)),
        ("0" * 65, repr("0" * 65)),
        ("0" * 64 + "\n", "'" + "0" * 64 + "\\n'"),
        ("A" * 64, repr("A" * 64)),
        ("g" * 64, repr("g" * 64)),
        ("x" * 1000, "'" + "x" * 99),
        (7, "7"),
        (b"0" * 64, repr(b"0" * 64)),
    ],
)
def test_what_is_no_id_is_refused(wrong: Any, shown: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_id("attachment", wrong)
    assert str(refused.value) == (
        f"{shown} is no id of an attachment: that is 64 hexadecimal digits, the SHA-256 of its bytes"
    )


def test_what_is_an_id_is_taken() -> None:
    check_id("attachment", "0123456789abcdef" * 4)
