"""What the children of these tests have in common: what they did is said on stdout, by lines."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping

from tenure.errors import ForkedProcess


def say(*words: object) -> None:
    """One line, out before the next step: whoever reads it may kill us."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def tries(calls: Iterable[Callable[[], object]]) -> None:
    """Say of each call whether a forked child may make it."""
    for call in calls:
        try:
            call()
            say("allowed")
        except ForkedProcess:
            say("refused")


def act(acts: Mapping[str, Callable[..., None]]) -> None:
    """Do what the command line names, with the words after it."""
    try:
        acts[sys.argv[1]](*sys.argv[2:])
    except Exception:
        traceback.print_exc()
        sys.exit(1)
