"""The hash of a trace: what was sent and answered is in it, to the last word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenure_testing.simulating.passes import HASH_SEEDS
from tests.simulation.by_hash import BUGS

ROOT = Path(__file__).parents[2]
SEEDS = ("0", "5")


@pytest.mark.parametrize("bug", BUGS)
def test_what_depends_on_a_hash_is_not_the_same_trace_twice(bug: str) -> None:
    said = [hashes(bug, hash_seed) for hash_seed in HASH_SEEDS]
    assert (said[0] == said[1]) is (bug == "none")
    assert len(said[0].split()) == len(SEEDS)


def hashes(bug: str, hash_seed: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.simulation.by_hash", bug, *SEEDS],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
