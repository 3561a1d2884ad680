"""run_process as programs call it: on memory and SQLite, without a loop, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tenure import Limits, Plugin
from tenure.canonical import canonical
from tenure.errors import InvalidValue, LeaseLost
from tenure.process import Failure, Success
from tenure.requests import Complete, Get
from tenure.stores import ProcessRegistry
from tenure_driver import BlockingContext, directly, open_store, run_process
from tenure_driver.deployments import config_of
from tests.adapters.direct_parts import JOB, T, claimed, handling, one
from tests.adapters.loops import BOUND


@pytest.fixture(params=["memory", "sqlite"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProcessRegistry]:
    """A new store of each kind."""
    store = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'p.db'}")
    yield store
    store.close()


async def on_asyncio(call: Callable[[], T]) -> T:
    return await asyncio.to_thread(call)


async def on_trio(call: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(call, abandon_on_cancel=True)


def by_asyncio(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(main())


LOOPS: list[tuple[Any, Any, Any]] = [
    (by_asyncio, on_asyncio, lambda: asyncio.sleep(0)),
    (trio.run, on_trio, trio.lowlevel.checkpoint),
]


def test_a_program_without_a_loop(registry: ProcessRegistry) -> None:
    """Claim, run, complete: all in the calling thread."""
    threads: list[int] = []
    calls: list[int] = []

    def fetched(n: int) -> int:
        calls.append(n)
        return n + 1

    def handler(ctx: BlockingContext, n: int) -> dict[str, Any]:
        threads.append(threading.get_ident())
        session = ctx.session()
        session.append({"got": n})
        ctx.emit("progress", {"done": 1})
        return {"value": ctx.effect("fetch", fetched, n), "entries": len(session.path)}

    config = config_of(registry, handling(handler))
    lease = claimed(registry)
    outcome = run_process(config, JOB, lease=lease)
    assert outcome == Success(canonical({"value": 8, "entries": 1}))
    assert one(registry, Get("p")).record.outcome is None
    assert run_process(config, JOB, lease=lease) == outcome, "the effect, the event and the entry are there"
    assert one(registry, Complete(lease.grant.fence, outcome)).outcome == outcome
    assert threads == [threading.get_ident()] * 2
    assert calls == [7]


@pytest.mark.parametrize(("run", "in_thread", "pause"), LOOPS, ids=["asyncio", "trio"])
@pytest.mark.parametrize("plain", [False, True])
def test_a_program_with_a_loop(
    registry: ProcessRegistry, run: Any, in_thread: Any, pause: Any, plain: bool
) -> None:
    """An async handler runs in the loop, a plain one in a thread; services are the loop's."""
    threads: list[int] = []
    started: list[str] = []

    def now(ctx: BlockingContext, n: int) -> int:
        threads.append(threading.get_ident())
        ctx.emit("progress")
        ctx.session().append(n)
        return ctx.effect("twice", lambda: 2 * n)

    async def later(ctx: Any, n: int) -> int:
        threads.append(threading.get_ident())
        await pause()
        await ctx.emit("progress")
        await (await ctx.session()).append(n)
        value: int = await ctx.effect("twice", lambda: 2 * n)
        return value

    class Service:
        async def __aenter__(self) -> None:
            await pause()
            started.append("+")

        async def __aexit__(self, *raised: object) -> None:
            await pause()
            started.append("-")

    plugin = Plugin("mine", handling(now if plain else later).kinds, services=lambda runtime: Service())
    config = config_of(registry, plugin)
    lease = claimed(registry)
    outcome = run(partial(directly, config, JOB, in_thread, lease=lease))
    assert outcome == Success(canonical(14))
    assert started == ["+", "-"]
    assert (threads == [threading.get_ident()]) is not plain


def test_a_handler_that_needs_a_loop_is_refused_without_one() -> None:
    async def handler(ctx: Any, n: int) -> None:
        await asyncio.sleep(0)

    registry = open_store("memory:")
    config = config_of(registry, handling(handler))
    with pytest.raises(InvalidValue, match="needs an event loop"):
        run_process(config, JOB, lease=claimed(registry))


def test_a_program_that_is_no_program_is_refused_by_name() -> None:
    bad: Any = 7
    with pytest.raises(InvalidValue, match=r"^config must be of type WorkerConfig; it is 7$"):
        run_process(bad, JOB)


def test_a_limit_of_the_store_is_the_runs() -> None:
    registry = open_store("memory:")

    def long(ctx: BlockingContext, n: int) -> str:
        return "x" * 100

    config = config_of(registry, handling(long))
    outcome = run_process(config, JOB, lease=claimed(registry), limits=Limits(payload=50))
    assert isinstance(outcome, Failure)
    assert outcome.code == "result_too_large"


@pytest.mark.parametrize(("run", "in_thread", "pause"), LOOPS, ids=["asyncio", "trio"])
def test_a_plain_handler_that_is_left_behind_gets_nothing_more(run: Any, in_thread: Any, pause: Any) -> None:
    """A thread cannot be stopped. Once its caller was cancelled it is told, and its calls are refused."""
    entered, left, over = threading.Event(), threading.Event(), threading.Event()
    seen: list[Any] = []

    def handler(ctx: BlockingContext, n: int) -> None:
        entered.set()
        assert left.wait(BOUND)
        seen.append(ctx.stop_reason)
        try:
            ctx.emit("progress")
        except LeaseLost as lost:
            seen.append(lost.process_id)
        over.set()

    registry = open_store("memory:")
    config = config_of(registry, handling(handler))
    running = partial(directly, config, JOB, in_thread, lease=claimed(registry))

    async def asyncio_main() -> None:
        task = asyncio.ensure_future(running())
        assert await asyncio.to_thread(entered.wait, BOUND)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left.set()

    async def trio_main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running)
            assert await trio.to_thread.run_sync(entered.wait, BOUND)
            nursery.cancel_scope.cancel()
        left.set()

    run(trio_main if run is trio.run else asyncio_main)
    assert over.wait(BOUND)
    assert seen == ["cancel", "p"]
    assert one(registry, Get("p")).record.events == 0
