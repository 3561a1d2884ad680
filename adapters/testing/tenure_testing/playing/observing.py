"""What can be seen of a world. Each method is also a place where an observer may make something happen: crash the
worker, say, right between the commit and the answer. What a method raises, the world's step raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from tenure.asks import Ask
from tenure.instants import Instant, StoreTime
from tenure.process import Outcome
from tenure.replies import Answer
from tenure.requests import Request
from tenure_driver.jobs import Job
from tenure_driver.messages import Inbound, Outbox, StoreCall

if TYPE_CHECKING:
    from tenure_testing.playing.host import Host


@frozen
class Execution:
    """The store executed a batch, as one transaction. `sender` is None for a test's own; `sending` numbers what was
    sent, so that one that is doubled has its number twice; `sent_at` is the sender's clock when it left; `at` is the
    store's clock."""

    sender: Host | None
    sending: int
    requests: tuple[Request, ...]
    answers: tuple[Answer, ...]
    at: StoreTime
    sent_at: Instant | None = None


class Observer:
    """Every step that somebody may want to see. All do nothing here."""

    def turned(self, host: Host, inbox: Sequence[Inbound], box: Outbox) -> None:
        """The driver made a turn; what it wants has not been done yet."""

    def declined(self, host: Host, calls: Sequence[StoreCall]) -> None:
        """The store thread dropped calls whose time was over, or whose lease was lost meanwhile (S14)."""

    def sending(self, host: Host, calls: Sequence[StoreCall]) -> None:
        """A batch is about to leave the store thread."""

    def sent(self, host: Host, calls: Sequence[StoreCall]) -> None:
        """It has left, and may be executed whatever becomes of the sender."""

    def executed(self, execution: Execution) -> None:
        """The store has committed; nobody was answered yet."""

    def heard(self, host: Host, calls: Sequence[StoreCall], answers: Sequence[Answer]) -> None:
        """The store thread heard of a batch; the machine does not know yet."""

    def starting(self, host: Host, job: Job) -> None:
        """A handler is about to be started by its loop, which looks once more whether it may (S13)."""

    def started(self, host: Host, job: Job) -> None:
        """It may, and was: the handler's own code begins."""

    def cancelling(self, host: Host, token: int) -> None:
        """The handler under that token is about to be cancelled by its loop."""

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        """A handler ended; None: it was stopped, or never started."""

    def asking(self, host: Host, ask: Ask) -> None:
        """A handler or client asks for something."""

    def replied(self, host: Host, ask: Ask) -> None:
        """The reply to it has come back to who asked."""

    def happened(self, what: str, host: Host | None) -> None:
        """A fault, or its end, in one word: crashed, restarted, paused, doubled, …"""
