"""Worlds whose transitions carry a name: what fleets and timed workers share, and what liveness is judged on.

A safety search needs no more of a transition than the state after it. Liveness asks besides: is this a fault, so that
it is gone once faults stop? And if it is not, is it owed, so that it cannot be put off for ever?
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tenure_testing.checking.explorer import Move, State

FAULT = "fault"
"""The transition stops with the faults: a loss, a crash, an outage; and what people do: cancel, drain, start."""
FREE = ""
"""It may always happen, and nobody owes it."""


class Edge(NamedTuple):
    """A transition. `owed`: FAULT, FREE, or the name of the one who cannot put it off for ever (a fairness class)."""

    actor: str
    said: str
    owed: str
    then: Any


class Graph(ABC):
    """A world made of edges (`tenure_testing.checking.explorer.World`)."""

    unsaid = (
        "the words of a trace have no second worker, no clocks that drift and no slots whose attempts differ"
    )

    def __init__(self) -> None:
        self.seen: set[str] = set()

    @abstractmethod
    def start(self) -> State:
        """The first state."""

    @abstractmethod
    def edges(self, state: Any) -> Sequence[Edge]:
        """What can happen in the state. Raises Broken."""

    @abstractmethod
    def shown(self, state: Any) -> str:
        """The state in a line."""

    @abstractmethod
    def judged(self) -> tuple[int, int]:
        """How many requests to rows, and steps of a machine, were judged."""

    @abstractmethod
    def tables(self) -> Iterable[str]:
        """All that the core answered, in words and in the order of asking."""

    def successors(self, state: Any) -> Sequence[State]:
        """The state after each transition."""
        found = self.edges(state)
        self.seen.update([edge.said for edge in found])
        return [edge.then for edge in found]

    def told(self, path: Sequence[Any]) -> Iterable[Move]:
        """The transitions between the states of a path; of two between the same states, that without a fault."""
        for before, after in pairwise(path):
            edges = [edge for edge in self.edges(before) if edge.then == after]
            edge = next((edge for edge in edges if edge.owed != FAULT), edges[0])
            yield Move(edge.actor, edge.said, "", self.shown(after))
