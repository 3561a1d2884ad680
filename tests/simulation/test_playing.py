"""The played world: time, faults and crashes happen as a test says, and the shipped code runs in it."""

from __future__ import annotations

import pytest

import tenure
from tenure.errors import ProcessFailed
from tenure.replies import Succeeded
from tenure.requests import ClaimNext, Complete, Renew
from tenure_testing.playing import (
    NO_ANSWER,
    UNREACHABLE,
    Cancelled,
    Fate,
    World,
    block,
    sleep,
)
from tests.simulation.seeing import Seen, applied, working


def test_a_process_runs_in_virtual_time(url: str) -> None:
    with World(url) as world:
        world.worker(working(600))
        handle = world.client.start("work", 21, id="p")
        begin = world.now
        assert handle.wait() == 42
        assert (world.now - begin) / 1e9 == pytest.approx(600, abs=1)


def test_another_worker_takes_over_after_a_crash_and_does_not_repeat_the_effect(url: str) -> None:
    effects: list[str] = []
    app = working(10, effects)
    with World(url) as world:
        first = world.worker(app)
        handle = world.client.start("work", 1, id="p")
        world.run_for(5)
        second = world.worker(app)
        assert (first.running, second.running) == (1, 0)
        first.crash()
        assert handle.wait() == 2
        assert (handle.get().claims, handle.get().lost) == (2, 1)
        assert effects == ["p"]
        assert not first.alive


def test_a_crash_runs_nothing_more_of_a_handler() -> None:
    cleaned: list[str] = []
    app = tenure.App()

    @app.process("work")
    async def work(ctx: tenure.Context) -> None:
        try:
            await sleep(10)
        finally:
            cleaned.append(ctx.id)

    with World() as world:
        worker = world.worker(app)
        world.client.start(work, id="p")
        world.run_for(1)
        worker.crash()
        world.run_for(100)
        assert cleaned == []
        worker.restart()
        world.run_until_idle()
        assert cleaned == ["p"]


def test_a_dropped_reply_leaves_the_write_and_the_same_request_is_repeated(url: str) -> None:
    seen = Seen()
    with World(url, observers=[seen]) as world:
        world.worker(working(1))
        rule = world.drop_reply(Complete)
        handle = world.client.start("work", 1, id="p")
        assert handle.wait() == 2
        world.run_until_idle()
        assert rule.met == 1
        assert applied(world, Complete, seen) == 2
        assert [event.type for event in handle.events()] == ["process.ended"]


def test_a_dropped_request_is_not_applied_and_is_repeated(url: str) -> None:
    seen = Seen()
    with World(url, observers=[seen]) as world:
        world.worker(working(1))
        rule = world.drop_request(Complete, process="p")
        assert world.client.start("work", 1, id="p").wait() == 2
        assert rule.met == 1
        assert applied(world, Complete, seen) == 1


def test_a_late_renewal_after_the_loss_is_fenced() -> None:
    seen = Seen()
    with World(observers=[seen]) as world:
        world.worker(working(60), name="slow")
        world.delay(Renew, 200, "slow")
        world.client.start("work", 1, id="p")
        world.run_for(1)
        world.hosts[0].crash()
        world.worker(working(300), name="next")
        world.run_for(250)
        late = [e for e in seen.executions if e.sender is world.hosts[0] and isinstance(e.requests[0], Renew)]
        assert late == []  # it crashed before a renewal was due
        assert world.hosts[2].running == 1


def test_a_doubled_request_is_executed_twice_and_answered_once() -> None:
    seen = Seen()
    with World(observers=[seen]) as world:
        world.worker(working(1))
        world.double(Complete, 40)
        world.client.start("work", 1, id="p").wait()
        world.run_for(60)
        twice = [e for e in seen.executions if isinstance(e.requests[0], Complete)]
        assert len(twice) == 2
        assert twice[0].sending == twice[1].sending
        assert twice[0].answers == twice[1].answers


def test_unavailable_is_never_said_of_what_may_be_executed() -> None:
    with pytest.raises(ValueError, match="nothing was applied"):
        Fate((1,), 2, UNREACHABLE)
    assert Fate((1,), 2, NO_ANSWER).executes == (1,)


def test_a_paused_worker_loses_its_process_and_writes_nothing_of_it(url: str) -> None:
    seen = Seen()
    with World(url, observers=[seen]) as world:
        first = world.worker(working(20))
        handle = world.client.start("work", 1, id="p")
        world.run_for(1)
        second = world.worker(working(20))
        first.pause(120)
        assert handle.wait() == 2
        world.run_until_idle()
        assert world.now / 1e9 > 1_120, "it waits for the paused one too"
        assert (first.running, second.running) == (0, 0)
        ends = [e for e in seen.executions for request in e.requests if isinstance(request, Complete)]
        assert [end.sender for end in ends] == [second]


def test_a_clock_that_stands_still_while_suspended_is_what_fencing_is_for() -> None:
    seen = Seen()
    with World(observers=[seen]) as world:
        first = world.worker(working(20))
        world.client.start("work", 1, id="p")
        world.run_for(1)
        world.worker(working(20))
        before = first.clock.now()
        first.suspend(120)
        world.run_for(120)
        assert first.clock.now() == before
        world.run_until_idle()
        ends = [(e.sender, e.answers) for e in seen.executions if isinstance(e.requests[0], Complete)]
        assert [(sender is first, isinstance(answers[0], Succeeded)) for sender, answers in ends] == [
            (False, True),
            (True, False),
        ], "it thinks that it has time left; the store knows better"


def test_a_clock_drifts_and_the_alarm_follows_it() -> None:
    with World() as world:
        worker = world.worker(working(1), drift=100_000, offset=50)
        begin = worker.clock.now()
        world.run_for(10)
        assert worker.clock.now() - begin == 11_000_000_000
        worker.clock.drifts(-100_000)
        worker.clock_moved()
        world.run_for(10)
        assert worker.clock.now() - begin == 20_000_000_000
        assert world.client.start("work", 1, id="p").wait() == 2


def test_the_store_is_killed_and_has_what_it_answered(url: str) -> None:
    with World(url) as world:
        world.worker(working(10))
        handle = world.client.start("work", 1, id="p")
        world.run_for(1)
        world.store_down(5)
        world.run_for(1)
        assert handle.wait() == 2
        assert handle.get().claims == 1


def test_a_partition_keeps_the_answers_only(url: str) -> None:
    seen = Seen()
    with World(url, observers=[seen]) as world:
        worker = world.worker(working(1))
        worker.cut(10, there=False)
        handle = world.client.start("work", 1, id="p")
        world.run_for(8)
        assert handle.get().claims == 1, "the claim was granted, and the worker does not know"
        assert worker.running == 0
        assert handle.wait() == 2
        assert applied(world, ClaimNext, seen) > 1
        assert handle.get().claims == 1


def test_a_handler_that_blocks_its_loop_is_renewed_all_the_same() -> None:
    app = tenure.App()

    @app.process("work")
    async def work(ctx: tenure.Context) -> str:
        await block(100)
        return ctx.id

    with World() as world:
        worker = world.worker(app)
        handle = world.client.start(work, id="p")
        other = world.client.start(work, id="q")
        assert handle.wait() == "p"
        assert handle.get().claims == 1
        assert world.now / 1e9 == pytest.approx(1_100, abs=1)
        assert other.wait() == "q"
        assert worker.running == 0


def test_a_handler_that_ignores_its_cancellation_is_left_behind() -> None:
    app = tenure.App()

    @app.process("work", max_run=10)
    async def work(ctx: tenure.Context) -> str:
        for _ in range(100):
            try:
                await sleep(1)
            except Cancelled:
                pass
        return "too late"

    with World() as world:
        worker = world.worker(app, max_lost=1)
        handle = world.client.start(work, id="p")
        world.run_for(60)
        assert worker.running == 1, "it is detached and keeps its slot"
        world.worker(app, max_lost=1)
        with pytest.raises(ProcessFailed, match="lost"):
            handle.wait()
        world.run_until_idle()
        assert worker.running == 0
