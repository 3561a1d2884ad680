"""What a runner takes from the world: threads, the local clock, and ids. A world that is played brings its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from tenure.instants import Instant
from tenure.kinds import Converter
from tenure.stores import ProcessRegistry
from tenure.worker_types import WorkerTerms
from tenure_driver.clocks import local_now
from tenure_driver.convert import CattrsConverter
from tenure_driver.messages import Inbound, Loopward
from tenure_driver.openings import Opens
from tenure_driver.options import Tap, new_id
from tenure_driver.threads import Threads


class Shell(Protocol):
    """The threads around the driver, as the runner sees them; `tenure_driver.threads` has the real ones."""

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def post(self, message: Inbound) -> None:
        """Hand a message to the driver."""

    @abstractmethod
    def stop(self) -> None:
        """End, without waiting for it."""

    @abstractmethod
    def close(self, release: Callable[[], None] | None = None) -> None:
        """End within a bound; `release` lets go of the store."""


class OpenShell(Protocol):
    """Makes a `Shell`."""

    @abstractmethod
    def __call__(
        self,
        store: ProcessRegistry,
        terms: WorkerTerms | None,
        deliver: Callable[[Sequence[Loopward]], None],
        poll_interval: float,
        tap: Tap,
        opens: Opens,
        /,
    ) -> Shell:
        """As `Threads`, which see."""


@frozen
class Seams:
    """What a runner takes from the world: threads, the local clock, ids that nobody else makes, and what converts typed
    values. A world that is played brings its own."""

    shell: OpenShell
    clock: Callable[[], Instant]
    new_id: Callable[[], str]
    convert: Callable[[], Converter]


REAL = Seams(Threads, local_now, new_id, CattrsConverter)
