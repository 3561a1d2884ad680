"""The checker as a layer: some of its configurations, each up to a number of states, until a property breaks.

A bug shows near the start or not at all, as a rule: the search is breadth first, and counterexamples are short. So a
bound finds what the whole search finds, at a small part of its cost. `tenure check` knows no bound.
"""

from __future__ import annotations

import sys

from tenure_testing.checking import Configuration, Violation, explore, named

ENOUGH = 60_000
"""States of a configuration; the search looks at this number every 65,536 states that it has done."""


WANTED = {
    "rows": ("rows and zombies", "drain and cancel", "effects and events"),
    "sessions": ("effects and session watermark",),
    "workers": ("fleet of one slot", "fleet and cancellations", "fleet that drains"),
}
"""The configurations for bugs in the law of rows and in attempts, in the law of sessions, and in the worker machine."""


class _Enough(Exception):
    """The bound was reached."""


def _bound(states: int) -> None:
    if states > ENOUGH:
        raise _Enough


def first_violation(configuration: Configuration) -> Violation | None:
    """What breaks in the first states of the configuration, or None."""
    try:
        return explore(configuration, _bound).violation
    except _Enough:
        return None


def main(wanted: str) -> int:
    """1 and the counterexample at the first violation, else 0. `wanted`: "rows", with attempts, or "workers"."""
    for name in WANTED[wanted]:
        configuration = named(name)
        violation = first_violation(configuration)
        if violation is not None:
            print("\n".join(violation.lines()))
            print(f"E  {', '.join(violation.properties)}: {violation.said}")
            print(f"FAILED {configuration.name.replace(' ', '_')}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
