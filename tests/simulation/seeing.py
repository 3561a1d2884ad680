"""What tests of the played world look at, and what they play."""

from __future__ import annotations

import tenure
from tenure.process import Outcome
from tenure.replies import Succeeded
from tenure_driver import Job
from tenure_testing.playing import (
    Execution,
    Host,
    Observer,
    World,
    sleep,
)

TTL, BUDGET, GRACE = 30.0, 24.0, 5.0


class Seen(Observer):
    """Everything that a world shows, one word each."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ends: list[Outcome | None] = []
        self.executions: list[Execution] = []

    def executed(self, execution: Execution) -> None:
        self.executions.append(execution)
        names = "+".join(type(request).__name__ for request in execution.requests)
        self.words.append(f"{execution.at} {execution.sending} {names}")

    def started(self, host: Host, job: Job) -> None:
        self.words.append(f"{host.name} starts {job.ctx.id} under {job.token}")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self.ends.append(outcome)
        self.words.append(f"{host.name} ended {job.ctx.id}: {outcome}")

    def happened(self, what: str, host: Host | None) -> None:
        self.words.append(what)


def applied(world: World, kind: type, seen: Seen) -> int:
    """How many requests of the kind the store has answered with a success."""
    return sum(
        isinstance(answer, Succeeded)
        for execution in seen.executions
        for request, answer in zip(execution.requests, execution.answers, strict=True)
        if isinstance(request, kind)
    )


def working(seconds: float, effects: list[str] | None = None) -> tenure.App:
    """An application whose process makes an effect, then takes so long."""
    app = tenure.App()

    @app.process("work")
    async def work(ctx: tenure.Context, value: int) -> int:
        async def download(of: int) -> int:
            if effects is not None:
                effects.append(ctx.id)
            return of * 2

        got = await ctx.effect("download", download, value)
        await sleep(seconds)
        return got

    return app
