"""What an effect's function is annotated to return: what is refused, and that it is refused before it is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from tenure.app import App
from tenure.effects import fingerprint_of
from tenure.errors import EffectMismatch, InvalidValue, NotJson
from tenure.kinds import is_plain
from tests.core.effect_functions import Page, fetch
from tests.core.effect_worlds import effect
from tests.core.trampoline_asks import Typed, World, driven, started

if TYPE_CHECKING:
    from decimal import Decimal


def test_a_result_that_is_not_of_its_type_is_refused_and_not_recorded() -> None:
    """Else the key is spent on a value that no attempt can read: the corrected function is never called."""
    world = started()
    calls: list[Any] = [{"colour": "red"}, Page("a", 1)]

    def fetched() -> Page:
        page: Page = calls.pop(0)
        return page

    with pytest.raises(InvalidValue) as refused:
        effect(world.context(), "k", fetched)
    assert str(refused.value) == (
        "the result of effect 'k' of process 'p' is not what its function is annotated to return, so it was not "
        "recorded: the value does not fit Page: Page.__init__() got an unexpected keyword argument 'colour'; "
        "correct the function or its annotation"
    )
    assert isinstance(refused.value.__cause__, ValueError)
    assert world.state.effects == ()
    assert effect(world.context(), "k", fetched) == Page("a", 1)


def test_a_plain_annotation_is_no_check_of_an_effect() -> None:
    """There is nothing to make of the value, and what was done shall not fail for it."""
    world = started()

    def none() -> None:
        unsaid: Any = 5
        return unsaid  # type: ignore[no-any-return]

    def whole() -> int:
        unsaid: Any = 1.5
        return unsaid  # type: ignore[no-any-return]

    for _ in range(2):
        ctx = world.context()
        assert [effect(ctx, "n", none), effect(ctx, "w", whole)] == [5, 1.5]


PLAIN: list[Any] = [
    *(Any, object, None, type(None), bool, int, float, str, list, dict),
    *(list[int], dict[str, list[float]], int | None, list[dict[str, Any] | None]),
]


@pytest.mark.parametrize("to", PLAIN)
def test_annotations_of_jsons_own_types_are_plain(to: Any) -> None:
    assert is_plain(to)


@pytest.mark.parametrize(
    "to", [Page, tuple, bytes, list[Page], dict[str, Page], Page | None, Literal["a"], set[int]]
)
def test_an_annotation_of_which_something_is_to_be_made_is_not_plain(to: Any) -> None:
    assert not is_plain(to)


def test_a_function_whose_annotation_cannot_be_resolved_is_not_called() -> None:
    def fetched(size: Decimal) -> list[Decimal]:
        raise AssertionError("not called")

    def sized(size: Decimal) -> int:
        return 1

    world = started()
    with pytest.raises(InvalidValue) as refused:
        effect(world.context(), "k", fetched, 1)
    assert str(refused.value).startswith(
        "process 'p': the function of effect 'k': the return annotation, list[Decimal], cannot be resolved: "
        "name 'Decimal' is not defined; import what it names"
    )
    assert effect(world.context(), "k", sized, 1) == 1, "the key is free, and parameters need no types"


class Declared(Typed):
    """Writes down as what each value is declared; refuses numbers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []

    def unstructure(self, value: Any, declared: Any = Any) -> Any:
        self.seen.append((value, declared))
        if value == 7:
            raise NotJson("a seven", "$.x", "sevens are refused")
        return super().unstructure(value, declared)


def test_payloads_results_and_effects_are_written_as_what_they_are_declared() -> None:
    convert = Declared()
    world = World.new(convert)

    async def handler(ctx: Any, page: Page) -> list[str]:
        await ctx.effect("k", fetch, page.url)
        return ["x"]

    kind = App().process("job")(handler)
    driven(world.client().start(kind, Page("a", 1), id="p"))
    driven(world.client().start("job", {"url": "b"}, id="q"))
    world.attempt(kind)
    assert convert.seen == [
        (Page("a", 1), Page),
        ({"url": "b"}, Any),
        ("a", Any),
        (Page("a", 1), Page),
        (["x"], list[str]),
    ]


def test_an_effect_that_the_converter_refuses_is_named() -> None:
    world = started(World.new(Declared()))
    with pytest.raises(NotJson) as bad:
        effect(world.context(), "k", lambda: 7)
    assert str(bad.value) == "the result of effect 'k' of process 'p' is not JSON at $.x: sevens are refused"


def test_typed_arguments_count_by_what_they_hold() -> None:
    world = started()

    def charged(page: Page) -> int:
        return page.size

    assert effect(world.context(), "k", charged, Page("a", 1)) == 1
    assert effect(world.context(), "k", charged, Page("a", 1)) == 1
    with pytest.raises(EffectMismatch, match=r"recorded for .*charged:"):
        effect(world.context(), "k", charged, Page("b", 999))
    one, other = (fingerprint_of(charged, (Page("a", size),), Typed()) for size in (1, 2))
    assert one != other
    assert fingerprint_of(charged, (7,), Declared()) == fingerprint_of(charged, (7,), Declared())
    assert fingerprint_of(charged, (7,), Declared()) != fingerprint_of(charged, (7,))
