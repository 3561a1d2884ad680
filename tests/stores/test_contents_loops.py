"""One `Contents` on asyncio, on trio and in a program that blocks, over a real store: in, out, and cut short."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tenure.asks import Ask, CallPlain
from tenure.contents import CHUNK, Contents
from tenure.errors import InvalidValue
from tenure_driver.blocking_contents import BlockingContents
from tenure_sqlite import SqliteContents, open_contents
from tenure_sqlite.contents import PER_WRITE
from tests.stores.contents_tables import rows_of

DATA = b"".join(n.to_bytes(8, "big") * (CHUNK // 8) for n in range(PER_WRITE + 2))


async def on_asyncio(ask: Ask) -> Any:
    assert isinstance(ask, CallPlain)
    return await asyncio.to_thread(ask.called)


async def on_trio(ask: Ask) -> Any:
    assert isinstance(ask, CallPlain)
    return await trio.to_thread.run_sync(ask.called, abandon_on_cancel=True)


async def cancelled_by_asyncio(act: Callable[[], Awaitable[object]], when: threading.Event) -> None:
    """Cancel the call once that has happened."""

    async def call() -> object:
        return await act()

    task = asyncio.create_task(call())
    assert await asyncio.to_thread(when.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_by_trio(act: Callable[[], Awaitable[object]], when: threading.Event) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(act)
            assert await trio.to_thread.run_sync(when.wait, 10)
            scope.cancel()
    assert scope.cancelled_caught


def run_asyncio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


LOOPS = [
    pytest.param(on_asyncio, run_asyncio, cancelled_by_asyncio, id="asyncio"),
    pytest.param(on_trio, trio.run, cancelled_by_trio, id="trio"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteContents]:
    opened = open_contents(f"sqlite:///{tmp_path}/s.db", "attachment")
    yield opened
    opened.close()


@pytest.mark.parametrize(("ask", "run", "cancelled"), LOOPS)
def test_in_and_out_on_a_loop(store: SqliteContents, ask: Any, run: Any, cancelled: Any) -> None:
    """A stream that its reader leaves in the middle leaves nothing behind, and no warning."""
    contents = Contents(ask, store, "attachment")

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(DATA), 100_000):
            yield DATA[at : at + 100_000]

    async def main() -> None:
        first = await contents.put(pieces(), name="first")
        assert await contents.put(DATA) == await contents.put(iter([DATA])) == first
        assert await contents.get(first.id) == DATA
        assert b"".join([chunk async for chunk in contents.stream(first.id)]) == DATA
        async for chunk in contents.stream(first.id):
            assert chunk == DATA[:CHUNK]
            break
        gc.collect()

    run(main)


@pytest.mark.parametrize(("ask", "run", "cancelled"), LOOPS)
def test_a_put_that_is_cancelled_leaves_nothing(
    store: SqliteContents, tmp_path: Path, ask: Any, run: Any, cancelled: Any
) -> None:
    """While its thread waits for the source: what the thread still writes then is removed, too."""
    contents = Contents(ask, store, "attachment")
    reached, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            yield DATA[: PER_WRITE * CHUNK]  # written by now
            reached.set()
            assert go_on.wait(10)
            yield DATA
        finally:
            done.set()

    source = pieces()

    async def main() -> None:
        await cancelled(lambda: contents.put(source), reached)
        assert len(rows_of(tmp_path / "s.db", "content_chunks")) == PER_WRITE
        go_on.set()

    run(main)
    source = iter(())
    end = time.monotonic() + 10
    while not done.wait(
        0.01
    ):  # what the thread held of the generator may be a cycle, which it lets go when it ends
        gc.collect()
        assert time.monotonic() < end
    store.begin()
    assert rows_of(tmp_path / "s.db", "contents") == rows_of(tmp_path / "s.db", "content_chunks") == []


# --- programs that block ----------------------------------------------------------------------------------------------


async def right_here(ask: Ask) -> Any:
    assert isinstance(ask, CallPlain)
    return ask.called()


def test_a_program_that_blocks(store: SqliteContents) -> None:
    contents = BlockingContents(Contents(right_here, store, "attachment"))
    content = contents.put(
        (DATA[at : at + 7_777] for at in range(0, len(DATA), 7_777)), name="n", media_type="m"
    )
    assert (content.name, content.media_type, content.size) == ("n", "m", len(DATA))
    assert contents.stat(content.id) == content
    assert contents.get(content.id, limit=len(DATA)) == DATA
    assert list(contents.stream(content.id)) == [DATA[at : at + CHUNK] for at in range(0, len(DATA), CHUNK)]
    assert contents.put(b"").media_type == "application/octet-stream"


def test_an_async_source_that_needs_a_loop_is_refused_where_there_is_none(store: SqliteContents) -> None:
    contents = BlockingContents(Contents(right_here, store, "attachment"))

    class Yielding:
        def __await__(self) -> Generator[None]:
            yield

    async def pieces() -> AsyncIterator[bytes]:
        await Yielding()
        yield b"bytes"

    with pytest.raises(InvalidValue, match="needs an event loop"):
        contents.put(pieces())


def test_the_same_names_and_signatures() -> None:
    def public(cls: type) -> dict[str, list[str]]:
        return {name: shown(method) for name, method in vars(cls).items() if not name.startswith("_")}

    assert public(BlockingContents) == public(Contents)


def shown(method: Any) -> list[str]:
    signature = inspect.signature(method)
    parameters = [f"{one.kind.name} {one} {one.default!r}" for one in signature.parameters.values()]
    return [*parameters, str(signature.return_annotation).removeprefix("Async")]
