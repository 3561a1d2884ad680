"""The rules of one row that have a reason to name: refusals, and the order of tests in CONTRACT §3."""

from __future__ import annotations

import pytest
from attrs import evolve

from tenure.canonical import canonical
from tenure.limits import Limits
from tenure.process import (
    Cancelled,
    EndedBy,
    External,
    Failure,
    Fence,
    Provenance,
    Registration,
    Success,
    Work,
)
from tenure.replies import Completed, EffectRecorded, EventAppended, Fenced, Reason, Registered, Released
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
from tests.core.rows import TTL, Rows, registration

SMALL = Limits(payload=100, name=10)
LONG = canonical("x" * 101)
PAYLOAD = canonical(1)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (registration(" "), Reason.BLANK),
        (registration(""), Reason.BLANK),
        (registration("p" * 11), Reason.NAME_TOO_LONG),
        (registration("p\0"), Reason.BAD_TEXT),
        (registration("p\ud800"), Reason.BAD_TEXT),
        (registration("p", kind=""), Reason.BLANK),
        (registration("p", owner="o" * 11), Reason.NAME_TOO_LONG),
        (registration("p", profile="\0"), Reason.BAD_TEXT),
        (Registration("p", Work("k", LONG)), Reason.TOO_LARGE),
        (Registration("p", External(LONG)), Reason.TOO_LARGE),
        (Registration("p", Work("k"), ("",)), Reason.BLANK),
        (Registration("p", Work("k"), ("process.x",)), Reason.RESERVED_EVENT),
    ],
)
def test_bad_registrations(wanted: Registration, reason: Reason) -> None:
    assert Rows(SMALL).refused(Register(wanted)) is reason


def test_registering_is_idempotent_by_content() -> None:
    rows = Rows()
    first = rows.get(Register(registration("p"), delay=500), Registered)
    assert rows.record("p").ready_at == 500
    again = rows.get(Register(registration("p")), Registered)
    assert again == first, "the delay is not compared"
    assert rows.refused(Register(registration("p", kind="other"))) is Reason.CONFLICT


def test_an_external_process_needs_no_kind() -> None:
    rows = Rows()
    rows.get(Register(Registration("x", External(PAYLOAD), (), Provenance())), Registered)
    assert rows.record("x").registration.kind == ""


@pytest.mark.parametrize(
    ("kind", "payload", "key", "reason"),
    [
        ("process.ended", PAYLOAD, "a", Reason.RESERVED_EVENT),
        ("other", PAYLOAD, "a", Reason.UNDECLARED_EVENT),
        (" ", PAYLOAD, "a", Reason.BLANK),
        ("progress", PAYLOAD, "", Reason.BLANK),
        ("progress", LONG, "a", Reason.TOO_LARGE),
    ],
)
def test_bad_events_of_a_handler(kind: str, payload: str, key: str, reason: Reason) -> None:
    rows = Rows(SMALL)
    rows.register("p")
    assert rows.refused(EmitEvent(rows.claim("p"), kind, canonical(payload), key)) is reason


def test_bad_events_of_a_client() -> None:
    rows = Rows(SMALL)
    rows.register("p")
    assert rows.refused(AppendEvent("p", "process.x", PAYLOAD, "a")) is Reason.RESERVED_EVENT
    assert rows.refused(AppendEvent("nobody", "note", PAYLOAD, "a")) is Reason.NOT_FOUND
    rows.ask(RequestCancel("p"))
    assert rows.refused(AppendEvent("p", "note", PAYLOAD, "a")) is Reason.ENDED


def test_keys_of_handlers_and_clients_are_apart() -> None:
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    emitted = rows.get(EmitEvent(fence, "progress", PAYLOAD, "a"), EventAppended)
    appended = rows.get(AppendEvent("p", "note", PAYLOAD, "a"), EventAppended)
    assert (emitted.seq, appended.seq) == (1, 2)


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (("", "f", PAYLOAD), Reason.BLANK),
        (("a", "f" * 11, PAYLOAD), Reason.NAME_TOO_LONG),
        (("a", "f", LONG), Reason.TOO_LARGE),
    ],
)
def test_bad_effects(effect: tuple[str, str, str], reason: Reason) -> None:
    rows = Rows(SMALL)
    rows.register("p")
    key, fingerprint, result = effect
    assert rows.refused(RecordEffect(rows.claim("p"), key, fingerprint, canonical(result))) is reason


@pytest.mark.parametrize(
    "outcome", [Success(LONG), Failure("c", "d", "x" * 101), Cancelled("x" * 101), Success(PAYLOAD, LONG)]
)
def test_outcomes_that_are_too_large(outcome: Success | Failure | Cancelled) -> None:
    rows = Rows(SMALL)
    rows.register("p")
    assert rows.refused(Complete(rows.claim("p"), outcome)) is Reason.TOO_LARGE
    rows.get(Register(Registration("x", External())), Registered)
    assert rows.refused(CompleteExternal("x", "them", outcome)) is Reason.TOO_LARGE


def test_a_reason_that_is_too_large() -> None:
    rows = Rows(SMALL)
    rows.register("p")
    assert rows.refused(RequestCancel("p", "x" * 101)) is Reason.TOO_LARGE
    assert rows.refused(RequestCancel("p", "\0")) is Reason.BAD_TEXT
    assert rows.refused(RequestCancel("nobody")) is Reason.NOT_FOUND


def test_completing_an_external_process() -> None:
    rows = Rows()
    rows.register("p")
    rows.get(Register(Registration("x", External())), Registered)
    assert rows.refused(CompleteExternal("nobody", "them", Success())) is Reason.NOT_FOUND
    assert rows.refused(CompleteExternal("p", "them", Success())) is Reason.NOT_EXTERNAL
    assert rows.refused(CompleteExternal("x", " ", Success())) is Reason.BLANK
    first = rows.get(CompleteExternal("x", "them", Success()), Completed)
    assert rows.get(CompleteExternal("x", "them", Success()), Completed) == first
    assert rows.refused(CompleteExternal("x", "us", Success())) is Reason.CONFLICT
    assert rows.refused(CompleteExternal("x", "them", Cancelled())) is Reason.CONFLICT


# --- the order of tests, CONTRACT §3 ------------------------------------------------------------------------------


def every_fenced_request(fence: Fence) -> list[FencedRequest]:
    return [
        Renew(fence, TTL),
        RecordEffect(fence, "a", "f", PAYLOAD),
        EmitEvent(fence, "progress", PAYLOAD, "a"),
        Complete(fence, Success(PAYLOAD)),
        Release(fence),
    ]


REQUESTS = pytest.mark.parametrize("number", range(5), ids=["Renew", "Effect", "Emit", "Complete", "Release"])


@REQUESTS
def test_a_row_that_is_gone_is_fenced(number: int) -> None:
    rows = Rows()
    rows.register("p")
    fence = evolve(rows.claim("p"), process_id="q")
    assert rows.ask(every_fenced_request(fence)[number]) == Fenced()
    assert len(rows.state.records) == 1, "and nothing is inserted (K20)"


@REQUESTS
def test_terminal_comes_before_the_fence(number: int) -> None:
    """Rule 2: whoever ended it otherwise, the holder's requests are fenced."""
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    rows.after(TTL)
    rows.ask(RequestCancel("p"))
    assert rows.record("p").ended_by is EndedBy.CANCEL
    assert rows.ask(every_fenced_request(fence)[number]) == Fenced()


@REQUESTS
def test_a_newer_token_fences_the_old_one(number: int) -> None:
    """Rule 3, and K1, K2, K3."""
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    rows.after(TTL)
    rows.claim("p", owner="them")
    before = rows.state
    assert rows.ask(every_fenced_request(fence)[number]) == Fenced()
    assert rows.state == before


@REQUESTS
@pytest.mark.parametrize("part", ["claim", "token"])
def test_every_part_of_the_fence_counts(number: int, part: str) -> None:
    """S4, K23: the same token under another claim id, or the other way round, is no fence."""
    rows = Rows()
    rows.register("p", "q")
    fence, other = rows.claim("p"), rows.claim("q")
    wrong = evolve(fence, **{part: getattr(other, part)})
    assert rows.ask(every_fenced_request(wrong)[number]) == Fenced()


@REQUESTS
def test_an_expired_lease_that_nobody_took(number: int) -> None:
    """S5: Renew and RecordEffect test the expiry; the others lose nothing by being accepted."""
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    rows.after(TTL)
    answer = rows.ask(every_fenced_request(fence)[number])
    assert (answer == Fenced()) == (number < 2)


def test_a_replay_comes_before_terminal_and_fence() -> None:
    """Rule 1: what this token had applied is answered although another worker has ended the process since."""
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    effect, event = RecordEffect(fence, "a", "f", PAYLOAD), EmitEvent(fence, "progress", PAYLOAD, "a")
    rows.get(effect, EffectRecorded)
    rows.get(event, EventAppended)
    rows.after(TTL)
    rows.ask(Complete(rows.claim("p", owner="them"), Success()))
    assert rows.get(effect, EffectRecorded).result == PAYLOAD
    assert rows.get(event, EventAppended).seq == 1


def test_releasing_again_after_another_claim_is_fenced() -> None:
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    released = rows.get(Release(fence), Released)
    assert rows.get(Release(fence), Released) == released
    rows.claim("p", owner="them")
    assert rows.ask(Release(fence)) == Fenced()


def test_a_release_that_ended_the_process_is_replayed() -> None:
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    rows.ask(RequestCancel("p", "why"))
    released = rows.get(Release(fence), Released)
    assert released.outcome == Cancelled("why")
    assert rows.get(Release(fence), Released) == released
    assert rows.ask(Complete(fence, Cancelled("why"))) == Fenced(), (
        "it was not its Complete that ended the row"
    )


def test_an_earlier_key_comes_after_the_fence() -> None:
    """Rule 4: the next holder is answered what is stored; the fingerprint must be the same (S11)."""
    rows = Rows()
    rows.register("p")
    first = rows.claim("p")
    rows.get(RecordEffect(first, "a", "f", PAYLOAD), EffectRecorded)
    rows.get(EmitEvent(first, "progress", PAYLOAD, "a"), EventAppended)
    rows.after(TTL)
    second = rows.claim("p", owner="them")
    stored = rows.get(RecordEffect(second, "a", "f", canonical("another")), EffectRecorded)
    assert stored.result == PAYLOAD
    assert rows.refused(RecordEffect(second, "a", "g", PAYLOAD)) is Reason.EFFECT_MISMATCH
    assert rows.get(EmitEvent(second, "undeclared", PAYLOAD, "a"), EventAppended).seq == 1


def test_one_key_for_two_functions_in_one_attempt() -> None:
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    rows.get(RecordEffect(fence, "a", "f", PAYLOAD), EffectRecorded)
    assert rows.refused(RecordEffect(fence, "a", "g", PAYLOAD)) is Reason.EFFECT_MISMATCH
