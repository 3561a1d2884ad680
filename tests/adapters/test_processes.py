"""Processes from start to end, the same on every loop."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from attrs import frozen

import tenure
from tenure import App, Cancelled, Context, Failure, Phase, Success
from tenure.canonical import canonical, parsed
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host


@frozen
class Job:
    url: str
    size: int = 1


@dataclass
class Done:
    words: list[str]


class Suspends:
    """Only an event loop could go on after this."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def test_starts_waits_and_reads(host: Host) -> None:
    app = App()

    @app.process("twice", emits=["half"])
    async def twice(ctx: Context, number: int) -> int:
        await ctx.emit("half", {"at": number})
        return 2 * number

    async def main() -> None:
        async with host.adapter.worker(app, "memory:", name="w") as worker:
            client = worker.client
            handle = await client.start(twice, 21, id="a", owner="me")
            assert handle.id == "a"
            assert await handle.wait(BOUND) == 42
            assert await client.wait("a") == Success(canonical(42))
            record = await handle.get()
            assert (record.claims, record.registration.kind) == (1, "twice")
            assert [event.type for event in await handle.events()] == ["half", "process.ended"]
            assert [event.seq for event in await client.events("a", after=1)] == [2]
            await (await client.start(twice, 1, id="b")).wait(BOUND)
            assert [one.id for one in (await client.list()).records] == ["a", "b"]
            assert [one.id for one in (await client.list(owner="me")).records] == ["a"]
            assert [one.id for one in (await client.list(phase=Phase.PENDING)).records] == []
            page = await client.list(limit=1)
            assert page.next is not None
            assert [one.id for one in (await client.list(after=page.next)).records] == ["b"]
            assert worker.name == "w"
            assert worker.owner.startswith("w-")

    host.run(main)


def test_starting_again_is_one_process(host: Host) -> None:
    """S10: the same registration again changes nothing and answers the same."""
    app = App()
    runs: list[int] = []

    @app.process("once")
    async def once(ctx: Context, number: int) -> int:
        runs.append(number)
        return number

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            for _ in range(3):
                assert await (await client.start(once, 5, id="a")).wait(BOUND) == 5
            with pytest.raises(tenure.Conflict):
                await client.start(once, 6, id="a")
            with pytest.raises(tenure.ProcessNotFound):
                await client.get("b")
            with pytest.raises(tenure.ProcessNotFound):
                await client.wait("b", BOUND)
            with pytest.raises(tenure.RequestRefused, match="empty or blank"):
                await client.start(once, 6, id=" ")
            assert runs == [5]

    host.run(main)


def test_typed_payloads_and_results(host: Host) -> None:
    app = App()

    @app.process("typed")
    async def typed(ctx: Context, job: Job) -> Done:
        assert type(job) is Job
        return Done([job.url] * job.size)

    @app.process("plain")
    def plain(ctx: Any, done: Done) -> Job:
        assert type(done) is Done
        return Job(done.words[0], len(done.words))

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            assert await (await client.start(typed, Job("u", 2))).wait(BOUND) == Done(["u", "u"])
            assert await (await client.start(plain, Done(["u", "v"]))).wait(BOUND) == Job("u", 2)
            assert await (await client.start("typed", {"url": "x"})).wait(BOUND) == {"words": ["x"]}
            for wrong in ({}, {"url": "x", "more": 1}, "text", None, {"url": "x", "size": "many"}):
                failed = await (await client.start("typed", wrong)).outcome(BOUND)
                assert isinstance(failed, Failure)
                assert failed.code == "invalid_payload"
            with pytest.raises(tenure.NotJson, match="payload of process"):
                await client.start("typed", {"set": {1}})

    host.run(main)


def test_events_of_a_handler(host: Host) -> None:
    app = App()

    @app.process("speaks", emits=["said"])
    async def speaks(ctx: Context) -> list[str]:
        await ctx.emit("said", 1)
        await ctx.emit("said", 1)
        await ctx.emit("said", 2, key="once")
        await ctx.emit("said", 2, key="once")
        refused: list[str] = []
        for wrong in ("unsaid", "process.ended"):
            with pytest.raises(tenure.UndeclaredEvent, match=wrong) as caught:
                await ctx.emit(wrong)
            refused.append(caught.value.reason)
        return refused

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            handle = await worker.client.start(speaks)
            assert await handle.wait(BOUND) == ["undeclared_event", "reserved_event"]
            events = await handle.events()
            assert [(event.type, parsed(event.payload)) for event in events[:-1]] == [
                ("said", 1),
                ("said", 1),
                ("said", 2),
            ]

    host.run(main)


def test_a_client_appends_events(host: Host) -> None:
    app = App()

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            await client.start("nobody", id="a", emits=["word"])
            assert await client.append("a", "word", {"x": 1}, key="k") == 1
            assert await client.append("a", "word", {"x": 1}, key="k") == 1
            assert await client.append("a", "word") == 2
            with pytest.raises(tenure.UndeclaredEvent):
                await client.append("a", "process.ended")
            await client.cancel("a")
            with pytest.raises(tenure.RequestRefused, match="it has ended"):
                await client.append("a", "word")

    host.run(main)


def test_what_a_handler_sees_of_itself(host: Host) -> None:
    app = App()
    seen: list[Any] = []

    @app.process("looks")
    async def looks(ctx: Context) -> None:
        seen.append((ctx.id, ctx.attempt, ctx.owner_scope, ctx.stop_reason, ctx.fencing_token))

    @app.process("looks plainly")
    def looks_plainly(ctx: Any) -> None:
        seen.append((ctx.id, ctx.attempt, ctx.owner_scope, ctx.stop_reason, ctx.fencing_token))

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            await (await worker.client.start(looks, id="a", owner="me")).wait(BOUND)
            await (await worker.client.start(looks_plainly, id="b")).wait(BOUND)
            for (process_id, attempt, owner, stop, token), (wanted, scope) in zip(
                seen, (("a", "me"), ("b", "process:b")), strict=True
            ):
                assert (process_id, attempt, owner, stop) == (wanted, 1, scope, None)
                assert token.token == (await worker.client.get(wanted)).token
            assert seen[0][4] < seen[1][4]

    host.run(main)


def test_plain_handlers_run_in_threads_of_their_own(host: Host) -> None:
    app = App()
    together = threading.Barrier(3)

    @app.process("plain", emits=["step"])
    def plain(ctx: Any, number: int) -> int:
        together.wait(BOUND)
        assert threading.current_thread() is not threading.main_thread()
        made = ctx.effect("square", pow, number, 2)
        ctx.emit("step", made)
        return int(made)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:", max_running=3) as worker:
            handles = [await worker.client.start(plain, number) for number in range(3)]
            assert [await handle.wait(BOUND) for handle in handles] == [0, 1, 4]

    host.run(main)


def test_a_plain_handler_cannot_await(host: Host) -> None:
    app = App()

    async def awaits() -> int:
        return 1

    async def parks() -> None:
        await Suspends()

    @app.process("plain")
    def plain(ctx: Any) -> str:
        with pytest.raises(tenure.InvalidValue, match="needs an event loop"):
            ctx.effect("k", parks)
        return str(ctx.effect("l", awaits))

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            assert await (await worker.client.start(plain)).wait(BOUND) == "1"

    host.run(main)


def test_effects_are_recorded_once(host: Host) -> None:
    """S10: a key is used once in an attempt, and what came of it is kept (CONTRACT §8)."""
    app = App()
    calls: list[Any] = []

    def plainly(word: str) -> str:
        calls.append(threading.current_thread().name)
        return word.upper()

    async def typed(job: Job) -> Job:
        calls.append(job)
        return Job(job.url, job.size + 1)

    @app.process("effects")
    async def effects(ctx: Context) -> list[Any]:
        loud = await ctx.effect("loud", plainly, "word")
        job = await ctx.effect("job", typed, Job("u"))
        assert type(job) is Job
        with pytest.raises(tenure.EffectKeyReused):
            await ctx.effect("loud", plainly, "word")
        with pytest.raises(tenure.EffectFailed, match=r"failed: ZeroDivisionError \(raised\): integer"):
            await ctx.effect("raises", lambda: 1 // 0)
        with pytest.raises(tenure.NotJson, match="effect 'set'"):
            await ctx.effect("set", lambda: {1})
        return [loud, job.size]

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            assert await (await worker.client.start(effects)).wait(BOUND) == ["WORD", 2]
            assert calls[0] != threading.main_thread().name
            assert calls[1:] == [Job("u")]

    host.run(main)


def test_contextvars_of_the_block(host: Host) -> None:
    app = App()
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

    @app.process("async")
    async def asynchronous(ctx: Context) -> list[str]:
        at_first = var.get()
        var.set("handler")
        return [at_first, await ctx.effect("in a thread", var.get)]

    @app.process("plain")
    def plain(ctx: Any) -> list[str]:
        at_first = var.get()
        var.set("handler")
        return [at_first, ctx.effect("in the same thread", var.get)]

    async def main() -> None:
        var.set("block")
        async with host.adapter.worker(app, "memory:") as worker:
            var.set("later")
            for _ in range(2):
                for kind in (asynchronous, plain):
                    assert await (await worker.client.start(kind)).wait(BOUND) == ["block", "handler"]
            assert var.get() == "later"

    host.run(main)


def test_max_running_is_never_exceeded(host: Host) -> None:
    """S12, L1: a slot is taken until its handler has ended, and then free."""
    app = App()
    running: set[str] = set()
    most: list[int] = []

    @app.process("async")
    async def asynchronous(ctx: Context) -> None:
        running.add(ctx.id)
        most.append(len(running))
        await host.pause()
        running.remove(ctx.id)

    @app.process("plain")
    def plain(ctx: Any) -> None:
        running.add(ctx.id)
        most.append(len(running))
        running.remove(ctx.id)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:", max_running=3) as worker:
            client = worker.client
            handles = [await client.start(kind) for _ in range(20) for kind in (asynchronous, plain)]
            for handle in handles:
                await handle.outcome(BOUND)
        assert len(most) == 40
        assert max(most) <= 3
        assert max(most) > 1

    host.run(main)


def test_two_workers_share_a_name_and_the_work(host: Host) -> None:
    """K13, S12: each is an owner of its own."""
    app, together = App(), [0]

    @app.process("pair")
    async def pair(ctx: Context) -> str:
        together[0] += 1
        await host.until(lambda: together[0] == 2)  # neither worker could run both
        return ctx.id

    async def main() -> None:
        store = stores.memory()
        async with host.adapter.worker(app, store, name="same", max_running=1) as first:
            async with host.adapter.worker(app, store, name="same", max_running=1) as second:
                assert first.owner != second.owner
                a = await first.client.start(pair, id="a")
                b = await first.client.start(pair, id="b")
                assert {await a.wait(BOUND), await b.wait(BOUND)} == {"a", "b"}

    host.run(main)


def test_a_kind_without_handler_stays_pending(host: Host) -> None:
    """S3: it is not claimed by who cannot run it."""
    app = App()

    @app.process("known")
    async def known(ctx: Context) -> None:
        return None

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            stranger = await client.start("unknown", {"any": 1})
            await (await client.start(known)).wait(BOUND)
            record = await stranger.get()
            assert (record.claims, record.outcome) == (0, None)
            assert [one.id for one in (await client.list(phase=Phase.PENDING)).records] == [stranger.id]
            assert await stranger.cancel("nobody runs it") == Cancelled("nobody runs it")

    host.run(main)
