"""Answers what contexts and clients ask from the reference model, without an event loop, a driver or a clock.

A coroutine is driven by `.send(None)`; every ask yields once before it is executed and once before its reply is there,
so that several coroutines driven together interleave as they would on a loop, and one can be cut short at either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from itertools import count
from types import coroutine
from typing import Any, TypeVar, cast

from attrs import asdict, define, field, has

from tenure.asks import Act, Ask, AwaitEnd, AwaitEvents, CallPlain, Heard, Submit
from tenure.attempt_types import Permitted, StopReason
from tenure.client import Client
from tenure.context import Context
from tenure.events import NO_SHAPES, heard
from tenure.handlers import Run
from tenure.instants import Instant, StoreTime
from tenure.kinds import Converter, Kind
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Outcome, Record
from tenure.replies import Answer, Claimed, EventsRead, Fenced, Got, Grant, Succeeded, Unavailable
from tenure.requests import ClaimFilter, ClaimNext, Complete, Get, ReadEvents, Request

T = TypeVar("T")

TTL = 30_000
EPOCH = 7
LIMIT = 50_000
PAGE = 2
"""Events of one look: few, so that pages turn."""


@coroutine
def pause() -> Generator[None, None, None]:
    """Let the others go on."""
    yield


def driven(running: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns."""
    while True:
        try:
            running.send(None)
        except StopIteration as done:
            value: T = done.value
            return value


def together(*running: Coroutine[Any, Any, Any]) -> list[Any]:
    """Drive all of them, each a little at a time; what they return, or raise."""
    results: dict[int, Any] = {}
    while len(results) < len(running):
        for number, one in enumerate(running):
            if number not in results:
                try:
                    one.send(None)
                except StopIteration as done:
                    results[number] = done.value
                except Exception as raised:
                    results[number] = raised
    return [results[number] for number in range(len(running))]


class Typed:
    """A converter of attrs classes, field by field."""

    def structure(self, value: Any, to: Any) -> Any:
        """The value as the type, where that is an attrs class."""
        if not (isinstance(to, type) and has(to)):
            return value
        try:
            return to(**value)
        except TypeError as mismatch:
            raise ValueError(f"the value does not fit {to.__name__}: {mismatch}") from None

    def unstructure(self, value: Any, declared: Any = Any) -> Any:
        """An attrs value as a dictionary."""
        return asdict(value) if has(cast("type[object]", type(value))) else value


@define(eq=False)
class World:
    """One registry as a value. `trouble`: the next answers of a store that is not well; `lost`: the tokens whose
    machines permit nothing any more; `stops`: why the handlers of these tokens are not left waiting; `asked`:
    everything that was asked, in order."""

    convert: Converter
    state: Snapshot
    clock: int
    trouble: deque[Answer]
    lost: set[int]
    asked: list[Ask]
    ids: Any
    stops: dict[int, StopReason] = field(factory=dict[int, StopReason])

    @classmethod
    def new(cls, convert: Converter | None = None) -> World:
        """An empty registry."""
        limits = Limits(payload=LIMIT)
        return cls(
            convert or Typed(), Snapshot(limits=limits, epoch=EPOCH), 1_000, deque(), set(), [], count(1)
        )

    async def ask(self, ask: Ask) -> Any:
        """What the driver does for a context or a client."""
        self.asked.append(ask)
        await pause()
        while (reply := self.reply(ask)) is None and isinstance(ask, AwaitEvents):
            await pause()
        await pause()
        return reply

    def reply(self, ask: Ask) -> Any:
        """What comes of it."""
        match ask:
            case Submit():
                return self.store(ask.request)
            case AwaitEnd():
                answer = self.store(Get(ask.process_id))
                still = isinstance(answer, Succeeded) and isinstance(answer.reply, Got)
                return None if still and self.record(ask.process_id).outcome is None else answer
            case AwaitEvents():
                return self.stops.get(ask.token) or self.heard(ask)
            case Act():
                if ask.token in self.lost:
                    return Fenced()
                return Permitted(Instant(1)) if ask.request is None else self.store(ask.request)
            case CallPlain():
                return ask.fn(*ask.args)

    def heard(self, ask: AwaitEvents) -> Heard | Answer | None:
        """What there is for whoever waits for events. None: nothing yet, and the time is not over."""
        after = ask.after
        while True:
            answer = self.store(ReadEvents(ask.process_id, after, PAGE))
            if not (isinstance(answer, Succeeded) and isinstance(answer.reply, EventsRead)):
                return answer
            found = heard(ask, after, answer.reply)
            if found.events or found.ended:
                return found
            if len(answer.reply.events) < PAGE:
                return None if ask.timeout is None else found
            after = found.reached

    def store(self, request: Request) -> Answer:
        """The store's answer; a troubled one that is not Unavailable may have applied the request, and has here."""
        said = self.trouble.popleft() if self.trouble else None
        if isinstance(said, Unavailable):
            return said
        self.state, answer = apply(self.state, request, StoreTime(self.clock))
        return said or answer

    def client(self) -> Client:
        """A client whose ids are id-1, id-2, …"""
        return Client(self.ask, self.convert, lambda: f"id-{next(self.ids)}", limit=LIMIT)

    def record(self, process_id: str) -> Record:
        """The row."""
        return next(record for record in self.state.records if record.id == process_id)

    def claim(self, kind: str = "job") -> Grant:
        """A claim of the first claimable process of that kind, once every lease has expired."""
        self.clock += 10 * TTL
        claim = ClaimId("us", next(self.ids))
        answer = self.store(ClaimNext(claim, TTL, 1, ClaimFilter("", (kind,))))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Claimed)
        return answer.reply.grants[0]

    def context(self, kind: str = "job", shapes: Mapping[str, type] = NO_SHAPES) -> Context:
        """The context of a new attempt."""
        return Context(self.ask, self.claim(kind), EPOCH, self.convert, LIMIT, shapes=shapes)

    def attempt(self, kind: Kind[Any, Any]) -> Outcome | None:
        """A whole attempt: claim, run the handler, and write its outcome, where it has one."""
        grant = self.claim(kind.name)
        ctx = Context(self.ask, grant, EPOCH, self.convert, LIMIT, shapes=kind.shapes)
        run = Run(kind, grant, self.convert, LIMIT)
        outcome = run.blocking(ctx) if kind.plain else driven(run.awaited(ctx))
        if outcome is not None:
            self.store(Complete(grant.fence, outcome))
        return outcome


def started(world: World | None = None, *, emits: tuple[str, ...] = ()) -> World:
    """A world with a process `p` of kind `job`."""
    world = world or World.new()
    driven(world.client().start("job", {"n": 1}, id="p", emits=emits))
    return world


def called(log: list[Any], value: T) -> Callable[..., T]:
    """A plain function that returns the value, and writes each call down."""

    def fn(*args: Any) -> T:
        log.append(args)
        return value

    return fn
