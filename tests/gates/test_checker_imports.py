"""The checker knows the core and the standard library, and nothing of drivers, loops, stores or test tools."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenure_testing.checking

FOLDER = Path(tenure_testing.checking.__file__).parent
KNOWN = {"tenure", "attrs", *sys.stdlib_module_names}
OWN = "tenure_testing.checking"


def imported(source: str) -> Iterator[str]:
    """Every module that the source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def strangers(source: str) -> list[str]:
    """Those that the checker may not know."""
    return [
        name
        for name in imported(source)
        if name.partition(".")[0] not in KNOWN and name != OWN and not name.startswith(f"{OWN}.")
    ]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("**/*.py")), ids=lambda path: path.name)
def test_it_imports_the_core_alone(path: Path) -> None:
    assert strangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import tenure_driver",
        "from tenure_memory import store",
        "from tenure_testing import playing",
        "import hypothesis",
    ],
)
def test_a_stranger_is_noticed(planted: str) -> None:
    assert strangers(planted)
