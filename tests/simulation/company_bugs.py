"""Bugs that only show where a plan has company, as one-line patches in the form of `tests.matrix.patches`."""

from __future__ import annotations

from tests.matrix.patches import Patch

REGISTRY, EVENTS = "core/tenure/registry.py", "core/tenure/events.py"
MODEL, MEMORY = "core/tenure/model.py", "adapters/memory/tenure_memory/tables.py"
SESSIONS = "core/tenure/session_model.py"
LISTENING = "adapters/driver/tenure_driver/listening.py"


def _patch(name: str, bug: str, breaks: str, file: str, within: str, old: str, new: str) -> Patch:
    return Patch(name, bug, (breaks,), file, within, "", old, new)


BUGS = (
    _patch(
        "E1",
        "an event that a client sends again is stored again",
        "S10",
        REGISTRY,
        "_append",
        "if isinstance(moment.found, Event):",
        "if isinstance(moment.found, Event) and record.outcome is not None:",
    ),
    _patch(
        "E2",
        "an event is acknowledged and not kept",
        "S21",
        REGISTRY,
        "_appended",
        "return Decision(Succeeded(EventAppended(_stamp(after), event.seq)), after, event)",
        "return Decision(Succeeded(EventAppended(_stamp(after), event.seq)), after, None)",
    ),
    _patch(
        "E3",
        "a handler that waits again is given the same event again",
        "delivery",
        EVENTS,
        "Hearing.next",
        "return position.found.popleft()",
        "return position.found[0]",
    ),
    _patch(
        "E4",
        "a handler that waits is given no event before the second",
        "delivery",
        EVENTS,
        "_Position",
        "reached: int = 0",
        "reached: int = 1",
    ),
    _patch(
        "E5",
        "a handler that waits for an event looks at the log once and never again",
        "delivery",
        LISTENING,
        "Listening._read",
        "self._line.append(waiter.ask)",
        "self._line.extend([waiter.ask][waiter.what.token :])",
    ),
    _patch(
        "E6",
        "who waits for events looks at the log once and never again",
        "L9",
        LISTENING,
        "Listening._read",
        "self._line.append(waiter.ask)",
        "pass",
    ),
    _patch(
        "P1",
        "a prune removes what has not ended",
        "S21",
        MEMORY,
        "MemoryTables.prune",
        "old = [row for row in (self.records[name] for _, name in self.ended) if row.changed_at < cutoff]",
        "old = [row for row in self.records.values() if row.changed_at < cutoff]",
    ),
    _patch(
        "P2",
        "a prune removes what can still answer a replay",
        "S21",
        MODEL,
        "execute",
        "age = max(request.older_than, tables.limits.retry_horizon)",
        "age = request.older_than",
    ),
    _patch(
        "P3",
        "what has ended is not found any more, though nobody pruned it",
        "S21",
        MODEL,
        "execute",
        "return Succeeded(Got(record)) if record else Refused(Reason.NOT_FOUND)",
        "return Succeeded(Got(record)) if record and record.held else Refused(Reason.NOT_FOUND)",
    ),
    _patch(
        "P4",
        "an event that comes after its process was pruned makes it again",
        "S4",
        REGISTRY,
        "_emit",
        "if record is None:",
        "if record is None and (record := Record(Registration(request.fence.process_id, Work('k'), ('step',)),"
        " *[moment.number] * 2, *[moment.clock] * 2, request.fence.token, request.fence.claim, True)) is None:",
    ),
    _patch(
        "D1",
        "an opening does not raise a watermark that is there, so that an earlier attempt goes on writing",
        "W9",
        SESSIONS,
        "_open",
        "if mark is None or mark.height < (fence.epoch, fence.token):",
        "if mark is None:",
    ),
    _patch(
        "D2",
        "what writes to a session is not fenced",
        "W9",
        SESSIONS,
        "execute",
        "if mark is None or mark.height != (fence.epoch, fence.token):",
        "if mark is None:",
    ),
    _patch(
        "D3",
        "an append does not look where the head is, so that an entry is lost from the path",
        "session",
        SESSIONS,
        "_append",
        "if request.parent != row.head:",
        "if request.parent != row.head and row.entries < 0:",
    ),
    _patch(
        "D4",
        "an append that comes again is stored again",
        "S10",
        SESSIONS,
        "_append",
        "if known is not None:",
        "if known is not None and known.body != request.body:",
    ),
    _patch(
        "D5",
        "a move is acknowledged, and the head stays",
        "session",
        SESSIONS,
        "_move",
        "tables.write_row(changed(row, head=request.to))",
        "pass",
    ),
    _patch(
        "D6",
        "a move that comes again is made again",
        "session",
        SESSIONS,
        "_move",
        "if mark is not None and 0 < request.n <= mark.moves:",
        "if mark is not None and 0 < request.n < mark.moves:",
    ),
)
