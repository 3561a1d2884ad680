"""Which tests run which lines, and how long each takes: measured once, in a child, by coverage's contexts."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from attrs import frozen
from coverage import Coverage

from tests.mutants.forked import forked

EXAMPLES = 40
"""Hypothesis draws no more for a mutant, always the same ones; what survives meets the tests as they are."""
LONGEST = 4.0
"""Seconds of work: a test that takes longer runs only for what survived the others."""


@frozen
class Measured:
    """A test: its number in the session, its seconds of work, and by file the lines that it ran."""

    index: int
    name: str
    seconds: float
    ran: dict[str, frozenset[int]]


class BrokenTests(Exception):
    """Tests fail without any mutant."""


class _TooLong(BaseException):
    """The test that runs is a long one."""


def measured(items: Sequence[pytest.Item], files: Sequence[str]) -> list[Measured]:
    """All tests but the long ones, the fastest first; of what they run, the lines of `files`. Raises BrokenTests."""
    ended = forked(_measuring(items, files))
    if ended.code != 0:
        raise BrokenTests("without a mutant these fail: " + ", ".join(ended.said))
    found: list[Measured] = []
    for line in ended.said:
        index, seconds, lines = json.loads(line)
        ran = {str(file): frozenset[int](numbers) for file, numbers in lines.items()}
        found.append(Measured(int(index), items[int(index)].nodeid, seconds, ran))
    return sorted(found, key=lambda test: test.seconds)


def passes(item: pytest.Item) -> bool:
    return all(report.passed for report in runtestprotocol(item, log=False))


def restrain(item: pytest.Item) -> None:
    """The same few examples for each mutant, and no shrinking."""
    # Here, since pytest wants to see this import itself.
    from hypothesis import HealthCheck, Phase, settings

    every: Any = HealthCheck
    drawn: Any = getattr(item, "obj", None)
    drawn = getattr(drawn, "__func__", drawn)
    known = getattr(drawn, "_hypothesis_internal_use_settings", None)
    if known is not None:
        drawn._hypothesis_internal_use_settings = settings(
            known,
            max_examples=min(EXAMPLES, known.max_examples),
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=tuple(every),
        )


def _measuring(items: Sequence[pytest.Item], files: Sequence[str]) -> Callable[[Callable[[str], None]], int]:
    def work(say: Callable[[str], None]) -> int:
        def too_long(number: int, frame: FrameType | None) -> None:
            raise _TooLong

        signal.signal(signal.SIGPROF, too_long)
        seconds: dict[int, float] = {}
        broken: list[str] = []
        coverage = Coverage(data_file=None, config_file=False, include=list(files))
        coverage.start()
        for index, item in enumerate(items):
            coverage.switch_context(str(index))
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            good = passes(item)
            left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
            if good:
                seconds[index] = time.process_time() - began
            elif left:
                broken.append(item.nodeid)
        coverage.stop()
        if broken:
            for name in broken:
                say(name)
            return 1
        ran: dict[int, dict[str, list[int]]] = {index: {} for index in seconds}
        data = coverage.get_data()
        for file in files:
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    if context and int(context) in ran:
                        ran[int(context)].setdefault(file, []).append(line)
        for index, took in seconds.items():
            say(json.dumps([index, took, ran[index]]))
        return 0

    return work
