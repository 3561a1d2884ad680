"""Attachments and artifacts: bytes that are known by what they are. A content's id is the SHA-256 of its bytes, so it
never changes, and the same bytes are stored once. It goes in and out in chunks, so that a gigabyte needs no more memory
than a few of them.

A store keeps chunks, and has no rule of its own. `Intake` cuts what comes in and hashes it; `verified` lets out only
what is what came in: with each chunk the digest of the content *up to and with it* is stored, so that a chunk that was
altered, cut short, lost, swapped or added shows before it is handed out, and the last digest is the content's id.

`Contents` is what a handler and a client hold: coroutines that await nothing but the injected `ask`. Every call of a
store and of a caller's own plain iterable is made where it may block.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from hashlib import sha256
from typing import Protocol, TypeAlias, cast

from attrs import frozen

from tenure.asks import AskFunction, CallPlain
from tenure.errors import ContentCorrupt, InvalidValue, TooLarge
from tenure.limits import bad_text
from tenure.stores import DurabilityTier

CHUNK = 1 << 18
"""Bytes of a chunk; only a content's last one may be shorter."""
NAME_LIMIT = 255
"""Characters of a content's name, and of its media type."""
SIZE_LIMIT = 16 << 30
"""Bytes of one content, unless its store was made with another limit."""
WHOLE_LIMIT = 64 << 20
"""Bytes that `Contents.get` returns in one piece, unless told otherwise."""

BytesLike: TypeAlias = bytes | bytearray | memoryview
Source: TypeAlias = BytesLike | Iterable[BytesLike] | AsyncIterable[BytesLike]
"""What can be stored: bytes, or an iterable of bytes, plain or async, in pieces of any size."""


@frozen
class Content:
    """What is known of a stored content: its id (SHA-256 of its bytes, 64 hexadecimal digits), its size in bytes, and
    the name and media type that it was *first* stored under."""

    id: str
    size: int
    name: str
    media_type: str


@frozen
class Chunk:
    """The `n`-th chunk, from 0; `digest` is the SHA-256 of the content up to and with it, 32 bytes."""

    n: int
    body: bytes
    digest: bytes


class Upload(Protocol):
    """One content on its way into a store: visible only once it is committed, and then as a whole. For one caller at a
    time; only `abandon` may be called while another call has not returned."""

    @abstractmethod
    def write(self, chunk: BytesLike) -> None:
        """Add bytes, of any number. Raises InvalidValue for what is none or where the upload is over, TooLarge,
        StoreUnavailable; after any of them the upload is over."""

    @abstractmethod
    def commit(self, name: str, media_type: str) -> Content:
        """Make it visible, and end the upload. Bytes that are there already are not stored again: the answer is the
        content as it was first stored. Raises InvalidValue, StoreUnavailable, StoreUnknown where it may be there."""

    @abstractmethod
    def abort(self) -> None:
        """Give it up and remove what it left. Raises nothing for trouble with the store: then it is removed later.
        Repeatable, and nothing after `commit`."""

    @abstractmethod
    def abandon(self) -> None:
        """Give it up without waiting for anything, from any thread; what it left is removed later."""


class ContentStore(Protocol):
    """A store of contents; any thread may call. A store that cannot be used at all raises StoreUnusable."""

    @property
    @abstractmethod
    def tier(self) -> DurabilityTier:
        """What the store promises."""

    @abstractmethod
    def begin(self) -> Upload:
        """A new upload. Also removes what uploads left that nobody wrote to for a day."""

    @abstractmethod
    def stat(self, content_id: str) -> Content:
        """What is known of it. Raises ContentNotFound, InvalidValue for what is no id, StoreUnavailable."""

    @abstractmethod
    def chunks(self, content_id: str) -> Iterator[bytes]:
        """Its bytes in order, each chunk verified before it is handed out. Raises what `stat` does, ContentCorrupt."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store; may be called twice."""


class Contents:
    """The attachments, or the artifacts, of a deployment; `what` is the word for one of them.

    Every call may be cancelled. A `put` that was cancelled has stored nothing, or all of it, and repeating it is safe.
    """

    def __init__(self, ask: AskFunction, store: ContentStore, what: str) -> None:
        self._ask, self._store, self._what = ask, store, what

    async def put(
        self, data: Source, *, name: str = "", media_type: str = "application/octet-stream"
    ) -> Content:
        """Store bytes, or all that an iterable yields, and return the content, whose `id` gets it back.

        A plain iterable is read in a thread, an async one here. The same bytes are stored once, and keep the name and
        media type of the first time. Raises InvalidValue for what is not made of bytes, TooLarge, StoreUnavailable,
        StoreUnknown, and whatever the iterable raises; nothing is stored then.
        """
        check_words(self._what, name, media_type)
        source = _read_from(self._what, data)
        upload: Upload = await self._ask(CallPlain(self._store.begin, ()))
        try:
            if isinstance(source, AsyncIterable):
                await self._forward(upload, source)
            else:
                while await self._ask(CallPlain(_forward, (upload, source))):
                    pass
            content: Content = await self._ask(CallPlain(upload.commit, (name, media_type)))
        except BaseException as cut_short:
            # Whoever is cancelled can wait for nothing any more; what this leaves, the store removes.
            upload.abandon()
            if isinstance(cut_short, Exception):
                await self._abort(upload)
            raise
        return content

    async def _forward(self, upload: Upload, source: AsyncIterable[BytesLike]) -> None:
        """Small pieces are gathered, since each call is a thread's; copied, since a source may use its buffer again."""
        gathered = bytearray()
        async for piece in source:
            gathered += _viewed(self._what, piece)
            if len(gathered) >= CHUNK:
                await self._ask(CallPlain(upload.write, (gathered,)))
                gathered = bytearray()
        await self._ask(CallPlain(upload.write, (gathered,)))

    async def _abort(self, upload: Upload) -> None:
        try:
            await self._ask(CallPlain(upload.abort, ()))
        except Exception:  # the caller has to hear why the upload failed, and not this
            pass

    async def stat(self, id: str) -> Content:
        """What is known of it. Raises ContentNotFound, InvalidValue for what is no id, StoreUnavailable."""
        content: Content = await self._ask(CallPlain(self._store.stat, (id,)))
        return content

    async def get(self, id: str, *, limit: int = WHOLE_LIMIT) -> bytes:
        """All of its bytes. Raises TooLarge where they are more than `limit`, ContentCorrupt, and what `stat` does."""
        whole: bytes = await self._ask(CallPlain(_whole, (self._store, self._what, id, limit)))
        return whole

    def stream(self, id: str) -> AsyncIterator[bytes]:
        """Its bytes in order, chunk by chunk: `async for chunk in ctx.attachments.stream(id)`. Each is verified before
        it is handed out; that it is the whole content is known once the loop has ended. Raises as `get` does."""
        return ContentStream(self._ask, self._store, self._what, id)


class ContentStream:
    """The chunks of one content, one by one; it holds nothing open between two of them."""

    def __init__(self, ask: AskFunction, store: ContentStore, what: str, id: str) -> None:
        self._ask, self._what, self._id = ask, what, id
        self._chunks: Iterator[bytes] | None = _chunks(store, id)

    def __aiter__(self) -> ContentStream:
        return self

    async def __anext__(self) -> bytes:
        """The next chunk. Raises InvalidValue after one that did not come: the rest would look like all there is."""
        chunks, self._chunks = self._chunks, None
        if chunks is None:
            raise InvalidValue(
                f"the stream of {self._what} {self._id!r} was cut short, or is still waiting for a chunk; "
                "begin a new stream"
            )
        chunk: bytes | None = await self._ask(CallPlain(next, (chunks, None)))
        self._chunks = chunks
        if chunk is None:
            raise StopAsyncIteration
        return chunk


# --- the law of stores ------------------------------------------------------------------------------------------------


class Intake:
    """What comes in, cut into chunks and hashed, whatever the pieces that it comes in."""

    def __init__(self, what: str, limit: int = SIZE_LIMIT) -> None:
        self._what, self._limit = what, limit
        self._hash = sha256()
        self._rest = bytearray()
        self._size = self._count = 0

    def feed(self, piece: BytesLike) -> Iterator[Chunk]:
        """The chunks that are full with this piece. Raises InvalidValue, TooLarge."""
        view = _viewed(self._what, piece)
        self._size += len(view)
        if self._size > self._limit:
            advice = "Store it in parts."
            raise TooLarge(f"an {self._what} on its way into the store", self._size, self._limit, advice)
        for at in range(-len(self._rest), len(view), CHUNK):
            self._rest += view[max(at, 0) : at + CHUNK]
            if len(self._rest) == CHUNK:
                yield self._cut()

    def last(self) -> Iterator[Chunk]:
        """The last chunk, where it is not full."""
        if self._rest:
            yield self._cut()

    def content(self, name: str, media_type: str) -> Content:
        """What came in, as a content, once it is all there. Raises InvalidValue for the name or the media type."""
        check_words(self._what, name, media_type)
        return Content(self._hash.hexdigest(), self._size, name, media_type)

    def _cut(self) -> Chunk:
        body = bytes(self._rest)
        self._rest.clear()
        self._hash.update(body)
        chunk = Chunk(self._count, body, self._hash.digest())
        self._count += 1
        return chunk


def verified(what: str, content: Content, chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The bodies of the stored chunks, in order, each once it is known to be what came in. Raises ContentCorrupt."""
    hashed, size = sha256(), 0
    for expected, chunk in enumerate(chunks):
        size += len(chunk.body)
        hashed.update(chunk.body)
        if chunk.n != expected:
            raise ContentCorrupt(what, content.id, f"chunk {expected} is missing")
        if not chunk.body or size > content.size:
            raise ContentCorrupt(what, content.id, f"chunk {expected} goes beyond its {content.size} bytes")
        if hashed.digest() != chunk.digest:
            raise ContentCorrupt(what, content.id, f"chunk {expected} is not what was stored")
        if size == content.size:
            _check_whole(what, content, hashed.hexdigest())
        yield chunk.body
    if size != content.size:
        raise ContentCorrupt(what, content.id, f"it ends after {size} of its {content.size} bytes")
    _check_whole(what, content, hashed.hexdigest())


def _check_whole(what: str, content: Content, digest: str) -> None:
    if digest != content.id:
        raise ContentCorrupt(what, content.id, f"its bytes are those of {digest}")


def check_id(what: str, content_id: str) -> None:
    """Raise InvalidValue for what cannot be the id of a content."""
    if not isinstance(cast("object", content_id), str) or not _ID.fullmatch(content_id):
        raise InvalidValue(
            f"{content_id!r:.100} is no id of an {what}: that is 64 hexadecimal digits, the SHA-256 of its bytes"
        )


_ID = re.compile(r"[0-9a-f]{64}")


def check_words(what: str, name: str, media_type: str) -> None:
    """Raise InvalidValue for a name or media type that no store could keep."""
    for words, text in (("name", name), ("media type", media_type)):
        if not isinstance(cast("object", text), str):
            raise InvalidValue(f"the {words} of an {what} must be a string; it is {text!r:.100}")
        fault = bad_text(text, NAME_LIMIT)
        if fault:
            raise InvalidValue(f"the {words} of an {what} cannot be kept: {fault.detail}")


# --- sources ----------------------------------------------------------------------------------------------------------


def _read_from(what: str, data: Source) -> Iterator[BytesLike] | AsyncIterable[BytesLike]:
    """The pieces of the data. Raises InvalidValue where there can be none."""
    if isinstance(data, bytes | bytearray | memoryview | str):
        view = _viewed(what, data)
        return (view[at : at + CHUNK] for at in range(0, len(view), CHUNK))
    if isinstance(data, AsyncIterable):
        return data
    if isinstance(cast("object", data), Iterable):
        return iter(data)
    raise InvalidValue(
        f"an {what} is made of bytes, or of an iterable of bytes, plain or async; not of {type(data).__name__}"
    )


def _viewed(what: str, piece: object) -> memoryview:
    """The piece, byte by byte. Raises InvalidValue where it is no bytes."""
    if isinstance(piece, str):
        raise InvalidValue(f"an {what} is made of bytes, not of str; encode the text: text.encode()")
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise InvalidValue(f"an {what} is made of bytes, not of {type(piece).__name__}")
    view = memoryview(cast("BytesLike", piece))
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def _forward(upload: Upload, source: Iterator[BytesLike]) -> bool:
    """In a thread: write a chunk's worth of the source; whether there may be more."""
    written = 0
    for piece in source:
        upload.write(piece)
        written += len(piece)
        if written >= CHUNK:
            return True
    return False


def _chunks(store: ContentStore, content_id: str) -> Iterator[bytes]:
    """The store's own, but nothing is asked of the store before the first is asked for: in a thread."""
    yield from store.chunks(content_id)


def _whole(store: ContentStore, what: str, content_id: str, limit: int) -> bytes:
    """In a thread: all bytes of a content that is not too large."""
    size = store.stat(content_id).size
    if size > limit:
        raise TooLarge(
            f"{what} {content_id!r}", size, limit, "Read it with stream(), or pass a higher limit."
        )
    return b"".join(store.chunks(content_id))
