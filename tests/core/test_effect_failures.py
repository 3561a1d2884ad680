"""What an effect raises is data: recorded, never pickled, and raised again by every later attempt (W9, B8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tenure.app import App
from tenure.attempt_types import StopReason
from tenure.canonical import Json
from tenure.context import Context
from tenure.errors import (
    EffectFailed,
    EffectKeyReused,
    EffectMismatch,
    EffectUnreadable,
    HandlerStopped,
    LeaseLost,
    RequestRefused,
    WorkerClosed,
)
from tenure.handlers import CODE_LIMIT, MESSAGE_LIMIT, failure_of
from tenure.limits import Limits
from tenure.process import Failure
from tenure.requests import RecordEffect
from tests.core.effect_worlds import attempt, effect, journal
from tests.core.trampoline_asks import World, called, driven, pause, started


class Declined(Exception):
    """An error of the user's, with a code of its own."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"the card was declined ({code})")


def raising(error: BaseException) -> list[Callable[..., Any]]:
    """A plain and an async function that raise it."""

    def now() -> None:
        raise error

    async def later() -> None:
        await pause()
        raise error

    return [now, later]


@pytest.mark.parametrize("which", [0, 1])
def test_an_exception_is_recorded_and_raised_again_without_a_call(which: int) -> None:
    world, error = started(), Declined("stolen")
    with pytest.raises(EffectFailed) as first:
        effect(attempt(world), "pay", raising(error)[which])
    assert journal(world) == {
        "pay": '{"class":"Declined","code":"stolen","message":"the card was declined (stolen)",'
        '"tenure.effect":"failed"}'
    }
    with pytest.raises(EffectFailed) as again:
        effect(attempt(world), "pay", raising(AssertionError("recorded, so not called"))[which])
    assert first.value.__cause__ is error
    assert again.value.__cause__ is None
    for failed in (first.value, again.value):
        fields = failed.process_id, failed.key, failed.effect_class, failed.code, failed.effect_message
        assert fields == ("p", "pay", "Declined", "stolen", "the card was declined (stolen)")
        assert str(failed) == (
            "effect 'pay' of process 'p' failed: Declined (stolen): the card was declined (stolen)"
        )


def test_a_key_whose_failure_is_recorded_is_used_and_another_key_is_another_try() -> None:
    world, log = started(), list[Any]()
    ctx = attempt(world)
    with pytest.raises(EffectFailed):
        effect(ctx, "try 1", raising(OSError("no network"))[0])
    with pytest.raises(EffectKeyReused):
        effect(ctx, "try 1", called(log, 1))
    assert effect(ctx, "try 2", called(log, 2)) == 2
    assert log == [()]


def test_a_handler_that_catches_it_takes_the_same_way_on_every_attempt() -> None:
    """What was wrong without a record: the second attempt's call could succeed, where the first one's had failed."""
    world, shops = started(), iter([raising(OSError("closed"))[0], lambda: "open"])

    def handler(ctx: Context) -> Any:
        try:
            return effect(ctx, "first shop", visit)
        except EffectFailed:
            return "went elsewhere"

    def visit() -> Any:
        return next(shops)()

    assert [handler(attempt(world)), handler(attempt(world))] == ["went elsewhere"] * 2


def test_a_recorded_failure_of_another_function_is_a_mismatch() -> None:
    world = started()
    with pytest.raises(EffectFailed):
        effect(attempt(world), "pay", raising(OSError("no"))[0])
    with pytest.raises(EffectMismatch, match=r"recorded for .*now:.*, asked for .*later:"):
        effect(attempt(world), "pay", raising(OSError("no"))[1])


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Declined("stolen"), ("Declined", "stolen", "the card was declined (stolen)")),
        (ValueError("no such order"), ("ValueError", "raised", "no such order")),
    ],
)
def test_a_handler_that_lets_it_pass_ends_with_the_class_and_code_of_what_was_raised(
    error: Exception, failure: tuple[str, str, str]
) -> None:
    """As if the handler had called the function itself (B8); the message says which effect it was."""
    name, code, message = failure
    world = World.new()

    async def handler(ctx: Any) -> None:
        await ctx.effect("pay", raising(error)[0])

    kind = App().process("job")(handler)
    driven(world.client().start(kind, id="p"))
    assert world.attempt(kind) == Failure(name, code, f"effect 'pay': {message}")


def test_its_message_is_cut_as_any_is() -> None:
    failed = EffectFailed("p", "pay", "OSError", "raised", "m" * MESSAGE_LIMIT)
    cut = "effect 'pay': " + "m" * (MESSAGE_LIMIT - len("effect 'pay': "))
    assert failure_of(failed) == Failure("OSError", "raised", cut)


def test_an_effect_within_an_effect_fails_as_the_inner_one() -> None:
    world = started()
    ctx = attempt(world)

    async def outer() -> None:
        await ctx.effect("inner", raising(Declined("stolen"))[0])

    with pytest.raises(EffectFailed) as failed:
        effect(ctx, "outer", outer)
    assert (failed.value.key, failed.value.effect_class, failed.value.code) == ("outer", "Declined", "stolen")
    assert failed.value.effect_message == "effect 'inner': the card was declined (stolen)"
    assert sorted(journal(world)) == ["inner", "outer"]


# --- how much of it -----------------------------------------------------------------------------------------------


def test_class_code_and_message_are_cut_and_cleaned_as_a_handlers_are() -> None:
    name = type("E" * 300, (Exception,), {"code": "c" * 300})
    with pytest.raises(EffectFailed) as failed:
        effect(attempt(started()), "k", raising(name("a\0b\ud800" + "m" * MESSAGE_LIMIT))[0])
    assert failed.value.effect_class == "E" * CODE_LIMIT
    assert failed.value.code == "c" * CODE_LIMIT
    assert failed.value.effect_message == "a�b?" + "m" * (MESSAGE_LIMIT - 4)


FIXED = len('{"class":"OSError","code":"raised","message":"","tenure.effect":"failed"}')


def small(limit: int) -> World:
    """A world whose registry takes so many bytes."""
    world = World.new()
    world.state = evolve(world.state, limits=Limits(payload=limit))
    driven(world.client().start("job", id="p"))
    return world


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("m" * (200 - FIXED), "m" * (200 - FIXED)),
        ("m" * (202 - FIXED), "m" * ((202 - FIXED) // 2)),
        ("m" * 1_000, "m" * 125),
        ("\1" * 40, "\1" * 20),
    ],
)
def test_a_message_is_cut_until_the_journal_takes_it(message: str, kept: str) -> None:
    """Sizes are in bytes of JSON: a control character takes six. The store refuses what is over its limit."""
    world = small(200)
    with pytest.raises(EffectFailed) as failed:
        effect(attempt(world), "k", raising(OSError(message))[0])
    assert failed.value.effect_message == kept
    assert len(journal(world)["k"]) <= 200


def test_where_not_even_the_class_fits_the_store_says_so() -> None:
    with pytest.raises(
        RequestRefused, match=f"the store refused 'k': too_large {FIXED} bytes; the limit is 60"
    ):
        effect(attempt(small(60)), "k", raising(OSError("m"))[0])


# --- what is no failure of the effect -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stop",
    [
        LeaseLost("p"),
        HandlerStopped("p", "drain"),
        ExceptionGroup("tasks", [ValueError("a"), LeaseLost("p")]),
        WorkerClosed("closed"),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_stop_is_not_recorded_and_the_effect_may_be_repeated(stop: BaseException, which: int) -> None:
    world, log = started(), list[Any]()
    ctx = attempt(world)
    with pytest.raises(type(stop)) as raised:
        effect(ctx, "k", raising(stop)[which])
    assert raised.value is stop
    assert journal(world) == {}
    assert effect(ctx, "k", called(log, 5)) == 5


@pytest.mark.parametrize("which", [0, 1])
def test_what_a_function_raises_once_the_handler_is_to_stop_is_not_recorded(which: int) -> None:
    """A library may make an error of its own of a cancellation; recorded, it would stay after a drain for ever."""
    world = started()
    ctx = attempt(world)
    error = OSError("the connection was closed")

    def now() -> None:
        ctx.told_to_stop(StopReason.DRAIN)
        raise error

    async def later() -> None:
        now()

    with pytest.raises(HandlerStopped, match="stops because it was told to: drain") as stopped:
        effect(ctx, "k", (now, later)[which])
    assert stopped.value.__context__ is error
    assert journal(world) == {}
    assert effect(attempt(world), "k", called([], 5)) == 5


def test_what_it_returns_once_the_handler_is_to_stop_is_recorded() -> None:
    world = started()
    ctx = attempt(world)

    def fn() -> int:
        ctx.told_to_stop(StopReason.CANCEL)
        return 5

    assert effect(ctx, "k", fn) == 5
    assert journal(world) == {"k": "5"}


def test_a_zombies_failure_is_not_recorded() -> None:
    world = started()
    zombie = attempt(world)

    def fn() -> None:
        attempt(world)
        raise OSError("no network")

    with pytest.raises(LeaseLost):
        effect(zombie, "k", fn)
    assert journal(world) == {}


# --- whoever was first --------------------------------------------------------------------------------------------


def test_a_value_that_a_call_cut_short_recorded_wins_over_a_later_failure() -> None:
    world, outcomes = started(), [lambda: 1, raising(OSError("no"))[0]]
    ctx = attempt(world)

    def fn() -> Any:
        return outcomes.pop(0)()

    request = cut_while_recording(world, ctx, fn)

    def then() -> Any:
        world.store(request)
        return fn()

    then.__qualname__ = fn.__qualname__
    assert effect(ctx, "k", then) == 1


def cut_while_recording(world: World, ctx: Context, fn: Callable[..., Any]) -> RecordEffect:
    """Cut an effect `k` short while its request is on the way to the store; the request, which may still arrive."""
    cut = ctx.effect("k", fn)
    while not isinstance(getattr(world.asked[-1] if world.asked else None, "request", None), RecordEffect):
        cut.send(None)
    with pytest.raises(InterruptedError):
        cut.throw(InterruptedError())
    request = getattr(world.asked[-1], "request", None)
    assert isinstance(request, RecordEffect)
    return request


def test_a_form_that_a_newer_tenure_recorded_is_told() -> None:
    world = started()

    def fn() -> None:
        """Nothing."""

    effect(attempt(world), "k", fn)
    (old,) = world.state.effects
    newer = Json('{"tenure.effect":"streamed","to":"' + "x" * 200 + '"}')
    world.state = evolve(world.state, effects=(evolve(old, result=newer),))
    with pytest.raises(EffectUnreadable) as unreadable:
        effect(attempt(world), "k", fn)
    assert (unreadable.value.process_id, unreadable.value.key) == ("p", "k")
    assert str(unreadable.value) == (
        "effect 'k' of process 'p' was recorded, and cannot be read back: "
        f"this version of tenure does not know {newer[:100]}"
    )
