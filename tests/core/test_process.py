"""What a process is: its outcome as JSON, its terminal event, when it is live."""

from __future__ import annotations

import pytest
from hypothesis import given

from tenure.canonical import Json, canonical, parsed
from tenure.errors import NotJson
from tenure.instants import StoreTime
from tenure.process import (
    ENDED,
    Cancelled,
    Event,
    External,
    Failure,
    Outcome,
    Record,
    Registration,
    Success,
    Work,
    outcome_json,
    terminal_event,
)
from tests.core import strategies


def read_back(text: Json) -> Outcome:
    """The outcome as a reader of the log has it: nothing of it is lost in the text."""
    body = parsed(text)
    control = canonical(body.get("control"))
    match body["status"]:
        case "succeeded":
            return Success(canonical(body["value"]), control)
        case "failed":
            return Failure(body["class"], body["code"], body["message"], canonical(body["raw"]), control)
        case _:
            return Cancelled(body["reason"], control)


@given(strategies.outcomes)
def test_an_outcome_comes_back_equal(outcome: Outcome) -> None:
    text = outcome_json(outcome)
    assert read_back(text) == outcome
    assert outcome_json(read_back(text)) == text
    assert text == canonical(parsed(text)), "it is canonical"


def test_the_text_of_each() -> None:
    """The same in every store, and read by people: `status` first asks what it was."""
    seven, control = canonical(7), canonical("next")
    assert outcome_json(Success(seven)) == '{"status":"succeeded","value":7}'
    assert outcome_json(Failure("ValueError", "bad", "no", seven)) == (
        '{"class":"ValueError","code":"bad","message":"no","raw":7,"status":"failed"}'
    )
    assert outcome_json(Cancelled("why", control)) == (
        '{"control":"next","reason":"why","status":"cancelled"}'
    )


@given(strategies.records())
def test_the_terminal_event_is_the_last_of_its_log(record: Record) -> None:
    """S6, S7: there is one, as soon as there is an outcome."""
    event = terminal_event(record)
    assert (event is None) == (record.outcome is None)
    if event is not None and record.outcome is not None:
        assert read_back(event.payload) == record.outcome
        assert event == Event(
            record.id, record.events, ENDED, event.payload, "r:ended", record.token, record.changed_at
        )


def test_an_outcome_that_is_no_json_is_named() -> None:
    with pytest.raises(NotJson) as caught:
        outcome_json(Failure("ValueError", "bad", "\0"))
    assert str(caught.value) == "the outcome is not JSON at $.message: it contains U+0000"


@given(strategies.records(), strategies.moments)
def test_store_time_never_goes_back_for_a_row(record: Record, clock: StoreTime) -> None:
    """C1; the expiry is exclusive (K18)."""
    now = record.now(clock)
    assert now >= max(clock, record.changed_at)
    assert record.live(now) == (record.held and now < record.expires_at)


def test_an_external_input_has_no_kind() -> None:
    assert Registration("p", Work("resize")).kind == "resize"
    assert Registration("p", External()).kind == ""
