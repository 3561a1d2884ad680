"""Events as they come: what a handler waits for, what a client follows, what a session is told, declared shapes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from attrs import frozen

from tenure.app import App
from tenure.asks import AwaitEvents, Heard, Submit
from tenure.attempt_types import StopReason
from tenure.canonical import canonical
from tenure.context import Context
from tenure.errors import (
    EventMismatch,
    HandlerStopped,
    InvalidValue,
    LeaseLost,
    ProcessNotFound,
    StoreUnavailable,
    WaitTimeout,
)
from tenure.events import Following, Hearing, heard
from tenure.instants import StoreTime
from tenure.process import Event, Failure, Success
from tenure.replies import EventsRead, Reason, Refused, Unavailable
from tenure.requests import LARGEST, Complete, Prune, ReadOwnerEvents, RequestCancel
from tests.core.trampoline_asks import World, driven, pause, started, together


def appended(world: World, *types: str) -> World:
    """The world after a client appended these events, numbered from 0."""
    for number, name in enumerate(types):
        driven(world.client().append("p", name, number))
    return world


def awaited(ctx: Context, type: str = "go") -> Any:
    """The value of the next event of that type, which is there."""
    return driven(ctx.wait_event(type, timeout=0)).value


def asked(world: World) -> AwaitEvents:
    """The last wait that was asked for."""
    return next(ask for ask in reversed(world.asked) if isinstance(ask, AwaitEvents))


# --- what a handler waits for -------------------------------------------------------------------------------------


def test_a_handler_gets_each_event_once_from_the_logs_start() -> None:
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


def event(seq: int, type: str) -> Event:
    return Event("p", seq, type, canonical(None), "k", 0, StoreTime(0))


def test_a_page_holds_what_was_asked_for_and_how_far_it_goes() -> None:
    page = EventsRead((event(4, "a"), event(5, "b"), event(6, "a")), True)
    a, b = AwaitEvents("p", 0, None, "a"), AwaitEvents("p", 0, None)
    assert heard(a, 3, page) == Heard((page.events[0], page.events[2]), 6, True)
    assert heard(b, 3, page) == Heard(page.events, 6, True)
    assert heard(a, 3, EventsRead((), False)) == Heard((), 3, False)


# --- answers that overtake each other -----------------------------------------------------------------------------


def finished(running: Any) -> Any:
    """What a coroutine returns that was begun before."""
    with pytest.raises(StopIteration) as done:
        running.send(None)
    return done.value.value


class Late:
    """Whoever asks first is told what is older, and hears of it last. `asked`: after which numbers was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def more(self, after: int) -> Heard:
        self.asked.append(after)
        seqs = [(1,), (1, 2), (3,)][len(self.asked) - 1]
        await pause()
        return Heard(tuple(event(seq, "go") for seq in seqs), seqs[-1], False)

    async def ask(self, ask: Any) -> Heard:
        return await self.more(ask.after)


def test_an_answer_that_comes_late_turns_no_wait_back() -> None:
    late = Late()
    hearing = Hearing(late.ask, "p", 7)
    first, second = hearing.next("go", None), hearing.next("go", None)
    first.send(None)
    second.send(None)
    assert [finished(second).seq, finished(first).seq] == [1, 2]
    assert driven(hearing.next("go", None)).seq == 3
    assert late.asked == [0, 0, 2]


def test_an_answer_that_comes_late_turns_no_following_back() -> None:
    late = Late()
    follow = Following(late.more, 0)
    first, second = next_of(follow), next_of(follow)
    first.send(None)
    second.send(None)
    assert [finished(second).seq, finished(first).seq] == [1, 2]
    assert driven(next_of(follow)).seq == 3
    assert late.asked == [0, 0, 2]


# --- what a client follows ----------------------------------------------------------------------------------------


async def all_of(events: AsyncIterator[Event]) -> list[tuple[int, str]]:
    return [(event.seq, event.type) async for event in events]


async def next_of(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


def test_a_process_is_followed_to_its_end() -> None:
    world = appended(started(), "a", "b", "c")
    world.store(RequestCancel("p"))
    log = [(1, "a"), (2, "b"), (3, "c"), (4, "process.cancel_requested"), (5, "process.ended")]
    for follow in (world.client().follow("p"), world.client().handle("p").follow()):
        assert driven(all_of(follow)) == log
    for follow in (world.client().follow("p", after=3), world.client().handle("p").follow(after=3)):
        assert driven(all_of(follow)) == log[3:]
    for after in (5, 9, LARGEST):
        assert driven(all_of(world.client().follow("p", after=after))) == []


def test_following_waits_for_what_comes() -> None:
    world = started()
    client = world.client()

    async def goes_on() -> None:
        for name in ("a", "b", "c"):
            await client.append("p", name)
        await client.cancel("p")

    found, _ = together(all_of(client.follow("p")), goes_on())
    assert [name for _, name in found] == ["a", "b", "c", "process.cancel_requested", "process.ended"]
    first = next(ask for ask in world.asked if isinstance(ask, AwaitEvents))
    assert first == AwaitEvents("p", 0, None, "", 0)


def test_following_that_is_cut_short_loses_nothing() -> None:
    world = appended(started(), "a", "b", "c")
    follow = world.client().follow("p")
    assert driven(next_of(follow)).seq == 1
    assert driven(next_of(follow)).seq == 2
    cut = next_of(follow)
    for _ in range(2):
        cut.send(None)
    cut.close()
    assert driven(next_of(follow)).seq == 3


def test_two_who_share_a_following_get_each_event_once() -> None:
    world = appended(started(), "a", "b", "c")
    world.store(RequestCancel("p"))
    follow = world.client().follow("p")
    found = together(*(all_of(follow) for _ in range(3)))
    assert sorted(seq for one in found for seq, _ in one) == [1, 2, 3, 4, 5]


def test_following_what_is_not_there() -> None:
    with pytest.raises(ProcessNotFound, match="there is no process 'q' in this store"):
        driven(all_of(World.new().client().follow("q")))


def test_following_a_store_that_is_away() -> None:
    world = started()
    world.trouble.append(Unavailable("down"))
    with pytest.raises(StoreUnavailable, match="down"):
        driven(all_of(world.client().follow("p")))


@pytest.mark.parametrize("after", [-1, LARGEST + 1, True, "1", 1.0])
def test_following_after_what_is_no_number(after: Any) -> None:
    said = f"process 'p': after={after!r} is not the number of an event, or 0"
    with pytest.raises(InvalidValue, match=f"^{re.escape(said)}$"):
        World.new().client().follow("p", after=after)


def test_following_needs_an_id() -> None:
    wrong: Any = 7
    with pytest.raises(InvalidValue, match="the id of a process must be a string; it is 7"):
        World.new().client().follow(wrong)


# --- what a session is told ---------------------------------------------------------------------------------------


def test_a_session_is_told_what_became_of_its_processes() -> None:
    world = World.new()
    client = world.client()
    for name, outcome in (("a", Success()), ("b", Failure("E", "code", "no"))):
        driven(client.start("job", id=name, owner="s"))
        world.store(Complete(world.claim().fence, outcome))
    driven(client.start("job", id="c", owner="s"))
    driven(client.start("job", id="d", owner="s"))
    driven(client.start("job", id="e"))
    for name in ("c", "e"):
        driven(client.cancel(name))
    told = [
        Event(
            name,
            world.record(name).version,
            "process.ended",
            canonical({"process_id": name, "status": status}),
            "r:ended",
            world.record(name).token,
            world.record(name).changed_at,
        )
        for name, status in (("a", "succeeded"), ("b", "failed"), ("c", "cancelled"))
    ]
    assert driven(client.events(owner="s")) == tuple(told)
    assert world.asked[-1] == Submit(ReadOwnerEvents("s", 0, 1_000), 30.0)
    assert driven(client.events(owner="s", after=told[0].seq, limit=1)) == (told[1],)
    assert driven(client.events(owner="process:e"))[0].value == {"process_id": "e", "status": "cancelled"}
    assert driven(client.events(owner="nobody")) == ()


BAD_LOGS: list[tuple[dict[str, Any], str]] = [
    ({}, "the id of a process must be a string; it is None"),
    (
        {"process_id": "p", "owner": "s"},
        "events of process 'p' and of owner 's' at once: ask for either of them",
    ),
    ({"owner": " "}, "the owner of a log is blank; name the session"),
    ({"owner": 3}, "the owner of a log must be a string; it is 3"),
]


@pytest.mark.parametrize(("named", "said"), BAD_LOGS)
def test_a_log_is_of_a_process_or_of_a_session(named: dict[str, Any], said: str) -> None:
    world = started()
    with pytest.raises(InvalidValue, match=f"^{re.escape(said)}$"):
        driven(world.client().events(**named))


def test_a_session_whose_name_cannot_be_is_refused_by_the_store() -> None:
    world = World.new()
    answer = driven(world.client().submit(ReadOwnerEvents("s" * 256)))
    assert answer == Refused(Reason.NAME_TOO_LONG, "256 characters; the limit is 255")


# --- declared shapes ----------------------------------------------------------------------------------------------


@frozen
class Progress:
    done: int
    total: int


@dataclass
class Note:
    text: str


def handler(ctx: Any) -> None:
    """Does nothing."""


def test_a_kind_declares_what_its_events_look_like() -> None:
    app = App()
    kind = app.process("k", emits={"progress": Progress, "note": Note, "any": None})(handler)
    assert kind.emits == ("progress", "note", "any")
    assert kind.shapes == {"progress": Progress, "note": Note}
    assert app.process("l", emits=["progress"])(handler).shapes == {}
    assert app.process("m")(handler).emits == ()


@pytest.mark.parametrize("shape", [int, "Progress", Progress(1, 2), list[Progress]])
def test_a_shape_that_could_not_be_checked(shape: Any) -> None:
    said = (
        f"kind 'k': the shape of event 'progress' is {shape!r}; it must be an attrs class or a dataclass, or None for "
        "any JSON"
    )
    with pytest.raises(InvalidValue, match=f"^{re.escape(said)}$"):
        App().process("k", emits={"progress": shape})


def test_an_event_that_fits_its_shape_is_emitted() -> None:
    world = started(emits=("progress", "any"))
    ctx = world.context(shapes={"progress": Progress})
    driven(ctx.emit("progress", Progress(1, 3)))
    driven(ctx.emit("progress", {"done": 2, "total": 3}))
    driven(ctx.emit("any", {"whatever": [1]}))
    assert [one.value for one in world.state.events] == [
        {"done": 1, "total": 3},
        {"done": 2, "total": 3},
        {"whatever": [1]},
    ]


def test_an_event_that_does_not_fit_its_shape_is_not() -> None:
    world = started(emits=("progress",))
    ctx = world.context(shapes={"progress": Progress})
    with pytest.raises(EventMismatch) as mismatch:
        driven(ctx.emit("progress", {"done": 1}))
    assert (mismatch.value.process_id, mismatch.value.event) == ("p", "progress")
    assert str(mismatch.value).startswith(
        "process 'p': the payload of event 'progress' is not what its kind declares: the value does not fit Progress: "
    )
    assert "'total'" in str(mismatch.value)
    assert world.state.events == ()
