"""JSON, canonicalised once: what cannot come back equal is refused by name, everything else comes back equal."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.canonical import MAX_DEPTH, MAX_DIGITS, NULL, canonical, digest, parsed, text_fault, utf8_size
from tenure.errors import InvalidValue, NotJson, TooLarge


class Colour(IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


def nested(levels: int, leaf: Any = None) -> Any:
    value = leaf
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (float("nan"), "$", "nan is not a JSON number"),
        ([float("inf")], "$[0]", "inf is not a JSON number"),
        ({"a": -float("inf")}, "$.a", "-inf is not a JSON number"),
        ("a\0b", "$", "it contains U+0000"),
        (["ok", "\ud800"], "$[1]", "it contains a lone surrogate"),
        ({"a\0": 1}, "$", "the key 'a\\x00': it contains U+0000"),
        ({1: 2}, "$", "the key 1 is not a string"),
        ({"a": {None: 2}}, "$.a", "the key None is not a string"),
        ((1, 2), "$", "tuple is no JSON type (it would come back as a list)"),
        ({"a": [(1,)]}, "$.a[0]", "tuple is no JSON type (it would come back as a list)"),
        ({1, 2}, "$", "set is no JSON type"),
        (b"bytes", "$", "bytes is no JSON type"),
        (Colour.RED, "$", "Colour is no JSON type"),
        ({Name("a"): 1}, "$", "the key 'a' is not a string"),
        (object, "$", "type is no JSON type"),
        (10**MAX_DIGITS, "$", "an integer of more than 4000 digits"),
        (-(10**MAX_DIGITS), "$", "an integer of more than 4000 digits"),
        ("\udfff", "$", "it contains a lone surrogate"),
        (
            nested(MAX_DEPTH + 1),
            "$" + ".a[0]" * (MAX_DEPTH // 2),
            f"nested more than {MAX_DEPTH} levels deep",
        ),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else "int",
)
def test_refused_by_name(value: Any, path: str, reason: str) -> None:
    with pytest.raises(NotJson) as caught:
        canonical(value, "the payload")
    assert (caught.value.what, caught.value.path, caught.value.reason) == ("the payload", path, reason)
    assert str(caught.value) == f"the payload is not JSON at {path}: {reason}"
    assert isinstance(caught.value, InvalidValue)


def test_ten_thousand_levels() -> None:
    """The parser of the standard library would run out of stack at a tenth of that."""
    with pytest.raises(NotJson, match=f"nested more than {MAX_DEPTH} levels deep"):
        canonical(nested(10_000))


def test_a_value_that_contains_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotJson, match="levels deep"):
        canonical(value)


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH])
def test_as_deep_as_allowed(levels: int) -> None:
    assert parsed(canonical(nested(levels, "leaf"))) == nested(levels, "leaf")
    with pytest.raises(NotJson, match="levels deep"):
        canonical(nested(MAX_DEPTH + 1, "leaf"))


@pytest.mark.parametrize("number", [2**53 + 1, 2**64, -(2**64) - 1, 10**MAX_DIGITS - 1, 0, -1])
def test_integers_are_exact(number: int) -> None:
    assert parsed(canonical([number])) == [number]


def test_the_text() -> None:
    assert canonical(None) == NULL
    assert canonical({"b": [1, True, None], "a": "ü"}) == '{"a":"ü","b":[1,true,null]}'


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    leaves | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20
)


@given(values)
def test_what_is_taken_comes_back_equal(value: Any) -> None:
    text = canonical(value)
    assert parsed(text) == value
    assert canonical(parsed(text)) == text
    assert json.loads(text) == value


@given(values)
def test_a_limit_counts_bytes(value: Any) -> None:
    text = canonical(value)
    size = utf8_size(text)
    assert size == len(text.encode())
    assert canonical(value, limit=size) == text
    if text != NULL:
        with pytest.raises(TooLarge) as caught:
            canonical(value, "the result", limit=size - 1)
        assert (caught.value.what, caught.value.size, caught.value.limit) == ("the result", size, size - 1)
        assert f"the result takes {size} bytes; the limit is {size - 1}." in str(caught.value)


@given(st.text(st.characters()))
def test_what_a_store_could_not_carry(text: str) -> None:
    assert bool(text_fault(text)) == ("\0" in text or any(0xD800 <= ord(c) <= 0xDFFF for c in text))


@pytest.mark.parametrize("text", ["\ud7ff", "\ue000"])
def test_what_is_next_to_the_surrogates_is_text(text: str) -> None:
    assert text_fault(text) == ""


def test_a_digest_is_of_the_bytes() -> None:
    assert digest("ü") == "607474ca475a9724d7360aba71a56d5df77e61350e3f724cfa1f46e857e2d85f"
