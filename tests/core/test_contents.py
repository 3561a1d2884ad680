"""`ctx.attachments` and `ctx.artifacts`: what goes in, what comes out, and what a call that was cut short leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from hashlib import sha256
from typing import Any

import pytest

from tenure.contents import CHUNK, NAME_LIMIT, SIZE_LIMIT, WHOLE_LIMIT, Content, Contents
from tenure.errors import ContentNotFound, InvalidValue, StoreUnavailable, TooLarge
from tests.core.content_shelf import Asking, Shelf
from tests.core.trampoline_asks import driven

DATA = b"".join(n.to_bytes(4, "big") for n in range(3 * CHUNK // 4))
ID = sha256(DATA).hexdigest()
UNKNOWN = "0" * 64


async def asynchronous(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


def iterated(*pieces: Any) -> Iterator[Any]:
    return iter(pieces)


async def all_of(stream: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in stream]


def has(shelf: Shelf, data: bytes) -> bool:
    return sha256(data).hexdigest() in shelf.kept


def test_the_limits_are_those_that_the_documentation_names() -> None:
    assert (CHUNK, NAME_LIMIT, SIZE_LIMIT, WHOLE_LIMIT) == (256 * 1024, 255, 16 * 1024**3, 64 * 1024**2)


@pytest.mark.parametrize(
    "source",
    [
        lambda: DATA,
        lambda: bytearray(DATA),
        lambda: memoryview(DATA).cast("Q"),
        lambda: memoryview(bytes(b for byte in DATA for b in (byte, 0)))[::2],
        lambda: [DATA[:5], b"", bytearray(DATA[5:CHUNK]), memoryview(DATA[CHUNK:]).cast("I")],
        lambda: (DATA[at : at + 1000] for at in range(0, len(DATA), 1000)),
        lambda: asynchronous(DATA[:5], b"", bytearray(DATA[5:CHUNK]), memoryview(DATA[CHUNK:]).cast("I")),
        lambda: asynchronous(*(DATA[at : at + 1000] for at in range(0, len(DATA), 1000))),
    ],
)
def test_bytes_and_whatever_yields_bytes_can_be_put_and_are_got_back(source: Callable[[], Any]) -> None:
    contents = Asking().contents
    content = driven(contents.put(source()))
    assert content == Content(ID, len(DATA), "", "application/octet-stream")
    assert driven(contents.get(ID)) == DATA
    assert driven(all_of(contents.stream(ID))) == [DATA[at : at + CHUNK] for at in range(0, len(DATA), CHUNK)]


@pytest.mark.parametrize("source", [b"", [], [b"", b""], asynchronous()])
def test_nothing_is_a_content_too(source: Any) -> None:
    contents = Asking().contents
    content = driven(contents.put(source))
    assert content == Content(sha256(b"").hexdigest(), 0, "", "application/octet-stream")
    assert driven(contents.get(content.id)) == b""
    assert driven(all_of(contents.stream(content.id))) == []


def test_a_content_has_a_name_and_a_media_type_those_of_the_first_time() -> None:
    contents = Asking().contents
    first = driven(contents.put(b"bytes", name="a.png", media_type="image/png"))
    assert first == Content(sha256(b"bytes").hexdigest(), 5, "a.png", "image/png")
    assert driven(contents.put([b"by", b"tes"], name="b.png", media_type="image/jpeg")) == first
    assert driven(contents.stat(first.id)) == first


def test_bytes_are_written_a_chunk_at_a_time_each_in_a_call_of_its_own() -> None:
    asking = Asking()
    driven(asking.contents.put(DATA))
    assert asking.shelf.calls == ["begin", *[f"write {CHUNK}"] * 3, "commit"]
    assert asking.asked == 6  # begin, three chunks, nothing more, commit


def test_a_plain_iterable_is_read_where_it_may_block_a_chunks_worth_at_a_time() -> None:
    asking = Asking()
    read_in: list[int] = []

    sizes = [CHUNK - 1, 1, CHUNK // 2, CHUNK, 1]

    def pieces() -> Iterator[bytes]:
        for size in sizes:
            assert asking.inside
            read_in.append(asking.asked)
            yield bytes(size)

    driven(asking.contents.put(pieces()))
    assert read_in == [2, 2, 3, 3, 4]
    assert asking.shelf.calls == ["begin", *(f"write {size}" for size in sizes), "commit"]


def test_an_async_iterable_is_read_on_the_loop_and_its_pieces_are_gathered() -> None:
    """A source that uses its buffer again and again loses nothing by it."""
    asking = Asking()
    buffer = bytearray(CHUNK // 2)

    async def pieces() -> AsyncIterator[bytearray]:
        for number in range(3):
            assert not asking.inside
            buffer[:] = bytes([number]) * (CHUNK // 2)
            yield buffer

    content = driven(asking.contents.put(pieces()))
    assert asking.shelf.calls == ["begin", f"write {CHUNK}", f"write {CHUNK // 2}", "commit"]
    assert driven(asking.contents.get(content.id)) == b"".join(bytes([n]) * (CHUNK // 2) for n in range(3))


# --- what is refused --------------------------------------------------------------------------------------------------

STR = "an attachment is made of bytes, not of str; encode the text: text.encode()"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("text", STR),
        (7, "an attachment is made of bytes, or of an iterable of bytes, plain or async; not of int"),
        (None, "an attachment is made of bytes, or of an iterable of bytes, plain or async; not of NoneType"),
    ],
)
def test_what_is_not_made_of_bytes_is_refused_before_anything_is_done(source: Any, said: str) -> None:
    asking = Asking()
    with pytest.raises(InvalidValue) as refused:
        driven(asking.contents.put(source))
    assert str(refused.value) == said
    assert asking.asked == 0


@pytest.mark.parametrize("of", [iterated, asynchronous])
@pytest.mark.parametrize(
    ("piece", "said"), [("text", STR), (7, "an attachment is made of bytes, not of int")]
)
def test_a_piece_that_is_no_bytes_ends_the_upload(of: Callable[..., Any], piece: Any, said: str) -> None:
    asking = Asking()
    with pytest.raises(InvalidValue) as refused:
        driven(asking.contents.put(of(b"bytes", piece)))
    assert str(refused.value) == said
    assert asking.shelf.calls[-2:] == ["abandon", "abort"]
    assert asking.shelf.kept == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"name": "x" * 256},
            "the name of an attachment cannot be kept: 256 characters; the limit is 255",
        ),
        (
            {"media_type": "x" * 256},
            "the media type of an attachment cannot be kept: 256 characters; the limit is 255",
        ),
        ({"name": "a\0"}, "the name of an attachment cannot be kept: it contains U+0000"),
        ({"name": 7}, "the name of an attachment must be a string; it is 7"),
        ({"media_type": None}, "the media type of an attachment must be a string; it is None"),
        ({"name": b"x" * 200}, "the name of an attachment must be a string; it is b'" + "x" * 98),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused_before_anything_is_done(words: Any, said: str) -> None:
    asking = Asking()
    with pytest.raises(InvalidValue) as refused:
        driven(asking.contents.put(b"bytes", **words))
    assert str(refused.value) == said
    assert asking.asked == 0


def test_names_of_the_longest_size_are_kept() -> None:
    content = driven(Asking().contents.put(b"bytes", name="n" * 255, media_type="m" * 255))
    assert (content.name, content.media_type) == ("n" * 255, "m" * 255)


def test_the_word_for_it_is_in_every_message() -> None:
    contents = Contents(Asking().ask, Shelf(), "artifact")
    with pytest.raises(InvalidValue, match=r"^an artifact is made of bytes, not of str"):
        driven(contents.put(asynchronous("text")))
    with pytest.raises(InvalidValue, match=r"^the name of an artifact "):
        driven(contents.put(b"", name="\0"))


# --- what goes wrong --------------------------------------------------------------------------------------------------


class Broken(Exception):
    """What a source raises."""


def breaks(after: bytes) -> Iterator[bytes]:
    yield after
    raise Broken


async def breaks_asynchronously(after: bytes) -> AsyncIterator[bytes]:
    yield after
    raise Broken


@pytest.mark.parametrize("source", [breaks, breaks_asynchronously])
@pytest.mark.parametrize("abort", [None, StoreUnavailable("the disk")])
def test_an_upload_whose_source_raises_is_given_up(
    source: Callable[[bytes], Any], abort: Exception | None
) -> None:
    """The caller hears what went wrong first, whatever comes of the clearing up."""
    asking = Asking()
    if abort:
        asking.shelf.fails["abort"] = abort
    with pytest.raises(Broken):
        driven(asking.contents.put(source(DATA)))
    assert asking.shelf.calls == ["begin", f"write {len(DATA)}", "abandon", "abort"]
    assert asking.shelf.kept == {}


def test_trouble_of_the_store_is_the_callers() -> None:
    for call in ("begin", f"write {CHUNK}", "commit"):
        asking = Asking()
        asking.shelf.fails[call] = StoreUnavailable("the disk")
        with pytest.raises(StoreUnavailable, match=r"^the disk$"):
            driven(asking.contents.put(DATA))
        assert asking.shelf.calls[-2:] == (["abandon", "abort"] if call != "begin" else ["begin"])


def test_where_nobody_makes_the_call_any_more_the_upload_is_abandoned() -> None:
    asking = Asking(gone_after=1)
    with pytest.raises(RuntimeError, match=r"^gone$"):
        driven(asking.contents.put(DATA))
    assert asking.shelf.calls == ["begin", "abandon"]


class Cancelled(BaseException):
    """As the loops' own are, not an Exception."""


def cut_at(step: int, running: Coroutine[Any, Any, Any], raised: BaseException) -> bool:
    """Drive the coroutine so many steps and throw that into it; whether it had come so far."""
    try:
        for _ in range(step):
            running.send(None)
    except StopIteration:
        return False
    with pytest.raises(type(raised)):
        running.throw(raised)
    return True


@pytest.mark.parametrize("source", [lambda: DATA, lambda: asynchronous(DATA, b"more")])
@pytest.mark.parametrize("raised", [Cancelled, GeneratorExit])
def test_a_cancelled_put_waits_for_nothing_and_stores_nothing_or_all(
    source: Callable[[], Any], raised: type[BaseException]
) -> None:
    """Cut at each of its calls, before and after it was made: the upload is abandoned, and that is the last call."""
    step = 1
    while True:
        asking = Asking()
        if not cut_at(step, asking.contents.put(source()), raised()):
            break
        calls = asking.shelf.calls
        assert "abort" not in calls
        if step > 2:  # from here on there was an upload to abandon
            assert calls[-1] == "abandon"
        assert bool(asking.shelf.kept) == ("commit" in calls)
        step += 1
    assert step > 8


# --- reading ----------------------------------------------------------------------------------------------------------


def test_an_unknown_id_is_not_found() -> None:
    contents = Asking().contents
    reads: tuple[Callable[[], Coroutine[Any, Any, object]], ...] = (
        lambda: contents.stat(UNKNOWN),
        lambda: contents.get(UNKNOWN),
        lambda: all_of(contents.stream(UNKNOWN)),
    )
    for read in reads:
        with pytest.raises(ContentNotFound) as missing:
            driven(read())
        assert str(missing.value) == (
            f"there is no attachment '{UNKNOWN}' in this store; "
            "see that it was stored, and in the store of the worker that asks for it"
        )
        assert (missing.value.what, missing.value.content_id) == ("attachment", UNKNOWN)


def test_a_content_over_the_limit_is_not_got_in_one_piece() -> None:
    asking = Asking()
    driven(asking.contents.put(DATA))
    asking.shelf.calls.clear()
    assert driven(asking.contents.get(ID, limit=len(DATA))) == DATA
    assert asking.shelf.calls == ["stat", "stat", "chunk", "chunk", "chunk"]
    asking.shelf.calls.clear()
    with pytest.raises(TooLarge) as refused:
        driven(asking.contents.get(ID, limit=len(DATA) - 1))
    assert str(refused.value) == (
        f"attachment '{ID}' takes 786432 bytes; the limit is 786431. "
        "Read it with stream(), or pass a higher limit."
    )
    assert (refused.value.size, refused.value.limit) == (786432, 786431)
    assert asking.shelf.calls == ["stat"]


def test_a_content_of_more_than_the_usual_limit_needs_another() -> None:
    asking = Asking()
    asking.shelf.kept[UNKNOWN] = (Content(UNKNOWN, WHOLE_LIMIT + 1, "", ""), [])
    with pytest.raises(TooLarge, match=f"takes {WHOLE_LIMIT + 1} bytes; the limit is {WHOLE_LIMIT}"):
        driven(asking.contents.get(UNKNOWN))


def test_a_stream_reads_one_chunk_a_call_and_ends_for_good() -> None:
    asking = Asking()
    driven(asking.contents.put(DATA))
    asking.shelf.calls.clear()
    stream = asking.contents.stream(ID)
    assert stream.__aiter__() is stream
    assert asking.shelf.calls == []  # nothing is read before it is asked for
    for number in range(3):
        assert driven(anext_of(stream)) == DATA[number * CHUNK : (number + 1) * CHUNK]
        assert asking.shelf.calls == ["stat", *["chunk"] * (number + 1)]
    for _ in range(2):
        assert driven(ended(stream))


def test_a_store_is_asked_for_the_chunks_where_it_may_block() -> None:
    asking = Asking()

    class Opening(Shelf):
        """Its `chunks` does something at once."""

        def chunks(self, content_id: str) -> Iterator[bytes]:
            assert asking.inside
            return iter([b"bytes"])

    asking.shelf = Opening()
    assert driven(all_of(asking.contents.stream(ID))) == [b"bytes"]


async def anext_of(stream: AsyncIterator[bytes]) -> bytes:
    return await stream.__anext__()


async def ended(stream: AsyncIterator[bytes]) -> bool:
    return await anext(stream, None) is None


CUT = f"the stream of attachment '{ID}' was cut short, or is still waiting for a chunk; begin a new stream"


@pytest.mark.parametrize("raised", [Cancelled(), Broken()])
def test_a_stream_that_was_cut_short_never_looks_like_a_whole_one(raised: BaseException) -> None:
    asking = Asking()
    driven(asking.contents.put(DATA))
    stream = asking.contents.stream(ID)
    driven(anext_of(stream))
    cut_at(1, anext_of(stream), raised)
    for _ in range(2):
        with pytest.raises(InvalidValue) as refused:
            driven(anext_of(stream))
        assert str(refused.value) == CUT


def test_a_stream_is_for_one_reader_at_a_time() -> None:
    asking = Asking()
    driven(asking.contents.put(DATA))
    stream = asking.contents.stream(ID)
    waiting = anext_of(stream)
    waiting.send(None)
    with pytest.raises(InvalidValue) as refused:
        driven(anext_of(stream))
    assert str(refused.value) == CUT
    assert driven(waiting) == DATA[:CHUNK]
    assert driven(anext_of(stream)) == DATA[CHUNK : 2 * CHUNK]
