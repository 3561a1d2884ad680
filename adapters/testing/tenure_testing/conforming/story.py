"""What scenarios are written in: requests, and what is expected of each in words of one's own.

Nothing here is merely recorded. Each request is said to succeed (with which fields), to be fenced or to be refused
(why); the reference model then answers, and a scenario whose words the model does not bear out cannot be made. Its full
answers are what the vector holds. Every scenario ends with a look at all of its processes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define, field, frozen

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Fence, Record
from tenure.replies import Answer, Claimed, Fenced, FenceLogRead, Got, Reason, Refused, Succeeded
from tenure.requests import Claim, ClaimFilter, ClaimNext, Get, ReadFenceLog, Register, Request
from tenure_testing.conforming.running import looks
from tenure_testing.conforming.steps import plain
from tenure_testing.conforming.vectors import Ability, Exchange, Restart, Script
from tenure_testing.registry_world import process

R = TypeVar("R")

START = 1_000_000
"""Store time, in ms, when a scenario begins."""
TTL = 1_000
K = ClaimFilter("", ("k",))
HORIZON = 10_000
SHORT = Limits(retry_horizon=HORIZON)
"""Limits under which pruning comes soon."""
SMALL = Limits(payload=40, name=10)
"""Limits that little exceeds."""


class NotBorneOut(Exception):
    """A scenario expects what the reference model does not do."""


@define
class Story:
    """A scenario being written."""

    limits: Limits = field(factory=Limits)
    now: int = START
    steps: list[Exchange | Restart] = field(factory=list[Exchange | Restart])
    names: list[str] = field(factory=list[str])
    _state: Snapshot = field(init=False)
    _claims: dict[str, int] = field(factory=dict[str, int])

    def __attrs_post_init__(self) -> None:
        self._state = Snapshot(limits=self.limits)

    # --- asking, with an expectation ------------------------------------------------------------------------------

    def ok(self, request: Request, **expected: object) -> Any:
        """It succeeds, with these fields in its reply; the reply."""
        (answer,) = self._ask(request)
        if not isinstance(answer, Succeeded):
            raise NotBorneOut(f"{request} was to succeed, and is answered {answer}")
        _has(answer.reply, expected, request)
        return answer.reply

    def fenced(self, *requests: Request) -> None:
        """Each of them, asked alone, is fenced."""
        for request in requests:
            (answer,) = self._ask(request)
            if answer != Fenced():
                raise NotBorneOut(f"{request} was to be fenced, and is answered {answer}")

    def refused(self, reason: str, *requests: Request) -> None:
        """Each of them, asked alone, is refused for that reason."""
        for request in requests:
            (answer,) = self._ask(request)
            if answer != Refused(Reason(reason)):
                raise NotBorneOut(f"{request} was to be refused as {reason}, and is answered {answer}")

    def again(self, request: Request, reply: object) -> None:
        """Asked again, it answers the same reply, and changes nothing (S10)."""
        before = self._state
        if self.ok(request) != reply or self._state != before:
            raise NotBorneOut(f"{request} was to be a replay")

    def batch(self, *requests: Request) -> list[str]:
        """All of them in one transaction; in words, how each is answered: ok, fenced, or the reason of a refusal."""
        words: list[str] = []
        for answer in self._ask(*requests):
            words.append("ok" if isinstance(answer, Succeeded) else "fenced")
            if isinstance(answer, Refused):
                words[-1] = answer.reason.value
        return words

    def row(self, name: str, **expected: object) -> Record:
        """The process's record, with these fields."""
        got: Got = self.ok(Get(name))
        _has(got.record, expected, name)
        return got.record

    def notes(self, total: int, *notes: Any) -> None:
        """The fence log, newest first. The model has none: what is written here is what the vector holds."""
        read = Succeeded(FenceLogRead(notes, total))
        self.steps.append(Exchange(StoreTime(self.now), (ReadFenceLog(),), (read,)))

    def expect(self, what: str, actual: object, expected: object) -> None:
        """The two are equal."""
        if actual != expected:
            raise NotBorneOut(f"{what}: {actual}, not {expected}")

    # --- short words ----------------------------------------------------------------------------------------------

    def later(self, ms: int) -> None:
        """The store's clock moves; backwards, where that is negative."""
        self.now += ms

    def reopen(self) -> None:
        """The store is closed and opened again."""
        self.steps.append(Restart())

    def register(self, *names: str, delay: int = 0, **content: Any) -> None:
        """New processes of kind `k`, unless told; see `work`."""
        for name in names:
            self.ok(Register(process(name, **content), delay))

    def take(self, name: str, owner: str = "w", ttl: int = TTL) -> Fence:
        """Claim one process under the owner's next claim number; it must be claimable."""
        reply: Claimed = self.ok(Claim(self.claim_id(owner), name, ttl))
        (grant,) = reply.grants
        return grant.fence

    def started(self, name: str = "p", **content: Any) -> Fence:
        """A new process, held by `w` for a TTL."""
        self.register(name, **content)
        return self.take(name)

    def get_next(
        self, *names: str, owner: str = "w", limit: int = 10, ttl: int = TTL, of: ClaimFilter = K
    ) -> list[Fence]:
        """ClaimNext under the owner's next number grants just these, in this order."""
        reply: Claimed = self.ok(ClaimNext(self.claim_id(owner), ttl, limit, of))
        self.expect("granted", [grant.record.id for grant in reply.grants], list(names))
        return [grant.fence for grant in reply.grants]

    def claim_id(self, owner: str) -> ClaimId:
        """The owner's next claim."""
        self._claims[owner] = self._claims.get(owner, 0) + 1
        return ClaimId(owner, self._claims[owner])

    # --- the end --------------------------------------------------------------------------------------------------

    def finished(self) -> tuple[Exchange | Restart, ...]:
        """All steps, and the look at every process that was registered."""
        if self.names:
            self._ask(*(look for name in self.names for look in looks(name)))
        return tuple(self.steps)

    def _ask(self, *requests: Request) -> list[Answer]:
        answers: list[Answer] = []
        for request in requests:
            self._state, answer = apply(self._state, request, StoreTime(self.now))
            answers.append(plain(answer))
            if isinstance(request, Register) and request.registration.id not in self.names:
                self.names.append(request.registration.id)
        self.steps.append(Exchange(StoreTime(self.now), requests, tuple(answers)))
        return answers


def _has(value: object, expected: Mapping[str, object], of: object) -> None:
    for name, wanted in expected.items():
        actual = getattr(value, name)
        if actual != wanted:
            raise NotBorneOut(f"{of}: {name} is {actual!r}, not {wanted!r}")


# --- scenarios --------------------------------------------------------------------------------------------------------


@frozen
class Told:
    """A scenario that can be made: name, reason, what it cites, what it needs, and how it goes."""

    name: str
    why: str
    cites: tuple[str, ...]
    tell: Callable[[Story], None]
    needs: tuple[Ability, ...] = ()
    limits: Limits = Limits()

    def script(self) -> Script:
        """The vector. Raises NotBorneOut, naming the scenario."""
        story = Story(self.limits)
        try:
            self.tell(story)
        except NotBorneOut as wrong:
            raise NotBorneOut(f"{self.name}: {wrong}") from wrong
        return Script(self.name, self.why, self.cites, self.needs, self.limits, story.finished())


def scenario(
    cites: str, *needs: Ability, limits: Limits | None = None
) -> Callable[[Callable[[Story], None]], Told]:
    """A scenario from a function: its name with hyphens, its docstring for the reason."""

    def told(tell: Callable[[Story], None]) -> Told:
        name = getattr(tell, "__name__", "").strip("_").replace("_", "-")
        why = re.sub(r"\s+", " ", tell.__doc__ or "").strip()
        return Told(name, why, tuple(cites.split()), tell, needs, limits or Limits())

    return told


def told_in(module: Mapping[str, object]) -> Sequence[Told]:
    """The scenarios of a module, in its order."""
    return tuple(value for value in module.values() if isinstance(value, Told))


def scripts(*groups: Sequence[Told]) -> Iterator[Script]:
    """The vectors of all groups."""
    for group in groups:
        for told in group:
            yield told.script()
