"""The worker machine's table is total and literal, as the attempt's is."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import attempt_types as t
from tenure import worker
from tenure import worker_types as w
from tenure.errors import Misuse
from tenure.tables import Edge, edge_of
from tests.core import samples, strategies
from tests.core.edges import Taken, edges
from tests.core.strategies import examples

STATES = [w.Driving, w.Draining, w.Stopped]
EVENTS = list(get_args(w.WorkerEvent))


def test_every_pair_is_in_the_table() -> None:
    assert list(worker.TABLE) == [(state, event) for state in STATES for event in EVENTS]


def test_every_state_that_there_is() -> None:
    """By name: attrs builds a class twice, and the first may still be around."""
    names = {kind.__name__ for kind in w.Working.__subclasses__()}
    assert {state.__name__ for state in STATES} == names | {"Stopped"}


def test_every_event_and_state_is_drawn() -> None:
    assert list(strategies.WORKER_STATES) == STATES
    assert list(strategies.WORKER_EVENTS) == EVENTS


def test_every_reason_is_said() -> None:
    for name, edge in edges("worker"):
        assert (edge.go is None) == bool(edge.reason), name
        assert not edge.misuse, name


def guards_that_hold(state: w.WorkerState, event: w.WorkerEvent) -> list[str]:
    return [edge.name for edge in worker.TABLE[type(state), type(event)] if edge.guard(state, event)]


PAIRS = [
    pytest.param(state, event, id=f"{state.__name__}-{event.__name__}")
    for state in STATES
    for event in EVENTS
]


@pytest.mark.parametrize(("state_kind", "event_kind"), PAIRS)
@given(data=st.data())
@examples(20)
def test_every_pair_is_total(state_kind: type, event_kind: type, data: st.DataObject) -> None:
    """Each pair by itself, so that none is left to chance: whatever the fields, one guard holds."""
    state: w.WorkerState = data.draw(strategies.WORKER_STATES[state_kind])
    event: w.WorkerEvent = data.draw(strategies.WORKER_EVENTS[event_kind])
    assert (type(state), type(event)) == (state_kind, event_kind)
    assert len(guards_that_hold(state, event)) == 1
    before = hash(state)
    step = worker.step(state, event)
    assert isinstance(hash(step), int), "states and commands are values"
    assert hash(state) == before


@given(strategies.worker_states, strategies.EVENTS[t.HandlerStopped])
@examples(20)
def test_an_event_of_an_attempt_is_misuse(state: w.WorkerState, event: Any) -> None:
    with pytest.raises(Misuse) as caught:
        worker.step(state, event)
    assert (caught.value.state, caught.value.event) == (state, event)
    assert caught.value.process_id == "", "a worker is of no process"


@cache
def sampled() -> dict[Taken, list[tuple[w.WorkerState, w.WorkerEvent]]]:
    """The samples by the entry that they take."""
    found: dict[Taken, list[tuple[w.WorkerState, w.WorkerEvent]]] = {}
    events = list(samples.worker_events())
    for state in samples.worker_states():
        for event in events:
            (name,) = guards_that_hold(state, event)
            taken = Taken("worker", type(state).__name__, type(event).__name__, name)
            found.setdefault(taken, []).append((state, event))
    return found


ENTRIES = [
    pytest.param(name, edge, id=f"{name.state}-{name.event}-{name.name}") for name, edge in edges("worker")
]


@pytest.mark.parametrize(("name", "edge"), ENTRIES)
def test_every_entry_is_run(name: Taken, edge: Edge) -> None:
    for state, event in sampled()[name]:
        assert edge_of(worker.TABLE, state, event, "") is edge
        step = worker.step(state, event)
        if edge.go is None:
            assert step == w.WorkerStep(state), "what comes too late changes nothing"
