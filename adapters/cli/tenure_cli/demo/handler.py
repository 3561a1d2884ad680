"""The demo's application: one kind, whose handler has two effects, each of them journalled by tenure and written down
by us."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from attrs import frozen

import tenure
from tenure_cli.demo.journal import Journal, What
from tenure_cli.demo.measure import Measured, measure, read

KIND = "tenure.demo.measure"
READ = "read"
MEASURE = "measure"
EFFECTS = (READ, MEASURE)
PROGRESS = "progress"

A = ParamSpec("A")
R = TypeVar("R")


@frozen
class Job:
    """A source file: what it is called, and where it is."""

    name: str
    path: str


def demo_app(journal: Journal) -> tenure.App:
    """The application; its handler writes into `journal`."""
    app = tenure.App()

    @app.process(KIND, emits=[PROGRESS])
    async def measured(ctx: tenure.Context, job: Job) -> Measured:
        token = ctx.fencing_token.token
        journal.write(What.STARTED, ctx.id, token)
        source = await ctx.effect(READ, _written(journal, ctx.id, token, READ, read), job.path)
        await ctx.emit(PROGRESS, {"done": 1, "of": 2})
        body = _written(journal, ctx.id, token, MEASURE, measure)
        return await ctx.effect(MEASURE, body, job.name, job.path, source)

    return app


def _written(journal: Journal, process: str, token: int, key: str, body: Callable[A, R]) -> Callable[A, R]:
    """The effect's body, which writes down when it begins and ends. `wraps` keeps the name that tenure knows it by."""

    @wraps(body)
    def written(*args: A.args, **kwargs: A.kwargs) -> R:
        since = journal.write(What.EFFECT_BEGUN, process, token, key)
        result = body(*args, **kwargs)
        journal.write(What.EFFECT_ENDED, process, token, key, since=since)
        return result

    return written
