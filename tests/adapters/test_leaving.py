"""Draining, and every way to leave the block."""

from __future__ import annotations

import gc
import threading
import warnings
from typing import Any

import pytest

import tenure
from tenure import App, Context, LeaseTimings
from tenure.canonical import canonical
from tenure.process import Success
from tenure.requests import Release
from tenure_driver import connect
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host

SHORT = LeaseTimings.scaled(0.6)


class Broken(Exception):
    """What the body of a block raises."""


class Scene:
    """An application whose handlers wait for `let_go`; `started` counts them, `stops` has why they were stopped."""

    def __init__(self, host: Host) -> None:
        self.app, self.let_go = App(), threading.Event()
        self.started: list[str] = []
        self.stops: list[str | None] = []

        @self.app.process("waits")
        async def waits(ctx: Context) -> str:
            self.started.append(ctx.id)
            try:
                await host.until(self.let_go.is_set)
            finally:
                self.stops.append(ctx.stop_reason)
            return "let go"

        @self.app.process("waits plainly")
        def waits_plainly(ctx: Any) -> str:
            self.started.append(ctx.id)
            while not self.let_go.wait(0.002) and ctx.stop_reason is None:
                pass
            self.stops.append(ctx.stop_reason)
            return "let go"

        @self.app.process("stubborn")
        async def stubborn(ctx: Context) -> str:
            self.started.append(ctx.id)
            await host.stubborn(self.let_go)
            self.stops.append(ctx.stop_reason)
            if ctx.stop_reason is not None:
                with pytest.raises(tenure.TenureError):
                    await ctx.effect("too late", str)
            return "let go"


def test_leaving_lets_handlers_end(host: Host) -> None:
    """L5, K8, L2: nothing more is claimed, and what runs ends first."""
    scene, store = Scene(host), stores.memory()

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            async with host.adapter.worker(scene.app, store, max_running=2) as worker:
                for process_id in ("a", "b", "c"):
                    await worker.client.start("waits", id=process_id)
                await host.until(lambda: len(scene.started) == 2)
                worker.request_drain()
                finishing = host.spawn(worker.finished)
                await client.start("waits", id="d")
                scene.let_go.set()
                await host.until(lambda: finishing.done)
                assert finishing.error is None
                assert await worker.finished() == 0
                # A client's calls go on after the drain.
                assert (await worker.client.get("a")).outcome == Success(canonical("let go"))
            assert scene.started == ["a", "b"]
            for left_alone in ("c", "d"):
                assert (await client.get(left_alone)).claims == 0

    host.run(main)


def test_handlers_that_outlast_the_grace_are_stopped_and_released(host: Host) -> None:
    """L5, K8, S8: first the handlers end, then their leases are released."""
    scene, store = Scene(host), stores.Troubled(stores.memory())

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            async with host.adapter.worker(scene.app, store, grace=0.05):
                await client.start("waits", id="a")
                await client.start("waits plainly", id="b")
                await host.until(lambda: len(scene.started) == 2)
            assert scene.stops == ["drain", "drain"]
            record = await client.get("a")
            assert (record.outcome, record.held) == (None, False)
            # A plain handler that returns has an outcome, whatever it was told.
            assert (await client.get("b")).outcome == Success(canonical("let go"))
            # Released, so claimable at once, and not counted as lost.
            scene.let_go.set()
            async with host.adapter.worker(scene.app, store):
                assert await client.wait("a", BOUND) == Success(canonical("let go"))
            assert [record.lost, (await client.get("a")).claims] == [0, 2]
        assert sum(isinstance(request, Release) for request in store.applied) == 1

    host.run(main)


def test_a_handler_that_does_not_stop_is_left_behind(host: Host) -> None:
    """L5, K8, S14: its lease is not released while it runs, but expires."""
    scene, store = Scene(host), stores.memory()

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            async with host.adapter.worker(scene.app, store, timings=SHORT, grace=0) as worker:
                await client.start("stubborn", id="a")
                await host.until(lambda: len(scene.started) == 1)
                worker.request_drain()
                assert await worker.finished() == 1
            # It still runs; its lease is not released but expires, and another worker runs it.
            record = await client.get("a")
            assert (record.held, record.outcome) == (True, None)
            assert scene.stops == []
            scene.let_go.set()
            await host.until(lambda: len(scene.stops) == 1)
            async with host.adapter.worker(scene.app, store, poll_interval=0.05):
                assert await client.wait("a", BOUND) == Success(canonical("let go"))
            assert (await client.get("a")).claims == 2

    host.run(main)


def test_leaving_by_an_exception_stops_handlers_at_once(host: Host) -> None:
    """L5, L6: and gives their processes back."""
    scene, store = Scene(host), stores.memory()

    async def main() -> None:
        async with host.adapter.connect(store) as client:

            async def block() -> None:
                async with host.adapter.worker(scene.app, store):
                    await client.start("waits", id="a")
                    await host.until(lambda: len(scene.started) == 1)
                    raise Broken("as itself")

            with pytest.raises(Broken, match="as itself"):
                await block()
            assert scene.stops == ["drain"]
            record = await client.get("a")
            assert (record.outcome, record.held) == (None, False)

    host.run(main)


def test_leaving_by_a_cancellation_stops_handlers_at_once(host: Host) -> None:
    """L5, L6: and gives their processes back."""
    scene, store = Scene(host), stores.memory()

    async def main() -> None:
        async with host.adapter.connect(store) as client:

            async def block() -> None:
                async with host.adapter.worker(scene.app, store):
                    await client.start("waits", id="a")
                    await host.forever()

            blocked = host.spawn(block)
            await host.until(lambda: len(scene.started) == 1)
            blocked.cancel()
            await host.until(lambda: blocked.done)
            assert blocked.error is not None
            # The handler was stopped by tenure, not by the cancellation around the block, and so it was given back.
            assert scene.stops == ["drain"]
            record = await client.get("a")
            assert (record.outcome, record.held) == (None, False)

    host.run(main)


def test_a_cancellation_shortens_a_drain(host: Host) -> None:
    """L5: what runs is stopped and given back."""
    scene, store = Scene(host), stores.memory()

    async def main() -> None:
        async with host.adapter.connect(store) as client:

            async def block() -> None:
                async with host.adapter.worker(scene.app, store, grace=300):
                    await client.start("waits", id="a")
                    await host.until(lambda: len(scene.started) == 1)

            blocked = host.spawn(block)
            await host.until(lambda: len(scene.started) == 1)
            await host.pause()
            assert not blocked.done
            blocked.cancel()
            await host.until(lambda: blocked.done)
            assert blocked.error is not None
            assert (await client.get("a")).held is False

    host.run(main)


def test_leaving_fails_the_calls_under_way(host: Host) -> None:
    async def main() -> None:
        async with host.adapter.worker(App(), "memory:") as worker:
            await worker.client.start("nobody", id="a")
            waiting = host.spawn(lambda: worker.client.wait("a"))
            await host.pause()
        await host.until(lambda: waiting.done)
        assert isinstance(waiting.error, tenure.WorkerClosed)
        with pytest.raises(tenure.WorkerClosed):
            await worker.client.get("a")

    host.run(main)


def test_threads_have_names_and_end(host: Host) -> None:
    names = {"tenure-machine", "tenure-store", "tenure-feed"}

    def alive() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name in names]

    async def main() -> None:
        for url in ("memory:", stores.memory()):
            async with host.adapter.worker(App(), url):
                assert {thread.name for thread in alive()} == names
                assert all(thread.daemon for thread in alive())
            assert alive() == []
            async with host.adapter.connect(url):
                assert len(alive()) == 3
            assert alive() == []

    host.run(main)


def test_a_store_given_as_an_object_is_not_closed(host: Host) -> None:
    store = stores.memory()

    async def main() -> None:
        async with host.adapter.worker(App(), store) as worker:
            await worker.client.start("nobody", id="a")
        async with host.adapter.connect(store) as client:
            assert (await client.get("a")).claims == 0

    host.run(main)


def test_a_block_that_nobody_leaves_warns_and_ends_its_threads(host: Host) -> None:
    scene = Scene(host)

    async def main() -> None:
        for block in (host.adapter.worker(scene.app, "memory:"), host.adapter.connect("memory:")):
            await block.__aenter__()
        del block
        for _ in range(3):  # whoever collects it may tell the loop first
            await host.pause()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        host.run(main)
        gc.collect()
    said = [str(warning.message) for warning in caught if warning.category is ResourceWarning]
    assert any("a worker of tenure was not closed" in words for words in said)
    assert any("a client of tenure was not closed" in words for words in said)


def test_a_loop_that_is_gone_ends_the_threads(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody left the block, and the loop is closed: no thread goes on, and none ends with a traceback."""
    scene, store = Scene(host), stores.memory()
    blocks = [host.adapter.worker(scene.app, store)]

    async def main() -> None:
        await blocks[0].__aenter__()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        host.abandon(main)
        its_own = [thread for thread in threading.enumerate() if thread.name.startswith("tenure-")]
        with connect(store) as client:
            client.start("waits", id="a")
            for thread in its_own:
                thread.join(BOUND)
                assert not thread.is_alive()
        blocks.clear()
        gc.collect()
    assert scene.started == []
    assert caplog.text == ""


def test_a_worker_that_may_not_drive_says_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """S15: the tier check fails closed."""

    def fault(facets: object) -> str:
        return "the session store is inline"

    monkeypatch.setattr("tenure.config.tier_fault", fault)

    async def main() -> None:
        async with host.adapter.worker(App(), "memory:") as worker:
            with pytest.raises(tenure.WorkerRefused):
                await worker.finished()

    with pytest.raises(tenure.WorkerRefused, match="the session store is inline"):
        host.run(main)
