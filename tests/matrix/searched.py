"""The checker as a layer: some of its configurations, each up to a number of states, until a property breaks.

A bug shows near the start or not at all, as a rule: the search is breadth first, and counterexamples are short. So a
bound finds what the whole search finds, at a small part of its cost. `tenure check` knows no bound. Of liveness nothing
shows before a search has closed: the two under bounded drift may have as many states as they need.
"""

from __future__ import annotations

import sys

from tenure_testing.checking import Configuration, Violation, explore, named

ENOUGH, ENOUGH_TO_CLOSE = 60_000, 260_000
"""States of a configuration; the search looks at this number every 65,536 states that it has done. The second: where
promises are looked at when it has closed."""

_ROWS = ("rows and zombies", "drain and cancel", "effects and events")
WANTED = {
    "rows": _ROWS,
    "attempts": (*_ROWS, "healthy workers that are cancelled", "healthy workers that drain"),
    "sessions": ("effects and session watermark",),
    "workers": ("fleet of one slot", "fleet and cancellations", "fleet that drains"),
}
"""The configurations for bugs in the law of rows, in attempts, in the law of sessions, and in the worker machine."""


class _Enough(Exception):
    """The bound was reached."""


def first_violation(configuration: Configuration) -> Violation | None:
    """What breaks in the first states of the configuration, or None."""
    most = ENOUGH if configuration.search is None else ENOUGH_TO_CLOSE

    def bound(states: int) -> None:
        if states > most:
            raise _Enough

    try:
        return explore(configuration, bound).violation
    except _Enough:
        return None


def main(wanted: str) -> int:
    """1 and the counterexample at the first violation, else 0. `wanted`: a word of `WANTED`."""
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
