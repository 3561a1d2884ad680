"""The page says of each of the original's rules what the search finds today."""

from __future__ import annotations

import pytest

from tenure_testing.checking.variants import VARIANTS, counterexample
from tests.docs.why import INSTEAD, PAGE, page


def test_the_page_is_what_the_search_finds(request: pytest.FixtureRequest) -> None:
    """W1, W2, W3."""
    found = page()
    if request.config.getoption("--rewrite"):
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == found, "find it anew: pytest tests/docs --rewrite"


def test_every_rule_says_what_is_done_instead() -> None:
    assert INSTEAD.keys() == VARIANTS.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_rule_of_the_original_breaks_the_property_that_it_names(name: str) -> None:
    assert counterexample(name).properties[0] == VARIANTS[name].breaks
