"""A driver in virtual time, without a thread, and a store in memory that gets its calls when a test says so."""

from __future__ import annotations

from collections.abc import Iterable

from tenure.attempt_types import StartHandler, Terms
from tenure.instants import Instant, StoreTime
from tenure.process import Provenance, Registration, Work
from tenure.replies import Answer, Succeeded
from tenure.requests import (
    Request,
    RequestCancel,
)
from tenure.timings import LeaseTimings, nanos
from tenure.worker_types import WorkerTerms
from tenure_driver.messages import (
    Answered,
    Inbound,
    Outbox,
    Reply,
    Stopped,
    StoreCall,
)
from tenure_driver.turn import Driver
from tenure_memory import open_store

SECOND = nanos(1)


class World:
    """A driver, local time, and a store in memory that the test hands calls to, or not."""

    def __init__(self, worker: bool = False) -> None:
        self.now = Instant(0)
        self.store = open_store("memory:", clock=lambda: StoreTime(self.now // 1_000_000))
        timings = LeaseTimings()
        terms = WorkerTerms("owner", Terms(timings, "", ("work",)), 10, 10, SECOND) if worker else None
        self.driver = Driver(terms, self.now, lambda: 0)
        self.calls: list[StoreCall] = []
        self.replies: dict[int, object] = {}
        self.starts: list[StartHandler] = []
        self.stops: list[Stopped] = []
        self.box = self.turn()

    def turn(self, *inbox: Inbound) -> Outbox:
        """One turn; what it wants from the store waits in `calls`."""
        box = self.box = self.driver.turn(inbox, self.now)
        self.calls += box.calls
        for message in box.loop:
            match message:
                case Reply():
                    assert message.ask not in self.replies, "one reply for each ask"
                    self.replies[message.ask] = message.value
                case StartHandler():
                    self.starts.append(message)
                case Stopped():
                    self.stops.append(message)
                case _:
                    pass
        return box

    def pass_time(self, nanoseconds: int) -> None:
        """Time passes, with a turn whenever the driver wanted one."""
        end = self.now + nanoseconds
        while self.box.wake_at is not None and self.box.wake_at <= end:
            self.now = Instant(max(self.now, self.box.wake_at))
            before = self.box
            self.turn()
            assert before.wake_at != self.box.wake_at or self.box.calls or self.box.loop, "a turn for nothing"
        self.now = Instant(end)
        self.turn()

    def take(self, *kinds: type) -> list[StoreCall]:
        """The calls that wait, of these kinds, and no longer do."""
        taken: list[StoreCall] = []
        left: list[StoreCall] = []
        for call in self.calls:
            (taken if not kinds or isinstance(call.request, kinds) else left).append(call)
        self.calls = left
        return taken

    def execute(self, *kinds: type) -> None:
        """The store executes what waits, of these kinds, and the driver hears of it."""
        taken = self.take(*kinds)
        answers = self.store.execute([call.request for call in taken])
        self.answer(taken, answers)

    def answer(self, calls: Iterable[StoreCall], answers: Iterable[Answer]) -> None:
        """These answers to these calls."""
        self.turn(Answered(tuple((call.id, answer) for call, answer in zip(calls, answers, strict=True))))

    def settle(self) -> None:
        """Execute until nothing waits."""
        while self.calls:
            self.execute()

    def applied(self, request: Request) -> Answer:
        """Somebody else's request."""
        return self.store.execute([request])[0]


def registration(process_id: str) -> Registration:
    return Registration(process_id, Work("work"), (), Provenance("scope"))


def ended(world: World, process_id: str) -> None:
    """Somebody else ends the process."""
    assert isinstance(world.applied(RequestCancel(process_id)), Succeeded)
