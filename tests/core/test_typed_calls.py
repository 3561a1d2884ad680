"""What a type checker makes of a user's code: handlers type their kinds, kinds their handles, functions their effects.

mypy and pyright read this file strictly (`make check`); here it is run as well.
"""

from __future__ import annotations

from typing import Any, assert_type

from attrs import frozen

from tenure.app import App
from tenure.client import Client, Handle
from tenure.context import Context
from tenure.kinds import Kind
from tests.core.trampoline_asks import World, driven, pause


@frozen
class Job:
    url: str


@frozen
class Result:
    size: int


app = App()


@app.process("resize", emits=["progress"])
async def resize(ctx: Context, job: Job) -> Result:
    page = await ctx.effect("download", download, job.url)
    assert_type(page, str)
    size = await ctx.effect("measure", measure, page)
    assert_type(size, int)
    bound = await ctx.effect("method", page.upper)
    assert_type(bound, str)
    await ctx.effect("pause", wait_a_little)
    await ctx.emit("progress", size)
    return Result(size)


@app.process("sweep")
async def sweep(ctx: Context) -> None:
    """Takes no payload."""


@app.process("shrink")
def shrink(ctx: Any, job: Job) -> Result:
    return Result(len(job.url))


@app.process("tick")
def tick(ctx: Any) -> int:
    return 1


async def download(url: str) -> str:
    await pause()
    return url * 2


async def wait_a_little() -> None:
    await pause()


def measure(page: str) -> int:
    return len(page)


async def start_all(client: Client) -> None:
    assert_type(await client.start(resize, Job("x")), Handle[Result])
    assert_type(await client.start(sweep), Handle[None])
    assert_type(await client.start(sweep, None, id="s"), Handle[None])
    assert_type(await client.start(shrink, Job("x")), Handle[Result])
    assert_type(await client.start(tick), Handle[int])
    assert_type(await client.start("by-name", {"any": "thing"}), Handle[Any])


async def start_wrongly(client: Client) -> None:
    """Each of these is an error to both checkers; an ignore that is not needed would be one too."""
    await client.start(resize, "x")  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.start(resize)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.start(sweep, Job("x"))  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_handlers_type_their_kinds() -> None:
    assert_type(resize, Kind[Job, Result])
    assert_type(sweep, Kind[None, None])
    assert_type(shrink, Kind[Job, Result])
    assert_type(tick, Kind[None, int])
    assert [kind.takes_payload for kind in (resize, sweep, shrink, tick)] == [True, False, True, False]


def test_kinds_type_their_handles_and_handles_their_results() -> None:
    world = World.new()
    driven(start_all(world.client()))
    handle = driven(world.client().start(resize, Job("abc"), id="p"))
    world.attempt(resize)
    world.attempt(resize)
    result = driven(handle.wait())
    assert_type(result, Result)
    assert result == Result(6)
