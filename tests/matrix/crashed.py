"""The crash points of SQLite's store as a layer, scene by scene, until one of them breaks a property."""

from __future__ import annotations

import sys

from tenure_testing.crashing.store_points import deaths, errors, scenes
from tests.crashes.seeded_stores import STORES


def main(how: str) -> int:
    """1 and what broke first, else 0. `how`: the process dies at each boundary, or the database fails there."""
    for scene in scenes():
        found = deaths(STORES[""], [scene]) if how == "deaths" else errors(STORES[""], [scene], every=False)
        if found.violations:
            first = found.violations[0]
            print(f"E  {first.law}: {' '.join(str(first).split())}")
            print(f"FAILED {how}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
