"""Strikes a store at all its boundaries: `python -m tests.crashes.store_child deaths|errors|every [BUG]`.

In a process of its own, since it forks, and a fork wants a process with one thread. One JSON object on stdout says
what it did."""

from __future__ import annotations

import json
import sys

from tenure_testing.crashing.store_points import deaths, errors, scenes
from tests.crashes.seeded_stores import STORES


def main(how: str, bug: str = "") -> None:
    """Strike all scenes; with a bug, those up to the first where something is found."""
    file = STORES[bug]
    found = None
    for chosen in [[scene] for scene in scenes()] if bug else [scenes()]:
        found = deaths(file, chosen) if how == "deaths" else errors(file, chosen, every=how == "every")
        if found.violations:
            break
    assert found is not None
    said = {
        "boundaries": found.boundaries,
        "listed": found.listed,
        "kinds": sorted(" ".join(kind) for kind in found.kinds),
        "where": sorted(found.where),
        "violations": [[one.law, str(one)] for one in found.violations],
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
