"""What a driver keeps of calls that are over: nothing that grows with their number."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sized

from tenure_driver import Runner
from tenure_driver.turn import Driver
from tests.adapters.loops import BOUND


def runners_and_drivers() -> list[Runner | Driver]:
    """All that live now."""
    return [one for one in gc.get_objects() if isinstance(one, Runner | Driver)]


def of(owner: object) -> dict[str, int]:
    """How much each of its collections holds; timers go with time, up to a bound."""
    collections = {name: value for name, value in vars(owner).items() if isinstance(value, Sized)}
    return {
        name: len(value)
        for name, value in collections.items()
        if value and name not in ("_timers", "context")
    }


def none_of(owners: list[Runner | Driver]) -> None:
    """Wait until all of it is gone, which the other threads may take a moment for."""
    assert owners
    end, pause = time.monotonic() + BOUND, threading.Event()
    while any(of(one) for one in owners):
        assert time.monotonic() < end, [of(one) for one in owners]
        pause.wait(0.01)
