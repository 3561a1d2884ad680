"""What SQLite alone can do with the same work: claim rows of a job table and mark them done, and nothing else. The
limit that a worker on SQLite is measured against (sqlite3 module, WAL, synchronous=FULL)."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY, queue TEXT NOT NULL, kind TEXT NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, priority INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0,
  run_at REAL NOT NULL, lease_owner TEXT, lease_until REAL,
  payload TEXT NOT NULL DEFAULT '{}', result TEXT, created_at REAL NOT NULL, finished_at REAL);
CREATE INDEX jobs_ready ON jobs (queue, priority, run_at, id) WHERE state = 0;
CREATE INDEX jobs_lease ON jobs (lease_until) WHERE state = 1;
"""
CLAIM = """UPDATE jobs SET state = 1, attempt = attempt + 1, lease_owner = 'w', lease_until = ?1 + 30
 WHERE id IN (SELECT id FROM jobs WHERE queue = 'q' AND state = 0 AND run_at <= ?1
              ORDER BY priority, run_at, id LIMIT ?2) RETURNING id, attempt, payload"""
DONE_MANY = """UPDATE jobs SET state = 2, finished_at = ?1, lease_owner = NULL, lease_until = NULL, result = 'null'
 WHERE id IN (SELECT value FROM json_each(?2)) AND state = 1 AND lease_owner = 'w' AND attempt = 1"""
DONE_ONE = """UPDATE jobs SET state = 2, finished_at = ?1, lease_owner = NULL, lease_until = NULL, result = 'null'
 WHERE id = ?2 AND state = 1 AND lease_owner = 'w' AND attempt = ?3"""
INSERT = "INSERT INTO jobs(queue, kind, payload, run_at, created_at) VALUES ('q', 'noop', ?, ?, ?)"


def fresh(path: str, sync: str, rows: int) -> sqlite3.Connection:
    for ext in ("", "-wal", "-shm"):
        Path(path + ext).unlink(missing_ok=True)
    c = sqlite3.connect(path, isolation_level=None)
    c.execute("PRAGMA journal_mode=WAL")
    c.executescript(SCHEMA)
    t = time.time()
    c.execute("BEGIN IMMEDIATE")
    c.executemany(INSERT, ((f'{{"i": {i}}}', t, t) for i in range(rows)))
    c.execute("COMMIT")
    c.execute("ANALYZE")
    c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.execute("PRAGMA synchronous=FULL" if sync == "FULL" else "PRAGMA synchronous=NORMAL")
    return c


def tx(c: sqlite3.Connection, sql: str, args: tuple[Any, ...]) -> list[Any]:
    c.execute("BEGIN IMMEDIATE")
    rows: list[Any] = c.execute(sql, args).fetchall()
    c.execute("COMMIT")
    return rows


def drain(c: sqlite3.Connection, k: int, limit: int) -> float:
    n, t0 = 0, time.perf_counter()
    while n < limit:
        got = tx(c, CLAIM, (time.time(), k))
        if not got:
            break
        if k == 1:
            tx(c, DONE_ONE, (time.time(), got[0][0], got[0][1]))
        else:
            tx(c, DONE_MANY, (time.time(), json.dumps([r[0] for r in got])))
        n += len(got)
    return n / (time.perf_counter() - t0)


def limits(directory: str, rows: int = 20_000) -> dict[str, int]:
    """Rows a second that this machine's SQLite can claim and complete with synchronous=FULL, by batch size."""
    path = str(Path(directory) / "raw.db")
    return {
        "batches_of_1000": round(drain(fresh(path, "FULL", rows), 1_000, rows)),
        "batches_of_100": round(drain(fresh(path, "FULL", rows), 100, rows)),
        "one_at_a_time": round(drain(fresh(path, "FULL", 2_000), 1, 1_500)),
    }
