"""What the stories of workers have in common: applications whose handlers say what they do, and what the store saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenure import App, Context, DurabilityTier, ProcessRegistry, Record
from tenure.facets import StoredFacets
from tenure.replies import Answer, Got, Succeeded
from tenure.requests import Get, Request
from tenure.sessions import SessionPolicy, SessionStore, SessionStoreFactory
from tenure_memory import MemoryContents, MemorySessions
from tenure_testing.playing import Execution, Observer
from tenure_testing.rehearsing import RehearsedWorld, sleep


def job(handler: Callable[..., Any], name: str = "job", **options: Any) -> App:
    """An application of one kind."""
    app = App()
    app.process(name, **options)(handler)
    return app


async def an_hour(ctx: Context) -> int:
    """A handler that takes an hour and returns which attempt it was."""
    await sleep(3_600)
    return ctx.attempt


async def a_minute(ctx: Context) -> int:
    """A handler that takes a minute and returns which attempt it was."""
    await sleep(60)
    return ctx.attempt


def row(world: RehearsedWorld, process_id: str = "p") -> Record:
    """The row as it is now."""
    (found,) = [one for one in world.store.records() if one.id == process_id]
    return found


def record(registry: ProcessRegistry, process_id: str = "p") -> Record:
    """The row as a registry has it now."""
    (answer,) = registry.execute([Get(process_id)])
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Got)
    return answer.reply.record


def log(world: RehearsedWorld, process_id: str = "p") -> list[str]:
    """The types of the process's events."""
    return [event.type for event in world.client.events(process_id)]


class Seen(Observer):
    """Every request of one type that the store executed: when (seconds since the world began), whose, and how it was
    answered."""

    def __init__(self, world: RehearsedWorld, kind: type[Request]) -> None:
        self.world, self.kind = world, kind
        self.all: list[tuple[float, str, Any, Answer]] = []
        world.observers.append(self)

    def executed(self, execution: Execution) -> None:
        for request, answer in zip(execution.requests, execution.answers, strict=True):
            if isinstance(request, self.kind):
                who = execution.sender.name if execution.sender else ""
                self.all.append((self.world.elapsed, who, request, answer))

    @property
    def times(self) -> list[float]:
        """When."""
        return [at for at, _, _, _ in self.all]

    @property
    def answers(self) -> list[Answer]:
        """How they were answered."""
        return [answer for _, _, _, answer in self.all]


class Failing:
    """A session-store factory that raises `error` for so many seconds of the world's time, and then is a good one."""

    tier = DurabilityTier.INLINE

    def __init__(self, world: RehearsedWorld, error: Exception, seconds: float = 1e9) -> None:
        self.world, self.error, self.seconds = world, error, seconds
        self.good = MemorySessions(clock=world.store_clock)

    def open(self, session_id: str, policy: SessionPolicy) -> SessionStore:
        if self.world.elapsed < self.seconds:
            raise self.error
        return self.good.open(session_id, policy)

    def close(self) -> None:
        """Nothing is open."""


def with_sessions(world: RehearsedWorld, sessions: SessionStoreFactory) -> None:
    """Have the world's store bring these sessions; workers that are started then open them."""
    store: Any = world.store
    contents = (MemoryContents("attachment"), MemoryContents("artifact"))
    store.facets = lambda: StoredFacets(sessions, *contents)
