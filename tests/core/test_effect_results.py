"""What a journal keeps of an effect: one text, from which comes back exactly what was put there."""

from __future__ import annotations

import json as json_text
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenure.canonical import MAX_DEPTH, Json, canonical, digest
from tenure.effect_results import RESERVED_KEY, Attached, Raised, Result, Returned, result_of, stored
from tests.core.test_handler_outcomes import json

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
reserved = st.dictionaries(words | st.just(RESERVED_KEY), json, max_size=3).map(
    lambda value: value | {RESERVED_KEY: value.get(RESERVED_KEY, "failed")}
)
results: st.SearchStrategy[Result] = st.one_of(
    st.builds(Returned, (json | reserved).map(canonical)),
    st.builds(Raised, words, words, words),
    st.builds(Attached, words.map(digest), st.integers(min_value=0)),
)


@given(results)
@example(Returned(stored(Raised("OSError", "raised", "no network"))))
@example(Returned(stored(Attached("ab", 3))))
@example(Returned(stored(Returned(stored(Raised("OSError", "raised", "no network"))))))
@example(Returned(canonical([{RESERVED_KEY: "failed"}])))
@example(Returned(canonical(f'"{RESERVED_KEY}":')))
@example(Returned(canonical({"a": {RESERVED_KEY: "failed"}})))
def test_what_is_stored_comes_back_and_is_canonical(result: Result) -> None:
    text = stored(result)
    assert result_of(text) == result
    assert (
        json_text.dumps(json_text.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        == text
    )


@given(json)
def test_a_value_without_the_reserved_key_is_stored_as_it_is(value: Any) -> None:
    """So a journal that was written before there was anything else is read as it was."""
    assert stored(Returned(canonical(value))) == canonical(value)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Returned(Json('{"a":1}')), '{"a":1}'),
        (Returned(Json('{"a":{"tenure.effect":"failed"}}')), '{"a":{"tenure.effect":"failed"}}'),
        (Returned(Json('[{"tenure.effect":"failed"}]')), '[{"tenure.effect":"failed"}]'),
        (
            Raised("OSError", "raised", "no network"),
            '{"class":"OSError","code":"raised","message":"no network","tenure.effect":"failed"}',
        ),
        (Attached("ab", 3), '{"id":"ab","size":3,"tenure.effect":"attachment"}'),
        (
            Returned(Json('{"a":1,"tenure.effect":"failed"}')),
            '{"tenure.effect":"value","value":{"a":1,"tenure.effect":"failed"}}',
        ),
        (
            Returned(Json('{"tenure.effect":null}')),
            '{"tenure.effect":"value","value":{"tenure.effect":null}}',
        ),
    ],
)
def test_the_forms(result: Result, text: str) -> None:
    assert stored(result) == text
    assert result_of(Json(text)) == result


def test_a_value_of_the_users_may_be_nested_as_deep_as_any() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    result = Returned(canonical({RESERVED_KEY: deep}))
    assert result_of(stored(result)) == result


@pytest.mark.parametrize(
    "text",
    [
        '{"tenure.effect":"later"}',
        '{"tenure.effect":"value"}',
        '{"class":"A","code":"b","message":1,"tenure.effect":"failed"}',
        '{"class":"A","code":1,"message":"c","tenure.effect":"failed"}',
        '{"class":1,"code":"b","message":"c","tenure.effect":"failed"}',
        '{"id":"ab","size":"3","tenure.effect":"attachment"}',
        '{"id":1,"size":3,"tenure.effect":"attachment"}',
    ],
)
def test_a_form_that_is_not_known_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match=f"^this version of tenure does not know {re.escape(text)}$"):
        result_of(Json(text))
