"""Scenarios: effects and events, each recorded once per key, by handlers and by clients (CONTRACT §3, §4; S10)."""

from __future__ import annotations

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.replies import EffectRecorded, EventAppended
from tenure.requests import (
    AppendEvent,
    Complete,
    EmitEvent,
    RecordEffect,
)
from tenure_testing.conforming.story import SMALL, TTL, Story, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import success

# --- effects --------------------------------------------------------------------------------------------------------


@scenario("S10")
def an_effect_is_recorded_once(story: Story) -> None:
    """Repeated under its token it answers what is stored, whatever result comes with it."""
    fence = story.started()
    request = RecordEffect(fence, "e", "f", Json('"one"'))
    reply: EffectRecorded = story.ok(request, result=Json('"one"'))
    story.again(request, reply)
    story.again(evolve(request, result=Json('"two"')), reply)


@scenario("S10")
def the_first_writer_of_an_effect_wins(story: Story) -> None:
    """A later token gets the result that an earlier one recorded, and writes nothing."""
    first = story.started()
    story.ok(RecordEffect(first, "e", "f", Json('"one"')))
    story.later(TTL)
    second = story.take("p", "x")
    story.ok(RecordEffect(second, "e", "f", Json('"two"')), result=Json('"one"'))
    story.row("p", version=second.token)


@scenario("S10 S5")
def a_replayed_effect_is_answered_after_the_expiry(story: Story) -> None:
    """Replay comes before the fence: what was applied under this token is answered, though the lease is over."""
    fence = story.started()
    request = RecordEffect(fence, "e", "f", Json("1"))
    reply = story.ok(request)
    story.later(TTL)
    story.again(request, reply)
    story.fenced(RecordEffect(fence, "new", "f", Json("1")))


@scenario("S10 S7")
def a_replayed_effect_is_answered_after_loss_and_end(story: Story) -> None:
    """Replay comes before terminal and before the fence, for the loser as for the one who ended it."""
    first = story.started()
    request = RecordEffect(first, "e", "f", Json("1"))
    story.ok(request)
    story.later(TTL)
    second = story.take("p", "x")
    story.ok(request, result=Json("1"))
    story.ok(Complete(second, success()))
    story.ok(request, result=Json("1"))
    story.fenced(RecordEffect(second, "e", "f", Json("1")))


@scenario("S10")
def an_effect_of_another_call_is_a_mismatch(story: Story) -> None:
    """The key was used for another fingerprint: refused, under the same token and under a later one."""
    first = story.started()
    story.ok(RecordEffect(first, "e", "f", NULL))
    story.refused("effect_mismatch", RecordEffect(first, "e", "g", NULL))
    story.later(TTL)
    second = story.take("p", "x")
    story.refused("effect_mismatch", RecordEffect(second, "e", "g", NULL))
    story.ok(RecordEffect(second, "other", "g", NULL))


@scenario("S4")
def a_mismatch_is_not_told_to_a_stranger(story: Story) -> None:
    """The fence comes before an earlier key: who lost the row is fenced, not refused."""
    first = story.started()
    story.ok(RecordEffect(first, "e", "f", NULL))
    story.later(TTL)
    story.take("p", "x")
    story.fenced(RecordEffect(first, "e", "g", NULL))


@scenario("S4", limits=SMALL)
def an_effects_key_and_result_are_bounded(story: Story) -> None:
    """Blank, too long and unstorable keys, and results beyond the limit, are refused; the lease stays."""
    fence = story.started()
    for key, reason in (("", "blank"), (" ", "blank"), ("x" * 11, "name_too_long"), ("a\0", "bad_text")):
        story.refused(reason, RecordEffect(fence, key, "f", NULL))
    story.refused("name_too_long", RecordEffect(fence, "e", "x" * 11, NULL))
    story.refused("too_large", RecordEffect(fence, "e", "f", Json('"' + "x" * 39 + '"')))
    story.ok(RecordEffect(fence, "x" * 10, "", Json('"' + "x" * 38 + '"')))


@scenario("S21", Ability.REOPEN)
def effects_and_events_are_there_after_a_restart(story: Story) -> None:
    """What was acknowledged is in every later read."""
    fence = story.started()
    story.ok(RecordEffect(fence, "e", "f", Json('"kept"')))
    story.ok(EmitEvent(fence, "progress", Json('"kept"'), "k"))
    story.reopen()
    story.ok(RecordEffect(fence, "e", "f", Json('"again"')), result=Json('"kept"'))
    story.ok(EmitEvent(fence, "progress", Json('"again"'), "k"), seq=1)


# --- events of handlers ---------------------------------------------------------------------------------------------


@scenario("S10")
def an_event_counts_once_per_key(story: Story) -> None:
    """A replay under its token answers its number; a later token's event of that key is the stored one."""
    first = story.started(emits=("progress", "other"))
    request = EmitEvent(first, "progress", Json("1"), "k")
    reply: EventAppended = story.ok(request, seq=1)
    story.again(request, reply)
    story.later(TTL)
    second = story.take("p", "x")
    story.ok(request, seq=1)
    story.ok(EmitEvent(second, "other", Json("2"), "k"), seq=1)
    story.ok(EmitEvent(second, "other", Json("2"), "l"), seq=2)


@scenario("S5")
def an_event_does_not_test_the_expiry(story: Story) -> None:
    """While the token stands, what the handler said is worth keeping."""
    fence = story.started()
    story.later(5 * TTL)
    story.ok(EmitEvent(fence, "progress", NULL, "late"), seq=1)


@scenario("S4 S7")
def a_replayed_event_is_answered_after_the_end(story: Story) -> None:
    """Its own token's replay is answered; anything new is fenced."""
    fence = story.started()
    request = EmitEvent(fence, "progress", NULL, "k")
    story.ok(request, seq=1)
    story.ok(Complete(fence, success()))
    story.ok(request, seq=1)
    story.fenced(EmitEvent(fence, "progress", NULL, "new"))


@scenario("S4")
def only_declared_events_are_emitted(story: Story) -> None:
    """Types that the registration lists, and never the registry's own `process.*`."""
    fence = story.started(emits=("progress",))
    story.refused("undeclared_event", EmitEvent(fence, "surprise", NULL, "k"))
    story.refused("reserved_event", EmitEvent(fence, "process.ended", NULL, "k"))
    story.refused("blank", EmitEvent(fence, "", NULL, "k"), EmitEvent(fence, "progress", NULL, " "))
    story.ok(EmitEvent(fence, "progress", NULL, "k"), seq=1)


@scenario("S10")
def keys_of_handlers_and_clients_are_kept_apart(story: Story) -> None:
    """A client's key takes nobody else's: the handler's event of that key is a new one."""
    fence = story.started()
    story.ok(AppendEvent("p", "signal", NULL, "k"), seq=1)
    story.ok(EmitEvent(fence, "progress", NULL, "k"), seq=2)
    story.ok(AppendEvent("p", "signal", NULL, "k"), seq=1)


# --- events of clients ----------------------------------------------------------------------------------------------


@scenario("S10")
def a_clients_event_counts_once_per_key(story: Story) -> None:
    """The first stays, whatever type and payload come with the key again."""
    story.register("p")
    request = AppendEvent("p", "signal", Json("1"), "k")
    reply = story.ok(request, seq=1)
    story.again(request, reply)
    story.again(evolve(request, type="other", payload=Json("2")), reply)
    story.ok(AppendEvent("p", "signal", NULL, "l"), seq=2)


@scenario("S7 S10")
def a_log_is_closed_by_its_terminal_event(story: Story) -> None:
    """A client's event after the end is refused; one from before is still a replay."""
    fence = story.started()
    story.ok(AppendEvent("p", "signal", NULL, "k"), seq=1)
    story.ok(Complete(fence, success()))
    story.ok(AppendEvent("p", "signal", NULL, "k"), seq=1)
    story.refused("ended", AppendEvent("p", "signal", NULL, "new"))


@scenario("S10", limits=SMALL)
def a_clients_event_is_bounded(story: Story) -> None:
    """The process must exist, `process.*` is the registry's, names and payload have their limits."""
    story.register("p")
    story.refused("not_found", AppendEvent("nobody", "t", NULL, "k"))
    story.refused("reserved_event", AppendEvent("p", "process.ended", NULL, "k"))
    story.refused("blank", AppendEvent("p", " ", NULL, "k"), AppendEvent("p", "t", NULL, ""))
    story.refused("bad_text", AppendEvent("p", "t", NULL, "\0"), AppendEvent("p", "t", Json('"\0"'), "k"))
    story.refused(
        "name_too_long", AppendEvent("p", "x" * 11, NULL, "k"), AppendEvent("p", "t", NULL, "x" * 11)
    )
    story.refused("too_large", AppendEvent("p", "t", Json('"' + "x" * 39 + '"'), "k"))
    story.ok(AppendEvent("p", "undeclared", NULL, "k"), seq=1)


@scenario("S4")
def a_clients_event_needs_no_holder(story: Story) -> None:
    """Signals reach a process that waits, runs or has expired; the lease is not touched."""
    fence = story.started()
    story.ok(AppendEvent("p", "signal", NULL, "a"), seq=1)
    story.later(TTL)
    story.ok(AppendEvent("p", "signal", NULL, "b"), seq=2)
    story.row("p", held=True, token=fence.token)


SCENARIOS = told_in(globals())
