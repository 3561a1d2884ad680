"""A registry under test, as a value with a clock of its own: the reference model, one request after another."""

from __future__ import annotations

from typing import TypeVar

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Fence, Provenance, Record, Registration, Work
from tenure.replies import Answer, Claimed, Got, Reason, Refused, Reply, Succeeded
from tenure.requests import Claim, ClaimFilter, ClaimNext, Get, Register, Request

R = TypeVar("R", bound=Reply)
TTL = 30_000


def registration(process_id: str, kind: str = "k", owner: str = "main", profile: str = "") -> Registration:
    return Registration(process_id, Work(kind), ("progress",), Provenance(owner, profile))


class Rows:
    """What a test asks of the model, and when."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = StoreTime(0)
        self.state = Snapshot(limits=limits or Limits())
        self.claims = 0

    def ask(self, request: Request) -> Answer:
        self.state, answer = apply(self.state, request, self.clock)
        return answer

    def get(self, request: Request, kind: type[R]) -> R:
        """The reply, which must be of that kind."""
        answer = self.ask(request)
        assert isinstance(answer, Succeeded), answer
        assert isinstance(answer.reply, kind)
        return answer.reply

    def refused(self, request: Request) -> Reason:
        """Why the request is refused, and that it changed nothing."""
        before = self.state
        answer = self.ask(request)
        assert isinstance(answer, Refused), answer
        assert self.state == before
        return answer.reason

    def register(self, *names: str) -> None:
        for name in names:
            self.ask(Register(registration(name)))

    def record(self, name: str) -> Record:
        return self.get(Get(name), Got).record

    def claim(self, name: str, owner: str = "us", ttl: int = TTL) -> Fence:
        self.claims += 1
        reply = self.get(Claim(ClaimId(owner, self.claims), name, ttl), Claimed)
        return reply.grants[0].fence

    def fence(self, name: str) -> Fence:
        """The fence of whoever claimed the row last."""
        record = self.record(name)
        assert record.claim is not None
        return Fence(name, record.claim, record.token)

    def claim_next(
        self, limit: int = 10, owner: str = "us", n: int = 0, wanted: ClaimFilter | None = None
    ) -> list[str]:
        """The ids granted, in their order; `n` 0 is the next."""
        self.claims += not n
        request = ClaimNext(
            ClaimId(owner, n or self.claims), TTL, limit, wanted or ClaimFilter("", ("k", "other"))
        )
        return [grant.record.id for grant in self.get(request, Claimed).grants]

    def after(self, ms: int) -> None:
        self.clock = StoreTime(self.clock + ms)
