"""Every store of contents under the law: the shipped kit, check by check; and that careless ones fail (S21)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tenure.contents import BytesLike, Chunk, Content, ContentStore
from tenure_memory import MemoryContents
from tenure_memory.contents import MemoryUpload
from tenure_sqlite import open_contents
from tenure_testing.content_contract import (
    CONTENT_CHECKS,
    ContentCheck,
    MakeContents,
    check_contents,
    name_of,
    run_content_check,
)

Maker = Callable[[Path], MakeContents]


def memory(_: Path) -> MakeContents:
    return lambda size_limit: MemoryContents(size_limit=size_limit)


def sqlite(folder: Path) -> MakeContents:
    numbers = count()

    def make(size_limit: int) -> ContentStore:
        url = f"sqlite:///{folder}/{next(numbers)}.db"
        return open_contents(url, "attachment", size_limit=size_limit, gap=0)

    return make


@pytest.mark.parametrize("maker", [memory, sqlite])
@pytest.mark.parametrize("check", CONTENT_CHECKS, ids=name_of)
def test_the_store_keeps_the_law(check: ContentCheck, maker: Maker, tmp_path: Path) -> None:
    run_content_check(check, maker(tmp_path))


def test_the_kit_runs_as_one_call() -> None:
    opened: list[ContentStore] = []

    def make(size_limit: int) -> ContentStore:
        opened.append(MemoryContents(size_limit=size_limit))
        return opened[-1]

    check_contents(make)
    assert len(opened) == len(CONTENT_CHECKS)


class LastNameWins(MemoryContents):
    """Stores the same bytes again."""

    def keep(self, content: Content, chunks: tuple[Chunk, ...]) -> Content:
        self._kept.pop(content.id, None)
        return super().keep(content, chunks)


class GoesOnAfterCommit(MemoryContents):
    """Its uploads are never over."""

    def begin(self) -> MemoryUpload:
        return Endless(self)


class Endless(MemoryUpload):
    def _check(self) -> None:
        pass


class KeepsTheCallersBuffer(MemoryContents):
    """Hashes and cuts at the end, what the caller has in its buffers by then."""

    def begin(self) -> MemoryUpload:
        return Late(self)


class Late(MemoryUpload):
    def __init__(self, store: MemoryContents) -> None:
        super().__init__(store)
        self._pieces: list[BytesLike] = []

    def write(self, chunk: BytesLike) -> None:
        self._check()
        self._pieces.append(chunk)

    def commit(self, name: str, media_type: str) -> Content:
        for piece in self._pieces:
            super().write(piece)
        return super().commit(name, media_type)


class TrustsItsCaller(MemoryContents):
    """Looks anything up."""

    def chunks(self, content_id: str) -> Iterator[bytes]:
        return iter([chunk.body for chunk in self._kept[content_id][1]])


@pytest.mark.parametrize(
    ("careless", "seen_by"),
    [
        (LastNameWins, "same bytes are stored once and keep their first name"),
        (GoesOnAfterCommit, "an upload that was given up leaves nothing"),
        (KeepsTheCallersBuffer, "what a caller does to its buffer later changes nothing"),
        (TrustsItsCaller, "an upload is not visible before it is committed"),
    ],
)
def test_the_kit_sees_a_careless_store(careless: type[MemoryContents], seen_by: str) -> None:
    with pytest.raises(AssertionError, match=f"^{seen_by}\n"):
        check_contents(lambda size_limit: careless(size_limit=size_limit))
