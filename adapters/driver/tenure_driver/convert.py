"""Typed payloads and results: attrs, dataclass and pydantic types as JSON, by cattrs.

What an annotation says is checked, and nothing is guessed: `n: int` takes a JSON integer, not "3", 3.0 or true; a
`float` takes an integer too. So it is with JSON's own types; with lists, objects, tuples, sets, unions, literals,
enums, dates, durations (in seconds), UUIDs, decimals,
paths and TypedDicts of what is known; and with fields of such types. A pydantic model goes by its own rules.
An annotation that is none of these (`Any`, a protocol, a class of one's own) is no check: the value passes as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import Enum
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin, is_typeddict

from cattrs import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError, transform_error
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn
from cattrs.preconf.json import make_converter

from tenure.errors import NotJson
from tenure_driver.annotations import (
    LISTS,
    SCALARS,
    TEXTS,
    bare,
    fields_of,
    has_fields,
    is_class,
    is_enum,
    is_list,
    is_model,
    is_null,
    is_object,
    is_open,
    is_union,
    keys_of,
    known,
)
from tenure_driver.writing import Writing


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
            (is_open, _as_it_is),
            (is_null, _scalar),
            (is_list, self._list),
            (is_object, self._object),
            (is_union, self._union),
            (is_model, _validated),
            (is_typeddict, self._typed_dict),
            (_is_literal, _literal),
        ]
        for scalar in (str, int, float, bool):
            self._cattrs.register_structure_hook(scalar, _scalar)
        for text in TEXTS:
            self._cattrs.register_structure_hook(text, _text)
        self._cattrs.register_structure_hook(timedelta, _duration)
        for is_one, structure in structured:
            self._cattrs.register_structure_hook_func(is_one, structure)
        self._cattrs.register_structure_hook_factory(is_class, self._class)
        self._writing = Writing(self.structure, self._cattrs.unstructure)

    def structure(self, value: Any, to: Any) -> Any:
        """The JSON value as the type `to`: `Job`, `list[Job]`, `Job | None`, `int`.

        Raises ValueError that names, by its path, each field that is missing, unknown, or not of its type."""
        try:
            if not self._checks(to):
                return value
            return self._cattrs.structure(value, to)
        except Exception as mismatch:
            raise ValueError(f"the value does not fit {_name(to)}: {_said(mismatch)}") from None

    def unstructure(self, value: Any, declared: Any = Any) -> Any:
        """The value as JSON types, so that it comes back the same as the type `declared`: a tuple or an enum is written
        where that says one, and what is of an attrs, dataclass or pydantic type, at any level, becomes an object.

        Raises NotJson, with the field's path, where it would come back as something else."""
        try:
            return self._writing.written(value, declared if self._checks(declared) else Any)
        except RecursionError:
            raise NotJson("the value", "$", "it is nested too deep") from None

    def _checks(self, to: Any) -> bool:
        """Whether the annotation says something: it, or what is in it, is of a known type, and all of it is known;
        or a class of fields is in it."""
        try:
            return self._checked[to]
        except KeyError:
            checks = self._checked[to] = not is_open(to) and (known(to) or has_fields(to))
            return checks

    # --- hooks: how a value becomes what has parts -----------------------------------------------------------------

    def _class(self, to: Any) -> Callable[[Any, Any], Any]:
        generic = getattr(to, "__parameters__", ())
        fields: Callable[[Any, Any], Any] = make_dict_structure_fn(
            to[(Any,) * len(generic)] if generic else to, self._cattrs, _cattrs_forbid_extra_keys=True
        )
        return lambda value, _: fields(_of(dict, value), to)

    def _list(self, value: Any, to: Any) -> Any:
        make, parts = LISTS[get_origin(to) or to], get_args(to)
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
        keys = self._each(to, ((key, _key(key, key_type), key_type) for key in items))
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

    def _typed_dict(self, value: Any, to: Any) -> Any:
        items = cast("dict[str, Any]", _of(dict, value))
        types, required = keys_of(to)
        made: dict[str, Any] = {}
        misfits: list[Any] = []
        for key, part in types.items():
            try:
                if key in items:
                    made[key] = self._cattrs.structure(items[key], part)
                elif key in required:
                    raise KeyError(key)
            except Exception as misfit:
                misfit.add_note(_FIELD(f"at {key}", key, part))
                misfits.append(misfit)
        if unknown := set(items) - set(types):
            misfits.append(ForbiddenExtraKeysError("", to, unknown))
        if misfits:
            raise _OF_FIELDS(f"fields of {_name(to)}", misfits, to)
        return made

    def _union(self, value: Any, to: Any) -> Any:
        """The value as the member that it fits; JSON's own types come first. Of several, the one that would be written
        as this value."""
        members = get_args(to)
        kind = _type_of(value)
        if kind in members:
            return self._cattrs.structure(value, kind)
        others = [member for member in members if member is not NoneType]
        # By their names and literals first: a tree of them would else be read twice at each of its levels.
        others = [member for member in others if _may_fit(value, member)] or others
        if len(others) == 1:
            return self._cattrs.structure(value, others[0])
        fits: list[tuple[Any, Any]] = []
        misfits: list[str] = []
        for member in others:
            try:
                fits.append((member, self._cattrs.structure(value, member)))
            except Exception as misfit:
                misfits.append(f"{_name(member)} ({_said(misfit)})")
        if not fits:
            raise _Misfit(f"fits none of {', '.join(misfits)}")
        if len(fits) > 1:
            exact = [(member, made) for member, made in fits if self._writing.written(made, member) == value]
            fits = exact or fits
        if len(fits) > 1:
            alike = " and ".join(_name(member) for member, _ in fits)
            raise _Misfit(f'fits {alike} alike; tell them apart by a field, such as kind: Literal["a"]')
        return fits[0][1]


# --- hooks: single values, and pydantic's models ------------------------------------------------------------------


def _type_of(value: object) -> Any:
    return type(value)


def _of(kind: type | None, value: Any) -> Any:
    kind = kind or NoneType
    if type(value) is not kind:
        raise _Misfit(f"expected {SCALARS[kind]}, not {SCALARS.get(type(value), type(value).__name__)}")
    return value


def _as_it_is(value: Any, to: Any) -> Any:
    return value


def _scalar(value: Any, to: Any) -> Any:
    """Also as an enum or another class below a type of JSON's, which it is then made of."""
    if to is float and type(value) is int:
        return float(value)
    if is_null(to) or to in SCALARS:
        return _of(to, value)
    return to(_of(next(kind for kind in SCALARS if issubclass(to, kind)), value))


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


def _may_fit(value: Any, to: Any) -> bool:
    """Whether the names in an object, and those of its literals that are there, are those of the class."""
    if type(value) is not dict or not is_class(to):
        return True
    items, fields = cast("dict[str, Any]", value), fields_of(to)
    tags = {name: _plain_literals(field) for name, field in fields.items() if _is_literal(field)}
    return items.keys() <= fields.keys() and all(
        items[name] in tags[name] for name in items.keys() & tags.keys()
    )


def _plain_literals(to: Any) -> list[Any]:
    return [one.value if isinstance(one, Enum) else one for one in get_args(to)]


def _is_literal(to: Any) -> bool:
    return get_origin(to) is Literal


def _literal(value: Any, to: Any) -> Any:
    """One of those, of the very type: 1 is neither true nor 1.0."""
    for one in get_args(to):
        plain = one.value if isinstance(one, Enum) else one
        if type(plain) is type(value) and plain == value:
            return one
    raise _Misfit(f"expected one of {', '.join(map(repr, get_args(to)))}, not {value!r}")


def _text(value: Any, to: Any) -> Any:
    """What would be written as another text is refused: base 85 has some of those."""
    write, read = TEXTS[to]
    text = cast(str, _of(str, value))
    try:
        made = read(text)
    except (ArithmeticError, ValueError) as bad:
        raise _Misfit(f"{text!r} is no {_name(to)}: {bad}") from None
    if to is bytes and write(made) != text:
        raise _Misfit(f"{text!r} is no bytes in base 85")
    return made


def _duration(value: Any, to: Any) -> timedelta:
    try:
        return timedelta(seconds=_scalar(value, float))
    except OverflowError as bad:
        raise _Misfit(f"{value!r} seconds are no timedelta: {bad}") from None


def _key(text: Any, to: Any) -> Any:
    """The key of an object, as its type takes it: those of JSON are texts, also where they are numbers."""
    to = bare(to)
    numbers = is_enum(to) and any(type(one.value) is int for one in to)
    if (
        (to is int or numbers)
        and type(text) is str
        and text.removeprefix("-").isdecimal()
        and str(int(text)) == text
    ):
        return int(text)
    return text


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
