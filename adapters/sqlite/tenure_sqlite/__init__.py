"""Stores in one SQLite file: the embedded default, tier durable."""

from tenure_sqlite.store import SqliteRegistry, open_store

__all__ = ["SqliteRegistry", "open_store"]
