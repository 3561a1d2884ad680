"""How liveness is judged, on graphs small enough to see: components, fairness, and runs that go on for ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_testing.checking import Configuration
from tenure_testing.checking.components import components, way
from tenure_testing.checking.explorer import explore_world
from tenure_testing.checking.graph import FAULT, FREE, Edge, Graph
from tenure_testing.checking.liveness import Forever, Promise, Recorded, kept

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24)


def reachable(after: Sequence[Sequence[int]], start: int, inside: Sequence[bool]) -> set[int]:
    """What can be reached by one transition or more, among those inside."""
    found: set[int] = set()
    todo = [then for then in after[start] if inside[then]]
    while todo:
        state = todo.pop()
        if state not in found:
            found.add(state)
            todo += [then for then in after[state] if inside[then]]
    return found


@given(EDGES, st.lists(st.booleans(), min_size=8, max_size=8))
def test_components_are_what_reaches_each_other(edges: list[tuple[int, int]], inside: list[bool]) -> None:
    """Against the definition: mutual reachability. And what is on no cycle is alone."""
    after = [tuple(then for first, then in edges if first == state) for state in range(8)]
    wanted: set[frozenset[int]] = set()
    for state in range(8):
        if inside[state]:
            there = reachable(after, state, inside)
            wanted.add(frozenset({state, *(t for t in there if state in reachable(after, t, inside))}))
    found = [*components(after, inside)]
    assert {frozenset(each) for each in found} == wanted
    assert len(found) == len(wanted)


def test_a_deep_graph_needs_no_recursion() -> None:
    after = [(state + 1,) for state in range(50_000)] + [(0,)]
    assert [len(each) for each in components(after, [True] * 50_001)] == [50_001]


def test_a_way_is_a_shortest_one() -> None:
    after = [(1, 2), (3,), (3,), (0,), ()]
    assert way(after, {0, 1, 2, 3}, 0, 3) == [1, 3]
    assert way(after, {0, 1, 2, 3}, 3, 3) == []


class Toy(Graph):
    """From a state by name: (word, owed, state)."""

    def __init__(self, moves: Mapping[str, Sequence[tuple[str, str, str]]]) -> None:
        super().__init__()
        self.moves = moves

    def start(self) -> str:
        return "start"

    def edges(self, state: Any) -> Sequence[Edge]:
        return [Edge("it", *move) for move in self.moves[state]]

    def shown(self, state: Any) -> str:
        return str(state)

    def judged(self) -> tuple[int, int]:
        return 0, 0

    def tables(self) -> Iterable[str]:
        return ()


GOAL = Promise("L9", "the goal is reached", lambda state: state != "goal", unowed=("handler",))


def judged(promise: Promise = GOAL, **moves: Sequence[tuple[str, str, str]]) -> Forever | None:
    world = Recorded(Toy({"goal": (), **moves}))
    toy = Configuration("toy", 1, 1, 1, 0, frozenset(), "", lambda of: world)
    assert explore_world(toy, world).violation is None
    return kept(world, promise)


def test_what_is_owed_all_the_time_is_done_at_some_time() -> None:
    assert judged(start=[("turns", "clock", "start"), ("goes", "store", "goal")]) is None


def test_what_nobody_owes_need_not_be_done() -> None:
    found = judged(start=[("turns", "clock", "start"), ("goes", FREE, "goal")])
    assert found is not None
    assert [move.action for move in found.cycle] == ["turns"]


def test_nor_what_the_promise_does_not_assume() -> None:
    assert judged(start=[("turns", "clock", "start"), ("returns", "handler of A", "goal")]) is not None


@pytest.mark.parametrize("owed", [FREE, "handler of A"])
def test_where_nothing_must_happen_a_run_may_stay(owed: str) -> None:
    """A state on no cycle, from which there is a way that nobody has to take."""
    found = judged(start=[("begins", "clock", "last")], last=[("goes", owed, "goal")])
    assert found is not None
    assert [move.action for move in found.path] == ["begins"]
    assert found.cycle == ()
    assert "nothing more happens" in found.said


def test_where_one_thing_must_happen_no_run_stays() -> None:
    assert judged(start=[("goes", FREE, "start"), ("is answered", "store", "goal")]) is None
    assert judged(start=[("waits", FREE, "goal"), ("is answered", "store", "goal")]) is None


def test_what_is_possible_now_and_then_only_need_not_be_done() -> None:
    """Fairness is weak: it holds for what could be done without interruption."""
    found = judged(start=[("on", "clock", "off"), ("goes", "store", "goal")], off=[("off", "clock", "start")])
    assert found is not None
    assert {move.note for move in found.cycle} == {"start", "off"}


def test_a_fault_helps_nobody_and_may_lead_anywhere() -> None:
    """Faults stop: what only a fault could bring about does not come; but they may have led to where the trouble is."""
    found = judged(
        start=[("goes", "store", "goal"), ("breaks", FAULT, "broken")], broken=[("mends", FAULT, "goal")]
    )
    assert found is not None
    assert [move.action for move in found.path] == ["breaks"]
    assert found.cycle == ()
    assert "nothing more happens" in found.said


def test_a_run_that_leaves_is_no_run_that_stays() -> None:
    assert judged(start=[("goes", "store", "next")], next=[("goes", "store", "goal")]) is None


@pytest.mark.parametrize("word", ["takes", "gives"])
def test_what_must_not_recur(word: str) -> None:
    """Another transition may: a promise that forbids one word is kept where only other words recur."""
    promise = Promise("L10", "nobody takes it for ever", lambda state: True, recurs="takes")
    found = judged(promise, start=[(word, "clock", "other")], other=[("waits", "clock", "start")])
    assert (found is not None) == (word == "takes")


def test_what_must_not_happen_once() -> None:
    """By a fault it may."""
    promise = Promise(
        "L2", "it is kept", lambda state: state != "goal", lambda state, edge: edge.said == "drops"
    )
    going = ("goes", "store", "goal")
    assert judged(promise, start=[("drops", FAULT, "goal"), going]) is None
    found = judged(promise, start=[("drops", "clock", "goal"), going])
    assert found is not None
    assert [move.action for move in found.path] == ["drops"]


def test_the_run_is_told_with_its_cycle() -> None:
    found = judged(start=[("turns", "clock", "start")])
    assert found is not None
    assert [line.split()[0] for line in found.lines()] == ["*", "breaks"]
