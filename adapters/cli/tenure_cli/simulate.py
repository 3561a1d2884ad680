"""`tenure simulate`: whole fleets of workers under seeded faults, in virtual time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenure_cli.exits import FAILED, USAGE, data, data_json, end, say
from tenure_cli.options import json_option

if TYPE_CHECKING:
    from tenure_testing.simulating import Verdict
    from tenure_testing.simulating.passes import Passes

SHOWN = 5
"""Failing seeds that are shrunk and shown, and as many that differ; all are counted."""

TRIES = 20
"""Runs that shrinking may take where each is two, in processes of their own."""

EVERY = 2.0
"""Seconds between two lines of progress."""


@click.command(short_help="Play whole fleets of workers under seeded faults.")
@click.option("--seeds", type=click.IntRange(min=1), default=200, help="How many seeds.  [200]")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, help="The first of them.  [0]")
@click.option(
    "--steps", type=click.IntRange(min=1), help="As many seeds as give so many machine steps, instead."
)
@click.option("--store", type=click.Choice(["memory", "sqlite"]), help="One store only; a mix if left out.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="OS processes at a time; one for each core if left out."
)
@click.option(
    "--complete",
    is_flag=True,
    help="Fail, too, where something was never met that should be, sometimes, a kind of fault never happened, or too "
    "little did in 2,000 seeds.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each seed that fails or differs into this folder.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Play the failing seed in this file again, and nothing else.",
)
@json_option
def simulate(
    seeds: int,
    first_seed: int,
    steps: int | None,
    store: str | None,
    jobs: int | None,
    complete: bool,
    save: Path | None,
    replay: Path | None,
    as_json: bool,
) -> None:
    """Play seeds: many workers, clients and processes, the shipped code, a store, and a storm of faults for each.

    Every seed is played twice, under two PYTHONHASHSEEDs, and the two traces must be the same to the last event. A
    failing seed, or one whose traces differ, is made as small as it gets. Exits with 1 where there is one.
    """
    if replay is not None:
        raise click.exceptions.Exit(_replayed(replay, as_json))
    from tenure_testing.simulating.passes import WHY, PassFailed, simulate_twice

    began = time.monotonic()
    progress = _Progress()
    try:
        passes = simulate_twice(
            first_seed,
            seeds,
            steps=steps or 0,
            store=store,
            jobs=jobs or os.cpu_count() or 1,
            told=progress.told,
        )
    except PassFailed as error:
        end(str(error), FAILED)
    seconds = time.monotonic() - began
    missed = passes.first.sometimes_missed() if complete else []
    absent = passes.first.faults_missed() if complete else []
    lacking = passes.first.too_little() if complete else []
    failures = _shrunk(passes, save)
    ok = passes.ok and not missed and not absent and not lacking
    if as_json:
        body = {**passes.json(), "failures": [failure.json() for failure in failures]}
        data_json({**body, "failed": passes.failed, "seconds": round(seconds, 1), "ok": ok})
    else:
        _print(passes, seconds)
    for failure in failures:
        _say_failure(failure)
    for seed in passes.differing():
        say(f"seed {seed}: {WHY}")
    for name in missed:
        say(f"never met: {name}")
    for name in absent:
        say(f"no such fault happened: {name}")
    for said in lacking:
        say(f"too little happened: {said}")
    if not ok:
        raise click.exceptions.Exit(FAILED)


class _Progress:
    def __init__(self) -> None:
        self._seeds = self._steps = self._failed = 0
        self._last = time.monotonic()

    def told(self, verdict: Verdict) -> None:
        """One more seed is over."""
        self._seeds += 1
        self._steps += verdict.steps
        self._failed += not verdict.ok
        if time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            failed = f", {self._failed} failed" if self._failed else ""
            say(f"{self._seeds} seeds, {self._steps:,} machine steps{failed}")


def _shrunk(passes: Passes, save: Path | None) -> list[Verdict]:
    from tenure_testing.simulating import run, shrunk
    from tenure_testing.simulating import save as saved
    from tenure_testing.simulating.passes import DIFFERS, twice
    from tenure_testing.simulating.shrinking import TRIES as MANY

    alone = [(failure, run, MANY) for failure in passes.first.failures[:SHOWN]]
    # What depends on PYTHONHASHSEED may hold in this process: it is looked for in two.
    paired = [(failure, twice, TRIES) for failure in (passes.of_second() + passes.unlike())[:SHOWN]]
    found: list[Verdict] = []
    for failure, play, tries in alone + paired:
        what = "differs" if failure.broken == DIFFERS else f"breaks {failure.broken}"
        say(f"seed {failure.plan.seed} {what}; looking for a smaller one")
        found.append(shrunk(failure, play, tries))
        if save is not None:
            say(f"saved in {saved(found[-1], save)}; `tenure simulate --replay FILE` plays it again")
    return found


def _replayed(path: Path, as_json: bool) -> int:
    from tenure_testing.simulating import load, run
    from tenure_testing.simulating.passes import PassFailed, twice

    try:
        plan, was = load(path)
    except OSError as error:
        end(f"{path} cannot be read: {error.strerror}", USAGE)
    verdict = run(plan)
    if verdict.ok:  # it may be one that differs, or that fails under another PYTHONHASHSEED only
        try:
            verdict = twice(plan)
        except PassFailed as error:
            end(str(error), FAILED)
    same = verdict.hash == was
    if as_json:
        data_json({**verdict.json(), "ok": verdict.ok, "same_trace": same})
    else:
        data(
            f"seed {plan.seed}: {verdict.steps:,} machine steps, {'the same trace' if same else 'another trace'}"
        )
    if not verdict.ok:
        _say_failure(verdict)
    return 0 if verdict.ok else FAILED


def _print(passes: Passes, seconds: float) -> None:
    report = passes.first
    stores = ", ".join(f"{count} on {name}" for name, count in sorted(report.stores.items()))
    faults, steps = report.fault_count, report.steps
    data(f"seeds          {report.seeds:,} ({stores}), each played twice")
    data(f"machine steps  {steps:,}, counted once for each seed")
    data(f"faults         {faults:,}, one in {steps / faults:.0f} steps" if faults else "faults         none")
    data(f"same traces    {'all' if not passes.differing() else f'not of {len(passes.differing())} seeds'}")
    data(f"failed         {passes.failed}")
    data(f"never met      {', '.join(report.sometimes_missed()) or 'nothing that should be'}")
    data(f"seconds        {seconds:.1f}")


def _say_failure(failure: Verdict) -> None:
    plan = failure.plan
    for line in failure.last:
        say(f"  {line}")
    say(f"{failure.broken}: {failure.what}")
    say(
        f"seed {plan.seed}: {plan.workers} workers, {plan.processes} processes, {plan.storm:g} s of "
        f"{', '.join(plan.faults)}, on {plan.store}"
    )
