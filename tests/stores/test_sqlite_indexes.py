"""What the indexes are for: each holds the rows that somebody looks for by it and no other, and a claim walks over none
that it cannot take. The answers would be right without this too, and every write and a long table slow."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tenure.limits import Limits
from tenure.process import ClaimId, Fence, Provenance, Registration, Success, Work
from tenure.replies import Claimed
from tenure.requests import Claim, ClaimFilter, ClaimNext, Complete, Register, RequestCancel
from tenure_sqlite import open_contents, open_sessions, open_store
from tenure_sqlite.store import SqliteRegistry
from tenure_testing.registry_world import ManualClock, reply_of
from tests.stores.contents_faults import LARGE, put
from tests.stores.contents_tables import alter
from tests.stores.counting import Count

TTL = 60_000


def register(store: SqliteRegistry, ids: Sequence[str], owner: str = "", delay: int = 0) -> None:
    store.execute([Register(Registration(name, Work("k"), (), Provenance(owner)), delay) for name in ids])


def claim(store: SqliteRegistry, name: str) -> Fence:
    (answer,) = store.execute([Claim(ClaimId(name, 1), name, TTL)])
    return reply_of(answer, Claimed).grants[0].fence


def sizes(path: Path) -> dict[str, int]:
    """How many entries each index has that has any."""
    with closing(sqlite3.connect(path)) as link:
        link.execute("ANALYZE")
        found = link.execute("SELECT idx, stat FROM sqlite_stat1 WHERE idx IS NOT NULL")
        return {name: int(stat.split()[0]) for name, stat in found}


def test_the_indexes_of_processes(tmp_path: Path) -> None:
    """Of six processes two wait, two are held, of which one is to be cancelled, and two have ended; one of each two has
    an owner."""
    with closing(open_store(f"sqlite:///{tmp_path}/s.db")) as store:
        register(store, ["waits", "held", "ended"])
        register(store, ["waits too", "cancelled", "ended too"], "owner")
        claim(store, "held")
        claim(store, "cancelled")
        store.execute([RequestCancel("cancelled")])
        store.execute([Complete(claim(store, name), Success()) for name in ("ended", "ended too")])
    found = sizes(tmp_path / "s.db")
    wanted = {"ready": 2, "expiring": 2, "cancels": 1, "ended": 2, "owned": 3, "told": 1}
    assert {name: found[name] for name in wanted} == wanted


def test_the_index_of_sessions_that_are_gone(tmp_path: Path) -> None:
    open_sessions(f"sqlite:///{tmp_path}/s.db").close()
    insert = "INSERT INTO sessions (id, head, entries, size, largest, gone_at) VALUES"
    alter(tmp_path / "s.db", *(f"{insert} ('{n}', '', 0, 0, 0, {'1' if n else 'NULL'})" for n in range(3)))
    assert sizes(tmp_path / "s.db")["sessions_gone"] == 2


def test_the_indexes_of_contents(tmp_path: Path) -> None:
    with closing(open_contents(f"sqlite:///{tmp_path}/s.db", "attachment")) as store:
        put(store, b"kept")
        put(store, b"kept, too")
        store.begin().write(LARGE)
    found = sizes(tmp_path / "s.db")
    assert (found["contents_kept"], found["contents_unkept"]) == (2, 1)


def steps(path: Path, others: int, held: bool) -> int:
    """What a claim takes that gets one row, where so many others are delayed, or held by somebody."""
    count = Count()
    store = SqliteRegistry(path, ManualClock(), Limits(), 1.0, count.connect)
    names = [f"p{number}" for number in range(others)]
    register(store, names, delay=0 if held else TTL)
    if held:
        wanted = ClaimFilter("", ("k",))
        store.execute([ClaimNext(ClaimId("them", 1), TTL, others, wanted)])
    register(store, ["one"])
    with closing(store):
        count.steps = 0
        (answer,) = store.execute([ClaimNext(ClaimId("us", 1), TTL, 9, ClaimFilter("", ("k",)))])
        assert [grant.record.id for grant in reply_of(answer, Claimed).grants] == ["one"]
        return count.steps


@pytest.mark.parametrize("held", [False, True])
def test_a_claim_walks_over_nothing_that_it_cannot_take(tmp_path: Path, held: bool) -> None:
    few, many = steps(tmp_path / "few.db", 3, held), steps(tmp_path / "many.db", 300, held)
    assert many < few + 300, f"{few} steps beside 3 others, {many} beside 300"
