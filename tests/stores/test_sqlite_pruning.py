"""Pruning leaves nothing in the file of what it removed: it would stay there for ever, since nobody could find it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tenure.canonical import Json
from tenure.limits import Limits
from tenure.process import ClaimId, External, Registration, Success, Work
from tenure.replies import Claimed, Pruned, Succeeded
from tenure.requests import (
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Prune,
    RecordEffect,
    Register,
    RequestCancel,
)
from tenure_sqlite import open_store
from tenure_testing.registry_world import ManualClock, reply_of

KEPT = {"meta"}
"""One row with the counters. The fence log bounds itself; nothing here is refused."""


def counts(path: Path) -> dict[str, int]:
    """The rows of every table that the file has."""
    with closing(sqlite3.connect(path)) as link:
        names = [name for (name,) in link.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: link.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_pruning_everything_empties_every_table(tmp_path: Path) -> None:
    """S22, K20: nothing is left that a late write could hang on."""
    path, clock = tmp_path / "s.db", ManualClock()
    store = open_store(f"sqlite:///{path}", clock=clock, limits=Limits(retry_horizon=10))
    store.execute([Register(Registration(name, Work("k"), ("t",))) for name in ("done", "cancelled")])
    store.execute([Register(Registration("outside", External())), RequestCancel("cancelled")])
    (answer,) = store.execute([ClaimNext(ClaimId("w", 1), 100, 5, ClaimFilter("", ("k",)))])
    (grant,) = reply_of(answer, Claimed).grants
    answers = store.execute(
        [
            RecordEffect(grant.fence, "e", "f", Json("1")),
            EmitEvent(grant.fence, "t", Json("1"), "k"),
            Complete(grant.fence, Success()),
            CompleteExternal("outside", "me", Success()),
        ]
    )
    assert [type(answer) for answer in answers] == [Succeeded] * 4
    full = counts(path)
    assert {name for name, count in full.items() if count} == set(full) - {"fence_log"}
    clock.now += 20
    (answer,) = store.execute([Prune()])
    assert reply_of(answer, Pruned).count == 3
    assert {name for name, count in counts(path).items() if count} == KEPT
    store.close()
