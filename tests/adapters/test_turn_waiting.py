"""Those who wait for a process to end, in virtual time: none misses it, whatever the store does meanwhile (K17)."""

from __future__ import annotations

from collections.abc import Callable, Sized

import pytest

from tenure.asks import AwaitEnd, Submit
from tenure.instants import NANOS_PER_MILLI
from tenure.limits import DEFAULT_LIMITS
from tenure.replies import Got, Pruned, Reason, Refused, Succeeded, Unavailable
from tenure.requests import (
    Get,
    Prune,
    ReadEndings,
    Register,
)
from tenure.stores import Cursor
from tenure_driver.listening import FIRST_LOOK
from tenure_driver.messages import (
    Abandoned,
    Asked,
    Changed,
)
from tenure_driver.turn import SLACK
from tests.adapters.turns import SECOND, World, ended, registration

# --- those who wait for an end ------------------------------------------------------------------------------------


@pytest.fixture
def waiting() -> World:
    """Process a is there, and asks 1 and 2 wait for its end."""
    world = World()
    world.applied(Register(registration("a")))
    world.turn(Asked(1, AwaitEnd("a", None)), Asked(2, AwaitEnd("a", 20)))
    world.settle()
    assert world.replies == {}
    return world


def test_the_feed_tells_of_an_end(waiting: World) -> None:
    ended(waiting, "a")
    waiting.turn(Changed(Cursor(2, 2)))
    assert [type(call.request) for call in waiting.calls] == [ReadEndings]  # one read for all who wait
    waiting.settle()
    for ask in (1, 2):
        answer = waiting.replies[ask]
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Got)
        assert answer.reply.record.outcome is not None
    assert not waiting.box.feed


def test_without_a_feed_a_poll_sees_the_end(waiting: World) -> None:
    ended(waiting, "a")
    waiting.pass_time(2 * SECOND)
    waiting.settle()
    assert set(waiting.replies) == {1, 2}


def test_what_ended_and_was_pruned_between_two_reads_is_missed_by_nobody_for_ever(waiting: World) -> None:
    """L9: it is in neither read, so whoever waits without a limit looks for itself in the end."""
    waiting.pass_time(2 * SECOND)
    waiting.settle()
    ended(waiting, "a")
    waiting.pass_time(
        2 * DEFAULT_LIMITS.retry_horizon * NANOS_PER_MILLI
    )  # the program sleeps, and its store does not
    assert waiting.applied(Prune()) == Succeeded(Pruned(1))
    waiting.settle()
    answer = waiting.replies[1]
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.NOT_FOUND


def test_what_has_ended_is_answered_at_once() -> None:
    world = World()
    world.applied(Register(registration("a")))
    ended(world, "a")
    world.turn(Asked(1, AwaitEnd("a", 0)))
    world.pass_time(SECOND // 2)
    assert world.replies == {}
    world.settle()
    assert isinstance(world.replies[1], Succeeded)


def test_a_wait_without_time_asks_once() -> None:
    world = World()
    world.applied(Register(registration("a")))
    world.turn(Asked(1, AwaitEnd("a", 0)), Asked(2, AwaitEnd("a", 0)))
    world.settle()
    assert world.replies == {1: None, 2: None}
    world.turn(Asked(3, AwaitEnd("a", 0)))
    world.pass_time(FIRST_LOOK)  # and does not wait for ever for a store that says nothing
    assert world.replies[3] is None


def test_a_wait_ends_when_its_time_is_over(waiting: World) -> None:
    waiting.pass_time(20 * SECOND)
    assert waiting.replies == {2: None}
    waiting.turn(Abandoned(1), Abandoned(1))
    assert not waiting.box.feed
    ended(waiting, "a")
    waiting.turn(Changed(Cursor(2, 2)))
    waiting.settle()
    assert waiting.replies == {2: None}


def test_a_process_that_is_not_there(waiting: World) -> None:
    waiting.turn(Asked(3, AwaitEnd("b", None)))
    waiting.settle()
    assert isinstance(waiting.replies[3], Refused)


def ends_between_cursor_and_look(world: World) -> None:
    world.execute(ReadEndings)
    ended(world, "a")


def ends_between_look_and_feed(world: World) -> None:
    world.execute()
    ended(world, "a")


def ends_while_the_first_look_at_the_cursor_fails(world: World) -> None:
    """The cursor is read at last, but only after the end: looking at it alone would wait for ever."""
    endings, looks = world.take(ReadEndings), world.take(Get)
    world.answer(looks, world.store.execute([call.request for call in looks]))
    world.answer(endings, [Unavailable("down")])
    ended(world, "a")


def ends_while_a_look_fails(world: World) -> None:
    world.execute(ReadEndings)
    world.answer(calls := world.take(Get), [Unavailable("down")] * len(calls))
    ended(world, "a")


@pytest.mark.parametrize(
    "happens",
    [
        ends_between_cursor_and_look,
        ends_between_look_and_feed,
        ends_while_the_first_look_at_the_cursor_fails,
        ends_while_a_look_fails,
    ],
)
@pytest.mark.parametrize("feed", [True, False])
def test_no_end_is_missed(happens: Callable[[World], None], feed: bool) -> None:
    world = World()
    world.applied(Register(registration("a")))
    world.turn(Asked(1, AwaitEnd("a", None)))
    happens(world)
    for version in range(5):
        if feed:
            world.turn(Changed(Cursor(2 + version, 2)))
        world.settle()
        world.pass_time(SECOND)
    assert isinstance(world.replies.get(1), Succeeded)


def test_a_store_in_trouble_is_not_asked_without_a_pause() -> None:
    world = World()
    world.turn(Asked(1, AwaitEnd("a", None)))
    asked = 0
    for _ in range(1_000):
        calls = world.take()
        asked += len(calls)
        world.answer(calls, [Unavailable("down")] * len(calls))
        world.pass_time(SECOND // 100)
    assert 20 < asked < 80  # ten seconds


def test_many_endings_are_read_by_pages() -> None:
    world, size = World(), 2_500
    for number in range(size):
        world.applied(Register(registration(str(number))))
    world.turn(*(Asked(number, AwaitEnd(str(number), None)) for number in range(size)))
    world.settle()
    for number in range(size):
        ended(world, str(number))
    world.turn(Changed(Cursor(2 * size, size)))
    world.settle()
    assert len(world.replies) == size


def test_nothing_is_kept_of_what_is_over() -> None:
    world = World()
    for number in range(3_000):
        world.applied(Register(registration(str(number))))
        world.turn(Asked(number, AwaitEnd(str(number), 3_600)), Asked(-1 - number, Submit(Get("x"), 3_600)))
        world.settle()
        ended(world, str(number))
        world.turn(Changed(Cursor(world.now + number, 0)))
        world.settle()
    assert len(world.replies) == 6_000
    kept = {name: len(value) for name, value in vars(world.driver).items() if isinstance(value, Sized)}
    assert kept.pop("_timers") <= SLACK
    assert not any(kept.values()), kept
