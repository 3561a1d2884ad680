"""What each accepted request leaves behind, field by field: the row, its stamp, the event, the effect (S2, S10, C1).

The laws in `test_registry_laws` draw any row and any request, and most of these are refused; here each is accepted.
"""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tenure.canonical import canonical
from tenure.claims import grant, makes_work, takeover_wait
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import (
    CANCEL_REQUESTED,
    Cancelled,
    ClaimId,
    Effect,
    EndedBy,
    Event,
    External,
    Fence,
    Record,
    Registration,
    Success,
    Work,
)
from tenure.registry import Decision, RowRequest, decide, stored_key
from tenure.replies import (
    CancelAccepted,
    Completed,
    EffectRecorded,
    EventAppended,
    Fenced,
    Registered,
    Released,
    Renewed,
    Reply,
    Stamp,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Complete,
    CompleteExternal,
    EmitEvent,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tests.core import strategies

US = ClaimId("us", 3)
FENCE = Fence("p", US, 4)
NUMBER = 99
LIMITS = Limits()
PAYLOAD = canonical({"a": 1})
# Held by us, its last change at 5 s, its lease until 60 s.
HELD = Record(
    Registration("p", Work("k", PAYLOAD), ("progress",)),
    seq=2,
    version=7,
    changed_at=StoreTime(5_000),
    ready_at=StoreTime(1_000),
    token=4,
    claim=US,
    held=True,
    expires_at=StoreTime(60_000),
    claims=3,
    lost=2,
    events=5,
)
OUTSIDE = Record(
    Registration("x", External(PAYLOAD)),
    seq=3,
    version=6,
    changed_at=StoreTime(4_000),
    ready_at=StoreTime(4_000),
)
# Before and after the row's last change: store time never goes back for it.
clocks: st.SearchStrategy[StoreTime] = st.integers(0, 59_999).map(StoreTime)


def accepted(before: Record | None, request: RowRequest, clock: StoreTime) -> tuple[Decision, Record, Reply]:
    decision = decide(before, request, None, clock, NUMBER, LIMITS)
    assert decision.record is not None, decision.answer
    assert isinstance(decision.answer, Succeeded)
    return decision, decision.record, decision.answer.reply


def stamp(row: Record) -> Stamp:
    return Stamp(row.token, row.version, row.changed_at)


@given(clocks, st.integers(0, 90_000))
def test_a_renewal(clock: StoreTime, ttl: int) -> None:
    now = max(clock, HELD.changed_at)
    decision, after, reply = accepted(HELD, Renew(FENCE, ttl), clock)
    until = StoreTime(max(60_000, now + ttl))
    assert after == evolve(HELD, version=NUMBER, changed_at=now, expires_at=until)
    assert reply == Renewed(stamp(after), until, None)
    assert (decision.event, decision.effect) == (None, None)


@given(clocks)
def test_an_effect(clock: StoreTime) -> None:
    request = RecordEffect(FENCE, "download", "f", PAYLOAD)
    decision, after, reply = accepted(HELD, request, clock)
    assert after == evolve(HELD, version=NUMBER, changed_at=max(clock, HELD.changed_at), lost=0)
    assert reply == EffectRecorded(stamp(after), PAYLOAD)
    assert decision.effect == Effect("p", "download", "f", PAYLOAD, 4, NUMBER)
    assert decision.event is None


@given(clocks)
def test_an_event_of_the_handler(clock: StoreTime) -> None:
    now = max(clock, HELD.changed_at)
    decision, after, reply = accepted(HELD, EmitEvent(FENCE, "progress", PAYLOAD, "half"), clock)
    assert after == evolve(HELD, version=NUMBER, changed_at=now, events=6)
    assert reply == EventAppended(stamp(after), 6)
    assert decision.event == Event("p", 6, "progress", PAYLOAD, "h:half", 4, now)
    assert decision.effect is None


@given(clocks)
def test_an_event_of_a_client(clock: StoreTime) -> None:
    now = max(clock, HELD.changed_at)
    decision, after, reply = accepted(HELD, AppendEvent("p", "note", PAYLOAD, "one"), clock)
    assert after == evolve(HELD, version=NUMBER, changed_at=now, events=6)
    assert reply == EventAppended(stamp(after), 6)
    assert decision.event == Event("p", 6, "note", PAYLOAD, "c:one", 0, now)


def test_the_keys_of_a_log() -> None:
    """They are stored: another version of tenure reads them."""
    assert stored_key(EmitEvent(FENCE, "progress", PAYLOAD, "a")) == "h:a"
    assert stored_key(AppendEvent("p", "note", PAYLOAD, "a")) == "c:a"


@given(clocks, st.sampled_from([None, "why"]))
def test_a_completion(clock: StoreTime, cancel: str | None) -> None:
    before, outcome = evolve(HELD, cancel=cancel), Success(PAYLOAD)
    decision, after, reply = accepted(before, Complete(FENCE, outcome), clock)
    assert after == evolve(
        before,
        version=NUMBER,
        changed_at=max(clock, HELD.changed_at),
        held=False,
        events=6,
        outcome=outcome,
        ended_by=EndedBy.COMPLETE,
    )
    assert reply == Completed(stamp(after), outcome)
    assert decision.event is None, "the terminal event is read from the row"


@given(clocks, st.integers(0, 9_000))
def test_a_release(clock: StoreTime, delay: int) -> None:
    now = max(clock, HELD.changed_at)
    _, after, reply = accepted(HELD, Release(FENCE, delay), clock)
    ready = StoreTime(now + delay)
    assert after == evolve(HELD, version=NUMBER, changed_at=now, ready_at=ready, held=False, lost=0)
    assert reply == Released(stamp(after), None)


@given(clocks, st.integers(0, 9_000))
def test_a_release_under_the_cancel_flag(clock: StoreTime, delay: int) -> None:
    before = evolve(HELD, cancel="why")
    _, after, reply = accepted(before, Release(FENCE, delay), clock)
    now, outcome = max(clock, HELD.changed_at), Cancelled("why")
    assert after == evolve(
        before,
        version=NUMBER,
        changed_at=now,
        held=False,
        events=6,
        outcome=outcome,
        ended_by=EndedBy.RELEASE,
    )
    assert reply == Released(stamp(after), outcome)


@given(clocks, st.integers(0, 9_000))
def test_a_registration(clock: StoreTime, delay: int) -> None:
    wanted = HELD.registration
    _, after, reply = accepted(None, Register(wanted, delay), clock)
    assert after == Record(wanted, NUMBER, NUMBER, clock, StoreTime(clock + delay))
    assert reply == Registered(stamp(after), NUMBER)


@given(clocks, st.sampled_from([None, "why"]))
def test_an_external_completion(clock: StoreTime, cancel: str | None) -> None:
    before, outcome = evolve(OUTSIDE, cancel=cancel), Success(PAYLOAD)
    _, after, reply = accepted(before, CompleteExternal("x", "them", outcome), clock)
    assert after == evolve(
        before,
        version=NUMBER,
        changed_at=max(clock, OUTSIDE.changed_at),
        events=1,
        outcome=outcome,
        ended_by=EndedBy.EXTERNAL,
        authority="them",
    )
    assert reply == Completed(stamp(after), outcome)


@given(clocks)
def test_a_cancel_of_a_live_row(clock: StoreTime) -> None:
    now = max(clock, HELD.changed_at)
    decision, after, reply = accepted(HELD, RequestCancel("p", "why"), clock)
    assert after == evolve(HELD, version=NUMBER, changed_at=now, cancel="why", events=6)
    assert reply == CancelAccepted(stamp(after), None)
    reason = canonical({"reason": "why"})
    assert decision.event == Event("p", 6, CANCEL_REQUESTED, reason, "r:cancel", 0, now)


@given(clocks)
def test_a_cancel_of_a_row_that_nobody_holds(clock: StoreTime) -> None:
    before = evolve(HELD, held=False)
    decision, after, reply = accepted(before, RequestCancel("p", "why"), clock)
    now, outcome = max(clock, HELD.changed_at), Cancelled("why")
    assert after == evolve(
        before,
        version=NUMBER,
        changed_at=now,
        cancel="why",
        events=7,
        outcome=outcome,
        ended_by=EndedBy.CANCEL,
    )
    assert reply == CancelAccepted(stamp(after), outcome)
    assert decision.event == Event(
        "p", 6, CANCEL_REQUESTED, canonical({"reason": "why"}), "r:cancel", 0, now
    ), "its own event comes before the terminal one"


def test_a_cancel_of_a_live_row_again_changes_nothing() -> None:
    before = evolve(HELD, cancel="first")
    decision = decide(before, RequestCancel("p", "second"), None, StoreTime(6_000), NUMBER, LIMITS)
    assert decision == Decision(Succeeded(CancelAccepted(stamp(before), None)))


def test_a_cancelled_row_whose_lease_ran_out_ends() -> None:
    before = evolve(HELD, cancel="first")
    decision, after, _ = accepted(before, RequestCancel("p", "second"), StoreTime(60_000))
    assert (after.outcome, after.events, decision.event) == (Cancelled("first"), 6, None)


@pytest.mark.parametrize(
    ("request_", "found", "reply"),
    [
        (
            RecordEffect(FENCE, "a", "f", PAYLOAD),
            Effect("p", "a", "f", canonical("stored"), 4, 6),
            EffectRecorded(stamp(HELD), canonical("stored")),
        ),
        (
            RecordEffect(FENCE, "a", "f", PAYLOAD),
            Effect("p", "a", "f", canonical("earlier"), 1, 6),
            EffectRecorded(stamp(HELD), canonical("earlier")),
        ),
        (
            EmitEvent(FENCE, "progress", PAYLOAD, "a"),
            Event("p", 3, "progress", PAYLOAD, "h:a", 4, StoreTime(0)),
            EventAppended(stamp(HELD), 3),
        ),
        (
            EmitEvent(FENCE, "progress", PAYLOAD, "a"),
            Event("p", 3, "progress", PAYLOAD, "h:a", 1, StoreTime(0)),
            EventAppended(stamp(HELD), 3),
        ),
        (
            AppendEvent("p", "note", PAYLOAD, "a"),
            Event("p", 3, "note", PAYLOAD, "c:a", 0, StoreTime(0)),
            EventAppended(stamp(HELD), 3),
        ),
    ],
    ids=["effect", "an earlier token's effect", "event", "an earlier token's event", "a client's event"],
)
def test_what_is_stored_is_answered_with_the_row_as_it_is(
    request_: RowRequest, found: Event | Effect, reply: Reply
) -> None:
    assert decide(HELD, request_, found, StoreTime(6_000), NUMBER, LIMITS) == Decision(Succeeded(reply))


COMPLETED = evolve(HELD, held=False, outcome=Success(PAYLOAD), ended_by=EndedBy.COMPLETE)
GIVEN_BACK = evolve(HELD, held=False)
CANCELLED = evolve(HELD, held=False, outcome=Cancelled("why"), ended_by=EndedBy.RELEASE)
REPORTED = evolve(OUTSIDE, outcome=Success(PAYLOAD), ended_by=EndedBy.EXTERNAL, authority="them")


@pytest.mark.parametrize(
    ("row", "request_", "reply"),
    [
        (HELD, Register(HELD.registration, 9), Registered(stamp(HELD), 2)),
        (COMPLETED, Complete(FENCE, Success(PAYLOAD)), Completed(stamp(HELD), Success(PAYLOAD))),
        (COMPLETED, RequestCancel("p"), CancelAccepted(stamp(HELD), Success(PAYLOAD))),
        (GIVEN_BACK, Release(FENCE), Released(stamp(HELD), None)),
        (CANCELLED, Release(FENCE), Released(stamp(HELD), Cancelled("why"))),
        (
            REPORTED,
            CompleteExternal("x", "them", Success(PAYLOAD)),
            Completed(stamp(OUTSIDE), Success(PAYLOAD)),
        ),
    ],
    ids=["registered", "completed", "cancelled late", "released", "cancelled by release", "external"],
)
def test_what_was_done_before_is_answered_again(row: Record, request_: RowRequest, reply: Reply) -> None:
    assert decide(row, request_, None, StoreTime(6_000), NUMBER, LIMITS) == Decision(Succeeded(reply))


@pytest.mark.parametrize("fence", [evolve(FENCE, claim=ClaimId("us", 2)), evolve(FENCE, token=3)])
def test_half_a_fence_replays_nothing(fence: Fence) -> None:
    """S10, S11: an attempt is its token and its lease token together, also when it asks for its own ending again."""
    clock, outcome = StoreTime(6_000), Success(PAYLOAD)
    ended = evolve(HELD, held=False, outcome=outcome, ended_by=EndedBy.COMPLETE)
    released = evolve(HELD, held=False)
    cancelled = evolve(HELD, held=False, outcome=Cancelled(), ended_by=EndedBy.RELEASE)
    for row, request in (
        (ended, Complete(fence, outcome)),
        (released, Release(fence)),
        (cancelled, Release(fence)),
    ):
        assert decide(row, request, None, clock, NUMBER, LIMITS) == Decision(Fenced())


# --- claims -------------------------------------------------------------------------------------------------------


@given(strategies.records(), strategies.claim_ids, clocks, st.integers(0, 9_000))
def test_a_claim(before: Record, claim: ClaimId, clock: StoreTime, ttl: int) -> None:
    """S20: it is counted, and as a take-over where somebody held the row."""
    now = max(clock, before.changed_at)
    assert grant(before, claim, ttl, clock, NUMBER) == evolve(
        before,
        version=NUMBER,
        changed_at=now,
        token=NUMBER,
        claim=claim,
        held=True,
        expires_at=StoreTime(now + ttl),
        claims=before.claims + 1,
        lost=before.lost + before.held,
    )


@given(strategies.records(), strategies.records())
def test_what_gives_a_worker_something_to_do(before: Record, after: Record) -> None:
    freed = before.held and not after.held
    flagged = before.cancel is None and after.cancel is not None
    assert makes_work(before, after) == (after.outcome is None and (freed or flagged))
    assert makes_work(None, after)


def test_a_wait_doubles_no_more_than_thirty_times() -> None:
    """However often a row was lost, the number stays one that every store can keep."""
    limits = Limits(takeover_wait=1, takeover_cap=1 << 62)
    assert [takeover_wait(k, limits) for k in (2, 3, 32, 33, 1_000)] == [1, 2, 1 << 30, 1 << 30, 1 << 30]
