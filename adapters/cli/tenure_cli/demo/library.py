"""The demo's input: every Python source file of the installed standard library, and what is learnt about it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from tenure.canonical import text_fault

FEWEST = 1_000
"""With fewer files in the standard library than this, site-packages are added."""
MOST_ADDED = 2_000
"""Files that site-packages add at the most: the demo is to end within a minute."""
LONGEST = 200
"""Characters of a name; it becomes part of a process's id."""

_NOT_STANDARD = {"site-packages", "dist-packages", "__pycache__"}


@frozen
class File:
    """`name` is what people call it, `path` where it is."""

    name: str
    path: str


@frozen
class Library:
    """The files, in the order of their names, and how many of them are of site-packages."""

    files: tuple[File, ...]
    added: int

    @property
    def said(self) -> str:
        """What it is, in words."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        count = len(self.files)
        words = f"{count} source file{'' if count == 1 else 's'} of the standard library of Python {version}"
        return words + (f", {self.added} of them of site-packages, since it has few" if self.added else "")


def library(limit: int | None = None) -> Library:
    """The files of the standard library, at most `limit` of them."""
    paths = sysconfig.get_paths()
    files = list(_files(Path(paths["stdlib"]), ""))
    added = 0
    if len(files) < FEWEST:
        more = list(_files(Path(paths["purelib"]), "site-packages/"))[:MOST_ADDED]
        added = len(more)
        files += more
    if limit is not None and limit < len(files):
        step = len(files) / limit  # spread over the whole: neighbours are alike
        files = [files[int(index * step)] for index in range(limit)]
        added = sum(file.name.startswith("site-packages/") for file in files)
    return Library(tuple(files), added)


def _files(root: Path, prefix: str) -> Iterator[File]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - _NOT_STANDARD)
        for name in sorted(names):
            path = Path(folder, name)
            shown = prefix + path.relative_to(root).as_posix()
            usable = len(shown) <= LONGEST and not text_fault(str(path)) and os.access(path, os.R_OK)
            if name.endswith(".py") and usable and path.is_file():
                yield File(shown, str(path))


@frozen
class Learnt:
    """Totals over the figures of many files."""

    files: int
    parsed: int
    size: int
    lines: int
    functions: int
    classes: int
    deepest: tuple[int, str]
    longest: tuple[int, str]
    names: tuple[tuple[str, int], ...]


def learnt(figures: Iterable[Mapping[str, Any]]) -> Learnt:
    """What the handlers' results say of the library. A file that was measured in two rounds counts once."""
    by_path = {figure["path"]: figure for figure in figures}
    found = list(by_path.values())
    names: Counter[str] = Counter()
    for figure in found:
        names.update(figure["names"])
    return Learnt(
        files=len(found),
        parsed=sum(figure["parses"] for figure in found),
        size=sum(figure["size"] for figure in found),
        lines=sum(figure["lines"] for figure in found),
        functions=sum(figure["functions"] for figure in found),
        classes=sum(figure["classes"] for figure in found),
        deepest=max(((figure["depth"], figure["path"]) for figure in found), default=(0, "")),
        longest=max(((figure["lines"], figure["path"]) for figure in found), default=(0, "")),
        names=tuple(names.most_common(8)),
    )
