"""Where the stories of tests/behaviour are played: each store, and each loop or a world in virtual time. Their names
are in the ids of the tests, from which docs/behaviours.md is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tenure_memory
import tenure_sqlite
from tenure import ProcessRegistry
from tenure_testing.rehearsing import RehearsedWorld
from tests.adapters.loops import HOSTS, Host
from tests.adapters.stores import Clock

STORES = ("memory", "sqlite")


def url_of(store: str, folder: Path) -> str:
    """The URL of a new store of that kind."""
    return "memory:" if store == "memory" else f"sqlite:///{folder}/tenure.db"


@pytest.fixture
def clock() -> Clock:
    """The clock of `registry`: the system's, until a story lets an hour pass in the store."""
    return Clock()


@pytest.fixture(params=STORES)
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[ProcessRegistry]:
    """A registry, which brings the other facets of its store."""
    open_store = tenure_memory.open_store if request.param == "memory" else tenure_sqlite.open_store
    opened = open_store(url_of(request.param, tmp_path), clock=clock)
    yield opened
    opened.close()


LOOPS = HOSTS[:2]


@pytest.fixture(params=LOOPS, ids=[host.name for host in LOOPS])
def host(request: pytest.FixtureRequest) -> Host:
    """An event loop and its adapter."""
    chosen: Host = request.param
    return chosen


@pytest.fixture(params=STORES, ids=[f"{store}-virtual" for store in STORES])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RehearsedWorld]:
    """A world in virtual time around such a store, where a story is about time, trouble or crashes."""
    with RehearsedWorld(url_of(request.param, tmp_path)) as opened:
        yield opened
