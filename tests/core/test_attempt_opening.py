"""How an attempt begins under a lease: B5's checks in their order, and what each of them leads to."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tenure import attempt_types as t
from tenure.attempt import step as attempt_step
from tenure.attempt_opening import begin
from tenure.instants import Instant
from tenure.process import Cancelled, External, Failure, Outcome, Provenance, Record, Registration, Work
from tenure.replies import Claimed, Grant
from tenure.requests import Claim, Complete, Release
from tests.core import samples

TERMS = evolve(samples.TERMS, profile="blue", tier_fault="too ephemeral", max_lost=3)
NOW = samples.START
# Everything is wrong with this row; each test mends what comes before the check that it is about.
WORST = Registration(" ", Work("unheard-of"), (), Provenance("", "green"))


def begun(registration: Registration, terms: t.Terms = TERMS, sent_at: Instant = NOW, **row: Any) -> t.Step:
    record: Record = evolve(samples.RECORD, registration=registration, **row)
    tick = t.Tick(now=NOW, tag=5)
    return begin(terms, Grant(samples.FENCE, record), 7, sent_at, tick)


def written(step: t.Step) -> Outcome:
    """The outcome that is written without a session and without a start."""
    assert isinstance(step.state, t.Completing)
    (request,) = [said.request for said in step.commands if isinstance(said, t.Send)]
    assert isinstance(request, Complete)
    return request.outcome


def given_back(step: t.Step) -> tuple[str, int]:
    """What is reported, and for how long nobody is to claim it."""
    report, send = step.commands
    assert isinstance(step.state, t.Releasing)
    assert isinstance(report, t.Report)
    assert isinstance(send, t.Send)
    assert isinstance(send.request, Release)
    return report.what, send.request.delay


def recovery_failed(message: str) -> Failure:
    return Failure("execution", "process_recovery_failed", message)


def test_first_the_id() -> None:
    """B5(1), B19: such a row can never be run, anywhere."""
    for blank in ("", " ", "\t\n"):
        failure = written(begun(evolve(WORST, id=blank)))
        assert failure == recovery_failed("the process id is empty or blank")


def test_then_the_profile() -> None:
    """B5(2): both are named."""
    what, delay = given_back(begun(evolve(WORST, id="p")))
    assert what == "the process was made for host profile 'green', this worker's is 'blue'"
    assert delay == TERMS.release_delay


@pytest.mark.parametrize("profile", ["", "blue"])
def test_then_the_tiers(profile: str) -> None:
    """B5(3)."""
    fitting = evolve(WORST, id="p", provenance=Provenance("", profile))
    assert given_back(begun(fitting)) == ("too ephemeral", TERMS.release_delay)


def test_then_an_external_input() -> None:
    """B5(4): no store grants one."""
    terms = evolve(TERMS, tier_fault="")
    external = Registration("x", External())
    what, _ = given_back(begun(external, terms))
    assert what == "the store granted an external process, which the contract forbids"


def test_then_the_owner_scope() -> None:
    """B5(5): the process is named."""
    terms = evolve(TERMS, tier_fault="")
    unowned = Registration("p", Work("unheard-of"))
    failure = recovery_failed("process 'p' names no owner scope, so it has no session to run in")
    assert written(begun(unowned, terms)) == failure


def test_then_the_kind_and_then_the_session() -> None:
    """B7, B12: the session of the owner is opened, under the token."""
    terms = evolve(TERMS, tier_fault="")
    owned = Registration("p", Work("unheard-of"), (), Provenance("main"))
    what, _ = given_back(begun(owned, terms))
    assert what == "this worker has no handler of kind 'unheard-of'"
    fitting = evolve(owned, input=Work("k"))
    step = begun(fitting, terms)
    assert step.commands == (t.OpenSession(5, "p", "main", samples.FENCE.token, 7),)
    lease = t.Lease(samples.FENCE, 7, NOW, Instant(NOW + terms.timings.renew_interval_ns))
    record = evolve(samples.RECORD, registration=fitting)
    assert step.state == t.Opening(terms, record, lease, None, (), 5, NOW)


def test_a_single_claim_begins_like_any_other() -> None:
    """The epoch is the reply's, the budget counts from the sending."""
    claiming = t.Claiming(samples.TERMS, Claim(samples.CLAIM, "p", 30_000), 1, NOW, NOW)
    grant = Grant(samples.FENCE, samples.RECORD)
    event = t.CallSucceeded(now=NOW, tag=5, call=1, reply=Claimed((grant,), 7))
    assert attempt_step(claiming, event) == begin(samples.TERMS, grant, 7, NOW, event)


def test_before_all_that_comes_the_budget() -> None:
    """S12, K4: a grant that came too late is given back at once; nobody has to wait for it."""
    late = Instant(NOW - TERMS.timings.budget_ns)
    step = begun(WORST, sent_at=late, cancel="why")
    assert isinstance(step.state, t.Releasing)
    assert [said.request for said in step.commands if isinstance(said, t.Send)] == [Release(samples.FENCE)]
    assert isinstance(begun(WORST, sent_at=Instant(late + 1), cancel="why").state, t.Completing)


def test_then_the_cancel_flag_and_then_the_losses() -> None:
    """CONTRACT §4."""
    assert written(begun(WORST, cancel="", lost=3)) == Cancelled("")
    failure = written(begun(WORST, lost=3))
    assert failure == Failure("execution", "lost_too_often", "its worker was lost 3 times in a row")
    assert written(begun(WORST, lost=2)) != failure
