"""How far a driver has read which processes ended: one read serves all who wait for one."""

from __future__ import annotations

from attrs import define

from tenure.instants import Instant
from tenure.timings import nanos

RETRY = nanos(0.025)
"""After a call that failed, the first time."""

FAR = (1 << 53) - 1
"""A version that no store reaches: reading endings after it answers the latest version and nothing else."""


@define(eq=False)
class Endings:
    """How far the endings were read: `seen` once `known`, the read under way, and whether there may be more. `missed`:
    the first read failed, so that a process may have ended after it was looked at and before `seen`."""

    known: bool = False
    seen: int = 0
    call: int | None = None
    stale: bool = False
    missed: bool = False
    pause: int = RETRY
    poll_at: Instant = Instant(0)
