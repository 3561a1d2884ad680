"""Typed payloads and results: attrs, dataclass and pydantic types as JSON, by cattrs.

What an annotation says is checked, and nothing is guessed: `n: int` takes a JSON integer, not "3", 3.0 or true; a
`float` takes an integer too. So it is with JSON's own types; with lists, objects, tuples, sets, unions, literals,
enums, dates and TypedDicts of what is known; and with fields of such types. A pydantic model goes by its own rules.
An annotation that is none of these (`Any`, a protocol, a class of one's own) is no check: the value passes as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, cast, get_args, get_origin, is_typeddict

from attrs import has
from cattrs import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError, transform_error
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn
from cattrs.preconf.json import make_converter

from tenure.canonical import MAX_DEPTH
from tenure.errors import NotJson

_SCALARS: dict[Any, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "an object",
}
"""JSON's types by the words that people know them by; all but the last two have no parts."""
_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    Sequence: list,
    tuple: tuple,
    set: set,
    Set: set,
    frozenset: frozenset,
}
"""What a JSON list may stand for, and how it is made."""
_OBJECTS = (dict, Mapping)
_TEXTS = (datetime, date, bytes)
"""What a JSON string may stand for: ISO 8601, base 85."""


class _Misfit(ValueError):
    """A value that is not of its type; the message says what was expected."""


# Their __new__ takes what type checkers, who look at those of texts and groups, do not see.
_FIELD = cast(Callable[[str, str, Any], str], AttributeValidationNote)
_PLACED = cast(Callable[[str, int | str, Any], str], IterableValidationNote)
_OF_FIELDS = cast(Callable[[str, list[_Misfit], Any], Exception], ClassValidationError)
_OF_PARTS = cast(Callable[[str, list[Exception], Any], Exception], IterableValidationError)


class CattrsConverter:
    """`tenure.Converter` by cattrs. JSON's own values pass untouched, so that what is not JSON is refused by name."""

    def __init__(self) -> None:
        self._cattrs = make_converter(forbid_extra_keys=True)
        self._checked: dict[Any, bool] = {}
        structured: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [
            (_is_open, _as_it_is),
            (_is_null, _scalar),
            (_is_list, self._list),
            (_is_object, self._object),
            (_is_union, self._union),
            (_is_model, _validated),
        ]
        for scalar in (str, int, float, bool):
            self._cattrs.register_structure_hook(scalar, _scalar)
        for is_one, structure in structured:
            self._cattrs.register_structure_hook_func(is_one, structure)
        self._cattrs.register_structure_hook_factory(_is_class, self._class)
        self._cattrs.register_unstructure_hook_func(_is_model, _dumped)
        self._cattrs.register_unstructure_hook_func(_is_enum, lambda one: one.value)
        # Of a field that is declared as a tuple; any other is refused by name, since it would come back as a list.
        self._cattrs.register_unstructure_hook_func(
            _is_tuple, lambda items: [self.unstructure(item) for item in items]
        )
        self._cattrs.register_unstructure_hook_func(_is_open, self.unstructure)

    def structure(self, value: Any, to: Any) -> Any:
        """The JSON value as the type `to`: `Job`, `list[Job]`, `Job | None`, `int`.

        Raises ValueError that names, by its path, each field that is missing, unknown, or not of its type."""
        try:
            if not self._checks(to):
                return value
            return self._cattrs.structure(value, to)
        except Exception as mismatch:
            raise ValueError(f"the value does not fit {_name(to)}: {_said(mismatch)}") from None

    def unstructure(self, value: Any) -> Any:
        """The value as JSON types: what is of an attrs, dataclass or pydantic type in it, at any level, becomes an
        object. Raises NotJson where a model cannot be written."""
        return self._plain(value, 0)

    def _checks(self, to: Any) -> bool:
        """Whether the annotation says something: it, or what is in it, is of a known type, and all of it is known;
        or a class of fields is in it."""
        try:
            return self._checked[to]
        except KeyError:
            checks = self._checked[to] = not _is_open(to) and (_known(to) or _typed(to))
            return checks

    def _plain(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:  # refused for its depth, by whoever makes it JSON
            return value
        kind = cast("type[object]", type(value))
        if kind is list:
            return [self._plain(item, depth + 1) for item in value]
        if kind is dict:
            return {key: self._plain(item, depth + 1) for key, item in value.items()}
        return self._cattrs.unstructure(value) if _is_class(kind) or _is_model(kind) else value

    # --- hooks: how a value becomes what has parts -----------------------------------------------------------------

    def _class(self, to: Any) -> Callable[[Any, Any], Any]:
        generic = getattr(to, "__parameters__", ())
        fields: Callable[[Any, Any], Any] = make_dict_structure_fn(
            to[(Any,) * len(generic)] if generic else to, self._cattrs, _cattrs_forbid_extra_keys=True
        )
        return lambda value, _: fields(_of(dict, value), to)

    def _list(self, value: Any, to: Any) -> Any:
        make, parts = _LISTS[get_origin(to) or to], get_args(to)
        items = cast("list[Any]", _of(list, value))
        if make is tuple and not (len(parts) == 2 and parts[1] is ...) and get_origin(to):
            if len(items) != len(parts):
                raise _Misfit(f"expected a list of {len(parts)}, not of {len(items)}")
            return tuple(self._each(to, zip(range(len(parts)), items, parts, strict=True)))
        part = parts[0] if parts else Any
        try:
            return make(self._each(to, ((index, item, part) for index, item in enumerate(items))))
        except TypeError as unhashable:
            raise _Misfit(f"expected items that a set can hold: {unhashable}") from None

    def _object(self, value: Any, to: Any) -> Any:
        key_type, item_type = get_args(to) or (Any, Any)
        items = cast("dict[Any, Any]", _of(dict, value))
        keys = self._each(to, ((key, key, key_type) for key in items))
        values = self._each(to, ((key, item, item_type) for key, item in items.items()))
        return dict(zip(keys, values, strict=True))

    def _each(self, to: Any, parts: Iterable[tuple[int | str, Any, Any]]) -> list[Any]:
        """The structured parts, each given by where it is, its value and its type."""
        fitting: list[Any] = []
        misfits: list[Exception] = []
        for place, part, part_type in parts:
            try:
                fitting.append(self._cattrs.structure(part, part_type))
            except Exception as misfit:
                misfit.add_note(_PLACED(f"at {place!r}", place, part_type))
                misfits.append(misfit)
        if misfits:
            raise _OF_PARTS(f"parts of {_name(to)}", misfits, to)
        return fitting

    def _union(self, value: Any, to: Any) -> Any:
        """The value as the first member that it fits; JSON's own types come first."""
        members = get_args(to)
        kind = _type_of(value)
        if kind in members:
            return self._cattrs.structure(value, kind)
        others = [member for member in members if member is not NoneType]
        if len(others) == 1:
            return self._cattrs.structure(value, others[0])
        misfits: list[str] = []
        for member in others:
            try:
                return self._cattrs.structure(value, member)
            except Exception as misfit:
                misfits.append(f"{_name(member)} ({_said(misfit)})")
        raise _Misfit(f"fits none of {', '.join(misfits)}")


# --- which annotations are known ----------------------------------------------------------------------------------


def _is_open(to: Any) -> bool:
    return to is Any or to is object or isinstance(to, TypeVar)


def _is_null(to: Any) -> bool:
    return to is None or to is NoneType


def _is_list(to: Any) -> bool:
    return (get_origin(to) or to) in _LISTS


def _is_tuple(to: Any) -> bool:
    origin: object = get_origin(to)
    return origin is tuple


def _is_object(to: Any) -> bool:
    return (get_origin(to) or to) in _OBJECTS


def _is_union(to: Any) -> bool:
    return get_origin(to) in (Union, UnionType)


def _is_enum(to: Any) -> bool:
    return isinstance(to, type) and issubclass(to, Enum)


def _is_class(to: Any) -> bool:
    """An attrs or dataclass type; also a generic one with its arguments."""
    kind = get_origin(to) or to
    return isinstance(kind, type) and (has(kind) or hasattr(kind, "__dataclass_fields__"))


def _is_model(to: Any) -> bool:
    """A pydantic model, known by what it can do: nothing of pydantic is imported."""
    return isinstance(to, type) and hasattr(to, "model_validate_json") and hasattr(to, "model_dump")


def _typed(to: Any) -> bool:
    """Whether a class of fields is what is meant, or part of it."""
    return _is_class(to) or _is_model(to) or any(_typed(part) for part in get_args(to))


def _known(to: Any) -> bool:
    """Whether there is a rule for it and for all its parts."""
    if _is_union(to) or _is_list(to) or _is_object(to) or _is_class(to):
        return all(part is ... or _known(part) for part in get_args(to))
    if get_origin(to) is Annotated:
        return _known(get_args(to)[0])
    if isinstance(to, NewType):
        return _known(to.__supertype__)
    plain = _is_open(to) or _is_null(to) or to in _SCALARS or _is_enum(to) or _is_model(to) or to in _TEXTS
    return plain or is_typeddict(to) or get_origin(to) is Literal


# --- hooks: single values, and pydantic's models ------------------------------------------------------------------


def _type_of(value: object) -> Any:
    return type(value)


def _of(kind: type | None, value: Any) -> Any:
    kind = kind or NoneType
    if type(value) is not kind:
        raise _Misfit(f"expected {_SCALARS[kind]}, not {_SCALARS.get(type(value), type(value).__name__)}")
    return value


def _as_it_is(value: Any, to: Any) -> Any:
    return value


def _scalar(value: Any, to: Any) -> Any:
    """Also as an enum or another class below a type of JSON's, which it is then made of."""
    if to is float and type(value) is int:
        return float(value)
    if _is_null(to) or to in _SCALARS:
        return _of(to, value)
    return to(_of(next(kind for kind in _SCALARS if issubclass(to, kind)), value))


def _validated(value: Any, model: Any) -> Any:
    """By the JSON rules of the model: a strict one takes the texts and lists that it was written as."""
    try:
        return model.model_validate_json(json.dumps(value))
    except ValueError as invalid:
        errors = getattr(invalid, "errors", None)
        if errors is None:
            raise
        raise _OF_FIELDS(f"fields of {_name(model)}", [_misfit_of(one) for one in errors()], model) from None


def _misfit_of(error: dict[str, Any]) -> _Misfit:
    misfit = _Misfit(error["msg"])
    place = ".".join(map(str, error["loc"]))
    if place:
        misfit.add_note(_FIELD(f"at {place}", place, None))
    return misfit


def _dumped(model: Any) -> Any:
    """As what the same model reads again: by its aliases, without what it computes."""
    try:
        return model.model_dump(mode="json", by_alias=True, round_trip=True)
    except Exception as failed:
        raise NotJson(f"a {_name(type(model))}", _culprit(model), str(failed)) from failed


def _culprit(model: Any) -> str:
    """The path of the first field that cannot be written; `$` where it is none of them alone."""
    for field in _type_of(model).model_fields:
        try:
            model.model_dump(mode="json", include={field})
        except Exception:
            return f"$.{field}"
    return "$"


# --- words --------------------------------------------------------------------------------------------------------


def _name(to: Any) -> str:
    return to.__name__ if isinstance(to, type) and not get_args(to) else str(to).replace("typing.", "")


def _said(mismatch: BaseException) -> str:
    return "; ".join(transform_error(mismatch, format_exception=_words))


def _words(mismatch: BaseException, expected: Any) -> str:
    """What is wrong with one field; its path is put behind it."""
    if isinstance(mismatch, KeyError):
        return "required field missing"
    if isinstance(mismatch, ForbiddenExtraKeysError):
        return f"unknown fields: {', '.join(sorted(mismatch.extra_fields))}"
    return str(mismatch) or type(mismatch).__name__
