"""The known bugs that a driver could have (docs/reference/properties.md §5), each shown not to be there."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tenure.app import App
from tenure.asks import Act, Ask, Submit
from tenure.attempt_types import Permitted, StopReason
from tenure.context import Context
from tenure.errors import LeaseLost
from tenure.handlers import Run
from tenure.instants import Instant, StoreTime
from tenure.process import ClaimId, Fence, Provenance, Record, Registration, Work
from tenure.replies import Fenced, Grant, Unavailable, Unknown
from tenure.requests import Register
from tenure_driver.bodies import Bodies, handler_of
from tenure_driver.clocks import local_now
from tenure_driver.convert import CattrsConverter
from tenure_driver.deployments import config_of
from tenure_driver.driving import driven
from tenure_driver.jobs import Job
from tenure_driver.messages import Asked
from tenure_driver.options import WorkerOptions, new_id
from tests.adapters import stores
from tests.adapters.turns import SECOND, World, registration

ROW = Record(Registration("p", Work("k"), (), Provenance("scope")), 1, 1, StoreTime(0), StoreTime(0))
GRANT = Grant(Fence("p", ClaimId("us", 1), 1), ROW)
app = App()


@app.process("k")
def handled(ctx: Any) -> None:
    """Does nothing."""


def job(now: int, *machine: object) -> Job:
    """A handler that is about to start at `now`, with a budget until 10; asked for leave, the machine answers so, in
    turn."""
    answers = iter(machine)

    async def ask(ask: Ask) -> object:
        assert isinstance(ask, Act)
        return next(answers)

    ctx = Context(ask, GRANT, 1, CattrsConverter(), 1_000)
    run = Run(app.kind("k"), GRANT, CattrsConverter(), 1_000)
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
