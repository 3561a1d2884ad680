"""Laws of `decide`, the rule of one row, whatever the row and the request (CONTRACT §3, S2-S11, S16, S20)."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tenure.canonical import canonical
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
    Success,
)
from tenure.registry import Decision, RowRequest, decide, stored_key
from tenure.replies import (
    CancelAccepted,
    Completed,
    EffectRecorded,
    EventAppended,
    Fenced,
    Reason,
    Refused,
    Released,
    Renewed,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Complete,
    CompleteExternal,
    EmitEvent,
    FencedRequest,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tests.core import strategies
from tests.core.strategies import examples

LIMITS = Limits(payload=10_000)
NUMBER = 99
EXAMPLES = examples(100)
fenced_kinds = st.sampled_from([Renew, RecordEffect, EmitEvent, Complete, Release])
Case = tuple[Record, RowRequest, Event | Effect | None]


def fence_of(record: Record) -> Fence:
    return Fence(record.id, record.claim or ClaimId("us", 1), record.token)


@st.composite
def fenced_cases(draw: st.DrawFn) -> tuple[Record, FencedRequest, Event | Effect | None]:
    """A row, a request whose fence is the row's more often than not, and what its key may name already."""
    record = draw(strategies.records())
    fence = draw(st.just(fence_of(record)) | st.builds(Fence, st.just(record.id), *FENCE_PARTS))
    outcome = draw(st.just(record.outcome or Success()) | strategies.outcomes)
    key = draw(st.sampled_from(["a", ""]))
    request: FencedRequest
    found: Event | Effect | None = None
    match draw(fenced_kinds):
        case kind if kind is Renew:
            request = Renew(fence, draw(st.integers(0, 40_000)))
        case kind if kind is RecordEffect:
            request = RecordEffect(fence, key, draw(st.sampled_from(["f", "g"])), draw(strategies.bodies))
            if draw(strategies.booleans):
                writer = draw(st.just(fence.token) | strategies.tokens)
                found = Effect(record.id, key, "f", canonical("first"), writer, 3)
        case kind if kind is EmitEvent:
            kind_of = draw(st.sampled_from(["progress", "undeclared", "process.ended"]))
            request = EmitEvent(fence, kind_of, draw(strategies.bodies), key)
            if draw(strategies.booleans):
                writer = draw(st.just(fence.token) | strategies.tokens)
                found = Event(
                    record.id, 1, "progress", canonical(1), stored_key(request), writer, StoreTime(0)
                )
        case kind if kind is Complete:
            request = Complete(fence, outcome)
        case _:
            request = Release(fence, draw(st.sampled_from([0, 5_000])))
    return record, request, found


FENCE_PARTS = (strategies.claim_ids, strategies.tokens)


@st.composite
def client_cases(draw: st.DrawFn) -> Case:
    record = draw(strategies.records())
    kind = draw(st.sampled_from([Register, AppendEvent, RequestCancel, CompleteExternal]))
    request: RowRequest
    found: Event | None = None
    if kind is Register:
        request = Register(draw(st.just(record.registration) | strategies.registrations))
    elif kind is AppendEvent:
        request = AppendEvent(record.id, draw(st.sampled_from(["note", "process.x"])), canonical(1), "a")
        if draw(strategies.booleans):
            found = Event(record.id, 1, "note", canonical(1), stored_key(request), 0, StoreTime(0))
    elif kind is RequestCancel:
        request = RequestCancel(record.id, draw(strategies.reasons))
    else:
        outcome = draw(st.just(record.outcome or Success()) | strategies.outcomes)
        request = CompleteExternal(record.id, draw(st.sampled_from(["them", "us", ""])), outcome)
    return record, request, found


cases = st.one_of(fenced_cases(), client_cases())


def decided(case: Case, clock: StoreTime) -> Decision:
    record, request, found = case
    return decide(record, request, found, clock, NUMBER, LIMITS)


def holds(record: Record, fence: Fence) -> bool:
    return (
        record.outcome is None and record.held and (record.token, record.claim) == (fence.token, fence.claim)
    )


@given(cases, strategies.moments)
@EXAMPLES
def test_only_success_changes_the_row(case: Case, clock: StoreTime) -> None:
    """S20: a refusal moves nothing."""
    decision = decided(case, clock)
    if not isinstance(decision.answer, Succeeded):
        assert decision == Decision(decision.answer)
    if decision.record is None:
        assert decision.event is None
        assert decision.effect is None


@given(cases, strategies.moments)
@EXAMPLES
def test_what_a_change_may_touch(case: Case, clock: StoreTime) -> None:
    """S2, C1: it has the next number as its version, store time never goes back, and only a claim draws a token."""
    before, request, _ = case
    after = decided(case, clock).record
    if after is None:
        return
    assert after.version == NUMBER
    assert after.changed_at == max(clock, before.changed_at)
    for name in ("registration", "seq", "token", "claim", "claims"):
        assert getattr(after, name) == getattr(before, name)
    assert after.lost == before.lost or (after.lost == 0 and isinstance(request, RecordEffect | Release))
    assert after.events >= before.events


@given(cases, strategies.moments)
@EXAMPLES
def test_terminal_is_absorbing(case: Case, clock: StoreTime) -> None:
    """S7; S6 follows: there is one outcome at most."""
    decision = decided(case, clock)
    if case[0].outcome is not None:
        assert decision.record is None


@given(fenced_cases(), strategies.moments)
@EXAMPLES
def test_only_the_holder_changes_the_row(
    case: tuple[Record, FencedRequest, Event | Effect | None], clock: StoreTime
) -> None:
    """S4, S8, S9; S5: and within its lease, where the request tests the expiry."""
    before, request, _ = case
    decision = decided(case, clock)
    if decision.record is not None:
        assert holds(before, request.fence)
        if isinstance(request, Renew | RecordEffect):
            assert before.live(before.now(clock))
    elif holds(before, request.fence) and isinstance(request, Complete | Release):
        raise AssertionError("the expiry is not tested where accepting loses nothing")


@given(fenced_cases(), strategies.moments)
@EXAMPLES
def test_a_stranger_is_fenced(
    case: tuple[Record, FencedRequest, Event | Effect | None], clock: StoreTime
) -> None:
    """S4, K23: whoever neither holds the row nor ever wrote under this token hears nothing but Fenced."""
    record, request, found = case
    stranger = Fence(record.id, ClaimId("stranger", 1), 77)
    assert decided((record, evolve(request, fence=stranger), found), clock).answer == Fenced()
    assert decide(None, request, None, clock, NUMBER, LIMITS) == Decision(Fenced())


def again(before: Record, request: RowRequest, decision: Decision) -> Case:
    """The same request once more, after it was accepted."""
    return decision.record or before, request, decision.effect or decision.event


@given(cases, strategies.moments, strategies.moments)
@EXAMPLES
def test_replaying_changes_nothing_and_answers_the_same(
    case: Case, clock: StoreTime, later: StoreTime
) -> None:
    """S10, S11. Renew and RequestCancel are no replays."""
    before, request, found = case
    decision = decided(case, clock)
    if isinstance(request, Renew | RequestCancel) or not isinstance(decision.answer, Succeeded):
        return
    record, _, known = again(before, request, decision)
    assert decided((record, request, known or found), max(clock, later)) == Decision(decision.answer)


def held(record: Record) -> Record:
    """The row as its holder has it, whose claim this is."""
    return evolve(record, token=4, claim=ClaimId("us", 1), held=True, outcome=None, ended_by=None)


@given(strategies.records(), strategies.moments, st.integers(0, 40_000))
@EXAMPLES
def test_renewing(record: Record, clock: StoreTime, ttl: int) -> None:
    """It never shortens, revives nothing, and its reply carries the cancel flag (S5, S9, S16)."""
    before = held(record)
    decision = decided((before, Renew(fence_of(before), ttl), None), clock)
    after, answer = decision.record, decision.answer
    if not before.live(before.now(clock)):
        assert answer == Fenced()
        return
    assert after is not None
    assert after.expires_at == max(before.expires_at, before.now(clock) + ttl)
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Renewed)
    assert (answer.reply.cancel, answer.reply.expires_at) == (before.cancel, after.expires_at)


@given(strategies.records(), strategies.outcomes, strategies.outcomes, strategies.moments)
@EXAMPLES
def test_completing_again(record: Record, one: Any, other: Any, clock: StoreTime) -> None:
    """S11: the same outcome is answered as stored, another one is a conflict; S6: the first stands."""
    before = held(record)
    request = Complete(fence_of(before), one)
    first = decided((before, request, None), clock)
    assert first.record is not None
    assert (first.record.outcome, first.record.ended_by) == (one, EndedBy.COMPLETE)
    assert not first.record.held
    second = decided((first.record, evolve(request, outcome=other), None), clock)
    if one == other:
        assert second == Decision(first.answer)
        assert isinstance(first.answer, Succeeded)
        assert isinstance(first.answer.reply, Completed)
        assert first.answer.reply.outcome == one
    else:
        assert isinstance(second.answer, Refused)
        assert second.answer.reason is Reason.CONFLICT


@given(strategies.records(), strategies.reasons, strategies.moments)
@EXAMPLES
def test_cancelling(record: Record, reason: str, clock: StoreTime) -> None:
    """S16: sticky, the first reason wins; a row that is not live ends in the same transaction."""
    decision = decided((record, RequestCancel(record.id, reason), None), clock)
    answer, after = decision.answer, decision.record or record
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, CancelAccepted)
    assert answer.reply.outcome == after.outcome
    if record.outcome is not None:
        assert after == record
        return
    first = reason if record.cancel is None else record.cancel
    assert after.cancel == first
    assert (decision.event is None) == (record.cancel is not None)
    if decision.event is not None:
        assert (decision.event.type, decision.event.seq) == (CANCEL_REQUESTED, record.events + 1)
    live = record.live(record.now(clock))
    assert after.outcome == (None if live else Cancelled(first))
    assert after.events == record.events + (decision.event is not None) + (not live)


@given(strategies.records(), strategies.moments, st.integers(0, 9_000))
@EXAMPLES
def test_releasing(record: Record, clock: StoreTime, delay: int) -> None:
    """It frees the row and forgets its losses; a row with the cancel flag ends as cancelled instead (CONTRACT §4)."""
    before = held(record)
    decision = decided((before, Release(fence_of(before), delay), None), clock)
    after = decision.record
    assert after is not None
    assert not after.held
    assert isinstance(decision.answer, Succeeded)
    assert isinstance(decision.answer.reply, Released)
    assert decision.answer.reply.outcome == after.outcome
    if before.cancel is None:
        assert after.outcome is None
        assert (after.ready_at, after.lost) == (before.now(clock) + delay, 0)
    else:
        assert (after.outcome, after.ended_by) == (Cancelled(before.cancel), EndedBy.RELEASE)


@given(fenced_cases(), strategies.moments)
@EXAMPLES
def test_the_first_writer_of_a_key_wins(
    case: tuple[Record, FencedRequest, Event | Effect | None], clock: StoreTime
) -> None:
    """CONTRACT §3, rule 4: what an earlier token recorded is answered as stored."""
    _, request, found = case
    decision = decided(case, clock)
    if found is None or not isinstance(decision.answer, Succeeded):
        return
    reply = decision.answer.reply
    assert decision.record is None
    if isinstance(found, Effect):
        assert isinstance(request, RecordEffect)
        assert request.fingerprint == found.fingerprint
        assert isinstance(reply, EffectRecorded)
        assert reply.result == found.result
    else:
        assert isinstance(reply, EventAppended)
        assert reply.seq == found.seq


@given(strategies.records(), strategies.outcomes, strategies.moments)
@EXAMPLES
def test_only_external_processes_are_completed_from_outside(
    record: Record, outcome: Any, clock: StoreTime
) -> None:
    """S6, S17: an outcome of another's making is the external row's alone."""
    decision = decided((record, CompleteExternal(record.id, "them", outcome), None), clock)
    if isinstance(record.registration.input, External) and record.outcome is None:
        after = decision.record
        assert after is not None
        assert (after.outcome, after.authority, after.ended_by) == (outcome, "them", EndedBy.EXTERNAL)
    else:
        assert decision.record is None
