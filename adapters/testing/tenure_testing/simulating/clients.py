"""Clients of a simulation: they start processes, wait for them, cancel some, and do not give up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tenure
from tenure.errors import StoreUnavailable, StoreUnknown, WaitTimeout
from tenure.process import Outcome
from tenure_testing.playing import sleep
from tenure_testing.simulating.plans import Plan

PAUSE = 2.0
LONGEST_DELAY = 10.0
LATEST_CANCEL = 1.2
"""When the last cancellation is asked for, in storms: after this one is over."""
TOLD = "a client"
OWNERS = ("s0", "s1")
"""Sessions that own processes, where handlers write to sessions."""

WasPruned = Callable[[str], bool]
"""Whether a process of that id was pruned sometime."""


async def starting(
    client: tenure.Client, plan: Plan, number: int, kind: str, script: list[Any], was_pruned: WasPruned
) -> Outcome | None:
    """Start the process in its time, and wait for its end: how it ended; None where it was pruned before that was
    told. Raises ProcessNotFound where it is not there though nobody pruned it."""
    random = plan.random(f"client {number}")
    await sleep(plan.storm * 0.8 * random.random())
    delay = LONGEST_DELAY * random.random() if random.random() < 0.1 else 0.0
    owner = None
    if "sessions" in plan.company:
        owner = plan.random(f"owner {number}").choice((None, *OWNERS))
    handle: tenure.Handle[Any] | None = None
    while handle is None:
        try:
            handle = await client.start(
                kind, script, id=f"p{number}", owner=owner, emits=["step"], delay=delay
            )
        except (StoreUnavailable, StoreUnknown):
            await sleep(PAUSE)
    # Who waits without an end is not told of a process that ended and was pruned between two of its looks at what
    # ended, and horizons are as short as these looks are far apart here.
    patience = (5.0, 60.0, 20.0 if "prune" in plan.company else None)
    while True:
        try:
            return await handle.outcome(random.choice(patience))
        except WaitTimeout:
            if random.random() < 0.3:
                await reading(handle)
        except tenure.ProcessNotFound:
            if not was_pruned(handle.id):
                raise
            return None
        except (StoreUnavailable, StoreUnknown):
            await sleep(PAUSE)


async def reading(handle: tenure.Handle[Any]) -> None:
    """Read what there is of the log; trouble is no matter."""
    try:
        await handle.events()
    except (StoreUnavailable, StoreUnknown, tenure.ProcessNotFound):
        pass


async def cancelling(client: tenure.Client, plan: Plan, number: int, was_pruned: WasPruned) -> None:
    """Ask for the cancellation of the process at some time."""
    random = plan.random(f"cancel {number}")
    await sleep(plan.storm * (LATEST_CANCEL - random.random()))
    while True:
        try:
            await client.cancel(f"p{number}", TOLD)
            return
        except tenure.ProcessNotFound:
            if was_pruned(f"p{number}"):
                return
            await sleep(PAUSE)
        except (StoreUnavailable, StoreUnknown):
            await sleep(PAUSE)
