"""When time alone changes an attempt: derived from its state, so that there are no timer commands to lose."""

from __future__ import annotations

from tenure import attempt_opening as opening
from tenure import attempt_rules as rules
from tenure import attempt_types as t
from tenure.attempt_types import (
    Claiming,
    Completing,
    LeaseLost,
    Opening,
    Releasing,
    Running,
    Stopping,
    Wakeup,
)
from tenure.instants import Instant


def overdue_at(state: t.AttemptState) -> Wakeup | None:
    """When a limit in time applies next, and which."""
    match state:
        case Running():
            run = rules.max_run_over(state)
            end = rules.deadline(state)
            return Wakeup(run, "max_run") if run is not None and run < end else Wakeup(end, "deadline")
        case Completing() | Releasing():
            return Wakeup(rules.patience_over(state), "patience")
        case Stopping():
            return rules.stopping_limit(state)
        case Opening():
            return Wakeup(rules.deadline(state), "deadline")
        case LeaseLost():
            return Wakeup(rules.grace_over(state), "stop_grace")
        case Claiming():
            return opening.claim_limit(state)
        case _:
            return None


def next_wakeup(state: t.AttemptState) -> Wakeup | None:
    """When time alone changes something: the earliest of what is overdue and what is to be sent; derived."""
    limit = overdue_at(state)
    due = _sending_at(state)
    if due is None or (limit is not None and limit.at <= due.at):
        return limit
    return due


def _sending_at(state: t.AttemptState) -> Wakeup | None:
    if isinstance(state, Claiming):
        return None if state.retry_at is None else Wakeup(state.retry_at, "claim again")
    if not isinstance(state, t.Holding) or state.flight is not None:
        return None
    renew: Instant | None = state.lease.renew_at if rules.may_renew(state) else None
    head = state.queue[0].ready_at if state.queue else None
    if renew is not None and (head is None or renew <= head):
        return Wakeup(renew, "renewal")
    return None if head is None else Wakeup(head, "call again")
