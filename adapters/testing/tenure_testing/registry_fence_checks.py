"""Checks of requests under a lease: replay, terminal, fence, earlier key, in this order (CONTRACT §3–§4; S4–S11)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.process import Cancelled, ClaimId, EndedBy, Failure, Fence, Outcome, Success, terminal_event
from tenure.replies import (
    Completed,
    EffectRecorded,
    EventAppended,
    Reason,
    Registered,
    Released,
    Renewed,
    Stamp,
    Succeeded,
)
from tenure.requests import (
    Complete,
    EmitEvent,
    FencedRequest,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure_testing.registry_world import TTL, World, expect, external, holds, process, reply_of, success


def _all_under(fence: Fence) -> Iterator[FencedRequest]:
    yield Renew(fence, TTL)
    yield RecordEffect(fence, "new-effect", "f", NULL)
    yield EmitEvent(fence, "progress", NULL, "new-event")
    yield Release(fence, 5)
    yield Complete(fence, success("stale"))


def only_the_rows_own_fence_holds(world: World) -> None:
    """S4: token, incarnation and claim number must all be the row's; nothing else writes, nothing is inserted."""
    fence = world.started()
    strangers = [
        evolve(fence, token=fence.token + 1),
        evolve(fence, token=fence.token - 1),
        evolve(fence, token=0),
        evolve(fence, claim=ClaimId("w", 2)),
        evolve(fence, claim=ClaimId("other", 1)),
        evolve(fence, process_id="nobody"),
        evolve(fence, process_id="\ud800"),
        evolve(fence, claim=ClaimId("\ud800", 1)),
    ]
    for stranger in strangers:
        for request in _all_under(stranger):
            world.fenced(request)
    world.complete(fence)


def a_fence_of_another_process_does_not_hold(world: World) -> None:
    """S4, S22: rows of one claim share its lease token, yet each has a fencing token of its own."""
    world.register("a")
    world.register("b")
    a, b = (grant.fence for grant in world.claim("w", 1))
    for request in _all_under(evolve(a, token=b.token)):
        world.fenced(request)


def a_row_that_was_never_claimed_fences(world: World) -> None:
    """S4: a waiting row has no holder; a fence with its token 0 does not hold."""
    world.register("p")
    for request in _all_under(Fence("p", ClaimId("w", 1), 0)):
        world.fenced(request)


def the_superseded_is_fenced(world: World) -> None:
    """S5, S8: once another claim took the row, nothing that the old token asks for is done, a release neither."""
    old = world.started()
    world.clock.now += TTL
    new = world.take("p", "x")
    for request in _all_under(old):
        world.fenced(request)
    world.complete(new)
    for request in _all_under(old):
        world.fenced(request)


def the_released_is_fenced(world: World) -> None:
    """S8: after its release a token writes no more; releasing again is a replay, until somebody claims."""
    fence = world.started()
    answer = world.ask(Release(fence, 5))
    for request in _all_under(fence):
        if isinstance(request, Release):
            world.repeats(request, answer)
            world.repeats(Release(fence, 99), answer)
        else:
            world.fenced(request)
    world.clock.now += 5
    world.take("p", "w", 2)
    world.fenced(Release(fence, 5))


def the_terminal_fences_all_but_its_own_complete(world: World) -> None:
    """S7, §3.2: an ended row answers its own Complete's replay; everything else under any token is Fenced."""
    fence = world.started()
    world.complete(fence, "done")
    row = world.record("p")
    for request in _all_under(fence):
        if not isinstance(request, Complete):
            world.fenced(request)
    world.refused(Complete(fence, success("other")), Reason.CONFLICT)
    world.fenced(Complete(evolve(fence, token=fence.token + 1), success("done")))
    world.fenced(Complete(evolve(fence, claim=ClaimId("x", 1)), success("done")))
    world.clock.now += 10 * TTL
    expect(world.record("p"), row, "the row, long after its end")


def the_pruned_fences(world: World) -> None:
    """Prune: a fenced write to a missing row is Fenced and inserts nothing, also under a re-registered id."""
    fence = world.started()
    world.complete(fence)
    world.clock.now += 86_400_001
    world.ask(Prune())
    for request in _all_under(fence):
        world.fenced(request)
    world.register("p")
    for request in (*_all_under(fence), Complete(fence, success())):
        world.fenced(request)


def renewing_extends_and_never_shortens(world: World) -> None:
    """S9: the later of old and new expiry; tokens stay; each accepted renewal has a version of its own."""
    fence = world.started()
    world.clock.now += 400
    first = world.reply(Renew(fence, TTL), Renewed)
    expect((first.expires_at, first.cancel), (world.clock.now + TTL, None))
    row = world.record("p")
    expect((first.stamp, row.expires_at), (Stamp(fence.token, row.version, row.changed_at), first.expires_at))
    second = world.reply(Renew(fence, 1), Renewed)
    expect(second.expires_at, first.expires_at, "a shorter ttl")
    holds(second.stamp.version > first.stamp.version, "versions grow")
    expect(world.record("p").claims, 1)


def an_expired_lease_is_never_revived(world: World) -> None:
    """S5: Renew and RecordEffect test the expiry, which is exclusive, though nobody took the row yet."""
    fence = world.started()
    world.clock.now += TTL
    world.fenced(Renew(fence, TTL))
    world.fenced(RecordEffect(fence, "e", "f", NULL))
    world.clock.now -= 1
    world.reply(Renew(fence, TTL), Renewed)


def token_writes_do_not_test_the_expiry(world: World) -> None:
    """S5: while the token stands nobody took the process: Complete, Release and EmitEvent are accepted late."""
    for name in ("a", "b"):
        world.register(name)
    a, b = (grant.fence for grant in world.claim("w", 1))
    world.clock.now += 10 * TTL
    world.reply(EmitEvent(a, "progress", NULL, "late"), EventAppended)
    world.reply(Complete(a, success()), Completed)
    world.reply(Release(b), Released)


def a_renewal_carries_the_cancel_flag(world: World) -> None:
    """S16: a flag set on a live row rides on every renewal's reply; an empty reason is a reason."""
    fence = world.started()
    world.ask(RequestCancel("p", ""))
    expect(world.reply(Renew(fence, TTL), Renewed).cancel, "")
    expect(world.reply(Renew(fence, TTL), Renewed).cancel, "")


def completing_ends_in_one_step(world: World) -> None:
    """S6: outcome, terminal event and release together; the event is the last, and numbered as one of the log."""
    outcomes: tuple[Outcome, ...] = (
        Success(Json('{"a":1}'), Json('{"next":"q"}')),
        Failure("ValueError", "bad", "it was bad: é \U0001f600", Json('["trace"]'), Json("[]")),
        Failure("", "", ""),
        Cancelled("stopped", Json("1")),
        Success(),
    )
    for number, outcome in enumerate(outcomes):
        name = f"p{number}"
        fence = world.started(name) if number == 0 else world.take(_registered(world, name), n=number + 1)
        world.ask(EmitEvent(fence, "progress", NULL, "e"))
        reply = world.reply(Complete(fence, outcome), Completed)
        row = world.record(name)
        expect((row.outcome, row.held, row.ended_by), (outcome, False, EndedBy.COMPLETE))
        expect(reply, Completed(Stamp(fence.token, row.version, row.changed_at), outcome))
        log = world.log(name)
        expect([(event.seq, event.type) for event in log], [(1, "progress"), (2, "process.ended")])
        expect(log[-1], terminal_event(row))
        world.repeats(Complete(fence, outcome), Succeeded(reply))


def _registered(world: World, name: str) -> str:
    world.register(name)
    return name


def completing_again_answers_what_is_stored(world: World) -> None:
    """S10, S11: the same outcome is answered, another is a conflict; both leave the row alone."""
    fence = world.started()
    answer = world.ask(Complete(fence, success({"x": 1})))
    world.clock.now += 5
    world.repeats(Complete(fence, success({"x": 1})), answer)
    world.refused(Complete(fence, success({"x": 2})), Reason.CONFLICT)
    world.refused(Complete(fence, Cancelled("no")), Reason.CONFLICT)


def a_release_gives_back(world: World) -> None:
    """Release: claimable after the delay, no holder; the token and the claim id stay, so that a replay is known."""
    fence = world.started()
    world.clock.now += 10
    reply = world.reply(Release(fence, 30), Released)
    row = world.record("p")
    expect(
        (row.held, row.ready_at, row.token, row.claim),
        (False, world.clock.now + 30, fence.token, fence.claim),
    )
    expect(reply, Released(Stamp(fence.token, row.version, row.changed_at), None))


def a_release_of_a_cancelled_row_ends_it(world: World) -> None:
    """Release: a row with the cancel flag ends as cancelled instead; repeated, it answers that outcome."""
    fence = world.started()
    world.ask(RequestCancel("p", "enough"))
    answer = world.ask(Release(fence, 30))
    expect(reply_of(answer, Released).outcome, Cancelled("enough"))
    expect((world.record("p").outcome, world.record("p").ended_by), (Cancelled("enough"), EndedBy.RELEASE))
    expect([event.type for event in world.log("p")], ["process.cancel_requested", "process.ended"])
    world.repeats(Release(fence, 30), answer)
    world.fenced(Complete(fence, Cancelled("enough")))


def an_effect_is_recorded_once(world: World) -> None:
    """RecordEffect: repeated under its token it answers what is stored, also when the process was lost or ended
    (§3.1 before §3.2 and §3.3); a later token gets the first writer's result (§3.4)."""
    first = world.started()
    request = RecordEffect(first, "e", "f", Json('"one"'))
    reply = world.reply(request, EffectRecorded)
    row = world.record("p")
    expect(reply, EffectRecorded(Stamp(first.token, row.version, row.changed_at), Json('"one"')))
    expect(world.reply(evolve(request, result=Json('"two"')), EffectRecorded), reply, "first writer wins")
    world.clock.now += TTL
    expect(world.reply(request, EffectRecorded), reply, "expired, yet applied before")
    second = world.take("p", "x")
    stored = world.reply(RecordEffect(second, "e", "f", Json('"three"')), EffectRecorded)
    expect((stored.result, world.record("p").version), (Json('"one"'), second.token))
    expect(world.reply(request, EffectRecorded).result, Json('"one"'), "the loser's replay")
    world.complete(second)
    expect(world.reply(request, EffectRecorded).result, Json('"one"'), "after the end")
    world.fenced(RecordEffect(second, "e", "f", Json('"one"')))


def an_effect_with_another_fingerprint_is_refused(world: World) -> None:
    """§3.4: a key was recorded for another call: Refused(effect_mismatch), under the same token and a later one;
    but the fence comes first."""
    first = world.started()
    world.reply(RecordEffect(first, "e", "f", NULL), EffectRecorded)
    world.refused(RecordEffect(first, "e", "g", NULL), Reason.EFFECT_MISMATCH)
    world.clock.now += TTL
    second = world.take("p", "x")
    world.fenced(RecordEffect(first, "e", "g", NULL))
    world.refused(RecordEffect(second, "e", "g", NULL), Reason.EFFECT_MISMATCH)
    world.reply(RecordEffect(second, "other", "g", NULL), EffectRecorded)


def an_event_is_appended_once_per_key(world: World) -> None:
    """EmitEvent: a key counts once per process; a replay under its token is answered even after the loss (§3.1),
    a later token gets the stored one (§3.4); numbers have no holes."""
    first = world.started(emits=("progress", "other"))
    request = EmitEvent(first, "progress", Json("1"), "k")
    answer = world.ask(request)
    expect(reply_of(answer, EventAppended).seq, 1)
    world.repeats(request, answer)
    world.clock.now += TTL
    second = world.take("p", "x")
    expect(world.reply(request, EventAppended).seq, 1, "the loser's replay")
    expect(world.reply(EmitEvent(second, "other", Json("2"), "k"), EventAppended).seq, 1, "the later token's")
    expect(world.reply(EmitEvent(second, "other", Json("2"), "l"), EventAppended).seq, 2)
    log = world.log("p")
    expect([(e.seq, e.type, e.payload, e.token) for e in log[:1]], [(1, "progress", "1", first.token)])
    expect([(e.seq, e.type, e.payload, e.token) for e in log[1:]], [(2, "other", "2", second.token)])
    world.complete(second)
    expect(world.reply(request, EventAppended).seq, 1, "after the end")
    world.fenced(EmitEvent(second, "progress", NULL, "m"))


def an_undeclared_or_reserved_event_is_refused(world: World) -> None:
    """EmitEvent: only types that the registration lists; `process.*` is the registry's own."""
    fence = world.started(emits=("progress",))
    world.reply(EmitEvent(fence, "progress", NULL, "good"), EventAppended)
    world.refused(EmitEvent(fence, "surprise", NULL, "k"), Reason.UNDECLARED_EVENT)
    world.refused(EmitEvent(fence, "process.ended", NULL, "k"), Reason.RESERVED_EVENT)
    world.refused(EmitEvent(fence, "", NULL, "k"), Reason.BLANK)
    world.refused(EmitEvent(fence, "progress", NULL, " "), Reason.BLANK)
    world.refused(EmitEvent(fence, "progress", NULL, "\ud800"), Reason.BAD_TEXT)
    world.refused(EmitEvent(fence, "progress", Json('"' + "x" * (1 << 20) + '"'), "k"), Reason.TOO_LARGE)


def bad_effects_and_outcomes_are_refused(world: World) -> None:
    """CONTRACT §2: too large or unstorable is definitive, the same on every store, and leaves the lease alone."""
    fence = world.started()
    big = Json('"' + "x" * (1 << 20) + '"')
    for key, reason in (
        ("", Reason.BLANK),
        ("x" * 256, Reason.NAME_TOO_LONG),
        ("a\0", Reason.BAD_TEXT),
        ("\udfff", Reason.BAD_TEXT),
    ):
        world.refused(RecordEffect(fence, key, "f", NULL), reason)
    world.refused(RecordEffect(fence, "e", "\ud800", NULL), Reason.BAD_TEXT)
    world.refused(RecordEffect(fence, "e", "f", big), Reason.TOO_LARGE)
    world.refused(Complete(fence, Success(big)), Reason.TOO_LARGE)
    world.refused(Complete(fence, Failure("C", "c", "x" * (1 << 20))), Reason.TOO_LARGE)
    world.refused(Complete(fence, Failure("C", "c", "\ud800")), Reason.BAD_TEXT)
    world.refused(Complete(fence, Cancelled("\0")), Reason.BAD_TEXT)
    world.complete(fence)


def one_row_at_a_time(world: World) -> None:
    """S22: no request for one process changes another's row, events or effects."""
    for name in ("a", "b"):
        world.register(name)
    world.reply(Register(external("c")), Registered)
    a, _ = (grant.fence for grant in world.claim("w", 1))
    others = {row.id: row for row in world.rows() if row.id != "a"}
    for request in (
        Renew(a, TTL),
        RecordEffect(a, "e", "f", NULL),
        EmitEvent(a, "progress", NULL, "k"),
        RequestCancel("a"),
        Complete(a, success()),
        Register(process("a", payload=Json("1"))),
    ):
        world.ask(request)
        expect(
            {row.id: row for row in world.rows() if row.id != "a"}, others, f"other rows after {request!r}"
        )


def nothing_invents_an_outcome(world: World) -> None:
    """S17: neither expiry nor take-over nor pruning ends a process; only a report or a cancel does."""
    world.started()
    for n in range(1, 15):
        world.clock.now += 100_000
        world.claim("x", n)
        world.ask(Prune())
    row = world.record("p")
    expect((row.outcome, row.lost), (None, 14))


FENCE_CHECKS = (
    only_the_rows_own_fence_holds,
    a_fence_of_another_process_does_not_hold,
    a_row_that_was_never_claimed_fences,
    the_superseded_is_fenced,
    the_released_is_fenced,
    the_terminal_fences_all_but_its_own_complete,
    the_pruned_fences,
    renewing_extends_and_never_shortens,
    an_expired_lease_is_never_revived,
    token_writes_do_not_test_the_expiry,
    a_renewal_carries_the_cancel_flag,
    completing_ends_in_one_step,
    completing_again_answers_what_is_stored,
    a_release_gives_back,
    a_release_of_a_cancelled_row_ends_it,
    an_effect_is_recorded_once,
    an_effect_with_another_fingerprint_is_refused,
    an_event_is_appended_once_per_key,
    an_undeclared_or_reserved_event_is_refused,
    bad_effects_and_outcomes_are_refused,
    one_row_at_a_time,
    nothing_invents_an_outcome,
)
