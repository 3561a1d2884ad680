"""The slow stage, for what only an import can make: a child imports the mutated module in the place of the real one,
collects the tests anew and runs them, the fast ones first, until one fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from types import ModuleType

import pytest
from attrs import define

from tests.mutants.forked import forked, give_time
from tests.mutants.generate import Mutant
from tests.mutants.results import Result, digest_of
from tests.mutants.session import quiet

QUIET = ("-q", "--no-header", "--tb=no", "--assert=plain", "-p", "no:cacheprovider")
# Hypothesis was imported before pytest was: its own assertions are none of ours.
RELAXED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
PATIENCE = 60.0
"""Seconds of work for the import and the collection; each test has its own."""


def judged(
    mutant: Mutant, tests: Sequence[str], seconds: Mapping[str, float], first: Sequence[str] = ()
) -> Result:
    """Run the tests on a module that was imported as the mutant has it. `seconds`: of each test, where known; `first`:
    those that are likely to fail."""

    def work(say: Callable[[str], None]) -> int:
        quiet()
        give_time(PATIENCE)
        in_place(mutant)
        code = pytest.main(["-x", *QUIET, *RELAXED, *tests], plugins=[_FastFirst(seconds, first, say)])
        return 0 if code == pytest.ExitCode.OK else 1

    ended = forked(work)
    fate = "timed out" if ended.timed_out else "survived" if ended.code == 0 else "killed"
    by = "" if fate == "survived" else ended.said[-1] if ended.said else "the import"
    return Result(mutant.name, fate, by, digest_of(mutant), round(ended.seconds, 3))


def in_place(mutant: Mutant) -> None:
    """From now on the mutant is what an import of its module gets."""
    assert mutant.module not in sys.modules, "the mutant must be what is imported first"
    sys.meta_path.insert(0, _Finder(mutant))


@define
class _Finder(MetaPathFinder):
    """Gives the mutated source in the place of the module's own."""

    mutant: Mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        real = PathFinder.find_spec(fullname, path, target)
        assert real is not None
        assert real.origin is not None
        return spec_from_file_location(
            fullname,
            real.origin,
            loader=_Loader(fullname, real.origin, self.mutant.source),
            submodule_search_locations=real.submodule_search_locations,
        )


@define
class _Loader(SourceLoader):
    name: str
    path: str
    source: str

    def get_filename(self, fullname: str) -> str:
        return self.path

    def get_data(self, path: str) -> bytes:
        """Only the source: no bytecode is read for it, and none is kept."""
        if path != self.path:
            raise OSError(path)
        return self.source.encode()


@define(eq=False)
class _FastFirst:
    """A pytest plugin: the order, and the name of what fails; with that the child ends, since nothing is to be tidied
    up and pytest would collect garbage at length."""

    seconds: Mapping[str, float]
    first: Sequence[str]
    say: Callable[[str], None]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: (item.nodeid not in self.first, self.seconds.get(item.nodeid, 1_000.0)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        give_time(10 + 10 * self.seconds.get(nodeid, 5.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.say(report.nodeid)
            os._exit(1)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os._exit(1)
