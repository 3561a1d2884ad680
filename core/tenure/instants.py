"""Time as data.

Two clocks exist and never meet: a worker's own clock, whose readings are `Instant`, and the store's, whose readings
are `StoreTime`. Only the store judges whether a lease has expired; a worker has a deadline of its own, counted from
the sending of what was accepted (C1, C2).
"""

from __future__ import annotations

from typing import NewType

Instant = NewType("Instant", int)
"""Nanoseconds of a clock that only moves forward and also counts while the machine is suspended."""

StoreTime = NewType("StoreTime", int)
"""Milliseconds since the epoch, as the store's own clock says."""

NANOS_PER_MILLI = 1_000_000
NANOS_PER_SECOND = 1_000_000_000


def after(moment: Instant, nanos: int) -> Instant:
    """The instant `nanos` nanoseconds after `moment`."""
    return Instant(moment + nanos)
