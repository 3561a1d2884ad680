"""Many searches, each in an operating system's process of its own: so its memory is its own, and so are its cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from queue import SimpleQueue
from typing import Any

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Explored
from tenure_testing.checking.measuring import measured

Progress = Callable[[str, int], None]
PERIOD = 0.2
"""Seconds between two looks at how far the searches are."""


def run(configurations: Sequence[Configuration], jobs: int, progress: Progress) -> Iterator[Explored]:
    """Each configuration's result, as they come; the largest begins first, `jobs` at a time. `progress` is told the
    name and the number of states, on the caller's thread.

    Raises BrokenProcessPool where the operating system killed a search, for want of memory in all likelihood.
    """
    context = get_context("spawn")
    told = context.SimpleQueue()
    with ProcessPoolExecutor(jobs, context, _begin, (told, os.getpid()), max_tasks_per_child=1) as pool:
        waiting = {pool.submit(_searched, one) for one in configurations}
        while waiting:
            done, waiting = wait(waiting, PERIOD, FIRST_COMPLETED)
            while not told.empty():
                progress(*told.get())
            for future in done:
                yield future.result()


_told: SimpleQueue[tuple[str, int]]
_parent = 0


def _begin(told: Any, parent: int) -> None:
    global _told, _parent
    _told, _parent = told, parent


def _searched(configuration: Configuration) -> Explored:
    return measured(configuration, lambda states: _tell(configuration.name, states))


def _tell(name: str, states: int) -> None:
    """How far it is; a search whose command was killed goes too, and does not fill the memory for nobody."""
    if os.getppid() != _parent:
        os._exit(1)
    _told.put((name, states))
