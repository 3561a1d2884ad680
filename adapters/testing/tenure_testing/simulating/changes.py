"""What an answered request says about a row, as `tenure_testing.histories.law` takes it: as that law is no part of the
core, a rule that is broken there is not believed here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tenure.process import Outcome, Record
from tenure.replies import Claimed, Got, Listed
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimNext,
    Complete,
    EmitEvent,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_testing.histories.changes import Change, Shown

NOWHERE = (0, 0)
"""A place in no trace."""

FENCED: dict[type, str] = {
    Renew: "renew",
    RecordEffect: "record_effect",
    EmitEvent: "emit_event",
    Complete: "complete",
    Release: "release",
}


def told(outcome: Outcome | None) -> Any:
    """An outcome as the law compares it."""
    return None if outcome is None else (("outcome", outcome),)


def shown(row: Record) -> Shown:
    """The row as it was shown."""
    return Shown(row.token, row.held, row.expires_at, row.cancel, row.claims, row.lost, told(row.outcome))


def changes(request: Request, reply: Any) -> Iterator[Change]:
    """What the reply says, about one row after the other."""
    kind = FENCED.get(type(request))
    if kind is not None:
        under: Any = request
        fence, stamp = under.fence, reply.stamp
        claim = (fence.claim.owner, fence.claim.n)
        value = _value(request, reply)
        yield Change(stamp.version, kind, fence.process_id, fence.token, claim, stamp.at, value, NOWHERE)
    elif isinstance(reply, Claimed):
        assert isinstance(request, Claim | ClaimNext)
        for grant in reply.grants:
            row, fence = grant.record, grant.fence
            value = (request.ttl, shown(row))
            claim = (fence.claim.owner, fence.claim.n)
            yield Change(row.version, "claim", row.id, fence.token, claim, row.changed_at, value, NOWHERE)
    elif isinstance(reply, Got):
        yield read(reply.record)
    elif isinstance(reply, Listed):
        for row in reply.records:
            yield read(row)
    elif isinstance(request, Register | RequestCancel | AppendEvent):
        stamp = reply.stamp
        process, of = _named(request)
        yield Change(stamp.version, of, process, stamp.token, None, stamp.at, _value(request, reply), NOWHERE)


def read(row: Record) -> Change:
    """A row that was read."""
    claim = None if row.claim is None else (row.claim.owner, row.claim.n)
    return Change(row.version, "read", row.id, row.token, claim, row.changed_at, shown(row), NOWHERE)


def _named(request: Register | RequestCancel | AppendEvent) -> tuple[str, str]:
    if isinstance(request, Register):
        return request.registration.id, "register"
    return request.process_id, "request_cancel" if isinstance(request, RequestCancel) else "append_event"


def _value(request: Request, reply: Any) -> Any:
    match request:
        case Renew(ttl=ttl):
            return (ttl, reply.expires_at, reply.cancel)
        case RecordEffect(key=key):
            return (key, request.fingerprint, reply.result)
        case EmitEvent(key=key) | AppendEvent(key=key):
            return (("h:" if isinstance(request, EmitEvent) else "c:") + key, reply.seq)
        case Complete(outcome=outcome):
            return (told(outcome), told(reply.outcome))
        case Release():
            return told(reply.outcome)
        case RequestCancel(reason=reason):
            return (reason, told(reply.outcome))
        case _:
            return None
