"""Which rows a claim gets, and what it makes of them. A claim is over several rows, so a store asks in two halves."""

from __future__ import annotations

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ClaimId, External, Fence, Record, Work
from tenure.replies import Grant, Reason, Refused
from tenure.requests import ClaimFilter
from tenure.values import changed


def claimable(record: Record, wanted: ClaimFilter, clock: StoreTime, limits: Limits) -> bool:
    """Whether ClaimNext may grant the row (CONTRACT §4, S3)."""
    now = record.now(clock)
    return (
        record.outcome is None
        and isinstance(record.registration.input, Work)
        and not record.live(now)
        and free_at(record, limits) <= now
        and record.registration.provenance.host_profile_id in ("", wanted.profile)
        and record.registration.input.kind in wanted.kinds
        and record.registration.id not in wanted.exclude
    )


def grant(record: Record, claim: ClaimId, ttl: int, clock: StoreTime, number: int) -> Record:
    """The row after an accepted claim. A claim over an expired holder is a take-over, and counted as one (S20)."""
    now = record.now(clock)
    lost = record.lost + 1 if record.held else record.lost
    return changed(
        record,
        version=number,
        changed_at=now,
        token=number,
        claim=claim,
        held=True,
        expires_at=StoreTime(now + ttl),
        claims=record.claims + 1,
        lost=lost,
    )


def lease_of(record: Record, claim: ClaimId) -> Grant:
    """The grant that shows the row as its claim left it."""
    return Grant(Fence(record.id, claim, record.token), record)


def free_at(record: Record, limits: Limits) -> StoreTime:
    """When a row that has not ended may next be claimed: `ready_at`, or, where somebody holds it, its expiry and the
    wait that the next take-over owes. Its place in the order stays that of `ready_at`, so what a lost worker held is
    not queued anew."""
    if not record.held:
        return record.ready_at
    return StoreTime(record.expires_at + takeover_wait(record.lost + 1, limits))


def refuse_claim(record: Record | None, clock: StoreTime, limits: Limits) -> Refused | None:
    """Why a claim of one process is refused, or None: the row can be granted (S3)."""
    if record is None:
        return Refused(Reason.NOT_FOUND)
    now = record.now(clock)
    if record.outcome is not None:
        return Refused(Reason.ENDED)
    if isinstance(record.registration.input, External):
        return Refused(Reason.EXTERNAL)
    if record.live(now):
        return Refused(Reason.HELD)
    if free_at(record, limits) > now:
        return Refused(Reason.NOT_READY)
    return None


def replayed_claim(record: Record | None, claim: ClaimId, clock: StoreTime) -> bool:
    """Whether the row still carries the lease of this very claim: a repeated claim answers it, unchanged (S10)."""
    return (
        record is not None
        and record.outcome is None
        and record.claim == claim
        and record.live(record.now(clock))
    )


def makes_work(before: Record | None, after: Record) -> bool:
    """Whether the change gave a worker something to do: what the work half of a `Cursor` follows.

    A process was registered, or given back, or its holder was asked to cancel.
    """
    if before is None:
        return True
    if after.outcome is not None:
        return False
    return (before.held and not after.held) or (before.cancel is None and after.cancel is not None)


def takeover_wait(k: int, limits: Limits) -> int:
    """How long the k-th take-over in a row waits after the expiry, in ms; the first does not."""
    if k <= 1:
        return 0
    return min(limits.takeover_cap, limits.takeover_wait << min(k - 2, 30))
