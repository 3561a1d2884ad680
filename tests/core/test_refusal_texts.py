"""Every refusal as the caller reads it, the reason and the whole sentence: they reach users, logs and other languages'
stores, so a word that changes is a change."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tenure.canonical import Json, canonical
from tenure.claims import refuse_claim
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import (
    Cancelled,
    ClaimId,
    Effect,
    EndedBy,
    External,
    Failure,
    Fence,
    Provenance,
    Record,
    Registration,
    Success,
    Work,
)
from tenure.registry import Decision, RowRequest, decide
from tenure.replies import Reason, Refused
from tenure.requests import (
    AppendEvent,
    Complete,
    CompleteExternal,
    EmitEvent,
    RecordEffect,
    Register,
    RequestCancel,
)

SMALL = Limits(payload=20, name=5)
PAYLOAD = canonical(1)
LONG = canonical("x" * 19)
WIDE = canonical("ü" * 9 + "x")
"""21 bytes each."""
FENCE = Fence("p", ClaimId("us", 1), 4)
HELD = Record(
    Registration("p", Work("k"), ("note",), Provenance("o", "h")),
    seq=1,
    version=4,
    changed_at=StoreTime(0),
    ready_at=StoreTime(0),
    token=4,
    claim=FENCE.claim,
    held=True,
    expires_at=StoreTime(30_000),
)
ENDED = evolve(HELD, held=False, outcome=Success(), ended_by=EndedBy.COMPLETE)
OUTSIDE = Record(Registration("x", External()), 2, 2, StoreTime(0), StoreTime(0))
GONE = evolve(OUTSIDE, outcome=Success(), ended_by=EndedBy.EXTERNAL, authority="them")

BLANK = Refused(Reason.BLANK, "an id, kind, key or type must not be empty or blank")
LONG_NAME = Refused(Reason.NAME_TOO_LONG, "6 characters; the limit is 5")
NUL = Refused(Reason.BAD_TEXT, "it contains U+0000")
SURROGATE = Refused(Reason.BAD_TEXT, "it contains a lone surrogate")
TOO_LARGE = Refused(Reason.TOO_LARGE, "21 bytes; the limit is 20")
RESERVED = Refused(Reason.RESERVED_EVENT, "event types beginning with 'process.' are the registry's own")
CLOSED = Refused(Reason.ENDED, "its log is closed")
NOT_FOUND = Refused(Reason.NOT_FOUND)


def conflict(text: str) -> Refused:
    return Refused(Reason.CONFLICT, text)


def registered(**changes: Any) -> Register:
    return Register(evolve(HELD.registration, **changes))


CASES: list[tuple[Record | None, RowRequest, Refused]] = [
    (None, registered(id=" "), BLANK),
    (None, registered(id="p" * 6), LONG_NAME),
    (None, registered(id="p\0"), NUL),
    (None, registered(id="\udfff"), SURROGATE),
    (None, registered(input=Work("")), BLANK),
    (None, registered(input=Work("k" * 6)), LONG_NAME),
    (None, registered(event_types=("note", "")), BLANK),
    (None, registered(provenance=Provenance("o" * 6)), LONG_NAME),
    (None, registered(provenance=Provenance("", "h" * 6)), LONG_NAME),
    (None, registered(provenance=Provenance("\0")), NUL),
    (None, registered(input=Work("k", LONG)), TOO_LARGE),
    (None, registered(input=Work("k", WIDE)), TOO_LARGE),
    (None, registered(input=External(LONG)), TOO_LARGE),
    (None, registered(input=Work("k", Json('"\0"'))), NUL),
    (HELD, registered(input=External()), conflict("the id exists with another kind of input ('k')")),
    (HELD, registered(input=Work("other")), conflict("the id exists with another kind of input ('k')")),
    (OUTSIDE, registered(), conflict("the id exists with another kind of input ('external')")),
    (HELD, registered(input=Work("k", PAYLOAD)), conflict("the id exists with another payload")),
    (HELD, registered(event_types=()), conflict("the id exists with other event types")),
    (HELD, registered(provenance=Provenance()), conflict("the id exists with another owner or host profile")),
    (HELD, EmitEvent(FENCE, "process.x", PAYLOAD, "a"), RESERVED),
    (HELD, EmitEvent(FENCE, "", PAYLOAD, "a"), BLANK),
    (HELD, EmitEvent(FENCE, "note", PAYLOAD, "\t"), BLANK),
    (HELD, EmitEvent(FENCE, "note", PAYLOAD, "a" * 6), LONG_NAME),
    (HELD, EmitEvent(FENCE, "note", LONG, "a"), TOO_LARGE),
    (
        HELD,
        EmitEvent(FENCE, "other", PAYLOAD, "a"),
        Refused(Reason.UNDECLARED_EVENT, "'other' is not among ('note',)"),
    ),
    (HELD, RecordEffect(FENCE, "", "f", PAYLOAD), BLANK),
    (HELD, RecordEffect(FENCE, "a" * 6, "f", PAYLOAD), LONG_NAME),
    (HELD, RecordEffect(FENCE, "a", "f" * 6, PAYLOAD), LONG_NAME),
    (HELD, RecordEffect(FENCE, "a", "f", LONG), TOO_LARGE),
    (HELD, Complete(FENCE, Success(LONG, Json(""))), TOO_LARGE),
    (HELD, Complete(FENCE, Failure("c", "d", "x\0")), NUL),
    (ENDED, Complete(FENCE, Cancelled()), conflict("this attempt ended the process with another outcome")),
    (HELD, AppendEvent("p", "process.x", PAYLOAD, "a"), RESERVED),
    (HELD, AppendEvent("p", "note", PAYLOAD, ""), BLANK),
    (HELD, AppendEvent("p", "note", LONG, "a"), TOO_LARGE),
    (ENDED, AppendEvent("p", "note", PAYLOAD, "a"), CLOSED),
    (None, AppendEvent("p", "note", PAYLOAD, "a"), NOT_FOUND),
    (HELD, RequestCancel("p", "x" * 21), TOO_LARGE),
    (HELD, RequestCancel("p", "\0"), NUL),
    (None, RequestCancel("p"), NOT_FOUND),
    (None, CompleteExternal("p", "them", Success()), NOT_FOUND),
    (
        HELD,
        CompleteExternal("p", "them", Success()),
        Refused(Reason.NOT_EXTERNAL, "a handler's process is completed by its worker"),
    ),
    (
        GONE,
        CompleteExternal("x", "us", Success()),
        conflict("it has ended with another outcome or by another authority"),
    ),
    (OUTSIDE, CompleteExternal("x", " ", Success()), BLANK),
    (OUTSIDE, CompleteExternal("x", "them", Success(LONG, Json(""))), TOO_LARGE),
]


@pytest.mark.parametrize(("row", "request_", "refused"), CASES)
def test_a_refusal_says_why(row: Record | None, request_: RowRequest, refused: Refused) -> None:
    assert decide(row, request_, None, StoreTime(0), 5, SMALL) == Decision(refused)


def test_another_event_type_of_the_registry_s_own_is_declared_by_nobody() -> None:
    request = Register(evolve(HELD.registration, event_types=("process.x",)))
    assert decide(None, request, None, StoreTime(0), 5, Limits()) == Decision(RESERVED)


def test_another_effect_under_the_same_key() -> None:
    found = Effect("p", "a", "one()", PAYLOAD, 4, 4)
    decision = decide(HELD, RecordEffect(FENCE, "a", "two()", PAYLOAD), found, StoreTime(0), 5, Limits())
    mismatch = Refused(Reason.EFFECT_MISMATCH, "recorded for one(), asked for two()")
    assert decision == Decision(mismatch)


@pytest.mark.parametrize("size", [19, 20])
def test_a_limit_is_the_last_size_that_is_taken(size: int) -> None:
    body = canonical("x" * (size - 2))
    assert decide(HELD, Complete(FENCE, Success(body, Json(""))), None, StoreTime(0), 5, SMALL).record
    assert decide(None, registered(id="p" * 5), None, StoreTime(0), 5, SMALL).record


@pytest.mark.parametrize(
    "outcome",
    [
        Success(canonical("x" * 11), canonical("x" * 6)),
        Failure("12345", "12345", "12345", Json("123"), Json("123")),
        Cancelled("x" * 16, Json("12345")),
    ],
)
def test_all_the_texts_of_an_outcome_count_together(outcome: Success | Failure | Cancelled) -> None:
    """Each of them is within the limit, and one byte less of any would do."""
    decision = decide(HELD, Complete(FENCE, outcome), None, StoreTime(0), 5, SMALL)
    assert decision == Decision(TOO_LARGE)
    assert decide(HELD, Complete(FENCE, outcome), None, StoreTime(0), 5, evolve(SMALL, payload=21)).record


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, Reason.NOT_FOUND),
        (ENDED, Reason.ENDED),
        (OUTSIDE, Reason.EXTERNAL),
        (HELD, Reason.HELD),
        (evolve(HELD, expires_at=StoreTime(0), lost=1), Reason.NOT_READY),
        (evolve(HELD, held=False, ready_at=StoreTime(1)), Reason.NOT_READY),
    ],
)
def test_why_one_process_cannot_be_claimed(row: Record | None, reason: Reason) -> None:
    assert refuse_claim(row, StoreTime(0), Limits()) == Refused(reason)
