"""Says of a failed test which properties it keeps, so that a broken program names what it broke.

pytest shows neither docstrings nor what a parameter stands for. This plugin (`tests/conftest.py` loads it) adds to
the report of a failure a section such as

    keeps: S4, B17
    The terminal write is one fenced request, not a renewal and then a write.

It is taken from what is closest to the failure and names a property: the test's own docstring and id and the texts of
its parameters (a check's docstring, the comment at the head of a trace), else the docstring of its module, if that is
about few.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

NAME = r"[SLBKCW][0-9]{1,2}"
"""S, L: properties; C: clocks; K, W: bugs; B: behaviour (docs/reference)."""

_NAMES = re.compile(rf"\b({NAME})(?:[–-]({NAME}))?\b|\b(CONTRACT §[0-9]{{1,2}})\b")


def names_in(text: str) -> list[str]:
    """The properties that the text names, each once, in its order; `S2-S4` is three of them. What is a rule of the
    contract and no property (the fence log, the feed) is named by its section: `CONTRACT §9`."""
    found: dict[str, None] = {}
    for first, last, section in _NAMES.findall(text):
        if section:
            found[section] = None
            continue
        low = int(first[1:])
        high = int(last[1:]) if last and last[0] == first[0] else low
        found.update(dict.fromkeys(f"{first[0]}{number}" for number in range(low, high + 1)))
        if last and last[0] != first[0]:
            found[last] = None
    return list(found)


FEW = 4
"""A module that names more properties than these says nothing about one of its tests."""


def kept_by(item: pytest.Item) -> tuple[list[str], str]:
    """The properties that the test keeps, and the words that say so; nothing where none is named."""
    function, module = getattr(item, "function", None), getattr(item, "module", None)
    own = [function.__doc__ or "" if function else "", *_parameters(item), item.name]
    about = module.__doc__ or "" if module else ""
    names: dict[str, None] = {}
    words = ""
    for texts in (own, [about] if len(names_in(about)) <= FEW else []):
        found = names_in("\n".join(texts))
        names.update(dict.fromkeys(found))
        words = words or next((text for text in texts if names_in(text)), "").strip()
        if any(not name.startswith("CONTRACT") for name in found):
            break
    return list(names), words


def _parameters(item: pytest.Item) -> Iterator[str]:
    """The texts that the test's parameters bring."""
    call = getattr(item, "callspec", None)
    for value in call.params.values() if call else ():
        if isinstance(value, Path):
            yield _head(value)
        elif isinstance(value, str):
            yield value
        elif callable(value):
            yield value.__doc__ or ""


def _head(path: Path) -> str:
    """The comment that a text file begins with."""
    lines: list[str] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("# "))
    return "\n".join(lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        names, words = kept_by(item)
        if names:
            report.sections.append(("properties", f"keeps: {', '.join(names)}\n{words}"))
    return report
