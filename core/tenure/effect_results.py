"""What a journal keeps of an effect: one JSON text for a value, for a failure, or for a reference to an attachment.

A value is stored as it is. The other two are objects with the reserved key `tenure.effect`, which says what they are;
a user's own object that has that key is wrapped in one, so that nothing is ambiguous:

    {"tenure.effect": "failed", "class": …, "code": …, "message": …}
    {"tenure.effect": "attachment", "id": …, "size": …}
    {"tenure.effect": "value", "value": …}
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from attrs import frozen

from tenure.canonical import Json, canonical, parsed

RESERVED_KEY = "tenure.effect"


@frozen
class Returned:
    """The function returned `value`, as canonical text."""

    value: Json


@frozen
class Raised:
    """The function raised: the exception's class, its `code` where that was a text (else `raised`), its message."""

    effect_class: str
    code: str
    message: str


@frozen
class Attached:
    """The function's result is an attachment: its id (SHA-256, in hex), and its size in bytes."""

    id: str
    size: int


Result: TypeAlias = Returned | Raised | Attached


def stored(result: Result) -> Json:
    """The text that a journal keeps; `result_of` gives the result back."""
    match result:
        case Returned(value=value):
            # Put together as text: one level around a value that is nested as deep as may be would be one too many.
            return Json(f'{{"{RESERVED_KEY}":"value","value":{value}}}') if _has_the_key(value) else value
        case Raised():
            words = {"class": result.effect_class, "code": result.code, "message": result.message}
            return canonical({RESERVED_KEY: "failed"} | words)
        case Attached():
            return canonical({RESERVED_KEY: "attachment", "id": result.id, "size": result.size})
        case _:
            assert_never(result)


def result_of(text: Json) -> Result:
    """The result that was stored as this text. Raises ValueError for a form that this version does not know."""
    if not _has_the_key(text):
        return Returned(text)
    match parsed(text):
        case {"tenure.effect": "value", "value": value}:
            return Returned(canonical(value))
        case {"tenure.effect": "failed", "class": str(name), "code": str(code), "message": str(message)}:
            return Raised(name, code, message)
        case {"tenure.effect": "attachment", "id": str(content), "size": int(size)}:
            return Attached(content, size)
        case _:
            raise ValueError(f"this version of tenure does not know {text:.100}")


def _has_the_key(text: Json) -> bool:
    """Whether the text is an object with the reserved key. Most texts do not have it anywhere, and are not parsed."""
    if f'"{RESERVED_KEY}":' not in text:
        return False
    value = parsed(text)
    return isinstance(value, dict) and RESERVED_KEY in value
