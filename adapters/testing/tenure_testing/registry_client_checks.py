"""Checks of clients' requests: registering, events, cancelling, external work, pruning (CONTRACT §4; S6, S7, S16)."""

from __future__ import annotations

from attrs import evolve

from tenure.canonical import NULL, Json, canonical
from tenure.limits import Limits
from tenure.process import (
    Cancelled,
    EndedBy,
    External,
    Failure,
    Provenance,
    Registration,
    Success,
    Work,
    terminal_event,
)
from tenure.replies import (
    CancelAccepted,
    Completed,
    EffectsRead,
    EventAppended,
    Pruned,
    Reason,
    Registered,
    Stamp,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Complete,
    CompleteExternal,
    EmitEvent,
    Get,
    Prune,
    ReadEffects,
    RecordEffect,
    Register,
    Renew,
    RequestCancel,
)
from tenure_testing.registry_world import TTL, World, expect, external, holds, process, reply_of, success


def registering_is_idempotent(world: World) -> None:
    """Register: the same content under the same id answers the same, whatever became of the process; the delay is no
    content; other content is a conflict."""
    wanted = process("p", payload=Json('{"a":1}'), owner_scope="s")
    answer = world.ask(Register(wanted))
    row = world.record("p")
    expect(row.registration, wanted)
    expect(reply_of(answer, Registered), Registered(Stamp(0, row.version, row.changed_at), row.seq))
    world.clock.now += 5
    world.repeats(Register(wanted), answer)
    world.repeats(Register(wanted, 77), answer)
    for other in (
        evolve(wanted, input=Work("k", Json('{"a":2}'))),
        evolve(wanted, input=Work("other", Json('{"a":1}'))),
        evolve(wanted, input=External(Json('{"a":1}'))),
        evolve(wanted, event_types=()),
        evolve(wanted, provenance=Provenance("t")),
        evolve(wanted, provenance=Provenance("s", "profile")),
    ):
        world.refused(Register(other), Reason.CONFLICT)
    world.complete(world.take("p"))
    row = world.record("p")
    again = world.reply(Register(wanted), Registered)
    expect(again, Registered(Stamp(row.token, row.version, row.changed_at), row.seq))


def bad_names_are_refused(world: World) -> None:
    """Ids, kinds, types: not blank, at most 255 characters, no NUL, no lone surrogate; the same on every store."""
    good = process("p")
    for text, reason in (
        ("", Reason.BLANK),
        (" \t\n", Reason.BLANK),
        ("x" * 256, Reason.NAME_TOO_LONG),
        ("a\0b", Reason.BAD_TEXT),
        ("\ud800", Reason.BAD_TEXT),
        ("ok\udfff", Reason.BAD_TEXT),
    ):
        world.refused(Register(evolve(good, id=text)), reason)
        world.refused(Register(evolve(good, input=Work(text))), reason)
        world.refused(Register(evolve(good, event_types=("fine", text))), reason)
        world.refused(Register(external(text)), reason)
        if reason is not Reason.BLANK:
            world.refused(Register(evolve(good, provenance=Provenance(text))), reason)
            world.refused(Register(evolve(good, provenance=Provenance("", text))), reason)
        for request in (Get(text), AppendEvent(text, "t", NULL, "k"), RequestCancel(text)):
            world.refused(request, Reason.NOT_FOUND)
    world.refused(Register(evolve(good, event_types=("process.mine",))), Reason.RESERVED_EVENT)
    expect(world.rows(), ())


def long_and_strange_names_come_back_equal(world: World) -> None:
    """255 characters are 255 characters, not bytes; case, spaces and normal forms keep ids apart."""
    names = [
        "\U0001f600" * 255,
        "\u00e9",
        "e\u0301",
        "P",
        "p",
        " p",
        "%41",
        "A",
        "'; DROP TABLE processes --",
        "a\u2028b",
    ]
    for name in names:
        world.register(name, kind=name, emits=(name,), owner_scope=name, profile=name)
    expect([row.id for row in world.rows()], names)
    for name in names:
        expect(world.record(name).registration, process(name, name, NULL, (name,), name, name))


def bodies_are_bounded_in_bytes(world: World) -> None:
    """A payload may take 1 MiB of UTF-8, and not one byte more."""
    most = Limits().payload
    fits = Json('"' + "x" * (most - 2) + '"')
    world.reply(Register(process("p", payload=fits)), Registered)
    expect(world.record("p").registration.input, Work("k", fits))
    world.refused(Register(process("q", payload=Json(fits + " "))), Reason.TOO_LARGE)
    world.refused(Register(process("q", payload=Json('"' + "é" * (most // 2) + '"'))), Reason.TOO_LARGE)
    world.refused(Register(external("q", Json(fits + " "))), Reason.TOO_LARGE)


def bodies_come_back_equal(world: World) -> None:
    """JSON is stored as text: floats, integers of any size and every character come back as they were."""
    nested: dict[str, dict[str, object]] = {"": {"b": [[0], {"c": 0}, ""], "a": 1e16}}
    values: tuple[object, ...] = (
        0.1 + 0.2,
        -0.0,
        1e-308,
        1.7976931348623157e308,
        2**53 + 1,
        2**64,
        -(10**300),
        1,
        1.0,
        True,
        None,
        "\x1f\x7f\u2028é\U0001f600￿",
        nested,
    )
    for number, value in enumerate(values):
        name, text = f"p{number}", canonical(value)
        world.reply(Register(process(name, payload=text)), Registered)
        fence = world.take(name, n=number + 1)
        world.ask(RecordEffect(fence, "e", "f", text))
        world.ask(EmitEvent(fence, "progress", text, "k"))
        world.ask(Complete(fence, Success(text, text)))
        row = world.record(name)
        expect((row.registration.input, row.outcome), (Work("k", text), Success(text, text)))
        expect(world.log(name)[0].payload, text)
        expect(world.reply(ReadEffects(name), EffectsRead).effects[0].result, text)


def a_clients_event_is_appended_once(world: World) -> None:
    """AppendEvent: idempotent by key, also after the end; refused after the terminal event (S7)."""
    fence = world.started()
    request = AppendEvent("p", "signal", Json("1"), "k")
    answer = world.ask(request)
    expect(reply_of(answer, EventAppended).seq, 1)
    world.repeats(request, answer)
    world.repeats(evolve(request, type="other", payload=Json("2")), answer)
    world.reply(EmitEvent(fence, "progress", NULL, "k"), EventAppended)
    expect(
        [(e.seq, e.type, e.token) for e in world.log("p")], [(1, "signal", 0), (2, "progress", fence.token)]
    )
    world.complete(fence)
    expect(world.reply(request, EventAppended).seq, 1, "after the end, a replay")
    world.refused(AppendEvent("p", "signal", NULL, "new"), Reason.ENDED)


def bad_events_are_refused(world: World) -> None:
    """AppendEvent: `process.*` is reserved, names and sizes are bounded, the process must exist."""
    world.register("p")
    world.reply(AppendEvent("p", "t", NULL, "good"), EventAppended)
    for request, reason in (
        (AppendEvent("p", "t", NULL, "\ud800"), Reason.BAD_TEXT),
        (AppendEvent("nobody", "t", NULL, "k"), Reason.NOT_FOUND),
        (AppendEvent("p", "process.ended", NULL, "k"), Reason.RESERVED_EVENT),
        (AppendEvent("p", " ", NULL, "k"), Reason.BLANK),
        (AppendEvent("p", "t", NULL, ""), Reason.BLANK),
        (AppendEvent("p", "t", NULL, "\0"), Reason.BAD_TEXT),
        (AppendEvent("p", "t", Json('"\ud800"'), "k"), Reason.BAD_TEXT),
        (AppendEvent("p", "x" * 256, NULL, "k"), Reason.NAME_TOO_LONG),
        (AppendEvent("p", "t", Json('"' + "x" * (1 << 20) + '"'), "k"), Reason.TOO_LARGE),
    ):
        world.refused(request, reason)


def cancelling_what_waits_ends_it(world: World) -> None:
    """S16: a row that is not live ends as cancelled in the same transaction; both events are in its log."""
    world.register("p")
    reply = world.reply(RequestCancel("p", "why"), CancelAccepted)
    row = world.record("p")
    expect(reply, CancelAccepted(Stamp(0, row.version, row.changed_at), Cancelled("why")))
    expect((row.outcome, row.ended_by, row.cancel), (Cancelled("why"), EndedBy.CANCEL, "why"))
    log = world.log("p")
    expect([(e.seq, e.type) for e in log], [(1, "process.cancel_requested"), (2, "process.ended")])
    expect((log[0].payload, log[1]), (canonical({"reason": "why"}), terminal_event(row)))
    world.repeats(RequestCancel("p", "again"), Succeeded(reply))


def cancelling_what_runs_sets_a_flag(world: World) -> None:
    """S16: on a live row it is a sticky flag, the first reason wins; the holder still decides how it ends."""
    fence = world.started()
    reply = world.reply(RequestCancel("p", "first"), CancelAccepted)
    expect(reply.outcome, None)
    row = world.record("p")
    expect((row.cancel, row.held, row.token), ("first", True, fence.token))
    world.repeats(RequestCancel("p", "second"), Succeeded(reply))
    expect([event.type for event in world.log("p")], ["process.cancel_requested"])
    world.complete(fence, "finished anyway")
    expect(world.record("p").outcome, success("finished anyway"), "complete came first in row order")
    expect(world.reply(RequestCancel("p", "third"), CancelAccepted).outcome, success("finished anyway"))


def cancelling_what_expired_ends_it(world: World) -> None:
    """S16: an expired holder is none; it is fenced from then on. A flag set before ends it with the first reason."""
    for name in ("a", "b"):
        world.register(name)
    a, b = (grant.fence for grant in world.claim("w", 1))
    world.ask(RequestCancel("b", "first"))
    world.clock.now += TTL
    expect(world.reply(RequestCancel("a", "late"), CancelAccepted).outcome, Cancelled("late"))
    expect(world.reply(RequestCancel("b", "late"), CancelAccepted).outcome, Cancelled("first"))
    for fence in (a, b):
        world.fenced(Complete(fence, success()))
        world.fenced(Renew(fence, TTL))


def cancelling_is_refused_where_it_makes_no_sense(world: World) -> None:
    """RequestCancel: the process must exist, the reason be a text that stores carry."""
    world.refused(RequestCancel("nobody"), Reason.NOT_FOUND)
    world.register("p")
    world.refused(RequestCancel("p", "\ud800"), Reason.BAD_TEXT)
    world.refused(RequestCancel("p", "x" * ((1 << 20) + 1)), Reason.TOO_LARGE)


def external_work_is_completed_from_outside(world: World) -> None:
    """CompleteExternal: for external rows only; the authority is recorded; a replay goes by outcome and authority."""
    world.reply(Register(external("p", Json('{"ticket":7}'))), Registered)
    expect(world.record("p").registration.input, External(Json('{"ticket":7}')))
    request = CompleteExternal("p", "billing", Failure("Declined", "card", "no"))
    answer = world.ask(request)
    row = world.record("p")
    expect(reply_of(answer, Completed), Completed(Stamp(0, row.version, row.changed_at), request.outcome))
    expect((row.outcome, row.authority, row.ended_by), (request.outcome, "billing", EndedBy.EXTERNAL))
    expect([event.type for event in world.log("p")], ["process.ended"])
    world.repeats(request, answer)
    world.refused(evolve(request, authority="somebody"), Reason.CONFLICT)
    world.refused(evolve(request, outcome=success()), Reason.CONFLICT)


def external_completion_is_bounded(world: World) -> None:
    """CompleteExternal: no handler's row, no missing row, no nameless authority; a cancelled one is over."""
    world.register("handled")
    world.refused(CompleteExternal("handled", "me", success()), Reason.NOT_EXTERNAL)
    world.refused(CompleteExternal("nobody", "me", success()), Reason.NOT_FOUND)
    world.reply(Register(external("p")), Registered)
    world.refused(CompleteExternal("p", " ", success()), Reason.BLANK)
    world.refused(CompleteExternal("p", "me", Failure("\ud800", "", "")), Reason.BAD_TEXT)
    expect(world.reply(RequestCancel("p", "gone"), CancelAccepted).outcome, Cancelled("gone"))
    world.refused(CompleteExternal("p", "me", success()), Reason.CONFLICT)


def the_terminal_absorbs(world: World) -> None:
    """S6, S7: whatever is asked of an ended process, its row and log stay as they were at its end."""
    world.complete(world.started(), "done")
    before = world.everything()
    for request in (
        Register(process("p")),
        Register(process("p", payload=Json("1"))),
        AppendEvent("p", "t", NULL, "k"),
        RequestCancel("p", "late"),
        CompleteExternal("p", "me", success()),
        Prune(),
        Get("p"),
    ):
        world.ask(request)
        world.clock.now += TTL
        expect(world.everything(), before, f"after {request!r}")


def pruning_spares_the_retry_horizon(world: World) -> None:
    """Prune: rows that ended more than the horizon ago, even where less is asked for; never what has not ended."""
    horizon = Limits().retry_horizon
    world.register("waiting")
    world.complete(world.started("p"))
    world.clock.now += horizon
    expect(world.reply(Prune(0), Pruned).count, 0)
    world.clock.now += 1
    expect(world.reply(Prune(horizon + 2), Pruned).count, 0, "older than asked for")
    expect(world.reply(Prune(0), Pruned).count, 1)
    expect([row.id for row in world.rows()], ["waiting"])


def pruning_takes_the_oldest_up_to_its_limit(world: World) -> None:
    """Prune: in the order of seq, at most `limit`."""
    for n, name in enumerate(("a", "b", "c", "d"), 1):
        world.register(name)
        world.complete(world.take(name, n=n))
    world.clock.now += Limits().retry_horizon + 1
    expect(world.reply(Prune(0, 3), Pruned).count, 3)
    expect([row.id for row in world.rows()], ["d"])


def pruning_takes_all_that_hangs_on_a_row(world: World) -> None:
    """Prune: events and effects go with the row; a process registered anew under the id begins empty (S2)."""
    fence = world.started()
    world.ask(RecordEffect(fence, "e", "f", Json('"old"')))
    world.ask(EmitEvent(fence, "progress", Json('"old"'), "k"))
    world.ask(AppendEvent("p", "signal", Json('"old"'), "k"))
    world.complete(fence)
    old = world.record("p")
    world.clock.now += Limits().retry_horizon + 1
    expect(world.reply(Prune(0), Pruned).count, 1)
    world.refused(Get("p"), Reason.NOT_FOUND)
    expect(world.reply(ReadEffects("p"), EffectsRead).effects, ())
    world.register("p")
    row = world.record("p")
    holds(
        row.seq > old.version and row.version > old.version, "numbers grow through prune and re-registration"
    )
    expect((world.log("p"), world.reply(ReadEffects("p"), EffectsRead).effects), ((), ()))
    again = world.take("p", "x")
    holds(again.token > old.version, "and so do tokens")
    expect(world.reply(EmitEvent(again, "progress", Json('"new"'), "k"), EventAppended).seq, 1)
    world.ask(RecordEffect(again, "e", "g", Json('"new"')))
    expect(world.reply(ReadEffects("p"), EffectsRead).effects[0].result, Json('"new"'))


def a_registration_without_frills(world: World) -> None:
    """The least that a registration may be, and what a new row looks like."""
    world.reply(Register(Registration("p", Work("k")), 40), Registered)
    row = world.record("p")
    expect((row.token, row.claim, row.held, row.outcome, row.cancel), (0, None, False, None, None))
    expect((row.claims, row.lost, row.events, row.authority), (0, 0, 0, ""))
    expect((row.changed_at, row.ready_at, row.seq), (world.clock.now, world.clock.now + 40, row.version))


CLIENT_CHECKS = (
    registering_is_idempotent,
    bad_names_are_refused,
    long_and_strange_names_come_back_equal,
    bodies_are_bounded_in_bytes,
    bodies_come_back_equal,
    a_clients_event_is_appended_once,
    bad_events_are_refused,
    cancelling_what_waits_ends_it,
    cancelling_what_runs_sets_a_flag,
    cancelling_what_expired_ends_it,
    cancelling_is_refused_where_it_makes_no_sense,
    external_work_is_completed_from_outside,
    external_completion_is_bounded,
    the_terminal_absorbs,
    pruning_spares_the_retry_horizon,
    pruning_takes_the_oldest_up_to_its_limit,
    pruning_takes_all_that_hangs_on_a_row,
    a_registration_without_frills,
)
