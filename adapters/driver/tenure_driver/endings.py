"""How far a driver has read which processes ended: one read serves all who wait for one."""

from __future__ import annotations

from collections.abc import Collection

from attrs import define

from tenure.instants import Instant, after
from tenure.replies import Answer, EndingsRead, Succeeded
from tenure.timings import nanos

RETRY = nanos(0.025)
"""After a call that failed, the first time."""

MAX_RETRY = nanos(0.8)
"""After one that failed again and again."""

FAR = (1 << 53) - 1
"""A version that no store reaches: reading endings after it answers the latest version and nothing else."""

PAGE = 1_000
"""Endings that are read at once."""

LONG = nanos(600)
"""Where so long lies between two reads, whoever waits looks for itself: what ended and was pruned between them is in
neither, and a wait without a limit must not last for ever because a laptop slept for longer than the store keeps rows
(a day, unless it is told otherwise)."""


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
    read_at: Instant = Instant(0)

    def heard(self, answer: Answer, now: Instant, waited: Collection[str]) -> Collection[str]:
        """The read was answered: which of the processes that are `waited` for are to be looked at now."""
        self.call = None
        if not (isinstance(answer, Succeeded) and isinstance(answer.reply, EndingsRead)):
            self.missed = self.missed or not self.known
            self.poll_at = after(now, self.pause)
            self.pause = min(self.pause * 2, MAX_RETRY)
            return ()
        found, first = answer.reply.endings, not self.known
        everybody = self.missed if first else now >= after(self.read_at, LONG)
        self.pause, self.known, self.missed = RETRY, True, False
        self.seen, self.read_at = answer.reply.latest, now
        if len(found) == PAGE:
            self.seen, self.stale = found[-1][0], True
        return waited if everybody else [process_id for _, process_id in found if process_id in waited]
