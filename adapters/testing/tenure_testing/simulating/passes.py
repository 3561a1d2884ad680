"""Every seed twice, in two OS processes with two PYTHONHASHSEEDs: what happened must be the same to the last event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

from attrs import define, evolve, field

from tenure_testing.simulating.plans import Plan, plan_of, planned
from tenure_testing.simulating.report import Report
from tenure_testing.simulating.run import Verdict

HASH_SEEDS = ("1", "2")
"""Under which the two passes run."""

DIFFERS = "differs"
"""Stands for a property where the two passes went different ways."""
WHY = "the two passes went different ways; something in it depends on PYTHONHASHSEED or on chance"


class PassFailed(RuntimeError):
    """A pass was killed, or ended by an error of its own, which is in the message."""


@define
class Passes:
    """`first` and `second` are the two passes over the same seeds; everything that is counted is counted once. `store`
    is the one of all seeds, if there was one."""

    first: Report = field(factory=Report)
    second: Report = field(factory=Report)
    store: str | None = None

    def differing(self) -> list[int]:
        """The seeds whose traces are not the same in both."""
        both = {*self.first.hashes, *self.second.hashes}
        return sorted(seed for seed in both if self.first.hashes.get(seed) != self.second.hashes.get(seed))

    def of_second(self) -> list[Verdict]:
        """The failures that only the second pass saw; by the trace alone they may be nothing."""
        seen = {failure.plan.seed for failure in self.first.failures}
        return [failure for failure in self.second.failures if failure.plan.seed not in seen]

    def unlike(self) -> list[Verdict]:
        """The seeds that differ, and failed in neither, as failures: so that one can be made smaller and saved."""
        failed = {failure.plan.seed for failure in self.first.failures + self.second.failures}
        return [
            Verdict(
                planned(seed, self.store), self.first.hashes.get(seed, ""), 0, 0, 0.0, {}, {}, DIFFERS, WHY
            )
            for seed in self.differing()
            if seed not in failed
        ]

    @property
    def failed(self) -> int:
        """How many seeds broke a property, in either pass."""
        return len(self.first.failures) + len(self.of_second())

    @property
    def ok(self) -> bool:
        """Whether every property held in both, and every trace was the same."""
        return self.first.ok and self.second.ok and not self.differing()

    def json(self) -> dict[str, Any]:
        """As JSON."""
        failures = [failure.json() for failure in self.first.failures + self.of_second()]
        return {**self.first.json(), "failures": failures, "differing": self.differing(), "ok": self.ok}


def simulate_twice(
    first_seed: int,
    seeds: int,
    *,
    steps: int = 0,
    store: str | None = None,
    jobs: int = 2,
    told: Callable[[Verdict], object] = lambda verdict: None,
) -> Passes:
    """Play the seeds from `first_seed` on in two passes, on `jobs` OS processes at a time. With `steps` above 0, as
    many seeds as it takes for so many machine steps. `told` hears of each seed of the first pass. Raises
    PassFailed."""
    shards = max(1, jobs // 2)
    passes, adding = Passes(store=store), Lock()

    def play(number: int, shard: int) -> None:
        report = passes.second if number else passes.first
        share = len(range(shard, seeds, shards))
        given = (first_seed + shard, shards, share, -(-steps // shards), store or "")
        for verdict in _played(HASH_SEEDS[number], given):
            with adding:
                report.add(verdict)
                if not number:
                    told(verdict)

    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(partial(play, number, shard)) for shard in range(shards) for number in (0, 1)]
        for one in waiting:
            one.result()
    return passes


def twice(plan: Plan) -> Verdict:
    """Play the plan in two passes: what the first broke, or the second; or that they differ. Raises PassFailed."""
    given = (json.dumps(plan.json()),)
    first, second = (verdict for hash_seed in HASH_SEEDS for verdict in _played(hash_seed, given))
    if first.ok and second.ok and first.hash != second.hash:
        return evolve(first, broken=DIFFERS, what=WHY)
    return second if first.ok else first


def _played(hash_seed: str, given: tuple[object, ...]) -> Iterator[Verdict]:
    command = [sys.executable, "-m", "tenure_testing.simulating", *map(str, given)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            for line in child.stdout:
                yield verdict_of(json.loads(line))
            said = child.stderr.read()
        except BaseException:
            child.kill()
            raise
        if child.wait() < 0:
            raise PassFailed(
                f"a pass of the simulation was killed by signal {-child.returncode}, most likely for want of memory: "
                "try --jobs 1"
            )
        if child.returncode:
            raise PassFailed(f"a pass of the simulation ended by an error:\n{said}")


def verdict_of(body: dict[str, Any]) -> Verdict:
    """The verdict from JSON."""
    given: dict[str, Any] = {**body, "plan": plan_of(body["plan"]), "last": tuple(body["last"])}
    return Verdict(**given)
