"""The law of sessions (CONTRACT §8), over the store in memory: the shipped kit, and the words of each refusal."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import evolve

from tenure.canonical import Json
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.replies import Fenced
from tenure.session_model import FORGOTTEN_AT_ONCE, execute
from tenure.session_tables import Mark, SessionRow
from tenure.sessions import (
    Appended,
    AppendEntry,
    Delete,
    Deleted,
    Entry,
    Moved,
    MoveHead,
    Open,
    Opened,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
)
from tenure_memory import MemorySessions
from tenure_testing.registry_world import ManualClock
from tenure_testing.session_contract import SESSION_CHECKS, SessionCheck, name_of, run_session_check
from tenure_testing.session_world import FIRST, SECOND, SessionWorld


@pytest.mark.parametrize("check", SESSION_CHECKS, ids=name_of)
def test_the_model_keeps_the_law_of_sessions(check: SessionCheck) -> None:
    run_session_check(check, lambda clock: MemorySessions(clock=clock))


def world() -> SessionWorld:
    """A session under a fence, of the entries a and b."""
    made = SessionWorld(lambda clock: MemorySessions(clock=clock))
    made.open(FIRST)
    made.append("a", FIRST, 1)
    made.append("b", FIRST, 2)
    return made


R = SessionReason
SMALL = SessionPolicy(entries=2, entry_bytes=3, total_bytes=5)

REFUSALS: list[tuple[SessionRequest, SessionPolicy, SessionRefused]] = [
    (
        AppendEntry("a", "b", Json("3")),
        SMALL,
        SessionRefused(R.CONFLICT, "the entry was appended with another body"),
    ),
    (AppendEntry("c", "a", Json("3")), SMALL, SessionRefused(R.HEAD_MOVED, "the head is 'b', not 'a'", "b")),
    (
        AppendEntry("c", "b", Json("3333")),
        SMALL,
        SessionRefused(R.ENTRY_BYTES, "4 bytes in one entry; the limit is 3"),
    ),
    (AppendEntry("c", "b", Json("3")), SMALL, SessionRefused(R.ENTRIES, "3 entries; the limit is 2")),
    (
        AppendEntry("c", "b", Json("333")),
        evolve(SMALL, entries=3, total_bytes=4),
        SessionRefused(R.TOTAL_BYTES, "5 bytes in all entries together; the limit is 4"),
    ),
    (AppendEntry("c", "b", Json('"\0"')), SMALL, SessionRefused(R.BAD_TEXT, "it contains U+0000")),
    (
        AppendEntry("", "b", Json("3")),
        SMALL,
        SessionRefused(R.BAD_TEXT, "the entry's id: an id, kind, key or type must not be empty or blank"),
    ),
    (
        AppendEntry("x" * 256, "b", Json("3")),
        SMALL,
        SessionRefused(R.BAD_TEXT, "the entry's id: 256 characters; the limit is 255"),
    ),
    (MoveHead("b", "c"), SMALL, SessionRefused(R.UNKNOWN_ENTRY, "no entry 'c'")),
    (MoveHead("c", "a"), SMALL, SessionRefused(R.HEAD_MOVED, "the head is 'b', not 'c'", "b")),
    (
        Open(evolve(FIRST, registry="x" * 513)),
        SMALL,
        SessionRefused(R.BAD_TEXT, "the fence's registry or process: 513 characters; the limit is 512"),
    ),
    (
        Open(evolve(FIRST, process_id="\ud800")),
        SMALL,
        SessionRefused(R.BAD_TEXT, "the fence's registry or process: it contains a lone surrogate"),
    ),
    (Open(), evolve(SMALL, entries=1), SessionRefused(R.ENTRIES, "2 entries; the limit is 1")),
    (
        Open(),
        evolve(SMALL, total_bytes=1),
        SessionRefused(R.TOTAL_BYTES, "2 bytes in all entries together; the limit is 1"),
    ),
]


@pytest.mark.parametrize(("request_", "policy", "refused"), REFUSALS)
def test_a_refusal_says_why(request_: SessionRequest, policy: SessionPolicy, refused: SessionRefused) -> None:
    assert world().ask(request_, policy=policy) == refused


def test_the_size_of_the_largest_entry_is_remembered() -> None:
    made = world()
    made.append("c", value="xxxx")
    made.append("d", value=1)
    refused = made.ask(Open(), policy=SessionPolicy(entry_bytes=5))
    assert refused == SessionRefused(R.ENTRY_BYTES, "6 bytes in one entry; the limit is 5")
    assert made.ask(Open(), policy=SessionPolicy(entry_bytes=6)) == Opened("d", 4, 9)


def test_a_move_of_its_own_is_counted_and_one_of_a_client_is_not() -> None:
    made = world()
    assert made.ask(MoveHead("b", "a", 1)) == Moved("a")
    assert made.ask(MoveHead("a", "b", 5, FIRST)) == Moved("b")
    assert made.ask(MoveHead("b", "a", 3, FIRST)) == Moved("b")
    assert made.ask(MoveHead("b", "a", 5, FIRST)) == Moved("b")
    assert made.ask(MoveHead("b", "a", 0, FIRST)) == Moved("a")
    assert made.ask(MoveHead("a", "b", 5, FIRST)) == Moved("a")
    assert made.ask(MoveHead("a", "b", 6, FIRST)) == Moved("b")


def test_a_move_that_the_fenced_one_finds_made_is_counted() -> None:
    made = world()
    assert made.ask(MoveHead("a", "b", 1, FIRST)) == Moved("b")
    assert made.ask(MoveHead("b", "a", 1, FIRST)) == Moved("b")


def test_one_opening_forgets_a_few_deleted_sessions_the_longest_first() -> None:
    """So that its transaction stays short."""
    assert FORGOTTEN_AT_ONCE == 10
    made = world()
    names = [f"t{n:02}" for n in range(FORGOTTEN_AT_ONCE + 2)]
    for name in reversed(names):
        made.open(SECOND, name)
        made.ask(Delete(), name)
        made.clock.now += 1
    made.clock.now += Limits().retry_horizon
    made.open(FIRST)
    fenced = [name for name in names if made.ask(Delete(SECOND), name) == Fenced()]
    assert fenced == names[2:]
    made.open(FIRST)
    assert all(made.ask(Delete(SECOND), name) == Fenced() for name in names)


def test_only_an_opening_under_a_fence_makes_a_session_and_forgets() -> None:
    clock = ManualClock()
    sessions = MemorySessions(clock=clock, limits=Limits(retry_horizon=10))
    store = sessions.open("s", SessionPolicy())
    store.execute(Open(SECOND))
    store.execute(Delete())
    clock.now += 11
    store.execute(Open())
    assert store.execute(Delete(SECOND)) == Deleted(0)
    store.execute(Open(FIRST))
    assert store.execute(Delete(SECOND)) == Fenced()


def test_a_replay_is_answered_though_the_session_is_full() -> None:
    made = world()
    replay = AppendEntry("a", "b", Json("1"), FIRST)
    assert made.ask(replay, policy=SessionPolicy(entries=1)) == Appended(Entry("a", "", 1, Json("1")), "b")


class Written:
    """Tables of a session that is there, with FIRST's watermark; what is written to them is only noted."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def row(self) -> SessionRow:
        return SessionRow("b", 2, 2, 1)

    def mark(self, registry: str, process_id: str) -> Mark:
        assert (registry, process_id) == ("r", "p")
        return Mark(1, 10, 7)

    def forget(self, before: StoreTime, sessions: int) -> None:
        assert (before, sessions) == (StoreTime(600), FORGOTTEN_AT_ONCE)

    def write_row(self, row: SessionRow) -> None:
        self.notes.append(row)

    def write_mark(self, registry: str, process_id: str, mark: Mark) -> None:
        self.notes.append((registry, process_id, mark))


def test_opening_again_writes_nothing_so_that_a_refresh_costs_no_commit() -> None:
    tables = Written()
    opened = [
        execute(cast(Any, tables), Open(fence), SessionPolicy(), StoreTime(1_000), 400)
        for fence in (FIRST, SECOND)
    ]
    assert opened == [Opened("b", 2, 2)] * 2
    assert tables.notes == [("r", "p", Mark(1, 11, 7))]


def test_what_is_no_request_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="'no request'"):
        execute(cast(Any, None), cast(Any, "no request"), SessionPolicy(), StoreTime(0))


def test_a_watermark_is_compared_by_epoch_first() -> None:
    assert Mark(1, 9, 3).height == (1, 9) < Mark(2, 1).height
    assert SessionRow() == SessionRow("", 0, 0, 0)
    assert Mark(1, 1) == Mark(1, 1, 0)
