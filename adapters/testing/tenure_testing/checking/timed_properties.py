"""What must hold of a step, and of an age, when clocks drift by a bounded amount: beyond what holds of every step."""

from __future__ import annotations

from tenure import attempt_types as t
from tenure.instants import Instant, after
from tenure.timings import LeaseTimings
from tenure_testing.checking.explorer import Broken
from tenure_testing.checking.steps import broken_by, budget_ends, words

HANDLED = t.Running | t.Stopping


def judge_step(state: t.AttemptState, event: t.AttemptEvent, step: t.Step, healthy: bool) -> None:
    """Raises Broken for what any step must keep (S12-S18), then L3, L5 and L6. `healthy`: no two renewals in a row
    are lost, nor anything else, so that the lease must not be; of one that drains, L5 says so, too."""
    then, said = step.state, words(state, event, step)
    ended = isinstance(event, t.HandlerReturned | t.HandlerStopped)
    if isinstance(state, HANDLED) and isinstance(then, t.Releasing | t.Ended) and not ended:
        raise Broken(["L5"], f"the process is given back while its handler runs: {said}")
    stopped = any(isinstance(c, t.StopHandler) and c.reason is t.StopReason.LEASE_LOST for c in step.commands)
    if isinstance(state, HANDLED) and isinstance(then, t.LeaseLost) and not stopped:
        raise Broken(["L6"], f"the lease is lost, and its handler is not told: {said}")
    lost = isinstance(then, t.LeaseLost | t.Detached) or (isinstance(then, t.Stopping) and then.spent)
    gone = isinstance(then, t.Ended) and then.how in (t.End.LOST, t.End.SPENT)
    if healthy and (lost or gone):
        drains = isinstance(state, t.Stopping) and state.why is t.StopReason.DRAIN
        raise Broken(["L5", "L3"] if drains else ["L3"], f"a healthy worker loses its lease: {said}")
    broken = broken_by(state, event, step, True)
    if broken:
        raise Broken(broken, said)


def judge_age(state: t.AttemptState | None, times: LeaseTimings) -> None:
    """Raises Broken for a state in which a limit in time has passed unnoticed; now is 0."""
    if isinstance(state, t.Running | t.Opening) and budget_ends(state) <= 0:
        raise Broken(["C3"], "the budget is spent, and the handler is not told to stop")
    if isinstance(state, t.Stopping) and after(budget_ends(state), times.stop_grace_ns) <= 0:
        raise Broken(["C3"], "the handler's grace after the deadline is over, and it is not left behind")
    if isinstance(state, t.LeaseLost) and _since(state.stopped, times.stop_grace_ns):
        raise Broken(["L6"], "the lease is lost for longer than stop_grace, and the handler not left behind")


def _since(moment: Instant, nanos: int) -> bool:
    return after(moment, nanos) <= 0
