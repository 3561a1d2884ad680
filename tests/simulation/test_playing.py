"""The played world: time, faults and crashes happen as a test says, and the shipped code runs in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure.errors import ProcessCancelled, ProcessFailed, StoreUnknown, WaitTimeout
from tenure.process import Outcome
from tenure.replies import Succeeded
from tenure.requests import ClaimNext, Complete, RecordEffect, Register, Renew
from tenure_driver import Job
from tenure_driver.blocking import BlockingContext
from tenure_testing.playing import (
    NO_ANSWER,
    UNREACHABLE,
    Cancelled,
    Execution,
    Fate,
    Host,
    Observer,
    Stuck,
    World,
    block,
    pass_time,
    sleep,
)

STORES = ("memory:", "sqlite:///{}/played.db")
TTL, BUDGET, GRACE = 30.0, 24.0, 5.0


class Seen(Observer):
    """Everything that a world shows, one word each."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ends: list[Outcome | None] = []
        self.executions: list[Execution] = []

    def executed(self, execution: Execution) -> None:
        self.executions.append(execution)
        names = "+".join(type(request).__name__ for request in execution.requests)
        self.words.append(f"{execution.at} {execution.sending} {names}")

    def started(self, host: Host, job: Job) -> None:
        self.words.append(f"{host.name} starts {job.ctx.id} under {job.token}")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self.ends.append(outcome)
        self.words.append(f"{host.name} ended {job.ctx.id}: {outcome}")

    def happened(self, what: str, host: Host | None) -> None:
        self.words.append(what)


def applied(world: World, kind: type, seen: Seen) -> int:
    """How many requests of the kind the store has answered with a success."""
    return sum(
        isinstance(answer, Succeeded)
        for execution in seen.executions
        for request, answer in zip(execution.requests, execution.answers, strict=True)
        if isinstance(request, kind)
    )


def working(seconds: float, effects: list[str] | None = None) -> tenure.App:
    """An application whose process makes an effect, then takes so long."""
    app = tenure.App()

    @app.process("work")
    async def work(ctx: tenure.Context, value: int) -> int:
        async def download(of: int) -> int:
            if effects is not None:
                effects.append(ctx.id)
            return of * 2

        got = await ctx.effect("download", download, value)
        await sleep(seconds)
        return got

    return app


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(tmp_path)


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


def test_cancelling_and_draining() -> None:
    with World() as world:
        worker = world.worker(working(1000))
        handle = world.client.start("work", 1, id="p")
        other = world.client.start("work", 1, id="q")
        world.run_for(5)
        handle.cancel("enough")
        with pytest.raises(ProcessCancelled, match="enough"):
            handle.wait()
        worker.drain(10)
        world.run_until(lambda: worker.finished, within=60)
        assert not other.get().held
        assert other.get().claims == 1
        with pytest.raises(WaitTimeout):
            other.wait(5)
        worker.restart()
        assert other.wait() == 2
        assert other.get().claims == 2


def doubled(value: int) -> int:
    return value * 2


def test_a_plain_handler_runs_in_its_own_thread_and_in_the_worlds_time(url: str) -> None:
    app = tenure.App()

    @app.process("plain", emits=["half"])
    def plain(ctx: BlockingContext, value: int) -> int:
        got = ctx.effect("double", doubled, value)
        pass_time(100)
        ctx.emit("half", got)
        ctx.checkpoint()
        return got

    with World(url) as world:
        worker = world.worker(app)
        handle = world.client.start(plain, 21, id="p")
        assert handle.wait() == 42
        assert [event.type for event in handle.events()] == ["half", "process.ended"]
        world.client.start(plain, 1, id="q")
        world.run_for(50)
        worker.crash()
        worker.restart()
        world.run_until_idle()


def test_a_crash_at_any_place_that_can_be_seen_stops_everything_at_once() -> None:
    """The hooks of an observer are places to crash at; whatever they interrupt runs no further."""

    def crashing(name: str, nth: int) -> tuple[int, list[str]]:
        effects: list[str] = []
        left = [nth]
        met = 0

        class Crash(Observer):
            pass

        def hook(observer: Observer, host: Host, *given: Any) -> None:
            nonlocal met
            if host.app is not None:
                met += 1
                left[0] -= 1
                if left[0] == 0:
                    host.crash()
                    world.after(1, host.restart)

        def on_execution(observer: Observer, execution: Execution) -> None:
            if execution.sender is not None:
                hook(observer, execution.sender)

        setattr(Crash, name, on_execution if name == "executed" else hook)
        with World(observers=[Crash()]) as world:
            world.worker(working(1, effects))
            assert world.client.start("work", 1, id="p").wait() == 2
            world.run_until_idle()
        return met, effects

    names = ("turned", "sending", "sent", "executed", "heard", "starting", "started", "ended", "asking")
    for name in (*names, "replied"):
        for nth in (1, 2, 3):
            met, effects = crashing(name, nth)
            assert met >= 1, name
            assert 1 <= len(effects) <= 2, (name, nth)


def test_the_same_seed_gives_the_same_events_and_another_does_not() -> None:
    def events(seed: int) -> Sequence[str]:
        seen = Seen()
        with World(seed=seed, observers=[seen]) as world:
            for _ in range(3):
                world.worker(working(7))
            world.drop_request(Complete, times=5)
            for number in range(20):
                world.client.start("work", number, id=f"p{number}")
            world.run_until_idle()
        return seen.words

    assert events(1) == events(1)
    assert events(1) != events(2)


def test_an_actor_runs_beside_the_workers() -> None:
    async def acting(client: tenure.Client) -> list[Any]:
        handles = [await client.start("work", number, id=f"p{number}") for number in range(3)]
        await sleep(1)
        return [await handle.wait() for handle in handles]

    with World() as world:
        world.worker(working(5))
        visitor = world.visitor()
        assert world.play(visitor.play(acting(visitor.client))) == [0, 2, 4]


def test_a_client_without_a_store_is_told_that_it_may_have_been_applied() -> None:
    with World() as world:
        world.drop_request(Register, times=1_000)
        with pytest.raises(StoreUnknown):
            world.client.start("work", 1, id="p")


def passing(world: World) -> None:
    world.run_for(1)


def reading(world: World) -> None:
    world.client.get("p")


@pytest.mark.parametrize("misused", [passing, reading])
def test_nobody_lets_the_world_go_on_from_inside(misused: Callable[[World], None]) -> None:
    with World() as world:
        world.after(1, lambda: misused(world))
        with pytest.raises(RuntimeError, match="go on"):
            world.run_for(2)


def test_what_does_not_come_is_said() -> None:
    with World() as world:
        with pytest.raises(Stuck, match="a reply did not come within 5 s"):
            world.run_until(lambda: False, 5, "a reply")
        world.client.start("nobody", id="p")
        world.run_until_idle()


def test_a_handler_cannot_await_an_event_loop_that_is_not_there() -> None:
    app = tenure.App()

    class Future:
        def __await__(self) -> Any:
            yield self

    @app.process("work")
    async def work(ctx: tenure.Context) -> None:
        await Future()

    with World() as world:
        world.worker(app)
        with pytest.raises(ProcessFailed, match="there is no event loop"):
            world.client.start(work, id="p").wait()


def test_a_write_that_waited_too_long_is_dropped_before_it_is_sent() -> None:
    """S14: the store thread was held up by another call until the renewal's time was over."""
    declined: list[str] = []

    class Declined(Observer):
        def declined(self, host: Host, calls: Sequence[Any]) -> None:
            declined.extend(type(call.request).__name__ for call in calls)

    with World(observers=[Declined()]) as world:
        world.worker(working(1))
        world.rule(RecordEffect, Fate((), 40_000_000_000, NO_ANSWER))
        world.client.start("work", 1, id="p")
        world.client.start("work", 1, id="q")
        world.run_until_idle()
        assert "Renew" in declined
