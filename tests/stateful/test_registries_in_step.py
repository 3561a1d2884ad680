"""Memory, SQLite and the reference model answer the same to anything, and hold the same after every step.

Small limits bring every refusal and every wait within reach; the clock also steps back (C1). Fences are the ones that
claims answered, current or long superseded, and such as nobody ever had.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

from tenure.process import ClaimId, Provenance, Registration, Work
from tenure.replies import Claimed, Reason
from tenure.requests import ClaimFilter, ClaimNext, ClaimRequest, FencedRequest, Register, Request
from tenure.stores import ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite
from tenure_testing.registry_world import ManualClock, reply_of
from tests.stateful.stores_in_lockstep import AllInStep, MemoryInStep, run


def test_memory_keeps_step_with_the_model() -> None:
    run(MemoryInStep, 800)
    everything_came(MemoryInStep.tally)


def test_all_stores_keep_step_with_the_model() -> None:
    run(AllInStep, 1_200)
    everything_came(AllInStep.tally)


def everything_came(tally: Counter[str]) -> None:
    """Every request succeeded and every refusal was given, or the machine tests less than it says."""
    wanted = {f"{kind.__name__}: Succeeded" for kind in get_args(Request)}
    wanted.add("ClaimNext: several rows")
    wanted |= {f"{kind.__name__}: Fenced" for kind in (*get_args(FencedRequest), *get_args(ClaimRequest))}
    assert wanted - set(tally) == set()
    assert {reason.name for reason in Reason} - {key.split(": ")[1] for key in tally} == set()


def waiting(n: int) -> Registration:
    return Registration(f"p{n}", Work("kj"[n % 2]), (), Provenance("", "here" if n % 3 else ""))


def test_a_backlog_is_claimed_in_order_by_both(tmp_path: Path) -> None:
    """More rows than any page, registered at mixed times under several kinds: the same order everywhere."""
    orders: list[list[str]] = []
    clock = ManualClock()
    stores: list[ProcessRegistry] = [
        open_memory("memory:", clock=clock),
        open_sqlite(f"sqlite:///{tmp_path}/s.db", clock=clock),
    ]
    for store in stores:
        store.execute([Register(waiting(n), n * 7919 % 400) for n in range(2_000)])
        clock.now += 400
        order: list[str] = []
        for n in range(1, 50):
            (answer,) = store.execute(
                [ClaimNext(ClaimId("w", n), 1_000, 50, ClaimFilter("here", ("k", "j")))]
            )
            order += [grant.record.id for grant in reply_of(answer, Claimed).grants]
        store.close()
        orders.append(order)
    assert len(orders[0]) == 2_000
    assert (
        orders[0]
        == orders[1]
        == sorted(orders[0], key=lambda name: (int(name[1:]) * 7919 % 400, int(name[1:])))
    )
