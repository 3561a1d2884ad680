"""A fleet's state, and the one form for all states that differ in nothing that can matter (`fleet` says why)."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tenure.attempt_types import CallSucceeded
from tenure.instants import Instant, StoreTime
from tenure.process import ClaimId, EndedBy, Fence, Provenance, Record, Registration, Success, Work
from tenure.replies import Claimed, Grant, Succeeded
from tenure.requests import ClaimNext
from tenure.router import AnswerEvent, answer_event
from tenure.timings import nanos
from tenure.values import changed
from tenure.worker_types import ClaimCall, Driving, WorkerState, Working

TICK, CLOCK, NOW = 1_000, StoreTime(1_000_000), Instant(0)
FAR = Instant(nanos(1_000.0))
"""When whatever is not due yet would be due."""
CLAIM, READ, TAG = 1, 2, 50
"""The calls that may be under way, and the id that the next one gets."""
CURRENT, NUMBER = 40, 1_000
"""The row's token, and what the store's sequence has reached: above every token there has been."""
ASKED = "asked"
BEFORE, BEFORE_ALL = Instant(-1), CLOCK - TICK
ROWS = {
    f"p{seq}": Record(Registration(f"p{seq}", Work("kind"), (), Provenance("owner")), seq, 0, CLOCK, CLOCK)
    for seq in (1, 2)
}


class Attempt(NamedTuple):
    """One slot. `stage`: "runs", "strayed" or "unwanted"."""

    process: str
    token: int
    stage: str


Mail: TypeAlias = str | AnswerEvent | None
"""A call's request on its way (ASKED), or its answer."""


class Fleet(NamedTuple):
    """A state. `worker`: None before the first start. `last`: the number of the last claim that granted rows. `late`:
    a claim that its worker gave up."""

    worker: WorkerState | None
    attempts: tuple[Attempt, ...]
    rows: tuple[Record, ...]
    last: int
    claim: Mail
    read: Mail
    late: ClaimNext | None


def canonical(state: Fleet) -> Fleet:
    """The one state for all that differ in nothing that can matter."""
    if not isinstance(state.worker, Working):
        return _without_worker(state)
    call = state.worker.claim
    asked, late = (call.request.claim.n if call else 0), (state.late.claim.n if state.late else 0)
    rank = {n: place for place, n in enumerate(sorted({0, asked, late, state.last}))}
    granted = granted_by(state.claim)
    tokens: dict[tuple[str, int], int] = {}
    for row in state.rows:
        known = {(each.stage, each.token) for each in state.attempts if each.process == row.id}
        known |= {("", fence.token) for fence in granted if fence.process_id == row.id}
        current = row.token if row.held else 0
        stale = [token for _, token in sorted(known) if token != current]
        tokens.update({(row.id, token): place for place, token in enumerate(stale, 1)})
        tokens[row.id, current] = CURRENT if current else 0
    attempts = sorted(each._replace(token=tokens[each.process, each.token]) for each in state.attempts)
    worked = _canonical_worker(state.worker, rank, tokens)
    mail = state.claim
    if granted:
        fences = (Fence(f.process_id, ClaimId("w", 0), tokens[f.process_id, f.token]) for f in granted)
        grants = tuple(Grant(fence, ROWS[fence.process_id]) for fence in fences)
        mail = answer_event(CLAIM, Succeeded(Claimed(grants, 1)), NOW, TAG, 0)
    return Fleet(
        worked,
        tuple(attempts),
        _canonical_rows(state.rows, {n: rank[n] for n in (asked, late)}),
        rank[state.last],
        mail if call else None,
        state.read if state.worker.reading else None,
        state.late and changed(state.late, claim=ClaimId("w", rank[late])),
    )


def _without_worker(state: Fleet) -> Fleet:
    """The worker has left; what it held is now some other incarnation's, for whoever looks at the rows."""
    rows = tuple(changed(row, claim=row.claim and ClaimId("o", 1)) for row in state.rows)
    return Fleet(state.worker, (), _canonical_rows(rows, {}), 0, None, None, None)


def _canonical_worker(state: Working, rank: dict[int, int], tokens: dict[tuple[str, int], int]) -> Working:
    """Without instants, and with the names that the other parts have."""
    claim = state.claim and ClaimCall(
        CLAIM,
        changed(state.claim.request, claim=ClaimId("w", rank[state.claim.request.claim.n])),
        BEFORE,
        None if state.claim.retry_at is None else FAR,
        state.claim.doubtful,
    )
    exclude = tuple(sorted((process, tokens[process, token]) for process, token in state.exclude))
    timer = {"poll_at": FAR} if isinstance(state, Driving) else {"until": FAR}
    return changed(
        state,
        exclude=exclude,
        claim=claim,
        reading=None if state.reading is None else READ,
        tries=min(state.tries, 2),
        **timer,
    )


def _canonical_rows(rows: tuple[Record, ...], rank: dict[int, int]) -> tuple[Record, ...]:
    """Rows without counters. `rank` has the claims that may be asked for again; of others nothing is kept."""
    waiting = sorted({row.ready_at for row in rows if row.outcome is None})
    kept: list[Record] = []
    for row in rows:
        new = ROWS[row.id]
        if row.outcome is not None:
            new = changed(new, outcome=Success(), ended_by=EndedBy.COMPLETE)
        else:
            new = changed(
                new, cancel=row.cancel, ready_at=StoreTime(BEFORE_ALL + waiting.index(row.ready_at))
            )
        if row.held and row.claim is not None:
            live = row.expires_at > CLOCK
            n = row.claim.n if row.claim.owner == "o" else rank.get(row.claim.n, 0) if live else 0
            expires = StoreTime(CLOCK + TICK) if live else CLOCK
            claim = ClaimId(row.claim.owner, n)
            new = changed(new, held=True, token=CURRENT, claim=claim, expires_at=expires)
        kept.append(new)
    return tuple(kept)


def granted_by(mail: Mail) -> tuple[Fence, ...]:
    """The leases that an answer on its way brings."""
    reply = mail.reply if isinstance(mail, CallSucceeded) else None
    return tuple(grant.fence for grant in reply.grants) if isinstance(reply, Claimed) else ()
