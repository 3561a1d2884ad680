"""Attachments and artifacts for code that blocks: plain handlers in their threads, and programs without a loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from attrs import frozen

from tenure.contents import WHOLE_LIMIT, Content, Contents, Source
from tenure_driver.driving import driven


@frozen(eq=False)
class BlockingContents:
    """`tenure.Contents`, without `await`."""

    _contents: Contents

    def put(self, data: Source, *, name: str = "", media_type: str = "application/octet-stream") -> Content:
        """As `Contents.put`. An async iterable that needs an event loop is refused with InvalidValue."""
        return driven(self._contents.put(data, name=name, media_type=media_type))

    def stat(self, id: str) -> Content:
        """As `Contents.stat`."""
        return driven(self._contents.stat(id))

    def get(self, id: str, *, limit: int = WHOLE_LIMIT) -> bytes:
        """As `Contents.get`."""
        return driven(self._contents.get(id, limit=limit))

    def stream(self, id: str) -> Iterator[bytes]:
        """As `Contents.stream`, with a plain `for`."""
        chunks: Any = self._contents.stream(id)
        while True:
            try:
                yield cast("bytes", driven(chunks.__anext__()))
            except StopAsyncIteration:
                return
