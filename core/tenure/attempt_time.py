"""When time alone changes an attempt: derived from its state, so that there are no timer commands to lose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def running_limit(state: Running) -> Instant:
    """The lease's deadline, or the end of the time that the kind may run."""
    run, end = rules.max_run_over(state), rules.deadline(state)
    return end if run is None else min(run, end)


_LIMITS: dict[type, tuple[Callable[[Any], Instant | None], str]] = {
    Claiming: (opening.claim_limit, "budget"),
    Opening: (rules.opening_limit, "deadline or session"),
    Running: (running_limit, "deadline or max_run"),
    Stopping: (rules.stopping_limit, "max_run, deadline or stop_grace"),
    Completing: (rules.patience_over, "patience"),
    Releasing: (rules.patience_over, "patience"),
    LeaseLost: (rules.grace_over, "stop_grace"),
}


def overdue_at(state: t.AttemptState) -> Instant | None:
    """When a limit in time applies next."""
    limit = _LIMITS.get(type(state))
    return None if limit is None else limit[0](state)


def next_wakeup(state: t.AttemptState) -> Wakeup | None:
    """When time alone changes something: the earliest of what is overdue and what is to be sent; derived."""
    limit, due = overdue_at(state), _sending_at(state)
    if limit is not None and (due is None or limit <= due):
        return Wakeup(limit, _LIMITS[type(state)][1])
    return None if due is None else Wakeup(due, "something to send")


def _sending_at(state: t.AttemptState) -> Instant | None:
    if isinstance(state, Claiming):
        return state.retry_at
    if not isinstance(state, t.Holding) or state.flight is not None:
        return None
    head = state.queue[0].ready_at if state.queue else None
    if not rules.may_renew(state):
        return head
    renew = state.lease.renew_at
    return renew if head is None else min(renew, head)
