"""Judges logs: what was answered about a process's events, told once more and apart from the core, against what is
read of the log, what handlers are given that wait, and what clients were promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from attrs import define, field, frozen

from tenure.canonical import Json, parsed
from tenure.process import CANCEL_REQUESTED, ENDED, Event
from tenure.replies import Claimed, EventsRead, Succeeded
from tenure.requests import (
    AppendEvent,
    ClaimNext,
    Complete,
    EmitEvent,
    ReadEvents,
    Register,
    Release,
    Request,
    RequestCancel,
)
from tenure.stores import ProcessRegistry
from tenure_testing.histories.law import Row
from tenure_testing.simulating.rows import Violation

LONG = 10_000_000_000
"""Nanoseconds for which an event is in the log and a handler waits for it, and is given it where nothing is wrong but a
store that is busy."""


class Entry(NamedTuple):
    """An event as it has to be read; `at` is the world's time. The registry's own have no `payload` here."""

    type: str
    key: str
    payload: Json | None
    token: int
    at: int


@define(eq=False)
class Log:
    """One process's. Its events are numbered from 1 without a gap. `ended`: the last of them is its last."""

    entries: list[Entry] = field(factory=list[Entry])
    ended: bool = False

    def next(self, type: str, after: int) -> int | None:
        """The number of the next event of that type."""
        numbers = range(after + 1, len(self.entries) + 1)
        return next((number for number in numbers if self.entries[number - 1].type == type), None)


@frozen
class Promise:
    """A client was told that its event has that number. `most`: how often it may be in the log."""

    process: str
    type: str
    payload: object
    seq: int
    most: int


class Logs:
    """`gentle`: no fault excuses that a handler is not given what is there. `met` counts what was met."""

    def __init__(self, met: Counter[str], gentle: bool) -> None:
        self._met, self._gentle = met, gentle
        self.logs: dict[str, Log] = {}
        self._every: dict[str, list[Log]] = {}
        self._of_token: dict[int, Log] = {}
        self._reached: dict[tuple[int, str], int] = {}
        self._heard: dict[Log, set[int]] = {}
        self._promises: list[Promise] = []

    def apply(self, request: Request, reply: Any, new: bool, rows: Mapping[str, Row], now: int) -> None:
        """A request was accepted; `new`: it changed its row, which is among `rows`. Raises Violation."""
        match request:
            case EmitEvent(type=type, payload=payload):
                token, process = request.fence.token, request.fence.process_id
                self._appended(process, reply.seq, Entry(type, "h:" + request.key, payload, token, now), new)
            case AppendEvent(process_id=process, type=type, payload=payload):
                self._appended(process, reply.seq, Entry(type, "c:" + request.key, payload, 0, now), new)
            case ReadEvents():
                self._read(request, reply)
            case ClaimNext():
                self._claimed(reply)
            case RequestCancel(process_id=process) if new:
                log = self.logs[process]
                if not any(entry.key == "r:cancel" for entry in log.entries):
                    log.entries.append(Entry(CANCEL_REQUESTED, "r:cancel", None, 0, now))
                self._end(process, rows[process], now)
            case Complete(fence=fence) | Release(fence=fence) if new:
                self._end(fence.process_id, rows[fence.process_id], now)
            case Register() if new:
                log = self.logs[request.registration.id] = Log()
                self._every.setdefault(request.registration.id, []).append(log)
            case _:
                pass

    def _appended(self, process: str, seq: int, entry: Entry, new: bool) -> None:
        log = self.logs[process]
        if new:
            log.entries.append(entry)
            if seq != len(log.entries):
                raise Violation(
                    "S10", f"event {entry.key} of {process} is {seq}, after {len(log.entries) - 1}"
                )
            return
        if not 1 <= seq <= len(log.entries) or log.entries[seq - 1].key != entry.key:
            raise Violation("S10", f"event {entry.key} of {process}, sent again, was answered as {seq}")
        if entry.token == 0:
            self._met["event again"] += 1

    def _claimed(self, reply: Claimed) -> None:
        for grant in reply.grants:
            self._of_token.setdefault(grant.fence.token, self.logs[grant.record.id])

    def _end(self, process: str, row: Row, now: int) -> None:
        if row.outcome is not None:
            log = self.logs[process]
            log.ended = True
            log.entries.append(Entry(ENDED, "r:ended", None, row.token, now))

    def _read(self, request: ReadEvents, read: EventsRead) -> None:
        """What is read is what was answered, once and in order (S10, S21)."""
        log = self.logs.get(request.process_id)
        said = f"a read of the events of {request.process_id} after {request.after}"
        if log is None:
            raise Violation("S1", f"{said}, and nobody registered it")
        expected = log.entries[request.after : request.after + request.limit]
        for number, (event, entry) in enumerate(zip(read.events, expected, strict=False), request.after + 1):
            if not _is(event, number, entry):
                raise Violation("S10" if _twice(read) else "S21", f"{said} has {event}, expected {entry}")
        if len(read.events) != len(expected):
            named = "S21" if len(read.events) < len(expected) else "S10"
            raise Violation(named, f"{said} has {len(read.events)} events, expected {len(expected)}")
        over = log.ended and request.after + len(expected) >= len(log.entries)
        if read.ended != over:
            raise Violation("S7", f"{said} says that it {'has' if read.ended else 'has not'} ended")

    def forget(self, pruned: Iterable[str]) -> None:
        """Logs went with their rows. An attempt that is not over yet still has what it was given of them."""
        for process in pruned:
            del self.logs[process]

    # --- handlers -------------------------------------------------------------------------------------------------

    def given(self, process: str, token: int, event: Event) -> None:
        """A handler is given each matching event once and in order, none before its position (CONTRACT §8)."""
        log, after = self._of_token[token], self._reached.get((token, event.type), 0)
        due = log.next(event.type, after)
        said = f"{process} under {token} waited for {event.type!r} after {after}, and was given {event.seq}"
        if due is None or event.seq != due or not _is(event, due, log.entries[due - 1]):
            raise Violation("delivery", f"{said} where {due} is due")
        self._reached[token, event.type] = due
        self._met["heard"] += 1
        given = self._heard.setdefault(log, set())
        self._met["heard again"] += due in given
        given.add(due)

    def in_vain(self, process: str, token: int, type: str, timeout: float, now: int) -> None:
        """It waited in vain until now. The hints may all be lost: the log is looked at now and then (§9)."""
        self._met["waited in vain"] += 1
        log, after = self._of_token[token], self._reached.get((token, type), 0)
        due = log.next(type, after)
        if self._gentle and due is not None and min(timeout * 1e9, now - log.entries[due - 1].at) > LONG:
            raise Violation("delivery", f"{process} under {token} waits for {type!r}, and is not given {due}")

    # --- clients --------------------------------------------------------------------------------------------------

    def promised(self, promise: Promise) -> None:
        """A client was told that its event is in the log."""
        self._promises.append(promise)

    def followed(self, process: str, after: int, event: Event) -> None:
        """A client that follows the log was given the event after the one numbered `after`."""
        logs = [log.entries[after] for log in self._every[process] if after < len(log.entries)]
        if not any(_is(event, after + 1, entry) for entry in logs):
            raise Violation("S21", f"a client follows {process} after {after}, and was given {event}")
        self._met["followed"] += event.type == ENDED

    def look(self, store: ProcessRegistry) -> None:
        """Every log, as the store has it, is as it was answered."""
        for process, log in self.logs.items():
            request = ReadEvents(process, 0, 1_000)
            (answer,) = store.execute([request])
            if not isinstance(answer, Succeeded) or not isinstance(answer.reply, EventsRead):
                raise Violation("S21", f"the log of {process}, of {len(log.entries)} events, is gone")
            self._read(request, answer.reply)

    def conclude(self) -> None:
        """What clients were promised is there, and no more often than they asked (S10, S21)."""
        for promise in self._promises:
            said = f"a client was told that its {promise.type!r} {promise.payload!r} of {promise.process}"
            kept = 0
            for log in self._every[promise.process]:
                numbers = [number for number, entry in enumerate(log.entries, 1) if _promised(promise, entry)]
                if len(numbers) > promise.most:
                    raise Violation("S10", f"{said} is event {promise.seq}, and it is there as {numbers}")
                kept += promise.seq in numbers
            if not kept:
                raise Violation("S21", f"{said} is event {promise.seq}, and it is not")


def _is(event: Event, number: int, entry: Entry) -> bool:
    if event.seq != number or (event.type, event.key) != (entry.type, entry.key):
        return False
    return entry.payload is None or (event.payload, event.token) == (entry.payload, entry.token)


def _twice(read: EventsRead) -> bool:
    return len({event.key for event in read.events}) < len(read.events)


def _promised(promise: Promise, entry: Entry) -> bool:
    return (
        entry.type == promise.type and entry.payload is not None and parsed(entry.payload) == promise.payload
    )
