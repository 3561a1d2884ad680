"""`tours.jsonl`: walks from an empty store that take every edge of the closed graphs at least once.

For stores that cannot be loaded with a state. A walk goes, from wherever it is, the shortest way to an edge that was
not taken yet; where there is none that it can reach, or it is long enough, another begins with an empty store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from attrs import define, field

from tenure.requests import Get, Request
from tenure_testing.conforming.alphabets import ALPHABETS
from tenure_testing.conforming.graph import PROCESS, TICKS, Edge, Graph, after, explored, ticked
from tenure_testing.conforming.steps import plain
from tenure_testing.conforming.vectors import Exchange, Script

LONGEST = 400
"""Edges of one tour: a failure is found near the beginning of something."""


def tours() -> Iterator[Script]:
    """All of them, graph by graph."""
    for alphabet in ALPHABETS:
        graph, shown = explored(alphabet), set[tuple[int, str]]()
        for number, walk in enumerate(walks(graph), 1):
            yield Script(
                f"{alphabet.name}-{number:03}",
                f"part {number} of a walk over all transitions of {alphabet.name}",
                ("S1",),
                (),
                alphabet.limits,
                tuple(played(graph, walk, shown)),
            )


def walks(graph: Graph) -> Iterator[list[str]]:
    """Sequences of asks from an empty store that together take every edge."""
    course = Course(graph)
    while course.left:
        yield list(course.walk())


@define
class Course:
    """Which edges are still to be taken."""

    graph: Graph
    left: set[tuple[int, str]] = field(init=False)
    _out: dict[int, list[Edge]] = field(factory=dict[int, list[Edge]])

    def __attrs_post_init__(self) -> None:
        self.left = {(edge.source, edge.ask) for edge in self.graph.edges}
        for edge in self.graph.edges:
            self._out.setdefault(edge.source, []).append(edge)

    def walk(self) -> Iterator[str]:
        """One walk; it takes something new."""
        at, length = 0, 0
        while length < LONGEST:
            way = self._nearest(at)
            if way is None:
                return
            for edge in way:
                self.left.discard((edge.source, edge.ask))
                at, length = edge.target, length + 1
                yield edge.ask

    def _nearest(self, at: int) -> list[Edge] | None:
        """The shortest way that ends with an edge not taken yet; one that stays where it is comes first."""
        ways: deque[tuple[int, list[Edge]]] = deque([(at, [])])
        known = {at}
        while ways:
            place, way = ways.popleft()
            new = [edge for edge in self._out[place] if (edge.source, edge.ask) in self.left]
            if new:
                return [*way, min(new, key=lambda edge: edge.target != edge.source)]
            for edge in self._out[place]:
                if edge.target not in known:
                    known.add(edge.target)
                    ways.append((edge.target, [*way, edge]))
        return None


class Coarse(Exception):
    """Two places of one class behave differently: the classes must be made finer."""


def played(graph: Graph, walk: list[str], shown: set[tuple[int, str]]) -> Iterator[Exchange]:
    """The walk as exchanges. After an edge that changes the row, the row is read, so that a wrong one shows where it
    was made; once for each edge, and `shown` are those that were.
    """
    place, targets = graph.places[0], {(edge.source, edge.ask): edge.target for edge in graph.edges}
    for ask in walk:
        source = graph.number(place)
        before = place
        if ask == TICKS:
            place = ticked(place)
        else:
            request = graph.alphabet.asks[ask](place)
            if request is None:
                raise Coarse(f"{ask!r} has no meaning in a place of class {source}")
            requests: list[Request] = [request]
            place, answer = after(place, request)
            answers = [plain(answer)]
            if place.record != before.record and place.record is not None and (source, ask) not in shown:
                shown.add((source, ask))
                requests.append(Get(PROCESS))
                answers.append(after(place, Get(PROCESS))[1])
            yield Exchange(place.clock, tuple(requests), tuple(answers))
        if graph.number(place) != targets[source, ask]:
            raise Coarse(f"{ask!r} leads from a place of class {source} to another class than it should")
