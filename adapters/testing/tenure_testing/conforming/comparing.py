"""What of an answer must be as foreseen. All of it, but words for people and the values of numbers that a store draws.

A store may draw its tokens and versions from any growing sequence, with holes, and `seq` from another. So these are
compared by pattern: what is one number in the vector is one number in the store, and the order is the same (S2).
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

from attrs import define, evolve, field, fields, frozen, has

from tenure.model import Snapshot
from tenure.process import Effect, Event, Fence, Record
from tenure.replies import (
    Answer,
    CancelsRead,
    Claimed,
    EndingsRead,
    FenceNote,
    Listed,
    ProcessEnded,
    Registered,
    Stamp,
)
from tenure.requests import (
    Complete,
    EmitEvent,
    List,
    ReadEndings,
    ReadOwnerEvents,
    RecordEffect,
    Release,
    Renew,
    Request,
)
from tenure_testing.conforming.wire import FREE, class_of, to_json

T = TypeVar("T")


@frozen
class Ending:
    """An item of `EndingsRead`, so that its number has a name."""

    version: int
    process_id: str


@frozen
class Cancel:
    """An item of `CancelsRead`, so that its number has a name."""

    process_id: str
    token: int
    reason: str


DRAWN: dict[tuple[type, str], str] = {
    (Stamp, "token"): "number",
    (Stamp, "version"): "number",
    (Fence, "token"): "number",
    (Record, "token"): "number",
    (Record, "version"): "number",
    (Record, "seq"): "seq",
    (Registered, "seq"): "seq",
    (Listed, "next"): "seq",
    (Event, "token"): "number",
    (Effect, "token"): "number",
    (Effect, "version"): "number",
    (FenceNote, "current"): "number",
    (EndingsRead, "latest"): "number",
    (Claimed, "epoch"): "epoch",
    (Ending, "version"): "number",
    (ProcessEnded, "version"): "number",
    (ProcessEnded, "token"): "number",
    (Cancel, "token"): "number",
}
"""Which fields hold drawn numbers, and of which sequence."""


ITEMS: dict[tuple[type, str], type] = {(EndingsRead, "endings"): Ending, (CancelsRead, "cancels"): Cancel}


@define
class Numbers:
    """One sequence: which number of the store under test stands for which of the vector."""

    actual: dict[int, int] = field(factory=dict[int, int])
    _wanted: list[int] = field(factory=list[int])

    def known(self, numbers: Sequence[int]) -> None:
        """These are the store's own already: it was loaded with them."""
        for number in numbers:
            self.fault(number, number)

    def fault(self, wanted: int, actual: int) -> str:
        """Why `actual` cannot stand for `wanted`, or an empty string; then it does from now on. 0 is nobody's."""
        if wanted == 0 or actual == 0:
            return "" if wanted == actual else f"expected {wanted}, got {actual}"
        known = self.actual.get(wanted)
        if known is not None:
            return "" if known == actual else f"expected {known} (the vector's {wanted}), got {actual}"
        place = bisect_left(self._wanted, wanted)
        below = self.actual[self._wanted[place - 1]] if place else 0
        above = self.actual[self._wanted[place]] if place < len(self._wanted) else actual + 1
        if not below < actual < above:
            return f"got {actual}, which is not between {below} and {above} as the vector's {wanted} is"
        self.actual[wanted] = actual
        insort(self._wanted, wanted)
        return ""

    def to_send(self, wanted: int) -> int:
        """The store's number for the vector's. What was never answered is foretold, as if there were no holes."""
        if wanted == 0 or wanted in self.actual:
            return self.actual.get(wanted, 0)
        place = bisect_left(self._wanted, wanted)
        if not place:
            return wanted
        last = self._wanted[place - 1]
        return self.actual[last] + wanted - last


@define
class Comparison:
    """The numbers that a store has drawn since it began."""

    sequences: dict[str, Numbers] = field(
        factory=lambda: {name: Numbers() for name in ("number", "seq", "epoch")}
    )

    def loaded(self, state: Snapshot) -> None:
        """The store holds this state, numbers and all."""
        numbers, seqs = {state.number}, set[int]()
        for record in state.records:
            numbers |= {record.token, record.version}
            seqs.add(record.seq)
        for effect in state.effects:
            numbers |= {effect.token, effect.version}
        for event in state.events:
            numbers.add(event.token)
        self.sequences["number"].known(sorted(numbers))
        self.sequences["seq"].known(sorted(seqs))
        self.sequences["epoch"].known([state.epoch])

    def to_send(self, request: Request) -> Request:
        """The request with the store's own numbers."""
        number = self.sequences["number"].to_send
        match request:
            case Renew() | RecordEffect() | EmitEvent() | Complete() | Release():
                return evolve(request, fence=evolve(request.fence, token=number(request.fence.token)))
            case ReadEndings() | ReadOwnerEvents():
                return evolve(request, after=number(request.after))
            case List():
                return evolve(request, after=self.sequences["seq"].to_send(request.after))
            case _:
                return request

    def differences(self, wanted: Answer, actual: Answer) -> list[str]:
        """In words, with the place of each, what is not as foreseen; none where the answer conforms."""
        return list(self.of(wanted, actual, ""))

    def of(self, wanted: Any, actual: Any, path: str) -> Iterator[str]:
        """The same for any two values of the law."""
        kind = class_of(wanted)
        if kind is not type(actual):
            yield f"{path or 'it'}: expected {shown(wanted)}, got {shown(actual)}"
        elif has(kind):
            for name, one, other in _parts(wanted, actual):
                yield from self._of_field((kind, name), one, other, f"{path}.{name}" if path else name)
        elif kind is tuple:
            many: tuple[Any, ...] = wanted
            others: tuple[Any, ...] = actual
            if len(many) != len(others):
                yield f"{path}: expected {len(many)} items, got {len(others)}: {shown(others)}"
            for n, (one, other) in enumerate(zip(many, others, strict=False)):
                yield from self.of(one, other, f"{path}[{n}]")
        elif wanted != actual:
            yield f"{path}: expected {shown(wanted)}, got {shown(actual)}"

    def _of_field(self, name: tuple[type, str], wanted: Any, actual: Any, path: str) -> Iterator[str]:
        sequence = DRAWN.get(name)
        if name in FREE:
            return
        if name == (FenceNote, "stale"):  # what was sent, and perhaps never drawn
            wanted = self.sequences["number"].to_send(wanted)
        if sequence is None or wanted is None or actual is None:
            yield from self.of(wanted, actual, path)
        else:
            fault = self.sequences[sequence].fault(wanted, actual)
            if fault:
                yield f"{path}: {fault}"


def _parts(wanted: Any, actual: Any) -> Iterator[tuple[str, Any, Any]]:
    """The fields of two values of one class."""
    kind = class_of(wanted)
    for each in fields(kind):
        one, other = getattr(wanted, each.name), getattr(actual, each.name)
        item = ITEMS.get((kind, each.name))
        if item is not None:
            one, other = tuple(item(*values) for values in one), tuple(item(*values) for values in other)
        yield each.name, one, other


def shown(value: object) -> str:
    """The value as the vectors write it, shortened."""
    if value is None or isinstance(value, str | int):
        text = repr(value)
    elif isinstance(value, tuple):
        text = f"[{', '.join(shown(item) for item in cast('tuple[object, ...]', value))}]"
    elif has(type(value)):
        text = f"{type(value).__name__} {json.dumps(to_json(value))}"
    else:
        text = str(value)
    return text if len(text) <= 300 else text[:297] + "..."
