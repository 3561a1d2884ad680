"""Handlers that misbehave, are stopped, or are run again: what becomes of them on every loop."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

import tenure
from tenure import App, Cancelled, Context, Failure, LeaseTimings, Limits, Success
from tenure.canonical import canonical
from tenure.requests import Complete, Renew
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host

SHORT = LeaseTimings.scaled(0.6)


class Strange(BaseException):
    """Neither an Exception nor one that anybody knows."""


class Coded(Exception):
    code = "no_funds"


def bad_handlers(app: App) -> None:
    """The same four misdeeds, async and plain."""

    @app.process("raises")
    async def raises(ctx: Context) -> None:
        raise Coded("too poor\0")

    @app.process("raises plainly")
    def raises_plainly(ctx: Any) -> None:
        raise Coded("too poor\0")

    @app.process("exits")
    async def exits(ctx: Context) -> None:
        sys.exit(3)

    @app.process("exits plainly")
    def exits_plainly(ctx: Any) -> None:
        sys.exit(3)

    @app.process("strange")
    async def strange(ctx: Context) -> None:
        raise Strange("odd")

    @app.process("strange plainly")
    def strange_plainly(ctx: Any) -> None:
        raise Strange("odd")

    @app.process("no json")
    async def no_json(ctx: Context) -> object:
        return {"set": {1, 2}}

    @app.process("no json plainly")
    def no_json_plainly(ctx: Any) -> object:
        return {"set": {1, 2}}

    @app.process("large")
    async def large(ctx: Context) -> str:
        return "x" * 2_000

    @app.process("large plainly")
    def large_plainly(ctx: Any) -> str:
        return "x" * 2_000


EXPECTED = {
    "raises": ("Coded", "no_funds"),
    "exits": ("SystemExit", "raised"),
    "strange": ("Strange", "raised"),
    "no json": ("NotJson", "result_not_json"),
    "large": ("TooLarge", "result_too_large"),
}


def test_what_a_handler_does_wrong_is_its_own_failure(host: Host) -> None:
    app = App()
    bad_handlers(app)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:", limits=Limits(payload=1_000)) as worker:
            for name, (failure_class, code) in EXPECTED.items():
                for kind in (name, f"{name} plainly"):
                    outcome = await (await worker.client.start(kind)).outcome(BOUND)
                    assert isinstance(outcome, Failure), kind
                    assert (outcome.failure_class, outcome.code) == (failure_class, code)
                    assert outcome.message
            with pytest.raises(tenure.ProcessFailed, match="too poor"):
                await (await worker.client.start("raises")).wait(BOUND)

    host.run(main)


def test_cancel_reaches_a_running_handler(host: Host) -> None:
    """L4, K17, S16: it is told, it is stopped, and it ends as cancelled."""
    app = App()
    seen: list[Any] = []

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        try:
            seen.append(ctx.stop_reason)
            await host.forever()
        finally:
            seen.append(ctx.stop_reason)

    @app.process("looks")
    def looks(ctx: Any) -> str:
        seen.append(ctx.stop_reason)
        pause = threading.Event()
        while ctx.stop_reason is None:
            pause.wait(0.002)
        return str(ctx.stop_reason)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            handle = await worker.client.start(waits)
            await host.until(lambda: seen == [None])
            assert await handle.cancel("enough") is None
            assert await handle.outcome(BOUND) == Cancelled("enough")
            assert seen == [None, "cancel"]
            with pytest.raises(tenure.ProcessCancelled, match="enough"):
                await handle.wait(BOUND)
            seen.clear()
            # A plain handler cannot be stopped: it looks, and what it returns then is its outcome.
            looking = await worker.client.start(looks)
            await host.until(lambda: seen == [None])
            await looking.cancel()
            assert await looking.outcome(BOUND) == Success(canonical("cancel"))

    host.run(main)


def test_what_others_do_is_heard_without_a_poll_or_a_renewal(host: Host) -> None:
    """K17, L4, L1: the feed alone tells of what another client starts and cancels; all else comes in an hour."""
    app, store, started = App(), stores.memory(), threading.Event()

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        started.set()
        await host.forever()

    async def main() -> None:
        rare = LeaseTimings.scaled(10_800)
        async with host.adapter.connect(store) as client:
            async with host.adapter.worker(app, store, timings=rare, poll_interval=3_600):
                handle = await client.start("waits")
                await host.until(started.is_set)
                await handle.cancel("enough")
                assert await handle.outcome(BOUND) == Cancelled("enough")

    host.run(main)


def test_a_handler_may_answer_a_cancel_with_a_result(host: Host) -> None:
    """S16, L2: row order alone decides between an outcome and a cancel."""
    app = App()
    started = threading.Event()

    @app.process("saves", emits=["saved"])
    async def saves(ctx: Context) -> str:
        try:
            started.set()
            await host.forever()
        except host.cancelled:
            if host.name == "trio":
                raise  # trio knows no other answer
            await ctx.emit("saved")
        return "half"

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            handle = await worker.client.start(saves)
            await host.until(started.is_set)
            await handle.cancel("now")
            wanted = Cancelled("now") if host.name == "trio" else Success(canonical("half"))
            assert await handle.outcome(BOUND) == wanted

    host.run(main)


def test_cancel_before_the_claim(host: Host) -> None:
    """S16, S7: nobody starts what has ended."""
    app = App()
    runs: list[str] = []

    @app.process("runs")
    async def runs_once(ctx: Context) -> None:
        runs.append(ctx.id)

    async def main() -> None:
        store = stores.memory()
        async with host.adapter.connect(store) as client:
            handle = await client.start(runs_once, id="a")
            assert await handle.cancel("early") == Cancelled("early")
            async with host.adapter.worker(app, store):
                await (await client.start(runs_once, id="b")).wait(BOUND)
            assert await handle.outcome(0) == Cancelled("early")
            assert runs == ["b"]

    host.run(main)


def test_a_cancellation_that_nobody_asked_for_is_a_failure(host: Host) -> None:
    """S17: no outcome is invented: it is no cancel on request (CONTRACT §7)."""
    app = App()

    @app.process("gives up")
    async def gives_up(ctx: Context) -> None:
        if host.name == "trio":
            import trio

            raise BaseExceptionGroup("parts", [await stray_cancelled(trio)])
        raise host.cancelled

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            outcome = await (await worker.client.start(gives_up)).outcome(BOUND)
            assert isinstance(outcome, Failure)
            assert outcome.code == "handler_cancelled"

    host.run(main)


async def stray_cancelled(trio: Any) -> BaseException:
    """A trio.Cancelled outside of the scope that it belongs to."""
    strays: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep(0)
        except trio.Cancelled as error:
            strays.append(error)
            raise
    return strays[0]


def test_a_handler_that_ran_too_long(host: Host) -> None:
    """L2: the outcome says so (CONTRACT §7)."""
    app = App()

    @app.process("slow", max_run=0.05)
    async def slow(ctx: Context) -> None:
        await host.forever()

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            outcome = await (await worker.client.start(slow)).outcome(BOUND)
            assert isinstance(outcome, Failure)
            assert outcome.code == "max_run_exceeded"

    host.run(main)


def test_a_handler_that_ignores_its_stop(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """S14, S13: it is detached, and nothing that it does later gets through."""
    app = App()
    let_go, runs = threading.Event(), list[str]()

    @app.process("stubborn", max_run=0.05)
    async def stubborn(ctx: Context) -> str:
        runs.append(ctx.id)
        if len(runs) > 1:
            return "second"
        await host.stubborn(let_go)
        with pytest.raises(tenure.LeaseLost):
            await ctx.effect("too late", str)
        return "first"

    @app.process("next")
    async def waiting(ctx: Context) -> None:
        runs.append(ctx.id)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:", max_running=1, timings=SHORT) as worker:
            handle = await worker.client.start(stubborn, id="a")
            await host.until(lambda: "left behind and keeps its slot" in caplog.text)
            after = await worker.client.start(waiting, id="b")
            # Longer than its lease: were the slot free, it would have been claimed by now.
            with pytest.raises(tenure.WaitTimeout):
                await after.wait(SHORT.ttl)
            assert runs == ["a"]
            let_go.set()
            await after.wait(BOUND)
            assert await handle.wait(BOUND) == "second"
            assert "has ended; nothing of it is recorded" in caplog.text
            assert (await handle.get()).claims == 2

    host.run(main)


def test_a_handler_that_never_yields_keeps_its_lease(host: Host) -> None:
    """L3, K11: renewals need no event loop."""
    app, store = App(), stores.Troubled(stores.memory())
    timings = LeaseTimings.scaled(0.8)

    @app.process("blocks")
    async def blocks(ctx: Context) -> int:
        threading.Event().wait(3 * timings.ttl)
        return ctx.attempt

    async def main() -> None:
        async with host.adapter.worker(app, store, timings=timings, poll_interval=0.05) as worker:
            async with host.adapter.worker(app, store, timings=timings, poll_interval=0.05):
                handle = await worker.client.start(blocks)
                assert await handle.wait(BOUND) == 1
                assert (await handle.get()).claims == 1
        assert sum(isinstance(request, Renew) for request in store.applied) >= 3

    host.run(main)


def test_effects_are_not_repeated_after_a_crash(host: Host) -> None:
    """S4, K1, K5: the first worker stalls; its lease is taken, and whatever it still sends is fenced."""
    app, clock = App(), stores.Clock()
    store = stores.Troubled(stores.memory(clock))
    bodies: list[str] = []
    stalled, let_go, lost = threading.Event(), threading.Event(), threading.Event()

    async def body(name: str) -> str:
        bodies.append(name)
        return name.upper()

    @app.process("two steps", emits=["step"])
    async def two_steps(ctx: Context) -> list[str]:
        first = await ctx.effect("first", body, "first")
        await ctx.emit("step", key="once")
        await ctx.emit("step")
        if ctx.attempt == 1:
            stalled.set()
            await host.until(let_go.is_set)
            try:
                await ctx.effect("second", body, "zombie")
            finally:
                lost.set()
        return [first, await ctx.effect("second", body, "second")]

    async def main() -> None:
        async with host.adapter.worker(app, store) as worker:
            handle = await worker.client.start(two_steps, id="a")
            await host.until(stalled.is_set)
            first_token = (await handle.get()).token
            clock.expire_leases()
            async with host.adapter.worker(app, store, poll_interval=0.02):
                assert await handle.wait(BOUND) == ["FIRST", "SECOND"]
            let_go.set()
            await host.until(lost.is_set)
            assert (await handle.get()).token > first_token
            assert await handle.wait(BOUND) == ["FIRST", "SECOND"]
            assert [event.type for event in await handle.events()] == ["step"] * 3 + ["process.ended"]
        # The zombie's own effect ran, since it could not know yet, but nothing of it was recorded.
        assert bodies == ["first", "second", "zombie"]
        completes = [request for request in store.applied if isinstance(request, Complete)]
        assert len(completes) == 1

    host.run(main)


def test_an_effect_that_changed_is_refused(host: Host) -> None:
    """S10: what was recorded stands; another fingerprint under its key is refused."""
    app, clock = App(), stores.Clock()
    store, stalled = stores.memory(clock), threading.Event()

    @app.process("changes")
    async def changes(ctx: Context) -> object:
        made = await ctx.effect("key", str, ctx.attempt)
        stalled.set()
        await host.forever()
        return made

    async def main() -> None:
        async with host.adapter.worker(app, store) as worker:
            handle = await worker.client.start(changes)
            await host.until(stalled.is_set)
            clock.expire_leases()
            async with host.adapter.worker(app, store, poll_interval=0.02):
                outcome = await handle.outcome(BOUND)
            assert isinstance(outcome, Failure)
            assert (outcome.failure_class, outcome.code) == ("EffectMismatch", "raised")
            worker.request_drain(0)

    host.run(main)
