"""What a rehearsed world tells a test, and how it says no."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import trio

import tenure
from tenure.errors import InvalidValue, ProcessFailed
from tenure.requests import Complete, Renew
from tenure_testing.playing import FAIR, Stuck
from tenure_testing.playing.tasks import Park, parked
from tenure_testing.rehearsing import ForeignAwait, RehearsedWorld, pass_time, sleep


def app_of(handler: Callable[[tenure.Context], Awaitable[object]]) -> tenure.App:
    app = tenure.App()
    app.process("job")(handler)
    return app


async def an_hour(ctx: tenure.Context) -> int:
    await sleep(3_600)
    return ctx.attempt


def test_time_is_the_worlds_own(tenure_world: RehearsedWorld) -> None:
    app = app_of(an_hour)
    tenure_world.worker(app)
    handle = tenure_world.client.start(app.kind("job"), id="p")
    assert tenure_world.elapsed < 1
    tenure_world.run_for(1_800)
    assert handle.get().outcome is None
    tenure_world.run_until_idle()
    assert tenure_world.elapsed == pytest.approx(3_600, abs=2)
    assert handle.wait() == 1


def test_starts_are_counted_and_listed(tenure_world: RehearsedWorld) -> None:
    app = app_of(an_hour)
    tenure_world.worker(app, name="one")
    handle = tenure_world.client.start(app.kind("job"), id="p")
    with pytest.raises(AssertionError, match="process 'p' was started 0 times, not 1: no start"):
        tenure_world.assert_started(handle)
    tenure_world.run_for(10)
    tenure_world.steal("p")
    tenure_world.run_until_idle()
    tenure_world.assert_started("p", times=2)
    said = r"process 'p' was started 2 times, not 1: attempt 1 by one at .* s; attempt 2 by thief at .* s"
    with pytest.raises(AssertionError, match=said):
        tenure_world.assert_started(handle, times=1)


def test_who_is_robbed_wakes_as_a_zombie_and_its_write_is_refused(tenure_world: RehearsedWorld) -> None:
    """S4, S6: the holder returns right after it woke, and what it returned does not count."""
    app = app_of(an_hour)
    robbed = tenure_world.worker(app, name="robbed")
    handle = tenure_world.client.start(app.kind("job"), id="p")
    tenure_world.run_for(10)
    assert tenure_world.holder(handle) is robbed
    thief = tenure_world.steal(handle, wakes_after=30)
    assert tenure_world.holder(handle) is thief
    assert robbed.running == 1, "it does not know yet"
    tenure_world.run_for(60)
    assert robbed.running == 0
    assert handle.wait() == 2
    with pytest.raises(AssertionError, match="no worker that runs holds process 'p'"):
        tenure_world.holder("p")


def test_another_worker_takes_what_is_stolen_and_is_told(tenure_world: RehearsedWorld) -> None:
    app = app_of(an_hour)
    one = tenure_world.worker(app, name="one")
    tenure_world.client.start(app.kind("job"), id="p")
    tenure_world.run_for(10)
    other = tenure_world.worker(app, name="other", poll_interval=20)
    assert tenure_world.steal("p") is other is tenure_world.holder("p")
    assert tenure_world.client.get("p").claims == 2
    tenure_world.run_for(60)
    assert tenure_world.steal("p") is one, "it is awake again"
    assert {host.name for host in tenure_world.hosts} == {"one", "other", "test"}


@pytest.mark.parametrize("cannot", ["asleep", "full", "cut off", "of another kind", "drained", "crashed"])
def test_a_thief_is_started_where_nobody_else_can_claim(tenure_world: RehearsedWorld, cannot: str) -> None:
    app = app_of(an_hour)
    tenure_world.worker(app, name="robbed", profile="eu")
    tenure_world.client.start(app.kind("job"), id="p", profile="eu")
    tenure_world.run_for(10)
    other = tenure_world.worker(
        tenure.App() if cannot == "of another kind" else app, name="other", max_running=1, profile="eu"
    )
    if cannot == "asleep":
        other.pause(3_600)
    elif cannot == "full":
        tenure_world.pause_worker("robbed", 5)
        tenure_world.client.start(app.kind("job"), id="q", profile="eu")
        tenure_world.run_for(5)
        assert tenure_world.holder("q") is other
    elif cannot == "cut off":
        other.cut(3_600)
    elif cannot == "drained":
        other.drain()
        tenure_world.run_for(1)
    elif cannot == "crashed":
        other.crash()
    assert tenure_world.steal("p").name == "thief"


def test_a_success_is_a_success_and_nothing_else_is(tenure_world: RehearsedWorld) -> None:
    async def fails(ctx: tenure.Context) -> None:
        assert 1 + 1 == 3, "arithmetic"

    app = app_of(an_hour)
    app.process("bad")(fails)
    tenure_world.worker(app)
    good = tenure_world.client.start(app.kind("job"), id="good")
    bad = tenure_world.client.start("bad", id="bad")
    cancelled = tenure_world.client.start("job", id="cancelled")
    with pytest.raises(AssertionError, match="process 'good' has not ended"):
        tenure_world.assert_succeeded(good)
    cancelled.cancel("no longer wanted")
    tenure_world.run_until_idle()
    tenure_world.assert_succeeded("good")
    with pytest.raises(AssertionError, match=r"process 'bad' failed: AssertionError \(raised\): arithmetic"):
        tenure_world.assert_succeeded(bad)
    with pytest.raises(AssertionError, match="process 'cancelled' was cancelled: 'no longer wanted'"):
        tenure_world.assert_succeeded(cancelled)


def test_a_worker_that_stands_still_longer_than_its_lease_loses_it(tenure_world: RehearsedWorld) -> None:
    app = app_of(an_hour)
    one = tenure_world.worker(app)
    handle = tenure_world.client.start(app.kind("job"))
    tenure_world.run_for(10)
    assert tenure_world.pause_worker() is one
    tenure_world.worker(app)
    assert handle.wait() == 2


def test_a_worker_has_to_be_told_where_there_are_several(tenure_world: RehearsedWorld) -> None:
    app = app_of(an_hour)
    with pytest.raises(AssertionError, match="there is nobody"):
        tenure_world.pause_worker()
    one, two = tenure_world.worker(app, name="one"), tenure_world.worker(app, name="two")
    with pytest.raises(AssertionError, match="there is one, two; say which"):
        tenure_world.pause_worker()
    assert tenure_world.pause_worker("two") is two
    assert tenure_world.pause_worker(one) is one
    with pytest.raises(AssertionError, match="the worker 'three' cannot be told"):
        tenure_world.pause_worker("three")


def test_a_process_has_to_be_there(tenure_world: RehearsedWorld) -> None:
    with pytest.raises(AssertionError, match="there is no process 'p' in this world"):
        tenure_world.steal("p")


def test_a_reply_that_is_lost_after_the_commit_is_asked_for_again(tenure_world: RehearsedWorld) -> None:
    app = app_of(an_hour)
    tenure_world.worker(app)
    handle = tenure_world.client.start(app.kind("job"))
    lost = tenure_world.drop_reply(Complete, times=2)
    assert handle.wait() == 1
    tenure_world.run_until_idle()
    assert lost.met == 2


@pytest.mark.parametrize("kind", ["Complete", tenure.Context, (Complete, "Renew"), (), Complete | Renew])
def test_a_fault_says_which_requests_there_are(tenure_world: RehearsedWorld, kind: object) -> None:
    for fault in (tenure_world.drop_reply, tenure_world.drop_request, tenure_world.refuse):
        with pytest.raises(
            InvalidValue, match=r"is no class of requests; .* such as Complete, RecordEffect or"
        ):
            fault(kind)


def test_a_fault_meets_any_of_several_requests(tenure_world: RehearsedWorld) -> None:
    tenure_world.worker(app_of(an_hour))
    lost = tenure_world.drop_reply((Complete, Renew), times=3)
    every = tenure_world.rule(object, FAIR, times=1)
    assert tenure_world.client.start("job").wait() == 1
    assert (lost.met, every.met) == (3, 1)


@pytest.mark.parametrize("url", ["postgresql://x", "orders.db", ""])
def test_a_store_that_no_world_has_is_told_with_those_that_it_has(url: str) -> None:
    with pytest.raises(
        InvalidValue, match=r"that a played world has; write 'memory:' or 'sqlite:///file.db'"
    ):
        RehearsedWorld(url)


def test_who_waits_for_a_worker_that_is_not_there_is_told(tenure_world: RehearsedWorld) -> None:
    """`handle.wait()` waits by `run_until` as well, for a day of the world's time."""

    def waits() -> None:
        tenure_world.run_until(lambda: False, within=10, what="an outcome")

    app = app_of(an_hour)
    tenure_world.client.start("job", id="p")
    with pytest.raises(Stuck, match=r"did not .* time; process 'p' is of kind 'job', and no worker runs$"):
        waits()
    tenure_world.worker(tenure.App())
    none = "and none of the workers that run is for it$"
    with pytest.raises(Stuck, match=f"process 'p' is of kind 'job', {none}"):
        waits()
    tenure_world.worker(app)
    with pytest.raises(Stuck, match=r"an outcome did not come within 10 s of the world's time$"):
        waits()
    tenure_world.client.start("job", id="q", profile="eu")
    with pytest.raises(Stuck, match=f"time; process 'q' is of kind 'job' and profile 'eu', {none}"):
        waits()


async def on_asyncio(ctx: tenure.Context) -> None:
    await asyncio.sleep(1)


async def on_an_event(ctx: tenure.Context) -> None:
    await asyncio.Event().wait()


async def on_trio(ctx: tenure.Context) -> None:
    await trio.sleep(1)


class Foreign:
    def __await__(self) -> object:
        yield "something of another loop"


async def on_another(ctx: tenure.Context) -> None:
    await Foreign()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # as an untyped program would


@pytest.mark.parametrize("handler", [on_asyncio, on_an_event, on_trio, on_another])
def test_who_awaits_an_event_loop_is_told_what_there_is_instead(
    tenure_world: RehearsedWorld, handler: Callable[[tenure.Context], Awaitable[object]]
) -> None:
    app = app_of(handler)
    tenure_world.worker(app)
    handle = tenure_world.client.start(app.kind("job"), id="p")
    with pytest.raises(ForeignAwait, match="`pass_time`") as caught:
        handle.wait()
    assert caught.value.process_id == "p"
    assert "the handler of process 'p' needs an event loop" in str(caught.value)


def test_a_failure_of_the_handlers_own_is_none_of_that(tenure_world: RehearsedWorld) -> None:
    async def fails(ctx: tenure.Context) -> None:
        raise RuntimeError("the printer is on fire")

    app = app_of(fails)
    tenure_world.worker(app)
    with pytest.raises(ProcessFailed, match="the printer is on fire"):
        tenure_world.client.start(app.kind("job")).wait()


def test_what_parks_for_ever_is_stuck(tenure_world: RehearsedWorld) -> None:
    async def waits(ctx: tenure.Context) -> None:
        await parked(Park(lambda resume: None))

    app = app_of(waits)
    tenure_world.worker(app)
    tenure_world.client.start(app.kind("job"))
    with pytest.raises(AssertionError, match="did not come within 3600 s"):
        tenure_world.run_until_idle(within=3_600)


def test_a_plain_handler_waits_in_the_worlds_time(tenure_world: RehearsedWorld) -> None:
    app = tenure.App()

    @app.process("job")
    def plain(ctx: object) -> str:
        pass_time(600)
        return "done"

    tenure_world.worker(app)
    assert tenure_world.client.start(plain).wait() == "done"
    assert tenure_world.elapsed == pytest.approx(600, abs=2)
