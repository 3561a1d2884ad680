"""How the store thread forms batches (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from tenure.canonical import Json, canonical
from tenure.instants import Instant
from tenure.process import Cancelled, ClaimId, Failure, Fence, Registration, Success, Work
from tenure.replies import Fenced, Unavailable
from tenure.requests import (
    AppendEvent,
    ClaimFilter,
    ClaimNext,
    Complete,
    EmitEvent,
    Get,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_driver.batches import (
    CLAIMS,
    FENCED,
    MAX_BYTES,
    MAX_COUNT,
    MAX_LOST,
    RENEWALS,
    TOO_LATE,
    Batches,
    size_of,
)
from tenure_driver.messages import StoreCall

FENCE = Fence("a", ClaimId("w", 1), 1)
NULL = Json("null")
RENEW, COMPLETE, RELEASE = Renew(FENCE, 1), Complete(FENCE, Success()), Release(FENCE)
EFFECT, EMIT = RecordEffect(FENCE, "k", "f", NULL), EmitEvent(FENCE, "t", NULL, "k")
REGISTER, CANCEL, READ = Register(Registration("a", Work("k"))), RequestCancel("a"), Get("a")
CLAIM = ClaimNext(ClaimId("w", 1), 1, 1, ClaimFilter("", ("k",)))

numbers = count(1)


def call(request: Request) -> StoreCall:
    return StoreCall(next(numbers), request, None)


def formed(batches: Batches, *requests: Request) -> list[list[Request]]:
    """All batches, as requests."""
    batches.add([call(request) for request in requests])
    found: list[list[Request]] = []
    while (batch := batches.next()) is not None:
        found.append([one.request for one in batch[1]])
    return found


def test_the_order_of_a_round_and_claims_alone() -> None:
    mixed = (CLAIM, READ, EMIT, CANCEL, EFFECT, RENEW, RELEASE, CLAIM, REGISTER, COMPLETE, RENEW)
    assert formed(Batches(), *mixed) == [
        [RENEW, RENEW],
        [COMPLETE, RELEASE, EFFECT, EMIT],
        [CANCEL, REGISTER],
        [READ],
        [CLAIM],
        [CLAIM],
    ]
    assert Batches().next() is None


def test_renewals_overtake_and_nothing_starves() -> None:
    """L3: a lease is not lost because others wait, and L8: nothing waits for ever."""
    batches = Batches()
    batches.add(call(REGISTER) for _ in range(3 * MAX_COUNT))
    batches.add([call(READ), call(CLAIM)])
    kinds: list[type] = []
    while (batch := batches.next()) is not None:
        kinds.append(type(batch[1][0].request))
        if len(kinds) in (1, 3):
            batches.add([call(RENEW)])
    assert kinds == [Register, Renew, Get, Renew, ClaimNext, Register, Register]


def test_batches_are_bounded_in_count() -> None:
    sizes = [len(batch) for batch in formed(Batches(), *[EMIT] * (2 * MAX_COUNT + 1))]
    assert sizes == [MAX_COUNT, MAX_COUNT, 1]


def test_batches_are_bounded_in_bytes() -> None:
    text = canonical("x" * (MAX_BYTES // 3))
    big = Complete(FENCE, Success(text))
    assert [len(batch) for batch in formed(Batches(), *[big] * 5)] == [2, 2, 1]
    huge = Complete(FENCE, Success(canonical("x" * (2 * MAX_BYTES))))
    assert [len(batch) for batch in formed(Batches(), huge, huge, RELEASE)] == [1, 1, 1]


def test_what_a_request_weighs() -> None:
    text = canonical("x" * 98)
    heavy: Sequence[Request] = [
        Complete(FENCE, Success(text)),
        Complete(FENCE, Failure("c", "d", str(text))),
        RecordEffect(FENCE, "k", "f", text),
        EmitEvent(FENCE, "t", text, "k"),
        AppendEvent("a", "t", text, "k"),
        Register(Registration("a", Work("k", text))),
    ]
    assert [size_of(request) for request in heavy] == [100] * 6
    assert [size_of(request) for request in (RENEW, READ, CLAIM, Complete(FENCE, Cancelled()))] == [0] * 4


def test_a_class_that_failed_twice_goes_out_in_ever_smaller_batches() -> None:
    """L8: one request that breaks its transaction ends up alone."""
    batches, sizes = Batches(), list[int]()
    for _ in range(14):
        batches.add(call(EMIT) for _ in range(MAX_COUNT))
        formed_now = batches.next()
        assert formed_now is not None
        sizes.append(len(formed_now[1]))
        batches.done(FENCED, failed=True)
    assert sizes == [1000, 1000, 500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1, 1]
    # One that went through, and the next is whole again; other classes never shrank.
    batches.done(FENCED, failed=False)
    again = batches.next()
    assert again is not None
    assert len(again[1]) == MAX_COUNT
    assert len(formed(Batches(), *[REGISTER] * MAX_COUNT)) == 1


def test_what_is_too_late_does_not_leave() -> None:
    """S14, S13: looked at right before it would."""
    batches = Batches()
    early, late, reading = (
        StoreCall(1, RENEW, Instant(6)),
        StoreCall(2, RENEW, Instant(5)),
        StoreCall(3, READ, None),
    )
    assert batches.leaving([early, late, reading], Instant(6)) == ([early, reading], [(late, TOO_LATE)])


def test_what_waits_under_a_lost_lease_does_not_leave() -> None:
    """S14: sent again since its answer was late, it was still waiting when that answer came, and was Fenced."""
    batches, other = Batches(), Renew(Fence("b", ClaimId("w", 2), 2), 1)
    first, again = StoreCall(1, RENEW, Instant(9)), StoreCall(2, COMPLETE, Instant(9))
    another = StoreCall(3, other, Instant(9))
    batches.heard(RENEWALS, [first, another], [Fenced(), Unavailable()])
    assert batches.leaving([again, another], Instant(1)) == ([another], [(again, Fenced())])


def test_lost_leases_are_forgotten_in_the_end() -> None:
    batches = Batches()
    calls = [StoreCall(n, Renew(Fence("a", ClaimId("w", n), n), 1), Instant(9)) for n in range(MAX_LOST + 1)]
    batches.heard(RENEWALS, calls, [Fenced()] * len(calls))
    kept, dropped = batches.leaving(calls, Instant(1))
    assert (kept, len(dropped)) == (calls[:1], MAX_LOST)


def test_a_claim_that_was_superseded_loses_no_lease() -> None:
    batches = Batches()
    batches.heard(CLAIMS, [call(CLAIM)], [Fenced()])
    again = StoreCall(1, RENEW, Instant(9))
    assert batches.leaving([again], Instant(1)) == ([again], [])
