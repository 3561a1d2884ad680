"""The clock of whoever names none."""

from __future__ import annotations

import time

from tenure.instants import StoreTime


def system_clock() -> StoreTime:
    """The operating system's."""
    return StoreTime(time.time_ns() // 1_000_000)
