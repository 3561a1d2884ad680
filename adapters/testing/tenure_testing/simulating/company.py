"""Who else takes part, where a plan has company: clients that append events to processes and follow their logs."""

from __future__ import annotations

from attrs import evolve

import tenure
from tenure.errors import RequestRefused, StoreUnavailable, StoreUnknown
from tenure.process import ENDED
from tenure.replies import Reason
from tenure.requests import Prune
from tenure_testing.playing import Host, Task, sleep
from tenure_testing.simulating.clients import PAUSE
from tenure_testing.simulating.judge import Judge
from tenure_testing.simulating.logs import Promise
from tenure_testing.simulating.plans import Plan
from tenure_testing.simulating.scripts import NOTES

TOLD = 0.6
"""The share of processes that clients append events to."""
FOLLOWED = 0.1
"""The share of processes whose log a client follows."""
MOST_EVENTS = 4
HORIZONS = (1_000, 5_000, 20_000)
"""Milliseconds for which what ended is kept where somebody prunes; a write may be late by much more."""
BETWEEN, LONGER = 6.0, 20.0
UNBORN = 10.0
"""Seconds until it is asked again for a process that nobody has started yet."""


def company(plan: Plan, visitor: Host, judge: Judge) -> list[Task]:
    """The clients that the plan has besides those that start and cancel."""
    tasks: list[Task] = []
    if "prune" in plan.company:
        tasks.append(visitor.play(pruning(visitor, plan)))
    if "events" not in plan.company:
        return tasks
    random = plan.random("tellers")
    for number in range(plan.processes):
        if random.random() < TOLD:
            tasks.append(visitor.play(telling(visitor, plan, number, judge)))
        if random.random() < FOLLOWED:
            tasks.append(visitor.play(following(visitor, f"p{number}", judge)))
    return tasks


async def telling(visitor: Host, plan: Plan, number: int, judge: Judge) -> None:
    """Append some events to the process in the storm, some with a key; each until it is known to be there, or that it
    is too late."""
    random, process = plan.random(f"teller {number}"), f"p{number}"
    for place in range(random.randint(1, MOST_EVENTS)):
        await sleep(plan.storm * random.random() / MOST_EVENTS)
        wanted = Promise(process, random.choice(NOTES), f"{process}/{place}", 0, 1)
        key = f"k{place}" if random.random() < 0.5 else None
        if not await _appended(visitor.client, wanted, key, judge):
            return


async def _appended(client: tenure.Client, wanted: Promise, key: str | None, judge: Judge) -> bool:
    """Whether the event got there before the end. One without a key counts as often as it is asked for."""
    most = 1
    while True:
        try:
            seq = await client.append(wanted.process, wanted.type, wanted.payload, key=key)
        except StoreUnavailable:
            await sleep(PAUSE)
        except (StoreUnknown, tenure.ProcessNotFound) as doubt:
            # Not found, too: an earlier copy of the request may still be on its way, and find it.
            if judge.rows.was_pruned(wanted.process):
                return False
            most += key is None
            await sleep(PAUSE if isinstance(doubt, StoreUnknown) else UNBORN)
        except RequestRefused as refused:
            if refused.reason != Reason.ENDED.value:
                raise
            return False
        else:
            judge.logs.promised(evolve(wanted, seq=seq, most=most))
            return True


async def following(visitor: Host, process: str, judge: Judge) -> None:
    """Follow the log to its end, whatever the store does: each event comes once and in order."""
    after, ended = 0, False
    while not ended:
        try:
            async for event in visitor.client.follow(process, after=after):
                judge.logs.followed(process, after, event)
                after, ended = event.seq, event.type == ENDED
        except StoreUnavailable:
            await sleep(PAUSE)
        except tenure.ProcessNotFound:
            if judge.rows.was_pruned(process):
                return
            await sleep(UNBORN)


async def pruning(visitor: Host, plan: Plan) -> None:
    """Prune now and then, while there is a storm and a little longer, so that zombies come after it too."""
    random, until = plan.random("prune"), visitor.world.now + (plan.storm + LONGER) * 1e9
    while visitor.world.now < until:
        await sleep(random.expovariate(1 / BETWEEN))
        # Whatever the answer: the next one does what this one did not.
        await visitor.client.submit(Prune(random.choice((0, 5_000)), random.choice((1, 1_000))))
