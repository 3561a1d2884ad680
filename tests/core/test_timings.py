"""Lease timings: the inequality of CONTRACT §6, and what follows from them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.errors import InvalidTimings, InvalidValue
from tenure.instants import NANOS_PER_SECOND
from tenure.timings import LeaseTimings, nanos

durations = st.integers(0, 40).map(float)


def test_the_defaults() -> None:
    """CONTRACT §6: the deadline is 24 s after the sending, an outcome is offered for a ttl longer."""
    timings = LeaseTimings()
    assert timings.ttl_ms == 30_000
    assert timings.budget_ns == 24 * NANOS_PER_SECOND
    assert timings.opening_ns == 60 * NANOS_PER_SECOND
    assert timings.patience_ns == 30 * NANOS_PER_SECOND
    assert timings.renew_slack_ns == nanos(1.25)
    assert LeaseTimings(completion_patience=2).patience_ns == 2 * NANOS_PER_SECOND


@given(durations, durations, durations, durations, durations)
def test_the_inequality(ttl: float, renew: float, call: float, margin: float, grace: float) -> None:
    """One renewal may be lost, and the handler is still stopped before the row can be taken."""
    fits = 2 * renew + call + margin + grace <= ttl and renew > 0
    if not fits:
        with pytest.raises(InvalidTimings, match="must not exceed"):
            LeaseTimings(ttl, renew, call, margin, grace)
        return
    timings = LeaseTimings(ttl, renew, call, margin, grace)
    assert timings.budget_ns >= 2 * timings.renew_interval_ns + timings.call_timeout_ns
    assert timings.budget_ns + timings.stop_grace_ns <= timings.ttl_ns, "C3"
    assert timings.renew_slack_ns < timings.renew_interval_ns


def test_the_inequality_to_the_millisecond() -> None:
    assert LeaseTimings(ttl=29).budget_ns == 23 * NANOS_PER_SECOND
    with pytest.raises(InvalidTimings, match=r"= 29 s must not exceed ttl = 28\.999 s"):
        LeaseTimings(ttl=28.999)


@pytest.mark.parametrize("ttl", [0.5, 1, 3, 30, 900])
def test_scaled(ttl: float) -> None:
    """Tests and demos run on short leases of the same proportions."""
    timings = LeaseTimings.scaled(ttl)
    assert timings.ttl == ttl
    assert abs(timings.budget_ns - 0.8 * timings.ttl_ns) < 10


def test_scaled_to_the_default_it_is_the_default() -> None:
    assert LeaseTimings.scaled(30.0) == LeaseTimings()


def test_all_that_is_derived_is_a_whole_number() -> None:
    """Of nanoseconds: the machines compare them for equality."""
    derived = [name for name in vars(type(LeaseTimings())) if name.endswith("_ns")]
    timings = LeaseTimings(ttl=30.1, renew_interval=9.99999999)
    assert len(derived) == 8
    assert {type(getattr(timings, name)) for name in derived} == {int}


def test_the_longest_and_the_shortest() -> None:
    """A year is the most, a nanosecond between renewals the least."""
    year = 366 * 86_400.0
    assert LeaseTimings(ttl=year).ttl == year
    with pytest.raises(InvalidTimings) as caught:
        LeaseTimings(ttl=year + 1)
    assert str(caught.value) == "ttl=31622401.0 is not a duration in seconds between 0 and a year"
    assert LeaseTimings(renew_interval=1e-9).renew_interval_ns == 1
    with pytest.raises(InvalidTimings) as caught:
        LeaseTimings(renew_interval=0)
    assert str(caught.value) == (
        "2*renew_interval + call_timeout + margin + stop_grace = 9 s must not exceed ttl = 30 s, and renew_interval "
        "must be above 0: raise ttl or lower the others"
    )


@pytest.mark.parametrize("field", ["ttl", "renew_interval", "call_timeout", "margin", "stop_grace"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1e12])
def test_what_is_no_duration(field: str, value: float) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(InvalidTimings, match=f"{field}=.* is not a duration in seconds") as caught:
        LeaseTimings(**wrong)
    assert isinstance(caught.value, InvalidValue)


def test_a_patience_that_is_no_duration() -> None:
    with pytest.raises(InvalidTimings, match="completion_patience"):
        LeaseTimings(completion_patience=-1)


def test_timings_show_what_was_chosen_and_not_what_follows() -> None:
    assert repr(LeaseTimings(ttl=40)) == (
        "LeaseTimings(ttl=40, renew_interval=10.0, call_timeout=3.0, margin=1.0, stop_grace=5.0, "
        "completion_patience=None)"
    )
