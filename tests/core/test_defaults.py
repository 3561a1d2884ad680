"""What is left out is nothing, or what the contract says: every default, and what is stored of an enumeration."""

from __future__ import annotations

import pytest
from attrs import evolve

from tenure import attempt
from tenure import attempt_types as t
from tenure.app import App
from tenure.attempt_opening import claim_one
from tenure.canonical import canonical
from tenure.errors import NotJson
from tenure.instants import Instant, StoreTime
from tenure.process import ClaimId, EndedBy, Record
from tenure.replies import Reason
from tenure.requests import Claim
from tenure.timings import LeaseTimings
from tests.core.samples import RECORD

TIMINGS = LeaseTimings()
NOW = Instant(3)


def test_terms_that_nothing_is_said_of_are_the_contracts() -> None:
    """CONTRACT §4: `max_lost` is 10. No tier fault, no bound of a kind; transient trouble waits five seconds."""
    assert t.Terms(TIMINGS, "", ("k",)) == t.Terms(TIMINGS, "", ("k",), (), 10, "", 5_000)


def test_an_event_that_says_nothing_more_has_no_detail_no_tag_and_no_jitter() -> None:
    refused = t.CallRefused(1, Reason.TOO_LARGE, now=NOW)
    assert refused == t.CallRefused(1, Reason.TOO_LARGE, "", now=NOW, tag=0, jitter=0)
    assert t.CallUnavailable(1, now=NOW) == t.CallUnavailable(1, "", now=NOW, tag=0, jitter=0)
    assert t.CallUnknown(1, now=NOW) == t.CallUnknown(1, "", now=NOW, tag=0, jitter=0)


def test_a_record_that_nothing_happened_to_has_no_lease_and_no_end() -> None:
    row = Record(RECORD.registration, 1, 2, StoreTime(3), StoreTime(4))
    nothing = (0, None, False, StoreTime(0), None, 0, 0, 0, None, None, "")
    assert row == Record(RECORD.registration, 1, 2, StoreTime(3), StoreTime(4), *nothing)


def test_what_ended_a_process_is_stored_by_these_names() -> None:
    """They are in every store's rows: another name would be another format."""
    assert [how.value for how in EndedBy] == ["complete", "release", "cancel", "external"]


def test_a_single_claim_that_waits_past_its_budget_wakes_at_the_budget() -> None:
    claim = Claim(ClaimId("us", 1), "p", TIMINGS.ttl_ms)
    claiming = claim_one(t.Terms(TIMINGS, "", ("k",)), claim, t.Tick(now=Instant(0), tag=1)).state
    assert isinstance(claiming, t.Claiming)
    assert claiming.doubtful is False
    late = evolve(claiming, retry_at=Instant(TIMINGS.budget_ns + 1))
    assert attempt.next_wakeup(late) == t.Wakeup(Instant(TIMINGS.budget_ns), "budget")


def test_an_application_begins_without_kinds() -> None:
    """Whatever is handed to it beside its name."""
    given: dict[str, object] = {}
    with pytest.raises(TypeError):
        App("shop", given)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        App("shop", _kinds=given)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert not App().kinds
    assert App().name == "app"


def test_a_value_without_a_name_is_called_the_value() -> None:
    with pytest.raises(NotJson, match=r"^the value "):
        canonical(object())
