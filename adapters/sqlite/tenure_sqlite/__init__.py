"""Stores in one SQLite file: the embedded default, tier durable."""

from tenure_sqlite.contents import SqliteContents, open_contents
from tenure_sqlite.store import SqliteRegistry, open_store

__all__ = ["SqliteContents", "SqliteRegistry", "open_contents", "open_store"]
