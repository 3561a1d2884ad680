"""Events on every loop: handlers that wait for them, clients that follow, what neither of them is left waiting for."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import tenure
from tenure import App, Cancelled, Context, Failure, LeaseTimings
from tenure.process import ClaimId
from tenure.requests import Claim, Renew, RequestCancel
from tenure_driver import BlockingContext, connect
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host

SHORT = LeaseTimings.scaled(0.6)
STOPPED = {False: "cancelled", True: "HandlerStopped"}
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])


def listening(
    app: App, plain: bool, heard: list[Any], *, count: int = 2, max_run: float | None = None
) -> str:
    """A kind whose handler waits for so many events `go`, one after another; `heard` gets (attempt, value) of each, and
    what stopped a handler that had not got them all."""

    @app.process("async", max_run=max_run)
    async def waits(ctx: Context) -> list[Any]:
        values: list[Any] = []
        try:
            for _ in range(count):
                values.append((await ctx.wait_event("go")).value)
                heard.append((ctx.attempt, values[-1]))
        except BaseException:
            heard.append("cancelled")
            raise
        return values

    @app.process("plain", max_run=max_run)
    def waits_plainly(ctx: BlockingContext) -> list[Any]:
        values: list[Any] = []
        try:
            for _ in range(count):
                values.append(ctx.wait_event("go").value)
                heard.append((ctx.attempt, values[-1]))
        except tenure.TenureError as error:
            heard.append(type(error).__name__)
            raise
        return values

    return "plain" if plain else "async"


@PLAIN
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_handler_waits_for_what_another_program_appends(
    host: Host, plain: bool, kind: str, tmp_path: Path
) -> None:
    app = App()
    store = stores.memory() if kind == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    name = listening(app, plain, [])

    async def main() -> None:
        async with host.adapter.worker(app, store) as worker:
            handle = await worker.client.start(name)
            with connect(store) as other:
                for number in (1, 2):
                    other.append(handle.id, "go", number)
            assert await handle.wait(BOUND) == [1, 2]

    host.run(main)


def test_a_client_follows_a_process_to_its_end(host: Host) -> None:
    app = App()
    name = listening(app, False, [], count=1)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            handle = await client.start(name, id="a", owner="s")
            await client.append("a", "begin")
            types: list[str] = []
            async for event in handle.follow():
                types.append(event.type)
                if event.type == "begin":  # and only now there is a next one
                    await client.append("a", "go", 1)
            assert types == ["begin", "go", "process.ended"]
            assert [event.seq async for event in client.follow("a", after=2)] == [3]
            (told,) = await client.events(owner="s")
            assert told.value == {"process_id": "a", "status": "succeeded"}

    host.run(main)


@PLAIN
def test_a_later_attempt_hears_the_same_again(host: Host, plain: bool) -> None:
    """S10, S23: from the start of the log, in its order (CONTRACT §8)."""
    app, store, heard = App(), stores.memory(), list[Any]()
    name = listening(app, plain, heard, count=3)

    async def main() -> None:
        async with host.adapter.worker(app, store, grace=0) as worker:
            await worker.client.start(name, id="a")
            for number in (1, 2):
                await worker.client.append("a", "go", number)
            await host.until(lambda: heard[:2] == [(1, 1), (1, 2)])
        async with host.adapter.worker(app, store) as worker:
            await worker.client.append("a", "go", 3)
            assert await worker.client.handle("a").wait(BOUND) == [1, 2, 3]
        assert heard == [(1, 1), (1, 2), STOPPED[plain], (2, 1), (2, 2), (2, 3)]

    host.run(main)


@PLAIN
def test_a_handler_that_waits_can_be_cancelled(host: Host, plain: bool) -> None:
    """L4, K17: a wait for an event holds no cancel up."""
    app, heard = App(), list[Any]()
    name = listening(app, plain, heard)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            handle = await worker.client.start(name)
            await worker.client.append(handle.id, "go")
            await host.until(lambda: heard)
            await handle.cancel("why")
            assert await handle.outcome(BOUND) == Cancelled("why")
        assert heard[1:] == [STOPPED[plain]]

    host.run(main)


@PLAIN
def test_a_handler_may_not_wait_for_longer_than_its_kind_may_run(host: Host, plain: bool) -> None:
    app, heard = App(), list[Any]()
    name = listening(app, plain, heard, max_run=0.2)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            outcome = await (await worker.client.start(name)).outcome(BOUND)
            assert isinstance(outcome, Failure)
            assert outcome.code == "max_run_exceeded"
        assert heard == [STOPPED[plain]]

    host.run(main)


@PLAIN
def test_a_handler_that_waits_keeps_its_lease(host: Host, plain: bool) -> None:
    """L3, K11: it is renewed as any other."""
    app, store, heard = App(), stores.Troubled(stores.memory()), list[Any]()
    name = listening(app, plain, heard, count=1)

    async def main() -> None:
        async with host.adapter.worker(app, store, timings=SHORT) as worker:
            handle = await worker.client.start(name)
            await host.until(lambda: sum(isinstance(one, Renew) for one in store.seen) >= 4)
            await worker.client.append(handle.id, "go", "at last")
            assert await handle.wait(BOUND) == ["at last"]
        assert heard == [(1, "at last")]

    host.run(main)


@PLAIN
def test_a_handler_that_waits_hears_that_its_lease_is_lost(host: Host, plain: bool) -> None:
    """L6, S14: it is not left waiting."""
    app, clock, heard = App(), stores.Clock(), list[Any]()
    store = stores.memory(clock)
    name = listening(app, plain, heard)

    async def main() -> None:
        async with host.adapter.worker(app, store, timings=SHORT) as worker:
            handle = await worker.client.start(name)
            await worker.client.append(handle.id, "go")
            await host.until(lambda: heard)
            clock.expire_leases()
            store.execute([Claim(ClaimId("other", 1), handle.id, 60_000)])
            await host.until(lambda: len(heard) > 1)
        assert heard[1:] == ["LeaseLost" if plain else "cancelled"]

    host.run(main)


def test_a_wait_may_be_over_before_there_is_an_event(host: Host) -> None:
    app = App()

    @app.process("patient")
    async def patient(ctx: Context) -> str:
        try:
            await ctx.wait_event("go", timeout=0.01)
        except tenure.WaitTimeout as over:
            return over.event
        return ""

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            assert await (await worker.client.start(patient)).wait(BOUND) == "go"

    host.run(main)


# --- declared shapes ----------------------------------------------------------------------------------------------


@frozen
class Step:
    name: str
    seconds: float


@frozen
class Progress:
    done: int
    steps: list[Step]


def test_an_event_is_checked_against_the_shape_that_its_kind_declares(host: Host) -> None:
    app = App()

    @app.process("works", emits={"progress": Progress, "note": None})
    async def works(ctx: Context, body: Any) -> None:
        await ctx.emit("note", body)
        await ctx.emit("progress", Progress(1, [Step("a", 0.5)]))
        await ctx.emit("progress", body)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            handle = await worker.client.start(works, {"done": 1, "steps": [{"name": "a", "second": 1}]})
            outcome = await handle.outcome(BOUND)
            assert isinstance(outcome, Failure)
            assert outcome.failure_class == "EventMismatch"
            assert "event 'progress'" in outcome.message
            assert "steps[0]" in outcome.message
            assert "second" in outcome.message
            assert [event.type for event in await handle.events()] == ["note", "progress", "process.ended"]

    host.run(main)


# --- programs without a loop --------------------------------------------------------------------------------------


def test_a_blocking_program_follows() -> None:
    store = stores.memory()
    with connect(store) as client:
        handle = client.start("nobody", id="a", owner="s")
        client.append("a", "one", 1)
        timer = threading.Timer(0.05, store.execute, ([RequestCancel("a")],))
        timer.start()
        types = [event.type for event in handle.follow()]
        timer.join()
        assert types == ["one", "process.cancel_requested", "process.ended"]
        assert [event.type for event in client.follow("a", after=2)] == ["process.ended"]
        assert [event.value["status"] for event in client.events(owner="s")] == ["cancelled"]
        with pytest.raises(tenure.ProcessNotFound):
            next(client.follow("b"))


def test_ctrl_c_breaks_off_following() -> None:
    with connect("memory:") as client:
        handle = client.start("nobody", id="a")
        client.append("a", "one")
        seen: list[str] = []
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            seen.extend(event.type for event in handle.follow())
        timer.join()
        assert seen == ["one"]
        assert client.get("a").events == 1
