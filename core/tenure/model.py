"""The reference model of a whole registry: `apply(state, request, clock) -> (state, answer)`, pure.

`execute` is how a store answers one request: it asks `Tables` for rows and gives them what changed, and takes every
decision from `tenure.registry` and `tenure.claims`. The memory and SQL stores run it over their own tables, inside
one transaction per batch; `apply` runs it over an immutable `Snapshot`, so that stores can be compared with it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, assert_never

from attrs import define, frozen

from tenure.claims import claimable, grant, lease_of, refuse_claim, replayed_claim
from tenure.instants import StoreTime
from tenure.limits import Limits, bad_name, noted
from tenure.process import ClaimId, Effect, Event, Record, terminal_event
from tenure.reads import listed, told
from tenure.registry import Decision, RowRequest, decide, stored_key
from tenure.replies import (
    Answer,
    CancelsRead,
    Claimed,
    EffectsRead,
    EndingsRead,
    EventsRead,
    Fenced,
    FenceLogRead,
    FenceNote,
    Got,
    Grant,
    Listed,
    OwnerEventsRead,
    ProcessEnded,
    Pruned,
    Reason,
    Refused,
    Succeeded,
)
from tenure.requests import (
    LARGEST,
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Get,
    List,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.values import changed


class Tables(Protocol):
    """What a store keeps, as `execute` sees it inside one transaction. No method decides anything."""

    limits: Limits
    epoch: int

    @abstractmethod
    def record(self, process_id: str) -> Record | None:
        """The row, or None."""

    @abstractmethod
    def event(self, process_id: str, key: str) -> Event | None:
        """The event of that stored key."""

    @abstractmethod
    def effect(self, process_id: str, key: str) -> Effect | None:
        """The effect of that key."""

    @abstractmethod
    def next_number(self) -> int:
        """The number that the next accepted mutation will have; it is used up by `write`."""

    @abstractmethod
    def write(self, before: Record | None, decision: Decision) -> None:
        """Put `decision.record` in the place of `before`, and add its event and effect."""

    @abstractmethod
    def candidates(self, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
        """The first `limit` claimable rows by (ready_at, seq), `tenure.claims.claimable` being the judge."""

    @abstractmethod
    def carrying(self, claim: ClaimId) -> Sequence[Record]:
        """The rows whose last claim was this one, in the order of their tokens."""

    @abstractmethod
    def last_claim(self, owner: str) -> int:
        """The highest n of that incarnation's claims that granted rows; 0 where none did."""

    @abstractmethod
    def note_claim(self, claim: ClaimId, clock: StoreTime) -> None:
        """Remember the claim as the latest of its owner's that granted rows."""

    @abstractmethod
    def note_fenced(self, note: FenceNote) -> None:
        """Add to the fence log, best effort."""

    @abstractmethod
    def prune(self, cutoff: StoreTime, limit: int) -> int:
        """Remove up to `limit` rows that ended before `cutoff`, with events and effects, and the notes of claims that
        old."""

    @abstractmethod
    def list(self, request: List, clock: StoreTime) -> Listed:
        """The page; `listed` is the judge of each record."""

    @abstractmethod
    def events(self, process_id: str, after: int, limit: int) -> Sequence[Event]:
        """Stored events; the terminal one is not stored."""

    @abstractmethod
    def told(self, request: ReadOwnerEvents) -> Sequence[ProcessEnded]:
        """The page, in the order of versions; `tenure.reads.told` makes each entry."""

    @abstractmethod
    def effects(self, process_id: str, after: str, limit: int) -> Sequence[Effect]:
        """In the order of keys, after `after`."""

    @abstractmethod
    def endings(self, after: int, limit: int) -> EndingsRead:
        """What ended after that version, in the order of versions."""

    @abstractmethod
    def cancels(self, owner: str, limit: int) -> CancelsRead:
        """What that owner holds and is to be cancelled, in the order of seq."""

    @abstractmethod
    def fence_log(self, limit: int) -> FenceLogRead:
        """The newest notes."""


def execute(tables: Tables, request: Request, clock: StoreTime) -> Answer:
    """Answer one request inside the transaction that `tables` stands for. `clock` was read after the row's lock."""
    match request:
        case Renew() | Complete() | RecordEffect() | EmitEvent() | Release():
            answer = _on_row(tables, request, request.fence.process_id, clock)
            if isinstance(answer, Fenced) or (
                isinstance(answer, Refused)
                and answer.reason is Reason.CONFLICT
                and isinstance(request, Complete)
            ):
                _note(tables, request, clock)
            return answer
        case ClaimNext():
            return _claim_next(tables, request, clock)
        case Claim():
            return _claim(tables, request, clock)
        case Register():
            return _on_row(tables, request, request.registration.id, clock)
        case AppendEvent() | RequestCancel() | CompleteExternal():
            return _on_row(tables, request, request.process_id, clock)
        case Prune():
            age = max(request.older_than, tables.limits.retry_horizon)
            return Succeeded(Pruned(tables.prune(StoreTime(clock - age), request.limit)))
        case Get():
            record = tables.record(request.process_id)
            return Succeeded(Got(record)) if record else Refused(Reason.NOT_FOUND)
        case List():
            return Succeeded(tables.list(request, clock))
        case ReadEvents():
            return _read_events(tables, request)
        case ReadOwnerEvents():
            refused = bad_name(request.owner_scope, tables.limits)
            return refused or Succeeded(OwnerEventsRead(tuple(tables.told(request))))
        case ReadEffects():
            effects = tuple(tables.effects(request.process_id, request.after, request.limit))
            following = effects[-1].key if len(effects) == request.limit else None
            return Succeeded(EffectsRead(effects, following))
        case ReadEndings():
            return Succeeded(tables.endings(request.after, request.limit))
        case ReadCancels():
            return Succeeded(tables.cancels(request.owner, request.limit))
        case ReadFenceLog():
            return Succeeded(tables.fence_log(request.limit))
        case _:
            assert_never(request)


def _on_row(tables: Tables, request: RowRequest, process_id: str, clock: StoreTime) -> Answer:
    record = tables.record(process_id)
    found = _named(tables, request, process_id)
    decision = decide(record, request, found, clock, tables.next_number(), tables.limits)
    if decision.record is not None:
        tables.write(record, decision)
    return decision.answer


def _named(tables: Tables, request: RowRequest, process_id: str) -> Event | Effect | None:
    """What the request's key names already."""
    if isinstance(request, RecordEffect):
        return tables.effect(process_id, request.key)
    if isinstance(request, EmitEvent | AppendEvent):
        return tables.event(process_id, stored_key(request))
    return None


def _claim_next(tables: Tables, request: ClaimNext, clock: StoreTime) -> Answer:
    repeated = _repeated(tables, request, clock)
    if repeated is not None:
        return repeated
    found = tables.candidates(request.filter, request.limit, clock)
    return _granted(tables, found, request.claim, request.ttl, clock)


def _claim(tables: Tables, request: Claim, clock: StoreTime) -> Answer:
    repeated = _repeated(tables, request, clock)
    if repeated is not None:
        return repeated
    record = tables.record(request.process_id)
    refused = refuse_claim(record, clock, tables.limits)
    if refused:
        return refused
    assert record is not None, "a row that is not there is refused"
    return _granted(tables, [record], request.claim, request.ttl, clock)


def _repeated(tables: Tables, request: ClaimNext | Claim, clock: StoreTime) -> Answer | None:
    """The answer to a claim that is refused or was seen before, None where it is new. One that granted nothing left no
    trace."""
    claim = request.claim
    refused = bad_name(claim.owner, tables.limits)
    if refused:
        return refused
    last = tables.last_claim(claim.owner)
    if claim.n > last:
        return None
    if claim.n < last:
        name = noted(request.process_id) if isinstance(request, Claim) else ""
        tables.note_fenced(FenceNote(name, type(request).__name__, claim.n, last, claim.owner, clock))
        return Fenced()
    rows = [row for row in tables.carrying(claim) if replayed_claim(row, claim, clock)]
    return Succeeded(Claimed(tuple(lease_of(row, claim) for row in rows), tables.epoch))


def _granted(tables: Tables, rows: Sequence[Record], claim: ClaimId, ttl: int, clock: StoreTime) -> Answer:
    grants: list[Grant] = []
    for row in rows:
        after = grant(row, claim, ttl, clock, tables.next_number())
        lease = lease_of(after, claim)
        tables.write(row, Decision(Succeeded(Claimed((lease,), tables.epoch)), after))
        grants.append(lease)
    if grants:
        tables.note_claim(claim, clock)
    return Succeeded(Claimed(tuple(grants), tables.epoch))


def _read_events(tables: Tables, request: ReadEvents) -> Answer:
    record = tables.record(request.process_id)
    if record is None:
        return Refused(Reason.NOT_FOUND)
    events = list(tables.events(request.process_id, request.after, request.limit))
    last = terminal_event(record)
    if last is not None and request.after < last.seq and len(events) < request.limit:
        events.append(last)
    reached = events[-1].seq if events else request.after
    return Succeeded(EventsRead(tuple(events), last is not None and reached >= last.seq))


def _note(
    tables: Tables, request: Renew | Complete | RecordEffect | EmitEvent | Release, clock: StoreTime
) -> None:
    record = tables.record(request.fence.process_id)
    fence = request.fence
    stale, current = max(0, min(fence.token, LARGEST)), record.token if record else 0
    name, owner = noted(fence.process_id), noted(fence.claim.owner)
    tables.note_fenced(FenceNote(name, type(request).__name__, stale, current, owner, clock))


# --- the model: the same over an immutable state ------------------------------------------------------------------


@frozen
class Snapshot:
    """The state of a registry as a value: hashable, compared by content."""

    records: tuple[Record, ...] = ()
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    claims: tuple[tuple[ClaimId, StoreTime], ...] = ()
    number: int = 0
    epoch: int = 1
    limits: Limits = Limits()


def apply(state: Snapshot, request: Request, clock: StoreTime) -> tuple[Snapshot, Answer]:
    """The model's step: the state after the request, and its answer. The fence log is no part of the state."""
    draft = _Draft(state, state.limits, state.epoch)
    answer = execute(draft, request, clock)
    return draft.state, answer


@define
class _Draft:
    """Tables over a Snapshot; short rather than fast."""

    state: Snapshot
    limits: Limits
    epoch: int

    def record(self, process_id: str) -> Record | None:
        return next((r for r in self.state.records if r.id == process_id), None)

    def event(self, process_id: str, key: str) -> Event | None:
        return next((e for e in self.state.events if e.process_id == process_id and e.key == key), None)

    def effect(self, process_id: str, key: str) -> Effect | None:
        return next((e for e in self.state.effects if e.process_id == process_id and e.key == key), None)

    def next_number(self) -> int:
        return self.state.number + 1

    def write(self, before: Record | None, decision: Decision) -> None:
        after = decision.record
        assert after is not None
        rows = [r for r in self.state.records if r.id != after.id] + [after]
        self.state = changed(
            self.state,
            number=self.state.number + 1,
            records=tuple(sorted(rows, key=lambda r: r.seq)),
            events=self.state.events + ((decision.event,) if decision.event else ()),
            effects=self.state.effects + ((decision.effect,) if decision.effect else ()),
        )

    def candidates(self, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
        found = [r for r in self.state.records if claimable(r, wanted, clock, self.limits)]
        return sorted(found, key=lambda r: (r.ready_at, r.seq))[:limit]

    def carrying(self, claim: ClaimId) -> Sequence[Record]:
        return sorted((r for r in self.state.records if r.claim == claim), key=lambda r: r.token)

    def last_claim(self, owner: str) -> int:
        return max((claim.n for claim, _ in self.state.claims if claim.owner == owner), default=0)

    def note_claim(self, claim: ClaimId, clock: StoreTime) -> None:
        others = tuple(known for known in self.state.claims if known[0].owner != claim.owner)
        self.state = changed(self.state, claims=(*others, (claim, clock)))

    def note_fenced(self, note: FenceNote) -> None:
        """Best effort, and no part of the state."""

    def prune(self, cutoff: StoreTime, limit: int) -> int:
        old = [r.id for r in self.state.records if r.outcome is not None and r.changed_at < cutoff][:limit]
        self.state = changed(
            self.state,
            records=tuple(r for r in self.state.records if r.id not in old),
            events=tuple(e for e in self.state.events if e.process_id not in old),
            effects=tuple(e for e in self.state.effects if e.process_id not in old),
            claims=tuple(known for known in self.state.claims if known[1] >= cutoff),
        )
        return len(old)

    def list(self, request: List, clock: StoreTime) -> Listed:
        found = [r for r in self.state.records if r.seq > request.after and listed(r, request, clock)]
        page = found[: request.limit]
        return Listed(tuple(page), page[-1].seq if len(found) > len(page) else None)

    def events(self, process_id: str, after: int, limit: int) -> Sequence[Event]:
        return [e for e in self.state.events if e.process_id == process_id and e.seq > after][:limit]

    def told(self, request: ReadOwnerEvents) -> Sequence[ProcessEnded]:
        scope, after = request.owner_scope, request.after
        owned = (r for r in self.state.records if r.registration.provenance.owner_scope == scope)
        found = sorted((e for e in map(told, owned) if e and e.version > after), key=lambda e: e.version)
        return found[: request.limit]

    def effects(self, process_id: str, after: str, limit: int) -> Sequence[Effect]:
        found = [e for e in self.state.effects if e.process_id == process_id and e.key > after]
        return sorted(found, key=lambda e: e.key)[:limit]

    def endings(self, after: int, limit: int) -> EndingsRead:
        ended = sorted(
            (r.version, r.id) for r in self.state.records if r.outcome is not None and r.version > after
        )
        return EndingsRead(tuple(ended[:limit]), self.state.number)

    def cancels(self, owner: str, limit: int) -> CancelsRead:
        held = [r for r in self.state.records if r.held and r.claim and r.claim.owner == owner]
        return CancelsRead(tuple((r.id, r.token, r.cancel) for r in held if r.cancel is not None)[:limit])

    def fence_log(self, limit: int) -> FenceLogRead:
        return FenceLogRead((), 0)
