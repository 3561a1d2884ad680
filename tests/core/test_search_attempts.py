"""The search judges what a worker does, too: S12, S13 and S14 on every step of the attempt machine, and bugs in it."""

from __future__ import annotations

from typing import Any

import pytest

from tenure import attempt, attempt_opening, attempt_rules
from tenure import attempt_types as t
from tenure.attempt_rules import deadline
from tenure.instants import Instant, after
from tenure.tables import each
from tests.core import search
from tests.core.search import NOW, TIMES, Search

LOST = t.LeaseLost | t.Detached
LATE = t.SessionOpened(now=after(NOW, TIMES.budget_ns), tag=2, call=0)


def watched(state: t.AttemptState, event: t.AttemptEvent) -> t.Step:
    """The shipped step, judged. Opening is entered by a claim only and left by a start: so no token starts twice."""
    then = attempt.step(state, event)
    held = state.flight if isinstance(state, t.Holding) else None
    fenced = isinstance(event, t.CallFenced) and held is not None and event.call == held.id
    if isinstance(state, LOST) or fenced:
        assert not any(isinstance(said, t.Send) for said in then.commands), "S14: sent after a loss"
        assert isinstance(then.state, LOST | t.Ended), "S14: what is lost stays lost"
    if isinstance(then.state, t.Opening):
        assert isinstance(state, t.Claiming | t.Opening), "S12: opened without a claim"
    if any(isinstance(said, t.StartHandler) for said in then.commands):
        assert isinstance(state, t.Opening), "S12: started without a lease"
        assert not isinstance(then.state, t.Opening), "S12: could start again"
        assert event.now < deadline(state), "S13: started without budget"
    return then


def unjudged(*of: object) -> str:
    """The row is judged in test_search."""
    return ""


def explore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "step", watched)
    monkeypatch.setattr(search, "EVENTS", (*search.EVENTS, LATE))
    Search(unjudged).run()


def test_no_step_of_an_attempt_breaks_a_property(monkeypatch: pytest.MonkeyPatch) -> None:
    explore(monkeypatch)


def starts_again(state: t.Opening, event: t.Event) -> t.Step:
    return t.Step(state, attempt_opening.session_opened(state, event).commands)


def no_limit(state: t.AttemptState) -> Instant | None:
    return None if isinstance(state, t.Opening) else attempt_time_overdue(state)


attempt_time_overdue = attempt.overdue_at
RETURNED = each(attempt_rules.returned)


@pytest.mark.parametrize(
    ("said", "key", "entry"),
    [
        ("S14: sent", (t.LeaseLost, t.HandlerReturned), RETURNED),
        ("S14: what", (t.Running, t.CallFenced), each(attempt_rules.due)),
        ("S12: could", (t.Opening, t.SessionOpened), each(starts_again)),
        ("S13", None, None),
    ],
)
def test_a_bug_of_an_attempt_is_found(
    monkeypatch: pytest.MonkeyPatch, said: str, key: Any, entry: Any
) -> None:
    if key is None:
        monkeypatch.setattr(attempt, "overdue_at", no_limit)
    else:
        monkeypatch.setitem(attempt.TABLE, key, entry)
    with pytest.raises(AssertionError, match=said):
        explore(monkeypatch)
