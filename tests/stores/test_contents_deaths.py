"""A store of contents that is killed before any of its statements: all or nothing, and nothing is left (S21, S22)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import tenure_sqlite

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("contents.py", "held.py")
BOUND = 600
"""Seconds until it is given up; a bound, not a speed."""


def test_a_store_that_is_killed_before_any_statement_has_stored_all_or_nothing(tmp_path: Path) -> None:
    """And each statement of the store's source, but the one that undoes a failed making of the tables, is reached."""
    command = [sys.executable, "-m", "tests.stores.contents_deaths", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False)
    assert ran.returncode == 0, ran.stderr
    deaths, *reached = ran.stdout.split()
    assert int(deaths) == len(reached) > 50
    there = {place for name in SOURCES for place in statements(name)}
    assert there - set(reached) == set()


def statements(name: str) -> list[str]:
    """Where the file calls `execute` or `executemany`, outside of what is done about an exception."""
    path = Path(tenure_sqlite.__file__).with_name(name)
    module = ast.parse(path.read_text())
    handled = {
        id(inner)
        for node in ast.walk(module)
        if isinstance(node, ast.ExceptHandler)
        for inner in ast.walk(node)
    }
    return [
        f"{name}:{node.lineno}"
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany")
        and id(node) not in handled
    ]
