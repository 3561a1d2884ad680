"""Writes traces: of a worker by its tap, of any store by a store around it.

A trace is a file of JSON values, one a line, in the order in which things happened there. A line is written at once
and before anybody acts on what it says, so a process that is killed leaves at most one line that is cut short. To a
file that exists is added: each `{"trace": 1, ...}` begins a session of its own.

| line | says |
| --- | --- |
| `{"trace": 1, "of": "worker", "dense": true}` | a session begins; of a `worker`, or of a `store`; see below |
| `{"ask": request, "got": answer}` | the store answered |
| `{"declined": request}` | the worker itself dropped a write that came too late (S14) |
| `{"sent": {"owner", "n", "now"}}` | a claim is about to be sent; local nanoseconds |
| `{"started": {"process", "token", "now", "not_after"}}` | a handler was started |
| `{"told": {"process", "token", "why", "now"}}` | a handler was told to stop |
| `{"returned": {"token", "outcome", "now"}}` | a handler ended; `outcome` is null where it was stopped |
| `{"stopped": {"left", "refused"}}` | the worker is over |
| `{"closed": true}` | the store was closed |

`dense`: the store promises versions without holes, so that one that is missing is a line, or a change, that was lost. A
trace that does not say so is of a store that may leave numbers out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import SEEK_END
from pathlib import Path
from threading import Lock
from typing import Any

from tenure.attempt_types import StartHandler, StopHandler
from tenure.errors import StoreUnusable
from tenure.facets import BringsFacets
from tenure.instants import Instant
from tenure.process import Outcome
from tenure.replies import Answer
from tenure.requests import Claim, ClaimNext, Request
from tenure.stores import Cursor, DurabilityTier, ProcessRegistry
from tenure_driver import Tap
from tenure_driver.messages import Inbound, Outbox, Returned, Stopped, StoreCall
from tenure_memory.store import MemoryRegistry
from tenure_sqlite import SqliteRegistry
from tenure_testing.conforming.wire import to_json

VERSION = 1
"""Of the format."""

DENSE: tuple[type, ...] = (MemoryRegistry, SqliteRegistry)
"""Stores that give each number to an accepted change: what is rolled back leaves no hole in their versions."""


class Trace:
    """One session of a trace file; any thread may write. Raises StoreUnusable where the file cannot be written."""

    def __init__(self, path: Path, of: str, dense: bool) -> None:
        self._path, self._lock = path, Lock()
        try:
            self._file = path.open("ab", buffering=0)
            if path.stat().st_size and not _ends_whole(path):
                self._file.write(b"\n")  # whoever wrote the last line was killed meanwhile
        except OSError as error:
            raise self._trouble(error) from error
        try:
            self.write({"trace": VERSION, "of": of, "dense": dense})
        except StoreUnusable:
            self._file.close()
            raise

    def write(self, *lines: dict[str, Any]) -> None:
        """Add these lines, together. Raises StoreUnusable where the disk is full, say."""
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
        with self._lock:
            try:
                while text:
                    text = text[self._file.write(text) or 0 :]
            except OSError as error:
                raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> StoreUnusable:
        return StoreUnusable(f"the trace {self._path} cannot be written: {error.strerror}")

    def close(self) -> None:
        """Close the file; repeatable."""
        self._file.close()


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, SEEK_END)
        return file.read() == b"\n"


class TraceTap(Tap):
    """Records one worker. A block that is closed after the worker's; `then` is a tap that sees everything after it was
    written. `dense`: the worker's store promises versions without holes, as those in memory and SQLite do."""

    def __init__(self, path: Path, then: Tap | None = None, *, dense: bool = False) -> None:
        self._trace, self._then = Trace(path, "worker", dense), then or Tap()

    def before_transaction(self, requests: Sequence[Request]) -> None:
        self._then.before_transaction(requests)

    def answered(self, request: Request, answer: Answer) -> None:
        self._trace.write(asked(request, answer))
        self._then.answered(request, answer)

    def declined(self, request: Request) -> None:
        self._trace.write({"declined": to_json(request, Request)})
        self._then.declined(request)

    def turned(self, inbox: Sequence[Inbound], now: Instant, box: Outbox) -> None:
        said = (*inbox, *box.calls, *box.loop)
        lines = [told for message in said if (told := line_of(message, now)) is not None]
        if lines:
            self._trace.write(*lines)
        self._then.turned(inbox, now, box)

    def close(self) -> None:
        """Close the file; the worker must be over. Repeatable."""
        self._trace.close()

    def __enter__(self) -> TraceTap:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class RecordingStore:
    """A store that records what another one answers. It is closed with it. `dense`: the other one promises versions
    without holes; where this is not said, it is so for the stores that come with tenure, and for no other."""

    def __init__(self, store: ProcessRegistry, path: Path, *, dense: bool | None = None) -> None:
        dense = type(store) in DENSE if dense is None else dense
        self._store, self._closed, self._order = store, False, Lock()
        self._trace = Trace(path, "store", dense)
        if isinstance(store, BringsFacets):
            self.facets = store.facets  # not recorded: a trace is of processes

    @property
    def tier(self) -> DurabilityTier:
        """The other store's."""
        return self._store.tier

    @property
    def epoch(self) -> int:
        """The other store's."""
        return self._store.epoch

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """The other store's answers, once they are written down."""
        with self._order:  # as they were executed, so they are written down
            answers = self._store.execute(batch)
            self._trace.write(*map(asked, batch, answers))
        return answers

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """The other store's."""
        return self._store.wait(after, timeout)

    def close(self) -> None:
        """Close the other store and the trace."""
        self._store.close()
        if not self._closed:
            self._closed = True
            self._trace.write({"closed": True})
            self._trace.close()


def asked(request: Request, answer: Answer) -> dict[str, Any]:
    """The line of an answered request."""
    return {"ask": to_json(request, Request), "got": to_json(answer, Answer)}


def line_of(message: object, now: Instant) -> dict[str, Any] | None:
    """The line of what a turn got or said, None where a trace leaves it out."""
    match message:
        case StoreCall(request=ClaimNext(claim=claim) | Claim(claim=claim)):
            return {"sent": {"owner": claim.owner, "n": claim.n, "now": now}}
        case StartHandler(grant=grant, not_after=not_after):
            token, process = grant.fence.token, grant.record.id
            return {"started": {"process": process, "token": token, "now": now, "not_after": not_after}}
        case StopHandler(process_id=process, token=token, reason=why):
            return {"told": {"process": process, "token": token, "why": why.value, "now": now}}
        case Returned(token=token, outcome=outcome):
            said = None if outcome is None else to_json(outcome, Outcome)
            return {"returned": {"token": token, "outcome": said, "now": now}}
        case Stopped(left=left, refused=refused):
            return {"stopped": {"left": left, "refused": refused}}
        case _:
            return None
