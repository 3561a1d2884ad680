"""W1-W10: what the original got wrong. Each test plays the schedule in which it fails, and sees it handled; with
the old rule put back (`breakers/mistakes.toml`) the same schedule fails."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tenure import (
    App,
    Cancelled,
    Context,
    DurabilityTier,
    Failure,
    ProcessRegistry,
    Success,
    WorkerRefused,
)
from tenure.canonical import canonical
from tenure.replies import Fenced, Succeeded
from tenure.requests import Complete, ReadCancels, RecordEffect, Renew
from tenure_testing.playing import Host as Played
from tenure_testing.playing import Observer
from tenure_testing.rehearsing import RehearsedWorld, block, pass_time, sleep
from tests.adapters.loops import BOUND, Host
from tests.behaviour.directly import durable
from tests.behaviour.stories import Failing, Seen, a_minute, an_hour, job, log, row, with_sessions


def test_w01_a_worker_that_was_overtaken_before_its_write_writes_no_second_outcome(
    world: RehearsedWorld,
) -> None:
    """The lease expires between the last renewal and the write, and another worker finishes the process."""
    first = world.worker(job(a_minute), name="first")
    late, writes = world.delay(Complete, 300, worker="first"), Seen(world, Complete)
    world.client.start("job", id="p")
    world.run_until(lambda: late.met == 1)
    first.pause(400)
    world.worker(job(a_minute), name="second")
    world.run_until(lambda: len(writes.all) == 2)
    assert [who for _, who, _, _ in writes.all] == ["second", "first"]
    assert [type(answer) for answer in writes.answers] == [Succeeded, Fenced]
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(2))
    assert log(world) == ["process.ended"]


def test_w02_a_blip_is_no_loss(world: RehearsedWorld) -> None:
    """A renewal that did not get through is tried again, and the handler goes on."""
    world.worker(job(a_minute))
    unavailable, unknown = world.refuse(Renew, times=3), world.drop_reply(Renew, times=2)
    world.client.start("job", id="p")
    world.run_until_idle()
    assert (unavailable.met, unknown.met) == (3, 2)
    assert row(world).outcome == Success(canonical(1))
    world.assert_started("p", times=1)


def test_w02_who_cannot_reach_the_store_stops_before_another_may_begin(world: RehearsedWorld) -> None:
    """There is a local deadline: a worker that is cut off stops its handler before the lease expires in the store."""
    ends: list[tuple[int, float, str | None]] = []

    async def handler(ctx: Context) -> int:
        try:
            await sleep(600)
        finally:
            ends.append((ctx.attempt, world.elapsed, ctx.stop_reason))
        return ctx.attempt

    cut = world.worker(job(handler), name="cut")
    world.client.start("job", id="p")
    world.run_for(5)
    cut.cut(3_600)
    world.worker(job(handler), name="other")
    world.run_until(lambda: len(world.starts) == 2)
    ((attempt, at, reason),) = ends
    assert (attempt, reason) == (1, "deadline")
    assert at < world.starts[1].at
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(2))


def test_w03_a_lost_reply_to_the_terminal_write_does_not_run_it_again(world: RehearsedWorld) -> None:
    """Nor one that never arrived: it is written again, and a write that was applied answers what it did."""
    world.worker(job(a_minute))
    world.worker(job(a_minute))
    replies = world.drop_reply(Complete, process="p")
    requests = world.drop_request(Complete, process="q")
    for name in ("p", "q"):
        world.client.start("job", id=name)
    world.run_until_idle()
    assert (replies.met, requests.met) == (1, 1)
    for name in ("p", "q"):
        assert row(world, name).outcome == Success(canonical(1))
        assert log(world, name) == ["process.ended"]
        world.assert_started(name, times=1)


def test_w04_a_worker_of_another_profile_leaves_a_row_to_those_that_fit(world: RehearsedWorld) -> None:
    world.worker(job(a_minute), profile="us")
    world.client.start("job", id="p", profile="eu")
    world.run_for(600)
    assert (row(world).claims, row(world).outcome) == (0, None)
    world.worker(job(a_minute), profile="eu", name="european")
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(1))
    assert [start.worker for start in world.starts] == ["european"]


def test_w04_a_session_store_that_is_down_for_ten_seconds_costs_ten_seconds(world: RehearsedWorld) -> None:
    """The row is given back, and may be claimed a little later, by whoever can run it."""
    with_sessions(world, Failing(world, OSError("connection refused"), 10))
    world.worker(job(a_minute))
    world.client.start("job", id="p", owner="s")
    world.run_for(8)
    assert row(world).outcome is None
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(row(world).claims))
    assert world.starts[0].at < 20
    assert row(world).lost == 0


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_w04_nor_more_where_the_session_is_the_processs_own(world: RehearsedWorld, plain: bool) -> None:
    """It is opened at its first use, in the middle of the handler, which waits for it under its lease."""

    async def later(ctx: Context) -> int:
        session = await ctx.session()
        await session.append(ctx.attempt)
        return len(session.path)

    def now(ctx: Any) -> int:
        session = ctx.session()
        session.append(ctx.attempt)
        return len(session.path)

    with_sessions(world, Failing(world, OSError("connection refused"), 10))
    world.worker(job(now if plain else later))
    world.client.start("job", id="p")
    world.run_for(8)
    assert row(world).outcome is None
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(1))
    world.assert_started("p", times=1)
    assert world.elapsed < 20


def test_w04_a_worker_with_ephemeral_stores_refuses_to_drive_and_fails_no_row(
    registry: ProcessRegistry, host: Host
) -> None:
    config = durable(registry, artifacts=DurabilityTier.INLINE)

    async def drives() -> None:
        async with host.adapter.worker(config) as worker:
            refusal = host.spawn(worker.finished)
            await host.until(lambda: refusal.done)

    async def main() -> None:
        async with host.adapter.connect(registry) as client:
            handle = await client.start("job")
            said = "a durable worker needs a durable artifact store; the configured one is inline"
            with pytest.raises(WorkerRefused, match=said):
                await drives()
            pending = await handle.get()
            assert (pending.claims, pending.outcome) == (0, None)
            async with host.adapter.worker(durable(registry)):
                assert await handle.wait(BOUND) == "done"

    host.run(main)


def test_w05_no_more_than_its_places_in_order_and_again_for_what_was_refused(world: RehearsedWorld) -> None:
    most: list[int] = []

    class Counting(Observer):
        def turned(self, host: Played, inbox: Any, box: Any) -> None:
            if host is worker:
                most.append(host.running)

    app = job(a_minute)
    busy = world.worker(app, name="busy", max_running=1)
    world.client.start("job", id="p0")
    world.run_for(5)
    for n in range(1, 12):
        world.client.start("job", id=f"p{n}")
    worker = world.worker(app, name="worker", max_running=3)
    world.observers.append(Counting())
    world.run_for(10)
    assert [start.process_id for start in world.starts] == ["p0", "p1", "p2", "p3"]
    busy.crash()  # what was held by somebody else at the first look comes with a later one
    world.run_until_idle()
    assert max(most) == 3
    later = [start.process_id for start in world.starts[4:]]
    assert sorted(later) == sorted(["p0", *(f"p{n}" for n in range(4, 12))])
    in_order = [name for name in later if name != "p0"]
    assert in_order == sorted(in_order, key=lambda name: int(name[1:]))


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_w06_a_handler_that_blocks_its_loop_keeps_its_lease(world: RehearsedWorld, plain: bool) -> None:
    """Ten minutes long: the driver renews in a thread of its own. Nor does a handler wait for a renewal."""

    async def blocks(ctx: Context) -> int:
        await block(600)
        return ctx.attempt

    def blocks_plainly(ctx: Any) -> int:
        pass_time(600)
        attempt: int = ctx.attempt
        return attempt

    app = job(blocks_plainly if plain else blocks)
    world.worker(app, name="blocked")
    renewed = Seen(world, Renew)
    world.client.start("job", id="p")
    world.run_for(1)
    world.worker(app, name="other")
    world.run_until_idle()
    assert len(renewed.all) >= 59
    assert row(world).outcome == Success(canonical(1))
    world.assert_started("p", times=1)


def test_w07_what_a_crashed_worker_held_is_taken_over_within_half_a_minute(world: RehearsedWorld) -> None:
    app = job(a_minute)
    crashed = world.worker(app)
    world.client.start("job", id="p")
    world.run_for(5)
    crashed.crash()
    world.worker(app)
    world.run_until_idle()
    first, second = world.starts
    assert second.at - first.at < 32
    assert row(world).outcome == Success(canonical(2))


def test_w08_there_is_no_watcher_that_could_break(world: RehearsedWorld) -> None:
    """Whatever reads the log for cancellations fails, all the time: the flag rides on the renewals."""
    world.worker(job(an_hour))
    broken = world.refuse(ReadCancels, times=1_000_000)
    world.client.start("job", id="p")
    world.run_for(5)
    assert world.client.cancel("p", "enough") is None
    world.run_for(12)
    assert broken.met > 0
    assert row(world).outcome == Cancelled("enough")


def test_w08_an_old_request_is_seen_before_the_handler_starts(world: RehearsedWorld) -> None:
    app = job(an_hour)
    dead = world.worker(app)
    world.client.start("job", id="p")
    world.run_for(5)
    dead.pause(10)
    world.client.cancel("p", "too slow")
    dead.crash()
    world.worker(app)
    world.run_until_idle()
    assert row(world).outcome == Cancelled("too slow")
    world.assert_started("p", times=1)


def test_w09_an_effect_of_a_worker_that_lost_its_lease_is_not_recorded(world: RehearsedWorld) -> None:
    """It was under way when the lease was lost, and arrives before the new owner comes to the same effect."""
    called: list[int] = []

    async def handler(ctx: Context) -> int:
        if ctx.attempt > 1:
            await sleep(120)

        def call() -> int:
            called.append(ctx.attempt)
            return ctx.attempt

        return await ctx.effect("call", call)

    app = job(handler)
    zombie = world.worker(app, name="zombie")
    late, records = world.delay(RecordEffect, 60, worker="zombie"), Seen(world, RecordEffect)
    world.client.start("job", id="p")
    world.run_until(lambda: late.met == 1)
    zombie.pause(600)
    world.worker(app, name="owner")
    world.run_until_idle()
    assert [who for _, who, _, _ in records.all] == ["zombie", "owner"]
    assert [type(answer) for answer in records.answers] == [Fenced, Succeeded]
    assert called == [1, 2]
    assert row(world).outcome == Success(canonical(2))


def test_w10_a_handler_that_panics_leaves_nothing_behind(registry: ProcessRegistry, host: Host) -> None:
    """Neither its lease nor its place: its end is written like any other, and the next one runs."""

    class Panic(BaseException):
        """Not an Exception."""

    app = App()

    @app.process("exits")
    def exits(ctx: Any) -> None:
        sys.exit(3)

    @app.process("panics")
    async def panics(ctx: Context) -> None:
        raise Panic("no way on")

    @app.process("good")
    async def good(ctx: Context) -> str:
        return "done"

    async def main() -> None:
        async with host.adapter.worker(app, registry, max_running=1) as worker:
            ends = {
                "exits": Failure("SystemExit", "raised", "3"),
                "panics": Failure("Panic", "raised", "no way on"),
                "good": Success(canonical("done")),
            }
            for name in ends:
                await worker.client.start(name, id=name)
            assert {name: await worker.client.wait(name, BOUND) for name in ends} == ends
            assert not any([(await worker.client.get(name)).held for name in ends])

    host.run(main)


def test_w10_a_process_that_kills_its_workers_is_not_tried_for_ever(world: RehearsedWorld) -> None:
    """After `max_lost` take-overs in a row whoever claims it writes its failure, and starts nothing."""

    class Killing(Observer):
        def started(self, host: Played, job: Any) -> None:
            if job.ctx.id == "killer":
                world.after(0, host.crash)
                world.after(1, host.restart)

    world.observers.append(Killing())
    world.worker(job(an_hour), max_lost=3)
    world.client.start("job", id="killer")
    world.run_until(lambda: row(world, "killer").outcome is not None, within=900)
    ended = row(world, "killer").outcome
    assert isinstance(ended, Failure)
    assert (ended.failure_class, ended.code) == ("execution", "lost_too_often")
    world.assert_started("killer", times=3)
