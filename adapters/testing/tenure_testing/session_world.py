"""What the checks of sessions are written in: a store under a clock, and short words for requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from attrs import define, field

from tenure.canonical import Json, canonical
from tenure.replies import Fenced
from tenure.sessions import (
    Appended,
    AppendEntry,
    Entry,
    MoveHead,
    Open,
    Opened,
    ReadTree,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    SessionStoreFactory,
    TreeRead,
)
from tenure_testing.registry_world import ManualClock, expect

R = TypeVar("R")

MakeSessions: TypeAlias = Callable[[ManualClock], SessionStoreFactory]
"""Makes a new, empty store with `Limits()` that reads this clock."""

FIRST = SessionFence("r", "p", 1, 10)
"""The fence of a process's first attempt."""
SECOND = SessionFence("r", "p", 1, 11)
"""Of its second."""


BAD_TEXTS = ("\0", "\ud800")
"""Texts that no store can carry."""


@define
class SessionWorld:
    """One store of sessions under its clock. What is asked without naming a session is asked of `s`."""

    make: MakeSessions
    clock: ManualClock = field(factory=ManualClock)
    store: SessionStoreFactory = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.make(self.clock)

    def ask(
        self, request: SessionRequest, session: str = "s", policy: SessionPolicy | None = None
    ) -> SessionAnswer:
        return self.store.open(session, policy or SessionPolicy()).execute(request)

    def reply(
        self,
        request: SessionRequest,
        kind: type[R],
        session: str = "s",
        policy: SessionPolicy | None = None,
    ) -> R:
        """The reply of a request that must succeed."""
        answer = self.ask(request, session, policy)
        if not isinstance(answer, kind):
            raise AssertionError(f"{request!r} was answered {answer!r}, not with {kind.__name__}")
        return answer

    def refused(
        self, request: SessionRequest, reason: SessionReason, policy: SessionPolicy | None = None
    ) -> SessionRefused:
        """The request is refused for that reason, and changes nothing."""
        before = self.everything()
        answer = self.ask(request, policy=policy)
        if not isinstance(answer, SessionRefused) or answer.reason is not reason:
            raise AssertionError(f"{request!r} was answered {answer!r}, not refused as {reason}")
        expect(self.everything(), before, f"the session after the refused {request!r}")
        return answer

    def fenced(self, request: SessionRequest, session: str = "s") -> None:
        """The request is fenced, and changes nothing."""
        before = self.everything(session)
        expect(self.ask(request, session), Fenced(), f"the answer to {request!r}")
        expect(self.everything(session), before, f"the session after the fenced {request!r}")

    def open(self, fence: SessionFence | None = None, session: str = "s") -> Opened:
        return self.reply(Open(fence), Opened, session)

    def head(self, session: str = "s") -> str:
        return self.open(None, session).head

    def append(
        self, entry_id: str, fence: SessionFence | None = None, value: object = None, session: str = "s"
    ) -> Entry:
        """Append at the head."""
        request = AppendEntry(entry_id, self.head(session), canonical(value), fence)
        done = self.reply(request, Appended, session)
        expect(done.head, entry_id, "the head after an append")
        return done.entry

    def everything(self, session: str = "s") -> object:
        """Where the session stands, and all its entries: what a refusal leaves alone."""
        return self.open(None, session), self.reply(ReadTree(0, 10_000), TreeRead, session).entries


def writes(fence: SessionFence | None, head: str, to: str) -> list[SessionRequest]:
    """What would change a session whose head that is; `to` is another entry."""
    return [AppendEntry("new", head, Json("1"), fence), MoveHead(head, to, 1, fence)]
