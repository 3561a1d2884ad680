"""A client: what it asks of the registry and what it answers. `test_client_trouble.py` has bad input and trouble."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen
from hypothesis import given

from tenure.app import App
from tenure.asks import AwaitEnd, Submit
from tenure.canonical import canonical, parsed
from tenure.client import Client
from tenure.errors import (
    Conflict,
    InvalidValue,
    NotJson,
    ProcessCancelled,
    ProcessFailed,
    ProcessNotFound,
    RequestRefused,
    UndeclaredEvent,
    WaitTimeout,
)
from tenure.process import Cancelled, Failure, Outcome, Provenance, Success, Work
from tenure.replies import (
    Pruned,
    Reason,
    Refused,
    Succeeded,
)
from tenure.requests import Complete, Get, Phase, Prune
from tests.core.test_handler_outcomes import json
from tests.core.trampoline_asks import LIMIT, World, driven, started


@frozen
class Job:
    url: str


@frozen
class Page:
    size: int


app = App()


@app.process("fetch", emits=["progress"])
async def fetch(ctx: Any, job: Job) -> Page:
    return Page(len(job.url))


@app.process("sweep")
def sweep(ctx: Any) -> None:
    """Takes no payload."""


def ended(world: World, outcome: Outcome) -> World:
    """The world after its process `p` ended like that."""
    world.store(Complete(world.claim().fence, outcome))
    return world


# --- start --------------------------------------------------------------------------------------------------------


@given(json)
def test_what_was_started_is_what_one_gets(payload: Any) -> None:
    world = World.new()
    handle = driven(world.client().start("job", payload))
    source = driven(handle.get()).registration.input
    assert isinstance(source, Work)
    assert parsed(source.payload) == payload
    assert source == Work("job", canonical(payload))


def test_integers_of_any_size_and_200_levels_come_back_equal() -> None:
    world, deep = World.new(), list[Any]()
    for _ in range(199):
        deep = [deep]
    for payload in (2**64, -(2**200), deep):
        source = driven(driven(world.client().start("job", payload)).get()).registration.input
        assert isinstance(source, Work)
        assert parsed(source.payload) == payload


def test_a_process_of_a_kind_has_its_name_events_and_payload_as_json() -> None:
    world = World.new()
    handle = driven(world.client().start(fetch, Job("abc")))
    registration = world.record(handle.id).registration
    assert registration.input == Work("fetch", canonical({"url": "abc"}))
    assert registration.event_types == ("progress",)


def test_a_process_has_an_id_of_its_own_and_a_session_of_its_own() -> None:
    world = World.new()
    client = world.client()
    first, second = driven(client.start("job")), driven(client.start("job"))
    assert first.id != second.id
    assert world.record(first.id).registration.provenance == Provenance(f"process:{first.id}", "")


def test_owner_profile_events_and_delay_are_the_callers() -> None:
    world = World.new()
    driven(
        world.client().start(fetch, Job("x"), id="p", owner="", profile="gpu", emits=["a", "b"], delay=1.5)
    )
    record = world.record("p")
    assert record.registration.provenance == Provenance("", "gpu")
    assert record.registration.event_types == ("a", "b")
    assert record.ready_at == record.changed_at + 1_500


def test_starting_is_idempotent_by_id() -> None:
    world = World.new()
    client = world.client()
    for _ in range(2):
        assert driven(client.start(fetch, Job("x"), id="p")).id == "p"
    assert len(world.state.records) == 1


@pytest.mark.parametrize(
    ("kind", "other", "what"),
    [
        ("another", {}, "another kind of input ('job')"),
        ("job", {"payload": {"n": 2}}, "another payload"),
        ("job", {"emits": ["more"]}, "other event types"),
        ("job", {"owner": "somebody"}, "another owner or host profile"),
        ("job", {"profile": "gpu"}, "another owner or host profile"),
    ],
)
def test_the_same_id_with_other_content_is_a_conflict(kind: str, other: dict[str, Any], what: str) -> None:
    client = started().client()
    known = driven(client.get("p")).registration
    assert isinstance(known.input, Work)
    same: dict[str, Any] = {"payload": parsed(known.input.payload), "emits": known.event_types}
    with pytest.raises(Conflict) as conflict:
        driven(client.start(kind, **(same | other), id="p"))
    assert (conflict.value.reason, conflict.value.process_id) == ("conflict", "p")
    assert str(conflict.value) == (
        f"process 'p' conflicts with what is stored: the id exists with {what}; use another id"
    )


# --- get, list, events, append, submit ----------------------------------------------------------------------------


def test_what_does_not_exist_is_not_found() -> None:
    client = World.new().client()
    for call in (
        client.get("x"),
        client.wait("x"),
        client.cancel("x"),
        client.events("x"),
        client.append("x", "n"),
    ):
        with pytest.raises(ProcessNotFound, match="there is no process 'x' in this store") as missing:
            driven(call)
        assert (missing.value.reason, missing.value.process_id) == ("not_found", "x")


def test_a_list_comes_in_pages_and_by_phase_kind_and_owner() -> None:
    world = World.new()
    client = world.client()
    for n in range(5):
        driven(client.start("even" if n % 2 == 0 else "odd", id=f"p{n}", owner="shop" if n < 3 else None))
    world.claim("odd")
    first = driven(client.list(limit=3))
    assert [record.id for record in first.records] == ["p0", "p1", "p2"]
    assert first.next is not None
    rest = driven(client.list(after=first.next, limit=3))
    assert ([record.id for record in rest.records], rest.next) == (["p3", "p4"], None)
    assert [record.id for record in driven(client.list(phase=Phase.RUNNING)).records] == ["p1"]
    assert [record.id for record in driven(client.list(kind="even", owner="shop")).records] == ["p0", "p2"]


def test_events_come_in_order_and_in_pages() -> None:
    world = started()
    client, handle = world.client(), world.client().handle("p")
    for n in range(3):
        assert driven(client.append("p", "note", n)) == n + 1
    ended(world, Success())
    seen = driven(handle.events())
    assert [event.type for event in seen] == ["note", "note", "note", "process.ended"]
    assert [event.seq for event in driven(client.events("p", after=1, limit=2))] == [2, 3]


def test_an_appended_event_counts_once_per_key() -> None:
    world = started()
    client = world.client()
    assert (
        driven(client.append("p", "note", 1, key="k")) == driven(client.append("p", "note", 2, key="k")) == 1
    )
    assert driven(client.append("p", "note", 3)) == 2


def test_an_event_that_cannot_be_appended_says_why() -> None:
    world = started()
    client = world.client()
    with pytest.raises(
        UndeclaredEvent, match=r"process 'p': event types beginning with 'process.' are the registry's"
    ):
        driven(client.append("p", "process.ended"))
    with pytest.raises(NotJson, match=r"the payload of event 'note' of process 'p' is not JSON at \$: nan"):
        driven(client.append("p", "note", float("nan")))
    ended(world, Success())
    with pytest.raises(RequestRefused, match=r"process 'p' was refused: it has ended \(its log is closed\)"):
        driven(client.append("p", "note"))


def test_any_other_request_has_its_bare_answer() -> None:
    client = started().client()
    assert driven(client.submit(Prune())) == Succeeded(Pruned(0))
    assert driven(client.submit(Get("x"))) == Refused(Reason.NOT_FOUND)


# --- cancel -------------------------------------------------------------------------------------------------------


def test_a_process_that_nobody_runs_ends_at_once_when_it_is_cancelled() -> None:
    handle = started().client().handle("p")
    assert driven(handle.cancel("too late")) == Cancelled("too late")
    assert driven(handle.cancel("again")) == Cancelled("too late")
    assert driven(handle.outcome()) == Cancelled("too late")
    with pytest.raises(ProcessCancelled, match="process 'p' was cancelled: too late") as cancelled:
        driven(handle.wait())
    assert (cancelled.value.process_id, cancelled.value.process_reason) == ("p", "too late")


def test_the_handler_of_a_running_process_is_told() -> None:
    world = started()
    world.claim()
    assert driven(world.client().cancel("p")) is None
    assert world.record("p").cancel == ""


# --- wait ---------------------------------------------------------------------------------------------------------


def test_waiting_for_a_typed_process_gives_its_result_as_its_type() -> None:
    world = World.new()
    handle = driven(world.client().start(fetch, Job("abc"), id="p"))
    world.attempt(fetch)
    assert driven(handle.wait()) == Page(3)
    assert driven(world.client().handle("p").wait()) == {"size": 3}
    assert driven(handle.outcome()) == Success(canonical({"size": 3}))


def test_waiting_for_a_failure_raises_what_is_known_of_it() -> None:
    world = ended(started(), Failure("ValueError", "bad", "no such colour"))
    with pytest.raises(
        ProcessFailed, match=r"^process 'p' failed: ValueError \(bad\): no such colour$"
    ) as failed:
        driven(world.client().handle("p").wait())
    known = failed.value
    assert (known.process_id, known.failure_class, known.code) == ("p", "ValueError", "bad")


def test_a_result_that_is_no_longer_of_its_type_is_named() -> None:
    world = World.new()
    handle = driven(world.client().start(fetch, Job("abc"), id="p"))
    world.store(Complete(world.claim("fetch").fence, Success(canonical({"colour": "red"}))))
    with pytest.raises(InvalidValue, match=r"^the result of process 'p': the value does not fit Page: "):
        driven(handle.wait())


def test_waiting_may_be_given_up() -> None:
    world = started()
    with pytest.raises(WaitTimeout, match=r"process 'p' had not ended after 1\.5 s; it goes on") as late:
        driven(world.client().wait("p", 1.5))
    assert (late.value.process_id, late.value.timeout) == ("p", 1.5)
    assert world.asked[-1] == AwaitEnd("p", 1.5)
    with pytest.raises(TimeoutError):
        driven(world.client().handle("p").outcome(0))


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_wait_has_a_duration_or_none(timeout: float) -> None:
    with pytest.raises(
        InvalidValue, match=r"process 'p': timeout=.* is not a duration .*; None waits for ever"
    ):
        driven(started().client().wait("p", timeout))


def test_a_client_waits_thirty_seconds_for_the_store_unless_it_is_told_otherwise_by_name() -> None:
    world = started()
    driven(world.client().get("p"))
    assert {ask.timeout for ask in world.asked if isinstance(ask, Submit)} == {30.0}
    make: Any = Client
    with pytest.raises(TypeError):
        make(world.ask, world.convert, str, None, None, None, 2.5, limit=LIMIT)
