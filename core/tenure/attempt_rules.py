"""What each edge of the attempt machine does. `tenure.attempt` has the table; read that first.

A rule gets the state and the event and returns a Step. The few functions at the top are what all rules are made of:
`pump` sends what is due, one call at a time; `_finish` turns a lease that nobody needs any more into its last write.
"""

from __future__ import annotations

from tenure import attempt_types as t
from tenure.instants import NANOS_PER_MILLI, Instant, after
from tenure.process import Cancelled, Failure, Outcome
from tenure.replies import Fenced, Refused, Renewed, Succeeded
from tenure.requests import Complete, Release, Renew
from tenure.values import changed

RETRY_MS = 25
MAX_TRIES = 5
"""Back-off: 25 ms, doubled by every failure up to 800 ms, and up to a quarter of jitter: always within 1 s."""

NOBODYS_CANCEL = Failure(
    "execution", "handler_cancelled", "the handler ended by a cancellation that nobody asked for"
)
"""How a handler ends that stopped, and was not told to (CONTRACT §7)."""


def retry_at(now: Instant, tries: int, jitter: int) -> Instant:
    """When a call that failed `tries` times is sent again."""
    pause = RETRY_MS * NANOS_PER_MILLI << min(tries, MAX_TRIES)
    return after(now, pause + pause * jitter // 4_000)


def deadline(state: t.Holding) -> Instant:
    """The local deadline: at it the handler is cancelled (C3)."""
    return after(state.lease.since, state.terms.timings.budget_ns)


def opening_over(state: t.Opening) -> Instant:
    """When a session that is still not open is not waited for any more, however often the lease was renewed."""
    return after(state.claimed, state.terms.timings.opening_ns)


def opening_limit(state: t.Opening) -> Instant:
    """The lease's deadline, or the end of the time that a session may take."""
    return min(deadline(state), opening_over(state))


def patience_over(state: t.Holding) -> Instant:
    """When the worker gives up on its last write."""
    return after(deadline(state), state.terms.timings.patience_ns)


def max_run_over(state: t.Running | t.Stopping) -> Instant | None:
    """When the handler has run as long as its kind may, or None."""
    kind = state.record.registration.kind
    for name, limit in state.terms.max_run:
        if name == kind:
            return after(state.started, limit)
    return None


def grace_over(state: t.LeaseLost) -> Instant:
    """When the handler has had all the time to stop that it gets."""
    return after(state.stopped, state.terms.timings.stop_grace_ns)


def detach_at(state: t.Stopping) -> Instant | None:
    """When a handler that is stopping is left behind: stop_grace after the deadline, or after max_run, since a lease
    that is not renewed has nothing to wait for. None while another limit, the deadline, comes first."""
    end = deadline(state)
    detach = after(end, state.terms.timings.stop_grace_ns)
    if state.ran_out:
        run = max_run_over(state)
        since = state.stopped if run is None else max(state.stopped, run)
        detach = min(detach, after(since, state.terms.timings.stop_grace_ns))
    return detach if state.spent or detach <= end else None


def runs_out_at(state: t.Stopping) -> Instant | None:
    """When max_run ends the renewing of a handler that was told to stop before; None if that makes no difference."""
    return None if state.spent or state.ran_out else max_run_over(state)


def stopping_limit(state: t.Stopping) -> Instant:
    """What limits a handler that is stopping: max_run and the deadline, then its grace."""
    detach, run = detach_at(state), runs_out_at(state)
    end = deadline(state) if detach is None else detach
    return end if run is None else min(run, end)


def may_renew(state: t.Holding) -> bool:
    """A lease is renewed while a handler runs or is about to, and its budget is not spent."""
    return isinstance(state, t.Opening | t.Running) or (
        isinstance(state, t.Stopping) and not (state.spent or state.ran_out)
    )


def renewable_from(state: t.Holding) -> Instant:
    """From when a renewal goes out if there is an occasion; one that failed waits for its full back-off."""
    slack = 0 if state.lease.tries else state.terms.timings.renew_slack_ns
    return Instant(state.lease.renew_at - slack)


def pump(state: t.Holding, event: t.Event, *said: t.Command) -> t.Step:
    """Send the next call if none is in flight: a renewal that is due, else the head of the queue."""
    if state.flight is not None:
        return t.Step(state, said)
    lease, now = state.lease, event.now
    if may_renew(state) and renewable_from(state) <= now:
        renew = t.Call(event.tag, Renew(lease.fence, state.terms.timings.ttl_ms), now)
        lease = changed(lease, renewing=now if lease.renewing is None else lease.renewing)
        send = t.Send(renew.id, renew.request, deadline(state))
        return t.Step(changed(state, lease=lease, flight=renew), (*said, send))
    if state.queue and state.queue[0].ready_at <= now:
        call = changed(state.queue[0], id=event.tag)
        last = isinstance(call.request, Complete | Release)
        send = t.Send(call.id, call.request, patience_over(state) if last else deadline(state))
        return t.Step(changed(state, flight=call, queue=state.queue[1:]), (*said, send))
    return t.Step(state, said)


def _unanswered(calls: tuple[t.Call, ...]) -> tuple[t.AnswerAsk, ...]:
    """The handler's calls that will never be sent: it is told that the lease is lost."""
    return tuple(t.AnswerAsk(call.ask, Fenced()) for call in calls if call.ask is not None)


def _in_the_air(state: t.Holding) -> tuple[t.Call, ...]:
    return state.queue if state.flight is None else (state.flight, *state.queue)


def report(state: t.Holding, what: str) -> t.Report:
    return t.Report(state.record.id, what)


# --- turning points -----------------------------------------------------------------------------------------------


def complete(state: t.Holding, outcome: Outcome, event: t.Event, *said: t.Command) -> t.Step:
    """Write the outcome, after whatever is in flight was answered."""
    call = t.Call(0, Complete(state.lease.fence, outcome), event.now)
    after_it = t.Completing(state.terms, state.record, state.lease, state.flight, (call,), outcome)
    return pump(after_it, event, *said, *_unanswered(state.queue))


def release(state: t.Holding, delay: int, event: t.Event, *said: t.Command) -> t.Step:
    """Give the lease back, claimable `delay` ms from then; after whatever is in flight was answered (K16)."""
    call = t.Call(0, Release(state.lease.fence, delay), event.now)
    after_it = t.Releasing(state.terms, state.record, state.lease, state.flight, (call,))
    return pump(after_it, event, *said, *_unanswered(state.queue))


def _stop(
    state: t.Running, why: t.StopReason, event: t.Event, spent: bool = False, detail: str = ""
) -> t.Step:
    """Tell the handler to stop; its calls go on for as long as the budget lasts."""
    queue = () if spent else state.queue
    held = (state.terms, state.record, state.lease, state.flight, queue)
    ran_out = why is t.StopReason.MAX_RUN
    stopping = t.Stopping(*held, why, state.started, event.now, spent, ran_out, detail)
    stop = t.StopHandler(state.record.id, state.lease.fence.token, why)
    return pump(stopping, event, stop, *(_unanswered(state.queue) if spent else ()))


def _lose(state: t.Holding, event: t.Event, what: str) -> t.Step:
    """The lease is lost: nothing more is written, nothing is released (B14, S14)."""
    said: tuple[t.Command, ...] = (report(state, what), *_unanswered(_in_the_air(state)))
    if isinstance(state, t.Running | t.Stopping):
        stop = t.StopHandler(state.record.id, state.lease.fence.token, t.StopReason.LEASE_LOST)
        lost = t.LeaseLost(state.terms, state.record, state.lease, None, (), event.now)
        return t.Step(lost, (stop, *said))
    return t.Step(t.Ended(state.record.id, t.End.LOST), said)


def _detach(state: t.Holding, what: str) -> t.Step:
    detached = t.Detached(state.terms, state.record, state.lease, None, ())
    return t.Step(detached, (report(state, what), *_unanswered(_in_the_air(state))))


# --- renewing -----------------------------------------------------------------------------------------------------


def renewed(state: t.Holding, event: t.CallSucceeded) -> t.Step:
    """The deadline moves to the later of old and new; the cancel flag rides along (S16, L4)."""
    assert isinstance(event.reply, Renewed)
    lease, interval = state.lease, state.terms.timings.renew_interval_ns
    since = lease.since if lease.renewing is None else max(lease.since, lease.renewing)
    state = changed(
        state,
        flight=None,
        lease=changed(lease, since=since, renew_at=after(since, interval), renewing=None, tries=0),
    )
    if event.reply.cancel is None:
        return pump(state, event)
    if isinstance(state, t.Opening):
        return complete(state, Cancelled(event.reply.cancel), event)
    seen = t.CancelSeen(now=event.now, tag=event.tag, reason=event.reply.cancel)
    if isinstance(state, t.Running):
        return running_cancelled(state, seen)
    if isinstance(state, t.Stopping) and state.why is t.StopReason.DRAIN:
        return draining_cancelled(state, seen)
    return pump(state, event)


def renewal_failed(state: t.Holding, event: t.CallUnavailable | t.CallUnknown) -> t.Step:
    """No loss (W2): tried again until the deadline. Only what surely was not applied loses its sending time."""
    lease, flight = state.lease, state.flight
    assert flight is not None
    unsent = isinstance(event, t.CallUnavailable) and lease.renewing == flight.ready_at
    lease = changed(
        lease,
        renewing=None if unsent else lease.renewing,
        renew_at=retry_at(event.now, lease.tries, event.jitter),
        tries=min(lease.tries + 1, MAX_TRIES),
    )
    return pump(changed(state, flight=None, lease=lease), event)


def forbidden(state: t.Holding, event: t.Event) -> t.Step:
    """An answer that the contract does not have: the attempt ends, as after a loss, and says so."""
    assert state.flight is not None
    asked, got = type(state.flight.request).__name__, type(event).__name__
    return _lose(state, event, f"the store answered {asked} with {got}, which the contract forbids")


def fenced(state: t.Holding, event: t.Event) -> t.Step:
    return _lose(state, event, "the lease was lost: another worker took the process, or it has ended")


# --- while the handler runs ---------------------------------------------------------------------------------------


def asked(state: t.Holding, event: t.Asked) -> t.Step:
    assert event.request is not None
    call = t.Call(0, event.request, event.now, event.ask)
    return pump(changed(state, queue=(*state.queue, call)), event)


def permitted(state: t.Holding, event: t.Asked) -> t.Step:
    return t.Step(state, (t.AnswerAsk(event.ask, t.Permitted(deadline(state))),))


def asked_in_vain(state: t.AttemptState, event: t.Asked) -> t.Step:
    return t.Step(state, (t.AnswerAsk(event.ask, Fenced()),))


def ask_answered(state: t.Holding, event: t.CallSucceeded | t.CallRefused) -> t.Step:
    """The store's definitive answer to the handler's call."""
    assert state.flight is not None
    answer = (
        Succeeded(event.reply) if isinstance(event, t.CallSucceeded) else Refused(event.reason, event.detail)
    )
    told = () if state.flight.ask is None else (t.AnswerAsk(state.flight.ask, answer),)
    return pump(changed(state, flight=None), event, *told)


def ask_again(state: t.Holding, event: t.CallUnavailable | t.CallUnknown) -> t.Step:
    """The same request again: its key, or its fence, makes that safe (S18, W3)."""
    call = state.flight
    assert call is not None
    again = changed(
        call, ready_at=retry_at(event.now, call.tries, event.jitter), tries=min(call.tries + 1, MAX_TRIES)
    )
    return pump(changed(state, flight=None, queue=(again, *state.queue)), event)


def ask_dropped(state: t.Holding, event: t.Event) -> t.Step:
    """The handler's call did not come through, and the time for it is over."""
    assert state.flight is not None
    return pump(changed(state, flight=None), event, *_unanswered((state.flight,)))


def running_cancelled(state: t.Running, event: t.CancelSeen) -> t.Step:
    return _stop(state, t.StopReason.CANCEL, event, detail=event.reason)


def running_shut_down(state: t.Running, event: t.Event) -> t.Step:
    return _stop(state, t.StopReason.DRAIN, event)


def running_overdue(state: t.Running, event: t.Event) -> t.Step:
    step = _stop(state, t.StopReason.DEADLINE, event, spent=True)
    said = report(state, "its lease could not be renewed before the deadline; the handler is told to stop")
    return t.Step(step.state, (*step.commands, said))


def max_run_spent(state: t.Running, event: t.Event) -> t.Step:
    return _stop(state, t.StopReason.MAX_RUN, event)


def returned(state: t.Holding, event: t.HandlerReturned) -> t.Step:
    """Success or failure of the handler's own, whatever else was asked for meanwhile (CONTRACT §7)."""
    return complete(state, event.outcome, event)


def cancelled_by_nobody(state: t.Holding, event: t.Event) -> t.Step:
    return complete(state, NOBODYS_CANCEL, event)


# --- while the handler is stopping --------------------------------------------------------------------------------


def draining_cancelled(state: t.Stopping, event: t.CancelSeen) -> t.Step:
    """Cancel outranks shutdown (CONTRACT §7)."""
    stop = t.StopHandler(state.record.id, state.lease.fence.token, t.StopReason.CANCEL)
    return pump(changed(state, why=t.StopReason.CANCEL, detail=event.reason), event, stop)


def stopping_ran_out(state: t.Stopping, event: t.Event) -> t.Step:
    """Crossing cancel x max_run: not renewed any more, so that it can be left behind; `why` stays what it was."""
    return t.Step(changed(state, ran_out=True))


def stopping_spent(state: t.Stopping, event: t.Event) -> t.Step:
    """The deadline passes while the handler is stopping: no renewal, effect or emit any more."""
    return t.Step(changed(state, spent=True, queue=()), _unanswered(state.queue))


def stopping_detached(state: t.Stopping, event: t.Event) -> t.Step:
    return _detach(
        state, f"the handler did not stop ({state.why.value}); it is left behind and keeps its slot"
    )


def stopped(state: t.Stopping, event: t.Event) -> t.Step:
    """The handler was stopped by us: what is written depends on why (CONTRACT §7)."""
    match state.why:
        case t.StopReason.CANCEL:
            return complete(state, Cancelled(state.detail), event)
        case t.StopReason.MAX_RUN:
            said = "the handler ran longer than its kind may"
            return complete(state, Failure("execution", "max_run_exceeded", said), event)
        case t.StopReason.DRAIN:
            return release(state, 0, event)
        case _:
            return t.Step(t.Ended(state.record.id, t.End.SPENT), _unanswered(_in_the_air(state)))


# --- after a loss -------------------------------------------------------------------------------------------------


def lost_ended(state: t.Holding, event: t.Event) -> t.Step:
    return t.Step(t.Ended(state.record.id, t.End.LOST))


def lost_detached(state: t.Holding, event: t.Event) -> t.Step:
    return _detach(
        state, "the handler did not stop after its lease was lost; it is left behind and keeps its slot"
    )


def detached_ended(state: t.Holding, event: t.Event) -> t.Step:
    said = report(state, "the handler that was left behind has ended; nothing of it is recorded")
    return t.Step(t.Ended(state.record.id, t.End.DETACHED), (said,))


# --- the last write -----------------------------------------------------------------------------------------------


def completed(state: t.Holding, event: t.Event) -> t.Step:
    return t.Step(t.Ended(state.record.id, t.End.COMPLETED))


def released(state: t.Holding, event: t.Event) -> t.Step:
    return t.Step(t.Ended(state.record.id, t.End.RELEASED))


def outcome_too_large(state: t.Completing, event: t.CallRefused) -> t.Step:
    """The store's own limit is lower than the core's: the process ends as a failure that says so."""
    failure = Failure(
        "execution", "result_too_large", f"the outcome was refused by the store: {event.detail}"
    )
    return complete(changed(state, flight=None), failure, event, report(state, failure.message))


def outcome_refused(state: t.Holding, event: t.CallRefused) -> t.Step:
    said = f"the store refused its last write for good ({event.reason.value}: {event.detail})"
    return t.Step(t.Ended(state.record.id, t.End.CONFLICT), (report(state, said),))


def gave_up(state: t.Holding, event: t.Event) -> t.Step:
    said = "the store did not answer its last write in time; the process will be run again once its lease expired"
    return t.Step(
        t.Ended(state.record.id, t.End.GAVE_UP), (report(state, said), *_unanswered(_in_the_air(state)))
    )


def due(state: t.AttemptState, event: t.Event) -> t.Step:
    """A tick: whatever is due goes out."""
    assert isinstance(state, t.Holding)
    return pump(state, event)


def renewed_before_last_write(state: t.Holding, event: t.CallSucceeded) -> t.Step:
    """The renewal in flight when the handler ended was answered; the cancel flag it may show comes too late."""
    lease = state.lease
    since = lease.since if lease.renewing is None else max(lease.since, lease.renewing)
    return pump(changed(state, flight=None, lease=changed(lease, since=since, renewing=None)), event)
