"""The attempt machine's table is total and literal: every pair is in it, one guard of each holds, each entry is run."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import attempt
from tenure import attempt_types as t
from tenure.errors import Misuse
from tenure.tables import Edge, edge_of
from tests.core import samples, strategies
from tests.core.edges import Taken, edges
from tests.core.strategies import examples

STATES = [
    t.Claiming,
    t.Opening,
    t.Running,
    t.Stopping,
    t.Completing,
    t.Releasing,
    t.LeaseLost,
    t.Detached,
    t.AlreadyTerminal,
    t.ClaimRefused,
    t.Ended,
]
EVENTS = list(get_args(t.AttemptEvent))


def test_every_pair_is_in_the_table() -> None:
    pairs = [(state, event) for state in STATES for event in EVENTS]
    assert list(attempt.TABLE) == pairs, "in this order, so that a reader finds a pair"


def test_every_state_that_there_is() -> None:
    """By name: attrs builds a class twice, and the first may still be around."""
    union = {state.__name__ for state in get_args(t.AttemptState)} - {"Holding"}
    assert {state.__name__ for state in STATES} == union | {
        kind.__name__ for kind in t.Holding.__subclasses__()
    }


def test_every_event_and_state_is_drawn() -> None:
    assert list(strategies.STATES) == STATES
    assert list(strategies.EVENTS) == EVENTS


def test_every_reason_is_said() -> None:
    for name, edge in edges("attempt"):
        assert (edge.go is None) == bool(edge.reason), name
        assert not (edge.misuse and edge.go), name


def test_no_pair_has_two_entries_of_one_name() -> None:
    names = [name for name, _ in edges("attempt")]
    assert len(names) == len(set(names))


def guards_that_hold(state: t.AttemptState, event: t.AttemptEvent) -> list[str]:
    return [edge.name for edge in attempt.TABLE[type(state), type(event)] if edge.guard(state, event)]


PAIRS = [
    pytest.param(state, event, id=f"{state.__name__}-{event.__name__}")
    for state in STATES
    for event in EVENTS
]


@pytest.mark.parametrize(("state_kind", "event_kind"), PAIRS)
@given(data=st.data())
@examples(10)
def test_every_pair_is_total_and_raises_only_misuse(
    state_kind: type, event_kind: type, data: st.DataObject
) -> None:
    """Each pair by itself, so that none is left to chance: whatever the fields, one guard holds."""
    state: t.AttemptState = data.draw(strategies.STATES[state_kind])
    event: t.AttemptEvent = data.draw(strategies.EVENTS[event_kind])
    assert (type(state), type(event)) == (state_kind, event_kind)
    assert len(guards_that_hold(state, event)) == 1
    before = hash(state)
    step = stepped(state, event)
    if isinstance(step, Misuse):
        assert step.event == event
        assert step.process_id == attempt.process_of(state)
        assert step.reason in str(step)
    else:
        assert attempt.process_of(step.state) == attempt.process_of(state)
        assert isinstance(hash(step), int), "states and commands are values"
    assert hash(state) == before


def stepped(state: t.AttemptState, event: t.AttemptEvent) -> t.Step | Misuse:
    try:
        return attempt.step(state, event)
    except Misuse as misuse:
        return misuse


@cache
def sampled() -> dict[Taken, list[tuple[t.AttemptState, t.AttemptEvent]]]:
    """The samples by the entry that they take."""
    found: dict[Taken, list[tuple[t.AttemptState, t.AttemptEvent]]] = {}
    events = list(samples.attempt_events())
    for state in samples.attempt_states():
        for event in events:
            (name,) = guards_that_hold(state, event)
            taken = Taken("attempt", type(state).__name__, type(event).__name__, name)
            found.setdefault(taken, []).append((state, event))
    return found


def of_time(state: t.AttemptState, event: t.AttemptEvent) -> bool:
    """Whether a limit in time comes before the event itself."""
    limit = attempt.overdue_at(state)
    return limit is not None and limit <= event.now


ENTRIES = [
    pytest.param(name, edge, id=f"{name.state}-{name.event}-{name.name}") for name, edge in edges("attempt")
]


@pytest.mark.parametrize(("name", "edge"), ENTRIES)
def test_every_entry_is_run(name: Taken, edge: Edge) -> None:
    timed = name.event == "Overdue" and edge.go is not None
    pairs = [pair for pair in sampled()[name] if of_time(*pair) == timed]
    assert pairs, "no sample takes it"
    for state, event in pairs:
        if edge.misuse:
            with pytest.raises(Misuse) as caught:
                edge_of(attempt.TABLE, state, event, "p")
            assert caught.value.reason == edge.reason
            assert (caught.value.state, caught.value.event) == (state, event)
            assert "(process 'p')" in str(caught.value)
        elif edge.go is None:
            assert attempt.step(state, event) == t.Step(state), "what comes too late changes nothing"
        else:
            assert edge_of(attempt.TABLE, state, event, "p") is edge
            assert attempt.process_of(attempt.step(state, event).state) == "p"


def test_what_is_no_event_is_misuse() -> None:
    state: Any = t.Ended("p", t.End.LOST)
    with pytest.raises(Misuse) as caught:
        edge_of(attempt.TABLE, state, "tick", "p")
    assert vars(caught.value) == {
        "reason": "the machine has no such state or event",
        "state": state,
        "event": "tick",
        "process_id": "p",
    }
