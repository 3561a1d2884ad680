"""Every seed twice: what was sent and answered is in the hash to the last word, and a seed that goes another way under
another PYTHONHASHSEED, or fails under one of them only, is a failure that is made smaller, saved and played again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

import tenure_cli.simulate
from tenure_testing.simulating import load, planned, run
from tenure_testing.simulating.passes import DIFFERS, HASH_SEEDS, Passes, twice
from tenure_testing.simulating.report import total
from tests.cli.commanding import tenure as command
from tests.simulation.by_hash import BUGS

ROOT = Path(__file__).parents[2]
SEEDS = 2


@pytest.mark.parametrize("bug", BUGS)
def test_what_depends_on_a_hash_is_not_the_same_trace_twice(bug: str) -> None:
    said = [hashes(bug, hash_seed) for hash_seed in HASH_SEEDS]
    assert (said[0] == said[1]) is (bug == "none")
    assert len(set(said[0])) == SEEDS


def hashes(bug: str, hash_seed: str) -> list[str]:
    program = ("-m", "tests.simulation.by_hash", bug, "-m", "tenure_testing.simulating")
    ran = subprocess.run(
        [sys.executable, *program, "0", "5", str(SEEDS), "0", "memory"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line)["hash"] for line in ran.stdout.splitlines()]


def test_a_seed_that_differs_is_made_smaller_saved_and_played_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncd {ROOT}; exec {sys.executable} -m tests.simulation.by_hash claimed "$@"\n'
    )
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(tenure_cli.simulate, "TRIES", 2)
    folder = tmp_path / "seeds"
    given = ("--seeds", "1", "--first-seed", "5", "--store", "memory", "--jobs", "1")
    said = command("simulate", *given, "--save", str(folder), "--json")
    assert said.exit_code == 1
    body = json.loads(said.stdout)
    assert (body["differing"], body["failed"], body["ok"]) == ([5], 0, False)
    assert [failure["broken"] for failure in body["failures"]] == [DIFFERS]
    (path,) = folder.iterdir()
    small, _ = load(path)
    plan = planned(5, "memory")
    assert small.processes < plan.processes
    assert str(path) in said.stderr
    said = command("simulate", "--replay", str(path))
    assert said.exit_code == 1
    assert f"{DIFFERS}: the two passes went different ways" in said.stderr
    monkeypatch.undo()
    assert twice(small).ok
    assert command("simulate", "--replay", str(path)).exit_code == 0


def test_a_failure_that_only_the_second_pass_saw_is_one() -> None:
    held = run(evolve(planned(5, "memory"), processes=1, workers=1, storm=10.0))
    failed = evolve(held, broken="S4", what="a zombie wrote")
    passes = Passes(total([held]), total([failed]))
    assert passes.differing() == []
    assert not passes.ok
    assert (passes.failed, passes.of_second()) == (1, [failed])
    assert [failure["broken"] for failure in passes.json()["failures"]] == ["S4"]
    both = Passes(total([failed]), total([failed]))
    assert (both.failed, both.of_second(), both.unlike()) == (1, [], [])
