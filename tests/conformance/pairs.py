"""When two pairs of state and request are the same to the law: what it compares, and nothing else.

The checker and the vectors name rows, tokens and times differently. So a pair is reduced to the comparisons that the
law makes: which fields of the request equal the row's, what time is left, whether a key is taken and by whom.
"""

from __future__ import annotations

from collections.abc import Hashable

from tenure.instants import StoreTime
from tenure.model import Snapshot
from tenure.process import ClaimId, Fence, Record
from tenure.requests import (
    Claim,
    Complete,
    EmitEvent,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)

TICK = 1_000
MOST_LOST = 2
OWN = (True, True)
"""What a fence shares with the row whose last lease it is of."""


def pair_of(state: Snapshot, clock: StoreTime, request: Request) -> Hashable:
    """What the law can tell of the pair."""
    record = state.records[0] if state.records else None
    if isinstance(request, Prune):
        age = max(request.older_than, state.limits.retry_horizon)
        old = record is not None and record.outcome is not None and record.changed_at < clock - age
        return Prune, old
    return type(request), _row(record, clock), _asked(state, record, clock, request)


def _row(record: Record | None, clock: StoreTime) -> Hashable:
    if record is None:
        return ()
    if record.outcome is not None:
        return record.ended_by, record.cancel is not None
    lost = min(record.lost, MOST_LOST)
    if record.held:
        return max(record.expires_at - clock, -TICK * min(lost, 1)), lost, record.cancel is not None
    return "free", max(0, record.ready_at - clock), lost, record.cancel is not None


def _asked(state: Snapshot, record: Record | None, clock: StoreTime, request: Request) -> Hashable:
    match request:
        case Claim():
            last = max(
                (claim.n for claim, _ in state.claims if claim.owner == request.claim.owner), default=0
            )
            order = (request.claim.n > last) - (request.claim.n < last)
            return order, record is not None and record.claim == request.claim
        case Renew():
            return _fence(record, request.fence)
        case Complete():
            fence = _fence(record, request.fence)
            return fence, fence == OWN and record is not None and record.outcome == request.outcome
        case Release():
            fence = _fence(record, request.fence)
            return fence, fence == OWN and request.delay > 0
        case RecordEffect():
            known = next((effect for effect in state.effects if effect.key == request.key), None)
            found = known and (known.token == request.fence.token, known.fingerprint == request.fingerprint)
            return _fence(record, request.fence), found
        case EmitEvent():
            event = next((one for one in state.events if one.key == f"h:{request.key}"), None)
            return _fence(record, request.fence), event and event.token == request.fence.token
        case Register():
            return record is not None and record.registration == request.registration
        case RequestCancel():
            return ()
        case _:
            return repr(request)


def _fence(record: Record | None, fence: Fence) -> Hashable:
    """The two equalities that a fence is judged by; who has no claim shares none."""
    if record is None:
        return ()
    claim: ClaimId | None = record.claim
    return record.token == fence.token, claim == fence.claim
