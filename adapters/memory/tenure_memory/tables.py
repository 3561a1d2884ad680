"""The tables of a registry in memory: rows in and out, no rule. `tenure.model.execute` decides over them.

What SQL does with indexes is done here with heaps and sorted lists, so that a claim looks at the rows that it grants
and not at all that wait. Every change leaves its undoing in a journal until the batch ends: a batch that breaks off
half-way changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from operator import itemgetter
from typing import NamedTuple

from attrs import define, field

from tenure.claims import claimable, free_at, makes_work
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ClaimId, Effect, Event, Record, Work
from tenure.reads import listed, told
from tenure.registry import Decision
from tenure.replies import CancelsRead, EndingsRead, FenceLogRead, FenceNote, Listed, ProcessEnded
from tenure.requests import ClaimFilter, List, ReadOwnerEvents


class Waiting(NamedTuple):
    """An entry of a ready heap; stale once its row is held, has another `ready_at`, ended, or went."""

    ready_at: int
    seq: int
    process_id: str


class Expiring(NamedTuple):
    """An entry of an expiring heap: a held row, and when it may be taken over; stale once that changed."""

    free_at: int
    seq: int
    process_id: str


class ClaimNote(NamedTuple):
    """The last claim of an incarnation that granted rows, when, and which rows."""

    n: int
    at: StoreTime
    granted: tuple[str, ...]


SLACK = 64
"""Stale entries that a heap may always hold before it is cleared of them."""


@define(eq=False)
class MemoryTables:
    """A `tenure.model.Tables`. One thread at a time; `commit` or `roll_back` ends each batch."""

    limits: Limits
    epoch: int = 1
    number: int = 0
    work: int = 0
    latest: int = 0
    records: dict[str, Record] = field(factory=dict[str, Record])
    """By id, in the order of seq: a dict keeps it, since seq only grows and an update keeps the place."""
    order: list[tuple[int, str]] = field(factory=list[tuple[int, str]])
    ended: list[tuple[int, str]] = field(factory=list[tuple[int, str]])
    told_of: dict[str, list[tuple[int, str]]] = field(factory=dict[str, list[tuple[int, str]]])
    """What ended, by owner."""
    flagged: set[str] = field(factory=set[str])
    ready: dict[tuple[str, str], list[Waiting]] = field(factory=dict[tuple[str, str], list[Waiting]])
    """What nobody holds, by (kind, profile)."""
    expiring: dict[tuple[str, str], list[Expiring]] = field(factory=dict[tuple[str, str], list[Expiring]])
    """What somebody holds; a claim looks at those that expired, each in its old place in the order."""
    logs: dict[str, list[Event]] = field(factory=dict[str, list[Event]])
    keys: dict[str, dict[str, Event]] = field(factory=dict[str, dict[str, Event]])
    journal: dict[str, dict[str, Effect]] = field(factory=dict[str, dict[str, Effect]])
    claims: dict[str, ClaimNote] = field(factory=dict[str, ClaimNote])
    notes: list[FenceNote] = field(factory=list[FenceNote])
    noted: int = 0
    _granted: list[str] = field(factory=list[str])
    _undo: list[Callable[[], object]] = field(factory=list[Callable[[], object]])

    # --- the batch ------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Keep what the batch did."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Take back what the batch did, the last change first. (A stale heap entry may stay: it is stale.)"""
        self._granted.clear()
        while self._undo:
            self._undo.pop()()

    def _set(self, name: str, value: object) -> None:
        self._undo.append(partial(setattr, self, name, getattr(self, name)))
        setattr(self, name, value)

    # --- rows -----------------------------------------------------------------------------------------------------

    def record(self, process_id: str) -> Record | None:
        return self.records.get(process_id)

    def event(self, process_id: str, key: str) -> Event | None:
        return self.keys.get(process_id, {}).get(key)

    def effect(self, process_id: str, key: str) -> Effect | None:
        return self.journal.get(process_id, {}).get(key)

    def next_number(self) -> int:
        return self.number + 1

    def write(self, before: Record | None, decision: Decision) -> None:
        after = decision.record
        assert after is not None, "a decision without a record changes nothing"
        undo, name = self._undo, after.id
        undo.append(partial(self._put_back, name, before, (self.number, self.work, self.latest)))
        self.number = after.version
        if after.changed_at > self.latest:
            self.latest = after.changed_at
        if makes_work(before, after):
            self.work = after.version
        self.records[name] = after
        if before is None:
            self.order.append((after.seq, name))
        if after.outcome is not None:
            self.ended.append((after.version, name))
            self.told_of.setdefault(_owner(after), []).append((after.version, name))
            self.flagged.discard(name)
        else:
            if before is None or not _same_place(before, after):
                self._await(after)
            if after.cancel is not None:
                self.flagged.add(name)
        if before is not None and before.token != after.token:
            self._granted.append(name)
        if decision.event is not None:
            self._append(decision.event)
        if decision.effect is not None:
            effects = self.journal.setdefault(name, {})
            effects[decision.effect.key] = decision.effect
            undo.append(partial(effects.pop, decision.effect.key))

    def _put_back(self, name: str, before: Record | None, counters: tuple[int, int, int]) -> None:
        if self.ended and self.ended[-1] == (self.number, name):
            self.ended.pop()
            self.told_of[_owner(self.records[name])].pop()
        self.number, self.work, self.latest = counters
        if before is None:
            del self.records[name]
            self.order.pop()
            return
        self.records[name] = before
        if before.outcome is None:
            self._await(before)
            (self.flagged.discard if before.cancel is None else self.flagged.add)(name)

    def _append(self, event: Event) -> None:
        log = self.logs.setdefault(event.process_id, [])
        log.append(event)
        self._undo.append(log.pop)
        keys = self.keys.setdefault(event.process_id, {})
        keys[event.key] = event
        self._undo.append(partial(keys.pop, event.key))

    # --- claims ---------------------------------------------------------------------------------------------------

    def _await(self, record: Record) -> None:
        wanted = record.registration.input
        if isinstance(wanted, Work):
            place = (wanted.kind, record.registration.provenance.host_profile_id)
            most = 2 * len(self.records) + SLACK
            if record.held:
                held = self.expiring.setdefault(place, [])
                heappush(held, Expiring(free_at(record, self.limits), record.seq, record.id))
                if len(held) > most:
                    held[:] = sorted({entry for entry in held if self._held(entry)})
            else:
                heap = self.ready.setdefault(place, [])
                heappush(heap, Waiting(record.ready_at, record.seq, record.id))
                if len(heap) > most:
                    heap[:] = sorted({entry for entry in heap if self._free(entry)})

    def _free(self, entry: Waiting) -> Record | None:
        """The row that stands in line there, if it still does."""
        record = self.records.get(entry.process_id)
        if record is None or record.outcome is not None or record.seq != entry.seq or record.held:
            return None
        return record if record.ready_at == entry.ready_at else None

    def _held(self, entry: Expiring) -> Record | None:
        """The row whose lease ends there, if it still does."""
        record = self.records.get(entry.process_id)
        if record is None or record.outcome is not None or record.seq != entry.seq or not record.held:
            return None
        return record if free_at(record, self.limits) == entry.free_at else None

    def _lost(self, place: tuple[str, str], horizon: int) -> list[Waiting]:
        """What its holder lost, each in its old place in the order. (It stays in its heap: the clock may step back.)"""
        heap = self.expiring.get(place, [])
        ended: set[Expiring] = set()
        while heap and heap[0].free_at <= horizon:
            entry = heappop(heap)
            if self._held(entry):
                ended.add(entry)
        for entry in ended:
            heappush(heap, entry)
        return [Waiting(self.records[e.process_id].ready_at, e.seq, e.process_id) for e in ended]

    def candidates(self, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
        places = sorted({(kind, profile) for kind in wanted.kinds for profile in ("", wanted.profile)})
        # A row's store time is the clock or its own last change, whichever is later: no row is ready after both.
        horizon = max(clock, self.latest)
        lost = [entry for place in places for entry in self._lost(place, horizon)]
        heapify(lost)
        heaps = [lost, *(self.ready.get(place, []) for place in places)]
        heads = [(heap[0], index) for index, heap in enumerate(heaps) if heap and heap[0].ready_at <= horizon]
        heapify(heads)
        found: list[Record] = []
        taken: list[tuple[list[Waiting], Waiting]] = []
        last: Waiting | None = None
        while heads and len(found) < limit:
            entry, index = heappop(heads)
            heap = heaps[index]
            heappop(heap)
            record = self.records[entry.process_id] if heap is lost else self._free(entry)
            if record is not None and entry != last:
                last = entry
                taken.append((heap, entry))
                if claimable(record, wanted, clock, self.limits):
                    found.append(record)
            if heap and heap[0].ready_at <= horizon:
                heappush(heads, (heap[0], index))
        for heap, entry in taken:
            heappush(heap, entry)
        return found

    def carrying(self, claim: ClaimId) -> Sequence[Record]:
        note = self.claims.get(claim.owner)
        if note is None or note.n != claim.n:
            return ()
        rows = [self.records[name] for name in note.granted if name in self.records]
        return [row for row in rows if row.claim == claim]

    def last_claim(self, owner: str) -> int:
        note = self.claims.get(owner)
        return note.n if note else 0

    def note_claim(self, claim: ClaimId, clock: StoreTime) -> None:
        self._undo.append(partial(self._unnote, claim.owner, self.claims.get(claim.owner)))
        self.claims[claim.owner] = ClaimNote(claim.n, clock, tuple(self._granted))
        self._granted.clear()

    def _unnote(self, owner: str, before: ClaimNote | None) -> None:
        if before is None:
            del self.claims[owner]
        else:
            self.claims[owner] = before

    def note_fenced(self, note: FenceNote) -> None:
        """Kept even where the batch breaks off: best effort, and no part of the state (CONTRACT §4)."""
        self.noted += 1
        self.notes.append(note)
        if len(self.notes) > 2 * self.limits.fence_log:
            del self.notes[: -self.limits.fence_log]

    # --- pruning and reading --------------------------------------------------------------------------------------

    def prune(self, cutoff: StoreTime, limit: int) -> int:
        old = [row for row in (self.records[name] for _, name in self.ended) if row.changed_at < cutoff]
        gone = {row.id for row in sorted(old, key=lambda row: row.seq)[:limit]}
        if gone:
            for table in ("records", "logs", "keys", "journal"):
                self._set(
                    table, {name: rest for name, rest in getattr(self, table).items() if name not in gone}
                )
            for index in ("order", "ended"):
                self._set(index, [entry for entry in getattr(self, index) if entry[1] not in gone])
            left = {owner: [e for e in ended if e[1] not in gone] for owner, ended in self.told_of.items()}
            self._set("told_of", {owner: ended for owner, ended in left.items() if ended})
        self._set("claims", {owner: note for owner, note in self.claims.items() if note.at >= cutoff})
        return len(gone)

    def list(self, request: List, clock: StoreTime) -> Listed:
        page: list[Record] = []
        for _, name in _following(self.order, request.after):
            record = self.records[name]
            if listed(record, request, clock):
                if len(page) == request.limit:
                    return Listed(tuple(page), page[-1].seq)
                page.append(record)
        return Listed(tuple(page), None)

    def events(self, process_id: str, after: int, limit: int) -> Sequence[Event]:
        return self.logs.get(process_id, [])[after : after + limit]

    def told(self, request: ReadOwnerEvents) -> Sequence[ProcessEnded]:
        ended = self.told_of.get(request.owner_scope, [])
        first = bisect_right(ended, request.after, key=itemgetter(0))
        page = ended[first : first + request.limit]
        return [entry for _, name in page if (entry := told(self.records[name]))]

    def effects(self, process_id: str, after: str, limit: int) -> Sequence[Effect]:
        effects = self.journal.get(process_id, {})
        return [effects[key] for key in sorted(key for key in effects if key > after)[:limit]]

    def endings(self, after: int, limit: int) -> EndingsRead:
        first = bisect_right(self.ended, after, key=itemgetter(0))
        return EndingsRead(tuple(self.ended[first : first + limit]), self.number)

    def cancels(self, owner: str, limit: int) -> CancelsRead:
        rows = sorted((self.records[name] for name in self.flagged), key=lambda row: row.seq)
        held = [row for row in rows if row.held and row.claim is not None and row.claim.owner == owner]
        return CancelsRead(tuple((row.id, row.token, row.cancel or "") for row in held[:limit]))

    def fence_log(self, limit: int) -> FenceLogRead:
        kept = self.notes[-self.limits.fence_log :] if self.limits.fence_log else []
        return FenceLogRead(tuple(reversed(kept[-limit:])), self.noted)


def _owner(record: Record) -> str:
    return record.registration.provenance.owner_scope


def _same_place(before: Record, after: Record) -> bool:
    """Whether the row stands in line where it stood, and its take-over is due when it was."""
    return (
        before.ready_at == after.ready_at
        and before.held == after.held
        and before.expires_at == after.expires_at
        and before.lost == after.lost
    )


def _following(order: list[tuple[int, str]], after: int) -> Iterator[tuple[int, str]]:
    for place in range(bisect_right(order, after, key=itemgetter(0)), len(order)):
        yield order[place]
