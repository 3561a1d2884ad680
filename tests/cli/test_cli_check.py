"""`tenure check`: its table, its JSON, what it refuses, and how it ends when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from attrs import evolve

from tenure_testing.checking import CONFIGURATIONS, Configuration, Explored, explore, golden, named, running
from tests.checking.bugs import BUGS
from tests.cli.commanding import refused, tenure

KEYS = [
    "name",
    "workers",
    "processes",
    "ttl",
    "zombies",
    "states",
    "transitions",
    "depth",
    "pairs",
    "steps",
    "seconds",
    "peak_mib",
]
Run = Callable[[Sequence[Configuration], int, running.Progress], Iterator[Explored]]


def here(chosen: Sequence[Configuration], jobs: int, progress: running.Progress) -> Iterator[Explored]:
    """As `running.run`, in this process, where the core can be patched."""
    for one in chosen:
        progress(one.name, 1)
        yield explore(one)


def test_json_has_the_shape_that_scripts_read() -> None:
    """And the search ran in a process of its own."""
    result = tenure("check", "tiers", "--json", "--jobs", "1")
    body = json.loads(result.stdout)
    assert result.exit_code == 0, result.stderr
    assert list(body) == ["configurations", "states", "violations", "sometimes_missed", "ok"]
    (row,) = body["configurations"]
    assert list(row) == KEYS
    assert row["states"] == body["states"] == golden.pinned()["tiers"]["states"]
    assert (body["violations"], body["sometimes_missed"], body["ok"]) == (0, [], True)
    assert (row["pairs"], row["steps"]) == (96, 810)
    assert row["seconds"] > 0
    assert row["peak_mib"] > 0


def test_people_get_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run", here)
    result = tenure("check", "tiers")
    assert result.exit_code == 0
    assert "tiers" in result.stdout
    assert "0 violations" in result.stdout


def test_list_says_why_each_is_there() -> None:
    result = tenure("check", "--list", "--large")
    assert len(result.stdout.splitlines()) == len(CONFIGURATIONS)
    assert all(one.reason in result.stdout for one in CONFIGURATIONS)
    listed = json.loads(tenure("check", "--list", "--large", "--json").stdout)["configurations"]
    assert [one["name"] for one in listed] == [one.name for one in CONFIGURATIONS]


def test_a_name_that_there_is_not_is_refused() -> None:
    refused(tenure("check", "teirs"), 2, "'teirs'", "--list")


def test_a_violation_is_told_and_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """S15."""
    patch = next(patch for name, _, _, patch in BUGS if name == "S15")
    patch(monkeypatch)
    monkeypatch.setattr(running, "run", here)
    result = tenure("check", "tiers", "--json", "--save", str(tmp_path / "found"))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["violations"] == 1
    assert not json.loads(result.stdout)["ok"]
    assert "tiers: S15 does not hold" in result.stderr
    assert "breaks S15" in result.stderr
    assert "claim p" in (tmp_path / "found" / "tiers.txt").read_text(encoding="utf-8").splitlines()


def test_what_was_never_seen_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_a_crash(
        chosen: Sequence[Configuration], jobs: int, progress: running.Progress
    ) -> Iterator[Explored]:
        for one in here(chosen, jobs, progress):
            yield evolve(one, seen=one.seen - {"crashes"})

    monkeypatch.setattr(running, "run", without_a_crash)
    result = tenure("check", "tiers", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["sometimes_missed"] == ["tiers: crashes"]
    assert "never seen: crashes" in result.stderr


def test_other_counts_fail_and_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(running, "run", here)
    monkeypatch.setattr(golden, "FILE", tmp_path / "golden.json")
    golden.FILE.write_text('{"tiers": {"states": 1, "transitions": 2, "depth": 3}}', encoding="utf-8")
    result = tenure("check", "tiers")
    assert result.exit_code == 1
    assert "pinned 1" in result.stderr
    assert tenure("check", "tiers", "--rewrite").exit_code == 0
    assert tenure("check", "tiers").exit_code == 0
    assert golden.pinned()["tiers"]["states"] == explore(named("tiers")).states


def test_a_search_that_is_killed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(chosen: Sequence[Configuration], jobs: int, progress: running.Progress) -> Iterator[Explored]:
        raise BrokenProcessPool

    monkeypatch.setattr(running, "run", killed)
    refused(tenure("check", "tiers"), 1, "killed", "--jobs 1")
