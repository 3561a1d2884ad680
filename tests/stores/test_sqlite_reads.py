"""How far a statement reads: only the rows that it may answer with. The law judges them again, so that the answers
would be right without this too, and a long table slow."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from tenure.limits import Limits
from tenure.process import ClaimId, Fence, Provenance, Record, Registration, Success, Work
from tenure.replies import Claimed, Got, Listed
from tenure.requests import Claim, ClaimFilter, ClaimNext, Complete, Get, List, Phase, Register, Release
from tenure_sqlite import open_store, rows
from tenure_sqlite.store import SqliteRegistry
from tenure_testing.registry_world import ManualClock, reply_of

TTL = 1_000


class World:
    """Of each owner one process that is pending, running and ended, in this order; `read` are the ids of the rows that
    were made into records since it was last emptied."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.granted: dict[str, Fence] = {}
        self.clock = ManualClock()
        self._path = path
        self.store = self._opened(path)
        self._claims = 0
        self._watch(monkeypatch)
        for owner in ("a", "b"):
            for name in ("pending", "running", "ended"):
                kind = "k" if owner == "a" else "other"
                self.register(Registration(f"{owner} {name}", Work(kind), (), Provenance(owner)))
            self.claim(f"{owner} running")
            self.store.execute([Complete(self.claim(f"{owner} ended"), Success())])

    def restart(self) -> None:
        """Another process, which has the file and nothing else."""
        self.store.close()
        self.store = self._opened(self._path)
        self.read.clear()

    def _opened(self, path: Path) -> SqliteRegistry:
        limits = Limits(takeover_wait=TTL, takeover_cap=TTL)
        return open_store(f"sqlite:///{path}", clock=self.clock, limits=limits)

    def _watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = rows.record_from

        def record_from(row: rows.Row) -> Record:
            record = made(row)
            self.read.append(record.id)
            return record

        monkeypatch.setattr(rows, "record_from", record_from)

    def register(self, registration: Registration, delay: int = 0) -> None:
        self.store.execute([Register(registration, delay)])

    def claim(self, name: str) -> Fence:
        self._claims += 1
        (answer,) = self.store.execute([Claim(ClaimId("us", self._claims), name, TTL)])
        return reply_of(answer, Claimed).grants[0].fence

    def listed(self, request: List) -> list[str]:
        self.read.clear()
        (answer,) = self.store.execute([request])
        return [record.id for record in reply_of(answer, Listed).records]

    def claimed(self, wanted: ClaimFilter, limit: int = 9) -> list[str]:
        self._claims += 1
        return self.repeat(wanted, limit)

    def repeat(self, wanted: ClaimFilter, limit: int = 9) -> list[str]:
        """The last claim, once more."""
        self.read.clear()
        request = ClaimNext(ClaimId("them", self._claims), TTL, limit, wanted)
        (answer,) = self.store.execute([request])
        self.granted = {grant.record.id: grant.fence for grant in reply_of(answer, Claimed).grants}
        return list(self.granted)


@contextmanager
def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[World, None, None]:
    world = World(path, monkeypatch)
    try:
        yield world
    finally:
        world.store.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with opened(tmp_path / "s.db", monkeypatch) as made:
        yield made


OF_A = ["a pending", "a running", "a ended"]
ALL = [*OF_A, "b pending", "b running", "b ended"]


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (List(), ALL),
        (List(owner_scope="a"), OF_A),
        (List(kind="other"), ALL[3:]),
        (List(phase=Phase.PENDING), ["a pending", "b pending"]),
        (List(phase=Phase.RUNNING), ["a running", "b running"]),
        (List(phase=Phase.ENDED), ["a ended", "b ended"]),
        (List(owner_scope="b", kind="k"), []),
    ],
)
def test_a_list_reads_what_it_answers(world: World, request_: List, found: list[str]) -> None:
    assert world.listed(request_) == found
    maybe = ["a running", "b running"] if request_.phase is Phase.PENDING else []
    assert sorted(set(world.read)) == sorted({*found, *maybe}), "a lease may have run out: the law knows"


@pytest.mark.parametrize("owner", [None, "b"])
def test_a_page_reads_on_from_where_the_last_one_ended(world: World, owner: str | None) -> None:
    first = world.listed(List(owner_scope=owner, limit=2))
    (answer,) = world.store.execute([List(owner_scope=owner, limit=2)])
    reached = reply_of(answer, Listed).next
    assert reached is not None
    second = world.listed(List(owner_scope=owner, limit=2, after=reached))
    assert (first + second) == (ALL[:4] if owner is None else ALL[3:])
    assert set(world.read).isdisjoint(first)


def test_a_claim_reads_what_it_may_be_granted(world: World) -> None:
    """Neither another kind nor another profile, nor what has ended, is held or has to wait."""
    late = Registration("late", Work("k"), (), Provenance("a"))
    world.register(late, delay=TTL + 1)
    world.register(evolve(late, id="green", provenance=Provenance("a", "green")))
    world.register(evolve(late, id="blue", provenance=Provenance("a", "blue")))
    assert world.claimed(ClaimFilter("blue", ("k",))) == ["a pending", "blue"]
    assert sorted(set(world.read)) == ["a pending", "blue"]


def test_a_claim_reads_what_was_lost_once_its_wait_is_over(world: World) -> None:
    """The second in a row waits a ttl longer."""
    wanted = ClaimFilter("", ("k",))
    world.clock.now += TTL
    assert world.claimed(wanted) == ["a pending", "a running"]
    world.store.execute([Release(world.granted["a pending"])])
    world.clock.now += TTL
    assert world.claimed(wanted) == ["a pending"]
    assert set(world.read) == {"a pending"}
    world.clock.now += TTL
    assert world.claimed(wanted) == ["a running", "a pending"], "in the order of `ready_at`"


def test_a_claim_reads_no_further_than_its_limit(world: World) -> None:
    for number in range(5):
        world.register(Registration(f"more {number}", Work("k")))
    assert world.claimed(ClaimFilter("", ("k",)), limit=2) == ["a pending", "more 0"]
    assert len(world.read) <= 4


def test_a_claim_reads_nothing_that_a_clock_set_back_makes_wait_again(world: World) -> None:
    """Of what waits and of what is held: its time had come by the clock as it was, and has not by what it is."""
    wanted = ClaimFilter("", ("late",))
    for name in ("waits", "held"):
        world.register(Registration(name, Work("late")), delay=TTL if name == "waits" else 0)
    world.claim("held")
    world.clock.now += 2 * TTL
    world.register(Registration("later", Work("other")))
    world.clock.now -= 2 * TTL
    assert world.claimed(wanted) == []
    assert world.read == []
    world.clock.now += 2 * TTL
    assert world.claimed(wanted) == ["held", "waits"]


def test_a_batch_reads_the_rows_that_it_names(world: World) -> None:
    """In a process that knows none of them yet."""
    world.restart()
    names = ["a pending", "b running"]
    for answer, name in zip(world.store.execute([Get(name) for name in names]), names, strict=True):
        assert reply_of(answer, Got).record.id == name
    assert sorted(world.read) == names


def test_a_claim_that_is_repeated_reads_what_it_got(world: World) -> None:
    wanted = ClaimFilter("", ("k", "other"))
    assert world.claimed(wanted) == ["a pending", "b pending"]
    world.restart()
    assert world.repeat(wanted) == ["a pending", "b pending"]
    assert sorted(world.read) == ["a pending", "b pending"]


def test_a_claim_reads_what_was_lost_of_its_own_profile(world: World) -> None:
    for profile in ("green", "blue"):
        world.register(Registration(profile, Work("late"), (), Provenance("a", profile)))
        world.claim(profile)
    world.clock.now += 2 * TTL
    assert world.claimed(ClaimFilter("blue", ("late",))) == ["blue"]
    assert set(world.read) == {"blue"}
