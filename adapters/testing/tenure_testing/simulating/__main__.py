"""One pass over seeds, or over one plan that is given as JSON, for `passes`: a JSON value a line on stdout for each."""

from __future__ import annotations

import gc
import json
import sys
from itertools import count, islice

from tenure_testing.simulating import Verdict, run, simulate
from tenure_testing.simulating.plans import plan_of


def told(verdict: Verdict) -> None:
    """One more is over."""
    sys.stdout.write(json.dumps(verdict.json()) + "\n")
    sys.stdout.flush()


def main(first: int, stride: int, seeds: int, steps: int, store: str) -> None:
    """Play `seeds` seeds, each `stride` after the one before; more until `steps` are reached, where that is above 0."""
    gc.set_threshold(50_000, 20, 50)
    wanted = count(first, stride) if steps else islice(count(first, stride), seeds)
    simulate(wanted, store=store or None, steps=steps, told=told)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        told(run(plan_of(json.loads(sys.argv[1]))))
    else:
        first, stride, seeds, steps = map(int, sys.argv[1:5])
        main(first, stride, seeds, steps, sys.argv[5])
