"""Stores in one SQLite file: the embedded default, tier durable."""

from tenure_sqlite.contents import SqliteContents, open_contents
from tenure_sqlite.sessions import SqliteSessions, open_sessions
from tenure_sqlite.store import SqliteRegistry, open_store

__all__ = [
    "SqliteContents",
    "SqliteRegistry",
    "SqliteSessions",
    "open_contents",
    "open_sessions",
    "open_store",
]
