"""The sessions, attachments and artifacts in a registry's file, opened at their first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from tenure.facets import StoredFacets
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure_sqlite.contents import SqliteContents
from tenure_sqlite.link import Connect
from tenure_sqlite.sessions import SqliteSessions


class SqliteFacets:
    """Three connections to one file. `patience` and `gap` in seconds, as for the registry."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], StoreTime],
        limits: Limits,
        patience: float,
        gap: float,
        open_connection: Connect,
    ) -> None:
        self._path, self._clock, self._limits = path, clock, limits
        self._patience, self._gap, self._connect = patience, gap, open_connection
        self._lock = Lock()
        self._opened: StoredFacets | None = None

    def opened(self) -> StoredFacets:
        """Always the same. Raises StoreUnusable, StoreUnavailable."""
        with self._lock:
            if self._opened is None:
                path, clock, gap, link = self._path, self._clock, self._gap, self._connect
                self._opened = StoredFacets(
                    SqliteSessions(path, clock, self._limits, self._patience, gap, link),
                    SqliteContents(path, "attachment", clock, gap=gap, open_connection=link),
                    SqliteContents(path, "artifact", clock, gap=gap, open_connection=link),
                )
            return self._opened

    def close(self) -> None:
        """Close what was opened. Repeatable."""
        opened = self._opened
        if opened is not None:
            for facet in (opened.sessions, opened.attachments, opened.artifacts):
                facet.close()
