"""How long a worker may act on a lease, and wait for an answer: told once more from the seconds that a user configures,
and seen from outside, against the row. What the product makes of these seconds is what is judged, and not believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import define

from tenure.attempt_types import StopHandler
from tenure.instants import Instant, StoreTime
from tenure.process import Outcome
from tenure.replies import Claimed, Renewed, Succeeded
from tenure.requests import Complete, EmitEvent, RecordEffect, Release, Renew
from tenure.timings import LeaseTimings
from tenure_driver import Job
from tenure_driver.messages import Answered, Inbound, Outbox, StoreCall
from tenure_testing.playing import Execution, Host, Observer, World
from tenure_testing.simulating.plans import CLOCKS, LOOPS, Plan
from tenure_testing.simulating.rows import Violation

FENCED_REQUESTS = (Renew, RecordEffect, EmitEvent, Complete, Release)
ASLEEP = frozenset({"pause", "suspend"})
"""Faults under which a worker may look too late."""
TIME_FAULTS = ASLEEP.union(CLOCKS, LOOPS)
"""And those by which its clock and the store's tell different times, or its handlers hear of it too late."""
AGAIN = 1.0
"""Seconds within which a request is sent again that was not applied, or perhaps not (CONTRACT §2)."""


def nanos(seconds: float) -> int:
    """Whole nanoseconds."""
    return round(seconds * 1_000_000_000)


def budget(timings: LeaseTimings) -> int:
    """Nanoseconds from the sending of what was accepted (C3): the lease, less what drifting clocks take of it, less the
    time that a handler is given to stop."""
    return nanos(timings.ttl) - nanos(timings.margin) - nanos(timings.stop_grace)


def patience(timings: LeaseTimings) -> int:
    """Nanoseconds after the budget for which an outcome is still offered."""
    return nanos(timings.ttl if timings.completion_patience is None else timings.completion_patience)


def call_timeout(timings: LeaseTimings) -> int:
    """Nanoseconds for which a request stays without answer."""
    return nanos(timings.call_timeout)


def told_of_cancel(timings: LeaseTimings) -> int:
    """Nanoseconds within which a healthy holder hears of a cancellation (L4): a renewal is due, and one gets lost."""
    return nanos(timings.renew_interval) + 2 * nanos(timings.call_timeout)


def outside(plan: Plan, world: World, met: Counter[str]) -> list[Observer]:
    """Who looks from outside, where no fault of time excuses anything."""
    if ASLEEP.intersection(plan.faults):
        return []
    return [InTime(world, met, right=not TIME_FAULTS.intersection(plan.faults))]


@define
class Lease:
    """What a token has: until when, by the store's clock; whether its handler runs, and was told to stop."""

    expires_at: StoreTime
    running: bool = False
    told: bool = False
    call: StoreCall | None = None
    called: Instant = Instant(0)


class InTime(Observer):
    """C3: what waits for an answer under its lease goes on when the call's time is over; and, where all clocks are
    `right`, a handler is told to stop so early before its row's expiry that it has its grace until then."""

    def __init__(self, world: World, met: Counter[str], right: bool) -> None:
        self._world, self._met, self._right = world, met, right
        self._leases: dict[tuple[str, int], Lease] = {}
        self._calls: dict[tuple[str, int], Lease] = {}

    def executed(self, execution: Execution) -> None:
        for request, answer in zip(execution.requests, execution.answers, strict=True):
            reply = answer.reply if isinstance(answer, Succeeded) else None
            if isinstance(reply, Claimed):
                for grant in reply.grants:
                    key = (grant.fence.claim.owner, grant.fence.token)
                    self._leases.setdefault(key, Lease(grant.record.expires_at))
            elif isinstance(reply, Renewed) and isinstance(request, Renew):
                lease = self._leases.get((request.fence.claim.owner, request.fence.token))
                if lease is not None:
                    lease.expires_at = reply.expires_at

    def started(self, host: Host, job: Job) -> None:
        lease = self._leases.get((host.owner, job.token))
        if lease is not None:
            lease.running = True

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        lease = self._leases.get((host.owner, job.token))
        if lease is not None and lease.running:
            lease.running = False
            self._look(host, lease, job.ctx.id)

    def turned(self, host: Host, inbox: Sequence[Inbound], box: Outbox) -> None:
        if host.app is None:
            return
        for came in inbox:
            if isinstance(came, Answered):
                for number, _ in came.answers:
                    self._answered(host, number)
        for message in box.loop:
            if isinstance(message, StopHandler):
                lease = self._leases.get((host.owner, message.token))
                if lease is not None:
                    if lease.running:
                        self._look(host, lease, message.process_id)
                    lease.told, lease.call = True, None
        for call in box.calls:
            request: Any = call.request
            if isinstance(request, FENCED_REQUESTS):
                lease = self._leases.get((host.owner, request.fence.token))
                if lease is not None:
                    lease.call, lease.called = call, host.clock.now()
                    self._calls[host.owner, call.id] = lease

    def _look(self, host: Host, lease: Lease, process: str) -> None:
        """The handler is told to stop, or has ended, now."""
        if lease.told or not self._right:
            return
        left = lease.expires_at - self._world.store_clock()
        grace = round(host.options.timings.stop_grace * 1_000)
        if left < grace:
            said = f"the handler of {process} on {host.name} ran untold until {left / 1e3:.3f} s before its lease's"
            raise Violation("C3", f"{said} expiry, and {grace / 1e3:g} s are its grace")
        self._met["stopped before expiry"] += 1

    def _answered(self, host: Host, number: int) -> None:
        """The machine is told of an answer. By then it has sent again what it waited for too long, while it might."""
        lease = self._calls.pop((host.owner, number), None)
        if lease is None or lease.call is None or lease.call.id != number:
            return
        call, lease.call = lease.call, None
        latest = lease.called + call_timeout(host.options.timings) + nanos(AGAIN)
        if host.clock.now() > latest and (call.not_after is None or call.not_after > latest):
            waited = (host.clock.now() - lease.called) / 1e9
            said = f"{host.name} waits {waited:.3f} s for an answer to {type(call.request).__name__}"
            raise Violation("C3", f"{said}, and {host.options.timings.call_timeout:g} s are its time-out")
        self._met["answered in time"] += 1
