"""SQLite stores with a bug each, as somebody might write it; the crash points have to find it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from tenure.replies import Answer
from tenure.requests import Request
from tenure_sqlite import SqliteRegistry
from tenure_sqlite.trouble import Trouble
from tenure_testing.crashing.sqlite_seam import SqliteFile, Stepping


class AnswersFirst(Stepping):
    """K24: the answer goes out first, and the COMMIT before whatever is executed next."""

    _owed = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self._owed:
            self._owed = False
            super().execute("COMMIT")
        if sql == "COMMIT":
            self._owed = True
            sql = "SELECT 1"
        return super().execute(sql, parameters)


class TrustsTheCache(Stepping):
    """K24: COMMIT no longer waits for the disk."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            super().execute("PRAGMA synchronous = NORMAL")
        return super().execute(sql, parameters)


class TwoTransactions(Stepping):
    """New rows are committed before what hangs on them is written."""

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        cursor = super().executemany(sql, rows)
        if "INSERT INTO inputs" in sql or "UPDATE processes" in sql:
            self.execute("COMMIT")
            self.execute("BEGIN IMMEDIATE")
        return cursor


class TablesOneByOne(Stepping):
    """The schema is made statement by statement, each in a transaction of its own."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.lstrip().startswith("CREATE") and self.in_transaction:
            super().execute("COMMIT")
        return super().execute(sql if sql != "COMMIT" or self.in_transaction else "SELECT 1", parameters)


class ForgetsClaims(Stepping):
    """A claim that granted rows is not written down: the same claim again looks like a late one, or grants anew."""

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        return super().executemany(sql, [] if "INSERT INTO claims" in sql else rows)


class AlwaysUnavailable(SqliteRegistry):
    """Whatever goes wrong is taken for surely not applied, a COMMIT without an answer too."""

    def _failed(self, error: Trouble, batch: Sequence[Request], *, committing: bool) -> Sequence[Answer]:
        return super()._failed(error, batch, committing=False)


class AlwaysUnknown(SqliteRegistry):
    """Whatever goes wrong is taken for perhaps applied."""

    def _failed(self, error: Trouble, batch: Sequence[Request], *, committing: bool) -> Sequence[Answer]:
        return super()._failed(error, batch, committing=True)


class KeepsTheConnection(SqliteRegistry):
    """After an error the connection is used on, with the transaction that is open on it."""

    def _drop(self) -> None:
        if self._closed.is_set():
            super()._drop()


STORES = {
    "": SqliteFile(),
    "answers first": SqliteFile(connection=AnswersFirst),
    "trusts the cache": SqliteFile(connection=TrustsTheCache),
    "two transactions": SqliteFile(connection=TwoTransactions),
    "tables one by one": SqliteFile(connection=TablesOneByOne),
    "forgets claims": SqliteFile(connection=ForgetsClaims),
    "always unavailable": SqliteFile(AlwaysUnavailable),
    "always unknown": SqliteFile(AlwaysUnknown),
    "keeps the connection": SqliteFile(KeepsTheConnection),
}
