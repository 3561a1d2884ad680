"""Rows to records and back. Texts of JSON are stored as they came, so that everything comes back equal."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from tenure.canonical import NULL, Json
from tenure.claims import free_at
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import (
    Cancelled,
    ClaimId,
    Effect,
    EndedBy,
    Event,
    External,
    Failure,
    Outcome,
    Provenance,
    Record,
    Registration,
    Success,
    Work,
)

SELECT = """
SELECT p.seq, p.id, p.kind, p.profile, p.owner_scope, i.event_types, i.body, p.version, p.changed_at, p.ready_at,
  p.token, p.claim_owner, p.claim_n, p.held, p.expires_at, p.cancel, p.claims, p.lost, p.events,
  p.status, p.result, p.control, p.ended_by, p.authority
"""
"""What `record_from` reads, of `processes p` and `inputs i`."""

Row = tuple[Any, ...]

_NOWHERE = Provenance()
_ENDED_BY = {by.value: by for by in EndedBy}


def record_from(row: Row) -> Record:
    """The record of a row of SELECT."""
    # fmt: off
    (
        seq, process_id, kind, profile, owner_scope, event_types, body, version, changed_at, ready_at,
        token, claim_owner, claim_n, held, expires_at, cancel, claims, lost, events,
        status, result, control, ended_by, authority,
    ) = row
    # fmt: on
    return Record(
        Registration(
            process_id,
            External(body) if kind is None else Work(kind, body),
            _types_from(event_types),
            Provenance(owner_scope, profile) if owner_scope or profile else _NOWHERE,
        ),
        seq,
        version,
        changed_at,
        ready_at,
        token,
        None if claim_owner is None else ClaimId(claim_owner, claim_n),
        held == 1,
        expires_at,
        cancel,
        claims,
        lost,
        events,
        None if status is None else _outcome_from(status, result, control),
        None if ended_by is None else _ENDED_BY[ended_by],
        authority,
    )


INSERT = """
INSERT INTO processes (seq, id, kind, profile, owner_scope, version, changed_at, ready_at, token, claim_owner, claim_n,
  held, expires_at, cancel, claims, lost, events, status, result, control, ended_by, authority, free_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_INPUT = "INSERT INTO inputs (seq, event_types, body) VALUES (?, ?, ?)"


def inserted(record: Record, limits: Limits) -> Row:
    wanted = record.registration
    kind = wanted.input.kind if isinstance(wanted.input, Work) else None
    source = wanted.provenance
    return (
        record.seq,
        wanted.id,
        kind,
        source.host_profile_id,
        source.owner_scope,
        *_held(record),
        *_end(record),
        _free(record, limits),
    )


def inserted_input(record: Record) -> Row:
    wanted = record.registration
    body = wanted.input.payload if isinstance(wanted.input, Work) else wanted.input.metadata
    return record.seq, _text_of(wanted.event_types), body


# Three updates, since SQLite writes every index anew that an UPDATE names a column of, changed or not.

MOVE = """
UPDATE processes SET version = ?, changed_at = ?, ready_at = ?, token = ?, claim_owner = ?, claim_n = ?, held = ?,
  expires_at = ?, cancel = ?, claims = ?, lost = ?, events = ?, free_at = ? WHERE seq = ?
"""
END = """
UPDATE processes SET version = ?, changed_at = ?, ready_at = ?, token = ?, claim_owner = ?, claim_n = ?, held = ?,
  expires_at = ?, cancel = ?, claims = ?, lost = ?, events = ?, status = ?, result = ?, control = ?, ended_by = ?,
  authority = ? WHERE seq = ?
"""
TOUCH = "UPDATE processes SET version = ?, changed_at = ?, cancel = ?, events = ? WHERE seq = ?"
"""Where neither `ready_at` nor the lease changed: an event, an effect, a cancel flag."""


def moved(record: Record, limits: Limits) -> Row:
    return (*_held(record), _free(record, limits), record.seq)


def ended(record: Record) -> Row:
    return (*_held(record), *_end(record), record.seq)


def touched(record: Record) -> Row:
    return record.version, record.changed_at, record.cancel, record.events, record.seq


def same_place(before: Record, after: Record) -> bool:
    """Whether TOUCH writes all that changed."""
    return (
        before.ready_at == after.ready_at
        and before.expires_at == after.expires_at
        and before.held == after.held
        and before.claims == after.claims
        and before.lost == after.lost
    )


def _free(record: Record, limits: Limits) -> StoreTime | None:
    return free_at(record, limits) if record.held else None


def _held(record: Record) -> Row:
    claim = record.claim
    return (
        record.version,
        record.changed_at,
        record.ready_at,
        record.token,
        None if claim is None else claim.owner,
        None if claim is None else claim.n,
        record.held,
        record.expires_at,
        record.cancel,
        record.claims,
        record.lost,
        record.events,
    )


def _end(record: Record) -> Row:
    outcome, by = record.outcome, record.ended_by
    if outcome is None or by is None:
        return None, None, None, None, record.authority
    return *_outcome_parts(outcome), by.value, record.authority


def _outcome_parts(outcome: Outcome) -> tuple[str, str, str]:
    match outcome:
        case Success():
            return "succeeded", outcome.value, outcome.control
        case Failure():
            parts = [outcome.failure_class, outcome.code, outcome.message, outcome.raw]
            return "failed", json.dumps(parts, ensure_ascii=False), outcome.control
        case Cancelled():
            return "cancelled", outcome.reason, outcome.control


def _outcome_from(status: str, result: str, control: str) -> Outcome:
    if status == "succeeded":
        return Success(Json(result), Json(control or NULL))
    if status == "failed":
        failure_class, code, message, raw = json.loads(result)
        return Failure(failure_class, code, message, raw, Json(control))
    return Cancelled(result, Json(control))


@lru_cache(maxsize=1024)
def _text_of(event_types: tuple[str, ...]) -> str:
    return json.dumps(event_types, ensure_ascii=False)


@lru_cache(maxsize=1024)
def _types_from(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


# --- events and effects -------------------------------------------------------------------------------------------

INSERT_EVENT = "INSERT INTO events (process, seq, type, payload, key, token, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
SELECT_EVENT = "SELECT seq, type, payload, key, token, at FROM events"
INSERT_EFFECT = (
    "INSERT INTO effects (process, key, fingerprint, result, token, version) VALUES (?, ?, ?, ?, ?, ?)"
)
SELECT_EFFECT = "SELECT key, fingerprint, result, token, version FROM effects"


def event_row(process: int, event: Event) -> Row:
    return process, event.seq, event.type, event.payload, event.key, event.token, event.at


def event_from(process_id: str, row: Row) -> Event:
    seq, kind, payload, key, token, at = row
    return Event(process_id, seq, kind, Json(payload), key, token, StoreTime(at))


def effect_row(process: int, effect: Effect) -> Row:
    return process, effect.key, effect.fingerprint, effect.result, effect.token, effect.version


def effect_from(process_id: str, row: Row) -> Effect:
    key, fingerprint, result, token, version = row
    return Effect(process_id, key, fingerprint, Json(result), token, version)
