"""Threads that end by an error, and stores that do not answer as they should."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import tenure
from tenure import App, Context, LeaseTimings, Success
from tenure.canonical import canonical
from tenure.instants import Instant
from tenure.process import ClaimId
from tenure.replies import Answer, Succeeded, Unavailable, Unknown
from tenure.requests import (
    Claim,
    ClaimNext,
    Complete,
    EmitEvent,
    Get,
    ReadEndings,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
)
from tenure.timings import nanos
from tenure_driver import Tap
from tenure_driver.clocks import local_now
from tenure_driver.messages import Inbound, Outbox
from tenure_driver.threads import report_stall
from tenure_driver.turn import Driver
from tests.adapters import stores
from tests.adapters.loops import BOUND, HOSTS, Host

SHORT = LeaseTimings.scaled(0.6)


class Burst(Exception):
    """What ends a thread."""


class Bursts(Tap):
    """Ends the store thread before its next batch, once `armed`."""

    armed = False

    def before_transaction(self, requests: Sequence[Request]) -> None:
        if self.armed:
            raise Burst("of the store thread")


Arm = Callable[[], object]


def crash_store(tap: Bursts, store: stores.Troubled, patch: pytest.MonkeyPatch) -> Arm:
    return lambda: setattr(tap, "armed", True)


def crash_machine(tap: Bursts, store: stores.Troubled, patch: pytest.MonkeyPatch) -> Arm:
    def turn(*args: object) -> None:
        raise Burst("of the machine thread")

    return lambda: patch.setattr(Driver, "turn", turn)


def crash_feed(tap: Bursts, store: stores.Troubled, patch: pytest.MonkeyPatch) -> Arm:
    return lambda: setattr(store, "feed_error", Burst("of the feed thread"))


@pytest.mark.parametrize("crash", [crash_store, crash_machine, crash_feed])
def test_a_thread_that_ends_by_an_error_ends_the_worker(
    host: Host,
    crash: Callable[[Bursts, stores.Troubled, pytest.MonkeyPatch], Arm],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """L6: the leases are as good as lost, so every handler is told and stopped, and who waits hears why."""
    app, tap, store = App(), Bursts(), stores.Troubled(stores.memory())
    given_up = threading.Event()
    arm = crash(tap, store, monkeypatch)
    started, stopped = list[str](), list[str | None]()
    raised: list[BaseException] = []

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        started.append(ctx.id)
        try:
            await host.forever()
        finally:
            stopped.append(ctx.stop_reason)

    @app.process("asks")
    def asks(ctx: Any) -> None:
        started.append(ctx.id)
        while ctx.stop_reason is None and not given_up.wait(0.002):
            pass
        try:
            ctx.effect("too late", str)
        except tenure.TenureError as error:
            raised.append(error)

    async def main() -> None:
        async with host.adapter.worker(app, store, tap=tap) as worker:
            client = worker.client
            await client.start(waits)
            await client.start(asks)
            handle = await client.start("nobody")
            await host.until(lambda: len(started) == 2)
            waiting = host.spawn(handle.wait)
            await host.pause()
            arm()
            calling = host.spawn(lambda: client.start("wakes whichever thread it is"))
            try:
                await host.until(lambda: waiting.done and calling.done and stopped and raised)
            finally:
                given_up.set()  # a thread that nobody told would keep the interpreter from ending
            assert isinstance(waiting.error, tenure.WorkerCrashed)
            assert stopped == ["lease_lost"]
            assert isinstance(raised[0], tenure.WorkerCrashed)
            with pytest.raises(tenure.WorkerCrashed):
                await client.get("a")
            with pytest.raises(tenure.WorkerCrashed):
                await worker.finished()

    with pytest.raises(tenure.WorkerCrashed, match="thread ended by Burst: of the") as caught:
        host.run(main)
    assert isinstance(caught.value.__cause__, Burst)
    assert "ended by an error" in caplog.text


def test_a_store_that_is_gone_is_said_in_one_line(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """It is no mistake of tenure's, so that nobody needs its traceback."""

    class Gone(Tap):
        def before_transaction(self, requests: Sequence[Request]) -> None:
            raise tenure.StoreUnusable("the file is gone; put it back")

    async def main() -> None:
        async with host.adapter.worker(App(), "memory:", tap=Gone()) as worker:
            await worker.finished()

    with pytest.raises(tenure.WorkerCrashed, match="the file is gone; put it back"):
        host.run(main)
    (record,) = [one for one in caplog.records if "ended by an error" in one.message]
    assert record.exc_info is None
    assert record.message.endswith("the file is gone; put it back")


def test_a_standstill_of_the_process_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """CONTRACT §10: where no thread runs, nothing renews a lease; somebody has to hear of it."""
    report_stall(0.5)
    assert caplog.text == ""
    report_stall(2.5)
    assert "every thread of this process stood still for 2.5 s" in caplog.text


def test_a_crash_does_not_hide_what_the_block_raised(host: Host) -> None:
    tap = Bursts()

    async def main() -> None:
        async with host.adapter.worker(App(), "memory:", tap=tap) as worker:
            tap.armed = True
            with pytest.raises(tenure.WorkerCrashed):
                await worker.client.start("any")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        host.run(main)


KINDS = (Register, ClaimNext, Renew, RecordEffect, EmitEvent, Complete, Release, Get, ReadEndings)


@pytest.mark.parametrize("trouble", [Unavailable, Unknown])
@pytest.mark.parametrize("kind", KINDS)
def test_trouble_is_retried_and_nothing_happens_twice(
    kind: type, trouble: type[Unavailable] | type[Unknown]
) -> None:
    """L8, S18, S10, K9: every kind of request once Unavailable or Unknown; the driver is the same under every loop."""
    host, app = HOSTS[0], App()
    store = stores.Troubled(stores.memory(), stores.times(kind, trouble, 2))
    runs, bodies = list[int](), list[str]()
    renewed, waits = threading.Event(), threading.Event()

    def body() -> str:
        bodies.append("body")
        return "made"

    class Sees(Tap):
        def answered(self, request: Request, answer: Answer) -> None:
            if isinstance(request, Renew) and not isinstance(answer, Unavailable | Unknown):
                renewed.set()

    @app.process("works", emits=["word"])
    async def works(ctx: Context) -> str:
        runs.append(ctx.attempt)
        made = await ctx.effect("key", body)
        await ctx.emit("word", made)
        if kind is Renew:
            await host.until(renewed.is_set)
        if kind is Release and ctx.attempt == 1:
            waits.set()
            await host.forever()
        return made

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            if kind is Release:
                async with host.adapter.worker(app, store, grace=0):
                    await client.start(works, id="a")
                    await host.until(waits.is_set)
            async with host.adapter.worker(app, store, tap=Sees(), timings=LeaseTimings.scaled(3)):
                handle = await client.start(works, id="a")
                assert await handle.outcome(BOUND) == Success(canonical("made"))
            assert bodies == ["body"]
            assert runs == ([1, 2] if kind is Release else [1])
            words = [event.type for event in await handle.events()]
            assert words == ["word"] * len(runs) + ["process.ended"]
        if trouble is Unknown:  # a replay is the same request again, and nothing else (S18)
            assert len({repr(one) for one in store.applied if isinstance(one, kind)}) < sum(
                isinstance(one, kind) for one in store.applied
            )

    host.run(main)


def test_a_store_that_is_gone_for_good(host: Host) -> None:
    """S14, S13, L6: the lease runs out: the handler is stopped in time, and nothing more is sent for it."""
    app, down = App(), threading.Event()
    stops: list[str | None] = []

    def trouble(request: Request) -> type[Unavailable] | None:
        return Unavailable if down.is_set() else None

    store = stores.Troubled(stores.memory(), trouble)

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        down.set()
        try:
            await host.forever()
        finally:
            stops.append(ctx.stop_reason)

    async def main() -> None:
        async with host.adapter.worker(app, store, timings=SHORT) as worker:
            await worker.client.start(waits, id="a")
            await host.until(lambda: stops == ["deadline"])
            down.clear()
            assert (await worker.client.get("a")).outcome is None
            worker.request_drain(0)
        assert not any(isinstance(request, Complete | Release) for request in store.seen)

    host.run(main)


def test_an_effect_that_waited_for_the_store_until_the_lease_was_over_does_not_leave(host: Host) -> None:
    """S14, K15, S13: the store was busy with somebody's read; once it goes on, the write is dropped."""
    app, store = App(), stores.Troubled(stores.memory())
    go, started, stops = threading.Event(), threading.Event(), list[str | None]()

    @app.process("records")
    async def records(ctx: Context) -> None:
        started.set()
        await host.until(go.is_set)
        try:
            await ctx.effect("late", str)
        finally:
            stops.append(ctx.stop_reason)

    async def main() -> None:
        async with host.adapter.worker(app, store, timings=SHORT, grace=0) as worker:
            client = worker.client
            await client.start(records, id="a")
            await host.until(started.is_set)
            store.entered.clear()
            store.held.clear()
            reading = host.spawn(lambda: client.get("a"))
            await host.until(store.entered.is_set)
            go.set()
            await host.until(lambda: stops == ["deadline"])
            store.held.set()
            await host.until(lambda: reading.done)
            await client.get("a")  # reads come after writes: what waited with the effect is over
        assert not any(isinstance(request, RecordEffect) for request in store.seen)

    host.run(main)


def test_a_renewal_that_was_sent_again_does_not_leave_after_the_first_was_fenced(host: Host) -> None:
    """S14: the store thread looks at what its own answers lost, before the machine has heard of them."""
    app, clock, sent, stops = App(), stores.Clock(), list[Request](), list[str | None]()
    behind = stores.memory(clock)
    store = stores.Troubled(behind)

    class Sees(Tap):
        def turned(self, inbox: Sequence[Inbound], now: Instant, box: Outbox) -> None:
            sent.extend(call.request for call in box.calls if isinstance(call.request, Renew))

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        try:
            await host.forever()
        finally:
            stops.append(ctx.stop_reason)

    def renewals() -> int:
        return sum(isinstance(request, Renew) for request in store.seen)

    async def main() -> None:
        often = LeaseTimings(renew_interval=0.1, call_timeout=0.05)
        async with host.adapter.worker(
            app, store, timings=often, poll_interval=3_600, max_running=1, tap=Sees()
        ) as worker:
            await worker.client.start(waits, id="a")
            await host.until(renewals)
            store.entered.clear()
            store.held.clear()
            await host.until(store.entered.is_set)
            before, first = renewals(), len(sent)
            await host.until(lambda: len(sent) > first)
            clock.expire_leases()
            assert isinstance(behind.execute([Claim(ClaimId("other", 1), "a", 1_000)])[0], Succeeded)
            store.held.set()
            await host.until(lambda: stops == ["lease_lost"])
            await worker.client.get("a")
            assert renewals() == before + 1

    host.run(main)


def test_a_machine_that_slept_stops_its_handlers_by_itself(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K7, S13, C2: suspended, the wait for the next renewal stands still, and nobody else wakes the worker; so it looks
    at its clock once a second (CONTRACT §6)."""
    app, slept, stops = App(), [0], list[str | None]()
    started = threading.Event()
    monkeypatch.setattr("tenure_driver.threads.local_now", lambda: Instant(local_now() + slept[0]))

    @app.process("waits")
    async def waits(ctx: Context) -> None:
        started.set()
        try:
            await host.forever()
        finally:
            stops.append(ctx.stop_reason)

    async def main() -> None:
        timings = LeaseTimings.scaled(3_000)
        async with host.adapter.worker(app, "memory:", timings=timings, poll_interval=3_000) as worker:
            await worker.client.start(waits, id="a")
            await host.until(started.is_set)
            slept[0] = nanos(3_600)
            await host.until(lambda: stops == ["deadline"])

    host.run(main)


def test_leaving_while_the_store_hangs_is_bounded(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tenure_driver.threads.JOIN", 0.1)
    store = stores.Troubled(stores.memory())

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            store.held.clear()
            hanging = host.spawn(lambda: client.get("a"))
            await host.until(store.entered.is_set)
        await host.until(lambda: hanging.done)
        assert isinstance(hanging.error, tenure.WorkerClosed)

    host.run(main)
    store.held.set()
    assert "tenure-store is stuck in the store and was left behind" in caplog.text
