"""`steps.jsonl`: every edge of the closed graphs that is a request, on the concrete state that its class keeps.

What several graphs ask of the same row is written once: a pair of row and request is distinct by what of the state that
request can tell apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from attrs import evolve

from tenure.model import Snapshot
from tenure.process import ClaimId
from tenure.replies import Answer, Refused
from tenure.requests import AppendEvent, Claim, ClaimNext, EmitEvent, Prune, RecordEffect, Request
from tenure_testing.conforming.alphabets import ALPHABETS
from tenure_testing.conforming.graph import (
    BEGIN,
    LIMITS,
    PROCESS,
    TTL,
    Graph,
    Place,
    after,
    explored,
    journal_class,
    row_class,
)
from tenure_testing.conforming.running import seen
from tenure_testing.conforming.vectors import RowStep

REMEMBERED = Place(Snapshot(claims=((ClaimId("w", 1), BEGIN),), number=7, limits=LIMITS), BEGIN)
"""A claim is known, and its process is gone: so it stands where the same claim granted another process, too."""


def steps() -> Iterator[RowStep]:
    """All of them, graph by graph."""
    known = set[Hashable]()
    for alphabet in ALPHABETS:
        graph = explored(alphabet)
        for number, place in enumerate(graph.places):
            for ask, request in graph.asked(place):
                pair = (ask, told_apart(graph, place, request))
                if pair not in known:
                    known.add(pair)
                    yield step(f"{alphabet.name} {number}: {ask}", place, request)
    yield step("remembered: claim again", REMEMBERED, Claim(ClaimId("w", 1), PROCESS, TTL))


def told_apart(graph: Graph, place: Place, request: Request) -> Hashable:
    """What of the place makes a difference to the request: the row always, a key only to who names it, the age of
    notes only to claims and to pruning."""
    match request:
        case RecordEffect() | EmitEvent() | AppendEvent():
            return row_class(place), journal_class(place)
        case Claim() | ClaimNext() | Prune():
            return row_class(place), graph.alphabet.clip(place)
        case _:
            return row_class(place)


def step(name: str, place: Place, request: Request) -> RowStep:
    """What the shipped law makes of the request in that place."""
    then, answer = after(place, request)
    was, now = seen(place.state, PROCESS), seen(then.state, PROCESS)
    return RowStep(
        name, PROCESS, place.state, place.clock, request, plain(answer), None if now == was else now
    )


def plain(answer: Answer) -> Answer:
    """The answer without the words that a store chooses freely."""
    return evolve(answer, detail="") if isinstance(answer, Refused) else answer
