"""The law's values as JSON and back, for stores in any language.

One rule for every class of requests, answers and rows: an object with all fields under their own names. Where a field
may hold one of several classes, the object names its own in `"is"`, in snake case (`ClaimNext` is `claim_next`). Bodies
of JSON stay what they are to a store, texts; so no reader's idea of numbers or of key order can spoil them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from attrs import fields, frozen, has

from tenure.errors import InvalidValue
from tenure.replies import Refused, Unavailable, Unknown

T = TypeVar("T")

TAG = "is"

FREE: dict[tuple[type, str], str] = {
    (Refused, "detail"): "",
    (Unavailable, "cause"): "",
    (Unknown, "cause"): "",
}
"""Words for people, which a store chooses freely: they may be missing, and nobody compares them."""

BOUND = "bound"
"""In a field's metadata: what the JSON Schema says of it beyond its type."""


class Garbled(Exception):
    """JSON that is not what the protocol says; `path` is where."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path or 'the line'} {what}")
        self.path = path


@frozen
class Wire:
    """How values of one type are written and read, and the JSON Schema of what is written."""

    write: Callable[[Any], Any]
    read: Callable[[Any, str], Any]
    schema: Callable[[], dict[str, Any]]


def to_json(value: Any, hint: Any = None) -> Any:
    """The JSON value of what is declared as `hint`: its own class, unless told."""
    kind = hint or class_of(value)
    return wire_of(kind).write(value)


def from_json(body: Any, hint: Any, path: str = "") -> Any:
    """The value. Raises Garbled, with the path of what is wrong."""
    return wire_of(hint).read(body, path)


def from_line(line: str | bytes, hint: Any) -> Any:
    """The value that a line from somebody else says. Raises ValueError where it is no JSON, or nested too deeply for
    Python's stack; Garbled."""
    try:
        return from_json(json.loads(line), hint)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def class_of(value: object) -> Any:
    """The value's class, for what works on any class."""
    return type(value)


def tag_of(kind: type) -> str:
    """The name of a class in `"is"`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def wire_of(hint: Any) -> Wire:
    """The wire of a type, made once."""
    if isinstance(hint, NewType):
        return wire_of(hint.__supertype__)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _union(get_args(hint))
    if origin is tuple:
        items = get_args(hint)
        return _many(items[0]) if items[-1] is ... else _each(items)
    if has(hint):
        return _object(hint, None)
    if issubclass(hint, Enum):
        return _enum(hint)
    return _plain(hint)


def _plain(kind: type) -> Wire:
    named = {int: "integer", str: "string", bool: "boolean"}[kind]

    def read(body: Any, path: str) -> Any:
        if type(body) is not kind:
            raise Garbled(path, f"is {_short(body)}; it must be of type {named}")
        return body

    return Wire(lambda value: value, read, lambda: {"type": named})


def _enum(kind: type[Enum]) -> Wire:
    values = [member.value for member in kind]

    def read(body: Any, path: str) -> Any:
        if body not in values:
            raise Garbled(path, f"is {_short(body)}; it must be one of {', '.join(values)}")
        return kind(body)

    return Wire(lambda value: value.value, read, lambda: {"enum": values})


def _many(item: Any) -> Wire:
    inner = wire_of(item)

    def read(body: Any, path: str) -> Any:
        return tuple(inner.read(value, f"{path}[{n}]") for n, value in enumerate(_list(body, path)))

    return Wire(
        lambda values: [inner.write(value) for value in values],
        read,
        lambda: {"type": "array", "items": reference(item)},
    )


def _each(items: tuple[Any, ...]) -> Wire:
    inner = [wire_of(item) for item in items]

    def read(body: Any, path: str) -> Any:
        values = _list(body, path)
        if len(values) != len(inner):
            raise Garbled(path, f"has {len(values)} items; it must have {len(inner)}")
        return tuple(
            one.read(value, f"{path}[{n}]") for n, (one, value) in enumerate(zip(inner, values, strict=True))
        )

    def schema() -> dict[str, Any]:
        return {"type": "array", "prefixItems": [reference(item) for item in items], "items": False}

    return Wire(
        lambda values: [one.write(value) for one, value in zip(inner, values, strict=True)], read, schema
    )


def _union(members: tuple[Any, ...]) -> Wire:
    kinds = [member for member in members if member is not NoneType]
    optional = len(kinds) < len(members)
    if len(kinds) == 1:
        return _optional(kinds[0])
    wires = {kind: _object(kind, tag_of(kind)) for kind in kinds}
    tags = {tag_of(kind): wire for kind, wire in wires.items()}

    def write(value: Any) -> Any:
        return None if value is None else wires[type(value)].write(value)

    def read(body: Any, path: str) -> Any:
        if body is None and optional:
            return None
        tag = _object_of(body, path).get(TAG)
        if tag not in tags:
            raise Garbled(f"{path}.{TAG}", f"is {_short(tag)}; it must be one of {', '.join(tags)}")
        return tags[tag].read(body, path)

    def schema() -> dict[str, Any]:
        return {"oneOf": [*([{"type": "null"}] if optional else []), *(tagged(kind) for kind in kinds)]}

    return Wire(write, read, schema)


def _optional(kind: Any) -> Wire:
    inner = wire_of(kind)
    return Wire(
        lambda value: None if value is None else inner.write(value),
        lambda body, path: None if body is None else inner.read(body, path),
        lambda: {"oneOf": [{"type": "null"}, reference(kind)]},
    )


def _object(kind: type, tag: str | None) -> Wire:
    hints = get_type_hints(kind)
    named = [
        (field.name, wire_of(hints[field.name]), (kind, field.name) in FREE)
        for field in fields(cast(Any, kind))
    ]
    known = {TAG, *(name for name, _, _ in named)} if tag else {name for name, _, _ in named}

    def write(value: Any) -> Any:
        body: dict[str, Any] = {TAG: tag} if tag else {}
        for name, wire, free in named:
            inner = getattr(value, name)
            if inner or not free:
                body[name] = wire.write(inner)
        return body

    def read(body: Any, path: str) -> Any:
        given = _object_of(body, path)
        for name in given:
            if name not in known:
                raise Garbled(path, f"has {_short(name)}, which is no field of {tag_of(kind)}")
        values: dict[str, Any] = {}
        for name, wire, free in named:
            if name in given:
                values[name] = wire.read(given[name], f"{path}.{name}" if path else name)
            elif not free:
                raise Garbled(path, f"lacks {name!r}")
        try:
            return kind(**values)
        except InvalidValue as error:
            raise Garbled(path, f"cannot be: {error}") from error

    def schema() -> dict[str, Any]:
        properties: dict[str, Any] = {TAG: {"const": tag}} if tag else {}
        properties |= {
            field.name: {**reference(hints[field.name]), **field.metadata.get(BOUND, {})}
            for field in fields(cast(Any, kind))
        }
        required = [*([TAG] if tag else []), *(name for name, _, free in named if not free)]
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    return Wire(write, read, schema)


# --- the schema -------------------------------------------------------------------------------------------------------


def reference(hint: Any) -> dict[str, Any]:
    """The schema of a field: by name where it is a class of its own."""
    return (
        {"$ref": f"#/$defs/{tag_of(hint)}"}
        if isinstance(hint, type) and has(hint)
        else wire_of(hint).schema()
    )


def tagged(kind: type) -> dict[str, Any]:
    """The schema, by name, of a class that says in `"is"` which it is."""
    return {"$ref": f"#/$defs/is_{tag_of(kind)}"}


def definitions(hint: Any) -> dict[str, Any]:
    """The named schemas that the schema of `hint` refers to, itself among them where it is a class."""
    found: dict[str, Any] = {}
    _define(hint, False, found)
    return dict(sorted(found.items()))


def _define(hint: Any, one_of: bool, found: dict[str, Any]) -> None:
    if isinstance(hint, NewType):
        return
    if isinstance(hint, type) and has(hint):
        name = f"is_{tag_of(hint)}" if one_of else tag_of(hint)
        if name not in found:
            found[name] = _object(hint, tag_of(hint) if one_of else None).schema()
            for inner in get_type_hints(hint).values():
                _define(inner, False, found)
        return
    members = [item for item in get_args(hint) if item not in (NoneType, ...)]
    several = get_origin(hint) in (Union, UnionType) and len(members) > 1
    for member in members:
        _define(member, several, found)


# --- small things -----------------------------------------------------------------------------------------------------


def _list(body: Any, path: str) -> list[Any]:
    if class_of(body) is not list:
        raise Garbled(path, f"is {_short(body)}; it must be an array")
    items: list[Any] = body
    return items


def _object_of(body: Any, path: str) -> dict[str, Any]:
    if class_of(body) is not dict:
        raise Garbled(path, f"is {_short(body)}; it must be an object")
    fields_of: dict[str, Any] = body
    return fields_of


def _short(body: Any) -> str:
    text = repr(body)
    return text if len(text) <= 60 else text[:57] + "..."
