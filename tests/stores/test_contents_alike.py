"""Memory and SQLite are alike: whatever is done to both, the answers are the same (S21)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import contents
from tenure.contents import ContentStore, Upload
from tenure.errors import TenureError
from tenure_memory import MemoryContents
from tenure_sqlite import open_contents
from tenure_sqlite.contents import PER_WRITE
from tenure_testing.content_contract import id_of

SMALL = 5
"""Bytes of a chunk here, so that every way to cut a few bytes is among what is drawn."""
LIMIT = 4 * PER_WRITE * SMALL


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ContentStore, ContentStore]:
    monkeypatch.setattr(contents, "CHUNK", SMALL)
    return (
        MemoryContents("artifact", size_limit=LIMIT),
        open_contents(f"sqlite:///{tmp_path}/s.db", "artifact", size_limit=LIMIT, gap=0),
    )


def answer(call: Callable[..., object], *args: Any) -> object:
    """What the call answers, or the error that it raises, in words."""
    try:
        return call(*args)
    except TenureError as error:
        return type(error), str(error)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes, cut at these places."""
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def test_any_split_of_any_bytes_has_one_id_and_reads_back_equal(
    stores: tuple[ContentStore, ContentStore],
) -> None:
    @given(st.binary(max_size=100), st.lists(st.integers(0, 100), max_size=12))
    def check(data: bytes, cuts: list[int]) -> None:
        for store in stores:
            upload = store.begin()
            for piece in split(data, cuts):
                upload.write(piece)
            assert upload.commit("", "").id == id_of(data)
        one, other = (list(store.chunks(id_of(data))) for store in stores)
        assert one == other == [data[at : at + SMALL] for at in range(0, len(data), SMALL)]

    check()
    for store in stores:
        store.close()


WORDS = st.sampled_from(["", "name", "x" * 255, "x" * 256, "\0"])
BODIES = st.sampled_from([b"", b"a", b"bytes", b"ten  bytes", bytes(PER_WRITE * SMALL), bytes(LIMIT)])
STEPS = st.one_of(
    st.tuples(st.just("begin")),
    st.tuples(st.just("write"), st.integers(0, 3), BODIES),
    st.tuples(st.just("commit"), st.integers(0, 3), WORDS, WORDS),
    st.tuples(st.sampled_from(["abort", "abandon"]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["stat", "read"]), BODIES),
)


def test_whatever_is_done_to_both_they_answer_alike(stores: tuple[ContentStore, ContentStore]) -> None:
    """Several uploads open at once, in any order; contents stay from one example to the next in both."""

    @given(st.lists(STEPS, max_size=25))
    def check(steps: list[tuple[Any, ...]]) -> None:
        open_in: tuple[list[Upload], list[Upload]] = ([], [])
        for step in steps:
            one, other = (
                answer(act, store, uploads, *step) for store, uploads in zip(stores, open_in, strict=True)
            )
            assert one == other, step

    check()
    for store in stores:
        store.close()


def act(store: ContentStore, uploads: list[Upload], word: str, *arguments: Any) -> object:
    if word == "begin":
        uploads.append(store.begin())
        return None
    if word == "stat":
        return store.stat(id_of(arguments[0]))
    if word == "read":
        return list(store.chunks(id_of(arguments[0])))
    if not uploads:
        return None
    call: Callable[..., object] = getattr(uploads[int(arguments[0]) % len(uploads)], word)
    return call(*arguments[1:])
