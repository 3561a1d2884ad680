"""Payloads and results of attrs, dataclass and pydantic types: as JSON and back, and what does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NewType, TypedDict, TypeVar
from uuid import UUID

import attrs
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from tenure import NotJson
from tenure.canonical import canonical, parsed
from tenure_driver.convert import CattrsConverter

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@attrs.frozen
class AttrsPart:
    n: int


@attrs.frozen
class AttrsJob:
    url: str
    part: AttrsPart
    parts: list[AttrsPart] = attrs.field(factory=list[AttrsPart])


@dataclass(frozen=True)
class DataPart:
    n: int


@dataclass(frozen=True)
class DataJob:
    url: str
    part: DataPart
    parts: list[DataPart] = field(default_factory=list[DataPart])


class ModelPart(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    n: int


class ModelJob(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str
    part: ModelPart
    parts: list[ModelPart] = Field(default_factory=list[ModelPart])


JOBS: list[tuple[Any, Any]] = [(AttrsJob, AttrsPart), (DataJob, DataPart), (ModelJob, ModelPart)]
PLAIN = {"url": "x", "part": {"n": 1}, "parts": [{"n": 2}]}


def back(value: Any, to: Any) -> Any:
    """The value, written as JSON and read as the type."""
    converter = CattrsConverter()
    return converter.structure(parsed(canonical(converter.unstructure(value))), to)


def misfit(value: Any, to: Any) -> str:
    """What is said of a value that does not fit."""
    with pytest.raises(ValueError, match=r"^the value does not fit ") as caught:
        CattrsConverter().structure(value, to)
    return str(caught.value).removeprefix("the value does not fit ")


@pytest.mark.parametrize(("job", "part"), JOBS)
def test_the_three_kinds_of_types_and_what_is_made_of_them(job: Any, part: Any) -> None:
    made = job(url="x", part=part(n=1), parts=[part(n=2)])
    assert CattrsConverter().unstructure(made) == PLAIN
    assert back(made, job) == made
    assert back([made], list[job]) == [made]
    assert back({"a": made}, dict[str, job]) == {"a": made}
    assert back([made, None], list[job | None]) == [made, None]
    assert back(made, job | int) == made
    assert back(7, job | int) == 7
    assert back([made, 1], tuple[job, int]) == (made, 1)


@pytest.mark.parametrize(("job", "part"), JOBS)
@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"part": {"n": 1}}, "$.url"),
        ({**PLAIN, "url": 3}, "$.url"),
        ({**PLAIN, "part": None}, "$.part"),
        ({**PLAIN, "part": {"n": "3"}}, "$.part.n"),
        ({**PLAIN, "part": {"n": True}}, "$.part.n"),
        ({**PLAIN, "part": {}}, "$.part.n"),
        ({**PLAIN, "parts": [{"n": 1}, {"n": None}]}, "$.parts"),
        ({**PLAIN, "parts": "ab"}, "$.parts"),
    ],
)
def test_a_field_that_does_not_fit_is_named_by_its_path(job: Any, part: Any, wrong: Any, path: str) -> None:
    assert f" @ {path}" in misfit(wrong, job)
    assert f" @ $[1]{path[1:]}" in misfit([PLAIN, wrong], list[job])
    assert f" @ $['a']{path[1:]}" in misfit({"a": wrong}, dict[str, job])
    assert f" @ {path}" in misfit(wrong, job | None)


@pytest.mark.parametrize(("job", "part"), JOBS)
def test_a_field_too_many_is_named(job: Any, part: Any) -> None:
    assert "colour" in misfit({**PLAIN, "colour": "red"}, job)
    assert "colour" in misfit({**PLAIN, "part": {"n": 1, "colour": "red"}}, job)


@pytest.mark.parametrize(("job", "part"), JOBS)
@pytest.mark.parametrize("wrong", [None, 5, "text", [], True])
def test_what_is_no_object_is_no_job(job: Any, part: Any, wrong: Any) -> None:
    assert misfit(wrong, job).startswith(f"{job.__name__}: ")


def test_every_misfit_is_said_in_words() -> None:
    assert misfit({"part": {"n": "3"}, "colour": 1, "parts": {}}, AttrsJob) == (
        "AttrsJob: required field missing @ $.url; expected an integer, not a string @ $.part.n; "
        "expected a list, not an object @ $.parts; unknown fields: colour @ $"
    )
    assert misfit({"url": "x", "part": {"n": "3"}, "z": 0}, ModelJob) == (
        "ModelJob: Extra inputs are not permitted @ $.z; Input should be a valid integer @ $.part.n"
    )


@pytest.mark.parametrize(
    ("value", "to", "made"),
    [
        ("x", str, "x"),
        (3, int, 3),
        (3, float, 3.0),
        (True, bool, True),
        (None, None, None),
        (None, int | None, None),
        (3, int | str, 3),
        ("3", int | str, "3"),
        (3, float | int, 3),
        ([1], list[int], [1]),
        ([1], tuple[int, ...], (1,)),
        ([1, "x"], tuple[int, str], (1, "x")),
        ([1], set[int], {1}),
        ({"a": [1]}, dict[str, list[int]], {"a": [1]}),
        ([1, "x"], list, [1, "x"]),
        ([1, "x"], tuple, (1, "x")),
        ({"a": 1}, dict, {"a": 1}),
        ("a", Literal["a", "b"], "a"),
        ("red", Colour, Colour.RED),
        (1, Level, Level.LOW),
        ("2026-01-02", date, date(2026, 1, 2)),
        ("2026-01-02T03:04:05", datetime, datetime.fromisoformat("2026-01-02T03:04:05")),
        (3, Annotated[int, "seconds"], 3),
        (3, NewType("Seconds", int), 3),
    ],
)
def test_plain_annotations_take_what_they_say(value: Any, to: Any, made: Any) -> None:
    got = CattrsConverter().structure(value, to)
    assert (got, type(got)) == (made, type(made))


REFUSED: list[tuple[Any, Any, str]] = [
    ("x", int, "int: expected an integer, not a string @ $"),
    (True, int, "int: expected an integer, not true or false @ $"),
    (3.0, int, "int: expected an integer, not a number @ $"),
    (1, bool, "bool: expected true or false, not an integer @ $"),
    (3, str, "str: expected a string, not an integer @ $"),
    ("3", float, "float: expected a number, not a string @ $"),
    (10**400, float, "float: int too large to convert to float @ $"),
    (0, None, "None: expected null, not an integer @ $"),
    ("ab", list[str], "list[str]: expected a list, not a string @ $"),
    ([1, "x"], list[int], "list[int]: expected an integer, not a string @ $[1]"),
    ([1], tuple[int, str], "tuple[int, str]: expected a list of 2, not of 1 @ $"),
    ([[]], set[list[int]], "set[list[int]]: expected items that a set can hold: unhashable type: 'list' @ $"),
    ({"a": None}, dict[str, int], "dict[str, int]: expected an integer, not null @ $['a']"),
    ([], dict[str, int], "dict[str, int]: expected an object, not a list @ $"),
    ({"01": 2}, dict[int, int], "dict[int, int]: expected an integer, not a string @ $['01']"),
    ({"1.5": 2}, dict[float, int], "dict[float, int]: expected a number, not a string @ $['1.5']"),
    ("x", bytes, "bytes: 'x' is no bytes in base 85 @ $"),
    (True, Literal["a", 1], "Literal['a', 1]: expected one of 'a', 1, not True @ $"),
    (1.0, Literal[1], "Literal[1]: expected one of 1, not 1.0 @ $"),
    ("x", Decimal, "Decimal: 'x' is no Decimal: [<class 'decimal.ConversionSyntax'>] @ $"),
    ("x", UUID, "UUID: 'x' is no UUID: badly formed hexadecimal UUID string @ $"),
    (1e14, timedelta, "timedelta: 100000000000000.0 seconds are no timedelta: days=1157407407; must have magnitude <= 999999999 @ $"),  # noqa: E501
    ("c", Literal["a", "b"], "Literal['a', 'b']: expected one of 'a', 'b', not 'c' @ $"),
    ("blue", Colour, "Colour: 'blue' is not a valid Colour @ $"),
    ("soon", date, "date: 'soon' is no date: Invalid isoformat string: 'soon' @ $"),
    (None, int | str, "int | str: fits none of int (expected an integer, not null @ $), str (expected a string, not null @ $) @ $"),  # noqa: E501
    ("x", Annotated[int, "seconds"], "Annotated[int, 'seconds']: expected an integer, not a string @ $"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "to", "said"), REFUSED)
def test_plain_annotations_refuse_what_they_do_not_say(value: Any, to: Any, said: str) -> None:
    """The least surprise: who writes `n: int` is not given "x", and nothing is guessed from a text."""
    assert misfit(value, to) == said


class Unknown:
    """A class of somebody's own, of which no converter knows the fields."""


@pytest.mark.parametrize("to", [Any, object, T, Unknown, list[Unknown], dict[str, Unknown] | None, list[Any]])
def test_what_an_annotation_does_not_say_is_not_checked(to: Any) -> None:
    value = [{"a": 1}]
    assert CattrsConverter().structure(value, to) == value


def test_a_class_beside_one_that_nobody_knows_is_refused_rather_than_left_undone() -> None:
    assert "Unknown" in misfit([{"m": 1}], list[AttrsPart | Unknown])


@attrs.frozen
class Rich:
    """Fields of types that JSON has not."""

    pair: tuple[int, str]
    many: tuple[AttrsPart, ...]
    names: set[str]
    colour: Colour
    level: Level
    on: date
    raw: bytes
    shape: AttrsPart | DataJob
    model: ModelPart | None = None
    free: Any = None
    more: Rich | None = None


def test_fields_of_richer_types_come_back_equal() -> None:
    inner = Rich(
        (1, "x"), (AttrsPart(1),), {"a"}, Colour.RED, Level.LOW, date(2026, 1, 2), b"\0\xff", AttrsPart(2)
    )
    assert back(inner, Rich) == inner
    outer = attrs.evolve(inner, model=ModelPart(n=3), free=[{"a": None}], more=inner)
    assert back(outer, Rich) == outer


def test_a_field_that_no_json_can_carry_is_named() -> None:
    """An untyped tuple would come back as a list, so it is refused as anywhere else."""
    for free, path in (
        ((1, 2), r"\$\.free"),
        ([{"x": {1}}], r"\$\.free\[0\]\.x"),
        (float("nan"), r"\$\.free"),
    ):
        bad = Rich((1, "x"), (), set(), Colour.RED, Level.LOW, date(2026, 1, 2), b"", AttrsPart(1), free=free)
        with pytest.raises(NotJson, match=rf"at {path}: "):
            back(bad, Rich)


@attrs.frozen
class Box(Generic[T]):
    inside: T
    more: list[T] = attrs.field(factory=list[T])


@dataclass
class DataBox(Generic[T]):
    inside: T
    more: list[T] = field(default_factory=list[T])


class ModelBox(BaseModel, Generic[T]):
    inside: T
    more: list[T] = []


BOXES: list[Any] = [Box, DataBox, ModelBox]


@pytest.mark.parametrize("box", BOXES)
def test_generic_types_check_what_they_are_of(box: Any) -> None:
    assert back(box(inside=1, more=[2]), box[int]) == box(inside=1, more=[2])
    assert back(box(inside=AttrsPart(1) if box in BOXES[:2] else 1), box) is not None
    assert " @ $.inside" in misfit({"inside": "x"}, box[int])
    assert "more" in misfit({"inside": 1, "more": ["x"]}, box[int])


class Typed(TypedDict, total=False):
    n: int


def test_a_typed_dict_is_checked_too() -> None:
    assert back({"n": 1}, Typed) == {"n": 1}
    assert "n" in misfit({"n": "x"}, Typed)
    assert "colour" in misfit({"colour": 1}, Typed)
    assert misfit(5, Typed).startswith("Typed: ")


@attrs.define
class Positive:
    n: int = attrs.field(validator=attrs.validators.ge(1))


def test_what_a_validator_of_ones_own_says_is_passed_on() -> None:
    assert misfit({"n": 0}, Positive) == "Positive: 'n' must be >= 1: 0 @ $"


class Strict(BaseModel):
    """A model with all that makes writing and reading differ."""

    model_config = ConfigDict(strict=True, extra="forbid")
    full_name: str = Field(alias="fullName")
    on: date
    pair: tuple[int, int]

    @computed_field
    def size(self) -> int:
        return len(self.full_name)


def test_a_model_reads_what_it_wrote() -> None:
    model = Strict(fullName="x", on=date(2026, 1, 2), pair=(1, 2))
    assert CattrsConverter().unstructure(model) == {"fullName": "x", "on": "2026-01-02", "pair": [1, 2]}
    assert back(model, Strict) == model
    assert back(RootModel[list[int]]([1]), RootModel[list[int]]) == RootModel[list[int]]([1])


class Loose(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    n: int
    thing: Unknown


def test_a_model_that_cannot_be_written_names_the_field() -> None:
    with pytest.raises(
        NotJson, match=r"^a Loose is not JSON at \$\.a\.thing: Unable to serialize unknown type"
    ):
        CattrsConverter().unstructure({"a": Loose(n=1, thing=Unknown())})


def test_a_tree_that_is_too_deep_ends_in_a_refusal() -> None:
    tree: Any = []
    for _ in range(5_000):
        tree = [tree]
    with pytest.raises(NotJson, match="nested more than 200 levels deep"):
        canonical(CattrsConverter().unstructure(tree))
