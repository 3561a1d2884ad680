"""Judges rows: each change in the order of versions, by the law that `tenure_testing.histories` tells apart from the
core, and every row, now and then, as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from tenure.process import Cancelled, Outcome, Record
from tenure.replies import Reason
from tenure.requests import (
    AppendEvent,
    Complete,
    EmitEvent,
    Get,
    Prune,
    ReadEvents,
    RecordEffect,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_testing.histories.changes import Change, Shown
from tenure_testing.histories.law import EFFECTS, RULES, Row, differences
from tenure_testing.simulating.changes import changes, read, told


class Violation(AssertionError):
    """A property does not hold: its number, and what was seen, when."""

    def __init__(self, number: str, what: str) -> None:
        super().__init__(f"{number}: {what}")
        self.number, self.what = number, what


@frozen
class Held:
    """A lease as it was granted: to whom, for which process, at which version."""

    owner: str
    process: str
    version: int


class Rows:
    """`gentle`: no fault excuses a lost lease. `met` counts what was met."""

    def __init__(self, met: Counter[str], gentle: bool) -> None:
        self.met, self._gentle = met, gentle
        self.rows: dict[str, Row] = {}
        self.version = self._token = 0
        self.granted: dict[int, Held] = {}
        self.effects: dict[tuple[str, str], int] = {}
        self.pruned: dict[str, list[Row]] = {}

    def apply(self, request: Request, reply: object) -> bool:
        """A request was accepted: whether it changed a row. Raises Violation."""
        before = self.version
        for change in changes(request, reply):
            self._changed(change)
        return self.version > before

    def _changed(self, change: Change) -> None:
        row, kind, version = self.rows.get(change.process), change.kind, change.version
        said = f"{kind} of {change.process} at version {version}"
        if version > self.version:
            if version != self.version + 1 or kind == "read":
                raise Violation("S1", f"{said}: no request made the versions from {self.version + 1}")
            if row is None and kind != "register" and change.process in self.pruned:
                number = "S11" if kind == "complete" else "S4"
                raise Violation(number, f"{said} was accepted, and its row was pruned")
            objection = RULES[kind](row, change, self._token)
            if objection is not None:
                raise Violation(objection[0][0], f"{said} {objection[1]}")
            if row is None:
                row = self.rows[change.process] = Row()
                self.met["registered again"] += change.process in self.pruned
            if change.at < row.at:
                raise Violation("C1", f"{said} at {change.at} ms, after a change at {row.at} ms")
            self._meet(row, change)
            row.at = change.at
            EFFECTS[kind](row, change)
            row.version = self.version = version
            if kind == "claim":
                self._token = change.token
                assert change.claim is not None
                self.granted[change.token] = Held(change.claim[0], change.process, version)
            elif kind == "record_effect":
                self.effects[change.process, change.value[0]] = version
        elif row is None or version != row.version:
            at = "there is no such row" if row is None else f"the row is at version {row.version}"
            raise Violation("S23", f"{said}, and {at}")
        else:
            self._shows(row, change, said)

    def prune(self, request: Prune, reply: Any, at: int, horizon: int) -> list[str]:
        """Rows were removed at that store time: which ones, by the law. Only what ended longer ago than the horizon
        goes, in the order of registration; `look` sees whether it was so."""
        count: int = reply.count
        cutoff = at - max(request.older_than, horizon)
        old = [process for process, row in self.rows.items() if row.outcome is not None and row.at < cutoff]
        if count != min(len(old), request.limit):
            said = f"a prune of what ended before {cutoff} ms, {request.limit} at most, removed {count}"
            raise Violation("S21", f"{said}, and {len(old)} are so old")
        for process in old[: request.limit]:
            # What its id is registered for after this is another process.
            self.pruned.setdefault(process, []).append(self.rows.pop(process))
        if count:
            self.met["pruned"] += count
            gone = {*old[: request.limit]}
            self.effects = {key: version for key, version in self.effects.items() if key[0] not in gone}
        return old[: request.limit]

    def was_pruned(self, process: str) -> bool:
        """Whether a process of that id was pruned sometime."""
        return process in self.pruned

    def fenced(self, request: Request) -> None:
        """A request was fenced."""
        if isinstance(request, Complete | Release | EmitEvent | RecordEffect | Renew):
            process = request.fence.process_id
            self.met["fenced where pruned"] += process in self.pruned and process not in self.rows

    def refused(self, request: Request, reason: Reason) -> None:
        """A request was refused for what the row is: then it has to be so (S21)."""
        if isinstance(request, AppendEvent | RequestCancel | ReadEvents | Get):
            row = self.rows.get(request.process_id)
            if reason is Reason.NOT_FOUND and row is None:
                self.met["not found where pruned"] += request.process_id in self.pruned
            elif reason is Reason.NOT_FOUND:
                raise Violation("S21", f"{type(request).__name__} does not find {request.process_id}")
            if reason is Reason.ENDED and (row is None or row.outcome is None):
                raise Violation("S21", f"{request.process_id} takes no event, and has not ended")

    def _shows(self, row: Row, change: Change, said: str) -> None:
        """A replay, or a read."""
        if change.kind in ("claim", "read"):
            seen: Shown = change.value[1] if change.kind == "claim" else change.value
            known = Shown(row.token, row.held, row.expires_at, row.cancel, row.claims, row.lost, row.outcome)
            if seen != known:
                number = "S19" if change.kind == "claim" else "S2" if seen.token < row.token else "S21"
                raise Violation(number, f"{said} shows {differences(known, seen)}")
        elif change.kind == "renew":
            raise Violation("S9", f"{said} changed nothing, and was accepted")
        elif change.kind == "complete" and row.outcome != change.value[1]:
            raise Violation("S11", f"{said} answered another outcome than the row's")
        elif change.kind in ("record_effect", "emit_event", "append_event"):
            # The first writer wins, so what counts is what was answered.
            recorded = row.keys.get(change.value[0])
            if recorded is None or recorded[-1] != change.value[-1]:
                raise Violation("S10", f"{said} answered another result than what is recorded")

    def _meet(self, row: Row, change: Change) -> None:
        kind = change.kind
        self.met[kind] += 1
        if kind == "claim" and row.held:
            self.met["takeover"] += 1
            if self._gentle:
                raise Violation(
                    "L3",
                    f"{change.process} was taken over under token {change.token}, and no fault excuses that",
                )
        elif kind == "complete" and row.cancel is not None:
            self.met[
                "cancel won" if change.value[0] == told(Cancelled(row.cancel)) else "outcome won over cancel"
            ] += 1
        elif kind == "complete" and change.at >= row.expires_at:
            self.met["completed after expiry"] += 1
        elif kind == "request_cancel" and change.value[1] is not None:
            self.met["cancelled at once"] += 1

    def look(self, records: Iterable[Record]) -> None:
        """Every row is as its accepted changes made it (S1, S21, S22)."""
        seen = 0
        for record in records:
            seen += 1
            row = self.rows.get(record.id)
            if row is None:
                number = "S11" if record.id in self.pruned else "S1"
                raise Violation(number, f"{record.id} exists, and nobody registered it")
            self._shows(row, read(record), f"a read of {record.id}")
            if row.version != record.version:
                raise Violation("S21", f"{record.id} is at version {record.version}, expected {row.version}")
        if seen != len(self.rows):
            raise Violation("S21", f"{len(self.rows) - seen} rows are gone")

    @property
    def ended(self) -> bool:
        """Whether every row has ended."""
        return all(row.outcome is not None for row in self.rows.values())

    def conclude(self) -> None:
        """Everything has ended (L9)."""
        for process, row in self.rows.items():
            if row.outcome is None:
                raise Violation("L9", f"{process} has not ended")

    def agrees(self, process: str, outcome: Outcome) -> None:
        """What a client was told is how the row says that the process ended (S11, S23)."""
        rows = [*self.pruned.get(process, ()), *filter(None, [self.rows.get(process)])]
        if not any(row.outcome == told(outcome) for row in rows):
            raise Violation(
                "S11", f"a client was told that {process} ended by {outcome}, and the row says otherwise"
            )
