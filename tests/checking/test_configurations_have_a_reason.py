"""Each configuration is in the set for a bug that it finds and no smaller one of the set does, its second worker for
one of its own or for the cut-off; and its counts are pinned."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tenure_testing.checking import CONFIGURATIONS, GATE, cutoff, explore, named, shrunk
from tenure_testing.checking.configurations import ROWS
from tenure_testing.checking.golden import pinned
from tests.checking.bugs import REASONS, RIVALS

SMALLER = {
    "tiers": (),
    "forgotten rows": ("tiers",),
    "effects and events": ("tiers", "forgotten rows"),
    "rows and zombies": ("tiers", "forgotten rows", "effects and events"),
    "effects and session watermark": ("tiers", "forgotten rows", "effects and events", "rows and zombies"),
    "drain and cancel": (
        "tiers",
        "forgotten rows",
        "effects and events",
        "rows and zombies",
        "effects and session watermark",
    ),
}
"""In the order of their states. Three workers bring nothing that `rows and zombies` has not (`cutoff`)."""


@pytest.mark.parametrize("name", SMALLER)
def test_its_bug_is_found_there_and_in_no_smaller_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    REASONS[name](monkeypatch)
    found = explore(named(name)).violation
    assert found is not None
    assert found.properties[0] in named(name).reason
    for smaller in SMALLER[name]:
        assert explore(shrunk(named(smaller))).violation is None


@pytest.mark.parametrize("name", RIVALS)
def test_without_zombies_the_second_worker_has_a_bug_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """There one worker alone has no rival whose lease could be stale."""
    number, patch = RIVALS[name]
    patch(monkeypatch)
    assert explore(evolve(named(name), workers=1)).violation is None
    found = explore(named(name)).violation
    assert found is not None
    assert found.properties[0] == number
    assert f"; {number}" in named(name).reason


def test_with_one_worker_no_handler_writes_while_another_one_opens() -> None:
    """CONTRACT §8."""
    found = explore(evolve(shrunk(named("effects and session watermark")), workers=1))
    assert found.violation is None
    assert {"AppendEntry fenced", "Open fenced"}.isdisjoint(found.seen)
    assert {"AppendEntry succeeded, again", "AppendEntry refused (head_moved)"} <= found.seen


@pytest.mark.parametrize("name", ["rows and zombies", "drain and cancel"])
def test_with_a_zombie_the_second_worker_is_there_for_the_cut_off(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its bug is found with one worker already, and `reason` says so."""
    REASONS[name](monkeypatch)
    assert explore(shrunk(named(name))).violation is not None
    assert "one worker" in named(name).reason
    assert named(name).reason.endswith("the second worker is there for the cut-off")


def test_each_has_its_bug_or_is_there_for_the_cut_off() -> None:
    cut_off = {one.name for one in ROWS if one.reason.startswith("cut-off")}
    assert {one.name for one in ROWS} == cut_off | set(REASONS) == cut_off | set(SMALLER)


def test_what_more_workers_bring_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the small world had no zombie: then a second worker has requests to show that it has not."""
    two = evolve(named("three workers"), workers=2)
    assert explore(two).violation is None

    def small(configuration: Any, **changes: Any) -> Any:
        return evolve(configuration, **(changes | {"zombies": 0} if "workers" in changes else changes))

    monkeypatch.setattr(cutoff, "evolve", small)
    found = explore(two).violation
    assert found is not None
    assert found.properties == ("cut-off",)
    assert "Complete of token 1" in found.said


def test_all_counts_are_pinned() -> None:
    """And of nothing else; the gate's set is as large as it has to be."""
    counts = pinned()
    assert set(counts) == {one.name for one in CONFIGURATIONS}
    assert len({one.name for one in CONFIGURATIONS}) == len(CONFIGURATIONS)
    assert sum(counts[one.name]["states"] for one in GATE) >= 1_500_000
    assert sum(count["states"] for count in counts.values()) >= 5_000_000
