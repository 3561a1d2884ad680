"""For each property a bug which the checker reports as a breach of that property first; and none without a bug."""

from __future__ import annotations

import pytest

from tenure_testing.checking import Configuration, explore
from tests.checking.bugs import BUGS
from tests.checking.patching import Patch

SPOKEN_OF = {f"S{number}" for number in range(2, 21)}
"""Those of the safety properties that speak of rows or workers; S1 and S21-S23 are about histories and stores."""


def test_every_property_has_a_bug() -> None:
    assert {bug[0] for bug in BUGS} >= SPOKEN_OF


@pytest.mark.parametrize(
    ("name", "configuration", "patch"),
    [(name, configuration, patch) for name, _, configuration, patch in BUGS],
    ids=[f"{name}: {said}" for name, said, *_ in BUGS],
)
def test_a_bug_is_reported_as_its_property(
    monkeypatch: pytest.MonkeyPatch, name: str, configuration: Configuration, patch: Patch
) -> None:
    patch(monkeypatch)
    found = explore(configuration).violation
    assert found is not None
    assert found.properties[0] == name, found.lines()
