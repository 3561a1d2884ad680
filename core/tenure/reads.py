"""What readers are shown of a row: its phase, whether it belongs in a list, what its owner is told."""

from __future__ import annotations

from tenure.instants import StoreTime
from tenure.process import Record, status_of
from tenure.replies import ProcessEnded
from tenure.requests import List, Phase


def phase_of(record: Record, clock: StoreTime) -> Phase:
    """Where a reader sees the process at that store time."""
    if record.outcome is not None:
        return Phase.ENDED
    return Phase.RUNNING if record.live(record.now(clock)) else Phase.PENDING


def told(record: Record) -> ProcessEnded | None:
    """What the session that owns the process is told of its end, if it has ended."""
    if record.outcome is None:
        return None
    status = status_of(record.outcome)
    return ProcessEnded(record.id, status, record.version, record.token, record.changed_at)


def listed(record: Record, request: List, clock: StoreTime) -> bool:
    """Whether the record is among those that the request asks for (`after` and `limit` aside)."""
    return (
        (request.phase is None or phase_of(record, clock) is request.phase)
        and (request.kind is None or record.registration.kind == request.kind)
        and (request.owner_scope is None or record.registration.provenance.owner_scope == request.owner_scope)
    )
