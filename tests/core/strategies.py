"""Draws states, events, rows and requests with whatever field values their types allow, reachable or not.

Domains are small on purpose: ids meet, times fall on the same moment, so that every guard is drawn both ways.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tenure import attempt_types as t
from tenure import worker_types as w
from tenure.attempt_rules import MAX_TRIES
from tenure.canonical import NULL, Json, canonical
from tenure.instants import NANOS_PER_SECOND, Instant, StoreTime
from tenure.process import (
    Cancelled,
    ClaimId,
    EndedBy,
    External,
    Failure,
    Fence,
    Outcome,
    Provenance,
    Record,
    Registration,
    Success,
    Work,
)
from tenure.replies import (
    CancelsRead,
    Claimed,
    Completed,
    EffectRecorded,
    EventAppended,
    Grant,
    Pruned,
    Reason,
    Released,
    Renewed,
    Reply,
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


def examples(number: int) -> settings:
    """That many examples in `make test`, and as many times more as the profile has in `make verify`."""
    profile: int = getattr(settings(), "max_examples")  # noqa: B009  its stub leaves the type open
    return settings(max_examples=number * profile // 100)


booleans = st.booleans()
calls = st.integers(0, 4)
asks = st.none() | st.integers(1, 4)
tokens = st.integers(1, 4)
names = st.sampled_from(["p", "q"])
owners = st.sampled_from(["us", "them"])
reasons = st.sampled_from(["", "why"])
tries = st.integers(0, MAX_TRIES)
jitters = st.integers(0, 999)
instants: SearchStrategy[Instant] = st.integers(0, 24).map(lambda n: Instant(n * 5 * NANOS_PER_SECOND // 2))
later = st.none() | instants
moments: SearchStrategy[StoreTime] = st.integers(0, 12).map(lambda n: StoreTime(n * 5_000))
bodies: SearchStrategy[Json] = st.sampled_from([NULL, canonical(1), canonical({"a": [1.5, "ü"]})])

claim_ids = st.builds(ClaimId, owners, st.integers(1, 4))
fences = st.builds(Fence, names, claim_ids, tokens)
outcomes: SearchStrategy[Outcome] = st.one_of(
    st.builds(Success, bodies, bodies),
    st.builds(Failure, st.just("execution"), st.sampled_from(["boom", "result_too_large"]), reasons),
    st.builds(Cancelled, reasons),
)
inputs: SearchStrategy[Work | External] = st.one_of(
    st.builds(Work, st.sampled_from(["k", "other"]), bodies), st.builds(External, bodies)
)
registrations = st.builds(
    Registration,
    names,
    inputs,
    st.sampled_from([(), ("progress",)]),
    st.builds(Provenance, st.sampled_from(["", "main"]), st.sampled_from(["", "blue"])),
)


@st.composite
def records(draw: st.DrawFn, registration: SearchStrategy[Registration] = registrations) -> Record:
    """A row that a store could hold: a holder has a claim, an ended row has no holder and says who ended it."""
    wanted = draw(registration)
    token = draw(st.integers(0, 4))
    outcome = draw(st.none() | outcomes)
    cancel = draw(st.none() | reasons)
    if isinstance(wanted.input, External):
        token = 0
    held = bool(token) and outcome is None and draw(booleans)
    by = None
    if outcome is not None:
        ways = [EndedBy.CANCEL, *([EndedBy.COMPLETE, EndedBy.RELEASE] if token else [EndedBy.EXTERNAL])]
        by = draw(st.sampled_from(ways))
    return Record(
        wanted,
        seq=1,
        version=token + 1,
        changed_at=draw(moments),
        ready_at=draw(moments),
        token=token,
        claim=draw(claim_ids) if token else None,
        held=held,
        expires_at=draw(moments),
        cancel=cancel,
        claims=draw(st.integers(1, 3)) if token else 0,
        lost=draw(st.integers(0, 3)) if token else 0,
        events=draw(st.integers(1, 3)),
        outcome=outcome,
        ended_by=by,
        authority=draw(st.sampled_from(["them", "us"])) if by is EndedBy.EXTERNAL else "",
    )


stamps = st.builds(Stamp, tokens, st.integers(1, 9), moments)
grants = st.builds(Grant, fences, records())
replies: SearchStrategy[Reply] = st.one_of(
    st.builds(Claimed, st.lists(grants, max_size=2).map(tuple), st.just(1)),
    st.builds(Renewed, stamps, moments, st.none() | reasons),
    st.builds(EffectRecorded, stamps, bodies),
    st.builds(EventAppended, stamps, st.integers(1, 3)),
    st.builds(Completed, stamps, outcomes),
    st.builds(Released, stamps, st.none() | outcomes),
    st.builds(CancelsRead, st.lists(st.tuples(names, tokens, reasons), max_size=2).map(tuple)),
    st.builds(Pruned, st.just(0)),
)

effects = st.builds(RecordEffect, fences, st.sampled_from(["a", "b"]), st.sampled_from(["f", "g"]), bodies)
emits = st.builds(EmitEvent, fences, st.sampled_from(["progress", "other"]), bodies, st.sampled_from("ab"))
fenced: SearchStrategy[FencedRequest] = st.one_of(
    st.builds(Renew, fences, st.just(30_000)),
    effects,
    emits,
    st.builds(Complete, fences, outcomes),
    st.builds(Release, fences, st.sampled_from([0, 5_000])),
)

terms = st.builds(
    t.Terms,
    st.just(LeaseTimings()),
    st.sampled_from(["", "blue"]),
    st.sampled_from([("k",), ("k", "other")]),
    max_run=st.sampled_from([(), (("k", 20 * NANOS_PER_SECOND),), (("other", 1),)]),
    max_lost=st.integers(1, 3),
    tier_fault=st.sampled_from(["", "too ephemeral"]),
)

# --- the attempt machine ------------------------------------------------------------------------------------------

leases = st.builds(t.Lease, fences, st.just(1), instants, instants, later, tries)
flights = st.none() | st.builds(t.Call, calls, fenced, instants, asks, tries)
queues = st.lists(st.builds(t.Call, calls, fenced, instants, asks, tries), max_size=2).map(tuple)
held: dict[str, SearchStrategy[Any]] = {
    "terms": terms,
    "record": records(),
    "lease": leases,
    "flight": flights,
    "queue": queues,
}
# After a loss nothing is on its way any more.
lost: dict[str, SearchStrategy[Any]] = {**held, "flight": st.none(), "queue": st.just(())}
reasons_to_stop = st.sampled_from(
    [reason for reason in t.StopReason if reason is not t.StopReason.LEASE_LOST]
)

STATES: dict[type, SearchStrategy[Any]] = {
    t.Claiming: st.builds(
        t.Claiming,
        terms,
        st.builds(Claim, claim_ids, names, st.just(30_000)),
        calls,
        instants,
        instants,
        later,
        tries,
        booleans,
        booleans,
    ),
    t.Opening: st.builds(
        t.Opening, **held, opening=calls, claimed=instants.map(lambda at: Instant(at - 30 * NANOS_PER_SECOND))
    ),
    t.Running: st.builds(t.Running, **held, started=instants),
    t.Stopping: st.builds(
        t.Stopping,
        **held,
        why=reasons_to_stop,
        started=instants,
        stopped=instants,
        spent=booleans,
        ran_out=booleans,
        detail=reasons,
    ),
    t.Completing: st.builds(t.Completing, **held, outcome=outcomes),
    t.Releasing: st.builds(t.Releasing, **held),
    t.LeaseLost: st.builds(t.LeaseLost, **lost, stopped=instants),
    t.Detached: st.builds(t.Detached, **lost),
    t.AlreadyTerminal: st.builds(t.AlreadyTerminal, names),
    t.ClaimRefused: st.builds(t.ClaimRefused, names, reasons),
    t.Ended: st.builds(t.Ended, names, st.sampled_from(t.End)),
}

brought: dict[str, SearchStrategy[Any]] = {"now": instants, "tag": st.integers(5, 9), "jitter": jitters}
refusals = st.sampled_from(Reason)

CALL_EVENTS: dict[type, SearchStrategy[Any]] = {
    t.CallSucceeded: st.builds(t.CallSucceeded, **brought, call=calls, reply=replies),
    t.CallRefused: st.builds(t.CallRefused, **brought, call=calls, reason=refusals, detail=reasons),
    t.CallFenced: st.builds(t.CallFenced, **brought, call=calls),
    t.CallUnavailable: st.builds(t.CallUnavailable, **brought, call=calls, cause=reasons),
    t.CallUnknown: st.builds(t.CallUnknown, **brought, call=calls, cause=reasons),
}

EVENTS: dict[type, SearchStrategy[Any]] = {
    **CALL_EVENTS,
    t.SessionOpened: st.builds(t.SessionOpened, **brought, call=calls),
    t.SessionFailed: st.builds(t.SessionFailed, **brought, call=calls, permanent=booleans, message=reasons),
    t.HandlerReturned: st.builds(t.HandlerReturned, **brought, outcome=outcomes),
    t.HandlerStopped: st.builds(t.HandlerStopped, **brought),
    t.CancelSeen: st.builds(t.CancelSeen, **brought, reason=reasons),
    t.StopAsked: st.builds(t.StopAsked, **brought),
    t.Asked: st.builds(t.Asked, **brought, ask=st.integers(1, 4), request=st.none() | effects | emits),
    t.Overdue: st.builds(t.Overdue, **brought),
    t.Tick: st.builds(t.Tick, **brought),
}

attempt_states: SearchStrategy[t.AttemptState] = st.one_of(*STATES.values())
attempt_events: SearchStrategy[t.AttemptEvent] = st.one_of(*EVENTS.values())

# --- the worker machine -------------------------------------------------------------------------------------------

worker_terms = st.builds(
    w.WorkerTerms, owners, terms, st.integers(1, 3), st.integers(1, 3), st.just(NANOS_PER_SECOND)
)
filters = st.builds(
    ClaimFilter, st.just(""), st.just(("k",)), st.lists(names, max_size=1, unique=True).map(tuple)
)
claims_next = st.builds(ClaimNext, claim_ids, st.just(30_000), st.integers(1, 3), filters)
worked: dict[str, SearchStrategy[Any]] = {
    "terms": worker_terms,
    "running": st.integers(0, 3),
    "exclude": st.lists(st.tuples(names, tokens), max_size=2).map(tuple),
    "claim": st.none() | st.builds(w.ClaimCall, calls, claims_next, instants, later, booleans),
    "reading": st.none() | calls,
    "tries": tries,
}

WORKER_STATES: dict[type, SearchStrategy[Any]] = {
    w.Driving: st.builds(
        w.Driving, **worked, hungry=booleans, hinted=booleans, cancels=booleans, poll_at=instants
    ),
    w.Draining: st.builds(w.Draining, **worked, until=instants, told=booleans),
    w.Stopped: st.builds(w.Stopped, st.integers(0, 2), reasons),
}

WORKER_EVENTS: dict[type, SearchStrategy[Any]] = {
    **CALL_EVENTS,
    w.AttemptEnded: st.builds(w.AttemptEnded, **brought, process_id=names, token=tokens),
    w.AttemptUnheld: st.builds(w.AttemptUnheld, **brought, process_id=names, token=tokens),
    w.WorkHinted: st.builds(w.WorkHinted, **brought),
    w.DrainAsked: st.builds(w.DrainAsked, **brought, grace=instants),
    t.Tick: EVENTS[t.Tick],
}

worker_states: SearchStrategy[w.WorkerState] = st.one_of(*WORKER_STATES.values())
worker_events: SearchStrategy[w.WorkerEvent] = st.one_of(*WORKER_EVENTS.values())
