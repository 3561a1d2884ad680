"""What must hold of every step of the attempt machine: the properties that speak of workers, judged here.

Each looks at one step: the state before, the event, what came of it. Opening is entered from a granted claim only and
left by the start, and a claim's token is new (S2): so that the two halves of S12 give "at most one start a token".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tenure import attempt_types as t
from tenure.instants import Instant, after
from tenure.process import Cancelled, Failure, Outcome
from tenure.replies import Claimed, Renewed
from tenure.requests import Claim, Complete, EmitEvent, RecordEffect, Release, Renew

LOST = t.LeaseLost | t.Detached
MUTATES = Renew | RecordEffect | EmitEvent | Complete | Release


class Stepped(NamedTuple):
    """One step. `fit`: the tiers that the worker is built on suffice."""

    state: t.AttemptState
    event: t.AttemptEvent
    then: t.Step
    fit: bool

    @property
    def sends(self) -> list[t.Send]:
        return [said for said in self.then.commands if isinstance(said, t.Send)]

    @property
    def starts(self) -> list[t.StartHandler]:
        return [said for said in self.then.commands if isinstance(said, t.StartHandler)]

    @property
    def flight(self) -> t.Call | None:
        """The call whose answer the event is."""
        flight = self.state.flight if isinstance(self.state, t.Holding) else None
        return flight if flight is not None and getattr(self.event, "call", None) == flight.id else None


def budget_ends(state: t.Holding) -> Instant:
    """The local deadline, counted here from the seconds that are configured (CONTRACT §6)."""
    times = state.terms.timings
    return after(state.lease.since, round(times.ttl * 1e9) - round((times.margin + times.stop_grace) * 1e9))


def patience_ends(state: t.Holding) -> Instant:
    """When a last write need not be repeated any more, counted here too; as long as the ttl where nothing is said."""
    times = state.terms.timings
    patience = times.ttl if times.completion_patience is None else times.completion_patience
    return after(budget_ends(state), round(patience * 1e9))


def starts_once(of: Stepped) -> bool:
    """S12."""
    if isinstance(of.then.state, t.Opening) and not isinstance(of.state, t.Opening):
        granted = isinstance(of.event, t.CallSucceeded) and isinstance(of.event.reply, Claimed)
        if not (isinstance(of.state, t.Claiming) and granted):
            return False
    if not of.starts:
        return True
    return (
        len(of.starts) == 1 and isinstance(of.state, t.Opening) and not isinstance(of.then.state, t.Opening)
    )


def acts_within_its_budget(of: Stepped) -> bool:
    """S13: no start, effect or leave to act once the budget is spent, and none for longer than it."""
    if not isinstance(of.state, t.Holding):
        return True
    spent = of.event.now >= budget_ends(of.state) or (isinstance(of.state, t.Stopping) and of.state.spent)
    answers = (said.answer for said in of.then.commands if isinstance(said, t.AnswerAsk))
    leave = [answer.until for answer in answers if isinstance(answer, t.Permitted)]
    leave += [start.not_after for start in of.starts]
    acts = any(isinstance(send.request, RecordEffect | EmitEvent) for send in of.sends)
    return not (spent and (leave or acts)) and all(until <= budget_ends(of.state) for until in leave)


def is_silent_after_a_loss(of: Stepped) -> bool:
    """S14: no further request for a lost token, what is lost stays lost, a handler is told to stop, and each request
    carries the instant after which the store thread drops it."""
    lost = isinstance(of.state, LOST) or (isinstance(of.event, t.CallFenced) and of.flight is not None)
    if lost and (of.sends or not isinstance(of.then.state, LOST | t.Ended)):
        return False
    told = any(isinstance(said, t.StopHandler) for said in of.then.commands)
    if isinstance(of.then.state, t.LeaseLost) and not (told or isinstance(of.state, t.LeaseLost)):
        return False
    holding = [state for state in (of.state, of.then.state) if isinstance(state, t.Holding)]
    if not holding:
        return not any(isinstance(send.request, MUTATES) for send in of.sends)
    ends, patience = max(map(budget_ends, holding)), max(map(patience_ends, holding))
    for send in of.sends:
        last = patience if isinstance(send.request, Complete | Release) else ends
        if send.not_after is None or send.not_after > last:
            return False
    return True


def writes_one_thing_at_a_time(of: Stepped) -> bool:
    """S9, S8 (CONTRACT §5): nothing is sent while another call of the attempt is in the air. Else a renewal may arrive
    after the release that was sent after it; that the store then refuses it is not to be relied upon alone (K16)."""
    before = of.state.flight if isinstance(of.state, t.Holding) else None
    return len(of.sends) <= (1 if before is None or of.flight is not None else 0)


def starts_only_if_fit(of: Stepped) -> bool:
    """S15."""
    return of.fit or not of.starts


def reports_what_happened(of: Stepped) -> bool:
    """S17: what is written as the outcome is what the handler reported, or was asked for, or this machine's own."""
    outcome = _outcome(of.then.state)
    if outcome is None or outcome == _outcome(of.state):
        return True
    event, state = of.event, of.state
    if isinstance(event, t.HandlerReturned):
        return outcome == event.outcome
    if isinstance(outcome, Cancelled):
        flag = getattr(event, "reason", None) if isinstance(event, t.CancelSeen) else None
        if isinstance(state, t.Stopping):
            stopped = isinstance(event, t.HandlerStopped) and state.why is t.StopReason.CANCEL
            return stopped and outcome.reason == state.detail
        if isinstance(event, t.CallSucceeded) and isinstance(event.reply, Renewed):
            flag = event.reply.cancel
        if isinstance(event, t.CallSucceeded) and isinstance(event.reply, Claimed):
            flag = event.reply.grants[0].record.cancel
        return flag is not None and outcome.reason == flag
    if not isinstance(outcome, Failure):
        return False
    match outcome.code:
        case "lost_too_often":
            granted = event.reply if isinstance(event, t.CallSucceeded) else None
            if not isinstance(granted, Claimed) or not isinstance(state, t.Claiming):
                return False
            return granted.grants[0].record.lost >= state.terms.max_lost
        case "process_recovery_failed":
            return isinstance(event, t.SessionFailed) and event.permanent
        case "handler_cancelled":
            return isinstance(event, t.HandlerStopped) and isinstance(state, t.Running)
        case _:
            return False


def resolves_what_is_unknown(of: Stepped) -> bool:
    """S18: after Unknown the same request again, as long as the attempt goes on; and a last write is never replaced."""
    before, then = of.state, of.then.state
    if isinstance(before, t.Claiming):
        again = then.request if isinstance(then, t.Claiming) else before.request
        sends = all(send.request == before.request for send in of.sends if isinstance(send.request, Claim))
        return again == before.request and sends
    flight = of.flight
    if flight is None or not isinstance(of.event, t.CallUnknown) or isinstance(flight.request, Renew):
        return True
    last = isinstance(flight.request, Complete | Release)
    if not isinstance(then, t.Holding):
        late = isinstance(before, t.Holding) and of.event.now >= patience_ends(before)
        return late and isinstance(then, t.Ended) and then.how is t.End.GAVE_UP
    waiting = [call.request for call in (*([then.flight] if then.flight else []), *then.queue)]
    given_up = isinstance(before, t.Completing | t.Releasing) or (isinstance(then, t.Stopping) and then.spent)
    return flight.request in waiting[:1] or isinstance(then, LOST) or (given_up and not last)


def insists_on_its_last_write(of: Stepped) -> bool:
    """L2, as far as one step can show it: an attempt that has something to write last ends when the store has answered
    for good, or when its patience is over; not because an answer is missing or a call could not be sent."""
    before = of.state
    if not isinstance(before, t.Completing | t.Releasing) or isinstance(of.then.state, t.Holding):
        return True
    answered = isinstance(of.event, t.CallSucceeded | t.CallRefused | t.CallFenced) and of.flight is not None
    return answered or of.event.now >= patience_ends(before)


def keeps_what_it_may_keep(of: Stepped) -> bool:
    """L3, as far as one step can show it: a lease is given up as lost only when the store said so, or answered what
    the contract forbids; never for want of an answer."""
    lost = isinstance(of.then.state, t.LeaseLost) and not isinstance(of.state, t.LeaseLost)
    return not lost or isinstance(of.event, t.CallFenced | t.CallRefused | t.CallSucceeded)


def _outcome(state: t.AttemptState) -> Outcome | None:
    return state.outcome if isinstance(state, t.Completing) else None


PROPERTIES: tuple[tuple[str, Callable[[Stepped], bool]], ...] = (
    ("S15", starts_only_if_fit),
    ("S12", starts_once),
    ("S13", acts_within_its_budget),
    ("S14", is_silent_after_a_loss),
    ("S9", writes_one_thing_at_a_time),
    ("S18", resolves_what_is_unknown),
    ("L2", insists_on_its_last_write),
    ("S17", reports_what_happened),
    ("L3", keeps_what_it_may_keep),
)


def words(state: t.AttemptState, event: t.AttemptEvent, then: t.Step) -> str:
    """The step in a line."""
    told = [type(command).__name__ for command in then.commands if not isinstance(command, t.Send)]
    sends = [f"Send({type(send.request).__name__})" for send in then.commands if isinstance(send, t.Send)]
    name = "no attempt" if isinstance(then.state, t.Ended) else type(then.state).__name__
    did = ", ".join([*told, *sends]) or "nothing"
    return f"{type(event).__name__} in {type(state).__name__} leads to {name}, and to {did}"


def broken_by(state: t.AttemptState, event: t.AttemptEvent, then: t.Step, fit: bool) -> list[str]:
    """The properties that the step breaks, in their order."""
    of = Stepped(state, event, then, fit)
    return [name for name, holds in PROPERTIES if not holds(of)]
