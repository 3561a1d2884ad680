"""The played world's hosts: what runs in them, ends with them, and must not be done to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import tenure
from tenure.errors import ProcessCancelled, ProcessFailed, StoreUnknown, WaitTimeout
from tenure.requests import Complete, RecordEffect, Register
from tenure_driver.blocking import BlockingContext
from tenure_testing.playing import (
    NO_ANSWER,
    Execution,
    Fate,
    Host,
    Observer,
    Stuck,
    World,
    pass_time,
    sleep,
)
from tests.simulation.seeing import Seen, working


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
