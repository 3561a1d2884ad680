"""Known bugs, planted one by one: few seeds find each, and name the property whose loss it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import tenure.claims
from tenure.effects import Effects
from tenure.limits import Limits
from tenure_driver import Job
from tenure_testing.playing.host import Life
from tenure_testing.simulating import planned, run

ROOT = Path(__file__).parents[2]
SEEDS = "20"

PLANTED = (
    ("K1", "S4", "late,crash", "a stale holder's outcome is accepted"),
    ("K2", "S9", "late,crash", "a renewal is not scoped"),
    ("K3", "S8", "drain,late,crash", "a release clears a newer lease"),
    ("K4", "S13", "silent", "the budget counts from the answer"),
    ("K5c", "S14", "suspend", "a lost lease is no loss to the machine"),
    ("K9", "S18", "lost answer", "a claim that may have been granted is forgotten"),
    ("K10", "S7", "cancel,late", "a late cancel overwrites an outcome"),
    ("K12", "S19", "crash", "a claim answers rows that it did not change"),
    ("K13", "S12", "crash", "a worker is known by its name"),
    ("K15", "S14", "silent", "a renewal without a time limit"),
    ("K19", "S2", "drain,late", "a release takes the token back"),
    ("K21", "L9", "crash", "what a dead worker claimed is never claimed again"),
    ("K22", "L3", "busy", "one failed renewal is a loss"),
    ("K24b", "S21", "store restart", "what is answered is rolled back"),
    ("K6b", "C1", "store step", "the store's clock goes back for a row"),
    ("S16b", "S16", "cancel", "a process that nobody holds is not ended by its cancel"),
    ("S17", "S17", "drain", "a drained handler is written down as cancelled"),
    ("S20", "S20", "crash", "a take-over is not counted"),
    ("L5", "L5", "drain", "a drain gives back what still runs"),
)
"""Bug, property that is named first, faults, and the bug in words."""


@pytest.mark.parametrize(("bug", "named", "faults", "words"), PLANTED, ids=[bug for bug, *_ in PLANTED])
def test_few_seeds_find_a_planted_bug_and_name_its_property(
    bug: str, named: str, faults: str, words: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.simulation.planting", bug, SEEDS, faults],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split(" ")[0] == named, f"{words}: {ran.stdout or 'no seed found it'}"


# --- bugs that are no line of the core's: what is seen inside a handler must not become its own failure, nor must a
# --- bound be so loose that nothing is late -----------------------------------------------------------------------


def the_journal_is_not_read(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: Effects, journal: object) -> dict[str, Any]:
        return {}

    patch.setattr(Effects, "_recorded", nothing)


def no_handler_is_cancelled(patch: pytest.MonkeyPatch) -> None:
    def nothing(self: Life, token: int) -> None: ...

    patch.setattr(Life, "cancel", nothing)


def a_handler_starts_whatever_was_said_meanwhile(patch: pytest.MonkeyPatch) -> None:
    async def always(self: Job) -> bool:
        return True

    patch.setattr(Job, "may_start", always)


def a_take_over_waits_much_longer(patch: pytest.MonkeyPatch) -> None:
    """150 s longer: what is late by so much is not there within L9's bound."""
    waits = tenure.claims.takeover_wait

    def longer(lost: int, limits: Limits) -> int:
        return waits(lost, limits) + 150_000

    patch.setattr(tenure.claims, "takeover_wait", longer)


@pytest.mark.parametrize(
    ("bug", "faults", "named"),
    [
        (the_journal_is_not_read, "crash", {"delivery"}),
        (no_handler_is_cancelled, "cancel,drain", {"S14"}),
        (a_take_over_waits_much_longer, "crash", {"L9"}),
        (a_handler_starts_whatever_was_said_meanwhile, "suspend,blocks,stalls", {"S12", "S13"}),
    ],
)
def test_a_bug_is_found_and_its_property_named(
    bug: Callable[[pytest.MonkeyPatch], None], faults: str, named: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    plans = [evolve(planned(seed, "memory"), faults=faults.split(","), rate=0.25) for seed in range(12)]
    verdicts = [run(evolve(plan, processes=12, workers=3)) for plan in plans]
    assert {verdict.broken for verdict in verdicts if not verdict.ok} & named
