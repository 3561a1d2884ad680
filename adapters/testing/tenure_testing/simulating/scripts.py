"""What the simulated application does: a payload is a script, a list of operations that its handler carries out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Protocol

import tenure
from tenure.errors import HeadMoved, SessionUnavailable, WaitTimeout
from tenure.process import Event
from tenure.session import Session
from tenure.sessions import Entry
from tenure_driver.blocking import BlockingContext
from tenure_testing.playing import Cancelled, block, pass_time, sleep
from tenure_testing.simulating.plans import Plan

MAX_RUN = 20.0
AGAIN = 1.0
"""Seconds after which a session whose store did not answer is asked again."""
SCRIPT = "script"
BOUNDED = "bounded"
PLAIN = "plain"

NOTES = ("note", "call")
"""Types of the events that clients append, where the plan has such clients."""
HEARD = (*NOTES, "step")
"""Types of the events that handlers wait for."""

Made = Callable[[str, int, str], None]
"""Told when an effect is made: process id, token, key."""


class Hears(Protocol):
    """Told what handlers hear."""

    def given(self, process: str, token: int, event: Event) -> None:
        """A handler that waited under that token was given the event."""

    def stored(self, session: str, entry: Entry) -> None:
        """A handler was told that its entry is in the session."""

    def in_vain(self, process: str, token: int, type: str, timeout: float) -> None:
        """It waited so many seconds, and was given none of that type."""


class ScriptFailed(Exception):
    """What a script raises."""

    code = "scripted"


def application(made: Made, hears: Hears, count: Callable[[str], None]) -> tenure.App:
    """The handlers. An effect's function tells `made`, what is waited for is told to `hears`; `count` is told of what a
    good handler would not do."""
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
                case "wait":
                    try:
                        event = await ctx.wait_event(given[0], timeout=given[1])
                    except WaitTimeout:
                        hears.in_vain(ctx.id, ctx.fencing_token.token, given[0], given[1])
                    else:
                        hears.given(ctx.id, ctx.fencing_token.token, event)
                case "say" | "fork":
                    await _in_session(ctx, operation, given[0], hears)
                case "sleep":
                    await sleep(given[0])
                case "block":
                    count("blocks")
                    await block(given[0])
                case "ignore":
                    count("ignores")
                    await ignoring(given[0])
                case "overrun":
                    count("overruns")
                    await sleep(given[0])
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
            elif operation == "wait":
                try:
                    event = ctx.wait_event(given[0], timeout=given[1])
                except WaitTimeout:
                    hears.in_vain(ctx.id, ctx.fencing_token.token, given[0], given[1])
                else:
                    hears.given(ctx.id, ctx.fencing_token.token, event)
            elif operation == "raise":
                count("raises")
                raise ScriptFailed("as it was told to")
            else:
                pass_time(given[0])
                ctx.checkpoint()
        return results

    return app


async def _in_session(ctx: tenure.Context, operation: str, what: Any, hears: Hears) -> None:
    """Append an entry, or move the head to the first of all; until the store has answered."""
    session = await ctx.session()
    while True:
        try:
            if operation == "say":
                key, body = what
                hears.stored(session.id, await session.append(body, key=key))
            elif session.path:
                await session.fork(session.path[0].id)
            return
        except SessionUnavailable:
            await sleep(AGAIN)
        except HeadMoved:
            await _refreshed(session)


async def _refreshed(session: Session) -> None:
    while True:
        try:
            return await session.refresh()
        except SessionUnavailable:
            await sleep(AGAIN)


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
        script.append(["overrun", 2 * MAX_RUN])
    if "events" in plan.company:
        _listen(plan.random(f"waits {number}"), script)
    if "sessions" in plan.company and kind != PLAIN:
        _talk(plan.random(f"says {number}"), script)
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


def _talk(random: Random, script: list[list[Any]]) -> None:
    """Let it write to its session here and there."""
    for place in range(random.randint(1, 4)):
        said: list[Any] = ["say", [f"k{place}" if random.random() < 0.5 else None, f"entry {place}"]]
        script.insert(random.randint(0, len(script)), said if random.random() < 0.8 else ["fork", None])


def _listen(random: Random, script: list[list[Any]]) -> None:
    """Let it wait for events here and there, for a bounded time."""
    for _ in range(random.randint(0, 3)):
        seconds = round(random.choice((0.0, 2.0, 8.0, 20.0)) * random.random(), 3)
        script.insert(random.randint(0, len(script)), ["wait", random.choice(HEARD), seconds])


def _seconds(operation: list[Any]) -> float:
    return float(next((one for one in operation[1:] if isinstance(one, float)), 0.0))
