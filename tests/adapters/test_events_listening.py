"""Those who wait for events, in virtual time: nobody misses one, nobody reads without bounds, nobody is left behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from tenure.asks import AwaitEvents, Heard, Submit
from tenure.attempt_types import StopReason
from tenure.canonical import NULL
from tenure.replies import Reason, Refused, Unavailable
from tenure.requests import AppendEvent, ClaimNext, ReadEvents, Register, Renew, RequestCancel
from tenure.stores import Cursor
from tenure_driver.listening import FIRST_LOOK, PAGE, PATIENCE, ROUND, ROUND_GAP
from tenure_driver.messages import Abandoned, Asked, Changed, Drain, Returned
from tests.adapters.turns import SECOND, World, ended, registration

KEYS = count()


def waiting(world: World, ask: int = 1, name: str = "a", **wanted: object) -> World:
    """The world in which that ask waits for the process's events, and has looked once."""
    world.applied(Register(registration(name)))
    world.turn(Asked(ask, AwaitEvents(name, **{"after": 0, "timeout": None, **wanted})))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    world.execute(ReadEvents)
    assert ask not in world.replies
    assert looks(world) == 0
    return world


def appended(world: World, name: str = "a", type: str = "go") -> None:
    """Somebody else appends an event."""
    world.applied(AppendEvent(name, type, NULL, f"{next(KEYS)}"))


def numbers(world: World, ask: int = 1) -> list[int]:
    """The events that this ask got."""
    reply = world.replies[ask]
    assert isinstance(reply, Heard)
    return [event.seq for event in reply.events]


def looks(world: World) -> int:
    """How many looks wait for the store."""
    return sum(isinstance(call.request, ReadEvents) for call in world.calls)


# --- nobody misses an event ---------------------------------------------------------------------------------------


def test_what_is_there_is_answered_at_once() -> None:
    world = World()
    world.applied(Register(registration("a")))
    appended(world)
    appended(world)
    world.turn(Asked(1, AwaitEvents("a", 0, None)), Asked(2, AwaitEvents("a", 1, None)))
    world.settle()
    assert (numbers(world, 1), numbers(world, 2)) == ([1, 2], [2])
    assert not world.box.feed


def test_the_feed_tells_of_an_event() -> None:
    """K17: a change that is told is looked at."""
    world = waiting(World())
    assert world.box.feed
    appended(world)
    world.turn(Changed(Cursor(2, 1)))
    world.settle()
    assert numbers(world) == [1]


def test_without_a_feed_a_poll_sees_it() -> None:
    """K17: the feed is a hint, and the poll its floor (CONTRACT §9)."""
    world = waiting(World())
    appended(world)
    world.pass_time(SECOND)
    world.settle()
    assert numbers(world) == [1]


def test_an_event_that_comes_while_a_look_is_on_its_way() -> None:
    """K17: read the cursor, then the log, then wait (CONTRACT §9)."""
    world = World()
    world.applied(Register(registration("a")))
    world.turn(Asked(1, AwaitEvents("a", 0, None)))
    (look,) = world.take(ReadEvents)
    answers = world.store.execute([look.request])
    appended(world)
    world.turn(Changed(Cursor(2, 1)))
    world.answer([look], answers)
    world.pass_time(ROUND_GAP)
    world.settle()
    assert numbers(world) == [1]


def test_what_this_driver_appended_itself_needs_no_feed() -> None:
    world = waiting(World())
    world.turn(Asked(2, Submit(AppendEvent("a", "go", NULL, "k"), 5.0)))
    world.settle()
    assert numbers(world) == [1]


def test_other_types_are_passed_over_page_by_page() -> None:
    world = World()
    world.applied(Register(registration("a")))
    for _ in range(2 * PAGE + 1):
        appended(world, type="noise")
    appended(world)
    world.turn(Asked(1, AwaitEvents("a", 0, None, "go")))
    world.settle()
    reply = world.replies[1]
    assert isinstance(reply, Heard)
    assert (reply.reached, reply.ended) == (2 * PAGE + 2, False)
    assert numbers(world) == [2 * PAGE + 2]
    assert world.now == 0


def test_the_end_ends_a_wait() -> None:
    world = waiting(World(), type="go")
    ended(world, "a")
    world.turn(Changed(Cursor(2, 1)))
    world.settle()
    assert world.replies[1] == Heard((), 2, True)


def test_a_process_that_is_not_there() -> None:
    world = World()
    world.turn(Asked(1, AwaitEvents("nobody", 0, None)))
    world.settle()
    assert world.replies[1] == Refused(Reason.NOT_FOUND)


# --- time ---------------------------------------------------------------------------------------------------------


def test_a_wait_ends_when_its_time_is_over_and_says_how_far_it_came() -> None:
    world = World()
    world.applied(Register(registration("a")))
    appended(world, type="noise")
    world.turn(Asked(1, AwaitEvents("a", 0, 20, "go")))
    for _ in range(19):
        world.settle()
        world.pass_time(SECOND)
    assert world.replies == {}
    world.pass_time(SECOND)
    assert world.replies == {1: Heard((), 1, False)}
    assert not world.box.feed


def test_a_wait_without_time_asks_once() -> None:
    world = World()
    world.applied(Register(registration("a")))
    world.turn(Asked(1, AwaitEvents("a", 0, 0)))
    assert world.replies == {}
    world.settle()
    world.turn()
    assert world.replies == {1: Heard((), 0, False)}
    world.turn(Asked(2, AwaitEvents("a", 0, 0)))
    world.pass_time(FIRST_LOOK)  # and does not wait for ever for a store that says nothing
    assert world.replies[2] == Heard((), 0, False)


def test_a_wait_without_time_searches_all_that_is_there() -> None:
    world = World()
    world.applied(Register(registration("a")))
    for _ in range(PAGE):
        appended(world, type="noise")
    appended(world)
    world.turn(Asked(1, AwaitEvents("a", 0, 0, "go")))
    world.execute()
    assert world.replies == {}
    world.execute()
    assert numbers(world) == [PAGE + 1]


def test_who_gave_up_is_not_answered() -> None:
    world = waiting(World())
    world.turn(Abandoned(1), Abandoned(1))
    assert not world.box.feed
    appended(world)
    world.turn(Changed(Cursor(2, 1)))
    world.pass_time(5 * SECOND)
    assert (world.replies, world.calls) == ({}, [])


def test_who_gave_up_while_its_look_was_on_its_way_is_not_answered() -> None:
    world = World()
    world.applied(Register(registration("a")))
    appended(world)
    world.turn(Asked(1, AwaitEvents("a", 0, None)))
    world.turn(Abandoned(1))
    world.settle()
    assert world.replies == {}


# --- no more reads than needed ------------------------------------------------------------------------------------


def test_a_store_that_changes_all_the_time_is_not_read_all_the_time() -> None:
    world = waiting(World())
    asked = 0
    for version in range(1_000):  # a second of a thousand commits, none of them this process's
        world.turn(Changed(Cursor(2 + version, 1)))
        asked += looks(world)
        world.execute(ReadEvents)
        world.pass_time(SECOND // 1_000)
    assert 15 < asked <= 22


def test_thousands_who_wait_are_looked_at_in_turn() -> None:
    world, size = World(), 4 * ROUND
    for number in range(size):
        world.applied(Register(registration(f"{number}")))
    world.turn(*(Asked(number, AwaitEvents(f"{number}", 0, None)) for number in range(size)))
    world.settle()
    seen: list[str] = []
    for version in range(160):
        world.turn(Changed(Cursor(version + 1, 0)))
        asked = [call.request for call in world.calls if isinstance(call.request, ReadEvents)]
        assert len(asked) <= ROUND
        seen += [request.process_id for request in asked]
        world.execute(ReadEvents)
        world.pass_time(ROUND_GAP // 8)
    assert len(seen) == 20 * ROUND
    assert all(seen.count(f"{number}") == 5 for number in range(size))


def test_everybody_hears_of_an_event_within_a_pass() -> None:
    world, size = World(), 2 * ROUND + 1
    for number in range(size):
        world.applied(Register(registration(f"{number}")))
    world.turn(*(Asked(number, AwaitEvents(f"{number}", 0, None)) for number in range(size)))
    world.settle()
    for number in range(size):
        appended(world, f"{number}")
    world.turn(Changed(Cursor(5_000, 0)))
    for _ in range(3):
        world.settle()
        world.pass_time(ROUND_GAP)
    assert len(world.replies) == size


def test_nobody_who_waits_is_looked_at_without_a_reason() -> None:
    world = waiting(World())
    asked = 0
    for _ in range(1_000):
        world.pass_time(SECOND // 100)
        asked += looks(world)
        world.execute(ReadEvents)
    assert 9 <= asked <= 11  # ten seconds, a poll a second


# --- a store in trouble -------------------------------------------------------------------------------------------


def troubled(world: World, seconds: int) -> int:
    """So long the store says that it is not well; how often it was asked."""
    asked = 0
    for _ in range(10 * seconds):
        calls = world.take(ReadEvents)
        asked += len(calls)
        world.answer(calls, [Unavailable("down")] * len(calls))
        world.execute(Renew)  # of what a worker holds
        world.pass_time(SECOND // 10)
    return asked


def test_a_client_puts_up_with_a_store_in_trouble_for_a_while() -> None:
    """L8, K9: a transient error strands nobody who waits."""
    world = waiting(World())
    assert 20 < troubled(world, 25) < 60
    assert world.replies == {}
    appended(world)
    world.settle()
    world.pass_time(SECOND)
    world.settle()
    assert numbers(world) == [1]


def test_a_client_does_not_give_up_on_a_process_that_says_nothing() -> None:
    world = waiting(World())
    for _ in range(100):
        world.pass_time(SECOND)
        world.execute(ReadEvents)
    assert world.replies == {}


def test_a_client_gives_up_when_the_store_stays_away() -> None:
    world = waiting(World())
    troubled(world, 32)
    assert world.replies == {1: Unavailable("down")}


def test_a_client_gives_up_on_a_store_that_says_nothing() -> None:
    world = World()
    world.turn(Asked(1, AwaitEvents("a", 0, None)))
    world.pass_time(PATIENCE - 1)
    assert world.replies == {}
    world.pass_time(1)
    assert world.replies == {1: Unavailable("no answer in time")}


def kept_by(world: World) -> dict[str, int]:
    """How much the driver remembers of those who wait for events."""
    listening = world.driver._listening  # pyright: ignore[reportPrivateUsage]
    return {name: len(value) for name, value in vars(listening).items() if hasattr(value, "__len__")}


def test_nothing_is_kept_of_what_is_over() -> None:
    world = World()
    for number in range(2_000):
        world.applied(Register(registration(f"{number}")))
        world.turn(Asked(number, AwaitEvents(f"{number}", 0, 3_600)))
        world.settle()
        ended(world, f"{number}")
        world.turn(Changed(Cursor(2 * number, 0)))
        world.pass_time(ROUND_GAP)
        world.settle()
    assert len(world.replies) == 2_000
    kept = kept_by(world)
    assert kept.pop("_timers") <= ROUND
    assert kept.pop("_line") <= 2
    assert not any(kept.values()), kept


# --- a handler that waits -----------------------------------------------------------------------------------------


def running(name: str = "a") -> tuple[World, int]:
    """A worker whose handler of the process runs, under that token, and waits for events as ask 1."""
    world = World(worker=True)
    world.applied(Register(registration(name)))
    world.settle()
    world.pass_time(SECOND)
    world.execute(ClaimNext)
    token = world.starts[0].grant.fence.token
    world.turn(Asked(1, AwaitEvents(name, 0, None, "", token)))
    world.execute(ReadEvents)
    assert world.replies == {}
    return world, token


def is_cancelled(world: World) -> StopReason:
    world.applied(RequestCancel("a", "why"))
    world.turn(Changed(Cursor(9, 9)))
    world.execute()
    return StopReason.CANCEL


def drains(world: World) -> StopReason:
    world.turn(Drain(0))
    return StopReason.DRAIN


def reaches_its_deadline(world: World) -> StopReason:
    world.pass_time(40 * SECOND)
    return StopReason.DEADLINE


@pytest.mark.parametrize("happens", [drains, reaches_its_deadline])
def test_a_handler_that_is_to_stop_is_not_left_waiting(happens: Callable[[World], StopReason]) -> None:
    """L6, L4: whatever the reason."""
    world, token = running()
    reason = happens(world)
    assert world.replies == {1: reason}
    world.turn(Asked(2, AwaitEvents("a", 0, None, "", token)))
    assert world.replies == {1: reason, 2: reason}
    world.turn(Returned(token, None))
    assert world.replies == {1: reason, 2: reason}


def test_a_handler_that_is_to_be_cancelled_hears_of_it_as_an_event_too() -> None:
    """L4: whichever comes first: the event of the log, or the reason to stop."""
    world, _ = running()
    reason = is_cancelled(world)
    world.settle()
    reply = world.replies[1]
    assert reply is reason or isinstance(reply, Heard)


def test_what_a_handler_left_waiting_is_answered_when_it_returns() -> None:
    """L6: its lease is over with it."""
    world, token = running()
    world.turn(Returned(token, None))
    assert world.replies == {1: StopReason.LEASE_LOST}
    world.pass_time(SECOND)
    assert not any(kept_by(world).values())


def test_a_handler_waits_on_while_the_store_is_away_and_its_lease_lasts() -> None:
    """L8, K9: a transient error strands nobody who waits."""
    world, _ = running()
    troubled(world, 2 * PATIENCE // SECOND)
    assert world.replies == {}
