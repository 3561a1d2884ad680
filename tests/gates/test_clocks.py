"""Which clocks the driver reads, from its source: one, and it counts while the machine is suspended (C2, K7)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

DRIVER = Path(__file__).parents[2] / "adapters" / "driver" / "tenure_driver"
CLOCKS = frozenset(
    (
        "clock_gettime",
        "clock_gettime_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "time",
        "time_ns",
    )
)
"""What of the module `time` tells the time."""


def read_in(path: Path) -> Iterator[str]:
    """The clocks that a file reads, and the ids of clocks that it names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=name) if name in CLOCKS or name.startswith(
                "CLOCK_"
            ):
                yield name
            case ast.Constant(value=str(name)) if name.startswith("CLOCK_"):
                yield name
            case _:
                pass


def test_the_driver_has_one_clock_and_it_counts_suspend() -> None:
    """K7, C2: CLOCK_BOOTTIME, and CLOCK_MONOTONIC only where that is missing; nothing else tells a worker the time."""
    found = {path.name: sorted(read_in(path)) for path in sorted(DRIVER.glob("*.py"))}
    assert {name: clocks for name, clocks in found.items() if clocks} == {
        "clocks.py": ["CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime_ns"]
    }
