"""Plans with company: clients' events, handlers that wait for some, prunes, sessions. Seeds without it are what they
were, those with it hold and meet what they are for, and few of them find a planted bug."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from tenure.errors import InvalidValue
from tenure_testing.simulating import Verdict, planned, run, shrunk
from tenure_testing.simulating.plans import COMPANY, Plan, plan_of
from tests.matrix.patches import Patch, read
from tests.simulation.company_bugs import BUGS

ROOT = Path(__file__).parents[2]
SEEDS = "20"

FAULTS = {
    "E1": ("events", "lost answer"),
    "E2": ("events", "crash"),
    "E3": ("events", "crash"),
    "E4": ("events", "crash"),
    "E5": ("events", "busy"),
    "E6": ("events", "busy"),
    "P1": ("prune", "crash"),
    "P2": ("prune", "crash"),
    "P3": ("prune", "busy"),
    "P4": ("prune", "doubled"),
    "K20": ("prune", "late"),
    "D1": ("sessions", "pause,suspend"),
    "D2": ("sessions", "pause,suspend"),
    "D3": ("sessions", "crash"),
    "D4": ("sessions", "crash"),
    "D5": ("sessions", "crash"),
    "D6": ("sessions", "crash"),
}
"""The company and the faults with which each bug is looked for."""

PATCHES = (*BUGS, *(patch for patch in read() if patch.id in FAULTS))

MET = {
    "events": (
        "append_event",
        "event again",
        "refused ended",
        "heard",
        "heard again",
        "waited in vain",
        "followed",
    ),
    "prune": ("pruned", "fenced where pruned", "not found where pruned"),
    "sessions": ("entry", "entry again", "fork", "head moved", "session fenced"),
}
"""What each company is there to meet."""

ASTRAY = ("lost answer", "late", "doubled", "crash")
WEATHER = {"events": ASTRAY, "prune": ASTRAY, "sessions": ("crash", "pause", "suspend")}
"""The faults with which it meets that soon."""


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.id for patch in PATCHES])
def test_few_seeds_find_a_bug_that_company_meets(patch: Patch) -> None:
    company, faults = FAULTS[patch.id]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.simulation.planting", patch.id, SEEDS, faults, company],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split(" ")[0] in patch.breaks, f"{patch.bug}: {ran.stdout or 'no seed found it'}"


@pytest.mark.parametrize("company", COMPANY)
def test_seeds_with_company_hold_and_meet_what_they_are_for(company: str) -> None:
    met: Counter[str] = Counter()
    for seed in range(3_000, 3_012):
        plan = evolve(planned(seed, "memory"), company=(company,), faults=WEATHER[company], rate=0.1)
        verdict = run(plan)
        assert verdict.ok, (seed, verdict.broken, verdict.what)
        met.update(verdict.met)
    assert [name for name in MET[company] if not met[name]] == []


@pytest.mark.parametrize("seed", [4_000, 4_001])
def test_company_on_sqlite(seed: int) -> None:
    plan = evolve(
        planned(seed, "sqlite"), company=tuple(COMPANY), faults=("store restart", "lost answer"), processes=8
    )
    verdict = run(plan)
    assert verdict.ok, (verdict.broken, verdict.what)
    assert run(plan) == verdict


def test_about_as_many_seeds_have_company_as_it_says() -> None:
    plans = [planned(seed) for seed in range(2_000)]
    for name, share in COMPANY.items():
        assert abs(sum(name in plan.company for plan in plans) / len(plans) - share) < 0.03


def test_the_rest_of_a_plan_is_what_it_was_before_there_was_company() -> None:
    """What is known of a seed stays worth something."""
    faults = [
        "lost request",
        "lost answer",
        "late",
        "silent",
        "stalls",
        "crash",
        "store step",
        "blocks",
        "overruns",
    ]
    assert evolve(planned(1_000), company=()) == Plan(1_000, "memory", 4, 2, 17, tuple(faults), 69.0, 0.25)


def test_a_saved_plan_that_names_no_company_has_none() -> None:
    body = planned(7).json()
    del body["company"]
    assert plan_of(json.loads(json.dumps(body))).company == ()


@pytest.mark.parametrize("company", ["events", ["ghosts"], 7, None])
def test_company_that_there_is_not(company: object) -> None:
    with pytest.raises(InvalidValue, match="company must be"):
        plan_of({**planned(7).json(), "company": company})


def test_shrinking_sends_company_home() -> None:
    plan = evolve(
        planned(3), company=tuple(COMPANY), processes=1, workers=1, faults=("crash",), storm=10.0, slots=1
    )

    def play(wanted: Plan) -> Verdict:
        return Verdict(wanted, "", 0, 0, 0.0, {}, {}, "S4")

    assert shrunk(play(plan), play).plan.company == ()
