"""How the search keeps a session (CONTRACT §8): ranks stand for tokens, and a behaviour is told in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tenure_testing.checking import explore, named
from tenure_testing.checking.sessions import (
    HEIGHTS,
    LATEST,
    OLD,
    UNMARKED,
    Kept,
    SessionLaw,
    left,
    taken,
    writes,
)
from tests.checking.bugs import REASONS

NAME = "effects and session watermark"


def test_a_later_rank_is_a_higher_watermark() -> None:
    """By epoch first: a later one may have the lower token."""
    assert sorted(HEIGHTS, key=lambda rank: HEIGHTS[rank]) == sorted(HEIGHTS)
    assert sorted(HEIGHTS, key=lambda rank: HEIGHTS[rank][1]) != sorted(HEIGHTS)


@pytest.mark.parametrize("rival", [OLD, LATEST])
@pytest.mark.parametrize("mark", [UNMARKED, *HEIGHTS])
def test_a_new_token_leaves_the_order_of_the_others(rival: int, mark: int) -> None:
    """Before, the rival stood to the watermark as it stands to it now, as OLD; and all are before the row's."""
    kept = taken(Kept(mark=mark, opened=mark), rival)
    assert (kept.mark > OLD, kept.mark == OLD) == (mark > rival, mark == rival)
    assert kept.mark < LATEST
    assert (kept.mark == UNMARKED) == (mark == UNMARKED)
    assert kept.opened == kept.mark


@pytest.mark.parametrize("mark", [UNMARKED, *HEIGHTS])
def test_without_a_rival_there_is_the_rows_token_and_what_is_passed(mark: int) -> None:
    alone = left(Kept(mark=mark, opened=mark))
    assert (alone.mark == LATEST, alone.mark == UNMARKED) == (mark == LATEST, mark == UNMARKED)
    assert left(alone) == alone
    assert (taken(alone, UNMARKED) == taken(alone, OLD)) == (mark != LATEST)


def test_what_strays_is_judged_once_and_changes_nothing() -> None:
    law, kept = SessionLaw(), Kept()
    assert {*law.strays(kept)} == {"stray: Open", "stray: AppendEntry"}
    assert not [*law.strays(kept)]
    assert {request for _, request in law.known} >= {
        request for rank in HEIGHTS for request in writes(kept, rank)
    }


def test_a_behaviour_is_told_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONTRACT §8: two attempts open it, and what strays from the first is found to be accepted."""
    REASONS[NAME](monkeypatch)
    found = explore(named(NAME)).violation
    assert found is not None
    actions = [move.action for move in found.path]
    assert actions.count("Open succeeded") + actions.count("Open succeeded, not heard of") == 2
    assert found.path[-1].action.startswith("stray: ")
    assert found.path[-1].actor == "the network"
    assert "session empty, head none, an old watermark, 0 moves; " in found.path[-2].note
    assert "cannot be replayed, because the words of traces have no entries" in found.as_trace()


def test_a_worker_that_goes_on_shows_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONTRACT §8: where nothing strays, it is the attempt whose row was taken, and whose late opening is accepted."""

    def none(law: SessionLaw, kept: Kept) -> Iterator[str]:
        return iter(())

    monkeypatch.setattr(SessionLaw, "strays", none)
    REASONS[NAME](monkeypatch)
    found = explore(named(NAME)).violation
    assert found is not None
    assert found.properties[0] == "CONTRACT §8, fence"
    last = found.path[-1]
    assert (last.actor, last.action) == ("the store", "Open")
    assert f"{last.target} Opening under an old token" in found.path[-2].note
