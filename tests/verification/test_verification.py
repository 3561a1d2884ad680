"""The page of what was verified is made of the figures beside it, and these are of the code as it is."""

from __future__ import annotations

import re
from collections import Counter

from tenure_testing.checking.golden import pinned
from tests.matrix import patches
from tests.verification.page import PAGE, ROOT, SECTIONS, counts, page, read
from tests.verification.run import lists

MUTANTS = ROOT / "docs" / "mutants.md"


def test_the_page_is_made_of_the_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read())


def test_every_part_was_measured() -> None:
    assert list(read()) == list(SECTIONS)


def test_the_counts_of_the_search_are_those_that_are_pinned() -> None:
    """Who changes a count measures again: `make verify` has the commands."""
    assert counts(read()["check"]) == pinned()


def test_what_the_repository_lists_is_counted() -> None:
    """`python -m tests.verification.run` counts it anew."""
    assert {name: value for name, value in read()["lists"].items() if name != "measured"} == lists()


def test_the_known_bugs_are_those_that_there_are() -> None:
    """Who adds a patch runs `make kill-matrix`, which measures again."""
    assert read()["matrix"]["bugs"] == len(patches.read())


def test_the_mutants_are_those_of_their_own_page_and_all_were_tried() -> None:
    """`make mutants` writes both. One that survived is a gap in the tests, and one that was not tried may be."""
    part = read()["mutants"]
    (total,) = re.findall(r"^([\d,]+) mutants, ", MUTANTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert part["mutants"] == int(total.replace(",", ""))
    fates = Counter[str]()
    for row in part["modules"].values():
        fates.update(row)
    assert (fates.total(), fates["survived"], fates["not tried"]) == (part["mutants"], 0, 0)


def test_nothing_was_broken_and_no_known_bug_survived() -> None:
    data = read()
    assert data["check"]["violations"] == 0
    assert data["check"]["sometimes_missed"] == []
    assert data["simulate"]["failures"] == []
    assert data["matrix"]["survivors"] == 0
