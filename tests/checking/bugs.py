"""Bugs for the checker to find, each a small patch of the core: rules of the law, entries of the machine's table."""

from __future__ import annotations

from typing import Any

from tenure import attempt, attempt_opening, attempt_rules, claims, model
from tenure import attempt_guards as guards
from tenure import attempt_types as t
from tenure.attempt_opening import session_opened
from tenure.instants import Instant, StoreTime
from tenure.limits import Limits
from tenure.process import Cancelled, Record
from tenure.registry import Decision
from tenure.replies import Answer, Claimed, Completed, Grant, Reason, Refused, Renewed, Stamp, Succeeded
from tenure.requests import Claim, Complete, EmitEvent, RecordEffect, Release, Renew, RequestCancel
from tenure.stores import DurabilityTier
from tenure.tables import each, go, ignore
from tenure.tiers import Facets
from tenure.timings import LeaseTimings
from tenure.values import changed
from tenure_testing.checking import Configuration, attempts, named, shrunk
from tenure_testing.checking.rows import CLOCK, NEXT, RECORD
from tests.checking import session_bugs as sb
from tests.checking.patching import (
    Decide,
    Patch,
    deciding,
    entering,
    overwrites,
    setting,
    unfenced,
    unseen,
    writing,
)
from tests.checking.session_bugs import of_sessions

ROWS, CANCEL = shrunk(named("rows and zombies")), shrunk(named("drain and cancel"))
FORGOTTEN = named("forgotten rows")
EFFECTS, TIERS = named("effects and events"), named("tiers")
SESSIONS = named("effects and session watermark")


# --- bugs in the law of rows --------------------------------------------------------------------------------------


def _held_is_free(shipped: Any) -> object:
    def refuse_claim(record: Record | None, clock: StoreTime, limits: Limits) -> Refused | None:
        refused: Refused | None = shipped(record, clock, limits)
        return None if refused == Refused(Reason.HELD) else refused

    return refuse_claim


def _flag_after_the_end(record: Record | None, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    late = record is not None and record.outcome is not None and record.cancel is None
    return changed(made, record=changed(record, cancel="late", version=NEXT)) if late else made


def _undoes_a_release(record: Record | None, request: Any, shipped: Decide) -> Decision:
    """K16: a renewal looks at tokens and expiry, and not at whether anybody holds the row."""
    return shipped(record and changed(record, held=record.outcome is None and record.token > 0), request)


def _another_outcome_is_the_same(record: Record | None, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    if record is None or record.outcome is None or not isinstance(made.answer, Refused):
        return made
    return changed(
        made, answer=Succeeded(Completed(Stamp(record.token, record.version, CLOCK), record.outcome))
    )


def _makes_a_row_again(record: Record | None, request: Any, shipped: Decide) -> Decision:
    """K20: an upsert."""
    if record is not None:
        return shipped(record, request)
    again = changed(RECORD, token=request.fence.token, claim=request.fence.claim, held=True)
    return shipped(again, request)


def _counts_nothing(shipped: Any) -> object:
    def grant(record: Record, *rest: Any) -> Record:
        granted: Record = shipped(record, *rest)
        return changed(granted, lost=record.lost)

    return grant


def _answers_what_it_did_not_change(shipped: Any) -> object:
    """K12: the reply has the row that was looked at, whether it was changed or not."""

    def claim(tables: Any, request: Claim, clock: StoreTime) -> Answer:
        answer: Answer = shipped(tables, request, clock)
        record = tables.record(request.process_id)
        if answer != Refused(Reason.HELD):
            return answer
        return Succeeded(Claimed((claims.lease_of(record, request.claim),), 1))

    return claim


def _waits_for_no_takeover(shipped: object) -> object:
    def takeover_wait(k: int, limits: Limits) -> int:
        return 0

    return takeover_wait


def _waits_beyond_its_cap(shipped: Any) -> object:
    def takeover_wait(k: int, limits: Limits) -> int:
        return 2 * int(shipped(k, limits))

    return takeover_wait


def _is_ready_at_once(shipped: Any) -> object:
    """The delay of a release is kept in the row, and no claim looks at it."""

    def free_at(record: Record, limits: Limits) -> StoreTime:
        free: StoreTime = shipped(record, limits)
        return free if record.held else StoreTime(0)

    return free_at


def _lives_through_its_expiry(shipped: object) -> object:
    def live(record: Record, now: StoreTime) -> bool:
        return record.held and now <= record.expires_at

    return live


def _hides_the_flag(record: Record | None, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    if not (isinstance(made.answer, Succeeded) and isinstance(made.answer.reply, Renewed)):
        return made
    return changed(made, answer=Succeeded(changed(made.answer.reply, cancel=None)))


# --- bugs in the machine ------------------------------------------------------------------------------------------


def _starts_again(state: t.Opening, event: t.Event) -> t.Step:
    return t.Step(state, session_opened(state, event).commands)


def _no_limit_while_opening(shipped: Any) -> object:
    def overdue_at(state: t.AttemptState) -> Instant | None:
        limit: Instant | None = shipped(state)
        return None if isinstance(state, t.Opening) else limit

    return overdue_at


def _never_too_late(shipped: Any) -> object:
    def deadline(state: t.Holding) -> Instant:
        return Instant(shipped(state) * 2)

    return deadline


def _invents_a_cancellation(state: t.Holding, event: t.Event) -> t.Step:
    return attempt_rules.complete(state, Cancelled("asked"), event)


def _forgets_the_reason(state: t.Stopping, event: t.CancelSeen) -> t.Step:
    step = attempt_rules.draining_cancelled(state, event)
    return t.Step(changed(step.state, detail=""), step.commands)


def _overtakes_a_renewal(shipped: Any) -> object:
    """K16: what is in flight is neither waited for nor remembered."""

    def last_write(state: t.Holding, *rest: Any) -> t.Step:
        step: t.Step = shipped(changed(state, flight=None), *rest)
        return step

    return last_write


def _ignores_its_tiers(shipped: Any) -> object:
    def unfit(terms: t.Terms, grant: Grant) -> object:
        return shipped(changed(terms, tier_fault=""), grant)

    return unfit


def _one_facet_is_forgotten(shipped: Any) -> object:
    def tier_fault(facets: Facets) -> object:
        return shipped(changed(facets, artifacts=DurabilityTier.DURABLE))

    return tier_fault


def _no_patience(shipped: Any) -> object:
    """As if the seconds that are not said were none."""

    def reckoned(timings: LeaseTimings) -> None:
        shipped(timings)
        if timings.completion_patience is None:
            object.__setattr__(timings, "patience_ns", 0)

    return reckoned


LAST_WRITE_DROPPED = (
    ignore("stale", guards.stale, attempt.STALE),
    go("current", guards.flying, lambda state, event: t.Step(t.Ended("p", t.End.COMPLETED))),
)

LAST_WRITE_GIVEN_UP = (
    ignore("stale", guards.stale, attempt.STALE),
    go("current", guards.flying, attempt_rules.gave_up),
)

BUGS: list[tuple[str, str, Configuration, Patch]] = [
    ("S2", "K19: a release takes the token back", ROWS, deciding(Release, writing(token=0))),
    ("S2", "a renewal draws a new token", ROWS, deciding(Renew, writing(token=NEXT))),
    ("S3", "a claim over a live lease", ROWS, setting(model, "refuse_claim", _held_is_free)),
    ("S3", "a second take-over without its wait", ROWS, setting(claims, "takeover_wait", _waits_for_no_takeover)),
    ("S3", "a claim before the row is ready", ROWS, setting(claims, "free_at", _is_ready_at_once)),
    ("S4", "K1, K23: a complete is not fenced", ROWS, deciding(Complete, unfenced)),
    ("S4", "an effect is not fenced", EFFECTS, deciding(RecordEffect, unfenced)),
    ("S5", "an expired lease is renewed", ROWS, deciding(Renew, unseen(expires_at=CLOCK + 1))),
    ("S5", "K18: <= for < at the expiry", ROWS, setting(Record, "live", _lives_through_its_expiry)),
    ("S6", "K10: a late cancel overwrites", CANCEL, deciding(RequestCancel, unseen(outcome=None))),
    ("S6", "told, and not kept", ROWS, deciding(Complete, writing(outcome=None, ended_by=None))),
    ("S7", "a late cancel flags what has ended", CANCEL, deciding(RequestCancel, _flag_after_the_end)),
    ("S8", "K3: a release is not fenced", ROWS, deciding(Release, unfenced)),
    ("S9", "K2: a renewal is not fenced", ROWS, deciding(Renew, unfenced)),
    ("S9", "K16: a late renewal undoes a release", ROWS, deciding(Renew, _undoes_a_release)),
    ("S9", "K16: a release overtakes", CANCEL, setting(attempt_rules, "release", _overtakes_a_renewal)),
    ("S9", "K16: a complete overtakes", ROWS, setting(attempt_rules, "complete", _overtakes_a_renewal)),
    ("S9", "a renewal shortens", ROWS, deciding(Renew, writing(expires_at=CLOCK + 1))),
    ("S10", "the later writer wins", EFFECTS, deciding(RecordEffect, overwrites, blind=True)),
    ("S11", "another outcome again", ROWS, deciding(Complete, _another_outcome_is_the_same)),
    ("S11", "K20: a row is made again", FORGOTTEN, deciding(Complete, _makes_a_row_again)),
    ("S12", "a session that opens twice", ROWS, entering(t.Opening, t.SessionOpened, each(_starts_again))),
    ("S13", "no deadline while opening", ROWS, setting(attempt, "overdue_at", _no_limit_while_opening)),
    ("S14", "writes after a loss", ROWS, entering(t.LeaseLost, t.HandlerReturned, each(attempt_rules.returned))),
    ("S14", "goes on after a loss", ROWS, entering(t.Running, t.CallFenced, each(attempt_rules.due))),
    ("S14", "no instant after which it is dropped", ROWS, setting(attempt_rules, "deadline", _never_too_late)),
    ("S15", "its tiers are not looked at", TIERS, setting(attempt_opening, "_unfit", _ignores_its_tiers)),
    ("S15", "a facet is not looked at", TIERS, setting(attempts, "tier_fault", _one_facet_is_forgotten)),
    ("S16", "a cancel ends a live one", CANCEL, deciding(RequestCancel, unseen(held=False))),
    ("S16", "a renewal does not show the flag", CANCEL, deciding(Renew, _hides_the_flag)),
    ("S17", "a release ends it as cancelled", ROWS, deciding(Release, writing(outcome=Cancelled("asked")))),
    ("S17", "cancelled, and nobody asked", ROWS, entering(t.Running, t.HandlerStopped, each(_invents_a_cancellation))),
    ("S18", "W3: an unanswered write is dropped", ROWS, entering(t.Completing, t.CallUnknown, LAST_WRITE_DROPPED)),
    ("S18", "K9: an unanswered write is given up", ROWS, entering(t.Completing, t.CallUnknown, LAST_WRITE_GIVEN_UP)),
    ("S19", "K12: a row that it did not change", ROWS, setting(model, "_claim", _answers_what_it_did_not_change)),
    ("S20", "a take-over is not counted", ROWS, setting(model, "grant", _counts_nothing)),
    ("L2", "K9: an unsent write is dropped", ROWS, entering(t.Completing, t.CallUnavailable, LAST_WRITE_DROPPED)),
    ("L2", "a release is dropped", CANCEL, entering(t.Releasing, t.CallUnavailable, LAST_WRITE_DROPPED)),
    ("L2", "no patience where none is said", ROWS, setting(LeaseTimings, "__attrs_post_init__", _no_patience)),
    ("L3", "K22: one failed renewal", ROWS, entering(t.Running, t.CallUnknown, each(attempt_rules.fenced))),
    ("L1", "a wait beyond its cap", ROWS, setting(claims, "takeover_wait", _waits_beyond_its_cap)),
    ("CONTRACT 4", "a release delay that is ignored", ROWS, deciding(Release, writing(ready_at=CLOCK))),
    ("CONTRACT §8, fence", "an opening raises nothing", SESSIONS, of_sessions("_open", sb.raises_no_watermark)),
    ("CONTRACT §8, opened", "written before it opens", SESSIONS, of_sessions("execute", sb.needs_no_watermark)),
    ("CONTRACT §8, watermark", "its moves are forgotten", SESSIONS, of_sessions("_open", sb.forgets_the_moves)),
    ("CONTRACT §8, head", "the last writer wins", SESSIONS, of_sessions("_append", sb.the_last_writer_wins)),
    ("CONTRACT §8, head", "it moves from anywhere", SESSIONS, of_sessions("_move", sb.moves_from_anywhere)),
    ("S10", "a move is made twice", SESSIONS, of_sessions("_move", sb.moves_again)),
    ("S10", "an entry is stored twice", SESSIONS, of_sessions("_append", sb.appends_again)),
    ("CONTRACT §8, entries", "another body again", SESSIONS, of_sessions("_append", sb.another_body_is_the_same)),
    ("version", "a change without a version", CANCEL, deciding(RequestCancel, writing(version=0))),
]  # fmt: skip
"""The first property that is reported; the bug; where it is found, and the patch."""

REASONS: dict[str, Patch] = {
    "tiers": setting(attempt_opening, "_unfit", _ignores_its_tiers),
    "effects and events": deciding(RecordEffect, overwrites, blind=True),
    "effects and session watermark": of_sessions("_open", sb.raises_no_watermark),
    "rows and zombies": deciding(Renew, _undoes_a_release),
    "forgotten rows": deciding(Complete, _makes_a_row_again),
    "drain and cancel": entering(
        t.Stopping,
        t.CancelSeen,
        (go("draining", guards.draining, _forgets_the_reason), attempt.TABLE[t.Stopping, t.CancelSeen][1]),
    ),
}
"""The bug that each configuration's `reason` names."""

RIVALS: dict[str, tuple[str, Patch]] = {
    "forgotten rows": ("S8", deciding(Release, unfenced)),
    "effects and events": ("S4", deciding(EmitEvent, unfenced)),
}
"""The property and the bug for which a configuration without zombies has a second worker, as its `reason` says."""
