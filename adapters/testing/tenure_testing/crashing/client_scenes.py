"""In what a client is interrupted: programs that ask with ids of their own choice, and are begun again after a crash.
What they are told in the end is what they are told undisturbed."""

from __future__ import annotations

from typing import Any

from tenure.canonical import Json
from tenure.limits import Limits
from tenure.process import Cancelled, External, Provenance, Registration, Success
from tenure.replies import Refused, Succeeded
from tenure.requests import CompleteExternal, Prune, ReadFenceLog, Register
from tenure_testing.crashing.stage import Scene, Stage
from tenure_testing.playing import Host, sleep

HORIZON = 120_000
"""Milliseconds of a retry horizon that a program can outwait: longer than any request is late here."""


def _everything(stage: Stage) -> None:
    """A client's own calls, beside a worker that nobody strikes."""

    async def program(host: Host) -> list[Any]:
        client = host.client
        told = await client.start(stage.app.kind("listens"), id="p", owner="team")
        stopped = await client.start(stage.app.kind("patient"), id="q", owner="team")
        await client.append("p", "go", "from outside", key="one")
        await client.cancel("q", "enough")
        return [
            await told.wait(),
            await stopped.outcome(),
            [event.type async for event in client.follow("p")],
            [event.type for event in await client.events("p")],
            sorted(event.value["process_id"] for event in await client.events(owner="team")),
            sorted(record.id for record in (await client.list()).records),
            (await client.get("p")).outcome,
            isinstance(await client.submit(ReadFenceLog(10)), Succeeded),
        ]

    stage.another("worker")
    stage.visit(program)


def _external(stage: Stage) -> None:
    """Work that is done elsewhere is ended by who knows of it; much later all of it is pruned."""
    registration = Registration("x", External(Json('{"by":"hand"}')), (), Provenance("team"))

    async def program(host: Host) -> list[Any]:
        client = host.client
        await client.submit(Register(registration))
        outcome = Success(Json('"done"'))
        await client.submit(CompleteExternal("x", "operator", outcome))
        other = await client.submit(CompleteExternal("x", "operator", Cancelled("by hand")))
        await sleep(HORIZON / 1_000 + 30)
        await client.submit(Prune())
        return [isinstance(other, Refused), (await client.list()).records]

    stage.visit(program)


def _notes(stage: Stage) -> None:
    """A client's session, with a branch; and one that is deleted."""

    async def program(host: Host) -> list[Any]:
        session = await host.client.session("team")
        one = await session.append("one", key="one")
        await session.append("two", key="two")
        await session.fork(one.id)
        await session.append("a branch", key="branch")
        scrap = await host.client.session("scrap")
        await scrap.append("nothing", key="one")
        await scrap.delete()
        content = await host.client.attachments.put(b"a client's", name="some")
        return [[entry.value for entry in session], await host.client.attachments.get(content.id)]

    stage.visit(program)


CLIENT_SCENES = (
    Scene("a client starts, tells, cancels and waits", _everything),
    Scene(
        "a client ends an external process, and prunes",
        _external,
        limits=Limits(retry_horizon=HORIZON),
        judged=False,
    ),
    Scene("a client writes to its sessions", _notes, sessions=("team", "scrap")),
)
