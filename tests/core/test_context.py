"""What a handler sees of its process: its facts, its events, and the loss of its lease; `test_effects.py` goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.asks import Act
from tenure.attempt_types import StopReason
from tenure.canonical import parsed
from tenure.context import FencingToken
from tenure.errors import (
    HandlerStopped,
    InvalidValue,
    LeaseLost,
    NotJson,
    RequestRefused,
    TooLarge,
    UndeclaredEvent,
)
from tenure.replies import Fenced, Reason, Refused, Succeeded
from tenure.requests import EmitEvent, Release
from tests.core.trampoline_asks import EPOCH, LIMIT, World, driven, started


def log(world: World) -> list[tuple[str, Any]]:
    """The process's events."""
    return [(event.type, parsed(event.payload)) for event in world.state.events]


# --- its events' keys ----------------------------------------------------------------------------------------------


def test_an_event_counts_by_the_attempt_and_its_place_or_by_its_key() -> None:
    """S10: so that a replay is known by it."""
    world = started(emits=("progress",))
    ctx = world.context()
    for key in (None, "once", None):
        driven(ctx.emit("progress", key=key))
    token = ctx.fencing_token.token
    keys = [
        act.request.key for act in world.asked if isinstance(act, Act) and isinstance(act.request, EmitEvent)
    ]
    assert keys == [f"{token}/1", "=once", f"{token}/3"]


# --- its facts ----------------------------------------------------------------------------------------------------


def test_a_context_says_which_process_it_is_and_whose() -> None:
    world = World.new()
    driven(world.client().start("job", id="p", owner="shop"))
    ctx = world.context()
    assert (ctx.id, ctx.attempt, ctx.owner_scope) == ("p", 1, "shop")
    assert world.context().attempt == 2


def test_a_later_holder_has_the_greater_fencing_token() -> None:
    world = started()
    first, second = world.context().fencing_token, world.context().fencing_token
    assert first < second
    assert (first.epoch, second.token) == (EPOCH, world.record("p").token)


def test_fencing_tokens_of_a_restored_registry_are_greater_than_all_before() -> None:
    """The epoch counts first: after a backup was restored, tokens are drawn again."""
    assert FencingToken(1, 900) < FencingToken(2, 5) < FencingToken(2, 6)


def test_a_context_says_why_its_handler_is_to_stop() -> None:
    ctx = started().context()
    assert not ctx.stop_reason
    ctx.checkpoint()
    ctx.told_to_stop(StopReason.MAX_RUN)
    assert [ctx.stop_reason] == ["max_run"]
    with pytest.raises(HandlerStopped, match="process 'p' stops because it was told to: max_run") as stopped:
        ctx.checkpoint()
    assert (stopped.value.process_id, stopped.value.reason) == ("p", "max_run")


# --- events -------------------------------------------------------------------------------------------------------


def test_an_event_without_a_key_counts_on_every_attempt() -> None:
    world = started(emits=("progress",))
    for _ in range(2):
        ctx = world.context()
        driven(ctx.emit("progress", {"done": 1}))
        driven(ctx.emit("progress", {"done": 1}))
    assert log(world) == [("progress", {"done": 1})] * 4


def test_an_event_with_a_key_counts_once_a_process() -> None:
    world = started(emits=("progress",))
    for attempt in range(2):
        ctx = world.context()
        driven(ctx.emit("progress", attempt, key="half"))
        driven(ctx.emit("progress", attempt, key="half"))
    assert log(world) == [("progress", 0)]


def test_a_key_of_ones_own_is_never_that_of_an_event_without() -> None:
    world = started(emits=("progress",))
    ctx = world.context()
    driven(ctx.emit("progress", "a"))
    token = ctx.fencing_token.token
    for key in ("", f"{token}/1", f"{token}/2"):
        driven(ctx.emit("progress", key, key=key))
    driven(ctx.emit("progress", "b"))
    assert [payload for _, payload in log(world)] == ["a", "", f"{token}/1", f"{token}/2", "b"]


def test_an_event_needs_no_payload() -> None:
    world = started(emits=("progress",))
    driven(world.context().emit("progress"))
    assert log(world) == [("progress", None)]


def test_an_undeclared_event_is_refused_with_what_to_do() -> None:
    ctx = started(emits=("progress",)).context()
    with pytest.raises(UndeclaredEvent) as refused:
        driven(ctx.emit("other"))
    assert (refused.value.reason, refused.value.process_id) == ("undeclared_event", "p")
    assert (
        str(refused.value)
        == "process 'p' may not emit 'other': 'other' is not among ('progress',); list it in the kind's emits"
    )


def test_a_reserved_event_is_the_registrys_own() -> None:
    with pytest.raises(UndeclaredEvent) as refused:
        driven(started().context().emit("process.ended"))
    assert refused.value.reason == "reserved_event"
    assert str(refused.value).endswith("event types beginning with 'process.' are the registry's own")


def test_another_refusal_says_what_was_refused_and_why() -> None:
    with pytest.raises(RequestRefused) as refused:
        driven(started().context().emit("x" * 256))
    assert (refused.value.reason, refused.value.process_id) == ("name_too_long", "p")
    assert str(refused.value).startswith("process 'p': the store refused 'xxx")
    assert str(refused.value).endswith("name_too_long 256 characters; the limit is 255")


def test_an_events_payload_is_checked_before_it_is_sent() -> None:
    world = started(emits=("progress",))
    ctx = world.context()
    with pytest.raises(
        NotJson, match=r"the payload of event 'progress' of process 'p' is not JSON at \$\.a: "
    ):
        driven(ctx.emit("progress", {"a": float("inf")}))
    with pytest.raises(TooLarge, match="the payload of event 'progress' of process 'p' takes"):
        driven(ctx.emit("progress", "x" * LIMIT))
    wrong: Any = 5
    with pytest.raises(InvalidValue, match="process 'p': the type of an event must be a string; it is 5"):
        driven(ctx.emit(wrong))
    assert log(world) == []


# --- the loss of the lease ----------------------------------------------------------------------------------------


def test_nothing_is_emitted_after_another_worker_took_the_process() -> None:
    """S4, S14: the handler hears that its lease is lost."""
    world = started(emits=("progress",))
    zombie, holder = world.context(), world.context()
    with pytest.raises(LeaseLost, match="no longer holds process 'p'") as lost:
        driven(zombie.emit("progress"))
    assert lost.value.process_id == "p"
    driven(holder.emit("progress"))
    assert len(log(world)) == 1


def test_nothing_is_asked_of_the_store_once_the_worker_gave_the_lease_up() -> None:
    """S14: the handler hears that its lease is lost."""
    world = started(emits=("progress",))
    ctx = world.context()
    world.lost.add(ctx.fencing_token.token)
    with pytest.raises(LeaseLost):
        driven(ctx.emit("progress", key="k"))
    assert log(world) == []


def test_an_act_that_never_came_through_is_a_loss() -> None:
    """S13, S18: the worker asks again until the deadline; what it then says is that the lease is gone."""
    world = started(emits=("progress",))
    ctx = world.context()
    world.trouble.append(Fenced())
    with pytest.raises(LeaseLost):
        driven(ctx.emit("progress"))


@pytest.mark.parametrize(
    ("refused", "why"),
    [(Refused(Reason.BLANK, "no name"), "blank no name"), (Refused(Reason.BLANK), "blank")],
)
def test_a_refusal_names_the_process_and_what_was_refused(refused: Refused, why: str) -> None:
    world = started(emits=("progress",))
    ctx = world.context()
    world.trouble.append(refused)
    with pytest.raises(RequestRefused) as caught:
        driven(ctx.emit("progress"))
    assert str(caught.value) == f"process 'p': the store refused 'progress': {why}"


def test_a_context_carries_its_own_token_only() -> None:
    """S4: and not that of an attempt before it."""
    world = started(emits=("progress",))
    grant = world.claim()
    assert isinstance(world.store(Release(grant.fence, 0)), Succeeded)
    ctx = world.context()
    driven(ctx.emit("progress"))
    acts = [ask for ask in world.asked if isinstance(ask, Act)]
    assert [act.token for act in acts] == [ctx.fencing_token.token] != [grant.fence.token]
