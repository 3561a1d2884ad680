"""The worker's clock: durations only, and it counts while the machine is suspended (C2, K7)."""

from __future__ import annotations

import time

from tenure.instants import Instant

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def local_now() -> Instant:
    """The worker's clock. Where there is no CLOCK_BOOTTIME it stands still during suspend, and S4 alone protects."""
    return Instant(time.clock_gettime_ns(_CLOCK))
