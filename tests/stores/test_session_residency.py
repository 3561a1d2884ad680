"""What residency saves: rows read and memory held, on a tree of 100,000 entries with 1,000 on the path (B7).

Rows and SQLite's work are counted (`counting`).
"""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from tenure.session import Session
from tenure.sessions import Residency, SessionFence
from tenure_sqlite import SqliteSessions, open_sessions
from tests.stores.counting import Count
from tests.stores.session_stores import opened, plant

ENTRIES, PATH = 100_000, 1_000
FENCE = SessionFence("r", "p", 1, 1)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = f"sqlite:///{tmp_path_factory.mktemp('large')}/s.db"
    plant(made, ENTRIES, PATH)
    return made


def counted(url: str, residency: Residency) -> tuple[Session, Count]:
    """The session, and what opening it took; opening the file is not counted."""
    count = Count()
    sessions = SqliteSessions(Path(url.removeprefix("sqlite:///")), open_connection=count.connect)
    count.rows = count.steps = 0
    session = opened(sessions, FENCE, residency)
    sessions.close()
    return session, count


def test_opening_on_the_active_path_reads_the_path(url: str, tmp_path: Path) -> None:
    session, count = counted(url, Residency.ACTIVE_PATH_ONLY)
    assert len(session.path) == PATH
    assert count.rows <= 1_100
    # A session that is nothing but such a path takes SQLite as many steps: the other 99,000 entries cost nothing.
    alone = f"sqlite:///{tmp_path}/alone.db"
    plant(alone, PATH, PATH)
    other, bare = counted(alone, Residency.ACTIVE_PATH_ONLY)
    assert len(other.path) == PATH
    assert count.rows == bare.rows
    assert count.steps <= 1.01 * bare.steps


def test_keeping_all_reads_the_tree(url: str) -> None:
    session, count = counted(url, Residency.KEEP_ALL)
    assert (len(session.tree), len(session.path)) == (ENTRIES, PATH)
    assert ENTRIES <= count.rows <= ENTRIES + 1_000


def test_the_active_path_takes_a_small_part_of_the_memory(url: str) -> None:
    held: dict[Residency, int] = {}
    for residency in Residency:
        sessions = open_sessions(url)
        gc.collect()
        tracemalloc.start()
        try:
            session = opened(sessions, None, residency)
            gc.collect()
            held[residency], _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(session.path) == PATH
        sessions.close()
    assert held[Residency.ACTIVE_PATH_ONLY] * 20 < held[Residency.KEEP_ALL], held
