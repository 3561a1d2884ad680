"""JSON, canonicalised once: what is stored as text, compared by SHA-256, and given back equal.

CONTRACT §3: UTF-8, sorted keys, no white space, no NaN or Infinity, no U+0000, no lone surrogates, exact integers.
A value that would not come back equal (a tuple, a key that is not a string, a subclass of a JSON type) is refused
by name, so that every store refuses and returns the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, NewType, cast

from tenure.errors import NotJson, TooLarge

Json = NewType("Json", str)
"""Canonical JSON text."""

MAX_DEPTH = 200
"""Levels of nesting; the standard library's own parser fails at about a thousand."""

MAX_DIGITS = 4_000
"""Digits of an integer; CPython itself refuses to print more than 4,300."""

_TOO_BIG = 10**MAX_DIGITS

_FORM: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
_ENCODER = json.JSONEncoder(**_FORM)

NULL = Json("null")


def canonical(value: Any, what: str = "the value", limit: int | None = None) -> Json:
    """The canonical text of `value`. Raises NotJson, or TooLarge where it takes more than `limit` bytes."""
    if value is None:
        return NULL
    _check(value, what, "$", 0)
    text = _ENCODER.encode(value)
    if limit is not None:
        size = utf8_size(text)
        if size > limit:
            raise TooLarge(what, size, limit)
    return Json(text)


def parsed(text: Json) -> Any:
    """The value of a canonical text."""
    return json.loads(text)


def digest(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def utf8_size(text: str) -> int:
    """Bytes that the text takes in UTF-8."""
    return len(text.encode())


def text_fault(text: str) -> str:
    """Why a store could not carry the text, or an empty string."""
    if "\0" in text:
        return "it contains U+0000"
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        return "it contains a lone surrogate"
    return ""


def _check(value: Any, what: str, path: str, depth: int) -> None:
    kind = cast("type[object]", type(value))
    if kind is str:
        fault = text_fault(value)
        if fault:
            raise NotJson(what, path, fault)
    elif kind is int:
        if not -_TOO_BIG < value < _TOO_BIG:
            raise NotJson(what, path, f"an integer of more than {MAX_DIGITS} digits")
    elif kind is float:
        if not math.isfinite(value):
            raise NotJson(what, path, f"{value} is not a JSON number")
    elif kind is list or kind is dict:
        if depth >= MAX_DEPTH:
            raise NotJson(what, path, f"nested more than {MAX_DEPTH} levels deep")
        if kind is list:
            for index, item in enumerate(value):
                _check(item, what, f"{path}[{index}]", depth + 1)
        else:
            for key, item in value.items():
                if type(key) is not str:
                    raise NotJson(what, path, f"the key {key!r} is not a string")
                fault = text_fault(key)
                if fault:
                    raise NotJson(what, path, f"the key {key!r}: {fault}")
                _check(item, what, f"{path}.{key}", depth + 1)
    elif value is not None and kind is not bool:
        hint = " (it would come back as a list)" if kind is tuple else ""
        raise NotJson(what, path, f"{kind.__name__} is no JSON type{hint}")
