"""Events as they come: what a handler waits for, and what ends its wait."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tenure.asks import AwaitEvents, Heard
from tenure.attempt_types import StopReason
from tenure.canonical import canonical
from tenure.context import Context
from tenure.errors import HandlerStopped, InvalidValue, LeaseLost, StoreUnavailable, WaitTimeout
from tenure.events import Hearing, heard
from tenure.instants import StoreTime
from tenure.process import Event, Success
from tenure.replies import EventsRead, Unavailable
from tenure.requests import Complete, Prune
from tests.core.event_parts import Late, appended, event, finished
from tests.core.trampoline_asks import World, driven, started, together


def awaited(ctx: Context, type: str = "go") -> Any:
    """The value of the next event of that type, which is there."""
    return driven(ctx.wait_event(type, timeout=0)).value


def asked(world: World) -> AwaitEvents:
    """The last wait that was asked for."""
    return next(ask for ask in reversed(world.asked) if isinstance(ask, AwaitEvents))


# --- what a handler waits for -------------------------------------------------------------------------------------


def test_a_handler_gets_each_event_once_from_the_logs_start() -> None:
    """CONTRACT §8."""
    world = appended(started(), "go", "go")
    ctx = world.context()
    assert [awaited(ctx), awaited(ctx)] == [0, 1]
    appended(world, "go")
    assert awaited(ctx) == 0
    with pytest.raises(WaitTimeout):
        awaited(ctx)


def test_a_later_attempt_gets_the_same_again_in_the_same_order() -> None:
    world = appended(started(), "go", "stay", "go")
    first = world.context()
    assert [awaited(first), awaited(first)] == [0, 2]
    second = world.context()
    assert [awaited(second), awaited(second)] == [0, 2]


def test_an_event_comes_with_all_that_is_known_of_it() -> None:
    world = started()
    number = driven(world.client().append("p", "go", {"a": 1}, key="k"))
    event = driven(world.context().wait_event("go"))
    assert event == Event("p", number, "go", canonical({"a": 1}), "c:k", 0, StoreTime(1_000))
    assert event.value == {"a": 1}


def test_each_type_is_waited_for_by_itself() -> None:
    """However many others lie between: the log is searched page by page."""
    world = appended(started(), "b", "x", "x", "x", "a", "b")
    ctx = world.context()
    assert [awaited(ctx, "a"), awaited(ctx, "b"), awaited(ctx, "b")] == [4, 0, 5]


def test_the_log_is_not_searched_twice_for_one_type() -> None:
    world = appended(started(), "x", "go", "x")
    ctx = world.context()
    assert awaited(ctx) == 1
    token = ctx.fencing_token.token
    assert asked(world) == AwaitEvents("p", 0, 0, "go", token)
    with pytest.raises(WaitTimeout):
        awaited(ctx)
    assert asked(world) == AwaitEvents("p", 2, 0, "go", token)
    with pytest.raises(WaitTimeout):
        awaited(ctx)
    assert asked(world) == AwaitEvents("p", 3, 0, "go", token)


def test_a_handler_hears_its_own_events_too_and_that_it_is_to_be_cancelled() -> None:
    world = started(emits=("go",))
    ctx = world.context()
    driven(ctx.emit("go", "mine"))
    assert awaited(ctx) == "mine"
    driven(world.client().cancel("p", "why"))
    assert awaited(ctx, "process.cancel_requested") == {"reason": "why"}


def test_a_handler_waits_until_the_event_is_there() -> None:
    world = started()
    ctx, client = world.context(), world.client()
    event, number = together(ctx.wait_event("go"), client.append("p", "go", "now"))
    assert (event.value, event.seq) == ("now", number)
    assert asked(world).timeout is None


def test_two_waits_for_one_type_share_the_events() -> None:
    world = appended(started(), "go", "go", "go")
    ctx = world.context()
    found = together(*(ctx.wait_event("go") for _ in range(3)))
    assert sorted(event.value for event in found) == [0, 1, 2]


def test_a_wait_whose_time_is_over_says_for_what() -> None:
    ctx = started().context()
    with pytest.raises(WaitTimeout) as over:
        driven(ctx.wait_event("go", timeout=0))
    assert over.value.timeout == 0
    with pytest.raises(WaitTimeout) as over:
        driven(ctx.wait_event("go", timeout=2.5))
    assert (over.value.process_id, over.value.timeout, over.value.event) == ("p", 2.5, "go")


BAD_WAITS: list[tuple[Any, Any, str]] = [
    (5, None, "process 'p': the type of an event must be a string; it is 5"),
    (" ", None, "process 'p': the type of an event to wait for is blank"),
    (
        "go",
        -1,
        "process 'p': timeout=-1 is not a duration in seconds up to a year; None waits for ever",
    ),
    (
        "go",
        "1",
        "process 'p': timeout='1' is not a duration in seconds up to a year; None waits for ever",
    ),
]


@pytest.mark.parametrize(("type", "timeout", "said"), BAD_WAITS)
def test_a_wait_that_cannot_be(type: Any, timeout: Any, said: str) -> None:
    world = started()
    ctx = world.context()
    with pytest.raises(InvalidValue, match=f"^{re.escape(said)}$"):
        driven(ctx.wait_event(type, timeout=timeout))
    assert not any(isinstance(ask, AwaitEvents) for ask in world.asked)


# --- a handler that is not left waiting ---------------------------------------------------------------------------


def test_nobody_waits_without_a_lease() -> None:
    world = appended(started(), "go", "go")
    ctx = world.context()
    assert awaited(ctx) == 0
    world.lost.add(ctx.fencing_token.token)
    with pytest.raises(LeaseLost):  # though the next one was read already
        awaited(ctx)


def test_a_handler_that_is_to_stop_does_not_begin_to_wait() -> None:
    world = appended(started(), "go")
    ctx = world.context()
    ctx.told_to_stop(StopReason.DRAIN)
    with pytest.raises(HandlerStopped, match="drain"):
        awaited(ctx)
    assert not any(isinstance(ask, AwaitEvents) for ask in world.asked)


@pytest.mark.parametrize("reason", StopReason)
def test_a_handler_that_waits_is_told_to_stop(reason: StopReason) -> None:
    world = started()
    ctx = world.context()
    world.stops[ctx.fencing_token.token] = reason
    lost = reason in (StopReason.DEADLINE, StopReason.LEASE_LOST)
    with pytest.raises(LeaseLost if lost else HandlerStopped) as stopped:
        driven(ctx.wait_event("go"))
    assert getattr(stopped.value, "process_id", None) == "p"
    assert getattr(stopped.value, "reason", None) == (None if lost else reason.value)


def test_a_handler_whose_process_was_ended_by_another_has_lost_its_lease() -> None:
    """It still gets what the log had before."""
    world = appended(started(), "go")
    ctx = world.context()
    world.store(Complete(world.claim().fence, Success()))
    assert awaited(ctx) == 0
    with pytest.raises(LeaseLost) as lost:
        driven(ctx.wait_event("go"))
    assert lost.value.process_id == "p"


def test_a_handler_whose_row_is_gone_has_lost_its_lease() -> None:
    world = started()
    ctx = world.context()
    world.store(Complete(world.claim().fence, Success()))
    world.clock += 10 * 86_400_000
    world.store(Prune())
    with pytest.raises(LeaseLost):
        driven(ctx.wait_event("go"))


def test_a_worker_with_too_many_calls_under_way_says_so() -> None:
    world = started()
    ctx = world.context()
    world.trouble.append(Unavailable("full"))
    with pytest.raises(StoreUnavailable) as trouble:
        driven(ctx.wait_event("go"))
    assert str(trouble.value) == "process 'p': its events could not be read (full); wait again"


# --- what was found in a page of the log --------------------------------------------------------------------------


def test_a_page_holds_what_was_asked_for_and_how_far_it_goes() -> None:
    page = EventsRead((event(4, "a"), event(5, "b"), event(6, "a")), True)
    a, b = AwaitEvents("p", 0, None, "a"), AwaitEvents("p", 0, None)
    assert heard(a, 3, page) == Heard((page.events[0], page.events[2]), 6, True)
    assert heard(b, 3, page) == Heard(page.events, 6, True)
    assert heard(a, 3, EventsRead((), False)) == Heard((), 3, False)


# --- answers that overtake each other -----------------------------------------------------------------------------


def test_an_answer_that_comes_late_turns_no_wait_back() -> None:
    late = Late()
    hearing = Hearing(late.ask, "p", 7)
    first, second = hearing.next("go", None), hearing.next("go", None)
    first.send(None)
    second.send(None)
    assert [finished(second).seq, finished(first).seq] == [1, 2]
    assert driven(hearing.next("go", None)).seq == 3
    assert late.asked == [0, 0, 2]
