"""Every boundary inside the SQLite store is crashed at, by a death and by an error, and the law holds after each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tenure_sqlite
from tenure.replies import FenceLogRead, Refused, Succeeded
from tenure.requests import ClientRequest, Complete, FencedRequest, Prune, ReadRequest, Renew, Request
from tenure_testing.crashing.story import Page, contradictions, pages
from tests.docs.pages import ROOT
from tests.stores.deaths import STRUCK, statements

LISTED = Path(__file__).with_name("store_points.txt")
BOUND = 240
"""Seconds until a child is given up; a bound, not a speed."""

STRUCK_ELSEWHERE = {name for names in STRUCK.values() for name in names}
"""What is not the registry's: `tests/stores/test_deaths.py` strikes each statement of them, or fails."""

Found = dict[str, Any]


def struck(how: str, bug: str = "", scene: str = "") -> Found:
    """What a child says that struck everything."""
    command = [sys.executable, "-m", "tests.crashes.store_child", how, bug, scene]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False)
    assert ran.returncode == 0, ran.stderr
    found: Found = json.loads(ran.stdout)
    return found


@pytest.fixture(scope="module")
def died() -> Found:
    return struck("deaths")


def test_a_store_that_dies_anywhere_keeps_the_law(died: Found) -> None:
    """S1, S10, S11, S21, S22: an operating system process is killed at every boundary, and the next one recovers."""
    assert died["violations"] == []
    assert len(died["listed"]) == died["boundaries"]


def test_the_points_are_those_that_are_listed(died: Found, request: pytest.FixtureRequest) -> None:
    """A boundary of a new kind, or one that is no longer reached, is seen in the list's difference."""
    counted = Counter(line.partition(": it dies ")[2] for line in died["listed"])
    total = f"{died['boundaries']} points, each struck by a death; by kind:\n"
    text = total + "".join(f"{counted[kind]:5} {kind}\n" for kind in sorted(counted))
    if request.config.getoption("--rewrite"):
        LISTED.write_text(text)
    assert LISTED.read_text() == text


def test_every_statement_of_the_store_is_among_them(died: Found) -> None:
    """100 % of them: each place in the source that runs a statement was struck; a new one has to be reached too."""
    there: set[str] = set()
    for path in Path(tenure_sqlite.__file__).parent.glob("*.py"):
        if path.name in STRUCK_ELSEWHERE:
            continue
        there |= statements(path)
    reached = {where for where in died["where"] if where in there}
    assert there - reached == set()
    assert len(there) > 50


def test_a_store_whose_database_fails_anywhere_keeps_the_law(request: pytest.FixtureRequest) -> None:
    """S18: Unavailable before COMMIT was sent, Unknown where it was and nobody answered, and the store goes on.

    One of SQLite's errors before each statement, in turn, and all of them at COMMIT, before and after it. All of them
    before and after each statement under `--hypothesis-profile=verify`.
    """
    every = request.config.getoption("--hypothesis-profile") == "verify"
    found = struck("every" if every else "errors")
    assert found["violations"] == []
    assert len(found["listed"]) > (3_000 if every else 500)


@pytest.mark.parametrize(
    ("bug", "how", "scene", "law"),
    [
        ("answers first", "deaths", "register five at once", "S21"),
        ("trusts the cache", "deaths", "cancel the one taken over", "S21"),
        ("two transactions", "deaths", "register five at once", "S22"),
        ("tables one by one", "deaths", "make a new file", "S21"),
        ("forgets claims", "deaths", "claim the next two", "S10"),
        ("always unavailable", "errors", "renew", "S18"),
        ("always unknown", "errors", "renew", "S18"),
        ("keeps the connection", "errors", "renew", "CONTRACT §2"),
    ],
)
def test_a_bug_is_found_and_its_property_named(bug: str, how: str, scene: str, law: str) -> None:
    """K24 the first two; the others were real somewhere as well."""
    assert law in {named for named, _ in struck(how, bug, scene)["violations"]}


# --- the story ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def story() -> tuple[Page, ...]:
    return pages()


def test_the_story_sends_every_kind_of_request_and_each_is_granted(story: tuple[Page, ...]) -> None:
    asked = [pair for page in story for pair in zip(page.batch, page.answers, strict=True)]
    granted = {type(request) for request, answer in asked if isinstance(answer, Succeeded)}
    assert granted == set(Request.__args__)
    kinds = {type(request) for request, answer in asked if isinstance(answer, Refused)}
    assert len(kinds) >= 4


def test_replays_change_nothing_by_the_reference(story: tuple[Page, ...]) -> None:
    """S10, S11: so what the stores are held to is the law, not only what the reference happens to do."""
    completed = 0
    for page in story:
        if any(isinstance(request, Renew | Prune) for request in page.batch):
            continue
        assert rows(page.applied.state) == rows(page.applied.then), page.chapter.name
        again = page.applied.again[: len(page.batch)]
        for request, one, two in zip(page.batch, page.answers, again, strict=True):
            if isinstance(request, ClientRequest | FencedRequest) and isinstance(one, Succeeded):
                assert one == two, request
            if isinstance(request, ReadRequest):
                assert isinstance(one, type(two))
        conflicts = page.applied.again[len(page.batch) :]
        assert len(conflicts) == len(contradictions(page.batch))
        for request, conflict in zip(contradictions(page.batch), conflicts, strict=True):
            assert isinstance(request, Complete)
            completed += isinstance(conflict, Refused) and conflict.reason.value == "conflict"
    assert completed == 2


def rows(state: Any) -> object:
    """What a store told, without the fence log, and without how far its feed has come."""
    answers, _ = state
    return [
        answer
        for answer in answers
        if not (isinstance(answer, Succeeded) and isinstance(answer.reply, FenceLogRead))
    ]
