"""Liveness: what must come about once faults stop, in a graph whose states were all reached with faults.

    searched(configuration, progress, promises) -> Explored    safety first, then each promise
    kept(recorded, promise) -> Forever | None                  whether one is kept; if not, a run that never keeps it

A promise names the states in which it is still open. Faults may stop in any state that was reached (and with them what
people do: cancel, drain, crash). From there on only the other transitions are taken, and one thing is assumed:

    Weak fairness, one class at a time. A transition has an owner: each worker's clock, the store's clock, the store
    that answers a call, a worker that polls, a session that opens, a handler that was told to stop. What its owner
    could do from some moment on without interruption is done at some time. Nothing is assumed of transitions that are
    FREE, nor of the classes that the promise names as `unowed`: a handler that nobody told to stop may run for ever.

So a promise is broken exactly where a run can stay among its open states for ever: in a strongly connected component
of the graph restricted to these states and to fault-free transitions, in which every class is either taken by a
transition of the component or not enabled in one of its states. (If a smaller part of it could be stayed in fairly, so
could the whole: its run visits all states again and again.) A single open state is such a component, too, be it on no
cycle: a run stays there for ever if nobody owes any transition out of it, or there is none. "Eventually" is not
searched for along paths: on a graph with cycles that finds nothing.

A promise may also forbid a single fault-free transition (`breaks`), or that some transition recurs for ever (`recurs`).
States are told apart by worker (no symmetry): two that take turns would otherwise look like one that stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import evolve, frozen

from tenure_testing.checking.components import components, way
from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Explored, Move, State, Violation, explore_world
from tenure_testing.checking.graph import FAULT, FREE, Edge, Graph


@frozen
class Promise:
    """`name`: the property. `says`: it in words. `open`: whether a state still owes it. `breaks`: whether a fault-free
    transition from a state that owes it breaks it at once. `recurs`: how the words of a transition begin that must not
    be taken for ever, if that is what is promised. `unowed`: how the names of classes begin that are not assumed."""

    name: str
    says: str
    open: Callable[[Any], bool]
    breaks: Callable[[Any, Edge], bool] | None = None
    recurs: str = ""
    unowed: tuple[str, ...] = ()


@frozen
class Forever(Violation):
    """A run that breaks a promise: `path` leads to a state, and `cycle` from it to itself again, for ever. Where the
    cycle is empty, nothing more happens, or the last transition was the one that must not be."""

    cycle: tuple[Move, ...] = ()

    def lines(self) -> list[str]:
        """The run, one line a transition; those of the cycle have a star for their number."""
        told = super().lines()
        again = [f"  * {move.actor + ': ' + move.action:52} {move.note}".rstrip() for move in self.cycle]
        return [*told[:-1], *again, told[-1]]


class Recorded:
    """A world that keeps what is explored: `states` in the order in which they came up, for each its `parents`, and
    its fault-free transitions as `after` (states) and `owed` (classes), which belong together; `classes` by name."""

    def __init__(self, world: Graph) -> None:
        self.world, self.seen, self.unsaid = world, world.seen, world.unsaid
        first = world.start()
        self.states: list[Any] = [first]
        self.parents = [0]
        self.number: dict[Any, int] = {first: 0}
        self.after: list[tuple[int, ...]] = []
        self.owed: list[tuple[int, ...]] = []
        self.classes: dict[str, int] = {FREE: 0}

    def start(self) -> State:
        """The world's."""
        first: State = self.states[0]
        return first

    def successors(self, state: Any) -> Sequence[State]:
        """The world's, which are written down. The search asks for states in the order in which they came up."""
        calm: list[int] = []
        owed: list[int] = []
        edges = self.world.edges(state)
        for edge in edges:
            place = self.number.get(edge.then)
            if place is None:
                place = self.number[edge.then] = len(self.states)
                self.parents.append(len(self.after))
                self.states.append(edge.then)
            if edge.owed != FAULT:
                calm.append(place)
                owed.append(self.classes.setdefault(edge.owed, len(self.classes)))
        self.seen.update([edge.said for edge in edges])
        self.after.append(tuple(calm))
        self.owed.append(tuple(owed))
        return [edge.then for edge in edges]

    def told(self, path: Sequence[Any]) -> Iterable[Move]:
        """The world's."""
        return self.world.told(path)

    def judged(self) -> tuple[int, int]:
        """The world's."""
        return self.world.judged()

    def tables(self) -> Iterable[str]:
        """The world's."""
        return self.world.tables()

    def way(self, number: int) -> list[State]:
        """A shortest path from the first state, faults included."""
        path = [number]
        while path[-1]:
            path.append(self.parents[path[-1]])
        return [self.states[place] for place in reversed(path)]


def searched(
    configuration: Configuration,
    progress: Callable[[int], None] | None,
    promises: Callable[[Graph], Sequence[Promise]],
) -> Explored:
    """All that can happen in the configuration, and then each promise; the first that is broken is reported."""
    world = configuration.world(configuration)
    assert isinstance(world, Graph)
    recorded = Recorded(world)
    explored = explore_world(configuration, recorded, progress)
    if explored.violation is not None:
        return explored
    violations = (kept(recorded, promise) for promise in promises(world))
    return evolve(explored, violation=next((found for found in violations if found), None))


def kept(graph: Recorded, promise: Promise) -> Forever | None:
    """None, or a run that breaks the promise."""
    is_open = [promise.open(state) for state in graph.states]
    broken = _broken_at_once(graph, promise, is_open)
    if broken is not None:
        return broken
    owed = [name != FREE and not name.startswith(promise.unowed) for name in graph.classes]
    for component in components(graph.after, is_open):
        members = set(component)
        recurring = _recurring(graph, promise.recurs, component, members) if promise.recurs else []
        if promise.recurs and not recurring:
            continue
        witnesses = _fair(graph, component, members, owed)
        if witnesses is not None:
            return _lasso(graph, promise, component[0], members, [*witnesses, *recurring])
    return None


def _fair(
    graph: Recorded, component: Sequence[int], members: set[int], owed: Sequence[bool]
) -> list[tuple[int, int]] | None:
    """For each class that is owed, a witness that a run within the component is fair to it: the transition (state,
    state) that takes it, or a state (twice) in which it is not enabled. None where there is none."""
    taken: dict[int, tuple[int, int]] = {}
    enabled = [0] * len(owed)
    for state in component:
        for kind in {*graph.owed[state]}:
            enabled[kind] += 1
        for then, kind in zip(graph.after[state], graph.owed[state], strict=True):
            if then in members:
                taken.setdefault(kind, (state, then))
    witnesses: list[tuple[int, int]] = []
    for kind, wanted in enumerate(owed):
        if not wanted or not enabled[kind]:
            continue
        if kind in taken:
            witnesses.append(taken[kind])
        elif enabled[kind] < len(component):
            idle = next(state for state in component if kind not in graph.owed[state])
            witnesses.append((idle, idle))
        else:
            return None
    return witnesses


# --- runs that break a promise ------------------------------------------------------------------------------------


def _broken_at_once(graph: Recorded, promise: Promise, is_open: Sequence[bool]) -> Forever | None:
    for number, state in enumerate(graph.states):
        if promise.breaks is None or not is_open[number]:
            continue
        for edge in graph.world.edges(state):
            if edge.owed != FAULT and promise.breaks(state, edge):
                path = [*graph.way(number), edge.then]
                return Forever((promise.name,), promise.says, tuple(graph.told(path)), unsaid=graph.unsaid)
    return None


def _recurring(
    graph: Recorded, words: str, component: Sequence[int], members: set[int]
) -> list[tuple[int, int]]:
    """A transition within the component that the words begin, alone in a list; empty where there is none."""
    for number in component:
        for edge in graph.world.edges(graph.states[number]):
            then = graph.number[edge.then]
            if edge.owed != FAULT and edge.said.startswith(words) and then in members:
                return [(number, then)]
    return []


def _lasso(
    graph: Recorded, promise: Promise, start: int, members: set[int], witnesses: Iterable[tuple[int, int]]
) -> Forever:
    """Into the component, and within it past all witnesses and back."""
    trip = [start]
    for state, then in witnesses:
        trip += way(graph.after, members, trip[-1], state)
        trip += [then] if then != state or then in graph.after[state] else []
    trip += way(graph.after, members, trip[-1], start)
    if len(trip) == 1:
        inside = [then for then in graph.after[start] if then in members]
        trip += [inside[0], *way(graph.after, members, inside[0], start)] if inside else []
    path = [graph.states[number] for number in trip]
    said = f"{promise.says}; {'this goes on for ever' if len(path) > 1 else 'nothing more happens'}"
    into, cycle = tuple(graph.told(graph.way(start))), tuple(graph.told(path))
    return Forever((promise.name,), said, into, cycle, unsaid=graph.unsaid)
