"""Steps of the worker machine as wholes: the state after it field by field, and every command in its order."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tenure import worker_types as w
from tenure.attempt_types import (
    CallFenced,
    CallRefused,
    CallSucceeded,
    CallUnavailable,
    CallUnknown,
    Report,
    Send,
    Tick,
    Wakeup,
)
from tenure.instants import Instant
from tenure.process import ClaimId
from tenure.replies import CancelsRead, Claimed, Grant, Pruned, Reason
from tenure.requests import ClaimFilter, ClaimNext, ReadCancels
from tenure.worker import leave_at, next_wakeup, start, step
from tests.core.samples import FENCE, RECORD, SECOND, START, TERMS

OURS = w.WorkerTerms("us", evolve(TERMS, profile="blue"), 4, 3, 2 * SECOND)
NOW = Instant(START + 7 * SECOND)
POLL = Instant(NOW + 2 * SECOND)
WANTED = ClaimFilter("blue", ("k",), ("gone",))
NEXT = ClaimNext(ClaimId("us", 3), 30_000, 2, WANTED)
CALL = w.ClaimCall(3, NEXT, START)
GRANT = Grant(FENCE, RECORD)
STRAY = evolve(GRANT, record=evolve(RECORD, registration=evolve(RECORD.registration, id="gone")))
SHARED: dict[str, Any] = {"terms": OURS, "running": 1, "exclude": (("gone", 1),), "reading": None, "tries": 2}


def shared(**changes: Any) -> dict[str, Any]:
    return {**SHARED, **changes}


DRIVING = w.Driving(**SHARED, claim=CALL, hungry=True, hinted=True, cancels=False, poll_at=START)
IDLE = evolve(DRIVING, claim=None, hinted=False)
UNTIL = Instant(NOW + 10 * SECOND)
DRAINING = w.Draining(**SHARED, claim=CALL, until=UNTIL, told=False)
WAITING = evolve(CALL, retry_at=Instant(NOW + SECOND))


def tick(now: int = NOW) -> Tick:
    return Tick(now=Instant(now), tag=9)


def test_it_starts_hungry() -> None:
    poll_at = Instant(NOW + 2 * SECOND)
    driving = w.Driving(OURS, 0, (), None, None, 0, True, False, False, poll_at)
    assert start(OURS, NOW) == w.WorkerStep(driving)


def test_one_whose_tiers_do_not_suffice_never_starts() -> None:
    """S15: the tier check fails closed."""
    unfit = evolve(OURS, terms=evolve(TERMS, tier_fault="too ephemeral"))
    assert start(unfit, NOW) == w.WorkerStep(w.Stopped(0, "too ephemeral"))


@pytest.mark.parametrize(("jitter", "wait"), [(0, 1_500_000_000), (999, 2_499_000_000)])
@pytest.mark.parametrize("hinted", [False, True])
def test_a_grant(jitter: int, wait: int, hinted: bool) -> None:
    """L1: fewer than asked for: not hungry before the next poll, unless the feed spoke meanwhile."""
    event = CallSucceeded(now=NOW, tag=9, jitter=jitter, call=3, reply=Claimed((GRANT,), 7))
    after = step(evolve(DRIVING, hinted=hinted), event)
    poll_at = Instant(NOW + wait)
    assert after.state == w.Driving(
        **shared(running=2, tries=0),
        claim=None,
        hungry=hinted,
        hinted=False,
        cancels=False,
        poll_at=poll_at,
    )
    assert after.commands == (w.BeginAttempt(GRANT, 7, START, True),)
    assert isinstance(after.state, w.Driving)
    assert type(after.state.poll_at) is int


def test_a_full_grant_leaves_it_hungry_and_what_strays_is_not_wanted() -> None:
    """L1, S12: what another attempt still runs is started by nobody."""
    event = CallSucceeded(now=NOW, tag=9, jitter=0, call=3, reply=Claimed((GRANT, STRAY), 7))
    after = step(evolve(DRIVING, hinted=False), event)
    assert isinstance(after.state, w.Driving)
    assert (after.state.hungry, after.state.running) == (True, 3)
    assert after.commands == (w.BeginAttempt(GRANT, 7, START, True), w.BeginAttempt(STRAY, 7, START, False))


def test_a_grant_in_a_drain_is_not_wanted() -> None:
    """L5, S12: it is given back."""
    after = step(DRAINING, CallSucceeded(now=NOW, tag=9, call=3, reply=Claimed((GRANT,), 7)))
    assert after == w.WorkerStep(
        evolve(DRAINING, claim=None, tries=0, running=2), (w.BeginAttempt(GRANT, 7, START, False),)
    )


@pytest.mark.parametrize("state", [DRIVING, DRAINING])
@pytest.mark.parametrize("doubtful", [False, True])
@pytest.mark.parametrize("answer", [CallUnavailable, CallUnknown])
def test_a_claim_that_failed(state: w.Working, doubtful: bool, answer: Any) -> None:
    """S18, L8, K9: the same one again, a hundred milliseconds after the third failure in a row; a drain drops what
    surely failed."""
    before = evolve(state, claim=evolve(CALL, doubtful=doubtful))
    after = step(before, answer(now=NOW, tag=9, jitter=0, call=3))
    doubt = doubtful or answer is CallUnknown
    if isinstance(state, w.Draining) and not doubt:
        assert after == w.WorkerStep(evolve(before, claim=None))
    else:
        again = evolve(CALL, retry_at=Instant(NOW + 100_000_000), doubtful=doubt)
        assert after == w.WorkerStep(evolve(before, claim=again, tries=3))


def test_failures_are_counted_to_five() -> None:
    """L8: back-off stops growing."""
    after = step(evolve(DRIVING, tries=5), CallUnknown(now=NOW, tag=9, jitter=0, call=3)).state
    assert isinstance(after, w.Working)
    assert after.tries == 5


@pytest.mark.parametrize("state", [DRIVING, DRAINING])
@pytest.mark.parametrize(("doubtful", "sent_at"), [(False, NOW + SECOND), (True, START)])
def test_a_claim_is_sent_again_when_it_is_due(state: w.Working, doubtful: bool, sent_at: int) -> None:
    """L1, L8: and not before."""
    before = evolve(state, claim=evolve(WAITING, doubtful=doubtful))
    assert step(before, tick(NOW + SECOND - 1)).commands == ()
    again = w.ClaimCall(9, NEXT, Instant(sent_at), None, doubtful)
    hungry = step(before, tick(NOW + SECOND))
    assert hungry == w.WorkerStep(evolve(before, claim=again), (Send(9, NEXT, None),))


REFUSED = CallRefused(now=NOW, tag=9, call=3, reason=Reason.BLANK, detail="no owner")


@pytest.mark.parametrize("state", [DRIVING, DRAINING])
@pytest.mark.parametrize(
    ("event", "said"),
    [
        (REFUSED, "the store refused to let this worker claim (blank: no owner)"),
        (
            CallFenced(now=NOW, tag=9, call=3),
            "a claim was refused because a later one of this worker was granted",
        ),
        (
            CallSucceeded(now=NOW, tag=9, call=3, reply=Pruned(0)),
            "the store answered a claim with something else, which the contract forbids",
        ),
    ],
)
def test_a_claim_that_comes_to_nothing(state: w.Working, event: Any, said: str) -> None:
    """It is said, and not tried before the next poll."""
    after = evolve(state, claim=None)
    if isinstance(after, w.Driving):
        after = evolve(after, hungry=False, poll_at=POLL)
    assert step(state, event) == w.WorkerStep(after, (Report("", said),))


@pytest.mark.parametrize("state", [DRIVING, DRAINING])
def test_cancels_that_were_read(state: w.Working) -> None:
    """L4, K17: each reaches the attempt that it is for."""
    reading = evolve(state, reading=4)
    cancels = (("p", 1, "why"),)
    read = step(reading, CallSucceeded(now=NOW, tag=9, call=4, reply=CancelsRead(cancels)))
    assert read == w.WorkerStep(state, (w.ShowCancels(cancels),))
    assert step(reading, CallUnknown(now=NOW, tag=9, call=4)) == w.WorkerStep(state)
    assert step(reading, CallSucceeded(now=NOW, tag=9, call=4, reply=Pruned(0))) == w.WorkerStep(state)


def test_an_attempt_ends_and_another_strays() -> None:
    """S12, L1: a slot is free once its handler has ended."""
    ended = step(DRIVING, w.AttemptEnded(now=NOW, process_id="gone", token=1))
    assert ended == w.WorkerStep(evolve(DRIVING, running=0, exclude=()))
    other = step(DRIVING, w.AttemptEnded(now=NOW, process_id="gone", token=2))
    assert other == w.WorkerStep(evolve(DRIVING, running=0))
    strayed = step(DRIVING, w.AttemptUnheld(now=NOW, process_id="p", token=2))
    assert strayed == w.WorkerStep(evolve(DRIVING, exclude=(("gone", 1), ("p", 2))))


@pytest.mark.parametrize("running", [0, 1])
@pytest.mark.parametrize("claim", [None, CALL])
def test_a_hint(running: int, claim: w.ClaimCall | None) -> None:
    """L1, L4, K17: there may be work, and cancels."""
    before = evolve(IDLE, running=running, claim=claim, hungry=False)
    after = step(before, w.WorkHinted(now=NOW))
    assert after == w.WorkerStep(evolve(before, hungry=True, hinted=claim is not None, cancels=running > 0))


def test_a_tick_claims_what_there_is_room_for() -> None:
    """L1, S12: no more than one claim may ask for, and no more than may run."""
    for running, room in ((0, 3), (1, 3), (2, 2), (3, 1)):
        before = evolve(IDLE, running=running)
        request = ClaimNext(ClaimId("us", 9), 30_000, room, WANTED)
        sent = w.ClaimCall(9, request, NOW)
        assert step(before, tick()) == w.WorkerStep(evolve(before, claim=sent), (Send(9, request, None),))
    for running in (4, 5):
        before = evolve(IDLE, running=running)
        assert step(before, tick()) == w.WorkerStep(before)


def test_a_tick_reads_the_cancels_once_it_has_claimed() -> None:
    """L4, K17: they are read, if a little later."""
    before = evolve(DRIVING, cancels=True)
    read = (Send(9, ReadCancels("us"), None),)
    assert step(before, tick()) == w.WorkerStep(evolve(before, cancels=False, reading=9), read)
    reading = evolve(before, reading=4)
    assert step(reading, tick()) == w.WorkerStep(reading)


def test_it_is_hungry_from_its_poll_on() -> None:
    """L1: whether or not the feed spoke."""
    before = evolve(DRIVING, hungry=False, poll_at=NOW)
    assert step(before, tick()) == w.WorkerStep(evolve(before, hungry=True))
    assert step(before, tick(NOW - 1)) == w.WorkerStep(before)


def test_a_drain() -> None:
    """L5, K8: a claim in flight, or one that may have been granted, is waited for; what surely was not granted is
    dropped."""
    asked = w.DrainAsked(now=NOW, grace=10 * SECOND)
    doubtful = evolve(WAITING, doubtful=True)
    for claim, kept in ((None, None), (CALL, CALL), (WAITING, None), (doubtful, doubtful)):
        before = evolve(DRIVING, claim=claim, reading=4)
        assert step(before, asked) == w.WorkerStep(evolve(DRAINING, claim=kept, reading=4))
    idle = evolve(IDLE, running=0)
    assert step(idle, asked) == w.WorkerStep(w.Stopped(0))
    assert step(evolve(idle, claim=CALL), asked) == w.WorkerStep(evolve(DRAINING, running=0))


@pytest.mark.parametrize(("grace", "until"), [(4, NOW + 4 * SECOND), (10, UNTIL), (30, UNTIL)])
def test_asked_again_to_drain(grace: int, until: int) -> None:
    """L5: it only ever gets shorter."""
    again = step(DRAINING, w.DrainAsked(now=NOW, grace=grace * SECOND))
    assert again == w.WorkerStep(evolve(DRAINING, until=Instant(until)))


def test_how_a_drain_goes_on() -> None:
    """L5, K8: stop, wait for the handlers, leave."""
    assert step(DRAINING, tick(UNTIL - 1)) == w.WorkerStep(DRAINING)
    told = evolve(DRAINING, told=True)
    assert step(DRAINING, tick(UNTIL)) == w.WorkerStep(told, (w.StopAttempts(),))
    assert step(told, tick(UNTIL)) == w.WorkerStep(told)
    leave = leave_at(DRAINING)
    assert leave == UNTIL + 8 * SECOND
    assert step(told, tick(leave - 1)) == w.WorkerStep(told)
    assert step(told, tick(leave)) == w.WorkerStep(w.Stopped(1))
    last = evolve(told, claim=None, exclude=())
    assert step(last, w.AttemptEnded(now=NOW, process_id="p", token=1)) == w.WorkerStep(w.Stopped(0))
    assert step(last, tick()) == w.WorkerStep(last), "somebody runs still"


@pytest.mark.parametrize(
    ("state", "wakeup"),
    [
        (w.Stopped(0), None),
        (DRIVING, None),
        (evolve(DRIVING, claim=WAITING), Wakeup(Instant(NOW + SECOND), "claim again")),
        (IDLE, Wakeup(START, "poll")),
        (evolve(IDLE, running=3), Wakeup(START, "poll")),
        (evolve(IDLE, running=4), None),
        (DRAINING, Wakeup(UNTIL, "grace")),
        (evolve(DRAINING, claim=WAITING), Wakeup(Instant(NOW + SECOND), "claim again")),
        (evolve(DRAINING, claim=evolve(CALL, retry_at=UNTIL)), Wakeup(UNTIL, "grace")),
        (evolve(DRAINING, told=True), Wakeup(leave_at(DRAINING), "leave")),
    ],
)
def test_when_it_has_to_be_ticked(state: w.WorkerState, wakeup: Wakeup | None) -> None:
    """L1, L5: when time alone changes something."""
    assert next_wakeup(state) == wakeup
