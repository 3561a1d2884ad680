"""SQLite connections that reach a boundary before and after each statement, between the rows of one that writes many,
and at their closing."""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tenure.instants import StoreTime
from tenure_sqlite import SqliteRegistry
from tenure_testing.crashing.points import Boundary, Watch
from tenure_testing.crashing.story import LIMITS

COMMIT = "COMMIT"
FULL = 2
"""SQLite's `synchronous` at which an answered COMMIT is on the disk."""

_TARGET = re.compile(
    r"(?:CREATE (?:UNIQUE )?(?:TABLE|INDEX)|INSERT INTO|UPDATE|DELETE FROM|SELECT .*? FROM|PRAGMA) (\w+)"
)


def kind_of(sql: str) -> str:
    """The statement in short, as `SELECT meta`, `BEGIN IMMEDIATE`, `PRAGMA user_version`: what it does, and to what."""
    text = " ".join(sql.split())
    target = _TARGET.match(text)
    if target is None:
        return text
    verb = text.split()[0]
    if verb == "CREATE":
        verb = "CREATE INDEX" if " INDEX " in text.partition("(")[0] else "CREATE TABLE"
    return f"{verb} {target[1]}"


@define
class Seam:
    """Opens the connections of one store. `failing`: a kind of statement that reports an I/O error, the first time.
    `weak`: COMMITs that were sent while SQLite would not wait for the disk."""

    watch: Watch
    failing: str = ""
    weak: list[str] = field(factory=list[str])

    def connect(self, kind: type[Stepping], path: Path, mode: str) -> sqlite3.Connection:
        """As `tenure_sqlite.link.connect` does, and each step of it is a boundary."""
        uri = f"{path.as_uri()}?mode={mode}"
        link = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=kind
        )
        link.seam = self
        return link


class Stepping(sqlite3.Connection):
    """A connection whose every step is a boundary."""

    seam: Seam

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self._stepped(sql, lambda: super(Stepping, self).execute(sql, parameters))

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        where = _caller()
        between = Boundary("between two rows of", kind_of(sql), where)

        def one_by_one() -> Generator[Any]:
            for n, row in enumerate(rows):
                if n:
                    self.seam.watch.reach(between)
                yield row

        return self._stepped(sql, lambda: super(Stepping, self).executemany(sql, one_by_one()))

    def close(self) -> None:
        self._at("before", "close")
        super().close()
        self._at("after", "close")

    def _stepped(self, sql: str, step: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        kind = kind_of(sql)
        if kind == COMMIT and self.seam.watch.on:
            (synchronous,) = super().execute("PRAGMA synchronous").fetchone()
            if synchronous < FULL:
                self.seam.weak.append(f"synchronous = {synchronous}")
        self._at("before", kind)
        if kind == self.seam.failing:
            self.seam.failing = ""
            fail(sqlite3.SQLITE_IOERR)
        cursor = step()
        try:
            self._at("after", kind)
        except BaseException:
            cursor.close()  # a statement that failed is not half-way through its rows
            raise
        return cursor

    def _at(self, when: str, kind: str) -> None:
        self.seam.watch.reach(Boundary(when, kind, _caller()))


def fail(code: int) -> None:
    """Raise what Python's module raises for SQLite's code: it has a class of its own for one of them."""
    if code == sqlite3.SQLITE_NOMEM:
        raise MemoryError
    error = sqlite3.OperationalError("made to fail")
    error.sqlite_errorcode = code
    raise error


def _caller() -> str:
    """File and line of the store's code that runs the statement."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    assert frame is not None, "somebody called it"
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


@frozen
class SqliteFile:
    """SQLite as the store under crash points. A test that seeds a bug gives a registry or a connection of its own."""

    registry: type[SqliteRegistry] = SqliteRegistry
    connection: type[Stepping] = Stepping

    def open(self, path: Path, clock: Callable[[], StoreTime], seam: Seam) -> SqliteRegistry:
        """The store in that file, made where it is missing. It waits for nobody."""
        return self.registry(path, clock, LIMITS, 0.0, partial(seam.connect, self.connection))

    def copy(self, source: Path, target: Path) -> None:
        """A closed file's copy, by SQLite's own means."""
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)
