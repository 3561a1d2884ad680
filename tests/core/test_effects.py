"""Effects: done once and recorded, by a key; whoever comes later gets the first result, as the first did (W9, S11)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given

from tenure.asks import Act, CallPlain, Submit
from tenure.context import Context
from tenure.effects import READ_TIMEOUT, fingerprint_of, is_async
from tenure.errors import (
    EffectKeyReused,
    EffectMismatch,
    InvalidValue,
    LeaseLost,
    NotJson,
    RequestRefused,
    TooLarge,
)
from tenure.replies import Unavailable, Unknown
from tenure.requests import Get, ReadEffects, RecordEffect
from tests.core.effect_functions import Page, effect, fetch, fetch_slowly, refetch
from tests.core.test_handler_outcomes import json
from tests.core.trampoline_asks import LIMIT, Typed, World, called, driven, started, together

# --- once ---------------------------------------------------------------------------------------------------------


@given(json)
def test_a_later_attempt_gets_what_the_first_one_got(value: Any) -> None:
    world, log = started(), list[Any]()
    first = effect(world.context(), "k", called(log, value), "a", 1)
    second = effect(world.context(), "k", called(log, "another"), "a", 1)
    assert first == second == value
    assert str(first) == str(second)
    assert log == [("a", 1)]


class Noting(Typed):
    """Writes down as what it is asked to structure."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def structure(self, value: Any, to: Any) -> Any:
        self.asked.append(to)
        return super().structure(value, to)


def test_a_result_without_a_type_may_be_anything() -> None:
    convert = Noting()
    world = started(World.new(convert))
    assert effect(world.context(), "k", lambda: 5) == 5
    assert effect(world.context(), "page", fetch, "abc") == Page("abc", 3)
    assert convert.asked == [Page, Page], "before it is recorded, and when it is given back"


@pytest.mark.parametrize("fn", [fetch, fetch_slowly, partial(fetch), partial(fetch_slowly)])
def test_typed_results_come_back_as_their_type_both_times(fn: Callable[..., Any]) -> None:
    world = started()
    first = effect(world.context(), "k", fn, "abc")
    assert first == effect(world.context(), "k", fn, "abc") == Page("abc", 3)


def test_plain_functions_are_called_where_they_may_block_and_async_ones_awaited() -> None:
    world = started()
    ctx = world.context()
    effect(ctx, "plain", fetch, "a")
    effect(ctx, "async", fetch_slowly, "b")
    assert [ask for ask in world.asked if isinstance(ask, CallPlain)] == [CallPlain(fetch, ("a",))]


def test_a_plain_function_that_only_calls_an_async_one_is_awaited_as_well() -> None:
    """A lambda is the short way to bind arguments, and its type is that of an async function."""
    assert effect(started().context(), "k", lambda: fetch_slowly("abc")) == {"url": "abc", "size": 3}


def test_methods_and_partials_are_looked_through() -> None:
    class Service:
        async def later(self) -> None:
            """Nothing."""

        def now(self) -> None:
            """Nothing."""

    service = Service()
    assert is_async(service.later)
    assert is_async(partial(partial(service.later)))
    assert not is_async(service.now)
    assert not is_async("text".upper)


def test_each_effect_has_a_key_of_its_own() -> None:
    ctx = started().context()
    effect(ctx, "a", fetch, "x")
    with pytest.raises(EffectKeyReused) as twice:
        effect(ctx, "a", refetch, "y")
    assert str(twice.value) == (
        "process 'p' used the effect key 'a' twice in one attempt, "
        f"for {fingerprint_of(fetch, ('x',))} and for {fingerprint_of(refetch, ('y',))}; give each effect its own key"
    )
    assert (twice.value.process_id, twice.value.key) == ("p", "a")
    effect(ctx, "b", fetch, "x")


def test_a_key_is_in_use_while_its_function_runs() -> None:
    ctx = started().context()
    one, two = together(ctx.effect("a", fetch_slowly, "x"), ctx.effect("a", fetch_slowly, "x"))
    assert one == Page("x", 1)
    assert isinstance(two, EffectKeyReused)


def test_effects_run_concurrently_in_any_order() -> None:
    world = started()
    for order in (["a", "b", "c"], ["c", "a", "b"]):
        ctx = world.context()
        got = together(*(ctx.effect(key, fetch_slowly, key * 2) for key in order))
        assert got == [Page(key * 2, 2) for key in order]
    assert len(world.state.effects) == 3


# --- when it does not come about ----------------------------------------------------------------------------------


def test_a_call_cut_short_after_the_store_had_it_is_repeated_without_calling_the_function() -> None:
    """Every call may be cancelled; the same key makes repeating it safe."""
    world, log = started(), list[Any]()
    ctx = world.context()
    cut = ctx.effect("k", called(log, 1))
    while not world.state.effects:
        cut.send(None)
    with pytest.raises(InterruptedError):
        cut.throw(InterruptedError())
    assert effect(ctx, "k", called(log, 2)) == 1
    assert log == [()]


def cut_while_recording(world: World, ctx: Context, fn: Callable[..., Any], *args: Any) -> RecordEffect:
    """Cut an effect `k` short while its request is on the way to the store; the request, which may still arrive."""
    cut = ctx.effect("k", fn, *args)
    while True:
        cut.send(None)
        last = world.asked[-1]
        if isinstance(last, Act) and isinstance(last.request, RecordEffect):
            break
    with pytest.raises(InterruptedError):
        cut.throw(InterruptedError())
    return last.request


def test_the_first_writer_wins_where_a_call_cut_short_arrives_late() -> None:
    world, runs, late = started(), list[int](), list[RecordEffect]()
    ctx = world.context()

    def fn() -> int:
        runs.append(len(runs) + 1)
        for request in late:
            world.store(request)
        return runs[-1]

    late.append(cut_while_recording(world, ctx, fn))
    assert effect(ctx, "k", fn) == 1
    assert runs == [1, 2]


def test_another_function_than_the_one_that_arrives_late_is_refused_by_the_store() -> None:
    world = started()
    ctx = world.context()
    late = cut_while_recording(world, ctx, fetch, "a")

    async def another(url: str) -> str:
        world.store(late)
        return url

    said = r"process 'p': effect 'k' was recorded for .*fetch:.*, asked for .*another:"
    with pytest.raises(EffectMismatch, match=said):
        effect(ctx, "k", another, "a")


def test_a_result_that_is_not_json_is_named_and_not_recorded() -> None:
    world = started()
    with pytest.raises(
        NotJson, match=r"the result of effect 'k' of process 'p' is not JSON at \$: set is no JSON type"
    ):
        effect(world.context(), "k", called([], {1}))
    assert world.state.effects == ()


def test_a_result_that_is_too_large_is_named_and_not_recorded() -> None:
    world = started()
    with pytest.raises(
        TooLarge, match=f"the result of effect 'k' of process 'p' takes .* the limit is {LIMIT}"
    ):
        effect(world.context(), "k", called([], "x" * LIMIT))
    assert world.state.effects == ()


def test_a_key_that_no_store_takes_is_refused_by_name() -> None:
    ctx = started().context()
    wrong: Any = 5
    with pytest.raises(InvalidValue, match="process 'p': the key of an effect must be a string; it is 5"):
        effect(ctx, wrong, fetch, "a")
    with pytest.raises(RequestRefused, match="process 'p': the store refused '': blank"):
        effect(ctx, "", fetch, "a")


# --- who holds the process ----------------------------------------------------------------------------------------


def test_a_zombies_effect_is_not_recorded() -> None:
    world, log = started(), list[Any]()
    zombie = world.context()
    world.context()
    with pytest.raises(LeaseLost, match="no longer holds process 'p'"):
        effect(zombie, "k", called(log, 1))
    assert world.state.effects == ()


def test_without_leave_neither_is_the_function_called_nor_a_recorded_result_given() -> None:
    world, log = started(), list[Any]()
    effect(world.context(), "k", called(log, 1))
    ctx = world.context()
    world.lost.add(ctx.fencing_token.token)
    for key in ("k", "other"):
        with pytest.raises(LeaseLost, match="no longer holds process 'p'"):
            effect(ctx, key, called(log, 2))
    assert log == [()]


# --- the journal --------------------------------------------------------------------------------------------------


def reads(world: World) -> list[ReadEffects]:
    asked = [ask.request for ask in world.asked if isinstance(ask, Submit)]
    return [request for request in asked if isinstance(request, ReadEffects)]


def test_the_first_attempt_has_no_journal_to_read() -> None:
    world = started()
    effect(world.context(), "k", fetch, "a")
    assert reads(world) == []


def test_a_journal_of_many_pages_is_read_once() -> None:
    world = started()
    log = list[int]()

    def numbered(n: int) -> int:
        log.append(n)
        return n

    first = world.context()
    for n in range(250):
        effect(first, f"k{n:03}", numbered, n)
    second = world.context()
    for n in range(250):
        assert effect(second, f"k{n:03}", numbered, n) == n
    assert log == list(range(250)), "each was called once"
    asked = [ask for ask in world.asked if isinstance(ask, Submit) and isinstance(ask.request, ReadEffects)]
    assert {ask.timeout for ask in asked} == {READ_TIMEOUT}
    assert [read.after for read in reads(world)] == ["", "k099", "k199"]
    assert len(world.state.effects) == 250


def recorded_before(n: int) -> tuple[World, list[int]]:
    """A process whose first attempt recorded so many effects `k000`, ..., and the list of calls that they were."""
    world, log = started(), list[int]()
    ctx = world.context()
    for each in range(n):
        effect(ctx, f"k{each:03}", log.append, each)
    return world, log


def test_effects_that_are_asked_for_at_the_same_moment_read_the_journal_once() -> None:
    """A thousand at once would read a thousand effects each, and hold all of them."""
    world, log = recorded_before(150)
    ctx = world.context()
    got = together(*(ctx.effect(f"k{n:03}", log.append, n) for n in range(150)))
    assert got == [None] * 150
    assert log == list(range(150))
    assert [read.after for read in reads(world)] == ["", "k099"]
    waited = [ask for ask in world.asked if isinstance(ask, Submit) and isinstance(ask.request, Get)]
    assert set(waited) == {Submit(Get("p"), READ_TIMEOUT)}


def test_where_the_one_that_reads_is_cut_short_another_reads() -> None:
    world, log = recorded_before(2)
    ctx = world.context()
    reader, waiter = ctx.effect("k000", log.append, 0), ctx.effect("k001", log.append, 1)
    reader.send(None)
    waiter.send(None)
    with pytest.raises(InterruptedError):
        reader.throw(InterruptedError())
    assert driven(waiter) is None
    assert log == [0, 1]
    assert [read.after for read in reads(world)] == ["", ""]


def test_whoever_waits_for_the_one_that_reads_is_told_of_a_loss() -> None:
    world, log = recorded_before(2)
    ctx = world.context()
    reader, waiter = ctx.effect("k000", log.append, 0), ctx.effect("k001", log.append, 1)
    reader.send(None)
    world.lost.add(ctx.fencing_token.token)
    with pytest.raises(LeaseLost):
        driven(waiter)
    assert log == [0, 1]
    assert len(reads(world)) == 1


def test_a_journal_that_cannot_be_read_is_asked_for_again_as_long_as_the_lease_lasts() -> None:
    world, log = started(), list[Any]()
    effect(world.context(), "k", called(log, 1))
    ctx = world.context()
    world.trouble.extend([Unavailable("away"), Unknown("no answer")])
    assert effect(ctx, "k", called(log, 2)) == 1
    assert len(reads(world)) == 3
    ctx = world.context()
    world.trouble.append(Unavailable("away"))
    world.lost.add(ctx.fencing_token.token)
    with pytest.raises(LeaseLost):
        effect(ctx, "k", called(log, 3))
    assert log == [()]
    assert len(reads(world)) == 4


def test_a_result_that_the_converter_fails_at_is_named_and_not_recorded() -> None:
    class Broken(Typed):
        def unstructure(self, value: Any, declared: Any = Any) -> Any:
            if isinstance(value, Page):
                raise RuntimeError("a field is missing")
            return value

    world = started(World.new(Broken()))
    with pytest.raises(NotJson) as bad:
        effect(world.context(), "k", fetch, "a")
    assert str(bad.value) == (
        "the result of effect 'k' of process 'p' is not JSON at $: it could not be converted: a field is missing"
    )
    assert isinstance(bad.value.__cause__, RuntimeError)
    assert world.state.effects == ()
