"""How an attempt begins: a single claim, B5's checks under the lease that it got, and the opening of the session."""

from __future__ import annotations

from tenure import attempt_types as t
from tenure.attempt_rules import MAX_TRIES, complete, deadline, pump, release, report, retry_at
from tenure.fitness import Check, misfit
from tenure.instants import Instant, after
from tenure.process import Cancelled, Failure
from tenure.replies import Claimed, Grant
from tenure.requests import Claim
from tenure.values import changed


def begin(
    terms: t.Terms, grant: Grant, epoch: int, sent_at: Instant, event: t.Event, wanted: bool = True
) -> t.Step:
    """The attempt's first step under a lease: B5's checks in order, then the session is opened.

    `sent_at` is when the claim was first sent. A grant that comes too late or is not wanted any more is released at
    once; a process to be cancelled, or lost too often, is completed without a session and without a start.
    """
    record = grant.record
    lease = t.Lease(grant.fence, epoch, sent_at, after(sent_at, terms.timings.renew_interval_ns))
    held = t.Opening(terms, record, lease, None, (), event.tag, sent_at)
    if event.now >= deadline(held) or not wanted:
        return release(held, 0, event)
    if record.cancel is not None:
        return complete(held, Cancelled(record.cancel), event)
    if record.lost >= terms.max_lost:
        said = f"its worker was lost {record.lost} times in a row"
        return complete(held, Failure("execution", "lost_too_often", said), event, report(held, said))
    for_good, unfit = _unfit(terms, grant)
    if for_good:
        return complete(held, recovery_failed(unfit), event)
    if unfit:
        return release(held, terms.release_delay, event, report(held, unfit))
    owner = record.registration.provenance.owner_scope
    return t.Step(held, (t.OpenSession(event.tag, record.id, owner, grant.fence.token, epoch),))


def _unfit(terms: t.Terms, grant: Grant) -> tuple[bool, str]:
    """B5's checks, in order: whether no worker can ever run it, and why this one cannot; empty where it can."""
    found = misfit(grant.record.registration, terms.profile, terms.tier_fault, terms.kinds)
    if found is None:
        return False, ""
    if found.check is Check.EXTERNAL:
        return False, "the store granted an external process, which the contract forbids"
    return found.permanent, found.message


def recovery_failed(message: str) -> Failure:
    """B19: how a process ends that could not be run."""
    return Failure("execution", "process_recovery_failed", message)


def claim_one(terms: t.Terms, request: Claim, event: t.Event) -> t.Step:
    """Begin with a single Claim (a direct run); `event` brings the time and the id of the call."""
    return t.Step(
        t.Claiming(terms, request, event.tag, event.now, event.now), (t.Send(event.tag, request, None),)
    )


def claim_granted(state: t.Claiming, event: t.CallSucceeded) -> t.Step:
    """The claim got its row."""
    assert isinstance(event.reply, Claimed)
    grant = event.reply.grants[0]
    return begin(state.terms, grant, event.reply.epoch, state.sent_at, event, state.wanted)


def claim_empty(state: t.Claiming, event: t.Event) -> t.Step:
    return t.Step(
        t.ClaimRefused(state.request.process_id, "the claim was granted before, and its lease is gone")
    )


def claim_forbidden(state: t.Claiming, event: t.Event) -> t.Step:
    why = "the store answered the claim with something else, which the contract forbids"
    return t.Step(t.ClaimRefused(state.request.process_id, why), (t.Report(state.request.process_id, why),))


def claim_terminal(state: t.Claiming, event: t.Event) -> t.Step:
    return t.Step(t.AlreadyTerminal(state.request.process_id))


def claim_refused(state: t.Claiming, event: t.CallRefused) -> t.Step:
    return t.Step(t.ClaimRefused(state.request.process_id, event.reason.value))


def claim_fenced(state: t.Claiming, event: t.Event) -> t.Step:
    return t.Step(t.ClaimRefused(state.request.process_id, "a later claim of this worker was granted"))


def claim_again(state: t.Claiming, event: t.CallUnavailable | t.CallUnknown) -> t.Step:
    """The same claim again, with the same claim id: repeated, it answers what it got the first time (S10)."""
    tries = min(state.tries + 1, MAX_TRIES)
    doubtful = state.doubtful or isinstance(event, t.CallUnknown)
    again = retry_at(event.now, state.tries, event.jitter)
    return t.Step(changed(state, retry_at=again, tries=tries, doubtful=doubtful))


def claim_sent_again(state: t.Claiming, event: t.Event) -> t.Step:
    """The budget counts from the first sending that may have been granted: one that surely was not does not count."""
    sent_at = state.sent_at if state.doubtful else event.now
    again = changed(state, call=event.tag, retry_at=None, sent_at=sent_at)
    return t.Step(again, (t.Send(event.tag, state.request, None),))


def claim_limit(state: t.Claiming) -> Instant | None:
    """While a claim waits to be repeated: when whoever wants it has waited long enough for the store."""
    if state.retry_at is None:
        return None
    return after(state.began, state.terms.timings.budget_ns)


def claim_given_up(state: t.Claiming, event: t.Event) -> t.Step:
    why = "the store could not be reached"
    return t.Step(t.ClaimRefused(state.request.process_id, why), (t.Report(state.request.process_id, why),))


def claim_unwanted(state: t.Claiming, event: t.Event) -> t.Step:
    """Crossing shutdown x claim granted: the grant will be released as soon as it comes."""
    return t.Step(changed(state, wanted=False))


# --- opening ------------------------------------------------------------------------------------------------------


def session_opened(state: t.Opening, event: t.Event) -> t.Step:
    """Only from an accepted claim with budget left (S12, S13): `Overdue` came first."""
    running = t.Running(state.terms, state.record, state.lease, state.flight, state.queue, event.now)
    wake = state.record.registration.provenance.owner_scope
    start = t.StartHandler(Grant(state.lease.fence, state.record), state.lease.epoch, wake, deadline(state))
    return pump(running, event, start)


def session_unopenable(state: t.Opening, event: t.SessionFailed) -> t.Step:
    return complete(state, recovery_failed(event.message), event, report(state, event.message))


def session_unopened(state: t.Opening, event: t.SessionFailed) -> t.Step:
    return release(state, state.terms.release_delay, event, report(state, event.message))


def opening_overdue(state: t.Opening, event: t.Event) -> t.Step:
    return release(state, 0, event, report(state, "its session was not open before the lease's deadline"))


def opening_unanswered(state: t.Opening, event: t.Event) -> t.Step:
    said = "its session was neither opened nor refused in time; it is given back"
    return release(state, state.terms.release_delay, event, report(state, said))


def opening_cancelled(state: t.Opening, event: t.CancelSeen) -> t.Step:
    return complete(state, Cancelled(event.reason), event)


def opening_stopped(state: t.Opening, event: t.Event) -> t.Step:
    return release(state, 0, event)
