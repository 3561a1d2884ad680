"""The machines' tables as text: `tests/core/tables.txt` has one line for each entry, as a reader would say it.

So whoever changes an entry sees it here by its state, its event and its reason; `--rewrite` writes the file anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.edges import TABLES, edges

FILE = Path(__file__).with_name("tables.txt")


def lines() -> Iterator[str]:
    for machine in TABLES:
        for taken, edge in edges(machine):
            when = f"{taken}, where {edge.guard.__name__}"
            if edge.go is not None:
                yield f"{when}: {edge.go.__module__.removeprefix('tenure.')}.{edge.go.__name__}"
            else:
                yield f"{when}: {'misuse' if edge.misuse else 'ignored'}, {edge.reason}"


def test_the_tables_are_as_they_are_written(request: pytest.FixtureRequest) -> None:
    text = "\n".join(lines()) + "\n"
    if request.config.getoption("--rewrite"):
        FILE.write_text(text, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == text
