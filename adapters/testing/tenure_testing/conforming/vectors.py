"""What the conformance vectors are made of, and the messages of the protocol that plays them.

All of it is written by `wire`: a line of `steps.jsonl` is a `RowStep`, a line of the other two files a `Script`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, TypeAlias

from attrs import field, frozen

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot
from tenure.process import Effect, Event, Record
from tenure.replies import Answer
from tenure.requests import Request
from tenure_testing.conforming.wire import BOUND, from_json, to_json

SINCE_THE_EPOCH = {BOUND: {"minimum": 0}}


class Ability(Enum):
    """What a store under test may be able to do; vectors that need what it lacks are not run, and counted."""

    LOAD = "load"
    """It can be given a state to begin from."""
    REOPEN = "reopen"
    """What it answered outlives the program that answered."""
    DENSE = "dense"
    """Its numbers are 1, 2, 3, ..., one for each accepted change, so that they can be foretold."""
    SURROGATES = "surrogates"
    """Its JSON reader takes strings that are no Unicode text, so that it can be asked to refuse them."""
    FENCE_LOG = "fence_log"
    """It keeps the fence log, which is best effort in the contract."""


@frozen
class Exchange:
    """One batch at one store time, and the answers that it must get."""

    now: StoreTime = field(metadata=SINCE_THE_EPOCH)
    requests: tuple[Request, ...]
    answers: tuple[Answer, ...]


@frozen
class Restart:
    """The store is closed, and opened again."""


@frozen
class Script:
    """A sequence on an empty store. `why`: one sentence; `cites`: the properties and bugs that it is about."""

    name: str
    why: str
    cites: tuple[str, ...]
    needs: tuple[Ability, ...]
    limits: Limits
    steps: tuple[Exchange | Restart, ...] = field(metadata={BOUND: {"minItems": 1}})


@frozen
class Seen:
    """A process as Get, ReadEvents and ReadEffects show it; the terminal event is among the events."""

    record: Record | None
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]


@frozen
class RowStep:
    """One request on one state. `after` is the process afterwards, None where it is as it was."""

    name: str
    process_id: str
    before: Snapshot
    now: StoreTime = field(metadata=SINCE_THE_EPOCH)
    request: Request
    answer: Answer
    after: Seen | None


Vector: TypeAlias = Script | RowStep


# --- the protocol -------------------------------------------------------------------------------------------------

PROTOCOL = 1


@frozen
class Hello:
    """The first line to the store under test."""

    protocol: int


@frozen
class New:
    """Begin with an empty store that keeps these limits; the one before is not used any more."""

    limits: Limits


@frozen
class Load:
    """Begin with a store that holds this state."""

    state: Snapshot


@frozen
class Execute:
    """One batch, one transaction; `now` is what the store's clock shows, in ms."""

    now: StoreTime = field(metadata=SINCE_THE_EPOCH)
    requests: tuple[Request, ...]


@frozen
class Reopen:
    """Close the store, and open it again."""


@frozen
class Greeting:
    """The answer to Hello: the store's name for people, and its abilities."""

    protocol: int
    store: str
    can: tuple[Ability, ...]


@frozen
class Done:
    """The answer to New, Load and Reopen."""


@frozen
class Answers:
    """The answer to Execute, one for each request."""

    answers: tuple[Answer, ...]


@frozen
class Trouble:
    """The answer to whatever the store under test cannot do."""

    error: str


Command: TypeAlias = Hello | New | Load | Execute | Reopen
Response: TypeAlias = Greeting | Done | Answers | Trouble


# --- lines --------------------------------------------------------------------------------------------------------


def line_of(value: Any, hint: Any = None) -> str:
    """One line of JSON in ASCII, without white space and without its end."""
    return json.dumps(to_json(value, hint), separators=(",", ":"))


def lines_of(vectors: Iterable[Vector]) -> str:
    """The text of a file of vectors."""
    return "".join(line_of(vector) + "\n" for vector in vectors)


def vectors_in(text: str, kind: type[Any]) -> Iterator[Any]:
    """The vectors in a file's text. Raises Garbled."""
    for number, line in enumerate(text.splitlines(), 1):
        yield from_json(json.loads(line), kind, f"line {number}")
