"""What a client follows, and what a session is told of its processes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tenure.asks import AwaitEvents, Submit
from tenure.canonical import canonical
from tenure.errors import InvalidValue, ProcessNotFound, StoreUnavailable
from tenure.events import Following
from tenure.process import Event, Failure, Success
from tenure.replies import Reason, Refused, Unavailable
from tenure.requests import LARGEST, Complete, ReadOwnerEvents, RequestCancel
from tests.core.event_parts import Late, appended, finished, next_of
from tests.core.trampoline_asks import World, driven, started, together

# --- answers that overtake each other -----------------------------------------------------------------------------


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
