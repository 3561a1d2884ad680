"""The named configurations: the gate's set, and the large ones beside it. Each is here for a bug of its own."""

from __future__ import annotations

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import explore_world
from tenure_testing.checking.rows import Law
from tenure_testing.checking.world import RowWorld


def _rows(
    name: str, workers: int, zombies: int, features: str, reason: str, large: bool = False
) -> Configuration:
    given = frozenset(features.split())
    return Configuration(name, workers, 1, 2, zombies, given, reason, RowWorld, large=large)


CONFIGURATIONS: tuple[Configuration, ...] = (
    _rows("rows and zombies", 2, 1, "", ""),
    _rows("cancel", 2, 1, "cancel", ""),
    _rows("drain", 2, 1, "drain", ""),
    _rows("drain and cancel", 2, 1, "drain cancel", ""),
    _rows("effects and events", 2, 0, "effects events", ""),
    _rows("three workers", 3, 0, "", ""),
    _rows("tiers", 1, 0, "tiers", ""),
    _rows("forgotten rows", 2, 1, "prune", ""),
    _rows("rows and two zombies", 2, 2, "", "", large=True),
)

GATE = tuple(one for one in CONFIGURATIONS if not one.large)
LARGE = tuple(one for one in CONFIGURATIONS if one.large)


def named(name: str) -> Configuration:
    """Raises KeyError for a name that there is not."""
    return {one.name: one for one in CONFIGURATIONS}[name]


def law_of(configuration: Configuration) -> Law:
    """The law as it was asked in all of the configuration's behaviours: `pairs` has each distinct request to each
    distinct registry; `known` is the same as a graph, from row and request to the row after it."""
    world = RowWorld(configuration)
    explore_world(configuration, world)
    return world.law
