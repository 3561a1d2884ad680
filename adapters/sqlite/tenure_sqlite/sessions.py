"""Sessions in tenure's SQLite file. Tier DURABLE: an answered append survives a crash.

The tables are their own, and nothing here reads the registry's: the sessions may be in another file than it. What
writes is one short transaction; what reads takes no lock that a writer would wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from tenure.errors import StoreUnavailable, StoreUnknown, StoreUnusable
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.replies import Unavailable, Unknown
from tenure.session_model import execute
from tenure.sessions import (
    Deleted,
    Open,
    ReadPath,
    ReadTree,
    SessionAnswer,
    SessionPolicy,
    SessionRequest,
    session_name,
)
from tenure.stores import DurabilityTier
from tenure_sqlite.clock import system_clock
from tenure_sqlite.held import HeldFile
from tenure_sqlite.link import GAP, Connect, connect
from tenure_sqlite.location import path_of
from tenure_sqlite.session_rows import PIECE, SqliteSessionTables, clear_some
from tenure_sqlite.session_schema import FIRST, TABLES

PATIENCE = 2.0
"""Seconds to wait for another process's transaction; a session sends its request three times."""


def open_sessions(
    url: str,
    *,
    clock: Callable[[], StoreTime] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    busy_timeout: float = PATIENCE,
    gap: float = GAP,
) -> SqliteSessions:
    """The sessions in the file that the URL names; the file is made where it is missing.

    `busy_timeout` and `gap` in seconds, as for the registry; of the limits the retry horizon counts. `clock` is for
    tests. Raises InvalidValue for the URL, StoreUnusable for a file that tenure cannot work on, StoreUnavailable for
    trouble that may pass.
    """
    return SqliteSessions(path_of(url), clock or system_clock, limits, busy_timeout, gap)


class SqliteSessions:
    """A `tenure.SessionStoreFactory`. `open_connection` is a seam for tests, which make SQLite fail there."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], StoreTime] = system_clock,
        limits: Limits = DEFAULT_LIMITS,
        busy_timeout: float = PATIENCE,
        gap: float = GAP,
        open_connection: Connect = connect,
    ) -> None:
        self.clock, self.horizon = clock, limits.retry_horizon
        self.file = HeldFile(path, FIRST, TABLES, busy_timeout, open_connection, gap)

    @property
    def tier(self) -> DurabilityTier:
        """DURABLE: what was answered survives a crash of the program or the machine."""
        return DurabilityTier.DURABLE

    def open(self, session_id: str, policy: SessionPolicy) -> SqliteSession:
        """The session of that id. Raises InvalidValue for the id."""
        return SqliteSession(self, session_name(session_id), policy)

    def clear(self) -> None:
        """Remove what deleted sessions left, in short transactions; what meets trouble is left to later openings."""
        with suppress(StoreUnavailable, StoreUnknown, StoreUnusable):
            while self.file.writing(clear_some):
                pass

    def close(self) -> None:
        """Close the connection. Repeatable."""
        self.file.close()


@frozen
class SqliteSession:
    """A `tenure.SessionStore`: one session under one policy."""

    _sessions: SqliteSessions
    _id: str
    _policy: SessionPolicy

    def execute(self, request: SessionRequest) -> SessionAnswer:
        """The answer. Raises StoreUnusable; other trouble is an answer (`trouble`)."""
        reads = isinstance(request, ReadPath | ReadTree) or request == Open()
        file = self._sessions.file
        act = file.reading if reads else file.writing
        try:
            answer = act(lambda link: self._decide(SqliteSessionTables(link, self._id), request))
        except StoreUnavailable as trouble:
            return Unavailable(str(trouble))
        except StoreUnknown as trouble:
            return Unknown(str(trouble))
        if isinstance(answer, Deleted) and answer.entries >= PIECE:
            self._sessions.clear()
        return answer

    def _decide(self, tables: SqliteSessionTables, request: SessionRequest) -> SessionAnswer:
        return execute(tables, request, self._policy, self._sessions.clock(), self._sessions.horizon)
