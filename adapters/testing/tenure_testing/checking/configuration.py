"""What one search is about: a name, sizes, and the features that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import field, frozen

from tenure_testing.checking.explorer import Explored, World

Progress: TypeAlias = Callable[[int], None]
Search: TypeAlias = "Callable[[Configuration, Progress | None], Explored]"


@frozen
class Configuration:
    """One search.

    `workers`, `processes`; `ttl` in ticks of the store's clock; `zombies`: how many requests may be in the air that
    nobody waits for any more. `features` are words that `world` knows. `world` makes the world to be explored.
    `reason` names the bug for which this configuration is in the set: it is found here, and in no smaller one
    of the set.
    `sometimes` is what must be seen here. `large`: not in the gate's set, but in that of `make verify`. `search` does
    more than `explore_world` does with that world (liveness, say); None where nothing more is asked.
    """

    name: str
    workers: int
    processes: int
    ttl: int
    zombies: int
    features: frozenset[str]
    reason: str
    world: Callable[[Configuration], World] = field(repr=False, eq=False)
    sometimes: tuple[str, ...] = ()
    large: bool = False
    search: Search | None = field(default=None, repr=False, eq=False)
