"""What the tests of run_process put around a handler: stores that fail, plugins that note what is done with them."""

from __future__ import annotations

from typing import Any

from attrs import define, frozen

from tenure.canonical import canonical
from tenure.plugins import Plugin
from tenure.process import Failure, Success
from tenure.runtime import Runtime
from tenure.sessions import Open, Opened, PathRead, ReadPath, SessionPolicy
from tenure.stores import DurabilityTier
from tests.core.direct_world import DirectWorld, app

INLINE = DurabilityTier.INLINE
DONE = Success(canonical("done"))
NOBODYS = Failure(
    "execution", "handler_cancelled", "the handler ended by a cancellation that nobody asked for"
)


def path(world: DirectWorld, session: str = "the session") -> list[Any]:
    """What the session's active path holds, from its root."""
    store = world.memory.open(session, SessionPolicy())
    opened = store.execute(Open())
    assert isinstance(opened, Opened)
    read = store.execute(ReadPath(opened.head))
    assert isinstance(read, PathRead)
    return [entry.value for entry in reversed(read.entries)]


async def appending(ctx: Any) -> int:
    """Append to the session; how many entries it had."""
    session = await ctx.session()
    entries = len(session.path)
    await session.append(ctx.fencing_token.token)
    return entries


class Broken:
    """A session-store factory that fails when a session is opened, or answers the reads of one with `answers`."""

    tier = INLINE

    def __init__(self, store: Any, raised: Exception | None = None, answers: Any = None) -> None:
        self.store, self.raised, self.answers = store, raised, answers

    def open(self, session_id: str, policy: SessionPolicy) -> Any:
        if self.raised is not None:
            raise self.raised
        self.opened = self.store.open(session_id, policy)
        return self

    def execute(self, request: Any) -> Any:
        return self.answers if isinstance(request, ReadPath) else self.opened.execute(request)


@define
class Block:
    """What a plugin opens; `log` has what happens to it."""

    log: list[str]
    name: str
    opening: BaseException | None = None
    closing: BaseException | None = None

    async def __aenter__(self) -> None:
        self.log.append(f"+{self.name}")
        if self.opening is not None:
            raise self.opening

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.log.append(f"-{self.name} {type(error).__name__}")
        if self.closing is not None:
            raise self.closing


def plugin(block: Block, services: Block, handler: Any, runtimes: list[Runtime] | None = None) -> Plugin:
    def start(runtime: Runtime) -> Block:
        if runtimes is not None:
            runtimes.append(runtime)
        return services

    return Plugin("whole", app("app", handler).kinds, lifespan=lambda: block, services=start)


class TooBusy(Exception):
    code = "busy"


@frozen
class Job:
    n: int


async def working(ctx: Any) -> list[Any]:
    """An effect and an event."""
    value = await ctx.effect("one", lambda: 7)
    await ctx.emit("progress", {"done": 1})
    return [value, ctx.attempt, ctx.fencing_token.token]
