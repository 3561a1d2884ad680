"""Which annotations are known: what each stands for in JSON, and what is in it."""

from __future__ import annotations

from base64 import b85decode, b85encode
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields as dataclass_fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from attrs import fields as attrs_fields
from attrs import has, resolve_types

SCALARS: dict[Any, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "an object",
}
"""JSON's types by the words that people know them by; all but the last two have no parts."""
LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    Sequence: list,
    tuple: tuple,
    set: set,
    Set: set,
    frozenset: frozenset,
}
"""What a JSON list may stand for, and how it is made."""
OBJECTS = (dict, Mapping)
TEXTS: dict[Any, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    bytes: (lambda raw: b85encode(raw).decode(), b85decode),
    UUID: (str, UUID),
    Decimal: (str, Decimal),
    Path: (str, Path),
}
"""What a JSON string may stand for (ISO 8601, base 85, their own words), and how it is written and read."""


def is_open(to: Any) -> bool:
    return to is Any or to is object or isinstance(to, TypeVar)


def is_null(to: Any) -> bool:
    return to is None or to is NoneType


def is_list(to: Any) -> bool:
    return (get_origin(to) or to) in LISTS


def is_object(to: Any) -> bool:
    return (get_origin(to) or to) in OBJECTS


def is_union(to: Any) -> bool:
    return get_origin(to) in (Union, UnionType)


def is_enum(to: Any) -> bool:
    return isinstance(to, type) and issubclass(to, Enum)


def is_class(to: Any) -> bool:
    """An attrs or dataclass type; also a generic one with its arguments."""
    kind = get_origin(to) or to
    return isinstance(kind, type) and (has(kind) or hasattr(kind, "__dataclass_fields__"))


def is_model(to: Any) -> bool:
    """A pydantic model, known by what it can do: nothing of pydantic is imported."""
    return isinstance(to, type) and hasattr(to, "model_validate_json") and hasattr(to, "model_dump")


def has_fields(to: Any) -> bool:
    """Whether a class of fields is what is meant, or part of it."""
    return is_class(to) or is_model(to) or any(has_fields(part) for part in get_args(to))


def known(to: Any) -> bool:
    """Whether there is a rule for it and for all its parts."""
    if is_union(to) or is_list(to) or is_object(to) or is_class(to):
        return all(part is ... or known(part) for part in get_args(to))
    if (inner := bare(to)) is not to:
        return known(inner)
    plain = (
        is_open(to)
        or is_null(to)
        or to in SCALARS
        or is_enum(to)
        or is_model(to)
        or to in TEXTS
        or to is timedelta
    )
    return plain or is_typeddict(to) or get_origin(to) is Literal


def bare(to: Any) -> Any:
    """The annotation without what says nothing of the value: Annotated, NewType."""
    while True:
        if get_origin(to) is Annotated:
            to = get_args(to)[0]
        elif isinstance(to, NewType):
            to = to.__supertype__
        else:
            return to


@lru_cache(1024)
def fields_of(to: Any) -> dict[str, Any]:
    """What the class of fields is made of, in order, each with its annotation; also of a generic one."""
    kind = get_origin(to) or to
    if has(kind):
        resolve_types(kind)
        fields = {one.name: one.type or Any for one in attrs_fields(kind) if one.init}
    else:
        hints = get_type_hints(kind, include_extras=True)
        fields = {one.name: hints[one.name] for one in dataclass_fields(kind) if one.init}
    variables = dict(zip(getattr(kind, "__parameters__", ()), get_args(to), strict=False))
    return {name: _filled(annotation, variables) for name, annotation in fields.items()}


def _filled(to: Any, variables: Mapping[Any, Any]) -> Any:
    if isinstance(to, TypeVar):
        return variables.get(to, Any)
    open_ones = getattr(to, "__parameters__", ()) if get_args(to) else ()
    return to[tuple(variables.get(one, Any) for one in open_ones)] if open_ones else to


@lru_cache(1024)
def keys_of(to: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The keys of a TypedDict, each with its annotation, and those that are required.

    The class itself does not know that where its module has annotations as texts."""
    hints = get_type_hints(to, include_extras=True)
    marks = {key: get_origin(hint) for key, hint in hints.items()}
    required = {
        key
        for key, mark in marks.items()
        if mark is Required or (key in to.__required_keys__ and mark is not NotRequired)
    }
    plain = {
        key: get_args(hint)[0] if marks[key] in (Required, NotRequired) else hint
        for key, hint in hints.items()
    }
    return plain, frozenset(required)
