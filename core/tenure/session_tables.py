"""What a store of sessions keeps, and how the law (`tenure.session_model`) reads and writes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from tenure.instants import StoreTime
from tenure.sessions import Entry


@frozen
class SessionRow:
    """What is kept of a session beside its entries; `size` and `largest` in bytes of bodies."""

    head: str = ""
    entries: int = 0
    size: int = 0
    largest: int = 0


@frozen
class Mark:
    """A watermark: the highest (epoch, token) under which a process opened the session, and how many moves it made."""

    epoch: int
    token: int
    moves: int = 0

    @property
    def height(self) -> tuple[int, int]:
        """By which it is compared."""
        return self.epoch, self.token


class SessionTables(Protocol):
    """One session's rows, inside one transaction. Names may be anything; what no store could carry is not there."""

    @abstractmethod
    def row(self) -> SessionRow | None:
        """The session, or None where nobody opened it under a fence, nobody appended, or it was deleted."""

    @abstractmethod
    def write_row(self, row: SessionRow) -> None:
        """Make the session, or change it. The watermarks that a deletion left are kept from then on."""

    @abstractmethod
    def mark(self, registry: str, process_id: str) -> Mark | None:
        """The watermark of the process."""

    @abstractmethod
    def write_mark(self, registry: str, process_id: str, mark: Mark) -> None:
        """Make the watermark, or change it. The session is there."""

    @abstractmethod
    def entry(self, entry_id: str) -> Entry | None:
        """The entry of that id."""

    @abstractmethod
    def add(self, entry: Entry) -> None:
        """Keep a new entry."""

    @abstractmethod
    def path(self, leaf: str, limit: int) -> Sequence[Entry]:
        """At most `limit` entries from the leaf towards the root, as far as they are there."""

    @abstractmethod
    def tree(self, after: int, limit: int) -> Sequence[Entry]:
        """At most `limit` entries whose seq is over `after`, in its order."""

    @abstractmethod
    def remove(self, clock: StoreTime) -> None:
        """Remove the row and its entries. Its watermarks stay, with no moves, and the time is written down."""

    @abstractmethod
    def forget(self, before: StoreTime, sessions: int) -> None:
        """Remove the watermarks of so many sessions, of any id, that were deleted before then, the longest first."""
