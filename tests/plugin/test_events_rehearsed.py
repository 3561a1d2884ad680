"""Handlers that wait for events, in a rehearsed world: robbed of their process, and with a store that is away."""

from __future__ import annotations

from typing import Any

import pytest

import tenure
from tenure_driver import BlockingContext
from tenure_testing.rehearsing import RehearsedWorld

HEARD: list[tuple[int, Any]] = []


async def waits(ctx: tenure.Context) -> list[Any]:
    values = [(await ctx.wait_event("go")).value for _ in range(2)]
    HEARD.append((ctx.attempt, values))
    values.append((await ctx.wait_event("go")).value)
    return values


def waits_plainly(ctx: BlockingContext) -> list[Any]:
    values = [ctx.wait_event("go").value for _ in range(2)]
    HEARD.append((ctx.attempt, values))
    values.append(ctx.wait_event("go").value)
    return values


@pytest.fixture(params=[waits, waits_plainly], ids=["async", "plain"])
def started(request: pytest.FixtureRequest, tenure_world: RehearsedWorld) -> tenure.App:
    """The world has a process `p` whose handler was given two events, and waits for a third for ten minutes now: many
    leases long."""
    HEARD.clear()
    app = tenure.App()
    app.process("job")(request.param)
    tenure_world.worker(app, name="one")
    tenure_world.client.start(app.kind("job"), id="p")
    for number in (1, 2):
        tenure_world.client.append("p", "go", number)
    tenure_world.run_for(600)
    assert HEARD == [(1, [1, 2])]
    return app


def test_the_next_holder_hears_the_same_again(started: tenure.App, tenure_world: RehearsedWorld) -> None:
    """And who was robbed, and wakes as a zombie, is not left waiting."""
    robbed = tenure_world.holder("p")
    thief = tenure_world.steal("p", wakes_after=30)
    tenure_world.run_for(120)
    assert HEARD == [(1, [1, 2]), (2, [1, 2])]
    assert (robbed.running, thief.running) == (0, 1)
    tenure_world.client.append("p", "go", 3)
    assert tenure_world.client.handle("p").wait() == [1, 2, 3]
    tenure_world.assert_started("p", times=2)


def test_an_event_that_comes_while_the_store_is_away_is_heard_when_it_is_back(
    started: tenure.App, tenure_world: RehearsedWorld
) -> None:
    tenure_world.store_down(5)
    tenure_world.client.append("p", "go", 3)
    tenure_world.run_until_idle()
    assert tenure_world.client.handle("p").wait() == [1, 2, 3]
    tenure_world.assert_started("p", times=1)


def test_who_follows_sees_all_of_it(started: tenure.App, tenure_world: RehearsedWorld) -> None:
    tenure_world.client.append("p", "go", 3)
    events = list(tenure_world.client.follow("p"))
    assert [(event.seq, event.type) for event in events] == [
        (1, "go"),
        (2, "go"),
        (3, "go"),
        (4, "process.ended"),
    ]
