"""What the registry's checks are written in: a store, the clock that it reads, and short words for requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from attrs import define, field

from tenure.canonical import NULL, Json, canonical
from tenure.instants import StoreTime
from tenure.process import (
    ClaimId,
    Event,
    External,
    Fence,
    Outcome,
    Provenance,
    Record,
    Registration,
    Success,
    Work,
)
from tenure.replies import (
    Answer,
    Claimed,
    EventsRead,
    Fenced,
    FenceLogRead,
    Got,
    Grant,
    Listed,
    Reason,
    Refused,
    Registered,
    Reply,
    Stamp,
    Succeeded,
)
from tenure.requests import (
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    Get,
    List,
    ReadEvents,
    ReadFenceLog,
    Register,
    Request,
)
from tenure.stores import ProcessRegistry

R = TypeVar("R")

START = 1_700_000_000_000
"""Where the checks' clock begins."""
TTL = 1_000


@define
class ManualClock:
    """A store's clock that stands still until it is told to move, backwards if need be."""

    now: int = START

    def __call__(self) -> StoreTime:
        return StoreTime(self.now)


Make: TypeAlias = Callable[[ManualClock], ProcessRegistry]
"""Makes a new, empty store with `Limits()` that reads this clock."""


def expect(actual: object, wanted: object, what: str = "") -> None:
    """Fail unless the two are equal; no bare assert, since a shipped module's asserts tell nothing."""
    if actual != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}got {actual!r}, expected {wanted!r}")


def holds(condition: bool, what: str) -> None:
    """Fail, saying what should have held."""
    if not condition:
        raise AssertionError(what)


@define
class World:
    """One store under its clock."""

    make: Make
    clock: ManualClock = field(factory=ManualClock)
    store: ProcessRegistry = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.make(self.clock)

    def another(self) -> World:
        """A second, empty store with a clock of its own."""
        return World(self.make)

    # --- asking ---------------------------------------------------------------------------------------------------

    def batch(self, *requests: Request) -> list[Answer]:
        answers = list(self.store.execute(requests))
        expect(len(answers), len(requests), "answers to a batch")
        return answers

    def ask(self, request: Request) -> Answer:
        return self.batch(request)[0]

    def reply(self, request: Request, kind: type[R]) -> R:
        """The reply of a request that must succeed."""
        return reply_of(self.ask(request), kind)

    def refused(self, request: Request, reason: Reason) -> None:
        """The request is refused for that reason, and changes nothing (S20)."""
        before = self.everything()
        answer = self.ask(request)
        holds(isinstance(answer, Refused), f"{request!r} was answered {answer!r}, not refused as {reason}")
        expect(answer.reason if isinstance(answer, Refused) else None, reason, f"the reason for {request!r}")
        expect(self.everything(), before, f"rows after the refused {request!r}")

    def fenced(self, request: Request) -> None:
        """The request is fenced, and changes nothing (S4, S20)."""
        before = self.everything()
        expect(self.ask(request), Fenced(), f"the answer to {request!r}")
        expect(self.everything(), before, f"rows after the fenced {request!r}")

    def repeats(self, request: Request, answer: Answer) -> None:
        """Asked again, the request answers the same and changes nothing (S10)."""
        before = self.everything()
        expect(self.ask(request), answer, f"the repeated {request!r}")
        expect(self.everything(), before, f"rows after the repeated {request!r}")

    # --- short words ----------------------------------------------------------------------------------------------

    def register(
        self,
        name: str,
        kind: str = "k",
        delay: int = 0,
        *,
        emits: tuple[str, ...] = ("progress",),
        owner_scope: str = "",
        profile: str = "",
    ) -> Stamp:
        wanted = process(name, kind, emits=emits, owner_scope=owner_scope, profile=profile)
        return self.reply(Register(wanted, delay), Registered).stamp

    def claim(
        self, owner: str, n: int, limit: int = 10, ttl: int = TTL, wanted: ClaimFilter | None = None
    ) -> list[Grant]:
        request = ClaimNext(ClaimId(owner, n), ttl, limit, wanted or ClaimFilter("", ("k",)))
        return list(self.reply(request, Claimed).grants)

    def claim_ids(self, owner: str, n: int, limit: int = 10, wanted: ClaimFilter | None = None) -> list[str]:
        return [grant.record.id for grant in self.claim(owner, n, limit, wanted=wanted)]

    def take(self, name: str, owner: str = "w", n: int = 1, ttl: int = TTL) -> Fence:
        """Claim one process, which must be claimable."""
        (grant,) = self.reply(Claim(ClaimId(owner, n), name, ttl), Claimed).grants
        return grant.fence

    def started(self, name: str = "p", *, emits: tuple[str, ...] = ("progress",)) -> Fence:
        """Register and claim a process."""
        self.register(name, emits=emits)
        return self.take(name)

    def complete(self, fence: Fence, value: object = None) -> None:
        holds(isinstance(self.ask(Complete(fence, success(value))), Succeeded), f"completing under {fence!r}")

    def record(self, name: str) -> Record:
        return self.reply(Get(name), Got).record

    def rows(self) -> tuple[Record, ...]:
        return self.reply(List(limit=10_000), Listed).records

    def log(self, name: str) -> tuple[Event, ...]:
        return self.reply(ReadEvents(name, limit=10_000), EventsRead).events

    def everything(self) -> object:
        """All rows and their events: what a refusal leaves alone. The fence log is aside."""
        rows = self.rows()
        return rows, [self.log(row.id) for row in rows if row.events]

    def fence_log(self, limit: int = 100) -> FenceLogRead:
        return self.reply(ReadFenceLog(limit), FenceLogRead)


def reply_of(answer: Answer, kind: type[R]) -> R:
    """The reply inside an answer that must be a success of that kind."""
    reply: Reply | None = answer.reply if isinstance(answer, Succeeded) else None
    if not isinstance(reply, kind):
        raise AssertionError(f"got {answer!r}, expected Succeeded({kind.__name__})")
    return reply


def process(
    name: str,
    kind: str = "k",
    payload: Json = NULL,
    emits: tuple[str, ...] = ("progress",),
    owner_scope: str = "",
    profile: str = "",
) -> Registration:
    """What a process is registered with."""
    return Registration(name, Work(kind, payload), emits, Provenance(owner_scope, profile))


def external(name: str, metadata: Json = NULL) -> Registration:
    """An external process."""
    return Registration(name, External(metadata))


def success(value: object = None) -> Outcome:
    """The outcome of a handler that returned `value`."""
    return Success(canonical(value))
