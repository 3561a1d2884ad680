"""Every test that takes `host` runs once per loop. No test may leave one of tenure's threads behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.adapters.loops import HOSTS, Host


@pytest.fixture(params=HOSTS, ids=[host.name for host in HOSTS])
def host(request: pytest.FixtureRequest) -> Host:
    """The loop under test."""
    chosen: Host = request.param
    return chosen


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Leaving the block ends the threads; one that was told to end but not waited for gets a moment."""
    yield
    end = time.monotonic() + 5
    for thread in threading.enumerate():
        if thread.name in ("tenure-machine", "tenure-store", "tenure-feed"):
            thread.join(max(0, end - time.monotonic()))
            assert not thread.is_alive(), f"{thread.name} was left behind"
