"""A search with its costs: the only place here that reads a clock."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from time import process_time

from attrs import evolve

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Explored, explore


def measured(configuration: Configuration, progress: Callable[[int], None] | None = None) -> Explored:
    """`explore`, with seconds of CPU, and the highest use of memory that this operating system's process ever had."""
    began = process_time()
    explored = explore(configuration, progress)
    return evolve(explored, seconds=round(process_time() - began, 2), peak_mib=round(peak_mib(), 1))


def peak_mib() -> float:
    """In MiB; Linux counts in KiB, macOS in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)
