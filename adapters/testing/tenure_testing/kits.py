"""What the test kits of all stores have in common: how a check is called, and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def name_of(check: Callable[..., object]) -> str:
    """The check's name in words."""
    return getattr(check, "__name__", repr(check)).replace("_", " ")


def run_on(check: Callable[[T], None], world: T, close: Callable[[], None]) -> None:
    """Run the check on its world, and close its store. Raises AssertionError: what the law says, and what was seen."""
    try:
        check(world)
    except AssertionError as failure:
        raise AssertionError(f"{name_of(check)}\n{check.__doc__}\n{failure}") from failure
    finally:
        close()
