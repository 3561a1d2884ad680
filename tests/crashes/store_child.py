"""Strikes a store at all its boundaries: `python -m tests.crashes.store_child deaths|errors|every [BUG SCENE]`.

In a process of its own, since it forks, and a fork wants a process with one thread. One JSON object on stdout says
what it did."""

from __future__ import annotations

import json
import sys

from tenure_testing.crashing.store_points import deaths, errors, scenes
from tests.crashes.seeded_stores import STORES


def main(how: str, bug: str = "", scene: str = "") -> None:
    """Strike all scenes, or the one of that name."""
    file, chosen = STORES[bug], [one for one in scenes() if scene in ("", one.name)]
    found = deaths(file, chosen) if how == "deaths" else errors(file, chosen, every=how == "every")
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
