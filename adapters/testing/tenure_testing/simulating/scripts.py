"""What the simulated application does: a payload is a script, a list of operations that its handler carries out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import tenure
from tenure_driver.blocking import BlockingContext
from tenure_testing.playing import Cancelled, block, pass_time, sleep
from tenure_testing.simulating.plans import Plan

MAX_RUN = 20.0
SCRIPT = "script"
BOUNDED = "bounded"
PLAIN = "plain"

Made = Callable[[str, int, str], None]
"""Told when an effect is made: process id, token, key."""


class ScriptFailed(Exception):
    """What a script raises."""

    code = "scripted"


def application(made: Made, count: Callable[[str], None]) -> tenure.App:
    """The handlers. An effect's function tells `made`; `count` is told of what a good handler would not do."""
    app = tenure.App()

    async def effect(ctx: tenure.Context, key: str, seconds: float) -> str:
        made(ctx.id, ctx.fencing_token.token, key)
        await sleep(seconds)
        return f"{key} by {ctx.fencing_token.token}"

    async def run(ctx: tenure.Context, script: list[list[Any]]) -> list[str]:
        results: list[str] = []
        for operation, *given in script:
            match operation:
                case "effect":
                    results.append(await ctx.effect(given[0], partial(effect, ctx), *given))
                case "emit":
                    await ctx.emit("step", given[0], key=given[1])
                case "sleep":
                    await sleep(given[0])
                case "block":
                    count("blocks")
                    await block(given[0])
                case "ignore":
                    count("ignores")
                    await ignoring(given[0])
                case "raise":
                    count("raises")
                    raise ScriptFailed("as it was told to")
                case _:
                    raise AssertionError(operation)
        return results

    app.process(SCRIPT, emits=["step"])(run)
    app.process(BOUNDED, emits=["step"], max_run=MAX_RUN)(run)

    def plain_effect(ctx: BlockingContext, key: str) -> str:
        made(ctx.id, ctx.fencing_token.token, key)
        return f"{key} by {ctx.fencing_token.token}"

    @app.process(PLAIN, emits=["step"])
    def plain(ctx: BlockingContext, script: list[list[Any]]) -> list[str]:
        results: list[str] = []
        for operation, *given in script:
            if operation == "effect":
                results.append(ctx.effect(given[0], partial(plain_effect, ctx), given[0]))
            elif operation == "emit":
                ctx.emit("step", given[0], key=given[1])
            elif operation == "raise":
                count("raises")
                raise ScriptFailed("as it was told to")
            else:
                pass_time(given[0])
                ctx.checkpoint()
        return results

    return app


async def ignoring(seconds: float) -> None:
    """Sleep on, whatever is thrown in."""
    for _ in range(10):
        try:
            await sleep(seconds / 10)
        except Cancelled:
            pass


def script_of(plan: Plan, number: int) -> tuple[str, list[list[Any]], float]:
    """Kind and script of the plan's process, and about how many seconds it takes."""
    random = plan.random(f"process {number}")
    kind = random.choices((SCRIPT, BOUNDED, PLAIN), (20, 4, 0 if plan.gentle else 1))[0]
    script = [_operation(plan, random, place) for place in range(random.randint(1, 8))]
    if "raises" in plan.faults and random.random() < 0.2:
        script.append(["raise"])
    if "overruns" in plan.faults and kind == BOUNDED:
        script.append(["sleep", 2 * MAX_RUN])
    return kind, script, sum(_seconds(operation) for operation in script)


def _operation(plan: Plan, random: Random, place: int) -> list[Any]:
    longest = random.choice((0.05, 2.0, 15.0, 60.0))
    seconds = round(longest * random.random(), 3)
    if "blocks" in plan.faults and random.random() < 0.15:
        return ["block", seconds]
    if "ignores" in plan.faults and random.random() < 0.2:
        return ["ignore", 3 * seconds]
    match random.randrange(4):
        case 0 | 1:
            return ["effect", f"e{place}", min(seconds, 8.0)]
        case 2:
            return ["emit", place, f"k{place}" if random.random() < 0.5 else None]
        case _:
            return ["sleep", seconds]


def _seconds(operation: list[Any]) -> float:
    return float(next((one for one in operation[1:] if isinstance(one, float)), 0.0))
