"""What a client refuses by itself, and what each kind of trouble with the store looks like to its caller."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, cast

import pytest

from tenure.asks import Submit
from tenure.client import Client
from tenure.errors import (
    InvalidValue,
    NotJson,
    RequestRefused,
    StoreUnavailable,
    StoreUnknown,
    TenureError,
    TooLarge,
    WaitTimeout,
)
from tenure.instants import StoreTime
from tenure.replies import (
    Fenced,
    Reason,
    Refused,
    Registered,
    Stamp,
    Succeeded,
    Unavailable,
    Unknown,
)
from tenure.requests import RequestCancel
from tenure.timings import LONGEST
from tests.core.trampoline_asks import LIMIT, World, driven, started

# --- bad input ---------------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (float("nan"), r"\$: nan is not a JSON number"),
        ({"a": float("-inf")}, r"\$\.a: -inf is not a JSON number"),
        ([(1, 2)], r"\$\[0\]: tuple is no JSON type"),
        ({1: 2}, "the key 1 is not a string"),
        ("a\0", r"it contains U\+0000"),
        ("\ud800", "it contains a lone surrogate"),
        pytest.param(10**5_000, "an integer of more than 4000 digits", id="huge"),
        (nested(10_000), "nested more than 200 levels deep"),
        (World, "type is no JSON type"),
    ],
)
def test_a_payload_that_is_not_json_is_refused_by_name(payload: Any, said: str) -> None:
    world = World.new()
    with pytest.raises(NotJson, match=f"^the payload of process 'p' is not JSON at .*{said}"):
        driven(world.client().start("job", payload, id="p"))
    assert world.asked == []


def test_a_payload_over_the_limit_is_refused_by_name() -> None:
    with pytest.raises(
        TooLarge, match=f"the payload of process 'p' takes {LIMIT + 2} bytes; the limit is {LIMIT}"
    ):
        driven(World.new().client().start("job", "x" * LIMIT, id="p"))


@pytest.mark.parametrize("delay", [-0.001, float("nan"), float("inf"), 86_400 * 367])
def test_a_delay_is_a_duration(delay: float) -> None:
    with pytest.raises(
        InvalidValue, match=r"process 'p': delay=.* is not a duration in seconds up to a year"
    ):
        driven(World.new().client().start("job", id="p", delay=delay))


def test_a_delay_and_a_wait_may_be_a_year_or_nothing() -> None:
    client = World.new().client()
    for seconds in (0, LONGEST):
        handle = driven(client.start("job", delay=seconds))
        with pytest.raises(WaitTimeout):
            driven(handle.wait(seconds))


Call: TypeAlias = Callable[[Client], Coroutine[Any, Any, Any]]

WRONG: Any = 17


CALLS_WITH_A_NUMBER: list[tuple[Call, str]] = [
    (lambda c: c.start("job", id=WRONG), "the id of a process"),
    (lambda c: c.start(WRONG, id="p"), "process 'p': the kind"),
    (lambda c: c.start("job", id="p", owner=WRONG), "process 'p': the owner"),
    (lambda c: c.start("job", id="p", profile=WRONG), "process 'p': the profile"),
    (lambda c: c.start("job", id="p", emits=[WRONG]), "process 'p': an event type"),
    (lambda c: c.get(WRONG), "the id of a process"),
    (lambda c: c.wait(WRONG), "the id of a process"),
    (lambda c: c.handle(WRONG).wait(), "the id of a process"),
    (lambda c: c.cancel(WRONG), "the id of a process"),
    (lambda c: c.cancel("p", WRONG), "the reason of a cancellation"),
    (lambda c: c.events(WRONG), "the id of a process"),
    (lambda c: c.append(WRONG, "note"), "the id of a process"),
    (lambda c: c.append("p", WRONG), "the type of an event"),
    (lambda c: c.append("p", "note", key=WRONG), "event 'note' of process 'p': the key"),
]


@pytest.mark.parametrize(("call", "what"), CALLS_WITH_A_NUMBER)
def test_what_is_no_string_never_reaches_the_store(
    call: Callable[[Client], Coroutine[Any, Any, Any]], what: str
) -> None:
    """A number as an id is an easy mistake, and a store would fail at it in a thread of the worker's."""
    world = started()
    world.asked.clear()
    with pytest.raises(InvalidValue, match=f"^{what} must be a string; it is 17$"):
        driven(call(world.client()))
    assert world.asked == []


REFUSED_CALLS: list[tuple[Callable[[Client], Coroutine[Any, Any, Any]], str]] = [
    (lambda c: c.list(kind=WRONG), "a list's kind is 17; it must be a string, or None for all"),
    (lambda c: c.list(owner=WRONG), "a list's owner_scope is 17; it must be a string, or None for all"),
    (
        lambda c: c.list(phase=cast(Any, "pending")),
        "a list's phase is 'pending'; it must be one of Phase.PENDING",
    ),
    (lambda c: c.submit(WRONG), "17 is no request of a client"),
    (lambda c: c.start("k", emits=WRONG), "emits takes a list of event types, not 17"),
    (lambda c: c.start("k", delay=cast(Any, None)), "delay=None is not a duration"),
    (lambda c: c.wait("p", cast(Any, "5")), "timeout='5' is not a duration"),
]


@pytest.mark.parametrize(("call", "what"), REFUSED_CALLS)
def test_what_is_of_a_wrong_type_never_reaches_the_store(
    call: Callable[[Client], Coroutine[Any, Any, Any]], what: str
) -> None:
    """There it would end the store thread, and with it the whole worker."""
    world = started()
    world.asked.clear()
    with pytest.raises(InvalidValue, match=re.escape(what)):
        driven(call(world.client()))
    assert world.asked == []


def test_one_event_type_is_a_list_of_one() -> None:
    with pytest.raises(
        InvalidValue, match="process 'p': emits takes a list of event types, not the string 'progress'"
    ):
        driven(World.new().client().start("job", id="p", emits="progress"))


@pytest.mark.parametrize(
    ("process_id", "said"),
    [
        ("", "its id, kind or another name is empty or blank"),
        (" ", "its id, kind or another name is empty or blank"),
        ("x" * 256, r"its id, kind or another name is too long \(256 characters; the limit is 255\)"),
        ("a\0", r"one of its texts cannot be stored \(it contains U\+0000\)"),
    ],
)
def test_an_id_that_no_store_takes_is_refused_with_the_reason(process_id: str, said: str) -> None:
    with pytest.raises(RequestRefused, match=f"was refused: {said}"):
        driven(World.new().client().start("job", id=process_id))


def test_an_id_whose_own_session_has_too_long_a_name_is_told_so() -> None:
    """Of 248 characters and more. With an owner such an id is good, and so is a shorter one without."""
    client = World.new().client()
    for length in (248, 255):
        with pytest.raises(RequestRefused) as raised:
            driven(client.start("job", id="x" * length))
        assert raised.value.reason == "name_too_long"
        assert str(raised.value) == (
            f"process {'x' * length!r} was refused: its id, kind or another name is too long ({length + 8} characters; "
            "the limit is 255. That is the name of its own session, since no owner was named: 'process:<id>', "
            "8 characters longer than the id. Shorten the id, or name an owner)"
        )
    driven(client.start("job", id="x" * 247))
    driven(client.start("job", id="x" * 255, owner="s"))
    for kind, owner in (("k" * 256, None), ("job", "s" * 256)):
        with pytest.raises(RequestRefused, match=r"\(256 characters; the limit is 255\)$"):
            driven(client.start(kind, id="p", owner=owner))


# --- trouble ------------------------------------------------------------------------------------------------------


CALLS: list[Call] = [
    lambda c: c.start("job"),
    lambda c: c.get("p"),
    lambda c: c.wait("p"),
    lambda c: c.cancel("p"),
    lambda c: c.events("p"),
    lambda c: c.append("p", "note"),
    lambda c: c.list(),
    lambda c: c.events(owner="shop"),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_does_not_answer_is_told_apart_from_one_that_may_have_done_it(
    call: Call,
) -> None:
    """S18: Unavailable is not Unknown."""
    world = started()
    world.trouble.append(Unavailable("disk full"))
    with pytest.raises(
        StoreUnavailable, match=r"could not be reached \(disk full\); nothing was changed, try again"
    ):
        driven(call(world.client()))
    world.trouble.append(Unknown("no answer"))
    with pytest.raises(StoreUnknown, match="may have been applied, repeat it"):
        driven(call(world.client()))


def test_a_refusal_that_has_no_words_of_its_own_is_said_by_its_name() -> None:
    world = started()
    world.trouble.append(Refused(Reason.HELD))
    with pytest.raises(RequestRefused, match=r"^process 'p' was refused: held$"):
        driven(world.client().get("p"))


OF_NO_PROCESS: list[Call] = [
    lambda c: c.events(""),
    lambda c: c.events(owner="shop"),
    lambda c: c.list(),
]


@pytest.mark.parametrize("call", OF_NO_PROCESS)
def test_a_refusal_of_what_is_of_no_process_names_none(call: Call) -> None:
    world = World.new()
    world.trouble.append(Refused(Reason.HELD))
    with pytest.raises(RequestRefused) as refused:
        driven(call(world.client()))
    assert vars(refused.value) == {"reason": "held", "process_id": ""}
    assert str(refused.value) == "process '' was refused: held"


@pytest.mark.parametrize("answer", [Fenced(), Succeeded(Registered(Stamp(0, 1, StoreTime(0)), 1))])
def test_an_answer_that_no_client_may_get_is_no_success(answer: Any) -> None:
    """S18: nobody guesses."""
    world = started()
    world.trouble.append(answer)
    with pytest.raises(TenureError):
        driven(world.client().get("p"))


def test_every_request_says_how_long_it_may_take() -> None:
    world = started()
    slow = Client(world.ask, world.convert, str, limit=LIMIT, timeout=2.5)
    driven(slow.cancel("p"))
    assert world.asked[-1] == Submit(RequestCancel("p"), 2.5)
