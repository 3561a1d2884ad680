"""A store of sessions in memory whose next answers can be made bad, and sessions opened over it without a loop."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, evolve, field

from tenure.asks import Ask, CallPlain
from tenure.replies import Unavailable
from tenure.session import Session, open_session
from tenure.sessions import (
    Open,
    Opened,
    ReadTree,
    Residency,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionRequest,
    SessionStore,
    TreeRead,
)
from tenure.stores import DurabilityTier
from tenure_memory import MemorySessions
from tests.core.trampoline_asks import Typed, driven, pause

FENCE = SessionFence("r", "p", 1, 10)

BOTH = pytest.mark.parametrize("residency", list(Residency), ids=lambda one: one.value)


def id_of(*source: str) -> str:
    """How an entry's id is made."""
    return hashlib.sha256(json.dumps(source, separators=(",", ":")).encode()).hexdigest()[:32]


@define(eq=False)
class Scene:
    """`trouble`: what comes instead of the next answers: an answer (surely not applied if it is Unavailable, else
    applied), an exception to raise, or None for the answer itself. `asked`: every request that reached the store."""

    memory: MemorySessions = field(factory=MemorySessions)
    trouble: deque[Any] = field(factory=deque[Any])
    asked: list[SessionRequest] = field(factory=list[SessionRequest])
    opened: list[tuple[str, SessionPolicy]] = field(factory=list[tuple[str, SessionPolicy]])
    answered: Callable[[SessionRequest, SessionAnswer], SessionAnswer] = lambda _, answer: answer

    # --- the factory, and the store of session `s` ----------------------------------------------------------------

    @property
    def tier(self) -> DurabilityTier:
        return self.memory.tier

    def open(self, session_id: str, policy: SessionPolicy) -> SessionStore:
        self.opened.append((session_id, policy))
        return Troubled(self, self.memory.open(session_id, policy))

    def close(self) -> None:
        self.memory.close()

    async def ask(self, ask: Ask) -> Any:
        """What a loop does: it yields before and after the call."""
        assert isinstance(ask, CallPlain)
        await pause()
        result = ask.called()
        await pause()
        return result

    # --- sessions -------------------------------------------------------------------------------------------------

    def session(
        self,
        token: int | None = 10,
        residency: Residency = Residency.ACTIVE_PATH_ONLY,
        policy: SessionPolicy | None = None,
    ) -> Session:
        """The session of the process's attempt with that token, or a client's."""
        fence = None if token is None else evolve(FENCE, token=token)
        return driven(open_session(self.ask, self, "s", policy or SessionPolicy(), residency, fence, Typed()))

    def stored(self) -> list[Any]:
        """The values of all entries, in their order; straight from the store."""
        read = self.memory.open("s", SessionPolicy()).execute(ReadTree(0, 10_000))
        assert isinstance(read, TreeRead)
        return [entry.value for entry in read.entries]

    def head(self) -> str:
        """The store's head."""
        opened = self.memory.open("s", SessionPolicy()).execute(Open())
        assert isinstance(opened, Opened)
        return opened.head


@define(eq=False)
class Troubled:
    """One session of the scene."""

    scene: Scene
    inner: SessionStore

    def execute(self, request: SessionRequest) -> SessionAnswer:
        scene = self.scene
        scene.asked.append(request)
        said = scene.trouble.popleft() if scene.trouble else None
        if isinstance(said, Exception):
            raise said
        if isinstance(said, Unavailable):
            return said
        answer = scene.answered(request, self.inner.execute(request))
        return said if said is not None else answer


def values(session: Session) -> list[Any]:
    """Those of the path."""
    return [entry.value for entry in session]
