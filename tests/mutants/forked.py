"""Run one thing in a forked child with limits, and read what it has to say: lines through a pipe, and how it ended."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

from attrs import frozen

MEMORY = 3 << 30
"""Bytes: what a mutant may take before it fails."""


@frozen
class Ended:
    """`said`: the lines that the child wrote. `code`: its exit status, negative where a signal ended it. `seconds` of
    work that it took."""

    said: list[str]
    code: int
    seconds: float

    @property
    def timed_out(self) -> bool:
        return -self.code in (signal.SIGPROF, signal.SIGALRM, signal.SIGXCPU)


def forked(work: Callable[[Callable[[str], None]], int]) -> Ended:
    """`work(say)` in a child, whose exit status is what it returns."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.close(reading)
            _limit_memory()
            code = work(lambda line: _say(writing, line))
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        said = pipe.read().splitlines()
    _, status, used = os.wait4(child, 0)
    return Ended(said, os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)


def give_time(seconds: float) -> None:
    """The child ends after so many seconds of its own work, and after many more of the clock's."""
    for handled in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(handled, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 60 + 20 * seconds)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(handle: int, line: str) -> None:
    os.write(handle, (line + "\n").encode())
