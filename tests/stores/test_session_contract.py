"""Both stores of sessions under the law: the shipped kit, check by check; and what it finds in careless ones (B7)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from attrs import evolve

from tenure.limits import Limits
from tenure.replies import Fenced
from tenure.sessions import (
    AppendEntry,
    Delete,
    MoveHead,
    Open,
    Opened,
    PathRead,
    ReadPath,
    SessionAnswer,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    SessionStoreFactory,
)
from tenure.stores import DurabilityTier
from tenure_memory import MemorySessions
from tenure_sqlite import open_sessions
from tenure_testing.registry_world import ManualClock
from tenure_testing.session_contract import (
    SESSION_CHECKS,
    SessionCheck,
    check_sessions,
    name_of,
    run_session_check,
)
from tenure_testing.session_world import MakeSessions

Maker = Callable[[Path], MakeSessions]


def memory(_: Path) -> MakeSessions:
    return lambda clock: MemorySessions(clock=clock)


def sqlite(folder: Path) -> MakeSessions:
    numbers = count()
    return lambda clock: open_sessions(f"sqlite:///{folder}/{next(numbers)}.db", clock=clock, gap=0)


@pytest.mark.parametrize("maker", [memory, sqlite])
@pytest.mark.parametrize("check", SESSION_CHECKS, ids=name_of)
def test_the_store_keeps_the_law_of_sessions(check: SessionCheck, maker: Maker, tmp_path: Path) -> None:
    run_session_check(check, maker(tmp_path))


def test_the_kit_runs_as_one_call() -> None:
    opened: list[SessionStoreFactory] = []

    def make(clock: ManualClock) -> SessionStoreFactory:
        opened.append(MemorySessions(clock=clock))
        return opened[-1]

    check_sessions(make)
    assert len(opened) == len(SESSION_CHECKS)


# --- careless stores ----------------------------------------------------------------------------------------------


class Careless:
    """A store that does something else than it is asked; each does one thing wrong."""

    wrong: tuple[str, ...] = ()
    """The checks that see it, in their order."""

    def __init__(self, clock: ManualClock) -> None:
        self.inner = MemorySessions(clock=clock)

    @property
    def tier(self) -> DurabilityTier:
        return self.inner.tier

    def open(self, session_id: str, policy: SessionPolicy) -> CarelessSession:
        return CarelessSession(self, session_id, policy)

    def close(self) -> None:
        self.inner.close()

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        raise NotImplementedError


class CarelessSession:
    def __init__(self, factory: Careless, session_id: str, policy: SessionPolicy) -> None:
        factory.inner.open(session_id, policy)
        self.factory, self.id, self.policy = factory, session_id, policy

    def execute(self, request: SessionRequest) -> SessionAnswer:
        return self.factory.answer(self.id, self.policy, request)


class WithoutWatermarks(Careless):
    """W9: whoever had the lease once writes for ever."""

    wrong = (
        "opening fences earlier attempts",
        "a write needs a watermark",
        "a watermark is of one process in one session",
        "a watermark outlives the session",
        "a watermark is forgotten after the horizon",
    )

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        answer = self.inner.execute(session_id, policy, request)
        if answer == Fenced() and isinstance(request, Open | AppendEntry | MoveHead | Delete):
            return self.inner.execute(session_id, policy, evolve(request, fence=None))
        return answer


class WithoutCompareAndSet(Careless):
    """Who writes last, wins."""

    wrong = ("the head moves by compare and set",)

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        answer = self.inner.execute(session_id, policy, request)
        if isinstance(answer, SessionRefused) and answer.reason is SessionReason.HEAD_MOVED:
            if isinstance(request, AppendEntry):
                return self.inner.execute(session_id, policy, evolve(request, parent=answer.head))
            if isinstance(request, MoveHead):
                return self.inner.execute(session_id, policy, evolve(request, head=answer.head))
        return answer


class AppendsTwice(Careless):
    """A replay is a new entry."""

    wrong = (
        "an append is made once",
        "the same append with another body is refused",
        "the policy bounds what is appended",
    )

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        if isinstance(request, AppendEntry):
            known = self.inner.execute(session_id, policy, ReadPath(request.entry_id, 1))
            opened = self.inner.execute(session_id, SessionPolicy(), Open())
            if isinstance(opened, Opened) and isinstance(known, PathRead) and known.entries:
                again = evolve(request, entry_id=f"{opened.head}'", parent=opened.head)
                return self.inner.execute(session_id, policy, again)
        return self.inner.execute(session_id, policy, request)


class MovesTwice(Careless):
    """A later attempt's fork leaves the entries that came after the earlier one's."""

    wrong = ("a move is made once per process",)

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        again = evolve(request, n=0) if isinstance(request, MoveHead) else request
        return self.inner.execute(session_id, policy, again)


class BoundsNothing(Careless):
    """A policy is a word."""

    wrong = ("the policy bounds what is appended", "the policy is checked at opening")

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        return self.inner.execute(session_id, SessionPolicy(), request)


class ForgetsAtOnce(Careless):
    """A deletion takes the watermarks with it."""

    wrong = ("a watermark outlives the session", "a watermark is forgotten after the horizon")

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.inner = MemorySessions(clock=clock, limits=Limits(retry_horizon=-1))

    def answer(self, session_id: str, policy: SessionPolicy, request: SessionRequest) -> SessionAnswer:
        return self.inner.execute(session_id, policy, request)


@pytest.mark.parametrize(
    "careless",
    [WithoutWatermarks, WithoutCompareAndSet, AppendsTwice, MovesTwice, BoundsNothing, ForgetsAtOnce],
)
def test_the_kit_sees_a_careless_store(careless: type[Careless]) -> None:
    seen: list[str] = []
    for check in SESSION_CHECKS:
        with suppress(AssertionError):
            run_session_check(check, careless)
            continue
        seen.append(name_of(check))
    assert tuple(seen) == careless.wrong
    with pytest.raises(AssertionError) as failure:
        check_sessions(careless)
    (first,) = [check for check in SESSION_CHECKS if name_of(check) == seen[0]]
    assert str(failure.value).startswith(f"{seen[0]}\n{first.__doc__}\n")
