"""The pinned counts: how large each configuration's world is.

A count that differs means that behaviours came or went. `tenure check --rewrite` writes the file anew; commit the
change only if you know which ones they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tenure_testing.checking.explorer import Explored

FILE = Path(__file__).with_name("golden.json")
COUNTS = ("states", "transitions", "depth")


def pinned() -> dict[str, dict[str, int]]:
    """Name of the configuration -> its counts."""
    counts: dict[str, dict[str, int]] = json.loads(FILE.read_text(encoding="utf-8"))
    return counts


def difference(explored: Explored) -> str:
    """In one sentence, how the counts differ from what is pinned, and what to do; empty where they do not."""
    name = explored.configuration.name
    wanted, found = pinned().get(name), counts_of(explored)
    if wanted == found:
        return ""
    if wanted is None:
        return f"{name!r} has no pinned counts: `tenure check {name!r} --rewrite` writes them"
    told = ", ".join(f"{found[count]:,} {count}, pinned {wanted.get(count, 0):,}" for count in COUNTS)
    return (
        f"{name!r} is another world than the one that is pinned ({told}): find out which behaviours came or went; "
        f"if they are meant, `tenure check {name!r} --rewrite`"
    )


def counts_of(explored: Explored) -> dict[str, int]:
    """What is pinned of a search."""
    return {count: getattr(explored, count) for count in COUNTS}


def rewrite(results: Iterable[Explored]) -> None:
    """Write what these searches counted; what others counted stays."""
    counts = pinned() | {explored.configuration.name: counts_of(explored) for explored in results}
    FILE.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
