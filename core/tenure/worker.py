"""The worker machine: when to claim, how much, and when to stop. It knows attempts only as slots.

    (tiers suffice) -> Driving -> Draining -> Stopped
    (they do not)   -> Stopped

One ClaimNext is outstanding at a time, and the slots it asked for stay reserved until it is answered (CONTRACT §4).
A worker is hungry when there may be something to claim: at the start, when the feed says so, at every poll, and as
long as a claim got all it asked for. `exclude` names the processes whose handlers still run here without a lease.

`step` is pure and total, as the attempt's is (`tenure.attempt`). What is due goes out on a Tick only, at most one
call a step, so the driver ticks until nothing comes.
"""

from __future__ import annotations

from tenure.attempt_rules import MAX_TRIES, retry_at
from tenure.attempt_types import (
    CallFenced,
    CallRefused,
    CallSucceeded,
    CallUnavailable,
    CallUnknown,
    Event,
    Report,
    Send,
    Tick,
    Wakeup,
)
from tenure.instants import Instant, after
from tenure.process import ClaimId
from tenure.replies import CancelsRead, Claimed
from tenure.requests import ClaimFilter, ClaimNext, ReadCancels
from tenure.tables import Table, each, edge_of, go, ignore, late
from tenure.values import changed
from tenure.worker_types import (
    AttemptEnded,
    AttemptUnheld,
    BeginAttempt,
    ClaimCall,
    DrainAsked,
    Draining,
    Driving,
    ShowCancels,
    StopAttempts,
    Stopped,
    WorkerEvent,
    WorkerState,
    WorkerStep,
    WorkerTerms,
    WorkHinted,
    Working,
)

# --- rules --------------------------------------------------------------------------------------------------------


def start(terms: WorkerTerms, now: Instant) -> WorkerStep:
    """The first state. A worker whose tiers do not suffice never drives (S15, B6)."""
    if terms.terms.tier_fault:
        return WorkerStep(Stopped(0, terms.terms.tier_fault))
    poll_at = after(now, terms.poll_interval)
    return WorkerStep(
        Driving(terms, 0, (), None, None, 0, hungry=True, hinted=False, cancels=False, poll_at=poll_at)
    )


def free_slots(state: Working) -> int:
    """How many handlers more may run. While a claim is under way its slots stay taken: nothing else is claimed then."""
    return max(0, state.terms.max_running - state.running)


def _strayed(state: Working) -> tuple[str, ...]:
    """The processes whose handlers still run here without a lease."""
    return tuple(process_id for process_id, _ in state.exclude)


def _granted(state: Working, event: CallSucceeded) -> WorkerStep:
    """Every grant becomes an attempt. In a drain it is released at once, never ignored (CONTRACT §7); so is the grant
    of a process whose handler still runs here: the claim may be older than that handler's straying."""
    claim, reply = state.claim, event.reply
    assert claim is not None
    assert isinstance(reply, Claimed)
    driving, strayed = isinstance(state, Driving), _strayed(state)
    begun = tuple(
        BeginAttempt(grant, reply.epoch, claim.sent_at, driving and grant.record.id not in strayed)
        for grant in reply.grants
    )
    state = changed(state, claim=None, tries=0, running=state.running + len(begun))
    if isinstance(state, Driving):
        pause = state.terms.poll_interval
        poll_at = after(event.now, pause * 3 // 4 + pause * event.jitter // 2_000)
        state = changed(
            state, hungry=len(begun) >= claim.request.limit or state.hinted, hinted=False, poll_at=poll_at
        )
    return WorkerStep(state, begun)


def _claim_failed(state: Working, event: CallUnavailable | CallUnknown) -> WorkerStep:
    """The same claim again, with the same id and the same slots: it may have been granted (S18)."""
    assert state.claim is not None
    doubtful = state.claim.doubtful or isinstance(event, CallUnknown)
    again = changed(state.claim, retry_at=retry_at(event.now, state.tries, event.jitter), doubtful=doubtful)
    return WorkerStep(changed(state, claim=again, tries=min(state.tries + 1, MAX_TRIES)))


def _claim_again(state: Working, claim: ClaimCall, event: Event) -> WorkerStep:
    """The budget counts from the first sending that may have been granted: one that surely was not does not count."""
    sent_at = claim.sent_at if claim.doubtful else event.now
    again = changed(claim, call=event.tag, retry_at=None, sent_at=sent_at)
    return WorkerStep(changed(state, claim=again), (Send(event.tag, claim.request, None),))


def _claim_dropped(state: Working, event: Event) -> WorkerStep:
    """Surely not applied, and not wanted any more."""
    return WorkerStep(changed(state, claim=None))


def _claim_refused(state: Working, event: CallRefused) -> WorkerStep:
    said = f"the store refused to let this worker claim ({event.reason.value}: {event.detail})"
    return WorkerStep(_pausing(state, event), (Report("", said),))


def _claim_superseded(state: Working, event: Event) -> WorkerStep:
    said = "a claim was refused because a later one of this worker was granted"
    return WorkerStep(_pausing(state, event), (Report("", said),))


def _wrong_claim(state: Working, event: Event) -> WorkerStep:
    said = "the store answered a claim with something else, which the contract forbids"
    return WorkerStep(_pausing(state, event), (Report("", said),))


def _pausing(state: Working, event: Event) -> Working:
    """Without its claim, and not before the next poll again."""
    if isinstance(state, Driving):
        poll_at = after(event.now, state.terms.poll_interval)
        return changed(state, claim=None, hungry=False, poll_at=poll_at)
    return changed(state, claim=None)


def _cancels_read(state: Working, event: CallSucceeded) -> WorkerStep:
    assert isinstance(event.reply, CancelsRead)
    return WorkerStep(changed(state, reading=None), (ShowCancels(event.reply.cancels),))


def _unread(state: Working, event: Event) -> WorkerStep:
    """A read that failed costs nothing: the flag rides on every renewal (L4)."""
    return WorkerStep(changed(state, reading=None))


def _ended(state: Working, event: AttemptEnded) -> WorkerStep:
    exclude = tuple(known for known in state.exclude if known != (event.process_id, event.token))
    state = changed(state, running=state.running - 1, exclude=exclude)
    return _drain_on(state, event) if isinstance(state, Draining) else WorkerStep(state)


def _unheld(state: Working, event: AttemptUnheld) -> WorkerStep:
    return WorkerStep(changed(state, exclude=(*state.exclude, (event.process_id, event.token))))


def _hinted(state: Driving, event: Event) -> WorkerStep:
    """A hint while a claim is under way may be of work that the claim did not see: it outlives the claim's answer."""
    hinted = state.claim is not None
    return WorkerStep(changed(state, hungry=True, hinted=hinted, cancels=state.running > 0))


def _drain(state: Driving, event: DrainAsked) -> WorkerStep:
    """No new claim; renewals until the handlers ended, then release, never the other order (L5, K8). A claim that waits
    to be sent again, and surely was not applied, is not sent any more."""
    until = after(event.now, event.grace)
    claim = state.claim
    if claim is not None and claim.retry_at is not None and not claim.doubtful:
        claim = None
    drained = Draining(
        state.terms, state.running, state.exclude, claim, state.reading, state.tries, until, told=False
    )
    return _drain_on(drained, event)


def _drain_sooner(state: Draining, event: DrainAsked) -> WorkerStep:
    """Asked again: the shorter grace counts."""
    until = after(event.now, event.grace)
    return _drain_on(changed(state, until=min(until, state.until)), event)


def _drain_on(state: Draining, event: Event) -> WorkerStep:
    """What time and the ended attempts allow: tell the handlers, leave when they are gone or out of time."""
    if state.claim is None and state.running == 0:
        return WorkerStep(Stopped(0))
    if event.now >= leave_at(state):
        return WorkerStep(Stopped(state.running))
    if event.now >= state.until and not state.told:
        return WorkerStep(changed(state, told=True), (StopAttempts(),))
    return WorkerStep(state)


def leave_at(state: Draining) -> Instant:
    """When the worker leaves whatever still runs: the handlers' stop_grace, and one call for their last write."""
    timings = state.terms.terms.timings
    return after(state.until, timings.stop_grace_ns + timings.call_timeout_ns)


def _drain_tick(state: Draining, event: Tick) -> WorkerStep:
    """A claim that may have been granted is asked for once more, so that its rows are released, not left to expire."""
    claim = state.claim
    if claim is not None and claim.retry_at is not None and event.now >= claim.retry_at:
        return _claim_again(state, claim, event)
    return _drain_on(state, event)


def _tick(state: Driving, event: Tick) -> WorkerStep:
    """Send what is due: the claim again, a new claim, or a read of cancellations."""
    if event.now >= state.poll_at and not state.hungry:
        state = changed(state, hungry=True)
    claim = state.claim
    if claim is not None and claim.retry_at is not None and event.now >= claim.retry_at:
        return _claim_again(state, claim, event)
    room = min(free_slots(state), state.terms.claim_limit)
    if claim is None and state.hungry and room > 0:
        wanted = ClaimFilter(state.terms.terms.profile, state.terms.terms.kinds, _strayed(state))
        claim_id = ClaimId(state.terms.owner, event.tag)
        request = ClaimNext(claim_id, state.terms.terms.timings.ttl_ms, room, wanted)
        sent = ClaimCall(event.tag, request, event.now)
        return WorkerStep(changed(state, claim=sent), (Send(event.tag, request, None),))
    if state.cancels and state.reading is None:
        read = Send(event.tag, ReadCancels(state.terms.owner), None)
        return WorkerStep(changed(state, cancels=False, reading=event.tag), (read,))
    return WorkerStep(state)


# --- guards -------------------------------------------------------------------------------------------------------


def _claiming(state: Working, event: CallSucceeded) -> bool:
    return state.claim is not None and state.claim.call == event.call


def _doubtful(state: Working, event: CallSucceeded) -> bool:
    return state.claim is not None and state.claim.call == event.call and state.claim.doubtful


def _ungranted(state: Working, event: CallSucceeded) -> bool:
    return _claiming(state, event) and not _doubtful(state, event)


def _reads(state: Working, event: CallSucceeded) -> bool:
    return state.reading == event.call and not _claiming(state, event)


def _stale(state: Working, event: CallSucceeded) -> bool:
    return not _claiming(state, event) and not _reads(state, event)


def _claimed(state: Working, event: CallSucceeded) -> bool:
    return _claiming(state, event) and isinstance(event.reply, Claimed)


def _misclaimed(state: Working, event: CallSucceeded) -> bool:
    return _claiming(state, event) and not isinstance(event.reply, Claimed)


def _read(state: Working, event: CallSucceeded) -> bool:
    return _reads(state, event) and isinstance(event.reply, CancelsRead)


def _misread(state: Working, event: CallSucceeded) -> bool:
    return _reads(state, event) and not isinstance(event.reply, CancelsRead)


# --- the table ----------------------------------------------------------------------------------------------------

STALE = "it answers a call that the worker no longer waits for"
OVER = "the worker has stopped; what it held expires"

_STALE_CALL = ignore("stale", _stale, STALE)
_UNREAD = go("read", _reads, _unread)
_CALLED = (
    _STALE_CALL,
    go("claimed", _claimed, _granted),
    go("wrong claim", _misclaimed, _wrong_claim),
    go("cancels", _read, _cancels_read),
    go("wrong read", _misread, _unread),
)

TABLE: Table = {
    (Driving, CallSucceeded): _CALLED,
    (Driving, CallRefused): (_STALE_CALL, go("claim", _claiming, _claim_refused), _UNREAD),
    (Driving, CallFenced): (_STALE_CALL, go("claim", _claiming, _claim_superseded), _UNREAD),
    (Driving, CallUnavailable): (_STALE_CALL, go("claim", _claiming, _claim_failed), _UNREAD),
    (Driving, CallUnknown): (_STALE_CALL, go("claim", _claiming, _claim_failed), _UNREAD),
    (Driving, AttemptEnded): each(_ended),
    (Driving, AttemptUnheld): each(_unheld),
    (Driving, WorkHinted): each(_hinted),
    (Driving, DrainAsked): each(_drain),
    (Driving, Tick): each(_tick),
    (Draining, CallSucceeded): _CALLED,
    (Draining, CallRefused): (_STALE_CALL, go("claim", _claiming, _claim_refused), _UNREAD),
    (Draining, CallFenced): (_STALE_CALL, go("claim", _claiming, _claim_superseded), _UNREAD),
    (Draining, CallUnavailable): (
        _STALE_CALL,
        go("claim", _ungranted, _claim_dropped),
        go("doubtful claim", _doubtful, _claim_failed),
        _UNREAD,
    ),
    (Draining, CallUnknown): (_STALE_CALL, go("claim", _claiming, _claim_failed), _UNREAD),
    (Draining, AttemptEnded): each(_ended),
    (Draining, AttemptUnheld): each(_unheld),
    (Draining, WorkHinted): late(
        "a draining worker claims nothing, and its handlers see the flag by renewing"
    ),
    (Draining, DrainAsked): each(_drain_sooner),
    (Draining, Tick): each(_drain_tick),
    (Stopped, CallSucceeded): late(OVER),
    (Stopped, CallRefused): late(OVER),
    (Stopped, CallFenced): late(OVER),
    (Stopped, CallUnavailable): late(OVER),
    (Stopped, CallUnknown): late(OVER),
    (Stopped, AttemptEnded): late(OVER),
    (Stopped, AttemptUnheld): late(OVER),
    (Stopped, WorkHinted): late(OVER),
    (Stopped, DrainAsked): late(OVER),
    (Stopped, Tick): late(OVER),
}


# --- stepping -----------------------------------------------------------------------------------------------------


def step(state: WorkerState, event: WorkerEvent) -> WorkerStep:
    """The state after the event, and what is to be done. Raises Misuse for an event that is no worker's."""
    edge = edge_of(TABLE, state, event, "")
    if edge.go is None:
        return WorkerStep(state)
    then: WorkerStep = edge.go(state, event)
    return then


def next_wakeup(state: WorkerState) -> Wakeup | None:
    """When the worker has to be ticked next."""
    if not isinstance(state, Working):
        return None
    claim = state.claim
    if isinstance(state, Draining):
        end = Wakeup(leave_at(state), "leave") if state.told else Wakeup(state.until, "grace")
        if claim is not None and claim.retry_at is not None and claim.retry_at < end.at:
            return Wakeup(claim.retry_at, "claim again")
        return end
    assert isinstance(state, Driving)
    if claim is not None:
        return None if claim.retry_at is None else Wakeup(claim.retry_at, "claim again")
    return None if free_slots(state) == 0 else Wakeup(state.poll_at, "poll")
