"""The tables of sessions, beside the registry's; made when a store of sessions is first opened.

A session that was deleted leaves a row, without a head and with the time, and its watermarks hang on that row until
both are forgotten together. Its entries hang on its old number, which is never used again (AUTOINCREMENT), and are
removed a few at a time.
"""

from __future__ import annotations

FIRST = "sessions"
TABLES = (
    """
    CREATE TABLE sessions (
      n INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      head TEXT NOT NULL,                       -- session_entries.id, '' in an empty session
      entries INTEGER NOT NULL,
      size INTEGER NOT NULL,                    -- bytes of all bodies
      largest INTEGER NOT NULL,                 -- bytes of the largest body
      gone_at INTEGER                           -- store time, ms, of its deletion; NULL: it is there
    ) STRICT
    """,
    "CREATE INDEX sessions_gone ON sessions (gone_at, id) WHERE gone_at IS NOT NULL",
    """
    CREATE TABLE session_entries (
      session INTEGER NOT NULL,                 -- sessions.n
      seq INTEGER NOT NULL,
      id TEXT NOT NULL,
      parent TEXT NOT NULL,                     -- the id of the entry before it, '' at the root
      body TEXT NOT NULL,                       -- canonical JSON
      PRIMARY KEY (session, seq)
    ) STRICT
    """,
    "CREATE UNIQUE INDEX session_entry_ids ON session_entries (session, id)",
    """
    CREATE TABLE session_leftovers (
      session INTEGER PRIMARY KEY               -- the sessions.n that a deleted session had
    ) STRICT
    """,
    """
    CREATE TABLE session_marks (
      session INTEGER NOT NULL,                 -- sessions.n
      registry TEXT NOT NULL,
      process TEXT NOT NULL,
      epoch INTEGER NOT NULL,
      token INTEGER NOT NULL,
      moves INTEGER NOT NULL,
      PRIMARY KEY (session, registry, process)
    ) STRICT, WITHOUT ROWID
    """,
)
