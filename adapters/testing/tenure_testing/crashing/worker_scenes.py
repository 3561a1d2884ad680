"""In what a worker is interrupted: scenes in a world of virtual time, each with an end that no crash changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import define, field, frozen

import tenure
from tenure.process import Outcome
from tenure.requests import ClaimNext, Complete, Request
from tenure_driver.blocking import BlockingContext, BlockingHandle
from tenure_testing.playing import FAIR, NO_ANSWER, Fate, Host, Weather, World, pass_time, sleep
from tenure_testing.simulating.judge import Judge

Made = Callable[[str, int, str], None]
"""Called with process, token and key when an effect's own code runs."""

POLL = 8.0
"""Seconds between two looks at an idle store: few, since each is a handful of boundaries like those before it."""
HANDLING = 12.0
"""Seconds that a handler takes: longer than one interval of renewals."""


class Fair(Weather):
    """Nothing happens by chance. It `loses` the answer to so many batches that complete something, and `slow` claims
    are answered only after a while."""

    def __init__(self, loses: int = 0, slow: bool = False) -> None:
        self._loses, self._slow = loses, slow

    def fate(self, host: str, batch: Sequence[Request]) -> Fate:
        if self._loses and any(isinstance(request, Complete) for request in batch):
            self._loses -= 1
            return Fate(heard=2_000_000_000, says=NO_ANSWER)
        if self._slow and any(isinstance(request, ClaimNext) for request in batch):
            return Fate(heard=1_500_000_000)
        return FAIR


@define
class Stage:
    """Where a scene is played. `employed` is told who will be struck."""

    world: World
    judge: Judge
    employed: Callable[[Host], None]
    app: tenure.App = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.app = application(self.judge.made)

    def employ(self) -> Host:
        """The worker that will be struck."""
        host = self.another("first")
        self.employed(host)
        return host

    def another(self, name: str) -> Host:
        """A worker beside it."""
        return self.world.worker(self.app, name=name, poll_interval=POLL)

    def start(self, kind: str, id: str) -> BlockingHandle[Any]:
        """A process."""
        return self.world.client.start(self.app.kind(kind), id=id)


@frozen
class Scene:
    """A name, what happens, and in which weather."""

    name: str
    play: Callable[[Stage], None]
    weather: Callable[[], Weather] = Fair


def application(made: Made) -> tenure.App:
    """Handlers whose outcome is the same however often they are interrupted."""
    app = tenure.App()

    async def effect(ctx: tenure.Context, key: str) -> str:
        async def body(of: str) -> str:
            made(ctx.id, ctx.fencing_token.token, of)
            return f"{of} of {ctx.id}"

        return await ctx.effect(key, body, key)

    @app.process("work", emits=["progress"])
    async def work(ctx: tenure.Context) -> list[str]:
        one = await effect(ctx, "one")
        await ctx.emit("progress", 1, key="half")
        await ctx.emit("progress", "again on every attempt")
        await sleep(HANDLING)
        return [one, await effect(ctx, "two")]

    @app.process("plain", emits=["progress"])
    def plain(ctx: BlockingContext) -> list[str]:
        def body(of: str) -> str:
            made(ctx.id, ctx.fencing_token.token, of)
            return f"{of} of {ctx.id}"

        one = ctx.effect("one", body, "one")
        ctx.emit("progress", 1, key="half")
        pass_time(HANDLING)
        return [one, ctx.effect("two", body, "two")]

    @app.process("fails")
    async def fails(ctx: tenure.Context) -> None:
        await effect(ctx, "one")
        raise ValueError("as it should")

    @app.process("endless", max_run=5.0)
    async def endless(ctx: tenure.Context) -> None:
        await effect(ctx, "one")
        await sleep(10_000)

    return app


# --- the scenes ---------------------------------------------------------------------------------------------------


def _runs(stage: Stage) -> None:
    stage.start("work", "p")
    stage.start("work", "q")
    stage.employ()
    stage.world.run_for(HANDLING + 5)


def _runs_plainly(stage: Stage) -> None:
    stage.start("plain", "p")
    stage.employ()
    stage.world.run_for(HANDLING + 5)


def _fails(stage: Stage) -> None:
    stage.employ()
    stage.start("fails", "p")
    stage.world.run_for(5)


def _endless(stage: Stage) -> None:
    stage.employ()
    stage.start("endless", "p")
    stage.world.run_for(15)


def _cancelled(stage: Stage) -> None:
    handle = stage.start("work", "p")
    stage.employ()
    stage.world.run_for(5)
    handle.cancel("enough")
    stage.world.run_for(5)


def _drained(stage: Stage) -> None:
    stage.start("work", "p")
    worker = stage.employ()
    stage.world.run_for(5)
    worker.drain(grace=2)
    stage.world.run_for(15)


def _takes_over(stage: Stage) -> None:
    stage.start("work", "p")
    before = stage.another("before")
    stage.world.run_for(5)
    before.crash()
    stage.employ()
    stage.world.run_for(60)


def _loses_its_lease(stage: Stage) -> None:
    """Everything stood still for longer than the lease lasted; when it wakes, somebody else has the process."""
    stage.start("work", "p")
    worker = stage.employ()
    stage.world.run_for(5)
    worker.pause(40)
    stage.another("other")
    stage.world.run_for(60)


def _writes_too_late(stage: Stage) -> None:
    """An effect's result waits behind a claim under way when everything stands still: when it may go, it is too late
    (S14)."""
    stage.start("work", "p")
    worker = stage.employ()
    stage.world.run_for(HANDLING + 1)
    stage.start("work", "q")
    stage.world.run_for(1)
    worker.pause(40)
    stage.another("other")
    stage.world.run_for(60)


SCENES = (
    Scene("two processes run to their end", _runs),
    Scene("a plain handler", _runs_plainly),
    Scene("a handler fails", _fails),
    Scene("a handler exceeds max_run", _endless),
    Scene("a process is cancelled while it runs", _cancelled),
    Scene("the worker drains while a process runs", _drained),
    Scene("a process is taken over", _takes_over),
    Scene("the worker becomes a zombie", _loses_its_lease),
    Scene("the answer to the last write is lost", _runs_plainly, partial(Fair, loses=1)),
    Scene("a write waits while the worker stands still", _writes_too_late, partial(Fair, slow=True)),
)


def outcomes(world: World) -> dict[str, Outcome | None]:
    """How every process ended."""
    return {row.id: row.outcome for row in world.store.records()}
