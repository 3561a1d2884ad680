"""What the children of these tests have in common: what they did is said on stdout, by lines."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping


def say(*words: object) -> None:
    """One line, out before the next step: whoever reads it may kill us."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def act(acts: Mapping[str, Callable[..., None]]) -> None:
    """Do what the command line names, with the words after it."""
    try:
        acts[sys.argv[1]](*sys.argv[2:])
    except Exception:
        traceback.print_exc()
        sys.exit(1)
