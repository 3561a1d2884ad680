"""The law of one row: `decide(record, request, found, clock, number, limits)`, pure, and all that a store has to obey.

The memory store and the SQL stores call this very function for each request, the checker explores it, and
`tenure.model` makes the reference model of a whole registry from it. So a store owns tables, transactions and
clocks, and no rule.

Inside every fenced request the tests come in CONTRACT §3's order: replay, terminal, fence, earlier key. A refusal
changes nothing in the row (S20). Every accepted mutation draws one `number` from the store-wide sequence: it is the
row's new version, and for a claim also its fencing token (S2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import frozen

from tenure.canonical import Json, canonical
from tenure.instants import StoreTime
from tenure.limits import Limits, bad_event, bad_name, bad_outcome, bad_text, too_large
from tenure.process import (
    CANCEL_REQUESTED,
    RESERVED,
    Cancelled,
    Effect,
    EndedBy,
    Event,
    External,
    Fence,
    Outcome,
    Record,
    Registration,
    Work,
)
from tenure.replies import (
    Answer,
    CancelAccepted,
    Completed,
    EffectRecorded,
    EventAppended,
    Fenced,
    Reason,
    Refused,
    Registered,
    Released,
    Renewed,
    Stamp,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Complete,
    CompleteExternal,
    EmitEvent,
    FencedRequest,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure.values import changed

RowRequest: TypeAlias = FencedRequest | Register | AppendEvent | RequestCancel | CompleteExternal


@frozen
class Decision:
    """What a request does: its answer; the row after it, where it changed; what is added to log and journal."""

    answer: Answer
    record: Record | None = None
    event: Event | None = None
    effect: Effect | None = None


@frozen
class Moment:
    """What a decision depends on besides row and request: what the request's key names already, and the store's
    clock, next number, and limits."""

    found: Event | Effect | None
    clock: StoreTime
    number: int
    limits: Limits


def stored_key(request: EmitEvent | AppendEvent) -> str:
    """The key in the log. Handlers, clients and the registry itself cannot take each other's."""
    return ("h:" if isinstance(request, EmitEvent) else "c:") + request.key


def decide(
    record: Record | None,
    request: RowRequest,
    found: Event | Effect | None,
    clock: StoreTime,
    number: int,
    limits: Limits,
) -> Decision:
    """What `request` does to `record` (None: no such row). `found` is the event or effect that its key names."""
    return _RULES[type(request)](record, request, Moment(found, clock, number, limits))


# --- under a lease ------------------------------------------------------------------------------------------------


def _fence_holds(record: Record, fence: Fence) -> bool:
    return record.held and record.token == fence.token and record.claim == fence.claim


def _same_claim(record: Record, fence: Fence) -> bool:
    """Whether the row's last lease was this fence's, released or not."""
    return record.token == fence.token and record.claim == fence.claim


_FENCED = Decision(Fenced())


def _renew(record: Record | None, request: Renew, moment: Moment) -> Decision:
    if record is None or record.outcome is not None or not _fence_holds(record, request.fence):
        return _FENCED
    now = record.now(moment.clock)
    if not record.live(now):
        return _FENCED
    expires = StoreTime(max(record.expires_at, now + request.ttl))
    after = changed(record, version=moment.number, changed_at=now, expires_at=expires)
    return Decision(Succeeded(Renewed(_stamp(after), expires, record.cancel)), after)


def _record_effect(record: Record | None, request: RecordEffect, moment: Moment) -> Decision:
    if record is None:
        return _FENCED
    fence, found = request.fence, moment.found
    if isinstance(found, Effect) and found.token == fence.token and found.fingerprint == request.fingerprint:
        return Decision(Succeeded(EffectRecorded(_stamp(record), found.result)))
    now = record.now(moment.clock)
    if record.outcome is not None or not _fence_holds(record, fence) or not record.live(now):
        return _FENCED
    if isinstance(found, Effect):
        if found.fingerprint != request.fingerprint:
            detail = f"recorded for {found.fingerprint}, asked for {request.fingerprint}"
            return Decision(Refused(Reason.EFFECT_MISMATCH, detail))
        return Decision(Succeeded(EffectRecorded(_stamp(record), found.result)))
    refused = bad_name(request.key, moment.limits) or bad_text(request.fingerprint, moment.limits.name)
    refused = refused or too_large(request.result, moment.limits)
    if refused:
        return Decision(refused)
    after = changed(record, version=moment.number, changed_at=now, lost=0)
    effect = Effect(record.id, request.key, request.fingerprint, request.result, fence.token, moment.number)
    return Decision(Succeeded(EffectRecorded(_stamp(after), effect.result)), after, effect=effect)


def _emit(record: Record | None, request: EmitEvent, moment: Moment) -> Decision:
    if record is None:
        return _FENCED
    fence, found = request.fence, moment.found
    if isinstance(found, Event) and found.token == fence.token:
        return Decision(Succeeded(EventAppended(_stamp(record), found.seq)))
    if record.outcome is not None or not _fence_holds(record, fence):
        return _FENCED
    if isinstance(found, Event):
        return Decision(Succeeded(EventAppended(_stamp(record), found.seq)))
    refused = bad_event(request.type, request.key, request.payload, moment.limits)
    if refused is None and request.type not in record.registration.event_types:
        refused = Refused(
            Reason.UNDECLARED_EVENT, f"{request.type!r} is not among {record.registration.event_types}"
        )
    if refused:
        return Decision(refused)
    return _appended(record, request.type, request.payload, stored_key(request), fence.token, moment)


def _complete(record: Record | None, request: Complete, moment: Moment) -> Decision:
    if record is None:
        return _FENCED
    fence = request.fence
    if record.outcome is not None:
        if record.ended_by is not EndedBy.COMPLETE or not _same_claim(record, fence):
            return _FENCED
        if record.outcome != request.outcome:
            return Decision(Refused(Reason.CONFLICT, "this attempt ended the process with another outcome"))
        return Decision(Succeeded(Completed(_stamp(record), record.outcome)))
    if not _fence_holds(record, fence):
        return _FENCED
    refused = bad_outcome(request.outcome, moment.limits)
    if refused:
        return Decision(refused)
    after = _ended(record, request.outcome, EndedBy.COMPLETE, moment)
    return Decision(Succeeded(Completed(_stamp(after), request.outcome)), after)


def _release(record: Record | None, request: Release, moment: Moment) -> Decision:
    if record is None:
        return _FENCED
    if record.outcome is not None:
        if record.ended_by is EndedBy.RELEASE and _same_claim(record, request.fence):
            return Decision(Succeeded(Released(_stamp(record), record.outcome)))
        return _FENCED
    if not record.held and _same_claim(record, request.fence):
        return Decision(Succeeded(Released(_stamp(record), None)))
    if not _fence_holds(record, request.fence):
        return _FENCED
    if record.cancel is not None:
        after = _ended(record, Cancelled(record.cancel), EndedBy.RELEASE, moment)
    else:
        now = record.now(moment.clock)
        ready = StoreTime(now + request.delay)
        after = changed(record, version=moment.number, changed_at=now, ready_at=ready, held=False, lost=0)
    return Decision(Succeeded(Released(_stamp(after), after.outcome)), after)


# --- from clients -------------------------------------------------------------------------------------------------


def _register(record: Record | None, request: Register, moment: Moment) -> Decision:
    wanted = request.registration
    if record is not None:
        if record.registration != wanted:
            return Decision(
                Refused(Reason.CONFLICT, f"the id exists with {_differing(record.registration, wanted)}")
            )
        return Decision(Succeeded(Registered(_stamp(record), record.seq)))
    limits, source = moment.limits, wanted.provenance
    body = wanted.input.payload if isinstance(wanted.input, Work) else wanted.input.metadata
    names = [wanted.id, *([wanted.kind] if isinstance(wanted.input, Work) else []), *wanted.event_types]
    refused = next((bad for bad in (bad_name(name, limits) for name in names) if bad), None)
    refused = (
        refused or bad_text(source.owner_scope, limits.name) or bad_text(source.host_profile_id, limits.name)
    )
    refused = refused or too_large(body, limits)
    if refused is None and any(t.startswith(RESERVED) for t in wanted.event_types):
        refused = Refused(
            Reason.RESERVED_EVENT, f"event types beginning with {RESERVED!r} are the registry's own"
        )
    if refused:
        return Decision(refused)
    now = moment.clock
    after = Record(wanted, moment.number, moment.number, now, StoreTime(now + request.delay))
    return Decision(Succeeded(Registered(_stamp(after), after.seq)), after)


def _differing(known: Registration, wanted: Registration) -> str:
    """In words, what of a registration is not what is stored under its id."""
    if known.kind != wanted.kind or type(known.input) is not type(wanted.input):
        return f"another kind of input ({known.kind or 'external'!r})"
    if known.input != wanted.input:
        return "another payload"
    return "other event types" if known.event_types != wanted.event_types else "another owner or host profile"


def _append(record: Record | None, request: AppendEvent, moment: Moment) -> Decision:
    if record is None:
        return Decision(Refused(Reason.NOT_FOUND))
    if isinstance(moment.found, Event):
        return Decision(Succeeded(EventAppended(_stamp(record), moment.found.seq)))
    if record.outcome is not None:
        return Decision(Refused(Reason.ENDED, "its log is closed"))
    refused = bad_event(request.type, request.key, request.payload, moment.limits)
    if refused:
        return Decision(refused)
    return _appended(record, request.type, request.payload, stored_key(request), 0, moment)


def _request_cancel(record: Record | None, request: RequestCancel, moment: Moment) -> Decision:
    if record is None:
        return Decision(Refused(Reason.NOT_FOUND))
    if record.outcome is not None:
        return Decision(Succeeded(CancelAccepted(_stamp(record), record.outcome)))
    refused = too_large(request.reason, moment.limits)
    if refused:
        return Decision(refused)
    now = record.now(moment.clock)
    event, after = None, record
    if record.cancel is None:
        reason = canonical({"reason": request.reason})
        event = Event(record.id, record.events + 1, CANCEL_REQUESTED, reason, "r:cancel", 0, now)
        after = changed(
            record, version=moment.number, changed_at=now, cancel=request.reason, events=record.events + 1
        )
    if not record.live(now):
        after = _ended(after, Cancelled(after.cancel or ""), EndedBy.CANCEL, moment)
    answer = Succeeded(CancelAccepted(_stamp(after), after.outcome))
    return Decision(answer, None if after is record else after, event)


def _complete_external(record: Record | None, request: CompleteExternal, moment: Moment) -> Decision:
    if record is None:
        return Decision(Refused(Reason.NOT_FOUND))
    if not isinstance(record.registration.input, External):
        return Decision(Refused(Reason.NOT_EXTERNAL, "a handler's process is completed by its worker"))
    if record.outcome is not None:
        if record.authority == request.authority and record.outcome == request.outcome:
            return Decision(Succeeded(Completed(_stamp(record), record.outcome)))
        return Decision(Refused(Reason.CONFLICT, "it has ended with another outcome or by another authority"))
    refused = bad_name(request.authority, moment.limits) or bad_outcome(request.outcome, moment.limits)
    if refused:
        return Decision(refused)
    after = changed(_ended(record, request.outcome, EndedBy.EXTERNAL, moment), authority=request.authority)
    return Decision(Succeeded(Completed(_stamp(after), request.outcome)), after)


# --- shared by the rules ------------------------------------------------------------------------------------------


def _stamp(record: Record) -> Stamp:
    return Stamp(record.token, record.version, record.changed_at)


def _ended(record: Record, outcome: Outcome, by: EndedBy, moment: Moment) -> Record:
    """The row with its outcome: nobody holds it, and its terminal event is the last of its log (S6, S7)."""
    return changed(
        record,
        version=moment.number,
        changed_at=record.now(moment.clock),
        held=False,
        events=record.events + 1,
        outcome=outcome,
        ended_by=by,
    )


def _appended(record: Record, kind: str, payload: Json, key: str, token: int, moment: Moment) -> Decision:
    now = record.now(moment.clock)
    event = Event(record.id, record.events + 1, kind, payload, key, token, now)
    after = changed(record, version=moment.number, changed_at=now, events=record.events + 1)
    return Decision(Succeeded(EventAppended(_stamp(after), event.seq)), after, event)


_RULES: dict[type, Callable[[Record | None, Any, Moment], Decision]] = {
    Renew: _renew,
    RecordEffect: _record_effect,
    EmitEvent: _emit,
    Complete: _complete,
    Release: _release,
    Register: _register,
    AppendEvent: _append,
    RequestCancel: _request_cancel,
    CompleteExternal: _complete_external,
}
