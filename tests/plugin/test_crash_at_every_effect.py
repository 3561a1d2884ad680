"""`crash_at_every_effect`: every boundary of a handler, and every way in which one does not survive a crash there."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure.canonical import canonical
from tenure.effects import Effects
from tenure.process import Failure, Success
from tenure_driver.blocking import BlockingContext
from tenure_testing.rehearsing import ForeignAwait, crash_at_every_effect, pass_time, sleep

ASYNC_POINTS = (
    "before its first line",
    "before effect 'reserve'",
    "after effect 'reserve' ran and before it was recorded",
    "after effect 'reserve' was recorded",
    "before event 'paid'",
    "after event 'paid' was appended",
    "before effect 'charge'",
    "after effect 'charge' ran and before it was recorded",
    "after effect 'charge' was recorded",
    "after it returned and before that was recorded",
)


def test_a_good_handler_is_crashed_everywhere_and_survives() -> None:
    ran: Counter[str] = Counter()
    app = tenure.App()

    def reserve(n: int) -> int:
        ran["reserve"] += 1
        return n * 2

    async def charge(n: int) -> int:
        ran["charge"] += 1
        return n + 1

    @app.process("order", emits=["paid"])
    async def order(ctx: tenure.Context, n: int) -> list[int]:
        ran["handler"] += 1
        reserved = await ctx.effect("reserve", reserve, n)
        await sleep(15)
        await ctx.emit("paid", {"n": n}, key="paid")
        return [reserved, await ctx.effect("charge", charge, reserved)]

    survived = crash_at_every_effect(order, 3)
    assert survived.outcome == Success(canonical([6, 7]))
    assert survived.points == ASYNC_POINTS
    # Once for each run; and once more in those where it was crashed after it ran, and before it was recorded.
    assert ran["reserve"] == ran["charge"] == 1 + len(ASYNC_POINTS) + 1
    assert ran["handler"] == 1 + 2 * len(ASYNC_POINTS) - 1  # the first crash comes before its first line


def test_a_plain_handler_and_a_bare_function_on_sqlite(tmp_path: Path) -> None:
    def handler(ctx: BlockingContext, n: int) -> int:
        one = ctx.effect("one", lambda: n)
        pass_time(30)
        return ctx.effect("two", lambda: one + 1)

    survived = crash_at_every_effect(handler, 3, store=lambda run: f"sqlite:///{tmp_path}/{run}.db")
    assert survived.outcome == Success(canonical(4))
    assert len(survived.points) == 8
    assert len(list(tmp_path.glob("*.db"))) == 9


def test_a_handler_without_a_payload_and_without_effects() -> None:
    async def handler(ctx: tenure.Context) -> str:
        return ctx.id

    assert crash_at_every_effect(handler).points == (
        "before its first line",
        "after it returned and before that was recorded",
    )


def test_an_outcome_that_changes_is_told_with_its_boundary() -> None:
    numbers = count()

    async def draws(ctx: tenure.Context) -> int:
        await ctx.effect("one", lambda: 1)
        return next(numbers)

    said = r"a crash before its first line \(boundary 1 of 5\) the handler ended as Success\(1\), and .* Success\(0\)"
    with pytest.raises(AssertionError, match=said):
        crash_at_every_effect(draws)


def test_an_effect_may_return_something_else_each_time_it_runs() -> None:
    """The outcome, a later key and a later argument come from it; all of them are the same on every attempt."""
    numbers = count()
    told: list[str] = []

    async def handler(ctx: tenure.Context) -> dict[str, str]:
        token = await ctx.effect("make a token", lambda: f"token {next(numbers)}")
        await ctx.effect(f"tell {token}", told.append, token)
        return {"token": token}

    survived = crash_at_every_effect(handler)
    assert survived.outcome == Success(canonical({"token": "token 0"}))
    assert len(survived.points) == 8
    assert survived.points[4] == "before effect 'tell token 0'"
    assert set(told) == {"token 0"}


def test_an_effect_beside_it_excuses_no_number_drawn_outside() -> None:
    numbers = count()

    async def handler(ctx: tenure.Context) -> list[int]:
        return [await ctx.effect("one", lambda: next(numbers)), next(numbers)]

    said = r"a crash before its first line \(boundary 1 of 5\) .* a random number, .* belongs in an effect"
    with pytest.raises(AssertionError, match=said):
        crash_at_every_effect(handler)


def test_a_boundary_has_the_name_of_the_effect_that_raised() -> None:
    async def handler(ctx: tenure.Context) -> int:
        try:
            await ctx.effect("bad", lambda: 1 // 0)
        except tenure.EffectFailed:
            assert await ctx.permitted()  # an effect alone has a boundary before it
        return await ctx.effect("good", lambda: 1)

    assert crash_at_every_effect(handler).points == (
        "before its first line",
        "before effect 'bad'",
        "after effect 'bad' ran and before it was recorded",
        "after effect 'bad' was recorded",
        "before effect 'good'",
        "after effect 'good' ran and before it was recorded",
        "after effect 'good' was recorded",
        "after it returned and before that was recorded",
    )


def test_a_way_that_changes_without_a_crash_is_told() -> None:
    runs: list[int] = []

    async def handler(ctx: tenure.Context) -> None:
        runs.append(1)
        if len(runs) < 3:  # the whole run, and the one with a crash before its first line
            await ctx.effect("one", lambda: 1)

    said = "before any crash .* the boundaries before its first line, after it returned .*, and .* before effect 'one'"
    with pytest.raises(AssertionError, match=said):
        crash_at_every_effect(handler)


def test_an_outcome_that_tells_what_was_recorded_is_told_with_its_boundary() -> None:
    """It changes at that one boundary only: where the effect's result comes from the journal."""
    calls: list[int] = []

    async def handler(ctx: tenure.Context) -> int:
        calls.clear()
        await ctx.effect("one", lambda: calls.append(1))
        return len(calls)

    with pytest.raises(
        AssertionError, match=r"after a crash after effect 'one' was recorded \(boundary 4 of 5\)"
    ):
        crash_at_every_effect(handler)


def test_keys_that_are_new_on_every_attempt_are_told() -> None:
    numbers = count()

    async def handler(ctx: tenure.Context) -> int:
        return await ctx.effect(f"charge {next(numbers)}", lambda: 1)

    with pytest.raises(
        AssertionError, match=r"the effects 'charge \d+' were recorded, and without a crash 'charge 0'"
    ):
        crash_at_every_effect(handler)


def test_an_effect_that_takes_other_arguments_is_told() -> None:
    numbers = count()

    def times(n: int) -> int:
        return 1

    async def handler(ctx: tenure.Context) -> int:
        return await ctx.effect("one", times, next(numbers))

    with pytest.raises(
        AssertionError, match=r"after a crash after effect 'one' was recorded .*EffectMismatch"
    ):
        crash_at_every_effect(handler)


def test_an_effect_that_runs_again_though_it_was_recorded_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """W9: no handler can do that, so the journal is broken here."""

    async def nothing(self: Effects, journal: object) -> dict[str, Any]:
        return {}

    async def handler(ctx: tenure.Context) -> int:
        return await ctx.effect("one", lambda: 1)

    monkeypatch.setattr(Effects, "_recorded", nothing)
    with pytest.raises(AssertionError, match="effect 'one' ran 2 times, though it had been recorded"):
        crash_at_every_effect(handler)


def test_a_failure_is_no_outcome_unless_it_is_meant_to_be() -> None:
    async def fails(ctx: tenure.Context) -> None:
        await ctx.effect("one", lambda: 1)
        raise ValueError("no such order")

    with pytest.raises(
        AssertionError, match=r"without any crash .* ends as Failure\(ValueError: no such order\)"
    ):
        crash_at_every_effect(fails)
    survived = crash_at_every_effect(fails, fails=True)
    assert isinstance(survived.outcome, Failure)
    assert len(survived.points) == 5


def test_a_handler_that_never_ends_is_told_with_how_far_it_came() -> None:
    async def endless(ctx: tenure.Context) -> None:
        await ctx.effect("one", lambda: 1)
        while True:
            await sleep(3_600)

    with pytest.raises(
        AssertionError, match="it reached the boundaries: before its first line, before effect 'one'"
    ):
        crash_at_every_effect(endless, within=3_600)


def test_a_handler_that_needs_an_event_loop_is_told() -> None:
    async def handler(ctx: tenure.Context) -> None:
        await asyncio.sleep(1)

    with pytest.raises(ForeignAwait, match="no running event loop"):
        crash_at_every_effect(handler)


def test_the_fixture_is_the_function(tenure_crash_at_every_effect: object) -> None:
    assert tenure_crash_at_every_effect is crash_at_every_effect
