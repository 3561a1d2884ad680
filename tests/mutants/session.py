"""The fast stage: everything is imported and collected once; each mutant gets a forked child and its own tests.

A mutant's tests are those that run the changed lines, the one that ended its neighbour first, then by their time. The
first that fails ends it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from attrs import define, field

from tests.mutants import results
from tests.mutants.forked import forked, give_time
from tests.mutants.generate import Mutant
from tests.mutants.live import Live, can_be_made, functions, make
from tests.mutants.results import Result, digest_of
from tests.mutants.tests_of import Measured, measured, passes, restrain

ENOUGH = 6.0
"""Seconds of tests that a mutant meets in this stage."""


@define
class Session:
    """A pytest plugin which, in place of running the tests once, runs them for every mutant.

    Results go to `file`, and how long each test takes to `seconds.json` beside it. A mutant that only an import can
    make is left out.
    """

    package: str
    mutants: Sequence[Mutant]
    file: Path
    jobs: int = 1
    _items: Sequence[pytest.Item] = field(factory=list[pytest.Item])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = session.items
        for item in session.items:
            restrain(item)
        live = functions(self.package)
        made = [mutant for mutant in self.mutants if can_be_made(mutant, live)]
        if not made:
            return True
        tests = measured(session.items, sorted({_file(mutant) for mutant in made}))
        seconds = {test.name: round(test.seconds, 3) for test in tests}
        self.file.with_name("seconds.json").write_text(json.dumps(seconds), encoding="utf-8")
        gc.freeze()
        children: list[int] = []
        for part in range(self.jobs):
            child = os.fork()
            if child == 0:
                try:
                    self._run(made[part :: self.jobs], live, tests)
                finally:
                    os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        return True

    def _run(self, mutants: Sequence[Mutant], live: Live, tests: Sequence[Measured]) -> None:
        lately: defaultdict[str, list[Measured]] = defaultdict(list)
        for mutant in mutants:
            mine = _of(mutant, tests)
            first = [test for test in lately[mutant.owner] if test in mine]
            result, by = self._one(mutant, live, [*first, *(test for test in mine if test not in first)])
            results.add(self.file, [result])
            if by is not None:
                lately[mutant.owner] = [by, *(test for test in lately[mutant.owner] if test is not by)][:6]

    def _one(self, mutant: Mutant, live: Live, tests: Sequence[Measured]) -> tuple[Result, Measured | None]:
        def work(say: Callable[[str], None]) -> int:
            quiet()
            give_time(60)
            make(mutant, live)
            for test in _enough(tests):
                say(str(test.index))
                give_time(1 + 10 * test.seconds)
                if not passes(self._items[test.index]):
                    return 1
            return 0

        ended = forked(work)
        fate = "timed out" if ended.timed_out else "survived" if ended.code == 0 else "killed"
        last = next((test for test in tests if ended.said and str(test.index) == ended.said[-1]), None)
        by = None if fate == "survived" else last
        name = "" if fate == "survived" else by.name if by else "the mutant cannot be made"
        return Result(mutant.name, fate, name, digest_of(mutant), round(ended.seconds, 3)), by


def quiet() -> None:
    """A child of thousands has nothing to print, and nothing to collect."""
    gc.disable()
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _file(mutant: Mutant) -> str:
    file = sys.modules[mutant.module].__file__
    assert file is not None
    return file


def _of(mutant: Mutant, tests: Sequence[Measured]) -> list[Measured]:
    """The tests that run the function that the mutant is of; where it is of none, all that run its module."""
    file = _file(mutant)
    if mutant.lines is None:
        return [test for test in tests if file in test.ran]
    return [test for test in tests if not test.ran.get(file, frozenset()).isdisjoint(mutant.lines)]


def _enough(tests: Sequence[Measured]) -> Iterator[Measured]:
    spent = 0.0
    for test in tests:
        yield test
        spent += test.seconds
        if spent > ENOUGH:
            return
