"""The documentation's pages: their code blocks, commands and links."""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:core|adapters|tests|docs|\.ci)/[^`\s]*)`")


def blocks(page: Path, language: str) -> list[str]:
    """The page's fenced blocks of that language."""
    return [code for name, code in _FENCE.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[str]:
    """Lines of shell: indented, or in a fenced block without a language."""
    text = page.read_text()
    fenced = [line for code in blocks(page, "") for line in code.splitlines()]
    indented = [line[4:] for line in _FENCE.sub("", text).splitlines() if line.startswith("    ")]
    return [line for line in (*fenced, *indented) if line.startswith(("make ", "tenure "))]


def links(page: Path) -> list[str]:
    """Where the page's relative links lead, without their anchors."""
    found = _LINK.findall(_FENCE.sub("", page.read_text()))
    return [link.partition("#")[0] for link in found if not link.startswith(("http", "#"))]


def paths(page: Path) -> list[str]:
    """The files and folders of the repository that the page names as code."""
    return _PATH.findall(page.read_text())


def execute(page: Path, names: dict[str, Any]) -> None:
    """Run the page's python blocks one after another in one namespace. `await` and `async with` may stand at the top
    level, as in an async function: such a block runs in a new asyncio loop."""
    text = page.read_text()
    for code in blocks(page, "python"):
        first = text[: text.index(code)].count("\n")
        # Line numbers of the page, so that a traceback points into it.
        compiled = compile("\n" * first + code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        returned = eval(compiled, names)  # noqa: S307  # our own pages
        if returned is not None:
            asyncio.run(returned)
