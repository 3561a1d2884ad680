"""The one form for all attempts that differ in nothing that can matter, when ages are real (`timed` says why)."""

from __future__ import annotations

from typing import Any

from tenure import attempt_types as t
from tenure.attempt_rules import may_renew
from tenure.instants import NANOS_PER_SECOND, Instant
from tenure.requests import Renew
from tenure.values import changed
from tenure_testing.checking.rows import RECORD

NANOS, NOW, MOMENT = NANOS_PER_SECOND, Instant(0), Instant(1)
"""A tick; now; and when a back-off that began now is over, which is before the next tick."""
AT: dict[str, Any] = {"now": NOW, "tag": 2}


def _ago(moment: Instant, now: Instant) -> Instant:
    """How far the moment lies before now, in whole ticks; what was done after a back-off was done at the tick."""
    return Instant((moment // NANOS - now // NANOS) * NANOS)


def aged(state: t.AttemptState, now: Instant) -> t.AttemptState | None:
    """The attempt with `now` as its zero; None if it is over."""
    if isinstance(state, t.Claiming):
        again = None if state.retry_at is None else MOMENT if state.retry_at > now else NOW
        return changed(
            state,
            call=1,
            sent_at=_ago(state.sent_at, now),
            began=_ago(state.began, now),
            retry_at=again,
            tries=0,
        )
    if not isinstance(state, t.Holding):
        return None
    if isinstance(state, t.LeaseLost | t.Detached):
        lease = changed(state.lease, since=NOW, renew_at=NOW, renewing=None, tries=0)
        stopped = {"stopped": _ago(state.stopped, now)} if isinstance(state, t.LeaseLost) else {}
        return changed(state, record=RECORD, lease=lease, **stopped)
    moments: dict[str, Any] = {}
    if isinstance(state, t.Opening):
        moments = {"opening": 3, "claimed": _ago(state.claimed, now)}
    if isinstance(state, t.Running | t.Stopping):
        moments = {"started": NOW}
    if isinstance(state, t.Stopping):
        moments["stopped"] = max(_ago(state.stopped, now), Instant(-state.terms.timings.stop_grace_ns))
    flight, queue = _flight(state.flight, now), tuple(_waiting(call, now) for call in state.queue)
    return changed(state, record=RECORD, lease=_lease(state, now), flight=flight, queue=queue, **moments)


def _lease(state: t.Holding, now: Instant) -> t.Lease:
    """`renewing` and `since` are all that a renewal's answer needs; `renew_at` only matters while one may be sent."""
    lease = state.lease
    renew_at, tries = NOW, 0
    if may_renew(state) and lease.tries:
        renew_at, tries = MOMENT if lease.renew_at > now else NOW, 1
    elif may_renew(state):
        renew_at = Instant(max(0, _ago(lease.renew_at, now)))
    renewing = None if lease.renewing is None else _ago(lease.renewing, now)
    since = _ago(lease.since, now)
    return changed(lease, since=since, renew_at=renew_at, renewing=renewing, tries=tries)


def _flight(call: t.Call | None, now: Instant) -> t.Call | None:
    """A renewal's sending is compared with `renewing`; nobody asks when another call was sent, but for its age."""
    if call is None:
        return None
    sent = _ago(call.ready_at, now) if isinstance(call.request, Renew) else NOW
    return changed(call, id=1, ready_at=sent, tries=0)


def _waiting(call: t.Call, now: Instant) -> t.Call:
    return changed(call, ready_at=MOMENT if call.ready_at > now else NOW, tries=0)
