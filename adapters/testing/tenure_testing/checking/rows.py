"""The row of one process, as the search keeps it, and the shipped law over it.

A row is kept relative to now: the store's clock always stands at `CLOCK`, and what a tick changes is how much of the
lease is left. What is kept is enough to tell apart all that the law can tell apart:
- Tokens by rank: NEW (not granted), STALE (any before the row's), CURRENT (the row's), NEXT (what a claim will get).
  The law compares tokens for equality only, and that a new one is above all others is S2, which each claim is held to.
- Claims are named by the token that they got, under one owner: a rule that compared owners alone would be found out.
- Version, claims, number of events: not kept. They only count, and what they must count is checked on transitions.
- `lost` saturates at max_lost, and the wait for the next take-over with it. Of an ended row nothing is kept but how
  it ended and under which token; of a held one `ready_at` is nothing, since the expiry alone decides.
- When a lease that was given back would have expired: kept where a law `remembers`, so that a rule that forgot to ask
  whether anybody holds the row (K16) is found out.
- Effects and events: one key each, with whether this very token recorded it; the first writer's stays.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from tenure import model
from tenure.canonical import NULL, canonical
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot
from tenure.process import ClaimId, Effect, Event, Fence, Provenance, Record, Registration, Work
from tenure.replies import Answer, Claimed, Grant, Stamp, Succeeded
from tenure.requests import (
    Claim,
    Complete,
    EmitEvent,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure.values import changed
from tenure_testing.checking.explorer import Broken
from tenure_testing.checking.properties import Transition, broken_by, words
from tenure_testing.checking.sessions import Kept

Asked: TypeAlias = (
    Claim | Renew | Complete | Release | RecordEffect | EmitEvent | RequestCancel | Prune | Register
)
NEW, STALE, CURRENT, NEXT = range(4)
TICK, CLOCK = 1_000, StoreTime(1_000_000)
MAX_LOST = 2
LIMITS = Limits(takeover_wait=TICK, takeover_cap=TICK, retry_horizon=TICK)
REGISTRATION = Registration("p", Work("kind"), ("progress",), Provenance("owner"))
RECORD = Record(REGISTRATION, 1, 0, CLOCK, CLOCK)
EFFECT, EVENT, FINGERPRINT, FIRST = "download", "halfway", "fetch", canonical("first")
ANOTHER = canonical("another")
CANCEL, PRUNE, REGISTER = RequestCancel("p", "asked"), Prune(), Register(REGISTRATION)


class Row(NamedTuple):
    """The row, None once it was pruned; whether its effect and its event are recorded; and what is kept beside it, of
    which the law of rows knows nothing."""

    record: Record | None = RECORD
    effect: bool = False
    event: bool = False
    session: Kept | None = None


class Answered(NamedTuple):
    """What the store made of a request. `taken`: the row has a new token. `gone`: it has none any more."""

    said: str
    row: Row
    answer: Answer
    taken: bool
    gone: bool


class Pair(NamedTuple):
    """A request to a registry in a given state, and what it does: what another implementation can be held to."""

    before: Snapshot
    request: Asked
    after: Snapshot
    answer: Answer


def later(row: Row, ticks: int = 1, remembers: bool = False) -> Row:
    """The row `ticks` later."""
    return row if row.record is None else row._replace(record=_rebased(row.record, ticks, remembers))


def _rebased(record: Record, ticks: int, remembers: bool) -> Record:
    """The record `ticks` later, without counters and without what cannot matter any more. `remembers`: when a lease
    would have expired that was given back."""
    ended, spent = record.outcome is not None, ticks * TICK
    claim = ClaimId("w", CURRENT) if record.token else None
    lost = 0 if ended else min(record.lost, MAX_LOST)
    expires_at = max(CLOCK - TICK * min(record.lost, 1), record.expires_at - spent)
    if not record.held:
        expires_at = max(CLOCK, expires_at) if remembers and not ended else CLOCK
    ready_at = CLOCK if ended or record.held else max(CLOCK, record.ready_at - spent)
    kept = changed(record, token=min(record.token, CURRENT), claim=claim, ready_at=ready_at)
    return changed(
        kept, seq=1, version=0, changed_at=CLOCK, expires_at=expires_at, claims=0, events=0, lost=lost
    )


class Law:
    """What the shipped law makes of rows; each pair of row and request is asked for once, and judged."""

    def __init__(self, remembers: bool = False) -> None:
        self.remembers = remembers
        self.known: dict[tuple[Row, Asked, int, bool], Answered] = {}
        self.pairs: list[Pair] = []

    def answered(self, row: Row, asked: Asked, token: int = NEW, mine: bool = False) -> Answered:
        """What the store does with that request of token `token`. `mine`: what the row has recorded under the key of
        this effect or event was recorded under this token."""
        session, row = row.session, row._replace(session=None)
        key = (row, asked, token, mine)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._asked(row, asked, token, mine)
        return found if session is None else found._replace(row=found.row._replace(session=session))

    def _asked(self, row: Row, asked: Asked, token: int, mine: bool) -> Answered:
        claim = ClaimId("w", token or NEXT)
        if isinstance(asked, Claim):
            asked = changed(asked, claim=claim)
        elif isinstance(asked, RecordEffect):  # one that is mine is that very request again
            asked = changed(asked, fence=Fence("p", claim, token), result=FIRST if mine else ANOTHER)
        elif isinstance(asked, Renew | Complete | Release | EmitEvent):
            asked = changed(asked, fence=Fence("p", claim, token))
        other = CURRENT if token == STALE else STALE
        before = _snapshot(row, claim if token else None, token if mine else other)
        clock = StoreTime(CLOCK + LIMITS.retry_horizon + 1) if isinstance(asked, Prune) else CLOCK
        after, answer = model.apply(before, asked, clock)
        pair = Pair(before, asked, after, answer)
        self.pairs.append(pair)
        transition = Transition(pair, lambda again, state: model.apply(state, again, clock))
        broken = broken_by(transition)
        said = words(transition)
        if broken:
            raise Broken(broken, f"{said}; the row was {shown(row.record)}, and is {shown(_row(after))}")
        then = _row(after)
        kept = then and _rebased(then, 0, self.remembers)
        new = Row(kept, bool(after.effects), any(event.token for event in after.events))
        taken = then is not None and row.record is not None and then.token != row.record.token
        return Answered(said, new, _unnumbered(answer, then), taken, row.record is not None and then is None)


def _snapshot(row: Row, last: ClaimId | None, recorder: int) -> Snapshot:
    """A registry with that row alone. `recorder`: the token under which its effect and event were recorded."""
    effects = (Effect("p", EFFECT, FINGERPRINT, FIRST, recorder),) if row.effect else ()
    events = (Event("p", 1, "progress", NULL, f"h:{EVENT}", recorder, CLOCK),) if row.event else ()
    records = () if row.record is None else (row.record,)
    claims = ((last, CLOCK),) if last else ()
    return Snapshot(records, events, effects, claims, number=CURRENT, limits=LIMITS)


def shown(record: Record | None) -> str:
    """The row in a few words."""
    if record is None:
        return "gone"
    left = f"held for {(record.expires_at - CLOCK) // TICK}" if record.held else "free"
    words = [type(record.outcome).__name__ if record.outcome else left, f"lost {record.lost}"]
    return ", ".join([*words, *(["cancel flag"] if record.cancel is not None else [])])


def _row(state: Snapshot) -> Record | None:
    return next(iter(state.records), None)


def _unnumbered(answer: Answer, then: Record | None) -> Answer:
    """The answer without numbers that nobody looks into; a grant shows the row's flag and count."""
    if not isinstance(answer, Succeeded):
        return answer
    if isinstance(answer.reply, Claimed):
        shown = then or RECORD
        record = changed(RECORD, cancel=shown.cancel, lost=min(shown.lost, MAX_LOST))
        return Succeeded(Claimed((Grant(FENCE, record),) * len(answer.reply.grants), 1))
    stamped: Any = answer.reply
    return Succeeded(changed(stamped, stamp=STAMP) if hasattr(stamped, "stamp") else stamped)


FENCE, STAMP = Fence("p", ClaimId("w", 1), 1), Stamp(0, 0, CLOCK)
