"""How a value becomes JSON, by what it is declared as, so that it is read back as the same.

Only what the declaration says is written as something else: a tuple that nothing declares would come back as a list, so
it is left as it is, and refused by name by whoever makes it JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import timedelta
from enum import Enum
from types import NoneType
from typing import Any, Literal, get_args, get_origin, is_typeddict

from tenure.canonical import MAX_DEPTH
from tenure.errors import NotJson
from tenure_driver.annotations import (
    LISTS,
    SCALARS,
    TEXTS,
    bare,
    fields_of,
    is_class,
    is_enum,
    is_list,
    is_model,
    is_object,
    is_open,
    is_union,
    keys_of,
    known,
)

_TAKEN: dict[Any, tuple[type, ...]] = {Sequence: (list, tuple), Set: (set, frozenset)}
"""What is written as a list where that is declared; of any other declaration, its own objects."""


class Writing:
    """Writes values. `read(value, to)` is how they will be read, `other(value, to)` writes what has no rule here."""

    def __init__(self, read: Callable[[Any, Any], Any], other: Callable[[Any, Any], Any]) -> None:
        self._read, self._other = read, other

    def written(self, value: Any, to: Any, at: str = "$", depth: int = 0) -> Any:
        """The value as JSON types, declared as `to` and found at the path `at`.

        Raises NotJson, with the path, where it would be read as something else, and where a model cannot be written."""
        if depth > MAX_DEPTH:  # refused for its depth, by whoever makes it JSON
            return value
        to = bare(to)
        if is_union(to):
            return self._of_union(value, to, at, depth)
        kind = _type_of(value)
        if is_class(kind) or is_model(kind):
            _check_class(kind, to, at)
            if is_model(kind):
                return _dumped(value, at)
            if not (is_class(to) and issubclass(kind, get_origin(to) or to)):
                to = kind
            return {
                name: self._field(getattr(value, name), field, f"{at}.{name}", depth + 1)
                for name, field in fields_of(to).items()
            }
        if is_list(to) and isinstance(value, _taken(to)):
            return self._of_list(value, to, at, depth)
        if is_typeddict(to) and kind is dict:
            hints = keys_of(to)[0]
            return {
                key: self.written(item, hints.get(key, Any), f"{at}.{key}", depth + 1)
                for key, item in value.items()
            }
        if is_object(to) and issubclass(kind, Mapping):
            return self._of_object(value, to, at, depth)
        if kind is list:
            return [self.written(item, Any, f"{at}[{index}]", depth + 1) for index, item in enumerate(value)]
        if kind is dict:
            return {key: self.written(item, Any, f"{at}.{key}", depth + 1) for key, item in value.items()}
        return _single(value, to, at)

    def _field(self, value: Any, to: Any, at: str, depth: int) -> Any:
        """A field may be of a type that has no rule here, but one of cattrs."""
        return self.written(value, to, at, depth) if known(to) or is_union(to) else self._other(value, to)

    def _of_union(self, value: Any, to: Any, at: str, depth: int) -> Any:
        members = get_args(to)
        kind = _type_of(value)
        if value is None and NoneType in members:
            return None
        others = [member for member in members if member is not NoneType]
        chosen = [one for one in others if (get_origin(bare(one)) or bare(one)) is kind]
        chosen = chosen or [one for one in others if _may_be(value, bare(one))] or [Any]
        plain = self.written(value, chosen[0], at, depth)
        if len(others) > 1 and kind not in SCALARS:  # what is JSON's own is checked when it is read
            try:
                same = type(self._read(plain, to)) is kind
            except Exception as misfit:
                raise NotJson(f"a {kind.__name__}", at, str(misfit)) from None
            if not same:
                raise NotJson(f"a {kind.__name__}", at, f"it would not come back as one from {to}")
        return plain

    def _of_list(self, value: Any, to: Any, at: str, depth: int) -> Any:
        make, parts = LISTS[get_origin(to) or to], get_args(to)
        items = list(value)
        each: list[Any] = [parts[0] if parts else Any] * len(items)
        if make is tuple and len(parts) == len(items) and not (len(parts) == 2 and parts[1] is ...):
            each = list(parts)
        plain = [
            self.written(item, part, f"{at}[{index}]", depth + 1)
            for index, (item, part) in enumerate(zip(items, each, strict=True))
        ]
        if isinstance(value, (set, frozenset)):  # in an order that is the same everywhere
            plain.sort(key=lambda item: json.dumps(item, sort_keys=True, default=repr))
        return plain

    def _of_object(self, value: Mapping[Any, Any], to: Any, at: str, depth: int) -> Any:
        key_type, item_type = get_args(to) or (Any, Any)
        plain: dict[Any, Any] = {}
        for key, item in value.items():
            text = self.written(key, key_type, at, depth + 1)
            if type(text) is int and (bare(key_type) is int or is_enum(bare(key_type))):
                text = str(text)
            plain[text] = self.written(item, item_type, f"{at}.{text}", depth + 1)
        if len(plain) != len(value):
            raise NotJson("an object", at, "two of its keys would be the same text")
        return plain


def _taken(to: Any) -> tuple[type, ...]:
    origin = get_origin(to) or to
    return _TAKEN.get(origin, (origin,))


def _type_of(value: object) -> Any:
    return type(value)


def _may_be(value: Any, to: Any) -> bool:
    """Whether a value of another type than the member itself is meant by it."""
    if get_origin(to) is Literal:
        return value in get_args(to)
    if is_typeddict(to):
        return isinstance(value, dict)
    if is_open(to) or is_list(to) or is_object(to):
        return not is_open(to) and isinstance(value, _taken(to))
    return isinstance(to, type) and isinstance(value, to)


def _single(value: Any, to: Any, at: str) -> Any:
    if isinstance(value, Enum) and (
        type(value) is to or (get_origin(to) is Literal and value in get_args(to))
    ):
        return value.value
    if to is timedelta and type(value) is timedelta:
        seconds: float = value.total_seconds()
        if timedelta(seconds=seconds) != value:
            raise NotJson("a timedelta", at, "its seconds take more digits than a number has")
        return seconds
    for text, (write, _) in TEXTS.items():
        if to is text and (type(value) is text or (isinstance(value, text) and text.__name__ == "Path")):
            return write(value)
    return value


def _check_class(kind: Any, to: Any, at: str) -> None:
    """Refuse an object of a class below the declared one, if it has fields of its own: they would be lost."""
    declared = get_origin(to) or to
    if not (is_class(declared) or is_model(declared)) or kind is declared or not issubclass(kind, declared):
        return
    if set(_names(kind)) - set(_names(declared)):
        reason = (
            f"it is a {kind.__name__} where {declared.__name__} is declared, and would come back without its other "
            f"fields; declare {declared.__name__} | {kind.__name__}"
        )
        raise NotJson(f"a {kind.__name__}", at, reason)


def _names(kind: Any) -> list[str]:
    return list(kind.model_fields) if is_model(kind) else list(fields_of(kind))


def _dumped(model: Any, at: str) -> Any:
    """As what the same model reads again: by its aliases, without what it computes."""
    try:
        return model.model_dump(mode="json", by_alias=True, round_trip=True)
    except Exception as failed:
        raise NotJson(f"a {type(model).__name__}", at + _culprit(model), str(failed)) from failed


def _culprit(model: Any) -> str:
    """The path of the first field that cannot be written; empty where it is none of them alone."""
    for field in _type_of(model).model_fields:
        try:
            model.model_dump(mode="json", include={field})
        except Exception:
            return f".{field}"
    return ""
