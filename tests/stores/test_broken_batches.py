"""A batch that an error of ours ends half-way is taken back whole (CONTRACT §5): as if it had never been sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from tenure.canonical import Json
from tenure.limits import Limits
from tenure.process import ClaimId, External, Fence, Provenance, Registration, Success, Work
from tenure.replies import Claimed
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    List,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.stores import Cursor, ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite
from tenure_testing.registry_world import ManualClock, reply_of

WANTED = ClaimFilter("", ("k",))
LIMITS = Limits(retry_horizon=10)
Open = Callable[[ManualClock, Path], ProcessRegistry]


def memory(clock: ManualClock, _: Path) -> ProcessRegistry:
    return open_memory("memory:", clock=clock, limits=LIMITS)


def sqlite(clock: ManualClock, path: Path) -> ProcessRegistry:
    return open_sqlite(f"sqlite:///{path}", clock=clock, limits=LIMITS)


def told(store: ProcessRegistry) -> object:
    reads: list[Request] = [List(limit=100), ReadEndings(0), ReadOwnerEvents("s"), ReadCancels("w")]
    for name in ("a", "b", "c", "x", "new"):
        reads += [ReadEvents(name), ReadEffects(name)]
    return list(store.execute(reads)), store.wait(Cursor(), 0)


def prepared(store: ProcessRegistry, clock: ManualClock) -> tuple[Fence, Fence]:
    """a and b are held, c and d wait, x has ended long ago."""
    store.execute([Register(Registration(name, Work("k"), ("t",), Provenance("s"))) for name in "abcd"])
    outside = Registration("x", External(), (), Provenance("s"))
    store.execute([Register(outside), CompleteExternal("x", "me", Success())])
    clock.now += 20
    (answer,) = store.execute([ClaimNext(ClaimId("w", 1), 100, 2, WANTED)])
    a, b = (grant.fence for grant in reply_of(answer, Claimed).grants)
    return a, b


def batches(a: Fence, b: Fence) -> list[list[Request]]:
    return [
        [RecordEffect(a, "e", "f", Json("1"))],
        [EmitEvent(a, "t", Json("1"), "k"), AppendEvent("c", "t", Json("1"), "k")],
        [Claim(ClaimId("v", 1), "c", 100)],
        [ClaimNext(ClaimId("v", 1), 100, 1, WANTED)],
        [ClaimNext(ClaimId("w", 2), 100, 1, WANTED)],
        [Renew(a, 500), RequestCancel("a", "why"), RequestCancel("c")],
        [Release(b), ClaimNext(ClaimId("w", 2), 100, 5, WANTED)],
        [Release(b, 50), ClaimNext(ClaimId("v", 1), 100, 1, WANTED)],
        [Claim(ClaimId("v", 1), "c", 100), ClaimNext(ClaimId("v", 2), 100, 5, WANTED)],
        [Complete(a, Success()), Register(Registration("new", Work("k")))],
        [Prune(), Register(Registration("x", Work("k")))],
        [Register(Registration("new", Work("k"))), Claim(ClaimId("v", 1), "new", 100), RequestCancel("new")],
    ]


@pytest.mark.parametrize("open_", [memory, sqlite])
@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("again", [True, False])
def test_it_is_as_if_it_had_never_been_sent(
    tmp_path: Path, open_: Open, number: int, lost: bool, again: bool
) -> None:
    """Before and after the leases of a and b have ended, and whether the batch is sent again or not."""
    clocks = ManualClock(1_000), ManualClock(1_000)
    tried, fresh = open_(clocks[0], tmp_path / "tried.db"), open_(clocks[1], tmp_path / "fresh.db")
    fences = prepared(tried, clocks[0])
    assert prepared(fresh, clocks[1]) == fences
    if lost:
        for clock in clocks:
            clock.now += 200
    batch = batches(*fences)[number]
    breaks_off(tried, batch)
    assert told(tried) == told(fresh)
    # What comes after it, the same batch included, is answered as if nothing had been.
    later: list[Sequence[Request]] = [batch] if again else []
    later += [[RecordEffect(fences[1], "e", "g", Json("2"))]]
    later += [[ClaimNext(ClaimId("z", n), 100, 9, WANTED)] for n in (1, 2)]
    for step in later:
        assert list(tried.execute(step)) == list(fresh.execute(step))
        assert told(tried) == told(fresh)
        for clock in clocks:
            clock.now += 1_000
    tried.close()
    fresh.close()


def breaks_off(store: ProcessRegistry, batch: Sequence[Request]) -> None:
    with pytest.raises(AttributeError):
        store.execute([*batch, Renew(cast(Fence, None), 1)])
