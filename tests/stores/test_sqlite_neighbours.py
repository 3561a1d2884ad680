"""What a statement is about, and nothing beside it: with two of everything in the file, each answer is the model's.

The file also refuses what no row may be, and keeps in each index only the rows that the index is for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.canonical import canonical
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Fence, Provenance, Registration, Success, Work
from tenure.replies import Answer, Claimed, Fenced, FenceLogRead, Succeeded
from tenure.requests import (
    Claim,
    Complete,
    EmitEvent,
    Get,
    List,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_sqlite import open_store
from tenure_testing.registry_world import ManualClock, reply_of

TTL = 1_000
LIMITS = Limits(takeover_wait=TTL, takeover_cap=TTL, retry_horizon=0, fence_log=2)


class Both:
    """The model and a file, which are asked the same at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = Snapshot(limits=LIMITS)
        self.clock = ManualClock()
        self.store = open_store(f"sqlite:///{path}", clock=self.clock, limits=LIMITS)

    def ask(self, *batch: Request) -> list[Answer]:
        """In one batch of the file; its answers, which are the model's."""
        expected: list[Answer] = []
        for request in batch:
            self.model, answer = apply(self.model, request, StoreTime(self.clock.now))
            expected.append(answer)
        answers = list(self.store.execute(list(batch)))
        assert answers == expected
        return answers

    def register(self, name: str) -> None:
        work = Work("k", canonical(f"payload of {name}"))
        self.ask(Register(Registration(name, work, ("progress",), Provenance("o"))))

    def claim(self, name: str, owner: str, n: int) -> Fence:
        (answer,) = self.ask(Claim(ClaimId(owner, n), name, TTL))
        return reply_of(answer, Claimed).grants[0].fence

    def act(self, fence: Fence) -> None:
        """Three effects and three events, each with a text of its process."""
        for key in ("a", "b", "c"):
            body = canonical(f"{key} of {fence.process_id}")
            self.ask(RecordEffect(fence, key, f"f of {fence.process_id}", body))
            self.ask(EmitEvent(fence, "progress", body, key))

    def read(self, name: str) -> None:
        """All that hangs on a process, as a whole and page by page."""
        self.ask(Get(name))
        for after in ("", "a", "b", "c"):
            self.ask(ReadEffects(name, after))
            self.ask(ReadEffects(name, after, 1))
        for seq in range(7):
            self.ask(ReadEvents(name, seq))
            self.ask(ReadEvents(name, seq, 1))

    def everything(self) -> None:
        self.ask(List())
        for name in ("a", "b", "c", "d"):
            self.read(name)
        for owner in ("us", "them"):
            self.ask(ReadCancels(owner))
        for after in (0, *(record.version for record in self.model.records)):
            self.ask(ReadEndings(after))

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        names = ("processes", "inputs", "events", "effects", "claims")
        with closing(sqlite3.connect(self.path)) as link:
            return {name: link.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path / "s.db")
    yield made
    made.store.close()


@pytest.fixture
def fences(both: Both) -> dict[str, Fence]:
    """Of four processes, two are claimed by us and one by another, and all have done something."""
    for name in ("a", "b", "c", "d"):
        both.register(name)
    found = {"a": both.claim("a", "us", 1), "b": both.claim("b", "us", 2), "c": both.claim("c", "them", 1)}
    for fence in found.values():
        both.act(fence)
    return found


def test_reading(both: Both, fences: dict[str, Fence]) -> None:
    """S22, S23: what is read is of the process that was named, as it is now."""
    both.everything()
    both.ask(Get("a"), Get("b"))
    both.ask(Get("nobody"), Get("d"))


def test_what_was_done_before_is_known_again_by_its_own_key(both: Both, fences: dict[str, Fence]) -> None:
    """S10, S22: no neighbour's entry is taken for it."""
    for fence in fences.values():
        both.act(fence)
    both.everything()


def test_a_claim_is_repeated_by_its_owner_and_number(both: Both, fences: dict[str, Fence]) -> None:
    """S10, S22: no neighbour's claim is taken for it."""
    fences["d"] = both.claim("d", "another", 2)
    for name, owner, n in (("b", "us", 2), ("c", "them", 1), ("d", "another", 2)):
        assert both.claim(name, owner, n) == fences[name]
    assert both.ask(Claim(ClaimId("us", 1), "a", TTL)) == [Fenced()], "it has claimed since"


def test_a_cancel_is_shown_to_the_holder(both: Both, fences: dict[str, Fence]) -> None:
    """L4, S22, K17: and to no other; nor once its process has ended, nor where nobody asked."""
    for name in ("a", "b", "c"):
        both.ask(RequestCancel(name, f"why {name}"))
    both.everything()
    both.ask(Complete(fences["a"], Success()))
    both.ask(Release(fences["b"]))
    both.everything()


def test_only_the_latest_fences_are_kept(both: Both, fences: dict[str, Fence]) -> None:
    for number in range(4):
        stale = Fence("a", ClaimId("us", 1), fences["a"].token - 1 - number)
        both.ask(Renew(stale, TTL))
    (answer,) = both.store.execute([ReadFenceLog()])
    log = reply_of(answer, FenceLogRead)
    token = fences["a"].token
    assert ([note.stale for note in log.notes], log.total) == ([max(0, token - 4), max(0, token - 3)], 4)


def test_pruning_takes_what_ended_before_and_all_of_it(both: Both, fences: dict[str, Fence]) -> None:
    """S22, S11: and nothing of a neighbour."""
    both.ask(Complete(fences["a"], Success(canonical("result of a"))))
    both.clock.now += 10 * TTL
    both.register("late")
    late = both.claim("late", "late", 1)
    both.ask(Complete(fences["c"], Success(canonical("result of c"))))
    (pruned,) = both.ask(Prune(5 * TTL))
    assert isinstance(pruned, Succeeded)
    both.everything()
    assert both.claim("late", "late", 1) == late
    assert both.counts() == {"processes": 4, "inputs": 4, "events": 6, "effects": 6, "claims": 1}


IMPOSSIBLE = [
    ("held = 2", "UPDATE processes SET held = 2"),
    ("ended by nobody", "UPDATE processes SET held = 0, status = 'success'"),
    ("ended by somebody, and not ended", "UPDATE processes SET ended_by = 'attempt'"),
    ("ended and held", "UPDATE processes SET held = 1, status = 'success', ended_by = 'attempt'"),
    ("a second row of counters", "INSERT INTO meta SELECT 2, epoch, number, work, latest, fenced FROM meta"),
]


@pytest.mark.parametrize("statement", [each[1] for each in IMPOSSIBLE], ids=[each[0] for each in IMPOSSIBLE])
def test_what_no_row_may_be_is_refused(both: Both, fences: dict[str, Fence], statement: str) -> None:
    """Whoever writes it: here a hand at the file."""
    with closing(sqlite3.connect(both.path)) as link, pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        link.execute(statement)


INDEXES = {
    "ready": ("status IS NULL", "kind IS NOT NULL", "held = 0"),
    "expiring": ("held = 1",),
    "ended": ("status IS NOT NULL",),
    "cancels": ("held = 1", "cancel IS NOT NULL"),
    "owned": ("owner_scope <> ''",),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_has_only_what_it_is_for(both: Both, name: str) -> None:
    """So that SQLite refuses to answer from it whatever asks for more: it grows with the rows that are of use."""
    conditions = INDEXES[name]
    with closing(sqlite3.connect(both.path)) as link:
        query = f"SELECT count(*) FROM processes INDEXED BY {name} WHERE "
        link.execute(query + " AND ".join(conditions))
        for left_out in conditions:
            others = [condition for condition in conditions if condition != left_out]
            with pytest.raises(sqlite3.OperationalError, match="no query solution"):
                link.execute(query + " AND ".join([*others, "1"]))
