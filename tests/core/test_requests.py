"""Requests take the numbers that every store carries exactly, and nothing else; limits say what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tenure.errors import InvalidValue
from tenure.limits import DEFAULT_LIMITS, Limits, bad_name, bad_text, noted, too_large
from tenure.process import ClaimId, Fence
from tenure.replies import Reason, Refused
from tenure.requests import (
    LARGEST,
    Claim,
    ClaimFilter,
    ClaimNext,
    List,
    Phase,
    Prune,
    ReadEvents,
    Register,
    Release,
    Renew,
    Request,
)
from tests.core.rows import registration

ID = ClaimId("us", 1)
FENCE = Fence("p", ID, 1)
ANY = ClaimFilter("", ())

SHORT = "must be a whole number within"
TEXTS: list[tuple[Callable[[], object], str]] = [
    (lambda: Renew(FENCE, -1), f"Renew.ttl is -1; it {SHORT} 0 and 9007199254740991"),
    (lambda: List(limit=0), f"List.limit is 0; it {SHORT} 1 and 9007199254740991"),
    (lambda: Claim(ClaimId("us", 0), "p", 1), f"Claim.claim is 0; it {SHORT} 1 and 9007199254740991"),
    (
        lambda: List(phase="over"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "a list's phase is 'over'; it must be one of Phase.PENDING, Phase.RUNNING, Phase.ENDED, or None for all",
    ),
    (
        lambda: List(kind=1),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "a list's kind is 1; it must be a string, or None for all",
    ),
]


@pytest.mark.parametrize(("make", "text"), TEXTS)
def test_a_request_that_cannot_be_says_why(make: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        make()
    assert str(caught.value) == text


WHOLE: list[Callable[[int], Request]] = [
    lambda n: Renew(FENCE, n),
    lambda n: Release(FENCE, n),
    lambda n: Claim(ID, "p", n),
    lambda n: ClaimNext(ID, n, 1, ANY),
    lambda n: ClaimNext(ID, 1, n, ANY),
    lambda n: Register(registration("p"), n),
    lambda n: Prune(older_than=n),
    lambda n: List(after=n),
]
COUNTED: list[Callable[[int], Request]] = [
    lambda n: Claim(ClaimId("us", n), "p", 1),
    lambda n: ClaimNext(ClaimId("us", n), 1, 1, ANY),
    lambda n: Prune(limit=n),
    lambda n: List(limit=n),
    lambda n: ReadEvents("p", limit=n),
]


@pytest.mark.parametrize("make", WHOLE)
def test_whole_numbers(make: Callable[[int], Request]) -> None:
    make(0)
    make(LARGEST)
    for wrong in (-1, LARGEST + 1, True):
        with pytest.raises(
            InvalidValue, match=f"is {wrong!r}; it must be a whole number within 0 and {LARGEST}"
        ):
            make(wrong)


@pytest.mark.parametrize("make", COUNTED)
def test_counts_begin_at_one(make: Callable[[int], Request]) -> None:
    make(1)
    make(LARGEST)
    for wrong in (0, LARGEST + 1, True):
        with pytest.raises(
            InvalidValue, match=f"is {wrong!r}; it must be a whole number within 1 and {LARGEST}"
        ):
            make(wrong)


def reason(refused: Refused | None) -> Reason | None:
    return refused.reason if refused else None


def test_names() -> None:
    assert bad_name("a" * 255, DEFAULT_LIMITS) is None
    assert reason(bad_name("a" * 256, DEFAULT_LIMITS)) is Reason.NAME_TOO_LONG
    assert reason(bad_name(" \t\u2003", DEFAULT_LIMITS)) is Reason.BLANK
    assert reason(bad_name("\ud800", DEFAULT_LIMITS)) is Reason.BAD_TEXT
    assert bad_text("", 1) is None


def test_sizes_are_of_bytes() -> None:
    limits = Limits(payload=8)
    assert too_large("üüüü", limits) is None
    assert too_large("aa", limits) is None
    assert reason(too_large("üüüüü", limits)) is Reason.TOO_LARGE
    assert reason(too_large("a\0", limits)) is Reason.BAD_TEXT


def test_a_note_can_be_kept_by_every_store() -> None:
    assert noted("a\0b\ud800ü") == "a?b?ü"
    assert len(noted("x" * 5_000)) == 1_000


def test_the_phases_have_the_names_that_readers_ask_for() -> None:
    assert [phase.value for phase in Phase] == ["pending", "running", "ended"]
