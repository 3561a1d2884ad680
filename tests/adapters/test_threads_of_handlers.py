"""Handlers that wait for their turn, and plain functions that outlive whoever waited for them: on every loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import tenure
from tenure import App, Cancelled, Context, Failure, LeaseTimings, Success
from tenure.canonical import canonical
from tenure_driver import connect
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host

SHORT = LeaseTimings.scaled(0.6)


def polled(condition: Callable[[], bool]) -> None:
    end, pause = time.monotonic() + BOUND, threading.Event()
    while not condition():
        assert time.monotonic() < end
        pause.wait(0.01)


def test_a_handler_that_waited_past_its_first_budget_runs(host: Host) -> None:
    """A blocked loop keeps its leases (B13), so what was granted to it meanwhile is run, and not failed unseen."""
    app, store = App(), stores.memory()

    @app.process("blocks")
    async def blocks(ctx: Context) -> None:
        with connect(
            store
        ) as outside:  # the worker's threads claim it and renew its lease while the loop stands
            outside.start("waits", id="b")
            polled(lambda: outside.get("b").held)
            late = outside.get("b").expires_at + SHORT.ttl * 1000
            polled(lambda: outside.get("b").expires_at > late)

    @app.process("waits")
    async def waits(ctx: Context) -> str:
        return "ran"

    async def main() -> None:
        async with host.adapter.worker(app, store, timings=SHORT, poll_interval=0.05) as worker:
            await (await worker.client.start(blocks)).wait(BOUND)
            assert await worker.client.handle("b").outcome(BOUND) == Success(canonical("ran"))
            assert (await worker.client.get("b")).claims == 1

    host.run(main)


def test_a_plain_handler_that_waited_for_a_thread_runs(host: Host) -> None:
    """L3, L1: effects and plain handlers share `max_running` threads; who waits for one past its first budget is
    run."""
    app, store, let_go = App(), stores.memory(), threading.Event()
    taken = [threading.Event(), threading.Event()]

    def takes(n: int) -> None:
        taken[n].set()
        let_go.wait(BOUND)

    @app.process("holds")
    async def holds(ctx: Context) -> None:
        tasks = [
            host.spawn(partial(ctx.effect, "one", takes, 0)),
            host.spawn(partial(ctx.effect, "two", takes, 1)),
        ]
        await host.until(lambda: all(task.done for task in tasks))

    @app.process("plain")
    def plain(ctx: Any) -> str:
        return "ran"

    async def main() -> None:
        async with host.adapter.worker(
            app, store, timings=SHORT, poll_interval=0.05, max_running=2
        ) as worker:
            holding = await worker.client.start(holds)
            await host.until(lambda: all(one.is_set() for one in taken))
            waiting = await worker.client.start(plain)
            while not (await waiting.get()).held:
                await host.pause()
            first = (await waiting.get()).expires_at
            while (row := await waiting.get()).expires_at < first + 2_000 * SHORT.ttl:
                assert row.outcome is None, "it waits for a thread"
                await host.pause()
            let_go.set()
            assert await waiting.outcome(BOUND) == Success(canonical("ran"))
            assert (await waiting.get()).claims == 1
            await holding.wait(BOUND)

    host.run(main)


def test_an_effect_that_raises_stop_iteration(host: Host) -> None:
    """It is a failure like any other; a future cannot carry that exception, so it must not get there."""
    app = App()

    def first_of_none() -> int:
        return next(iter(list[int]()))

    @app.process("async")
    async def awaits(ctx: Context) -> None:
        await ctx.effect("first", first_of_none)

    @app.process("plain")
    def calls(ctx: Any) -> None:
        ctx.effect("first", first_of_none)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            for kind in (awaits, calls):
                outcome = await (await worker.client.start(kind)).outcome(BOUND)
                assert isinstance(outcome, Failure)
                assert outcome.failure_class == "RuntimeError"
                assert "raised StopIteration" in outcome.message

    host.run(main)


def test_a_cancelled_handler_runs_until_its_threads_have_ended(host: Host) -> None:
    """S12, L3, K11: a thread cannot be stopped: until it ends, its handler's lease is renewed and its slot is taken."""
    app, store = App(), stores.memory()
    began, let_go, ran = threading.Event(), threading.Event(), threading.Event()

    def body() -> None:
        began.set()
        let_go.wait(BOUND)

    @app.process("slow")
    async def slow(ctx: Context) -> None:
        await ctx.effect("body", body)

    @app.process("next")
    async def following(ctx: Context) -> None:
        ran.set()

    async def main() -> None:
        async with host.adapter.worker(
            app, store, timings=SHORT, poll_interval=0.05, max_running=1
        ) as worker:
            handle = await worker.client.start(slow)
            await host.until(began.is_set)
            await handle.cancel("enough")
            later = await worker.client.start(following)
            first, end = (await handle.get()).expires_at, time.monotonic() + BOUND
            while (await handle.get()).expires_at < first + 2_000 * SHORT.ttl:
                assert time.monotonic() < end, "the lease is not renewed"
                await host.pause()
            assert not ran.is_set()
            let_go.set()
            assert await handle.outcome(BOUND) == Cancelled("enough")
            await later.wait(BOUND)

    host.run(main)


def stops(app: App, began: threading.Event) -> tenure.Kind[None, None]:
    @app.process("stops")
    def handler(ctx: Any) -> None:
        pause = threading.Event()
        began.set()
        while not pause.wait(0.002):
            ctx.checkpoint()

    return handler


def test_a_plain_handler_that_stops_when_told_is_cancelled(host: Host) -> None:
    """What a stopped handler leaves behind depends on why it was told (CONTRACT §7)."""
    app, began = App(), threading.Event()
    handler = stops(app, began)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            handle = await worker.client.start(handler)
            await host.until(began.is_set)
            await handle.cancel("enough")
            assert await handle.outcome(BOUND) == Cancelled("enough")

    host.run(main)


def test_a_plain_handler_that_stops_for_a_drain_is_given_back(host: Host) -> None:
    """L5, S17: neither success nor failure: the next worker runs the process again."""
    app, began, store = App(), threading.Event(), stores.memory()
    handler = stops(app, began)

    async def main() -> None:
        async with host.adapter.worker(app, store, grace=0) as worker:
            await worker.client.start(handler, id="a")
            await host.until(began.is_set)

    host.run(main)
    with connect(store) as client:
        record = client.get("a")
    assert (record.outcome, record.held, record.claims) == (None, False, 1)
