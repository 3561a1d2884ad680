"""The tables, and how a file is recognised: `application_id` says whose it is, `user_version` which schema.

A row of `processes` is what changes, its `inputs` what never does: so a renewal does not write a payload of a
megabyte anew. `seq` is drawn from the store-wide sequence, and events and effects hang on it, not on the id: what a
pruned process left behind could never be taken for a later one's.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tenure.errors import StoreUnusable

APPLICATION_ID = 0x746E7572
"""'tnur'."""
VERSION = 2

TABLES = (
    """
    CREATE TABLE processes (
      seq INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      kind TEXT,                                -- NULL: external
      profile TEXT NOT NULL,
      owner_scope TEXT NOT NULL,
      version INTEGER NOT NULL,
      changed_at INTEGER NOT NULL,              -- store time, ms
      ready_at INTEGER NOT NULL,
      free_at INTEGER,                          -- while it is held: when it may be taken over
      token INTEGER NOT NULL,
      claim_owner TEXT,
      claim_n INTEGER,
      held INTEGER NOT NULL CHECK (held IN (0, 1)),
      expires_at INTEGER NOT NULL,
      cancel TEXT,                              -- NULL: nobody asked
      claims INTEGER NOT NULL,
      lost INTEGER NOT NULL,
      events INTEGER NOT NULL,
      status TEXT,                              -- NULL: not ended
      result TEXT,                              -- JSON of a value or a failure, or the reason of a cancel
      control TEXT,
      ended_by TEXT,
      authority TEXT NOT NULL,
      CHECK ((status IS NULL) = (ended_by IS NULL)),
      CHECK (status IS NULL OR held = 0)
    ) STRICT
    """,
    # What ClaimNext walks, from its head: what nobody holds, and what its holder lost.
    """
    CREATE INDEX ready ON processes (kind, profile, ready_at, seq)
      WHERE status IS NULL AND kind IS NOT NULL AND held = 0
    """,
    "CREATE INDEX expiring ON processes (kind, profile, free_at) WHERE held = 1",
    "CREATE INDEX ended ON processes (version, changed_at) WHERE status IS NOT NULL",
    "CREATE INDEX cancels ON processes (claim_owner, seq) WHERE held = 1 AND cancel IS NOT NULL",
    "CREATE INDEX owned ON processes (owner_scope, seq) WHERE owner_scope <> ''",
    # What the sessions are told of the ends of their processes.
    """
    CREATE INDEX told ON processes (owner_scope, version)
      WHERE status IS NOT NULL AND owner_scope <> ''
    """,
    """
    CREATE TABLE inputs (
      seq INTEGER PRIMARY KEY,
      event_types TEXT NOT NULL,                -- JSON
      body TEXT NOT NULL                        -- JSON: a handler's payload, or an external's metadata
    ) STRICT
    """,
    """
    CREATE TABLE events (
      process INTEGER NOT NULL,                 -- processes.seq
      seq INTEGER NOT NULL,
      type TEXT NOT NULL,
      payload TEXT NOT NULL,
      key TEXT NOT NULL,
      token INTEGER NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (process, seq)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX event_keys ON events (process, key)",
    """
    CREATE TABLE effects (
      process INTEGER NOT NULL,                 -- processes.seq
      key TEXT NOT NULL,
      fingerprint TEXT NOT NULL,
      result TEXT NOT NULL,
      token INTEGER NOT NULL,
      version INTEGER NOT NULL,
      PRIMARY KEY (process, key)
    ) STRICT, WITHOUT ROWID
    """,
    # The last claim of each incarnation that granted rows.
    """
    CREATE TABLE claims (
      owner TEXT PRIMARY KEY,
      n INTEGER NOT NULL,
      at INTEGER NOT NULL,
      granted TEXT NOT NULL                     -- JSON: processes.seq of what it got
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE fence_log (
      n INTEGER PRIMARY KEY,
      process_id TEXT NOT NULL,
      request TEXT NOT NULL,
      stale INTEGER NOT NULL,
      current INTEGER NOT NULL,
      owner TEXT NOT NULL,
      at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE meta (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      epoch INTEGER NOT NULL,
      number INTEGER NOT NULL,                  -- the store-wide sequence: versions, tokens, seq
      work INTEGER NOT NULL,                    -- the version that last gave a worker something to do
      latest INTEGER NOT NULL,                  -- the latest changed_at
      fenced INTEGER NOT NULL                   -- how many refusals were ever noted
    ) STRICT
    """,
    "INSERT INTO meta VALUES (1, 1, 0, 0, 0, 0)",
)


def recognised(link: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has this schema; False for an empty one. Raises StoreUnusable for anything else's file."""
    (application,) = link.execute("PRAGMA application_id").fetchone()
    (version,) = link.execute("PRAGMA user_version").fetchone()
    (objects,) = link.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application == 0 and version == 0 and objects == 0:
        return False
    if application != APPLICATION_ID:
        raise StoreUnusable(f"{path} is another program's database; name a file of its own for tenure")
    if version > VERSION:
        raise StoreUnusable(
            f"{path} has schema {version}, made by a newer tenure; this one knows schema {VERSION}: upgrade it"
        )
    if version < VERSION:
        raise StoreUnusable(f"{path} has schema {version}, which no release of tenure made; use another file")
    return True


def create(link: sqlite3.Connection) -> None:
    """Make the schema, inside the caller's write transaction: another process sees all of it or nothing."""
    for statement in TABLES:
        link.execute(statement)
    link.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    link.execute(f"PRAGMA user_version = {VERSION:d}")
