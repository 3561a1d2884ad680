"""The attempt's limits in time to the nanosecond: which one applies where two fall on one moment, and none earlier."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tenure import attempt_types as t
from tenure.attempt import next_wakeup, step
from tenure.attempt_rules import retry_at
from tenure.instants import Instant
from tenure.replies import Claimed, Fenced, Grant
from tenure.requests import Claim, Release, Renew
from tenure.timings import LeaseTimings
from tests.core.samples import CLAIM, EFFECT, FENCE, LEASE, RECORD, SECOND, START, TERMS

TIMINGS = TERMS.timings
DEADLINE = Instant(START + TIMINGS.budget_ns)
GRACE = TIMINGS.stop_grace_ns
HELD: dict[str, Any] = {"terms": TERMS, "record": RECORD, "lease": LEASE, "flight": None, "queue": ()}
MAX_RUN = 12 * SECOND


def held(**changes: Any) -> dict[str, Any]:
    return {**HELD, **changes}


def at(moment: int) -> t.Tick:
    return t.Tick(now=Instant(moment), tag=9)


def stopping(why: t.StopReason, started: int, stopped: int, ran_out: bool = False) -> t.Stopping:
    return t.Stopping(
        **HELD, why=why, started=Instant(started), stopped=Instant(stopped), spent=False, ran_out=ran_out
    )


def test_a_session_as_late_as_the_deadline_is_late_by_the_deadline() -> None:
    """S13: the deadline is exclusive."""
    opening = t.Opening(**HELD, opening=1, claimed=Instant(DEADLINE - TIMINGS.opening_ns))
    said, sent = step(opening, at(DEADLINE)).commands
    assert said == t.Report("p", "its session was not open before the lease's deadline")
    assert isinstance(sent, t.Send)
    assert sent.request == Release(FENCE, 0)
    said, sent = step(evolve(opening, claimed=Instant(opening.claimed - 1)), at(DEADLINE)).commands
    assert said == t.Report("p", "its session was neither opened nor refused in time; it is given back")
    assert isinstance(sent, t.Send)
    assert sent.request == Release(FENCE, TERMS.release_delay)


def test_what_a_limit_sends_goes_under_the_tag_of_the_event_that_brought_it() -> None:
    """A limit that is fed by itself does what it does where a tick brings it."""
    opening = t.Opening(**HELD, opening=1, claimed=START)
    release, until = Release(FENCE, 0), Instant(DEADLINE + TIMINGS.patience_ns)
    after = step(opening, t.Overdue(now=DEADLINE, tag=9))
    assert after == t.Step(
        t.Releasing(**held(flight=t.Call(9, release, DEADLINE))),
        (
            t.Report("p", "its session was not open before the lease's deadline"),
            t.Send(9, release, until),
        ),
    )
    assert step(opening, at(DEADLINE)) == after


def test_max_run_over_at_the_deadline_is_the_deadline() -> None:
    """S13: the lease comes first."""
    running = t.Running(**HELD, started=Instant(DEADLINE - MAX_RUN))
    assert t.StopHandler("p", 1, t.StopReason.DEADLINE) in step(running, at(DEADLINE)).commands
    before = evolve(running, started=Instant(running.started - 1))
    after = step(before, at(DEADLINE - 1))
    assert t.StopHandler("p", 1, t.StopReason.MAX_RUN) in after.commands


def test_max_run_over_at_the_deadline_while_it_stops() -> None:
    """S13: the lease comes first."""
    cancelled = stopping(t.StopReason.CANCEL, DEADLINE - MAX_RUN, START)
    after = step(cancelled, at(DEADLINE)).state
    assert isinstance(after, t.Stopping)
    assert (after.spent, after.ran_out) == (True, False)
    earlier = step(evolve(cancelled, started=Instant(cancelled.started - 1)), at(DEADLINE - 1)).state
    assert isinstance(earlier, t.Stopping)
    assert (earlier.spent, earlier.ran_out) == (False, True)


def test_a_kind_s_time_does_not_matter_to_a_handler_that_is_out_of_grace() -> None:
    """Its max_run was over before; it is left behind where it has had its grace since."""
    out = stopping(t.StopReason.MAX_RUN, START, START + MAX_RUN, ran_out=True)
    end = START + MAX_RUN + GRACE
    assert next_wakeup(out) == t.Wakeup(Instant(end), "max_run, deadline or stop_grace")
    assert step(out, at(end - 1)).state == out
    assert isinstance(step(out, at(end)).state, t.Detached)


def test_a_handler_told_to_stop_has_its_grace_before_max_run() -> None:
    """S14: draining, with max_run still ahead, past the deadline's grace: the deadline came first."""
    drained = evolve(stopping(t.StopReason.DRAIN, DEADLINE + GRACE, START), spent=True)
    assert isinstance(step(drained, at(DEADLINE + GRACE)).state, t.Detached)
    assert step(drained, at(DEADLINE + GRACE - 1)).state == drained


def test_without_any_grace_a_handler_is_left_behind_at_the_deadline() -> None:
    """S14: its kind has time left, which nothing waits for."""
    terms = evolve(TERMS, timings=LeaseTimings(stop_grace=0))
    cancelled = evolve(stopping(t.StopReason.CANCEL, START + SECOND * 20, START), terms=terms)
    deadline = START + terms.timings.budget_ns
    assert isinstance(step(cancelled, at(deadline - 1)).state, t.Stopping)
    assert isinstance(step(cancelled, at(deadline)).state, t.Detached)


def test_left_behind_at_the_deadline_itself() -> None:
    """S14: it ran out so that its grace ends at the deadline: that is one thing that happens, not two."""
    out = stopping(t.StopReason.MAX_RUN, START, DEADLINE - GRACE, ran_out=True)
    flight, waiting = t.Call(1, EFFECT, START, 7), t.Call(0, EFFECT, START, 8)
    after = step(evolve(out, flight=flight, queue=(waiting,)), at(DEADLINE))
    assert isinstance(after.state, t.Detached)
    left = "the handler did not stop (max_run); it is left behind and keeps its slot"
    assert after.commands == (t.Report("p", left), t.AnswerAsk(7, Fenced()), t.AnswerAsk(8, Fenced()))


@pytest.mark.parametrize(("tries", "slack"), [(0, TIMINGS.renew_slack_ns), (1, 0), (5, 0)])
def test_from_when_a_renewal_goes_out(tries: int, slack: int) -> None:
    """L3, K22: a little early, in one batch with others; but one that failed waits for its whole back-off."""
    running = t.Running(**held(lease=evolve(LEASE, tries=tries)), started=START)
    first = LEASE.renew_at - slack
    assert step(running, at(first - 1)).state == running
    (sent,) = step(running, at(first)).commands
    assert sent == t.Send(9, Renew(FENCE, 30_000), DEADLINE)


@given(st.integers(0, 9), st.integers(0, 999))
def test_a_moment_is_a_whole_number(tries: int, jitter: int) -> None:
    moment = retry_at(START, tries, jitter)
    assert type(moment) is int
    assert 0 < moment - START <= SECOND


@pytest.mark.parametrize("retry", [None, Instant(START + SECOND)])
def test_an_answer_to_an_earlier_claim_is_stale(retry: Instant | None) -> None:
    """Sent again, or about to be: the answer to the first sending is not waited for any more (S18)."""
    claiming = t.Claiming(TERMS, Claim(CLAIM, "p", 30_000), 2, START, START, retry)
    granted = Claimed((Grant(FENCE, RECORD),), 1)
    late = 1 if retry is None else 2
    answer = t.CallSucceeded(now=START, tag=9, call=late, reply=granted)
    assert step(claiming, answer) == t.Step(claiming)
