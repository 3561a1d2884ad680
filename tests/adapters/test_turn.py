"""The driver's body in virtual time: clients' requests, and the machines behind it."""

from __future__ import annotations

import pytest

from tenure.asks import AwaitEnd, Submit
from tenure.canonical import Json
from tenure.process import Provenance, Registration, Success, Work
from tenure.replies import Got, Refused, Succeeded, Unavailable, Unknown
from tenure.requests import (
    ClaimNext,
    Complete,
    Get,
    Register,
    Renew,
)
from tenure.timings import LeaseTimings, nanos
from tenure_driver.messages import (
    Asked,
    Drain,
    Returned,
    Stopped,
)
from tests.adapters.turns import SECOND, World, registration

# --- clients' requests --------------------------------------------------------------------------------------------


def test_a_request_goes_out_once_and_its_answer_comes_back() -> None:
    world = World()
    world.turn(Asked(1, Submit(Register(registration("a")), 30)))
    assert [call.request for call in world.calls] == [Register(registration("a"))]
    world.execute()
    assert isinstance(world.replies[1], Succeeded)
    world.turn(Asked(2, Submit(Get("b"), 30)))
    world.execute()
    assert isinstance(world.replies[2], Refused)
    assert world.calls == []


def test_what_was_not_applied_is_sent_again_until_its_time_is_over() -> None:
    """L8, S18: trouble drops no client's request; the same one goes out again (K9)."""
    world = World()
    world.turn(Asked(1, Submit(Register(registration("a")), 30)))
    tries = 0
    while 1 not in world.replies:
        calls = world.take()
        tries += len(calls)
        assert all(call.request == Register(registration("a")) for call in calls)
        world.answer(calls, [Unavailable("down")] * len(calls))
        assert world.box.wake_at is None or world.box.wake_at > world.now
        world.pass_time(SECOND // 4)
        assert world.now <= 31 * SECOND
    assert world.replies[1] == Unavailable("down")
    assert 30 < tries < 60  # with back-off, and at least once a second
    assert world.now >= 28 * SECOND


def test_what_calls_carry_is_bounded() -> None:
    """So that a program that starts processes faster than its store takes them does not run out of memory."""
    world = World()
    large = Json('"' + "x" * ((1 << 20) - 2) + '"')

    def start(n: int) -> None:
        process = Registration(f"p{n}", Work("work", large), (), Provenance("scope"))
        world.turn(Asked(n, Submit(Register(process), 30)))

    for n in range(1, 65):
        start(n)
    assert world.replies == {}
    start(65)
    assert world.replies == {65: Unavailable("calls that carry more than 67108864 bytes are under way")}
    world.settle()
    start(66)
    world.settle()
    assert isinstance(world.replies[66], Succeeded)


def test_the_last_trouble_is_what_a_call_that_ran_out_of_time_tells() -> None:
    """S18, L8: it was asked again, and nobody knows."""
    world = World()
    world.turn(Asked(1, Submit(Get("a"), 1)))
    world.answer(world.take(), [Unavailable("another process is writing")])
    while 1 not in world.replies:
        world.pass_time(SECOND // 4)
        assert world.now <= 2 * SECOND
    assert world.replies[1] == Unknown("another process is writing")


def test_once_perhaps_applied_is_perhaps_applied_for_good() -> None:
    """S18, K9: after Unknown nobody says that it was surely not applied."""
    world = World()
    world.turn(Asked(1, Submit(Register(registration("a")), 1)))
    world.answer(world.take(), [Unknown("lost")])
    while 1 not in world.replies:
        world.answer(calls := world.take(), [Unavailable("down")] * len(calls))
        world.pass_time(SECOND // 10)
        assert world.now <= 2 * SECOND
    assert world.replies[1] == Unknown("down")


def test_a_request_without_an_answer_ends_as_unknown() -> None:
    """S18: nobody guesses."""
    world = World()
    world.turn(Asked(1, Submit(Register(registration("a")), 3)))
    world.pass_time(3 * SECOND - 1)
    assert world.replies == {}
    world.pass_time(1)
    assert isinstance(world.replies[1], Unknown)
    world.execute()  # the answer comes after all, too late
    assert len(world.replies) == 1


def test_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure_driver.turn.MAX_PENDING", 10)
    world = World()
    world.turn(*(Asked(number, Submit(Get("a"), 30)) for number in range(12)))
    assert set(world.replies) == {10, 11}
    world.answer(calls := world.take(), [Unavailable()] * len(calls))
    world.turn(Asked(12, Submit(Get("a"), 30)))  # those that wait to be sent again count as well
    assert isinstance(world.replies[12], Unavailable)


# --- the machines behind it ---------------------------------------------------------------------------------------


@pytest.fixture
def running() -> World:
    """A worker whose one handler runs."""
    world = World(worker=True)
    world.turn(Asked(1, Submit(Register(registration("a")), 30)))
    world.settle()
    assert len(world.starts) == 1
    assert isinstance(world.replies[1], Succeeded)
    return world


def test_what_this_driver_registers_is_claimed_without_the_feed(running: World) -> None:
    """L1: a process that is made here starts here at once."""
    assert running.now == 0
    assert running.starts[0].grant.record.id == "a"


def test_an_outcome_is_written_and_those_who_wait_hear_of_it_at_once(running: World) -> None:
    """L2."""
    running.turn(Asked(2, AwaitEnd("a", None)))
    running.settle()
    running.turn(Returned(running.starts[0].grant.fence.token, Success()))
    running.settle()
    answer = running.replies[2]
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Got)
    assert answer.reply.record.outcome == Success()


def test_a_call_without_answer_is_made_again_the_same(running: World) -> None:
    """Past `call_timeout` it is Unknown: the same request again, and the late answer is dropped (S18)."""
    running.turn(Returned(running.starts[0].grant.fence.token, Success()))
    first = running.take(Complete)
    assert len(first) == 1
    running.pass_time(nanos(LeaseTimings().call_timeout) + SECOND)
    again = running.take(Complete)
    assert {call.request for call in again} == {first[0].request}
    assert {call.id for call in again}.isdisjoint({first[0].id})
    answers = running.store.execute([call.request for call in [*first, *again]])
    assert all(isinstance(answer, Succeeded) for answer in answers)
    running.answer([*first, *again], answers)
    assert not any(isinstance(call.request, Complete) for call in running.calls)


def test_every_write_under_a_lease_has_its_last_moment(running: World) -> None:
    """S13, S14, K15: after it the store thread drops the write. L3, K11: a renewal leaves when it is due."""
    timings = LeaseTimings()
    running.pass_time(nanos(timings.renew_interval))
    (renew,) = running.take(Renew)
    assert renew.not_after == timings.budget_ns
    running.answer([renew], running.store.execute([renew.request]))
    running.turn(Returned(running.starts[0].grant.fence.token, Success()))
    (complete,) = running.take(Complete)
    renewed_at = nanos(timings.renew_interval) - timings.renew_slack_ns
    assert complete.not_after is not None
    assert complete.not_after >= renewed_at + timings.budget_ns + timings.patience_ns
    assert all(call.not_after is None for call in running.calls)


def test_a_drained_worker_says_so_once(running: World) -> None:
    """L5, K8: once the last handler has ended, and it claims nothing more."""
    running.turn(Drain(0))
    assert running.stops == []
    running.turn(Returned(running.starts[0].grant.fence.token, None))
    running.settle()
    running.pass_time(5 * SECOND)
    assert running.stops == [Stopped(0)]
    assert not any(isinstance(call.request, ClaimNext) for call in running.calls)


def test_an_idle_worker_sleeps_until_its_poll() -> None:
    """L1, L9: it looks for work at each poll, and comes to rest in between."""
    world = World(worker=True)
    world.settle()
    turns = 0
    while world.now < 10 * SECOND:
        wake_at = world.box.wake_at
        assert wake_at is not None
        assert wake_at > world.now
        world.now = wake_at
        world.turn()
        world.settle()
        turns += 1
    assert turns < 20
