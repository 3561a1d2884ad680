"""For each property a bug which the checker reports as a breach of that property first; and none without a bug."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import tenure_testing.checking
from tenure_testing.checking import Configuration, named
from tests.checking import fleet_bugs, timed_bugs
from tests.checking.bugs import BUGS
from tests.checking.labels import ELSEWHERE, MODULES, judge_of, said_by, spoken_of
from tests.checking.patching import Patch, violation_of

SPOKEN_OF = {f"S{number}" for number in range(2, 21)}
"""Those of the safety properties that speak of rows or workers; S1 and S21-S23 are about histories and stores."""


@pytest.mark.parametrize(
    ("name", "configuration", "patch"),
    [(name, configuration, patch) for name, _, configuration, patch in BUGS],
    ids=[f"{name}: {said}" for name, said, *_ in BUGS],
)
def test_a_bug_is_reported_as_its_property(name: str, configuration: Configuration, patch: Patch) -> None:
    found = violation_of(configuration, patch)
    assert found is not None
    assert found.properties[0] == name, found.lines()


def test_each_judge_has_a_bug_for_each_property_that_it_speaks_of() -> None:
    """Which is the first that is reported, and by that judge: else nothing shows that it ever speaks."""
    planted = [(configuration, patch) for _, _, configuration, patch in BUGS]
    for others in (fleet_bugs.BUGS, timed_bugs.BUGS):
        planted += [(named(configuration), patch) for _, configuration, _, patch in others]
    shown: set[tuple[str, str]] = set()
    for configuration, patch in planted:
        found = violation_of(configuration, patch)
        assert found is not None
        shown.add((judge_of(configuration, found), found.properties[0]))
    assert spoken_of() - shown == set()
    assert {name for _, name in spoken_of()} >= SPOKEN_OF


def test_no_module_judges_unnoticed() -> None:
    """Each that says of something that it is broken, in its code, is among those that are asked."""
    package = tenure_testing.checking
    modules = [
        import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    judging = {module for module in modules if said_by(module)}
    assert judging - {*ELSEWHERE.values()} == {module for asked in MODULES.values() for module in asked}
