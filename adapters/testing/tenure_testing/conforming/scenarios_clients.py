"""Scenarios: what clients ask: registering, events, cancelling, external work, pruning, and bounds (CONTRACT §4)."""

from __future__ import annotations

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.process import Cancelled, EndedBy, External, Failure, Provenance, Registration, Work
from tenure.requests import (
    AppendEvent,
    Claim,
    Complete,
    CompleteExternal,
    EmitEvent,
    Get,
    Prune,
    ReadEffects,
    ReadEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure_testing.conforming.story import HORIZON, SHORT, SMALL, TTL, Story, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import external, process, success

# --- registering ----------------------------------------------------------------------------------------------------


@scenario("S10")
def a_registration_is_repeatable(story: Story) -> None:
    """The same content under the same id answers the same; the delay is no content."""
    wanted = process("p", payload=Json('{"a":1}'), owner_scope="s")
    reply = story.ok(Register(wanted))
    story.later(5)
    story.again(Register(wanted), reply)
    story.again(Register(wanted, 77), reply)
    story.row("p", ready_at=story.now - 5)


@scenario("S10")
def another_registration_of_the_id_is_a_conflict(story: Story) -> None:
    """Payload, kind, sort of input, event types, owner and profile are the content; any other is refused."""
    wanted = process("p", payload=Json("1"), owner_scope="s")
    story.ok(Register(wanted))
    for other in (
        evolve(wanted, input=Work("k", Json("2"))),
        evolve(wanted, input=Work("other", Json("1"))),
        evolve(wanted, input=External(Json("1"))),
        evolve(wanted, event_types=()),
        evolve(wanted, provenance=Provenance("t")),
        evolve(wanted, provenance=Provenance("s", "profile")),
    ):
        story.refused("conflict", Register(other))


@scenario("S7 S10")
def registering_what_has_ended_changes_nothing(story: Story) -> None:
    """A repeated start of a finished process is answered with the row as it is, and starts nothing."""
    fence = story.started()
    story.ok(Complete(fence, success()))
    version = story.row("p").version
    story.ok(Register(process("p")))
    story.row("p", version=version, outcome=success())


@scenario("S2 S20")
def what_a_new_row_looks_like(story: Story) -> None:
    """No token, no claim, no holder, all counters 0, and ready after the delay."""
    story.ok(Register(Registration("p", Work("k")), 40))
    row = story.row(
        "p", token=0, claim=None, held=False, claims=0, lost=0, events=0, outcome=None, authority=""
    )
    story.expect("times", (row.changed_at, row.ready_at), (story.now, story.now + 40))
    story.expect("seq", row.seq, row.version)


@scenario("S10", limits=SMALL)
def names_are_bounded_in_characters(story: Story) -> None:
    """Ids, kinds and event types: not blank, at most `name` characters, no U+0000; nothing is made of a bad one."""
    good = process("p")
    for text, reason in (
        ("", "blank"),
        (" \t\n", "blank"),
        ("x" * 11, "name_too_long"),
        ("a\0b", "bad_text"),
    ):
        story.refused(
            reason,
            Register(evolve(good, id=text)),
            Register(evolve(good, input=Work(text))),
            Register(evolve(good, event_types=("fine", text))),
            Register(external(text)),
        )
        if reason != "blank":
            story.refused(reason, Register(evolve(good, provenance=Provenance(text))))
            story.refused(reason, Register(evolve(good, provenance=Provenance("", text))))
        story.refused("not_found", Get(text), AppendEvent(text, "t", NULL, "k"), RequestCancel(text))
    story.ok(Register(process("\U0001f600" * 10)))
    story.refused("not_found", Get("p"))


@scenario("S10")
def white_space_of_any_script_is_blank(story: Story) -> None:
    """No-break, ideographic and other spaces and separators make no name; what is merely not seen, as U+FEFF, does."""
    for text in ("\u00a0", "\u3000", "\u2003\u2029", "\u0085", "\u001c\u001f", " \u00a0\t"):
        story.refused(
            "blank", Register(process(text)), Register(process("p", kind=text)), Register(external(text))
        )
    story.register("\u3000p", "\ufeff", "\u200b")


@scenario("S10", Ability.SURROGATES)
def names_are_texts(story: Story) -> None:
    """A lone surrogate is refused wherever a name is stored, and not found where one is looked up."""
    story.refused(
        "bad_text", Register(process("\ud800")), Register(evolve(process("p"), input=Work("ok\udfff")))
    )
    story.refused("not_found", Get("\ud800"), RequestCancel("\ud800"), ReadEvents("\ud800"))


@scenario("S10")
def names_are_kept_apart_as_they_are(story: Story) -> None:
    """Case, spaces, normal forms and quotes make other names; nothing is folded, trimmed or interpreted."""
    names = (
        "é",
        "e\u0301",
        "P",
        "p",
        " p",
        "p ",
        "%41",
        "A",
        "'; DROP TABLE processes --",
        "a\u2028b",
        "\ufeffp",
    )
    for name in names:
        story.register(name, kind=name, emits=(name,), owner_scope=name, profile=name)
    for name in names:
        story.row(name, registration=process(name, name, NULL, (name,), name, name))


@scenario("S10", limits=SMALL)
def bodies_are_bounded_in_bytes(story: Story) -> None:
    """A payload may take `payload` bytes of UTF-8, and not one more."""
    fits = Json('"' + "x" * 38 + '"')
    story.register("p", payload=fits)
    story.refused("too_large", Register(process("q", payload=Json(fits + " "))))
    story.refused("too_large", Register(process("q", payload=Json('"' + "é" * 20 + '"'))))
    story.refused("too_large", Register(external("q", Json(fits + " "))))
    story.register("r", payload=Json('"' + "é" * 19 + '"'))


@scenario("S10")
def bodies_come_back_as_they_were_sent(story: Story) -> None:
    """JSON is a text to a store: large integers, floats, escapes and the order of keys stay what they are."""
    for n, text in enumerate(
        (
            "9007199254740993",
            "18446744073709551616",
            "1e+16",
            "-0.0",
            "1.0",
            "1e-308",
            '{"b":1,"a":2}',
            '"\\u0000"',
        )
    ):
        story.register(f"p{n}", payload=Json(text))
        fence = story.take(f"p{n}")
        story.ok(RecordEffect(fence, "e", "f", Json(text)), result=Json(text))
        story.ok(EmitEvent(fence, "progress", Json(text), "k"))


@scenario("S10")
def the_registrys_own_event_types_cannot_be_declared(story: Story) -> None:
    """`process.*` is reserved: a handler could otherwise write a process's end."""
    story.refused("reserved_event", Register(process("p", emits=("process.mine",))))
    story.refused("not_found", Get("p"))


# --- cancelling -----------------------------------------------------------------------------------------------------


@scenario("S16")
def cancelling_what_waits_ends_it(story: Story) -> None:
    """In one transaction: the flag, its event, the outcome and the terminal event."""
    story.register("p")
    reply = story.ok(RequestCancel("p", "why"), outcome=Cancelled("why"))
    story.row("p", outcome=Cancelled("why"), ended_by=EndedBy.CANCEL, cancel="why", events=2)
    read = story.ok(ReadEvents("p"), ended=True)
    story.expect("the log", [e.type for e in read.events], ["process.cancel_requested", "process.ended"])
    story.expect("its payload", read.events[0].payload, '{"reason":"why"}')
    story.again(RequestCancel("p", "again"), reply)


@scenario("S16")
def cancelling_what_runs_sets_a_flag(story: Story) -> None:
    """The holder goes on and decides how it ends; the row is still its own."""
    fence = story.started()
    story.ok(RequestCancel("p", "why"), outcome=None)
    story.row("p", cancel="why", held=True, token=fence.token, outcome=None, events=1)


@scenario("S16")
def the_first_reason_wins(story: Story) -> None:
    """A cancel is sticky: asked again it changes nothing, also where the first reason was empty."""
    story.started("p")
    story.started("q")
    for name, first in (("p", "first"), ("q", "")):
        reply = story.ok(RequestCancel(name, first))
        story.again(RequestCancel(name, "second"), reply)
        story.row(name, cancel=first, events=1)


@scenario("S16")
def cancelling_what_expired_ends_it(story: Story) -> None:
    """An expired holder is none; it is fenced from then on."""
    fence = story.started()
    story.later(TTL)
    story.ok(RequestCancel("p", "late"), outcome=Cancelled("late"))
    story.fenced(Complete(fence, success()), Renew(fence, TTL))


@scenario("S16")
def a_flag_set_before_ends_an_expired_row_with_its_own_reason(story: Story) -> None:
    """The second cancel finds the row not live, and ends it with the reason of the first."""
    story.started()
    story.ok(RequestCancel("p", "first"), outcome=None)
    story.later(TTL)
    story.ok(RequestCancel("p", "second"), outcome=Cancelled("first"))
    story.row("p", events=2)


@scenario("S7 S16 K10")
def cancelling_what_has_ended_answers_its_outcome(story: Story) -> None:
    """Terminal is absorbing: the outcome stays, and no flag and no event is added."""
    fence = story.started()
    story.ok(Complete(fence, success("first")))
    story.ok(RequestCancel("p", "late"), outcome=success("first"))
    story.row("p", cancel=None, events=1, outcome=success("first"))


@scenario("S16")
def cancelling_what_was_released_ends_it(story: Story) -> None:
    """Also while the row waits for its delay."""
    fence = story.started()
    story.ok(Release(fence, 500))
    story.ok(RequestCancel("p", "why"), outcome=Cancelled("why"))
    story.fenced(Release(fence, 500))


@scenario("S16", limits=SMALL)
def a_cancel_is_bounded(story: Story) -> None:
    """The process must exist, and the reason be a text within the limit."""
    story.register("p")
    story.refused("not_found", RequestCancel("nobody", "why"))
    story.refused("too_large", RequestCancel("p", "x" * 41))
    story.refused("bad_text", RequestCancel("p", "a\0b"))
    story.row("p", outcome=None, cancel=None)


@scenario("S16 S21", Ability.REOPEN)
def a_cancel_flag_is_there_after_a_restart(story: Story) -> None:
    """Sticky means in the row."""
    fence = story.started()
    story.ok(RequestCancel("p", "why"))
    story.reopen()
    story.ok(Renew(fence, TTL), cancel="why")
    story.ok(RequestCancel("p", "other"), outcome=None)


# --- external work --------------------------------------------------------------------------------------------------


@scenario("S6 S17")
def external_work_is_ended_from_outside(story: Story) -> None:
    """Who says so is recorded; no lease is needed."""
    story.ok(Register(external("p", Json('{"ticket":7}'))))
    outcome = Failure("Declined", "card", "no")
    reply = story.ok(CompleteExternal("p", "billing", outcome), outcome=outcome)
    story.row("p", outcome=outcome, authority="billing", ended_by=EndedBy.EXTERNAL, token=0)
    story.again(CompleteExternal("p", "billing", outcome), reply)


@scenario("S6 S11")
def another_end_of_external_work_is_a_conflict(story: Story) -> None:
    """Another outcome, or the same by another authority; the first stays."""
    story.ok(Register(external("p")))
    story.ok(CompleteExternal("p", "me", success(1)))
    story.refused(
        "conflict", CompleteExternal("p", "me", success(2)), CompleteExternal("p", "you", success(1))
    )


@scenario("S6", limits=SMALL)
def an_external_end_is_bounded(story: Story) -> None:
    """No handler's row, no missing row, no nameless authority, no outcome beyond the limit."""
    story.register("handled")
    story.ok(Register(external("p")))
    story.refused("not_external", CompleteExternal("handled", "me", success()))
    story.refused("not_found", CompleteExternal("nobody", "me", success()))
    story.refused("blank", CompleteExternal("p", " ", success()))
    story.refused("name_too_long", CompleteExternal("p", "x" * 11, success()))
    story.refused("too_large", CompleteExternal("p", "me", success("x" * 40)))


@scenario("S7 S16")
def cancelled_external_work_is_over(story: Story) -> None:
    """A cancel ends it at once, and a completion that comes later is a conflict."""
    story.ok(Register(external("p")))
    story.ok(RequestCancel("p", "gone"), outcome=Cancelled("gone"))
    story.refused("conflict", CompleteExternal("p", "me", Cancelled("gone")))


# --- pruning --------------------------------------------------------------------------------------------------------


@scenario("S11", limits=SHORT)
def pruning_spares_the_retry_horizon(story: Story) -> None:
    """Rows that ended more than the horizon ago, even where less is asked for, so that every replay is still known."""
    fence = story.started()
    story.ok(Complete(fence, success()))
    story.later(HORIZON)
    story.ok(Prune(0), count=0)
    story.ok(Complete(fence, success()))
    story.later(1)
    story.ok(Prune(HORIZON + 2), count=0)
    story.ok(Prune(0), count=1)
    story.refused("not_found", Get("p"))


@scenario("S17", limits=SHORT)
def pruning_spares_what_has_not_ended(story: Story) -> None:
    """However old: a row that waits, one that is held, one that expired."""
    story.register("waits")
    story.started("held")
    story.later(100 * HORIZON)
    story.ok(Prune(), count=0)


@scenario("S22", limits=SHORT)
def pruning_takes_the_first_registered_up_to_its_limit(story: Story) -> None:
    """In the order of seq, at most `limit`, and says how many."""
    for name in "abcd":
        story.ok(Complete(story.started(name), success()))
    story.later(HORIZON + 1)
    story.ok(Prune(0, 3), count=3)
    story.ok(Get("d"))


@scenario("S2 S11 K20", limits=SHORT)
def pruning_takes_all_that_hangs_on_a_row(story: Story) -> None:
    """Events, effects and keys go along: a process registered anew under the id begins empty."""
    fence = story.started()
    story.ok(RecordEffect(fence, "e", "f", Json('"old"')))
    story.ok(EmitEvent(fence, "progress", Json('"old"'), "k"))
    story.ok(AppendEvent("p", "signal", Json('"old"'), "k"))
    story.ok(Complete(fence, success()))
    story.later(HORIZON + 1)
    story.ok(Prune(), count=1)
    story.refused("not_found", ReadEvents("p"))
    story.ok(ReadEffects("p"), effects=())
    story.register("p")
    story.ok(ReadEvents("p"), events=(), ended=False)
    again = story.take("p", "x")
    story.ok(RecordEffect(again, "e", "g", Json('"new"')), result=Json('"new"'))
    story.ok(EmitEvent(again, "progress", Json('"new"'), "k"), seq=1)


@scenario("S7 K10", limits=SHORT)
def the_terminal_absorbs(story: Story) -> None:
    """Whatever is asked of an ended process, by whom ever, row and log stay as they were at its end."""
    fence = story.started()
    story.ok(Complete(fence, success("end")))
    row = story.row("p")
    story.ok(RequestCancel("p", "late"))
    story.refused("ended", AppendEvent("p", "t", NULL, "k"), Claim(story.claim_id("x"), "p", TTL))
    story.refused("not_external", CompleteExternal("p", "me", success()))
    story.refused("conflict", Register(process("p", payload=Json("1"))))
    story.later(HORIZON)
    story.ok(Prune(), count=0)
    story.expect("the row", story.row("p"), row)


SCENARIOS = told_in(globals())
