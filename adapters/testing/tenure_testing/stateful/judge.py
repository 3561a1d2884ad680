"""What must hold of every request to a registry, judged from outside: by what it found and left, and by its answer.

`tenure_testing.stateful.transitions` judges each row by itself; here is what is about several rows, or about what was
answered before. A failure names the properties (`S4`, `S6`) that do not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from attrs import define, field, frozen

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ClaimId, Effect, Event, External, Record
from tenure.replies import (
    Answer,
    Claimed,
    Fenced,
    Got,
    Listed,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_testing.stateful.transitions import PROPERTIES, Transition


class Broken(AssertionError):
    """Properties do not hold. `properties` has their numbers, as docs/reference/properties.md names them.

    What breaks one property first is of a class of its own, so that Hypothesis reports and shrinks it by itself.
    """

    properties: tuple[str, ...] = ()


def broken(properties: Iterable[str], what: str) -> Broken:
    """The exception that says so."""
    numbers = tuple(dict.fromkeys(properties))
    error = _class_of(numbers[0])(f"{', '.join(numbers)}: {what}")
    error.properties = numbers
    return error


@cache
def _class_of(number: str) -> type[Broken]:
    return type(f"Broken{number}", (Broken,), {})


@frozen
class Content:
    """All that a registry holds, as readers see it, by process id: rows, logs with their terminal events, effects."""

    rows: Mapping[str, Record]
    logs: Mapping[str, tuple[Event, ...]]
    effects: Mapping[str, tuple[Effect, ...]]


_FIRST = ("S22", "S10")
"""What says more than the properties of single rows."""
_REPLAYED = (Complete, Release, RecordEffect, EmitEvent, Register, AppendEvent, CompleteExternal)


@define
class Judge:
    """Watches the requests to one registry, in their order.

    `only`: judge by these properties, all where it is empty. `forgotten`: per incarnation the highest claim that the
    registry may have forgotten, since the retry horizon is over; a claim that comes so late is out of the contract, and
    nobody may send it any more.
    """

    limits: Limits
    highest: int = 0
    only: frozenset[str] = frozenset()
    forgotten: dict[str, int] = field(factory=dict[str, int])
    _answered: dict[Request, tuple[int, object]] = field(factory=dict[Request, tuple[int, object]])
    _claimed: dict[ClaimId, tuple[StoreTime, Any]] = field(factory=dict[ClaimId, tuple[StoreTime, Any]])
    _seen: dict[str, int] = field(factory=dict[str, int])

    def saw(
        self, request: Request, answer: Answer, before: Content, after: Content, clock: StoreTime
    ) -> None:
        """One request was answered; it found `before` and left `after`. Raises Broken."""
        self.judge(request, answer, before, after, clock)
        self.remember(request, answer, after, clock)

    def judge(
        self, request: Request, answer: Answer, before: Content, after: Content, clock: StoreTime
    ) -> None:
        """Whether every property holds, without taking note of it."""
        found: dict[str, str] = {}
        named = named_by(request)
        moved = _moved(before, after)
        for name in dict.fromkeys((*moved, named)):
            if name is not None:
                known = before.logs.get(name, ())
                log = after.logs.get(name, ())
                row, then = before.rows.get(name), after.rows.get(name)
                transition = Transition(
                    request, answer, row, then, clock, self.highest, self.limits, log[len(known) :]
                )
                for number, what in ((number, rule(transition)) for number, rule in PROPERTIES):
                    if what:
                        found.setdefault(number, what)
                if then is not None and (log[: len(known)] != known or not _dense(log)):
                    found.setdefault("S21", "an entry of the log is gone, or not in its place")
        wide = dict(self._wide(request, answer, before, after, clock, moved))
        found = {**{number: wide[number] for number in _FIRST if number in wide}, **found, **wide}
        if self.only:
            found = {number: what for number, what in found.items() if number in self.only}
        if found:
            said = "; ".join(dict.fromkeys(found.values()))
            rows = f"from {[before.rows.get(n) for n in moved]}\nto   {[after.rows.get(n) for n in moved]}"
            raise broken(found, f"{said}\n{request!r}\nis answered {answer!r}\nat {clock}, {rows}")

    def _wide(
        self,
        request: Request,
        answer: Answer,
        before: Content,
        after: Content,
        clock: StoreTime,
        moved: list[str],
    ) -> Iterable[tuple[str, str]]:
        """What is about more than one row, or about what was answered before: (property, what is wrong)."""
        if moved and not isinstance(answer, Succeeded):
            yield "S20", "what was refused changed something"
        if not isinstance(request, ClaimNext | Prune) and any(name != named_by(request) for name in moved):
            yield "S22", "the row of another process changed"
        for name in moved:
            if name not in after.rows and not self._prunable(request, before.rows[name], clock):
                yield "S21", "a row is gone that nobody could prune"
        reply = answer.reply if isinstance(answer, Succeeded) else None
        if isinstance(reply, Claimed):
            yield from self._claim(request, reply, before, after, clock, moved)
        yield from self._repeated(request, answer, before, moved)
        for record in _records_in(reply):
            if record.version < self._seen.get(record.id, 0) or after.rows.get(record.id) != record:
                yield "S23", "a reader was answered something older than the row"

    def _claim(
        self,
        request: Request,
        reply: Claimed,
        before: Content,
        after: Content,
        clock: StoreTime,
        moved: list[str],
    ) -> Iterable[tuple[str, str]]:
        """S19: the answer is what this claim's own update changed, or, repeated, what it still holds. L1: nothing that
        it could have had is left out."""
        granted = [grant.record for grant in reply.grants]
        fences = [(grant.fence.process_id, grant.fence.token, grant.fence.claim) for grant in reply.grants]
        if fences != [(row.id, row.token, row.claim) for row in granted]:
            yield "S19", "a fence is not that of its record"
        assert isinstance(request, Claim | ClaimNext)
        known = self._claimed.get(request.claim)
        if known is not None:
            held = [row for row in granted if after.rows.get(row.id) == row and row.claim == request.claim]
            if moved:
                yield "S10", "a repeated claim changed something"
            if len(held) != len(granted):
                yield "S19", "a repeated claim answers what it does not hold"
            return
        if [after.rows.get(row.id) for row in granted] != granted or {row.id for row in granted} != set(
            moved
        ):
            yield "S19", "a claim answers other rows than it changed"
        if isinstance(request, ClaimNext):
            free = [row for row in before.rows.values() if _claimable(row, request, clock, self.limits)]
            first = sorted(free, key=lambda row: (row.ready_at, row.seq))[: request.limit]
            if [row.id for row in first] != [row.id for row in granted]:
                yield "L1", "a claim does not get the first of what is claimable"

    def _repeated(
        self, request: Request, answer: Answer, before: Content, moved: list[str]
    ) -> Iterable[tuple[str, str]]:
        """S10: the same answer (its stamp aside, which tells what the row is by now), or Fenced."""
        if request not in self._answered:
            return
        seq, told = self._answered[request]
        row = before.rows.get(named_by(request) or "")
        if row is None or row.seq != seq:
            return
        if moved:
            yield "S10", "a repeated request changed something"
        if answer != Fenced() and _gist(answer) != told:
            yield "S10", "a repeated request is answered otherwise"

    def _prunable(self, request: Request, row: Record, clock: StoreTime) -> bool:
        if not isinstance(request, Prune) or row.outcome is None:
            return False
        return row.changed_at < clock - max(request.older_than, self.limits.retry_horizon)

    def remember(self, request: Request, answer: Answer, after: Content, clock: StoreTime) -> None:
        """Take note of what was answered, for what is judged later."""
        for row in after.rows.values():
            self.highest = max(self.highest, row.version, row.token)
        reply = answer.reply if isinstance(answer, Succeeded) else None
        if reply is None:
            return
        if isinstance(request, _REPLAYED):
            named = after.rows.get(named_by(request) or "")
            if named is not None:
                self._answered[request] = named.seq, _gist(answer)
        elif isinstance(request, Claim | ClaimNext) and isinstance(reply, Claimed) and reply.grants:
            self._claimed.setdefault(request.claim, (clock, reply))
        elif isinstance(request, Prune):
            cutoff = clock - max(request.older_than, self.limits.retry_horizon)
            for claim in [claim for claim, known in self._claimed.items() if known[0] < cutoff]:
                del self._claimed[claim]
                self.forgotten[claim.owner] = max(self.forgotten.get(claim.owner, 0), claim.n)
        for record in _records_in(reply):
            self._seen[record.id] = max(self._seen.get(record.id, 0), record.version)


def named_by(request: Request) -> str | None:
    """The process that the request names; None where it names none."""
    match request:
        case Renew() | RecordEffect() | EmitEvent() | Complete() | Release():
            return request.fence.process_id
        case Register():
            return request.registration.id
        case Claim() | AppendEvent() | RequestCancel() | CompleteExternal():
            return request.process_id
        case _:
            return None


def _moved(before: Content, after: Content) -> list[str]:
    """The processes of which anything changed."""
    if before is after:
        return []
    names = {**before.rows, **after.rows}
    return [
        name
        for name in names
        if before.rows.get(name) != after.rows.get(name)
        or before.logs.get(name, ()) != after.logs.get(name, ())
        or before.effects.get(name, ()) != after.effects.get(name, ())
    ]


def _dense(log: tuple[Event, ...]) -> bool:
    return [event.seq for event in log] == list(range(1, len(log) + 1))


def _gist(answer: Answer) -> object:
    """The answer without its stamp, which tells what the row is by now."""
    reply = answer.reply if isinstance(answer, Succeeded) else None
    if reply is None:
        return answer
    return (type(reply).__name__, *(getattr(reply, name, None) for name in ("seq", "result", "outcome")))


def _records_in(reply: object) -> tuple[Record, ...]:
    match reply:
        case Got():
            return (reply.record,)
        case Listed():
            return reply.records
        case _:
            return ()


def _claimable(row: Record, request: ClaimNext, clock: StoreTime, limits: Limits) -> bool:
    """By this module's own reading of CONTRACT §4."""
    wanted, source, now = request.filter, row.registration.input, max(clock, row.changed_at)
    if row.outcome is not None or isinstance(source, External) or source.kind not in wanted.kinds:
        return False
    if row.registration.provenance.host_profile_id not in ("", wanted.profile) or row.id in wanted.exclude:
        return False
    if not row.held:
        return row.ready_at <= now
    wait = min(limits.takeover_cap, limits.takeover_wait * 2 ** (row.lost - 1)) if row.lost else 0
    return row.expires_at + wait <= now
