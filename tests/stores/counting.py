"""How much SQLite did: rows where it hands them over, and steps of its virtual machine, which a scan that throws rows
away would take too."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from attrs import define


@define
class Count:
    """What a connection did: rows that it gave, and steps of SQLite's machine."""

    rows: int = 0
    steps: int = 0

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        link = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}", uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )

        def row(_: sqlite3.Cursor, values: tuple[Any, ...]) -> tuple[Any, ...]:
            self.rows += 1
            return values

        def step() -> int:
            self.steps += 1
            return 0

        link.row_factory = row
        link.set_progress_handler(step, 1)
        return link
