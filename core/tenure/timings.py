"""How long a lease lasts and when a worker does what about it (CONTRACT §6)."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from tenure.errors import InvalidTimings, InvalidValue
from tenure.instants import NANOS_PER_MILLI, NANOS_PER_SECOND


def nanos(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * NANOS_PER_SECOND)


LONGEST = 86_400 * 366
"""Seconds of the longest delay or wait."""


def is_duration(value: object) -> bool:
    """Whether it is a number of seconds from 0 to a year."""
    return isinstance(value, int | float) and 0 <= value <= LONGEST


def patience(timeout: float | None, process_id: str) -> float | None:
    """The timeout of a wait for the process. Raises InvalidValue."""
    if timeout is not None and not is_duration(timeout):
        raise InvalidValue(
            f"process {process_id!r}: timeout={timeout!r} is not a duration in seconds up to a year; "
            "None waits for ever"
        )
    return timeout


def _duration(instance: object, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None and not 0 <= value <= LONGEST:
        raise InvalidTimings(f"{attribute.name}={value!r} is not a duration in seconds between 0 and a year")


@frozen
class LeaseTimings:
    """All in seconds, and `…_ns` of them in nanoseconds.

    `ttl`: how long the store grants. `renew_interval`: from the first sending of the last accepted claim or renewal
    to the next renewal. `call_timeout`: how long a request may stay without answer. `margin`: what drifting clocks may
    take. `stop_grace`: how long a handler may take to stop (the properties' sigma). `completion_patience`: for how long
    after the deadline an outcome is still offered to the store; as long as the ttl where it is None.

    Derived: `budget_ns`, from the sending of what was accepted to the local deadline; `renew_slack_ns`, how much
    earlier than due a renewal may go, so that many go in one batch: an eighth of the interval; `opening_ns`, how long
    after its claim a process is renewed while its session is being opened: twice the ttl.

    Raises InvalidTimings where `2*renew_interval + call_timeout + margin + stop_grace > ttl`: one lost renewal would
    then lose the lease.
    """

    ttl: float = field(default=30.0, validator=_duration)
    renew_interval: float = field(default=10.0, validator=_duration)
    call_timeout: float = field(default=3.0, validator=_duration)
    margin: float = field(default=1.0, validator=_duration)
    stop_grace: float = field(default=5.0, validator=_duration)
    completion_patience: float | None = field(default=None, validator=_duration)
    ttl_ns: int = field(init=False, repr=False)
    renew_interval_ns: int = field(init=False, repr=False)
    renew_slack_ns: int = field(init=False, repr=False)
    call_timeout_ns: int = field(init=False, repr=False)
    stop_grace_ns: int = field(init=False, repr=False)
    patience_ns: int = field(init=False, repr=False)
    budget_ns: int = field(init=False, repr=False)
    opening_ns: int = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        patience = self.ttl if self.completion_patience is None else self.completion_patience
        for name, value in (
            ("ttl_ns", nanos(self.ttl)),
            ("renew_interval_ns", nanos(self.renew_interval)),
            ("renew_slack_ns", nanos(self.renew_interval) // 8),
            ("call_timeout_ns", nanos(self.call_timeout)),
            ("stop_grace_ns", nanos(self.stop_grace)),
            ("patience_ns", nanos(patience)),
            ("budget_ns", nanos(self.ttl) - nanos(self.margin) - nanos(self.stop_grace)),
            ("opening_ns", 2 * nanos(self.ttl)),
        ):
            object.__setattr__(self, name, value)
        needed = 2 * self.renew_interval + self.call_timeout + self.margin + self.stop_grace
        if nanos(needed) > self.ttl_ns or self.renew_interval_ns <= 0:
            raise InvalidTimings(
                f"2*renew_interval + call_timeout + margin + stop_grace = {needed:g} s must not exceed "
                f"ttl = {self.ttl:g} s, and renew_interval must be above 0: raise ttl or lower the others"
            )

    @property
    def ttl_ms(self) -> int:
        """The ttl as the store takes it."""
        return self.ttl_ns // NANOS_PER_MILLI

    @classmethod
    def scaled(cls, ttl: float) -> LeaseTimings:
        """The default proportions for another ttl, in seconds."""
        return cls(ttl, ttl / 3, ttl / 10, ttl / 30, ttl / 6)
