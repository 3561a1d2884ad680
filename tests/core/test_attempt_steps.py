"""Steps of the attempt machine as wholes: the state after it field by field, and every command in its order.

The traces say in words what happens; here is what they leave out.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tenure import attempt_types as t
from tenure.attempt import step
from tenure.attempt_rules import ask_answered
from tenure.canonical import NULL
from tenure.instants import Instant, StoreTime
from tenure.process import Cancelled, Success
from tenure.replies import Claimed, EffectRecorded, Fenced, Grant, Renewed, Succeeded
from tenure.requests import Claim, Complete, EmitEvent, Release, Renew
from tests.core import samples
from tests.core.samples import CLAIM, EFFECT, FENCE, LEASE, RECORD, SECOND, STAMP, START

TERMS = evolve(samples.TERMS, max_run=())
NOW = Instant(START + 2 * SECOND)
DEADLINE = Instant(START + TERMS.timings.budget_ns)
EMIT = EmitEvent(FENCE, "progress", NULL, "a")
FLIGHT = t.Call(1, EFFECT, START, 7)
WAITING = t.Call(0, EMIT, START, 8)
RENEWAL = t.Call(1, Renew(FENCE, 30_000), START)
RENEWED = Renewed(STAMP, StoreTime(60_000), None)
HELD: dict[str, Any] = {
    "terms": TERMS,
    "record": RECORD,
    "lease": LEASE,
    "flight": FLIGHT,
    "queue": (WAITING,),
}


def held(**changes: Any) -> dict[str, Any]:
    return {**HELD, **changes}


RUNNING = t.Running(**HELD, started=START)
DRAINING = t.Stopping(
    **HELD, why=t.StopReason.DRAIN, started=START, stopped=START, spent=False, ran_out=False
)


def test_a_claim_that_is_not_wanted_any_more() -> None:
    claiming = t.Claiming(TERMS, Claim(CLAIM, "p", 30_000), 1, START, START)
    assert step(claiming, t.StopAsked(now=NOW, tag=9)) == t.Step(evolve(claiming, wanted=False))


@pytest.mark.parametrize("ids", [("q",), ("p", "p")])
def test_a_claim_of_one_process_that_is_granted_other_rows(ids: tuple[str, ...]) -> None:
    """S12: nothing is started from an answer that the contract forbids."""
    claiming = t.Claiming(TERMS, Claim(CLAIM, "p", 30_000), 1, START, START)
    rows = [evolve(RECORD, registration=evolve(RECORD.registration, id=name)) for name in ids]
    reply = Claimed(tuple(Grant(FENCE, row) for row in rows), 1)
    after = step(claiming, t.CallSucceeded(now=NOW, tag=9, call=1, reply=reply))
    said = "the store answered the claim with something else, which the contract forbids"
    assert after == t.Step(t.ClaimRefused("p", said), (t.Report("p", said),))


def test_a_session_that_is_open_starts_the_handler() -> None:
    """Under the lease's own epoch, woken by the owner's session, and until the deadline."""
    opening = t.Opening(**held(lease=evolve(LEASE, epoch=7)), opening=1, claimed=START)
    after = step(opening, t.SessionOpened(now=NOW, tag=9, call=1))
    start = t.StartHandler(Grant(FENCE, RECORD), 7, "main", DEADLINE)
    assert after == t.Step(t.Running(**held(lease=opening.lease), started=NOW), (start,))


def test_what_waits_has_no_id_yet() -> None:
    """A call gets the tag of the event that sends it."""
    asked = step(RUNNING, t.Asked(now=NOW, tag=9, ask=8, request=EMIT))
    waiting = t.Call(0, EMIT, NOW, 8)
    assert asked == t.Step(evolve(RUNNING, queue=(WAITING, waiting)))


def test_returning_while_a_call_is_in_flight() -> None:
    """The last write waits for it; what was waiting is told that the lease is lost."""
    after = step(RUNNING, t.HandlerReturned(now=NOW, tag=9, outcome=Success()))
    write = t.Call(0, Complete(FENCE, Success()), NOW)
    assert after == t.Step(
        t.Completing(**held(queue=(write,)), outcome=Success()), (t.AnswerAsk(8, Fenced()),)
    )


def test_stopping_for_a_drain_while_a_call_is_in_flight() -> None:
    after = step(DRAINING, t.HandlerStopped(now=NOW, tag=9))
    release = t.Call(0, Release(FENCE, 0), NOW)
    assert after == t.Step(t.Releasing(**held(queue=(release,))), (t.AnswerAsk(8, Fenced()),))


def test_stopping_after_the_deadline_answers_what_is_in_flight() -> None:
    """No call of a handler waits for ever, and nothing is written any more."""
    spent = evolve(DRAINING, why=t.StopReason.DEADLINE, spent=True)
    after = step(spent, t.HandlerStopped(now=NOW, tag=9))
    assert after == t.Step(t.Ended("p", t.End.SPENT), (t.AnswerAsk(7, Fenced()), t.AnswerAsk(8, Fenced())))


def test_a_renewal_that_was_in_flight_when_the_handler_ended() -> None:
    """The lease is as after any renewal but for the next one, which there is none of; then the last write goes out."""
    write = t.Call(0, Release(FENCE, 0), NOW)
    lease = evolve(LEASE, renewing=NOW)
    state = t.Releasing(**held(lease=lease, flight=RENEWAL, queue=(write,)))
    after = step(state, t.CallSucceeded(now=NOW, tag=9, call=1, reply=RENEWED))
    lease = evolve(LEASE, since=NOW, renewing=None)
    until = Instant(NOW + TERMS.timings.budget_ns + TERMS.timings.patience_ns)
    assert after == t.Step(
        t.Releasing(**held(lease=lease, flight=evolve(write, id=9), queue=())),
        (t.Send(9, Release(FENCE, 0), until),),
    )


def test_the_deadline_answers_what_was_waiting() -> None:
    """S13: no effect any more; what is in flight is answered by the store."""
    after = step(RUNNING, t.Tick(now=DEADLINE, tag=9))
    assert after == t.Step(
        t.Stopping(
            **held(queue=()),
            why=t.StopReason.DEADLINE,
            started=START,
            stopped=DEADLINE,
            spent=True,
            ran_out=False,
        ),
        (
            t.StopHandler("p", 1, t.StopReason.DEADLINE),
            t.AnswerAsk(8, Fenced()),
            t.Report("p", "its lease could not be renewed before the deadline; the handler is told to stop"),
        ),
    )


def test_being_told_to_stop_leaves_what_is_waiting() -> None:
    after = step(RUNNING, t.CancelSeen(now=NOW, tag=9, reason="why"))
    assert after == t.Step(
        t.Stopping(
            **HELD,
            why=t.StopReason.CANCEL,
            started=START,
            stopped=NOW,
            spent=False,
            ran_out=False,
            detail="why",
        ),
        (t.StopHandler("p", 1, t.StopReason.CANCEL),),
    )


def test_a_cancel_outranks_a_drain() -> None:
    after = step(DRAINING, t.CancelSeen(now=NOW, tag=9, reason="why"))
    assert after == t.Step(
        evolve(DRAINING, why=t.StopReason.CANCEL, detail="why"),
        (t.StopHandler("p", 1, t.StopReason.CANCEL),),
    )


def test_left_behind_it_is_still_the_same_process() -> None:
    lost = t.LeaseLost(**held(flight=None, queue=()), stopped=START)
    after = step(lost, t.Tick(now=Instant(START + 5 * SECOND), tag=9))
    assert after.state == t.Detached(**held(flight=None, queue=()))


@pytest.mark.parametrize("tries", [0, 3])
def test_a_renewal_forgets_the_failures_before_it(tries: int) -> None:
    lease = evolve(LEASE, renewing=NOW, tries=tries)
    state = t.Running(**held(lease=lease, flight=RENEWAL, queue=()), started=START)
    after = step(state, t.CallSucceeded(now=NOW, tag=9, call=1, reply=RENEWED))
    due = Instant(NOW + TERMS.timings.renew_interval_ns)
    renewed = evolve(LEASE, since=NOW, renew_at=due, renewing=None, tries=0)
    assert after == t.Step(evolve(state, lease=renewed, flight=None))


@pytest.mark.parametrize("state", [RUNNING, DRAINING])
def test_a_renewal_that_shows_the_flag_sends_the_next_call(state: t.Running | t.Stopping) -> None:
    """S16: the handler is told, and its own calls go on, under the tag of the reply."""
    flagged = evolve(RENEWED, cancel="why")
    after = step(evolve(state, flight=RENEWAL), t.CallSucceeded(now=NOW, tag=9, call=1, reply=flagged))
    assert after.commands == (t.StopHandler("p", 1, t.StopReason.CANCEL), t.Send(9, EMIT, DEADLINE))
    assert isinstance(after.state, t.Stopping)
    assert (after.state.why, after.state.detail) == (t.StopReason.CANCEL, "why")
    assert (after.state.flight, after.state.queue) == (evolve(WAITING, id=9), ())


def test_a_renewal_that_shows_the_flag_while_opening() -> None:
    opening = t.Opening(**held(flight=RENEWAL, queue=()), opening=1, claimed=START)
    flagged = evolve(RENEWED, cancel="why")
    after = step(opening, t.CallSucceeded(now=NOW, tag=9, call=1, reply=flagged))
    assert isinstance(after.state, t.Completing)
    assert after.state.outcome == Cancelled("why")
    assert after.state.flight == t.Call(9, Complete(FENCE, Cancelled("why")), NOW)


@pytest.mark.parametrize(("ask", "told"), [(None, False), (7, True)])
def test_an_answer_goes_to_whoever_asked(ask: int | None, told: bool) -> None:
    reply = EffectRecorded(STAMP, NULL)
    state = evolve(RUNNING, flight=evolve(FLIGHT, ask=ask), queue=())
    after = ask_answered(state, t.CallSucceeded(now=NOW, tag=9, call=1, reply=reply))
    answers = (t.AnswerAsk(7, Succeeded(reply)),) if told else ()
    assert after == t.Step(evolve(state, flight=None), answers)
