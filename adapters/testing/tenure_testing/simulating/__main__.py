"""One pass over seeds, for `passes`: a JSON value a line on stdout for each seed."""

from __future__ import annotations

import gc
import json
import sys
from itertools import count, islice

from tenure_testing.simulating import Verdict, simulate


def main(first: int, stride: int, seeds: int, steps: int, store: str) -> None:
    """Play `seeds` seeds, each `stride` after the one before; more until `steps` are reached, where that is above 0."""
    gc.set_threshold(50_000, 20, 50)

    def told(verdict: Verdict) -> None:
        sys.stdout.write(json.dumps(verdict.json()) + "\n")
        sys.stdout.flush()

    wanted = count(first, stride) if steps else islice(count(first, stride), seeds)
    simulate(wanted, store=store or None, steps=steps, told=told)


if __name__ == "__main__":
    first, stride, seeds, steps = map(int, sys.argv[1:5])
    main(first, stride, seeds, steps, sys.argv[5])
