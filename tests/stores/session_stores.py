"""Large trees of entries in SQLite, made fast, and sessions over a store without a loop."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from tenure.asks import Ask, CallPlain
from tenure.kinds import Verbatim
from tenure.session import Session, open_session
from tenure.session_tables import SessionRow
from tenure.sessions import Residency, SessionFence, SessionPolicy, SessionStoreFactory
from tenure_driver.driving import driven
from tenure_sqlite import open_sessions
from tenure_sqlite.location import path_of
from tenure_sqlite.session_rows import ADD, SqliteSessionTables


async def ask(ask: Ask) -> Any:
    """A blocking program's."""
    assert isinstance(ask, CallPlain)
    return ask.called()


def opened(
    factory: SessionStoreFactory,
    fence: SessionFence | None = None,
    residency: Residency = Residency.ACTIVE_PATH_ONLY,
    session_id: str = "s",
) -> Session:
    """The session of that id, with plain calls behind its coroutines."""
    return driven(open_session(ask, factory, session_id, SessionPolicy(), residency, fence, Verbatim()))


BODY = '{"role":"user","text":"' + "word " * 20 + '"}'


def plant(url: str, entries: int, path: int, session_id: str = "s") -> None:
    """Make session `s` of so many entries, so many of them on the path from the root to its head; they are spread
    evenly over the tree, which branches off them."""
    open_sessions(url).close()
    every = entries // path
    rows: list[tuple[str, int, str, str, str]] = []
    on_path = ""
    for seq in range(1, entries + 1):
        rows.append((session_id, seq, f"{seq:032x}", on_path, BODY))
        if (seq - 1) % every == 0 and (seq - 1) // every < path:
            on_path = f"{seq:032x}"
    with closing(sqlite3.connect(path_of(url), isolation_level=None)) as link:
        link.execute("BEGIN IMMEDIATE")
        tables = SqliteSessionTables(link, session_id)
        tables.write_row(SessionRow(on_path, entries, entries * len(BODY), len(BODY)))
        link.executemany(ADD, rows)
        link.execute("COMMIT")
