"""Attachments and artifacts in memory. Tier INLINE. As strict as SQL: what is handed out is verified here too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock

from tenure.contents import SIZE_LIMIT, BytesLike, Chunk, Content, Intake, check_id, verified
from tenure.errors import ContentNotFound, ForkedProcess, InvalidValue, StoreUnavailable
from tenure.stores import DurabilityTier


class MemoryContents:
    """A `tenure.ContentStore`; any thread may call. `what`: attachment or artifact; `size_limit`: bytes of one."""

    def __init__(self, what: str = "attachment", *, size_limit: int = SIZE_LIMIT) -> None:
        self.what, self.size_limit = what, size_limit
        self._kept: dict[str, tuple[Content, tuple[Chunk, ...]]] = {}
        self._lock = Lock()
        self._closed = False
        self._pid = os.getpid()

    @property
    def tier(self) -> DurabilityTier:
        """INLINE: what it holds ends with the operating system's process."""
        return DurabilityTier.INLINE

    def begin(self) -> MemoryUpload:
        """A new upload; one that was left behind goes with its last reference."""
        self._check()
        return MemoryUpload(self)

    def stat(self, content_id: str) -> Content:
        """What is known of it."""
        return self._found(content_id)[0]

    def chunks(self, content_id: str) -> Iterator[bytes]:
        """Its bytes."""
        content, chunks = self._found(content_id)
        for body in verified(self.what, content, chunks):
            self._check()
            yield body

    def close(self) -> None:
        """End the store; what it held is gone. Repeatable."""
        self._check_process()
        self._closed = True
        self._kept.clear()

    def keep(self, content: Content, chunks: tuple[Chunk, ...]) -> Content:
        """What is kept under that id: this, unless it was there before."""
        self._check()
        with self._lock:
            return self._kept.setdefault(content.id, (content, chunks))[0]

    def _found(self, content_id: str) -> tuple[Content, tuple[Chunk, ...]]:
        check_id(self.what, content_id)
        self._check()
        found = self._kept.get(content_id)
        if found is None:
            raise ContentNotFound(self.what, content_id)
        return found

    def _check(self) -> None:
        self._check_process()
        if self._closed:
            raise StoreUnavailable("the store was closed")

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedProcess(
                f"this store of {self.what}s in memory was opened before fork(); the child has a copy that nobody "
                "else sees. Open a store in the child instead."
            )


class MemoryUpload:
    """A `tenure.contents.Upload`."""

    def __init__(self, store: MemoryContents) -> None:
        self._store = store
        self._intake = Intake(store.what, store.size_limit)
        self._chunks: list[Chunk] = []
        self._over = False

    def write(self, chunk: BytesLike) -> None:
        """Add bytes."""
        self._check()
        try:
            self._chunks.extend(self._intake.feed(chunk))
        except BaseException:
            self.abandon()
            raise

    def commit(self, name: str, media_type: str) -> Content:
        """Make it visible."""
        self._check()
        self._over = True
        self._chunks.extend(self._intake.last())
        return self._store.keep(self._intake.content(name, media_type), tuple(self._chunks))

    def abort(self) -> None:
        """Give it up."""
        self.abandon()

    def abandon(self) -> None:
        """Give it up."""
        self._over = True
        self._chunks = []

    def _check(self) -> None:
        if self._over:
            raise InvalidValue(f"this upload of an {self._store.what} is over; begin another")
