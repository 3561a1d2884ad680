"""The simulation as a layer: a fleet under seeded faults in virtual time, until a seed breaks a property."""

from __future__ import annotations

import sys

from tenure_testing.simulating import simulate

SEEDS = 200


def main() -> int:
    """1 and what the first failing seed broke, else 0."""
    report = simulate(range(SEEDS), stop_at_failure=True)
    for failure in report.failures[:1]:
        print(f"E  {failure.broken}: {failure.what}")
        print(f"FAILED seed_{failure.plan.seed}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
