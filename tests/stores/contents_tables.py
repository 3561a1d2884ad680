"""What the tables of contents hold, and what a damaged disk could make of them: read and altered through SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

QUERIES = {
    "contents": "SELECT * FROM contents ORDER BY number",
    "content_chunks": "SELECT content, n, digest, length(body) AS size FROM content_chunks ORDER BY content, n",
}


def rows_of(path: Path, table: str) -> list[dict[str, Any]]:
    """All rows of the table."""
    with closing(sqlite3.connect(path)) as link:
        link.row_factory = sqlite3.Row
        return [dict(row) for row in link.execute(QUERIES[table])]


def alter(path: Path, *statements: str) -> None:
    """Change the tables behind the store's back, in one transaction."""
    with closing(sqlite3.connect(path)) as link, link:
        for statement in statements:
            link.execute(statement)
