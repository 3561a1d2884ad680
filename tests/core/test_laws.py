"""What holds of both machines whatever their state: time may be shifted, ids renamed, and nothing grows for ever.

Without these no search of the machines ever closes (docs/reference/properties.md).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import attempt, worker
from tenure import attempt_types as t
from tenure import worker_types as w
from tenure.attempt_opening import begin, claim_one
from tenure.attempt_rules import MAX_TRIES, RETRY_MS, retry_at
from tenure.errors import Misuse
from tenure.instants import NANOS_PER_MILLI, NANOS_PER_SECOND, Instant
from tenure.process import Success
from tenure.requests import Claim, Release, Renew
from tests.core import samples, strategies
from tests.core.strategies import examples
from tests.core.transform import renamed, shifted

EXAMPLES = examples(100)
shifts = st.integers(1, 10**18)


def moved(state: t.AttemptState, event: t.AttemptEvent) -> Any:
    """The step, or that it was misuse."""
    try:
        return attempt.step(state, event)
    except Misuse as misuse:
        return misuse.reason


@st.composite
def renamings(draw: st.DrawFn) -> Any:
    """One-to-one, and 0 stays: it is the id of a call that was not sent yet."""
    calls = draw(st.permutations(range(1, 10)))
    others = draw(st.permutations(range(1, 5)))
    return (0, *calls).__getitem__, (0, *others).__getitem__, draw(st.text("xy"))


@given(strategies.attempt_states, strategies.attempt_events, shifts)
@EXAMPLES
def test_shifting_time_commutes_with_a_step(state: t.AttemptState, event: t.AttemptEvent, by: int) -> None:
    expected = moved(state, event)
    assert moved(shifted(state, by), shifted(event, by)) == (
        expected if isinstance(expected, str) else shifted(expected, by)
    )
    assert attempt.next_wakeup(shifted(state, by)) == shifted(attempt.next_wakeup(state), by)


@given(strategies.attempt_states, strategies.attempt_events, renamings())
@EXAMPLES
def test_renaming_ids_commutes_with_a_step(state: t.AttemptState, event: t.AttemptEvent, names: Any) -> None:
    expected = moved(state, event)
    assert moved(renamed(state, *names), renamed(event, *names)) == (
        expected if isinstance(expected, str) else renamed(expected, *names)
    )
    assert attempt.next_wakeup(renamed(state, *names)) == attempt.next_wakeup(state)


@given(strategies.worker_states, strategies.worker_events, shifts)
@EXAMPLES
def test_shifting_time_commutes_with_a_worker_step(
    state: w.WorkerState, event: w.WorkerEvent, by: int
) -> None:
    assert worker.step(shifted(state, by), shifted(event, by)) == shifted(worker.step(state, event), by)
    assert worker.next_wakeup(shifted(state, by)) == shifted(worker.next_wakeup(state), by)


@given(strategies.worker_states, strategies.worker_events, renamings())
@EXAMPLES
def test_renaming_ids_commutes_with_a_worker_step(
    state: w.WorkerState, event: w.WorkerEvent, names: Any
) -> None:
    expected = renamed(worker.step(state, event), *names)
    assert worker.step(renamed(state, *names), renamed(event, *names)) == expected


@given(
    strategies.terms,
    strategies.grants,
    strategies.instants,
    strategies.EVENTS[t.Tick],
    strategies.booleans,
    shifts,
    renamings(),
)
@EXAMPLES
def test_both_commute_with_a_beginning(
    terms: t.Terms, grant: Any, sent_at: Instant, event: t.Tick, wanted: bool, by: int, names: Any
) -> None:
    step = begin(terms, grant, 1, sent_at, event, wanted)
    later = begin(terms, grant, 1, shifted(t.Wakeup(sent_at, ""), by).at, shifted(event, by), wanted)
    assert later == shifted(step, by)
    assert begin(terms, renamed(grant, *names), 1, sent_at, renamed(event, *names), wanted) == renamed(
        step, *names
    )


@given(
    strategies.terms,
    st.builds(Claim, strategies.claim_ids, strategies.names, st.just(1)),
    strategies.EVENTS[t.Tick],
    shifts,
)
@examples(20)
def test_shifting_commutes_with_a_single_claim(
    terms: t.Terms, request: Claim, event: t.Tick, by: int
) -> None:
    assert claim_one(terms, request, shifted(event, by)) == shifted(claim_one(terms, request, event), by)


HELD = (samples.TERMS, samples.RECORD, samples.LEASE)
WAITING: list[t.AttemptState] = [
    t.Claiming(samples.TERMS, Claim(samples.CLAIM, "p", 1), 1, samples.START, samples.START),
    t.Opening(*HELD, t.Call(1, Renew(samples.FENCE, 1), samples.START), (), opening=2, claimed=samples.START),
    t.Running(*HELD, t.Call(1, samples.EFFECT, samples.START), (), started=samples.START),
    t.Completing(*HELD, t.Call(1, Release(samples.FENCE), samples.START), (), outcome=Success()),
]
BACK_OFF = [25, 50, 100, 200, 400, 800, 800, 800]


@pytest.mark.parametrize("state", WAITING, ids=lambda state: type(state).__name__)
def test_tries_are_bounded(state: t.AttemptState) -> None:
    """L8: back-off stops growing at 800 ms, and the count of tries with it."""
    now, pauses = samples.START, list[int]()
    for call in range(1, len(BACK_OFF) + 1):
        state = attempt.step(state, t.CallUnknown(now=now, call=call)).state
        wakeup = attempt.next_wakeup(state)
        assert wakeup is not None
        pauses.append((wakeup.at - now) // NANOS_PER_MILLI)
        now = wakeup.at
        state = attempt.step(state, t.Tick(now=now, tag=call + 1)).state
    assert pauses == BACK_OFF
    assert counted(state) == MAX_TRIES


def counted(state: t.AttemptState) -> int:
    """The highest count of tries in the state."""
    if isinstance(state, t.Claiming):
        return state.tries
    assert isinstance(state, t.Holding)
    assert state.flight is not None
    return max(state.lease.tries, state.flight.tries)


def test_a_worker_counts_its_tries_up_to_a_bound() -> None:
    """L8: back-off stops growing."""
    terms = w.WorkerTerms("us", samples.TERMS, 1, 1, NANOS_PER_SECOND)
    now, state, pauses = samples.START, worker.start(terms, samples.START).state, list[int]()
    for call in range(1, len(BACK_OFF) + 1):
        state = worker.step(state, t.Tick(now=now, tag=call)).state
        state = worker.step(state, t.CallUnknown(now=now, call=call)).state
        wakeup = worker.next_wakeup(state)
        assert wakeup is not None
        pauses.append((wakeup.at - now) // NANOS_PER_MILLI)
        now = wakeup.at
    assert pauses == BACK_OFF
    assert isinstance(state, w.Working)
    assert state.tries == MAX_TRIES


@given(strategies.instants, st.integers(0, 10**6), strategies.jitters)
def test_whatever_failed_is_tried_again_within_a_second(now: Instant, tries: int, jitter: int) -> None:
    """CONTRACT §2. Each try waits as long as the one before, or longer."""
    at = retry_at(now, tries, jitter)
    assert now + RETRY_MS * NANOS_PER_MILLI <= at <= now + NANOS_PER_SECOND
    assert at <= retry_at(now, tries + 1, jitter)


@given(strategies.attempt_states, strategies.EVENTS[t.Tick])
@EXAMPLES
def test_nothing_happens_before_the_wakeup(state: t.AttemptState, tick: t.Tick) -> None:
    """L3, K11: a renewal may go out earlier where there is an occasion, by its slack; nothing else does."""
    wakeup = attempt.next_wakeup(state)
    slack = state.terms.timings.renew_slack_ns if isinstance(state, t.Holding) else 0
    if wakeup is None or tick.now < wakeup.at - slack:
        assert attempt.step(state, tick) == t.Step(state)


@given(strategies.attempt_states, strategies.jitters, st.integers(0, NANOS_PER_SECOND))
@EXAMPLES
def test_something_happens_at_the_wakeup(state: t.AttemptState, jitter: int, late: int) -> None:
    """L9: or the driver would turn for ever."""
    wakeup = attempt.next_wakeup(state)
    if wakeup is not None:
        tick = t.Tick(now=Instant(wakeup.at + late), tag=9, jitter=jitter)
        assert attempt.step(state, tick) != t.Step(state), wakeup.reason


@given(strategies.worker_states, strategies.EVENTS[t.Tick])
@EXAMPLES
def test_a_worker_sleeps_until_its_wakeup(state: w.WorkerState, tick: t.Tick) -> None:
    """L9: once the driver has ticked until nothing came, as it does at the end of each turn."""
    again = t.Tick(now=tick.now, tag=tick.tag)
    for _ in range(3):
        state = worker.step(state, again).state
    assert worker.step(state, again) == w.WorkerStep(state), "a worker goes on for ever"
    wakeup = worker.next_wakeup(state)
    if wakeup is None:
        later = Instant(tick.now + 1_000 * NANOS_PER_SECOND)
        assert not worker.step(state, t.Tick(now=later, tag=9)).commands
    else:
        assert wakeup.at > tick.now, "or the driver would turn for ever"
        early = t.Tick(now=Instant(wakeup.at - 1), tag=9)
        assert not worker.step(state, early).commands
        assert worker.step(state, t.Tick(now=wakeup.at, tag=9)) != w.WorkerStep(state)
