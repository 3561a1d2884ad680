"""What `--json` prints: records, events and outcomes as plain JSON values. Times are the store's, in epoch ms."""

from __future__ import annotations

from typing import Any

from tenure.canonical import parsed
from tenure.process import Event, Outcome, Record, Work, outcome_json
from tenure.requests import Phase


def outcome_shape(outcome: Outcome | None) -> dict[str, Any] | None:
    """`status` is succeeded (with `value`), failed (with `class`, `code`, `message`, `raw`) or cancelled (`reason`)."""
    if outcome is None:
        return None
    shape: dict[str, Any] = parsed(outcome_json(outcome))
    return shape


def event_shape(event: Event) -> dict[str, Any]:
    """One entry of the log; `token` is 0 for a client's, else that of the handler that emitted it."""
    return {
        "seq": event.seq,
        "type": event.type,
        "payload": parsed(event.payload),
        "token": event.token,
        "at": event.at,
    }


def record_shape(record: Record, phase: Phase, unclaimable: bool | None = None) -> dict[str, Any]:
    """One process. `kind` is null for an external one; `unclaimable` is there where an application was named."""
    source = record.registration.input
    shape: dict[str, Any] = {
        "id": record.id,
        "kind": source.kind if isinstance(source, Work) else None,
        "phase": phase.value,
        "external": not isinstance(source, Work),
        "payload": parsed(source.payload if isinstance(source, Work) else source.metadata),
        "emits": list(record.registration.event_types),
        "owner": record.registration.provenance.owner_scope,
        "profile": record.registration.provenance.host_profile_id,
        "attempts": record.claims,
        "lost": record.lost,
        "token": record.token,
        "holder": record.claim.owner if record.claim is not None and phase is Phase.RUNNING else None,
        "expires_at": record.expires_at if phase is Phase.RUNNING else None,
        "ready_at": record.ready_at if phase is Phase.PENDING else None,
        "changed_at": record.changed_at,
        "cancel_requested": record.cancel,
        "events": record.events,
        "outcome": outcome_shape(record.outcome),
        "ended_by": record.ended_by.value if record.ended_by else None,
        "authority": record.authority or None,
    }
    if unclaimable is not None:
        shape["unclaimable"] = unclaimable
    return shape
