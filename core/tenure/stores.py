"""What a store is to the driver: small and blocking, so that loops and stores never multiply."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from attrs import frozen

from tenure.replies import Answer
from tenure.requests import Request


class DurabilityTier(Enum):
    """What a store promises: `INLINE` is lost with the operating system's process, `DURABLE` is not."""

    INLINE = "inline"
    DURABLE = "durable"


@frozen
class Cursor:
    """How far a reader of the change feed has seen: the latest version, and the latest version that made work
    claimable or asked for a cancellation."""

    version: int = 0
    work: int = 0


class ProcessRegistry(Protocol):
    """A store of processes. `execute` and `wait` are called by one thread each, at the same time.

    `execute` runs the batch as one transaction that equals its requests executed one after another, and returns one
    answer for each. It raises nothing for trouble with the store: that is Unavailable (surely not applied) or Unknown
    (perhaps applied), by CONTRACT §2's table; a store that cannot be used at all raises StoreUnusable. `wait` returns
    as soon as the cursor moved past `after`, or after `timeout` seconds, or after `close`: a hint, never the truth.
    """

    @property
    @abstractmethod
    def tier(self) -> DurabilityTier:
        """What the store promises."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """The registry's epoch: tokens are compared outside it as (epoch, token)."""

    @abstractmethod
    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """One answer for each request."""

    @abstractmethod
    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """The cursor, once it moved past `after`, or when `timeout` seconds are over."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store; may be called twice."""
