"""The attempt machine: one worker's attempt at one process.

    Claiming -> Opening -> Running <-> (renewing) -> Completing -> Ended
        |          |          |                          ^
        |          |          +-> Stopping --------------+   (cancel, shutdown, max_run, deadline)
        |          |          +-> LeaseLost -> Ended         (nothing more is written)
        |          +-> Releasing -> Ended                    (nothing ran, or a shutdown)
        |                     Stopping, LeaseLost -> Detached -> Ended   (the handler does not stop)
        +-> AlreadyTerminal, ClaimRefused

`step(state, event) -> Step(state, commands)` is pure and total. `TABLE` has one entry for every state, event and
guard, with no wildcard: *go*, *ignore* with the reason why it is late but legal, or *misuse*, which raises and
changes nothing. Exactly one guard of a pair holds. `next_wakeup(state)` says when time alone changes something.

One fenced call is in flight at a time (CONTRACT §5). Whoever carries a command out answers it with exactly one event,
Unknown included, within `call_timeout`; an answer that the state no longer waits for is stale.
Crossings, that is, events that meet on the way, and what decides:
- cancel x completed: the handler's outcome stands; row order decides (`Completing, CancelSeen`).
- renewed x deadline passed: the deadline is applied first; the lease is longer, the handler still told to stop.
- completed x fenced: the process was taken; nothing more is written (`Completing, CallFenced`).
- shutdown x claim granted: the grant is released at once (`Claiming, StopAsked`).
- handler returned x lease lost: the outcome is dropped (`LeaseLost, HandlerReturned`).
- cancel x max_run: at max_run it is renewed no more, stop_grace later left behind; if it stops, it was cancelled.
- cancel x retrying the terminal write: the same write is repeated, never another (S18).

Ids and jitter are inputs: every event brings `tag`, for the call that its step may send, and `jitter`.
"""

from __future__ import annotations

from tenure import attempt_guards as g
from tenure import attempt_opening as opening
from tenure import attempt_rules as rules
from tenure import attempt_types as t
from tenure.attempt_time import next_wakeup, overdue_at
from tenure.attempt_types import (
    AlreadyTerminal,
    Asked,
    CallFenced,
    CallRefused,
    CallSucceeded,
    CallUnavailable,
    CallUnknown,
    CancelSeen,
    Claiming,
    ClaimRefused,
    Completing,
    Detached,
    Ended,
    HandlerReturned,
    HandlerStopped,
    LeaseLost,
    Opening,
    Overdue,
    Releasing,
    Running,
    SessionFailed,
    SessionOpened,
    Step,
    StopAsked,
    Stopping,
    Tick,
)
from tenure.tables import Table, each, edge_of, go, ignore, late, misuse

# --- the table ----------------------------------------------------------------------------------------------------

NO_HANDLER = "no handler of this attempt runs"
NOT_STARTED = "its handler has not been started"
OVER = "the attempt is over"
LOST = "the lease is lost; nothing that arrives for its token matters any more"
TIMELESS = "no limit in time applies to this state"
STALE = "it answers a call that this state no longer waits for"
SEEN = "the claim's reply will show the flag"
OPENED = "its session was opened before"
UNNEEDED = "the attempt went on without the session"

_STALE = ignore("stale", g.stale, STALE)

TABLE: Table = {
    (Claiming, CallSucceeded): (
        ignore("stale", g.not_claiming, STALE),
        go("granted", g.granted, opening.claim_granted),
        go("granted nothing", g.granted_nothing, opening.claim_empty),
        go("wrong", g.misgranted, opening.claim_forbidden),
    ),
    (Claiming, CallRefused): (
        ignore("stale", g.not_claiming, STALE),
        go("had ended", g.had_ended, opening.claim_terminal),
        go("denied", g.denied, opening.claim_refused),
    ),
    (Claiming, CallFenced): (
        ignore("stale", g.not_claiming, STALE),
        go("current", g.claiming, opening.claim_fenced),
    ),
    (Claiming, CallUnavailable): (
        ignore("stale", g.not_claiming, STALE),
        go("current", g.claiming, opening.claim_again),
    ),
    (Claiming, CallUnknown): (
        ignore("stale", g.not_claiming, STALE),
        go("current", g.claiming, opening.claim_again),
    ),
    (Claiming, SessionOpened): misuse(NOT_STARTED),
    (Claiming, SessionFailed): misuse(NOT_STARTED),
    (Claiming, HandlerReturned): misuse(NOT_STARTED),
    (Claiming, HandlerStopped): misuse(NOT_STARTED),
    (Claiming, CancelSeen): late(SEEN),
    (Claiming, StopAsked): each(opening.claim_unwanted),
    (Claiming, Asked): misuse(NOT_STARTED),
    (Claiming, Overdue): each(opening.claim_given_up),
    (Claiming, Tick): (
        go("to repeat", g.resend, opening.claim_sent_again),
        ignore("not yet", g.not_yet, "nothing is due"),
    ),
    (Opening, CallSucceeded): (
        _STALE,
        go("renewed", g.renewed, rules.renewed),
        go("wrong", g.wrong_in_opening, rules.forbidden),
    ),
    (Opening, CallRefused): (_STALE, go("renewing", g.flying, rules.forbidden)),
    (Opening, CallFenced): (_STALE, go("renewing", g.flying, rules.fenced)),
    (Opening, CallUnavailable): (_STALE, go("renewing", g.flying, rules.renewal_failed)),
    (Opening, CallUnknown): (_STALE, go("renewing", g.flying, rules.renewal_failed)),
    (Opening, SessionOpened): (
        go("its own", g.opens, opening.session_opened),
        ignore("another", g.opens_not, STALE),
    ),
    (Opening, SessionFailed): (
        go("for good", g.unopenable, opening.session_unopenable),
        go("for now", g.unopened, opening.session_unopened),
        ignore("another", g.opens_not, STALE),
    ),
    (Opening, HandlerReturned): misuse(NOT_STARTED),
    (Opening, HandlerStopped): misuse(NOT_STARTED),
    (Opening, CancelSeen): each(opening.opening_cancelled),
    (Opening, StopAsked): each(opening.opening_stopped),
    (Opening, Asked): misuse(NOT_STARTED),
    (Opening, Overdue): (
        go("session", g.unanswered, opening.opening_unanswered),
        go("deadline", g.unrenewed, opening.opening_overdue),
    ),
    (Opening, Tick): each(rules.due),
    (Running, CallSucceeded): (
        _STALE,
        go("renewed", g.renewed, rules.renewed),
        go("asking", g.told, rules.ask_answered),
        go("wrong", g.wrong, rules.forbidden),
    ),
    (Running, CallRefused): (
        _STALE,
        go("asking", g.asking, rules.ask_answered),
        go("renewing", g.renewing, rules.forbidden),
    ),
    (Running, CallFenced): (_STALE, go("current", g.flying, rules.fenced)),
    (Running, CallUnavailable): (
        _STALE,
        go("renewing", g.renewing, rules.renewal_failed),
        go("asking", g.asking, rules.ask_again),
    ),
    (Running, CallUnknown): (
        _STALE,
        go("renewing", g.renewing, rules.renewal_failed),
        go("asking", g.asking, rules.ask_again),
    ),
    (Running, SessionOpened): misuse(OPENED),
    (Running, SessionFailed): misuse(OPENED),
    (Running, HandlerReturned): each(rules.returned),
    (Running, HandlerStopped): each(rules.cancelled_by_nobody),
    (Running, CancelSeen): each(rules.running_cancelled),
    (Running, StopAsked): each(rules.running_shut_down),
    (Running, Asked): (go("leave", g.leave, rules.permitted), go("request", g.request, rules.asked)),
    (Running, Overdue): (
        go("max_run", g.ran_out, rules.max_run_spent),
        go("deadline", g.expired, rules.running_overdue),
    ),
    (Running, Tick): each(rules.due),
    (Stopping, CallSucceeded): (
        _STALE,
        go("renewed", g.renewed, rules.renewed),
        go("asking", g.told, rules.ask_answered),
        go("wrong", g.wrong, rules.forbidden),
    ),
    (Stopping, CallRefused): (
        _STALE,
        go("asking", g.asking, rules.ask_answered),
        go("renewing", g.renewing, rules.forbidden),
    ),
    (Stopping, CallFenced): (_STALE, go("current", g.flying, rules.fenced)),
    (Stopping, CallUnavailable): (
        _STALE,
        go("renewing", g.renewing, rules.renewal_failed),
        go("asking", g.patient, rules.ask_again),
        go("asking, too late", g.too_late, rules.ask_dropped),
    ),
    (Stopping, CallUnknown): (
        _STALE,
        go("renewing", g.renewing, rules.renewal_failed),
        go("asking", g.patient, rules.ask_again),
        go("asking, too late", g.too_late, rules.ask_dropped),
    ),
    (Stopping, SessionOpened): misuse(OPENED),
    (Stopping, SessionFailed): misuse(OPENED),
    (Stopping, HandlerReturned): each(rules.returned),
    (Stopping, HandlerStopped): each(rules.stopped),
    (Stopping, CancelSeen): (
        go("draining", g.draining, rules.draining_cancelled),
        ignore("other", g.not_draining, "the handler is told to stop already"),
    ),
    (Stopping, StopAsked): late("the handler is told to stop already"),
    (Stopping, Asked): (
        go("spent", g.spent, rules.asked_in_vain),
        go("leave", g.leave_left, rules.permitted),
        go("request", g.request_left, rules.asked),
    ),
    (Stopping, Overdue): (
        go("max_run", g.out_of_run, rules.stopping_ran_out),
        go("out of grace", g.out_of_grace, rules.stopping_detached),
        go("out of budget", g.out_of_budget, rules.stopping_spent),
    ),
    (Stopping, Tick): each(rules.due),
    (Completing, CallSucceeded): (
        _STALE,
        go("written", g.written, rules.completed),
        go("renewed", g.renewed, rules.renewed_before_last_write),
        go("asking", g.earlier, rules.ask_answered),
        go("miswritten", g.miswritten, rules.forbidden),
        go("misrenewed", g.misrenewed, rules.forbidden),
    ),
    (Completing, CallRefused): (
        _STALE,
        go("too large", g.too_large, rules.outcome_too_large),
        go("for good", g.refused_for_good, rules.outcome_refused),
        go("asking", g.earlier, rules.ask_answered),
        go("renewing", g.renewing, rules.forbidden),
    ),
    (Completing, CallFenced): (_STALE, go("current", g.flying, rules.fenced)),
    (Completing, CallUnavailable): (
        _STALE,
        go("last write", g.last, rules.ask_again),
        go("before it", g.not_last, rules.ask_dropped),
    ),
    (Completing, CallUnknown): (
        _STALE,
        go("last write", g.last, rules.ask_again),
        go("before it", g.not_last, rules.ask_dropped),
    ),
    (Completing, SessionOpened): late(UNNEEDED),
    (Completing, SessionFailed): late(UNNEEDED),
    (Completing, HandlerReturned): misuse(NO_HANDLER),
    (Completing, HandlerStopped): misuse(NO_HANDLER),
    (Completing, CancelSeen): late("the last write is on its way; the order of rows decides"),
    (Completing, StopAsked): late("the last write is finished first"),
    (Completing, Asked): each(rules.asked_in_vain),
    (Completing, Overdue): each(rules.gave_up),
    (Completing, Tick): each(rules.due),
    (Releasing, CallSucceeded): (
        _STALE,
        go("written", g.written, rules.released),
        go("renewed", g.renewed, rules.renewed_before_last_write),
        go("asking", g.earlier, rules.ask_answered),
        go("miswritten", g.miswritten, rules.forbidden),
        go("misrenewed", g.misrenewed, rules.forbidden),
    ),
    (Releasing, CallRefused): (
        _STALE,
        go("for good", g.last, rules.outcome_refused),
        go("asking", g.earlier, rules.ask_answered),
        go("renewing", g.renewing, rules.forbidden),
    ),
    (Releasing, CallFenced): (_STALE, go("current", g.flying, rules.fenced)),
    (Releasing, CallUnavailable): (
        _STALE,
        go("last write", g.last, rules.ask_again),
        go("before it", g.not_last, rules.ask_dropped),
    ),
    (Releasing, CallUnknown): (
        _STALE,
        go("last write", g.last, rules.ask_again),
        go("before it", g.not_last, rules.ask_dropped),
    ),
    (Releasing, SessionOpened): late(UNNEEDED),
    (Releasing, SessionFailed): late(UNNEEDED),
    (Releasing, HandlerReturned): misuse(NO_HANDLER),
    (Releasing, HandlerStopped): misuse(NO_HANDLER),
    (Releasing, CancelSeen): late("the last write is on its way; the order of rows decides"),
    (Releasing, StopAsked): late("the last write is finished first"),
    (Releasing, Asked): each(rules.asked_in_vain),
    (Releasing, Overdue): each(rules.gave_up),
    (Releasing, Tick): each(rules.due),
    (LeaseLost, CallSucceeded): late(LOST),
    (LeaseLost, CallRefused): late(LOST),
    (LeaseLost, CallFenced): late(LOST),
    (LeaseLost, CallUnavailable): late(LOST),
    (LeaseLost, CallUnknown): late(LOST),
    (LeaseLost, SessionOpened): misuse(OPENED),
    (LeaseLost, SessionFailed): misuse(OPENED),
    (LeaseLost, HandlerReturned): each(rules.lost_ended),
    (LeaseLost, HandlerStopped): each(rules.lost_ended),
    (LeaseLost, CancelSeen): late(LOST),
    (LeaseLost, StopAsked): late(LOST),
    (LeaseLost, Asked): each(rules.asked_in_vain),
    (LeaseLost, Overdue): each(rules.lost_detached),
    (LeaseLost, Tick): late(LOST),
    (Detached, CallSucceeded): late(LOST),
    (Detached, CallRefused): late(LOST),
    (Detached, CallFenced): late(LOST),
    (Detached, CallUnavailable): late(LOST),
    (Detached, CallUnknown): late(LOST),
    (Detached, SessionOpened): misuse(OPENED),
    (Detached, SessionFailed): misuse(OPENED),
    (Detached, HandlerReturned): each(rules.detached_ended),
    (Detached, HandlerStopped): each(rules.detached_ended),
    (Detached, CancelSeen): late(LOST),
    (Detached, StopAsked): late(LOST),
    (Detached, Asked): each(rules.asked_in_vain),
    (Detached, Overdue): misuse(TIMELESS),
    (Detached, Tick): late(LOST),
    (AlreadyTerminal, CallSucceeded): late(OVER),
    (AlreadyTerminal, CallRefused): late(OVER),
    (AlreadyTerminal, CallFenced): late(OVER),
    (AlreadyTerminal, CallUnavailable): late(OVER),
    (AlreadyTerminal, CallUnknown): late(OVER),
    (AlreadyTerminal, SessionOpened): misuse(NOT_STARTED),
    (AlreadyTerminal, SessionFailed): misuse(NOT_STARTED),
    (AlreadyTerminal, HandlerReturned): misuse(NO_HANDLER),
    (AlreadyTerminal, HandlerStopped): misuse(NO_HANDLER),
    (AlreadyTerminal, CancelSeen): late(OVER),
    (AlreadyTerminal, StopAsked): late(OVER),
    (AlreadyTerminal, Asked): misuse(NO_HANDLER),
    (AlreadyTerminal, Overdue): misuse(TIMELESS),
    (AlreadyTerminal, Tick): late(OVER),
    (ClaimRefused, CallSucceeded): late(OVER),
    (ClaimRefused, CallRefused): late(OVER),
    (ClaimRefused, CallFenced): late(OVER),
    (ClaimRefused, CallUnavailable): late(OVER),
    (ClaimRefused, CallUnknown): late(OVER),
    (ClaimRefused, SessionOpened): misuse(NOT_STARTED),
    (ClaimRefused, SessionFailed): misuse(NOT_STARTED),
    (ClaimRefused, HandlerReturned): misuse(NO_HANDLER),
    (ClaimRefused, HandlerStopped): misuse(NO_HANDLER),
    (ClaimRefused, CancelSeen): late(OVER),
    (ClaimRefused, StopAsked): late(OVER),
    (ClaimRefused, Asked): misuse(NO_HANDLER),
    (ClaimRefused, Overdue): misuse(TIMELESS),
    (ClaimRefused, Tick): late(OVER),
    (Ended, CallSucceeded): late(OVER),
    (Ended, CallRefused): late(OVER),
    (Ended, CallFenced): late(OVER),
    (Ended, CallUnavailable): late(OVER),
    (Ended, CallUnknown): late(OVER),
    (Ended, SessionOpened): late(OVER),
    (Ended, SessionFailed): late(OVER),
    (Ended, HandlerReturned): misuse(NO_HANDLER),
    (Ended, HandlerStopped): misuse(NO_HANDLER),
    (Ended, CancelSeen): late(OVER),
    (Ended, StopAsked): late(OVER),
    (Ended, Asked): each(rules.asked_in_vain),
    (Ended, Overdue): misuse(TIMELESS),
    (Ended, Tick): late(OVER),
}


# --- stepping ------------------------------------------------------------------------------------------------------


def step(state: t.AttemptState, event: t.AttemptEvent) -> Step:
    """The state after the event, and what is to be done. Limits in time that `event.now` has passed come first.

    Raises Misuse where the event cannot happen in the state; the state is a value, so it is unchanged.
    """
    commands: tuple[t.Command, ...] = ()
    limit = overdue_at(state)
    while limit is not None and limit <= event.now:
        overdue = Overdue(now=event.now, tag=event.tag)
        first = _apply(state, overdue)
        state, commands = first.state, commands + first.commands
        limit = overdue_at(state)
    if type(event) is Overdue:
        return Step(state, commands)
    then = _apply(state, event)
    return Step(then.state, commands + then.commands) if commands else then


def _apply(state: t.AttemptState, event: t.AttemptEvent) -> Step:
    edge = edge_of(TABLE, state, event, process_of(state))
    if edge.go is None:
        return Step(state)
    step: Step = edge.go(state, event)
    return step


def process_of(state: t.AttemptState) -> str:
    """The process that the attempt is about."""
    if isinstance(state, t.Holding):
        return state.record.id
    return state.request.process_id if isinstance(state, Claiming) else state.process_id


__all__ = ["TABLE", "next_wakeup", "overdue_at", "process_of", "step"]
