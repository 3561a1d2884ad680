"""The tables of one SQLite file inside one transaction: rows in and out, no rule. `tenure.model.execute` decides.

What the batch will ask for is read by one statement, what it changed is written by one `executemany` a kind; between
the two the rows live here, so that the requests of a batch see each other's changes. Whatever looks at more than
single rows (a claim, a list, pruning) first has everything written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from heapq import merge

from tenure.canonical import text_fault
from tenure.claims import claimable, makes_work
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ClaimId, Effect, Event, Record
from tenure.registry import Decision
from tenure.replies import CancelsRead, EndingsRead, FenceLogRead, FenceNote, Listed, ProcessEnded
from tenure.requests import ClaimFilter, List, ReadOwnerEvents
from tenure_sqlite import rows, scans
from tenure_sqlite.known import KnownRows

_JOINED = " FROM processes p JOIN inputs i ON i.seq = p.seq "
_NAMED = " FROM json_each(?) j CROSS JOIN processes p ON p.id = j.value"


class NeedsWrite(Exception):
    """A request of a batch that was tried under a read transaction has something to write."""


class SqliteTables:
    """A `tenure.model.Tables`. `load` begins a batch, `flush` writes it, `keep` follows its commit."""

    def __init__(self, link: sqlite3.Connection, limits: Limits) -> None:
        self.link = link
        self.limits = limits
        self.epoch = self.number = self.work = self.latest = self.fenced = 0
        self._known = KnownRows()
        self._reading = False
        self._began: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._rows: dict[str, Record | None] = {}
        self._changed: dict[str, Record | None] = {}
        self._events: dict[tuple[str, str], Event] = {}
        self._effects: dict[tuple[str, str], Effect] = {}
        self._claims: dict[str, tuple[int, StoreTime, list[int]]] = {}
        self._granted: list[int] = []
        self._notes: list[FenceNote] = []
        self._written = False

    # --- the batch ------------------------------------------------------------------------------------------------

    def load(self, names: Sequence[str], *, reading: bool) -> None:
        """Begin a batch that names these processes, inside the transaction that the caller began."""
        self._reading = reading
        for table in (self._rows, self._changed, self._events, self._effects, self._claims):
            table.clear()
        self._granted.clear()
        self._notes.clear()
        self._written = False
        found = self.link.execute("SELECT epoch, number, work, latest, fenced FROM meta").fetchone()
        self.epoch, self.number, self.work, self.latest, self.fenced = found
        self._began = found[1:]
        if len(names) > 1:
            self._load_rows([name for name in names if not text_fault(name)])

    def _load_rows(self, names: list[str]) -> None:
        """Whichever rows we have in the very version that stands are not read again."""
        versions = self.link.execute(f"SELECT p.id, p.version {_NAMED}", (json.dumps(names),)).fetchall()
        self._rows.update(dict.fromkeys(names))
        missing: list[str] = []
        for name, version in versions:
            record = self._known.at(name, version)
            if record is None:
                missing.append(name)
            else:
                self._rows[name] = record
        if missing:
            query = f"{rows.SELECT} {_NAMED} JOIN inputs i ON i.seq = p.seq"
            for row in self.link.execute(query, (json.dumps(missing),)):
                self._rows[row[1]] = rows.record_from(row)

    def flush(self) -> bool:
        """Write what the batch changed; whether it changed anything at all."""
        self._write_rows()
        link = self.link
        if self._claims:
            link.executemany(
                "INSERT INTO claims (owner, n, at, granted) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (owner) DO UPDATE SET n = excluded.n, at = excluded.at, granted = excluded.granted",
                [(owner, n, at, json.dumps(seqs)) for owner, (n, at, seqs) in self._claims.items()],
            )
            self._claims.clear()
        self._write_notes()
        now = (self.number, self.work, self.latest, self.fenced)
        if now != self._began:
            link.execute("UPDATE meta SET number = ?, work = ?, latest = ?, fenced = ?", now)
            self._began = now
            self._written = True
        return self._written

    def keep(self) -> None:
        """The batch was committed, or only read: its rows may be known in the next one."""
        for record in self._rows.values():
            if record is not None:
                self._known.remember(record)

    def _write_rows(self) -> None:
        if not self._changed:
            return
        new: list[Record] = []
        moved: list[Record] = []
        ended: list[Record] = []
        touched: list[Record] = []
        for name, before in self._changed.items():
            after = self._rows[name]
            assert after is not None, "a changed row is there"
            if before is None:
                new.append(after)
            elif after.outcome is not None:
                ended.append(after)
            else:
                (touched if rows.same_place(before, after) else moved).append(after)
        many = self.link.executemany
        if new:
            many(rows.INSERT, [rows.inserted(record, self.limits) for record in new])
            many(rows.INSERT_INPUT, map(rows.inserted_input, new))
        if moved:
            many(rows.MOVE, [rows.moved(record, self.limits) for record in moved])
        if ended:
            many(rows.END, map(rows.ended, ended))
        if touched:
            many(rows.TOUCH, map(rows.touched, touched))
        if self._events:
            many(
                rows.INSERT_EVENT, [rows.event_row(self._seq(e.process_id), e) for e in self._events.values()]
            )
        if self._effects:
            many(
                rows.INSERT_EFFECT,
                [rows.effect_row(self._seq(e.process_id), e) for e in self._effects.values()],
            )
        for table in (self._changed, self._events, self._effects):
            table.clear()

    def _write_notes(self) -> None:
        if self._notes:
            scans.note(self.link, self._notes, self.fenced, self.limits.fence_log)
            self._notes.clear()

    def _seq(self, process_id: str) -> int:
        record = self._rows[process_id]
        assert record is not None, "what hangs on a row was written with it"
        return record.seq

    # --- rows -----------------------------------------------------------------------------------------------------

    def record(self, process_id: str) -> Record | None:
        if process_id in self._rows:
            return self._rows[process_id]
        if text_fault(process_id):
            return None
        row = self.link.execute(f"{rows.SELECT} {_JOINED} WHERE p.id = ?", (process_id,)).fetchone()
        found = self._rows[process_id] = None if row is None else rows.record_from(row)
        return found

    def event(self, process_id: str, key: str) -> Event | None:
        record = self.record(process_id)
        if record is None or record.events == 0 or text_fault(key):
            return None
        new = self._events.get((process_id, key))
        if new is not None:
            return new
        query = f"{rows.SELECT_EVENT} WHERE process = ? AND key = ?"
        row = self.link.execute(query, (record.seq, key)).fetchone()
        return None if row is None else rows.event_from(process_id, row)

    def effect(self, process_id: str, key: str) -> Effect | None:
        record = self.record(process_id)
        if record is None or text_fault(key):
            return None
        new = self._effects.get((process_id, key))
        if new is not None:
            return new
        query = f"{rows.SELECT_EFFECT} WHERE process = ? AND key = ?"
        row = self.link.execute(query, (record.seq, key)).fetchone()
        return None if row is None else rows.effect_from(process_id, row)

    def next_number(self) -> int:
        return self.number + 1

    def write(self, before: Record | None, decision: Decision) -> None:
        if self._reading:
            raise NeedsWrite
        after = decision.record
        assert after is not None, "a decision without a record changes nothing"
        assert after.version == self.number + 1, "a version is the next number"
        name = after.id
        self.number = after.version
        if after.changed_at > self.latest:
            self.latest = after.changed_at
        if makes_work(before, after):
            self.work = after.version
        self._changed.setdefault(name, before)
        self._rows[name] = after
        if before is not None and before.token != after.token:
            self._granted.append(after.seq)
        if decision.event is not None:
            self._events[name, decision.event.key] = decision.event
        if decision.effect is not None:
            self._effects[name, decision.effect.key] = decision.effect

    # --- claims ---------------------------------------------------------------------------------------------------

    def candidates(self, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
        self._write_rows()
        found: list[Record] = []
        heads = list(self._heads(wanted, clock))
        # Merged from indexes that are in order already: however long the backlog, only its head is read.
        for row in merge(*heads, key=_place):
            if len(found) == limit:
                break
            record = rows.record_from(row)
            if claimable(record, wanted, clock, self.limits):
                if self._reading:
                    raise NeedsWrite
                self._rows[record.id] = record
                found.append(record)
        for cursor in heads:
            cursor.close()
        return found

    def _heads(self, wanted: ClaimFilter, clock: StoreTime) -> Iterator[sqlite3.Cursor]:
        # A row's store time is the clock or its own last change, whichever is later: `latest` bounds the index's
        # range, and the row's own change is the second test. `claimable` judges again, by the law.
        free = f"""
            {rows.SELECT} FROM processes p INDEXED BY ready CROSS JOIN inputs i ON i.seq = p.seq
            WHERE p.kind = ?1 AND p.profile = ?2 AND p.status IS NULL AND p.held = 0
              AND p.ready_at <= max(?3, ?4) AND p.ready_at <= max(?3, p.changed_at)
            ORDER BY p.ready_at, p.seq
        """
        # What was lost stands in line where it stood before; these are few, so that they may be sorted.
        lost = f"""
            {rows.SELECT} FROM processes p INDEXED BY expiring CROSS JOIN inputs i ON i.seq = p.seq
            WHERE p.kind = ?1 AND p.profile = ?2 AND p.held = 1
              AND p.free_at <= max(?3, ?4) AND p.free_at <= max(?3, p.changed_at)
            ORDER BY p.ready_at, p.seq
        """
        for kind in sorted(set(wanted.kinds)):
            for profile in sorted({"", wanted.profile}):
                if not text_fault(kind + profile):
                    for query in (free, lost):
                        yield self.link.execute(query, (kind, profile, clock, self.latest))

    def carrying(self, claim: ClaimId) -> Sequence[Record]:
        self._write_rows()
        new = self._claims.get(claim.owner)
        if new is not None:
            granted = json.dumps(new[2])
        else:
            row = self.link.execute("SELECT granted FROM claims WHERE owner = ?", (claim.owner,)).fetchone()
            granted = "[]" if row is None else row[0]
        query = f"""
            {rows.SELECT} FROM json_each(?) j CROSS JOIN processes p ON p.seq = j.value JOIN inputs i ON i.seq = p.seq
        """
        found = [rows.record_from(row) for row in self.link.execute(query, (granted,))]
        return sorted((record for record in found if record.claim == claim), key=lambda record: record.token)

    def last_claim(self, owner: str) -> int:
        new = self._claims.get(owner)
        if new is not None:
            return new[0]
        row = self.link.execute("SELECT n FROM claims WHERE owner = ?", (owner,)).fetchone()
        return 0 if row is None else int(row[0])

    def note_claim(self, claim: ClaimId, clock: StoreTime) -> None:
        self._claims[claim.owner] = (claim.n, clock, self._granted.copy())
        self._granted.clear()

    def note_fenced(self, note: FenceNote) -> None:
        if self._reading:
            raise NeedsWrite
        self.fenced += 1
        self._notes.append(note)

    # --- over many rows -------------------------------------------------------------------------------------------

    def prune(self, cutoff: StoreTime, limit: int) -> int:
        self._write_rows()
        gone = scans.prune(self.link, cutoff, limit)
        self._rows.update(dict.fromkeys(gone))
        self._written = True
        return len(gone)

    def list(self, request: List, clock: StoreTime) -> Listed:
        self._write_rows()
        if text_fault(f"{request.kind}{request.owner_scope}"):
            return Listed((), None)
        return scans.page(self.link, request, clock)

    def events(self, process_id: str, after: int, limit: int) -> Sequence[Event]:
        record = self.record(process_id)
        if record is None or after >= record.events:  # what those who wait for an event see most of the time
            return ()
        self._write_rows()
        return scans.events(self.link, record, after, limit)

    def told(self, request: ReadOwnerEvents) -> Sequence[ProcessEnded]:
        self._write_rows()
        return scans.told(self.link, request)

    def effects(self, process_id: str, after: str, limit: int) -> Sequence[Effect]:
        self._write_rows()
        record = self.record(process_id)
        if record is None or text_fault(after):
            return ()
        return scans.effects(self.link, record, after, limit)

    def endings(self, after: int, limit: int) -> EndingsRead:
        self._write_rows()
        return scans.endings(self.link, after, limit, self.number)

    def cancels(self, owner: str, limit: int) -> CancelsRead:
        self._write_rows()
        return CancelsRead(()) if text_fault(owner) else scans.cancels(self.link, owner, limit)

    def fence_log(self, limit: int) -> FenceLogRead:
        self._write_notes()
        return scans.fence_log(self.link, limit, self.fenced)


def _place(row: rows.Row) -> tuple[int, int]:
    """(ready_at, seq) of a row of SELECT."""
    return row[9], row[0]
