"""Where scenes are played: a world of virtual time, who will be struck in it, and the application whose processes end
alike, however often they are interrupted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

from attrs import define, field, frozen

import tenure
from tenure.errors import StoreUnavailable, StoreUnknown
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.process import Outcome
from tenure.requests import ClaimNext, Complete, Request
from tenure_driver.blocking import BlockingContext, BlockingHandle
from tenure_testing.playing import FAIR, NO_ANSWER, Fate, Host, Task, Weather, World, pass_time, sleep
from tenure_testing.simulating.contents import Contents
from tenure_testing.simulating.judge import Judge
from tenure_testing.simulating.rows import Violation

Made = Callable[[str, int, str], None]
"""Called with process, token and key when an effect's own code runs."""
Program = Callable[[Host], Coroutine[Any, Any, Any]]
"""What a client does, from its beginning, with ids of its own choice: begun again, it asks for the same again."""

POLL = 8.0
"""Seconds between two looks at an idle store: few, since each is a handful of boundaries like those before it."""
HANDLING = 12.0
"""Seconds that a handler takes: longer than one interval of renewals."""
FIRST, CLIENT, DIRECT = "first", "client", "direct"
"""Names of those who are struck: a worker, and who is none."""
RESCUE = "rescue"
"""The worker that comes after a strike."""
BYTES = b"some bytes to keep"
"""What a handler attaches."""


class Fair(Weather):
    """Nothing happens by chance. It `loses` the answer to so many batches that complete something, `slow` claims are
    answered only after a while, and a loop `lags` so many seconds behind its machine."""

    def __init__(self, loses: int = 0, slow: bool = False, lags: float = 0) -> None:
        self._loses, self._slow, self._lags = loses, slow, round(lags * 1e9)

    def lag(self, host: str) -> int:
        return self._lags if host == FIRST else 0

    def fate(self, host: str, batch: Sequence[Request]) -> Fate:
        if self._loses and any(isinstance(request, Complete) for request in batch):
            self._loses -= 1
            return Fate(heard=2_000_000_000, says=NO_ANSWER)
        if self._slow and any(isinstance(request, ClaimNext) for request in batch):
            return Fate(heard=1_500_000_000)
        return FAIR


class Kept(Contents):
    """What was registered and recorded, as in simulations; but handlers are no scripts here, so what they return is
    told by the same scene undisturbed."""

    def _completed(self, request: Complete) -> None: ...


class SceneJudge(Judge):
    """The judge of simulations, which have no direct runs and no sessions. `came_to`: what each direct run came to, by
    its token."""

    def __init__(self, world: World) -> None:
        super().__init__(world, gentle=False)
        self.came_to: dict[int, Outcome] = {}
        self.contents: Contents = Kept(self.met)
        self._place = world
        self._opened: dict[str, int] = {}

    def opened(self, process: str, token: int) -> None:
        """An attempt has opened its session."""
        self._opened[process] = max(token, self._opened.get(process, 0))

    def wrote(self, process: str, token: int) -> None:
        """It was told that its session has what it wrote: none may be whose session a later attempt has opened."""
        if token < self._opened[process]:
            said = (
                f"{process} wrote to its session under {token}, after {self._opened[process]} had opened it"
            )
            self._place.raises(Violation("CONTRACT §8", said))

    def _reported(self, request: Complete) -> None:
        """S17: a direct run reports its own."""
        if self.came_to.get(request.fence.token) != request.outcome:
            super()._reported(request)


class ProgramFailed(AssertionError):
    """A client's program, or a direct run, ended by an error that undisturbed it does not end by."""


@define
class Stage:
    """Where a scene is played. `employed` is told who will be struck. `told`: what a client's program came to."""

    world: World
    judge: SceneJudge
    employed: Callable[[Host], None]
    app: tenure.App = field(init=False)
    told: object = None
    _visitor: Host | None = None
    _program: Program | None = None
    _task: Task | None = None

    def __attrs_post_init__(self) -> None:
        self.app = application(self.judge)

    # --- who is on it ---------------------------------------------------------------------------------------------

    def employ(self) -> Host:
        """The worker that will be struck."""
        host = self.another(FIRST)
        self.employed(host)
        return host

    def another(self, name: str) -> Host:
        """A worker beside it."""
        here: list[Host] = []
        outside = _here.set(here)  # the contextvars of the block that opens a worker are its handlers'
        try:
            host = self.world.worker(self.app, name=name, poll_interval=POLL)
        finally:
            _here.reset(outside)
        here.append(host)
        return host

    def visit(self, program: Program) -> None:
        """A client that will be struck. Where it dies it is started again, and so is its program."""
        self._visitor, self._program = self.world.visitor(CLIENT), program
        self.employed(self._visitor)
        self._begin()
        self.world.run_until(self._over, what="the end of the client's program")
        self._conclude()

    def run_directly(self, program: Program) -> None:
        """A program that runs a process by itself, and will be struck. Where it dies, a worker has to do."""
        host = self.world.visitor(DIRECT)
        self.employed(host)
        self._task = host.play(program(host))
        self.world.run_for(HANDLING + 8)
        if host.alive:
            self._conclude()

    def rescue(self) -> None:
        """After a strike: the client is started again, or another worker, unless that was done already."""
        if self._visitor is None:
            if not any(host.name == RESCUE for host in self.world.hosts):
                self.another(RESCUE)
        elif not self._visitor.alive:
            self._visitor.restart()
            self._begin()

    def _begin(self) -> None:
        assert self._visitor is not None
        self._task = self._visitor.play(self._stubborn(self._visitor))

    async def _stubborn(self, host: Host) -> Any:
        """The program, from its beginning where a call came to no answer in its time: who knows what was done?"""
        assert self._program is not None
        while True:
            try:
                return await self._program(host)
            except (StoreUnavailable, StoreUnknown):
                await sleep(1.0)

    def _over(self) -> bool:
        return self._task is not None and self._task.done

    def _conclude(self) -> None:
        if self._task is not None and self._task.done:
            if self._task.error is not None:
                raise ProgramFailed(f"the program ended by {self._task.error!r}") from self._task.error
            self.told = self._task.value

    # --- what they ask for ----------------------------------------------------------------------------------------

    def start(self, kind: str, id: str, **given: Any) -> BlockingHandle[Any]:
        """A process."""
        return self.world.client.start(self.app.kind(kind), id=id, **given)

    def append(self, id: str, type: str) -> None:
        """An event, from a client that nobody strikes."""
        self.world.client.append(id, type, "from outside", key="one")


@frozen
class Scene:
    """A name, what happens, and in which weather. `sessions`: those whose trees have to be as without a strike;
    `judged`: whether the judge of a simulation knows each request in it."""

    name: str
    play: Callable[[Stage], None]
    weather: Callable[[], Weather] = Fair
    sessions: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    judged: bool = True


_here: ContextVar[list[Host]] = ContextVar("tenure_testing_crashing_here")


def here() -> Host:
    """In a handler: its own worker, whose client it may use as one of a real worker uses that worker's."""
    return _here.get()[0]


# --- the application ----------------------------------------------------------------------------------------------


def application(judge: SceneJudge) -> tenure.App:
    """Handlers whose outcome is the same however often they are interrupted."""
    app = tenure.App()
    _effects_and_time(app, judge.made)
    _others(app, judge.made)
    _notes(app, judge)
    _attachments(app, judge.made)
    return app


async def _effect(ctx: tenure.Context, made: Made, key: str) -> str:
    async def body(of: str) -> str:
        made(ctx.id, ctx.fencing_token.token, of)
        return f"{of} of {ctx.id}"

    return await ctx.effect(key, body, key)


def _effects_and_time(app: tenure.App, made: Made) -> None:
    @app.process("work", emits=["progress"])
    async def work(ctx: tenure.Context) -> list[str]:
        one = await _effect(ctx, made, "one")
        await ctx.emit("progress", 1, key="half")
        await ctx.emit("progress", "again on every attempt")
        await sleep(HANDLING)
        return [one, await _effect(ctx, made, "two")]

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
        await _effect(ctx, made, "one")
        raise ValueError("as it should")

    @app.process("endless", max_run=5.0)
    async def endless(ctx: tenure.Context) -> None:
        await _effect(ctx, made, "one")
        await sleep(10_000)

    @app.process("patient")
    async def patient(ctx: tenure.Context) -> None:
        await sleep(10_000)


def _others(app: tenure.App, made: Made) -> None:
    """Handlers that wait for somebody else."""

    @app.process("listens", emits=["go"])
    async def listens(ctx: tenure.Context) -> list[Any]:
        event = await ctx.wait_event("go")
        return [event.value, await _effect(ctx, made, "one")]

    @app.process("leaf")
    async def leaf(ctx: tenure.Context) -> str:
        return await _effect(ctx, made, "one")

    @app.process("parent")
    async def parent(ctx: tenure.Context) -> list[str]:
        child = await here().client.start(leaf, id=f"{ctx.id}.child", owner=ctx.owner_scope)
        return [await child.wait(), await _effect(ctx, made, "two")]


def _notes(app: tenure.App, judge: SceneJudge) -> None:
    """Handlers that write to their sessions."""

    @app.process("notes")
    async def notes(ctx: tenure.Context) -> list[Any]:
        session = await ctx.session()
        judge.opened(ctx.id, ctx.fencing_token.token)
        one = await session.append("one")
        await session.append({"n": 2}, key="two")
        judge.wrote(ctx.id, ctx.fencing_token.token)
        await sleep(HANDLING)
        await session.fork(one.id)
        await session.append("a branch")
        judge.wrote(ctx.id, ctx.fencing_token.token)
        return [entry.value for entry in session]

    @app.process("plain notes", emits=["go"])
    def plain_notes(ctx: BlockingContext) -> list[Any]:
        session = ctx.session()
        judge.opened(ctx.id, ctx.fencing_token.token)
        session.append("one")
        event = ctx.wait_event("go")
        pass_time(HANDLING)
        session.append(event.value)
        judge.wrote(ctx.id, ctx.fencing_token.token)
        return [entry.value for entry in session]


def _attachments(app: tenure.App, made: Made) -> None:
    @app.process("attaches")
    async def attaches(ctx: tenure.Context) -> list[Any]:
        def counted(id: str) -> int:
            made(ctx.id, ctx.fencing_token.token, "counted")
            return len(id)

        content = await ctx.attachments.put(BYTES, name="some")
        length = await ctx.effect("counted", counted, content.id)
        return [content.id, length, (await ctx.attachments.get(content.id)).decode()]
