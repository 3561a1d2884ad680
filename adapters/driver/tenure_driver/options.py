"""What a worker can be told, and what of it the machines get."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypedDict

from attrs import Attribute, field, frozen

from tenure.attempt_types import Terms
from tenure.config import WorkerConfig
from tenure.errors import InvalidValue
from tenure.instants import Instant
from tenure.limits import Limits
from tenure.plugins import PluginStack
from tenure.replies import Answer
from tenure.requests import Request
from tenure.timings import LeaseTimings, nanos
from tenure.worker_types import WorkerTerms
from tenure_driver.messages import Inbound, Outbox

CLAIM_LIMIT = 1_000
"""Rows that one claim asks for at the most; a larger batch gains nothing and holds the store's write lock longer."""


class Tap:
    """Sees what leaves the store thread, in that thread, and each turn, in the machine thread. For fault injection and
    for records of one's own.

    To stop the whole OS process here, send the signal to this thread (`signal.pthread_kill`): sent to the process, it
    may reach another thread first, and this one goes on for a moment.
    """

    def before_transaction(self, requests: Sequence[Request]) -> None:
        """The named fault point: after the batch's `not_after` check, before its transaction begins."""

    def answered(self, request: Request, answer: Answer) -> None:
        """The store answered."""

    def declined(self, request: Request) -> None:
        """The worker dropped a write by itself: its `not_after` had passed, or its lease was lost meanwhile (S14)."""

    def turned(self, inbox: Sequence[Inbound], now: Instant, box: Outbox) -> None:
        """The machines made a turn; nothing of `box` has been done yet."""


class Options(TypedDict, total=False):
    """The keyword options of a worker; `WorkerOptions` has their meaning and defaults."""

    name: str
    max_running: int
    timings: LeaseTimings
    grace: float
    profile: str
    poll_interval: float
    max_lost: int
    limits: Limits
    tap: Tap


def _count(instance: object, attribute: Attribute[int], value: int) -> None:
    if type(value) is not int or value < 1:
        raise InvalidValue(f"{attribute.name}={value!r} is not a whole number above 0")


def _seconds(instance: object, attribute: Attribute[float], value: float) -> None:
    if not 0 <= value <= 86_400 * 366:
        raise InvalidValue(f"{attribute.name}={value!r} is not a duration in seconds between 0 and a year")


@frozen
class WorkerOptions:
    """`name` for people (two workers may share one); `max_running` handlers at once; `timings` of leases; `grace`
    seconds that a drain gives handlers; `profile` of the host; `poll_interval` seconds between looks at an idle store,
    the floor under the change feed; `max_lost` take-overs in a row until a process is failed; `limits` of the store,
    where it is opened by URL; `tap` for tests."""

    name: str = "worker"
    max_running: int = field(default=100, validator=_count)
    timings: LeaseTimings = LeaseTimings()
    grace: float = field(default=30.0, validator=_seconds)
    profile: str = ""
    poll_interval: float = field(default=1.0, validator=_seconds)
    max_lost: int = field(default=10, validator=_count)
    limits: Limits = Limits()
    tap: Tap = field(factory=Tap)

    def terms(self, config: WorkerConfig, plugins: PluginStack, incarnation: str) -> WorkerTerms:
        """The machines' terms. `incarnation` is new at every start, and nobody else has it (K13)."""
        terms = Terms(
            timings=self.timings,
            profile=config.runtime.host_profile_id,
            kinds=tuple(plugins.kinds),
            max_run=plugins.max_runs(),
            max_lost=self.max_lost,
            tier_fault=config.tier_fault,
        )
        owner = f"{self.name}-{incarnation}"
        claim_limit = min(self.max_running, CLAIM_LIMIT)
        return WorkerTerms(owner, terms, self.max_running, claim_limit, nanos(self.poll_interval))


def new_id() -> str:
    """An id that nobody else makes."""
    return secrets.token_hex(16)
