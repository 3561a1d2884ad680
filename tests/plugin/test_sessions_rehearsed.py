"""Sessions, attachments and artifacts in a played world: those that its store brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenure import App, Context, Failure
from tenure.instants import StoreTime
from tenure.stores import ProcessRegistry
from tenure_testing.rehearsing import RehearsedWorld
from tests.adapters import stores

app = App()


@app.process("reply")
async def reply(ctx: Context) -> str:
    session = await ctx.session()
    asked = session.path[0].value
    text = await ctx.effect("shout", str.upper, asked)
    kept = await ctx.attachments.put(text.encode())
    await session.append({"attachment": kept.id})
    made = await ctx.artifacts.put(b"made of " + await ctx.attachments.get(kept.id))
    return made.id


@app.process("note")
async def note(ctx: Context) -> list[Any]:
    session = await ctx.session()
    await session.append(await ctx.effect("say", lambda: "hello"))
    return [entry.value for entry in session]


@pytest.fixture(params=["memory", "sqlite"])
def tenure_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The store of the world."""
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/played.db"


def test_a_handler_and_the_test_itself_have_them(tenure_world: RehearsedWorld) -> None:
    tenure_world.worker(app)
    client = tenure_world.client
    session = client.session("anna")
    session.append("hello")
    made = client.start(reply, owner="anna").wait()
    assert client.artifacts.get(made) == b"made of HELLO"
    session.refresh()
    assert session.path[0].value == "hello"
    assert client.attachments.get(session.path[1].value["attachment"]) == b"HELLO"


def test_a_zombie_appends_nothing(tenure_world: RehearsedWorld) -> None:
    """Its successor has opened the session."""
    waits = App()

    @waits.process("late")
    async def late(ctx: Context) -> None:
        session = await ctx.session()
        await ctx.wait_event("go")
        await session.append(ctx.attempt)

    tenure_world.worker(waits)
    handle = tenure_world.client.start(late, id="p", owner="anna")
    tenure_world.run_for(1)
    tenure_world.steal(handle)
    tenure_world.client.append("p", "go")
    tenure_world.run_until_idle()
    tenure_world.assert_succeeded(handle)
    tenure_world.assert_started(handle, times=2)
    assert [entry.value for entry in tenure_world.client.session("anna")] == [2]


def test_a_store_that_was_restarted_has_them_still(tmp_path: Path) -> None:
    with RehearsedWorld(f"sqlite:///{tmp_path}/played.db") as world:
        world.worker(app)
        first = world.client.start(note, id="p", owner="anna").wait()
        world.store.restart()
        second = world.client.start(note, id="q", owner="anna").wait()
    assert (first, second) == (["hello"], ["hello", "hello"])


def test_a_handler_that_uses_its_session_survives_a_crash_anywhere(
    tenure_crash_at_every_effect: Callable[..., Any],
) -> None:
    survived = tenure_crash_at_every_effect(note)
    assert "after effect 'say' was recorded" in survived.points


def test_a_world_whose_store_brings_none_says_so() -> None:
    def make(clock: Callable[[], StoreTime]) -> ProcessRegistry:
        return stores.Troubled(stores.memory())

    with RehearsedWorld(make) as world:
        world.worker(app)
        outcome = world.client.start(note).outcome()
    assert isinstance(outcome, Failure)
    assert outcome.failure_class == "FacetMissing"
