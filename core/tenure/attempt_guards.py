"""The guards of the attempt machine's table: of each pair of state and event, exactly one holds."""

from __future__ import annotations

from typing import Any

from tenure import attempt_rules as rules
from tenure import attempt_types as t
from tenure.attempt_types import (
    Asked,
    CallRefused,
    CallSucceeded,
    Claiming,
    Opening,
    Running,
    SessionFailed,
    SessionOpened,
    Stopping,
    StopReason,
    Tick,
)
from tenure.process import Failure, Outcome
from tenure.replies import Claimed, Completed, EffectRecorded, EventAppended, Reason, Released, Renewed
from tenure.requests import Complete, Release, Renew


def claiming(state: Claiming, event: Any) -> bool:
    return state.retry_at is None and event.call == state.call


def flying(state: t.Holding, event: Any) -> bool:
    return state.flight is not None and event.call == state.flight.id


def stale(state: t.Holding, event: Any) -> bool:
    return not flying(state, event)


def flies(state: t.Holding, *kinds: type) -> bool:
    return state.flight is not None and isinstance(state.flight.request, kinds)


def renewing(state: t.Holding, event: Any) -> bool:
    return flying(state, event) and flies(state, Renew)


def asking(state: t.Holding, event: Any) -> bool:
    return flying(state, event) and not flies(state, Renew)


def renewed(state: t.Holding, event: CallSucceeded) -> bool:
    return renewing(state, event) and isinstance(event.reply, Renewed)


def told(state: t.Holding, event: CallSucceeded) -> bool:
    return asking(state, event) and isinstance(event.reply, EffectRecorded | EventAppended)


def wrong(state: t.Holding, event: CallSucceeded) -> bool:
    return flying(state, event) and not (renewed(state, event) or told(state, event))


def wrong_in_opening(state: t.Holding, event: CallSucceeded) -> bool:
    return flying(state, event) and not renewed(state, event)


def patient(state: t.Stopping, event: Any) -> bool:
    return asking(state, event) and not state.spent


def not_last(state: t.Holding, event: Any) -> bool:
    return flying(state, event) and not flies(state, Complete, Release)


def too_late(state: t.Stopping, event: Any) -> bool:
    return asking(state, event) and state.spent


def last(state: t.Holding, event: Any) -> bool:
    return flying(state, event) and flies(state, Complete, Release)


def earlier(state: t.Holding, event: Any) -> bool:
    """What was in flight when the handler ended, other than a renewal."""
    return flying(state, event) and not flies(state, Renew) and not last(state, event)


def written(state: t.Holding, event: CallSucceeded) -> bool:
    return last(state, event) and isinstance(event.reply, Completed | Released)


def miswritten(state: t.Holding, event: CallSucceeded) -> bool:
    return last(state, event) and not isinstance(event.reply, Completed | Released)


def misrenewed(state: t.Holding, event: CallSucceeded) -> bool:
    return renewing(state, event) and not isinstance(event.reply, Renewed)


def too_large(state: t.Completing, event: CallRefused) -> bool:
    return last(state, event) and event.reason is Reason.TOO_LARGE and not _said_so(state.outcome)


def _said_so(outcome: Outcome) -> bool:
    """The outcome that was refused is the one that says that another was too large."""
    return isinstance(outcome, Failure) and outcome.code == "result_too_large"


def refused_for_good(state: t.Completing, event: CallRefused) -> bool:
    return last(state, event) and not too_large(state, event)


def granted(state: Claiming, event: CallSucceeded) -> bool:
    if not claiming(state, event) or not isinstance(event.reply, Claimed):
        return False
    return [grant.record.id for grant in event.reply.grants] == [state.request.process_id]


def granted_nothing(state: Claiming, event: CallSucceeded) -> bool:
    return claiming(state, event) and isinstance(event.reply, Claimed) and not event.reply.grants


def misgranted(state: Claiming, event: CallSucceeded) -> bool:
    return claiming(state, event) and not (granted(state, event) or granted_nothing(state, event))


def not_claiming(state: Claiming, event: Any) -> bool:
    return not claiming(state, event)


def had_ended(state: Claiming, event: CallRefused) -> bool:
    return claiming(state, event) and event.reason is Reason.ENDED


def denied(state: Claiming, event: CallRefused) -> bool:
    return claiming(state, event) and event.reason is not Reason.ENDED


def resend(state: Claiming, event: Tick) -> bool:
    return state.retry_at is not None and event.now >= state.retry_at


def not_yet(state: Claiming, event: Tick) -> bool:
    return not resend(state, event)


def opens(state: Opening, event: SessionOpened | SessionFailed) -> bool:
    return event.call == state.opening


def opens_not(state: Opening, event: SessionOpened | SessionFailed) -> bool:
    return event.call != state.opening


def unanswered(state: Opening, event: Any) -> bool:
    """The session took too long, before the lease's deadline."""
    return rules.opening_over(state) < rules.deadline(state)


def unrenewed(state: Opening, event: Any) -> bool:
    return not unanswered(state, event)


def unopenable(state: Opening, event: SessionFailed) -> bool:
    return opens(state, event) and event.permanent


def unopened(state: Opening, event: SessionFailed) -> bool:
    return opens(state, event) and not event.permanent


def leave(state: t.Holding, event: Asked) -> bool:
    return event.request is None


def request(state: t.Holding, event: Asked) -> bool:
    return event.request is not None


def spent(state: Stopping, event: Any) -> bool:
    return state.spent


def leave_left(state: Stopping, event: Asked) -> bool:
    return not state.spent and event.request is None


def request_left(state: Stopping, event: Asked) -> bool:
    return not state.spent and event.request is not None


def draining(state: Stopping, event: Any) -> bool:
    return state.why is StopReason.DRAIN


def not_draining(state: Stopping, event: Any) -> bool:
    return state.why is not StopReason.DRAIN


def ran_out(state: Running, event: Any) -> bool:
    """The kind's max_run was over before the lease's deadline."""
    at = rules.max_run_over(state)
    return at is not None and at <= event.now and at < rules.deadline(state)


def expired(state: Running, event: Any) -> bool:
    return not ran_out(state, event)


def out_of_run(state: Stopping, event: Any) -> bool:
    """max_run was over before the lease's deadline, while the handler is stopping for another reason."""
    at = rules.runs_out_at(state)
    return at is not None and at <= event.now and at < rules.deadline(state)


def out_of_grace(state: Stopping, event: Any) -> bool:
    detach = rules.detach_at(state)
    return detach is not None and detach <= event.now and not out_of_run(state, event)


def out_of_budget(state: Stopping, event: Any) -> bool:
    return not (out_of_run(state, event) or out_of_grace(state, event))
