"""What is written by what it is declared as comes back the same; what would come back as something else is refused."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Generic, Literal, NotRequired, Required, TypedDict, TypeVar
from uuid import UUID

import attrs
import pytest
from pydantic import BaseModel

from tenure import App, Context, Failure, NotJson
from tenure.canonical import canonical, parsed
from tenure_driver.convert import CattrsConverter
from tests.adapters.loops import BOUND, Host

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@attrs.frozen
class Base:
    a: int


@attrs.frozen
class Derived(Base):
    b: int = 0


@attrs.frozen
class Renamed(Base):
    """Has nothing of its own to lose."""


@dataclass
class Holder:
    x: Base
    many: list[Base] = field(default_factory=list[Base])


class Model(BaseModel):
    a: int


class DerivedModel(Model):
    b: int = 0


@attrs.frozen
class OfModel:
    m: Model


@attrs.frozen
class Cat:
    name: str


@attrs.frozen
class Dog:
    name: str


@attrs.frozen
class Named:
    name: str
    kind: Literal["cat"] = "cat"


@attrs.frozen
class Painted:
    name: str
    kind: Literal[Colour.RED] = Colour.RED


@attrs.frozen
class Box(Generic[T]):
    inside: T
    more: tuple[T, ...] = ()


@attrs.frozen
class Odd:
    """Fields that cattrs knows and we do not, and those that are not written."""

    items: MutableSequence[int]
    _hidden: int = 3
    made: int = attrs.field(init=False, default=5)


class Typed(TypedDict):
    a: int
    b: NotRequired[str]
    colour: NotRequired[Colour]


class Partly(Typed, total=False):
    c: int
    d: Required[int]


def back(value: Any, to: Any) -> Any:
    """The value, written as JSON and read as the type."""
    converter = CattrsConverter()
    return converter.structure(parsed(canonical(converter.unstructure(value, to))), to)


ID = UUID("3da9778c-d378-4abe-abbd-f8ac47b2930c")
ON = datetime.fromisoformat("2026-01-02T03:04:05.000006+01:00")
SAME: list[tuple[Any, Any]] = [
    (Colour.RED, Colour),
    (Level.LOW, Level),
    (ON, datetime),
    (date(2026, 1, 2), date),
    (b"\0\xff", bytes),
    (b"", bytes),
    (ID, UUID),
    (Decimal("1.10"), Decimal),
    (timedelta(days=-3, microseconds=1), timedelta),
    (Path("/x/y"), Path),
    ((1, "x"), tuple[int, str]),
    ((1, 2), tuple[int, ...]),
    ((Colour.RED, (1,)), tuple[Colour, tuple[int]]),
    ({3, 1, 2}, set[int]),
    (frozenset({Colour.RED}), frozenset[Colour]),
    ([Colour.RED], list[Colour]),
    ([Colour.RED], Sequence[Colour]),
    ({"a": Colour.RED}, Mapping[str, Colour]),
    ({1: "a", -2: "b"}, dict[int, str]),
    ({Level.LOW: "a"}, dict[Level, str]),
    ({Colour.RED: ON}, dict[Colour, datetime]),
    ({ID: (1,)}, dict[UUID, tuple[int]]),
    (Colour.RED, Colour | None),
    (None, Colour | None),
    (Colour.RED, Literal[Colour.RED]),
    ((1, 2), int | tuple[int, ...]),
    (ON, datetime | int),
    ({"a": 1, "colour": Colour.RED}, Typed),
    ({"a": 1, "d": 2}, Partly),
    ({"a": 1, "b": "x", "c": 3, "d": 2}, Partly),
    (Box(ON, (ON,)), Box[datetime]),
    (Odd([1], 4), Odd),
    (Derived(1, 2), Base | Derived),
    (Base(1), Base | Derived),
    (Cat("x"), Cat | Named),
    (Named("x"), Cat | Named),
    (Painted("x"), Named | Painted),
    (Holder(Base(1), [Base(2)]), Holder),
]


@pytest.mark.parametrize(("value", "to"), SAME)
def test_what_its_declaration_says_comes_back_the_same(value: Any, to: Any) -> None:
    got = back(value, to)
    assert (got, type(got)) == (value, type(value))


CUT = "and would come back without its other fields; declare"
LOST: list[tuple[Any, Any, str]] = [
    (Derived(1, 2), Base, f"a Derived is not JSON at $: it is a Derived where Base is declared, {CUT} Base | Derived"),
    (Holder(Derived(1, 2)), Holder, f"a Derived is not JSON at $.x: it is a Derived where Base is declared, {CUT} Base | Derived"),  # noqa: E501
    (Holder(Base(1), [Base(1), Derived(3, 4)]), Any, f"a Derived is not JSON at $.many[1]: it is a Derived where Base is declared, {CUT} Base | Derived"),  # noqa: E501
    (OfModel(DerivedModel(a=1)), Any, f"a DerivedModel is not JSON at $.m: it is a DerivedModel where Model is declared, {CUT} Model | DerivedModel"),  # noqa: E501
    ([Dog("rex")], list[Cat | Dog], 'a Dog is not JSON at $[0]: the value does not fit Cat | Dog: fits Cat and Dog alike; tell them apart by a field, such as kind: Literal["a"] @ $'),  # noqa: E501
    (ON, datetime | str, "a datetime is not JSON at $: it would not come back as one from datetime.datetime | str"),
    ({1.5: "a"}, dict[float, str], "the value is not JSON at $: the key 1.5 is not a string"),
    ({2: "c", "2": "d"}, dict[int, str], "an object is not JSON at $: two of its keys would be the same text"),
    (timedelta(days=400_000_000, microseconds=1), timedelta, "a timedelta is not JSON at $: its seconds take more digits than a number has"),  # noqa: E501
    (Colour.RED, Any, "the value is not JSON at $: Colour is no JSON type"),
    (ON, date, "the value is not JSON at $: datetime is no JSON type"),
    ((1, 2), list[int], "the value is not JSON at $: tuple is no JSON type (it would come back as a list)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "to", "said"), LOST)
def test_what_would_come_back_as_something_else_is_refused(value: Any, to: Any, said: str) -> None:
    with pytest.raises(NotJson) as lost:
        back(value, to)
    assert str(lost.value).replace(f"{__name__}.", "") == said


def test_a_class_below_without_fields_of_its_own_comes_back_as_the_declared_one() -> None:
    assert back(Holder(Renamed(1)), Holder) == Holder(Base(1))


@attrs.frozen
class Add:
    left: Add | Mul | None
    kind: Literal["add"] = "add"


@attrs.frozen
class Mul:
    left: Add | Mul | None
    kind: Literal["mul"] = "mul"


def test_a_deep_tree_of_two_classes_is_read_once() -> None:
    """Were each level tried as both, this would be read a billion times."""
    tree: Add | Mul | None = None
    for level in range(30):
        tree = Mul(tree) if level % 2 else Add(tree)
    assert back(tree, Add | Mul) == tree


def test_a_tree_of_objects_that_is_too_deep_ends_in_a_refusal() -> None:
    tree: Any = None
    for _ in range(900):
        tree = Add(tree)
    with pytest.raises(NotJson, match=r"^the value is not JSON at \$: it is nested too deep$"):
        CattrsConverter().unstructure(tree)


def test_a_set_is_written_in_one_order() -> None:
    words = {"b", "a", "d", "c"}
    assert CattrsConverter().unstructure(words, set[str]) == ["a", "b", "c", "d"]


def test_a_value_that_fits_two_classes_alike_is_neither() -> None:
    with pytest.raises(ValueError, match="fits Cat and Dog alike; tell them apart by a field"):
        CattrsConverter().structure({"name": "rex"}, Cat | Dog)


@pytest.mark.parametrize(
    ("value", "to", "said"),
    [
        ({}, Typed, "Typed: required field missing @ $.a"),
        (
            {"a": 1, "z": 0, "b": 2},
            Typed,
            "Typed: expected a string, not an integer @ $.b; unknown fields: z @ $",
        ),
        ({"a": 1, "c": 3}, Partly, "Partly: required field missing @ $.d"),
    ],
)
def test_a_typed_dict_has_what_it_requires(value: Any, to: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"^the value does not fit ") as misfit:
        CattrsConverter().structure(value, to)
    assert str(misfit.value) == f"the value does not fit {said}"


def test_payloads_results_and_effects_are_written_as_they_are_declared(host: Host) -> None:
    app = App()

    def when() -> tuple[datetime, Colour]:
        return ON, Colour.RED

    @app.process("paints")
    async def paints(ctx: Context, colours: dict[int, Colour]) -> tuple[datetime, set[Colour]]:
        at, colour = await ctx.effect("when", when)
        assert (at, colour, colours) == (ON, Colour.RED, {1: Colour.RED})
        return at, {colour}

    @app.process("cuts off")
    async def cuts_off(ctx: Context) -> Holder:
        return Holder(Derived(1, 2))

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            assert await (await client.start(paints, {1: Colour.RED})).wait(BOUND) == (ON, {Colour.RED})
            failed = await (await client.start(cuts_off)).outcome(BOUND)
            assert isinstance(failed, Failure)
            assert (failed.failure_class, failed.code) == ("NotJson", "result_not_json")
            assert "a Derived is not JSON at $.x: " in failed.message

    host.run(main)
