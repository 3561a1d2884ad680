"""The known bugs that a driver could have (docs/reference/properties.md §5), each shown not to be there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tenure.app import App
from tenure.asks import Act, Ask, Submit
from tenure.attempt_types import Permitted, StartHandler, StopHandler, StopReason
from tenure.canonical import NULL
from tenure.context import Context
from tenure.errors import LeaseLost
from tenure.handlers import Run
from tenure.instants import Instant, StoreTime, after
from tenure.process import ClaimId, Fence, Outcome, Provenance, Record, Registration, Success, Work
from tenure.replies import Fenced, Grant, Succeeded, Unavailable, Unknown
from tenure.requests import Claim, Complete, Get, RecordEffect, Register, Renew, Request, RequestCancel
from tenure.timings import LeaseTimings
from tenure_driver.bodies import Bodies, handler_of
from tenure_driver.clocks import local_now
from tenure_driver.convert import CattrsConverter
from tenure_driver.deployments import config_of
from tenure_driver.driving import driven
from tenure_driver.jobs import Job
from tenure_driver.messages import Asked, Failed, Inbound, Returned
from tenure_driver.options import WorkerOptions, new_id
from tenure_driver.runner import Runner, Spawned
from tenure_driver.seams import Seams
from tests.adapters import stores
from tests.adapters.loops import BOUND
from tests.adapters.threaded import HOUR, Threaded
from tests.adapters.turns import SECOND, World, registration

ROW = Record(Registration("p", Work("k"), (), Provenance("scope")), 1, 1, StoreTime(0), StoreTime(0))
GRANT = Grant(Fence("p", ClaimId("us", 1), 1), ROW)
app = App()


began: list[str] = []


@app.process("k")
def handled(ctx: Any) -> None:
    began.append("k")


@app.process("awaited")
async def awaited(ctx: Any) -> None:
    began.append("awaited")


def job(now: int, *machine: object, kind: str = "k") -> Job:
    """A handler that is about to start at `now`, with a budget until 10; asked for leave, the machine answers so, in
    turn."""
    answers = iter(machine)

    async def ask(ask: Ask) -> object:
        assert isinstance(ask, Act)
        return next(answers)

    ctx = Context(ask, GRANT, 1, CattrsConverter(), 1_000)
    run = Run(app.kind(kind), GRANT, CattrsConverter(), 1_000)
    return Job(1, run, ctx, Instant(10), lambda: Instant(now))


def test_the_workers_clock_counts_suspend(monkeypatch: pytest.MonkeyPatch) -> None:
    """K7, C2: a machine that slept has no time left (S13). CLOCK_MONOTONIC would stand still meanwhile; it is read only
    where there is no other."""
    clocks = {time.CLOCK_MONOTONIC: 5, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC): 65}
    monkeypatch.setattr(time, "clock_gettime_ns", clocks.__getitem__)
    assert local_now() == Instant(65)


def test_two_workers_of_one_name_are_two_owners() -> None:
    """K13, S12: a worker is known by its incarnation, which is new at every start; its name is for people."""
    config = config_of(stores.memory(), App())
    terms = [
        WorkerOptions(name="host").terms(config, config.plugins.open(), incarnation)
        for incarnation in (new_id(), new_id())
    ]
    assert terms[0].owner != terms[1].owner


@pytest.mark.parametrize(
    ("now", "machine", "starts"),
    [
        (9, [], True),
        (10, [Fenced()], False),
        (10, [Permitted(Instant(11))], True),
        (10, [Permitted(Instant(10)), Fenced()], False),
        (10, [Permitted(Instant(9)), Permitted(Instant(12))], True),
    ],
    ids=["in time", "too late", "renewed meanwhile", "leave that came too late", "renewed again"],
)
def test_a_start_that_waited_looks_at_the_budget_again(now: int, machine: list[object], starts: bool) -> None:
    """K4, S13: where a budget is over, the machine is asked whether there is another; its answer may be late too, where
    another handler blocks the loop."""
    assert driven(job(now, *machine).may_start()) is starts


@pytest.mark.parametrize("kind", ["k", "awaited"])
def test_a_handler_begins_after_that_look_only(kind: str) -> None:
    """K4, S13, S12: in a thread or in the loop, what comes too late has no outcome, and was never called."""

    async def in_thread(call: Callable[[], Outcome | None]) -> Outcome | None:
        return call()

    began.clear()
    assert driven(job(10, Fenced(), kind=kind).outcome(in_thread)) is None
    assert began == []
    assert driven(job(9, kind=kind).outcome(in_thread)) == Success(NULL)
    assert began == [kind]


def test_a_handler_that_was_told_to_stop_before_it_began_does_not_start() -> None:
    """K4, S12: whatever the budget."""
    stopped = job(0, Permitted(Instant(1)))
    stopped.ctx.told_to_stop(StopReason.CANCEL)
    assert driven(stopped.may_start()) is False


@pytest.mark.parametrize("reason", [StopReason.DEADLINE, StopReason.LEASE_LOST])
def test_a_plain_function_that_waited_for_its_thread_does_not_begin_after_the_loss(
    reason: StopReason,
) -> None:
    """S13: it raises in its thread, and is never called."""
    waited = job(0, Permitted(Instant(1)))
    reset = handler_of.set((waited.token, waited.ctx))
    body = Bodies(lambda token, outcome: None).body(lambda: "called")
    handler_of.reset(reset)
    waited.ctx.told_to_stop(reason)
    with pytest.raises(LeaseLost):
        body()


def test_a_plain_function_that_nobody_waits_for_any_more_does_not_begin() -> None:
    """S13, L6: its handler was cancelled while the call waited for a thread."""
    waited = job(0, Permitted(Instant(1)))
    reset = handler_of.set((waited.token, waited.ctx))
    body = Bodies(lambda token, outcome: None).body(lambda: "called")
    handler_of.reset(reset)
    body.drop()
    with pytest.raises(LeaseLost):
        body()


def test_a_handler_has_ended_with_the_last_of_its_threads() -> None:
    """S12, L3: until then its slot is taken and its lease renewed, whichever of them ends first."""
    ended = list[tuple[int, Outcome | None]]()
    bodies = Bodies(lambda token, outcome: ended.append((token, outcome)))
    handler = job(0)
    reset = handler_of.set((handler.token, handler.ctx))
    first, second = (bodies.body(lambda: None) for _ in range(2))
    handler_of.reset(reset)
    assert bodies.begin(first)
    assert bodies.begin(second)
    assert not bodies.all_ended(handler.token, Success())
    bodies.end(second)
    assert ended == []
    bodies.end(first)
    assert ended == [(handler.token, Success())]


def test_a_missing_answer_is_neither_the_end_nor_a_refusal() -> None:
    """K9, S18: a client's request is sent again after Unknown; if nobody ever knows, it is Unknown in the end."""
    world = World()
    world.turn(Asked(1, Submit(Register(registration("a")), 2)))
    world.answer(world.take(Register), [Unknown("no answer")])
    world.pass_time(SECOND // 10)
    again = world.take(Register)
    assert len(again) == 1
    world.answer(again, [Unavailable("busy")])
    world.pass_time(3 * SECOND)
    assert isinstance(world.replies[1], Unknown)


# --- its runner, without threads and without a loop -----------------------------------------------------------------


class Idle:
    """In the place of the threads and of the loop: keeps what it was asked for."""

    def __init__(self) -> None:
        self.spawned: list[int] = []
        self.cancelled: list[int] = []

    async def ask(self, ask: object) -> object:
        raise AssertionError(ask)

    def spawn(self, job: Spawned) -> None:
        self.spawned.append(job.token)

    def cancel(self, token: int) -> None:
        self.cancelled.append(token)

    def post(self, message: Inbound) -> None:
        """Nobody hears it."""

    def close(self, release: Callable[[], None] | None = None) -> None:
        """There is nothing to end."""

    def wake(self) -> None:
        """The test calls `pump`."""

    start = stop = ended = wake


def runner() -> tuple[Idle, Runner]:
    idle = Idle()

    def shell(*given: object) -> Idle:
        return idle

    seams = Seams(shell, lambda: Instant(0), lambda: "id", CattrsConverter)
    return idle, Runner(app, stores.memory(), WorkerOptions(), idle, seams)


START = StartHandler(GRANT, 1, "", Instant(10))


AWAITED = evolve(
    START, grant=evolve(GRANT, record=evolve(ROW, registration=Registration("p", Work("awaited"))))
)


def test_a_better_reason_does_not_cancel_a_handler_again() -> None:
    """S14, L6: it was cancelled once, and may be cleaning up; why it has to stop is told all the same."""
    idle, told = runner()
    told.deliver([AWAITED])
    told.pump()
    for reason in (StopReason.DRAIN, StopReason.CANCEL):
        told.deliver([StopHandler("p", 1, reason)])
        told.pump()
    assert (idle.spawned, idle.cancelled) == ([1], [1])


def test_nothing_starts_in_a_worker_of_which_a_thread_is_gone() -> None:
    """S13, S12: what the machine said before it heard of it is too late: nobody would renew the lease."""
    idle, told = runner()
    told.deliver([START, Failed("store", LookupError("gone"))])
    told.pump()
    assert idle.spawned == []


# --- its real threads: the simulation plays a shell of its own, and cannot see these --------------------------------


def running(threaded: Threaded) -> StartHandler:
    """One process is registered, and its handler starts."""
    threaded.post(Asked(1, Submit(Register(registration("a")), 30)))
    return threaded.told(StartHandler)


def renewal(threaded: Threaded, start: StartHandler) -> None:
    threaded.pass_time(LeaseTimings().renew_interval)


def effect(threaded: Threaded, start: StartHandler) -> None:
    fence = start.grant.fence
    threaded.post(Asked(3, Act(fence.token, RecordEffect(fence, "k", "f", NULL))))


def terminal_write(threaded: Threaded, start: StartHandler) -> None:
    threaded.post(Returned(start.grant.fence.token, Success()))


@pytest.mark.parametrize(
    ("asks", "kind"), [(renewal, Renew), (effect, RecordEffect), (terminal_write, Complete)]
)
def test_what_waited_too_long_for_the_store_does_not_leave(
    asks: Callable[[Threaded, StartHandler], None], kind: type[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S14, K15, S13: `not_after` is held against the clock of that very moment, in the store thread; the store was busy
    with something else for an hour meanwhile."""
    with Threaded(monkeypatch) as threaded:
        start = running(threaded)
        threaded.hold()
        threaded.post(Asked(2, Submit(Get("a"), 7_200)))
        assert threaded.store.entered.wait(BOUND)
        asks(threaded, start)
        threaded.asked(kind)
        threaded.now = after(threaded.now, HOUR)
        threaded.store.held.set()
        assert threaded.fate(kind) == "declined"


def test_what_is_sent_again_does_not_leave_after_the_first_was_fenced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S14: the store thread remembers which leases its own answers lost. A renewal that got no answer was sent again,
    and waits while the first one is told that somebody else has the row."""
    with Threaded(monkeypatch) as threaded:
        fence = running(threaded).grant.fence
        threaded.hold()
        threaded.pass_time(LeaseTimings().renew_interval)
        first = threaded.asked(Renew)
        assert threaded.fate(Renew) == "executed"
        assert threaded.store.entered.wait(BOUND)
        threaded.pass_time(LeaseTimings().call_timeout)
        threaded.pass_time(1)
        assert threaded.asked(Renew) == first
        threaded.clock.expire_leases()
        (taken,) = threaded.behind.execute([Claim(ClaimId("other", 1), fence.process_id, 1_000)])
        assert isinstance(taken, Succeeded)
        threaded.store.held.set()
        assert threaded.fate(Renew) == "declined"


def test_the_machine_thread_never_waits_longer_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """K7, C2, S13: a wait stands still while the machine is suspended, and the budget does not; so the clock is looked
    at once a second (CONTRACT §6), whether nothing is due at all or something in an hour."""
    with Threaded(monkeypatch, worker=False) as threaded:
        pauses = [threaded.pauses.get(timeout=BOUND)]
        threaded.hold()
        threaded.post(Asked(1, Submit(Get("a"), 3_600)))
        threaded.asked(Get)
        pauses.append(threaded.pauses.get(timeout=BOUND))
    assert pauses == [1.0, 1.0]


def test_the_machine_thread_wakes_itself_when_something_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """L3, K15, K11: here a renewal's own time-out, half a second away; else it would be sent again too late."""
    with Threaded(monkeypatch) as threaded:
        running(threaded)
        threaded.hold()
        threaded.pass_time(LeaseTimings().renew_interval)
        threaded.asked(Renew)
        while not threaded.pauses.empty():
            threaded.pauses.get()
        threaded.pass_time(LeaseTimings().call_timeout - 0.5)
        assert any(threaded.pauses.get(timeout=BOUND) == 0.5 for _ in range(3))


def test_the_feed_reaches_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """K17, L4, L1: what somebody else registers starts, and a cancel by somebody else stops its handler, where neither
    a poll nor a renewal is due."""
    with Threaded(monkeypatch) as threaded:
        threaded.behind.execute([Register(registration("a"))])
        start = threaded.told(StartHandler)
        threaded.behind.execute([RequestCancel("a")])
        stop = threaded.told(StopHandler)
    assert (stop.token, stop.reason) == (start.grant.fence.token, StopReason.CANCEL)


def test_a_thread_that_ends_by_an_error_takes_the_others_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """L1: a worker that crashed renews nothing any more (CONTRACT §7), even where only its feed is gone; what it held
    expires, and somebody else goes on with it."""
    with Threaded(monkeypatch) as threaded:
        running(threaded)
        threaded.store.feed_error = LookupError("no feed")
        assert threaded.told(Failed).thread == "feed"
        for thread in threading.enumerate():
            if thread.name in ("tenure-machine", "tenure-store"):
                thread.join(BOUND)
                assert not thread.is_alive()
