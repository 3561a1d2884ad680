"""What an effect was recorded for, and what a changed handler sees (W9)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tenure.canonical import digest
from tenure.effects import NAME_LIMIT, READ_TIMEOUT, fingerprint_of
from tenure.errors import EffectMismatch
from tests.core.effect_functions import Page, effect, fetch, refetch, sized, untyped
from tests.core.trampoline_asks import started


def test_a_key_that_was_recorded_for_something_else_is_refused_and_both_are_shown() -> None:
    world = started()
    effect(world.context(), "k", fetch, "a")
    with pytest.raises(EffectMismatch) as mismatch:
        effect(world.context(), "k", refetch, "a")
    assert (mismatch.value.reason, mismatch.value.process_id) == ("effect_mismatch", "p")
    for shown in (
        "effect 'k'",
        fingerprint_of(fetch, ("a",)),
        fingerprint_of(refetch, ("a",)),
        "needs a new key",
    ):
        assert shown in str(mismatch.value)
    with pytest.raises(EffectMismatch):
        effect(world.context(), "k", fetch, "b")


def test_a_recorded_result_of_another_type_is_refused() -> None:
    world = started()
    effect(world.context(), "k", untyped, {"colour": "red"})

    def retyped(url: Any) -> Page:
        raise AssertionError("recorded, so not called")

    retyped.__qualname__ = untyped.__qualname__
    said = r"process 'p': effect 'k' was recorded as something else .* does not fit Page"
    with pytest.raises(EffectMismatch, match=said):
        effect(world.context(), "k", retyped, {"colour": "red"})


def test_a_fingerprint_is_the_functions_name_and_its_arguments() -> None:
    class Thing:
        def render(self, size: int) -> None:
            """Nothing."""

    first = fingerprint_of(fetch, ("a", 1))
    assert first.startswith("fetch:"), "the module does not count: run as a program it has another name"
    assert first == fingerprint_of(partial(fetch, "a"), (1,)) == fingerprint_of(fetch, ("a", 1))
    assert fingerprint_of(fetch, (Thing(),)) == fingerprint_of(fetch, (Thing(),))
    assert fingerprint_of(Thing().render, (1,)) == fingerprint_of(Thing().render, (1,))
    assert fingerprint_of(partial(sized, a=1, b=2), ()) == fingerprint_of(
        partial(partial(sized, b=2), a=1), ()
    )
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    seen = [
        first,
        *(
            fingerprint_of(fetch, args)
            for args in ((), ("a",), ("a", 2), ("a1",), ("a", [1]), (Thing(),), (deep,))
        ),
        fingerprint_of(partial(sized, a=1), ()),
        fingerprint_of(partial(sized, b=1), ()),
        fingerprint_of(refetch, ("a", 1)),
        fingerprint_of(Thing().render, (1,)),
        fingerprint_of("text".upper, ()),
    ]
    assert len(set(seen)) == len(seen)


def test_a_function_may_have_a_long_name() -> None:
    def fn() -> int:
        return 1

    fn.__qualname__ = "x" * 300
    assert effect(started().context(), "k", fn) == 1
    assert fingerprint_of(fn, ()).partition(":")[0] == "x" * NAME_LIMIT
    assert (NAME_LIMIT, READ_TIMEOUT) == (200, 30.0)


class Doubling:
    """A function that is an object."""

    def __call__(self, n: int) -> int:
        return 2 * n


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (fetch, "fetch"),
        (Doubling(), "Doubling"),
        (str.upper, "str.upper"),
    ],
)
def test_a_fingerprint_begins_with_the_name(fn: Callable[..., Any], name: str) -> None:
    """It is stored, and read by people: a function without a module is named all the same."""
    begins, _, arguments = fingerprint_of(fn, ("a",)).partition(":")
    assert begins == name
    assert arguments == digest('"a"')[:16]


def test_a_fingerprint_has_every_argument() -> None:
    """By value where it is JSON, by its type otherwise; what `partial` binds by name comes last."""
    named = fingerprint_of(partial(sized, b=2), (1, Doubling()))
    assert named == "sized:" + digest("1\n<Doubling>\nb=2")[:16]
