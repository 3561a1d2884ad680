"""A few states and events of each class, chosen so that together they take every entry of both tables."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from tenure import attempt_types as t
from tenure import worker_types as w
from tenure.canonical import NULL
from tenure.instants import NANOS_PER_SECOND, Instant, StoreTime
from tenure.process import ClaimId, Failure, Fence, Provenance, Record, Registration, Success, Work
from tenure.replies import (
    CancelsRead,
    Claimed,
    Completed,
    EffectRecorded,
    Grant,
    Pruned,
    Reason,
    Renewed,
    Stamp,
)
from tenure.requests import (
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    EmitEvent,
    FencedRequest,
    RecordEffect,
    Release,
    Renew,
)
from tenure.timings import LeaseTimings

SECOND = NANOS_PER_SECOND
START = Instant(100 * SECOND)
CLAIM = ClaimId("us", 1)
FENCE = Fence("p", CLAIM, 1)
STAMP = Stamp(1, 1, StoreTime(0))
TERMS = t.Terms(LeaseTimings(), "", ("k",), max_run=(("k", 12 * SECOND),))
RECORD = Record(
    Registration("p", Work("k"), ("progress",), Provenance("main")),
    1,
    1,
    StoreTime(0),
    StoreTime(0),
    token=1,
    claim=CLAIM,
    held=True,
    expires_at=StoreTime(30_000),
    claims=1,
)
LEASE = t.Lease(FENCE, 1, START, Instant(START + 10 * SECOND))
MOMENTS = [Instant(START + n * SECOND) for n in (0, 11, 13, 25, 60)]
EFFECT = RecordEffect(FENCE, "download", "f", NULL)

IN_FLIGHT: list[FencedRequest | None] = [
    None,
    Renew(FENCE, 30_000),
    EFFECT,
    EmitEvent(FENCE, "progress", NULL, "a"),
    Complete(FENCE, Success()),
    Release(FENCE),
]
TOO_LARGE = Failure("execution", "result_too_large", "")


def attempt_states() -> Iterator[t.AttemptState]:
    claim = Claim(CLAIM, "p", 30_000)
    for retry_at in (None, MOMENTS[1]):
        yield t.Claiming(TERMS, claim, 1, START, START, retry_at)
    for request in IN_FLIGHT:
        flight = None if request is None else t.Call(1, request, START, 7)
        for terms in (TERMS, evolve(TERMS, max_run=())):
            held = (terms, RECORD, LEASE, flight, ())
            yield t.Opening(*held, opening=1, claimed=START)
            yield t.Opening(*held, opening=1, claimed=Instant(START - 60 * SECOND))
            yield t.Running(*held, started=START)
            for why in (t.StopReason.DRAIN, t.StopReason.CANCEL, t.StopReason.MAX_RUN):
                for spent in (False, True):
                    out = why is t.StopReason.MAX_RUN
                    yield t.Stopping(*held, why=why, started=START, stopped=START, spent=spent, ran_out=out)
            for outcome in (Success(), TOO_LARGE):
                yield t.Completing(*held, outcome=outcome)
            yield t.Releasing(*held)
            yield t.LeaseLost(*held, stopped=START)
            yield t.Detached(*held)
    yield t.AlreadyTerminal("p")
    yield t.ClaimRefused("p", "held")
    yield t.Ended("p", t.End.LOST)


def call_events() -> Iterator[
    t.CallSucceeded | t.CallRefused | t.CallFenced | t.CallUnavailable | t.CallUnknown
]:
    grant = Grant(FENCE, RECORD)
    for now in MOMENTS:
        for call in (1, 2):
            for reply in (
                Claimed((grant,), 1),
                Claimed((), 1),
                Renewed(STAMP, StoreTime(60_000), None),
                EffectRecorded(STAMP, NULL),
                Completed(STAMP, Success()),
                CancelsRead(()),
                Pruned(0),
            ):
                yield t.CallSucceeded(now=now, tag=9, call=call, reply=reply)
            for reason in (Reason.ENDED, Reason.HELD, Reason.TOO_LARGE):
                yield t.CallRefused(now=now, tag=9, call=call, reason=reason)
            yield t.CallFenced(now=now, tag=9, call=call)
            yield t.CallUnavailable(now=now, tag=9, call=call)
            yield t.CallUnknown(now=now, tag=9, call=call)


def attempt_events() -> Iterator[t.AttemptEvent]:
    yield from call_events()
    for now in MOMENTS:
        for call in (1, 2):
            yield t.SessionOpened(now=now, tag=9, call=call)
            for permanent in (False, True):
                yield t.SessionFailed(now=now, tag=9, call=call, permanent=permanent, message="why")
        yield t.HandlerReturned(now=now, tag=9, outcome=Success())
        yield t.HandlerStopped(now=now, tag=9)
        yield t.CancelSeen(now=now, tag=9, reason="why")
        yield t.StopAsked(now=now, tag=9)
        yield t.Asked(now=now, tag=9, ask=8, request=None)
        yield t.Asked(now=now, tag=9, ask=8, request=EFFECT)
        yield t.Overdue(now=now, tag=9)
        yield t.Tick(now=now, tag=9)


def worker_states() -> Iterator[w.WorkerState]:
    terms = w.WorkerTerms("us", TERMS, 2, 2, SECOND)
    request = ClaimNext(CLAIM, 30_000, 1, ClaimFilter("", ("k",)))
    for call in (None, 1, 2):
        for reading in (None, 1):
            claim = None if call is None else w.ClaimCall(call, request, START, doubtful=reading is not None)
            shared = (terms, 1, (("p", 1),), claim, reading, 0)
            yield w.Driving(*shared, hungry=True, hinted=False, cancels=True, poll_at=START)
            yield w.Draining(*shared, until=MOMENTS[1], told=False)
    yield w.Stopped(0)


def worker_events() -> Iterator[w.WorkerEvent]:
    yield from call_events()
    for now in MOMENTS:
        yield w.AttemptEnded(now=now, process_id="p", token=1)
        yield w.AttemptUnheld(now=now, process_id="p", token=1)
        yield w.WorkHinted(now=now)
        yield w.DrainAsked(now=now, grace=SECOND)
        yield t.Tick(now=now, tag=9)
