"""Two processes open one new file at the same time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tenure import Limits, Registration, TenureError
from tenure.instants import StoreTime
from tenure.process import Work
from tenure.replies import Succeeded
from tenure.requests import Register
from tenure_sqlite import SqliteRegistry, open_store


class Interrupted(sqlite3.Connection):
    """Lets somebody else in between the reads by which the file is recognised."""

    between: Callable[[], None] | None = None

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        between = self.between
        if between is not None and sql == "PRAGMA user_version":
            self.between = None
            between()
        return super().execute(sql, *values)


def test_a_schema_made_while_the_file_is_looked_at_is_no_other_programs(tmp_path: Path) -> None:
    """Half of it, seen, would be taken for another program's database."""
    path = tmp_path / "new.db"

    def another() -> None:
        with suppress(TenureError, sqlite3.Error):
            open_store(f"sqlite:///{path}", busy_timeout=0.05).close()

    def connect(where: Path, mode: str) -> sqlite3.Connection:
        uri = f"{where.as_uri()}?mode={mode}"
        link = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Interrupted
        )
        link.between = another
        return link

    store = SqliteRegistry(path, lambda: StoreTime(0), Limits(), 5.0, connect)
    (answer,) = store.execute([Register(Registration("p", Work("k")))])
    assert isinstance(answer, Succeeded)
    store.close()
