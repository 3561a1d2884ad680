"""The bugs, as one-line patches kept as text. They are applied to a copy of the tree, never to the tree itself.

`tests/matrix/patches/*.toml` has tables such as

    [[patch]]
    id = "K18"                          # a bug or a property of docs/reference/properties.md; a letter: a variant
    bug = "the expiry is inclusive"     # what is wrong, in words
    file = "core/tenure/process.py"
    within = "Record.live"              # the function, class or assignment that the line is in; the file if missing
    after = "def live"                  # a text found once there, not more than five lines before it; seldom needed
    old = "now < self.expires_at"       # found exactly once there, within one line
    new = "now <= self.expires_at"

`breaks` lists the properties whose loss the bug is; where it is missing they are those of the id: K18's by the table
of bugs, S10's is S10. `ids` in the form Q1, Q2, ... are for conditions of SQL statements, and for what is
around a process; they always have `breaks`.
What is a rule of the contract and no property is named by its section: `CONTRACT §9`. `tests/behaviour/breakers` are
such files too, with B1, B2, ... and W1, W2, ... for the behaviours of docs/reference/behaviour.md.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.keeping import names_in

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("patches")
PROPERTIES = ROOT / "docs" / "reference" / "properties.md"

_NEAR = 6
"""Lines in which a text is looked for, from that of `after` on."""

_ID = re.compile(r"([KSLQBW])([0-9]{1,2})[a-z]?")


class BadPatch(Exception):
    """A patch that cannot be read or applied; the message says what to do."""


@frozen
class Patch:
    """One bug: in `file`, inside `within`, `old` becomes `new`; that breaks the properties `breaks`."""

    id: str
    bug: str
    breaks: tuple[str, ...]
    file: str
    within: str
    after: str
    old: str
    new: str

    @property
    def number(self) -> str:
        """The id without the letter of a variant: K1 of K1b."""
        return self.id.rstrip("abcdefghijklmnop")

    def applied(self, source: str) -> str:
        """The file's text with the bug. Raises BadPatch where the old text is not found exactly once."""
        first, last = _span(source, self.within) if self.within else (0, len(source))
        if first < 0:
            raise BadPatch(
                f"{self.id}: {self.file} has no {self.within!r} any more: name where the line is now"
            )
        if self.after:
            first = self._place(self.after, source, first, last) + len(self.after)
            last = min(last, first + sum(map(len, source[first:].splitlines(keepends=True)[:_NEAR])))
        at = self._place(self.old, source, first, last)
        return source[:at] + self.new + source[at + len(self.old) :]

    def _place(self, text: str, source: str, first: int, last: int) -> int:
        found = source[first:last].count(text)
        if found != 1:
            raise BadPatch(
                f"{self.id}: {text!r} is found {found} times instead of once in {self.within or 'all'} of "
                f"{self.file}: write the line as it is now, or name a smaller part by `within` or `after`"
            )
        return source.index(text, first, last)


def _span(source: str, within: str) -> tuple[int, int]:
    """Where a function, class, method (`Class.method`) or assignment begins and ends in the text; (-1, -1): nowhere."""
    body: list[ast.stmt] = ast.parse(source).body
    found: ast.stmt | None = None
    for name in within.split("."):
        found = next((node for node in body if name in _names_of(node)), None)
        if found is None:
            return -1, -1
        body = found.body if isinstance(found, ast.ClassDef) else []
    assert found is not None
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts[found.lineno - 1], starts[found.end_lineno or found.lineno]


def _names_of(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass


# --- reading ------------------------------------------------------------------------------------------------------


@cache
def bugs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """K1 to K24: what each is, and the properties that it breaks, from the reference's table."""
    rows = re.findall(
        r"^\| (K\d+) \| (.+?) \| (.+?) \|$", PROPERTIES.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: (bug, tuple(names_in(broken))) for name, bug, broken in rows}


@cache
def properties() -> tuple[str, ...]:
    """S1 to S23 and L1 to L10, from the reference."""
    text = PROPERTIES.read_text(encoding="utf-8")
    safety = re.findall(r"^\| (S\d+) \|", text, re.MULTILINE)
    live = re.findall(r"\b(L\d+)\b", text.split("## 3. Liveness")[1].split("\n## ")[0])
    return (*safety, *dict.fromkeys(live))


def read(folder: Path = FOLDER) -> list[Patch]:
    """All patches, in the order of K, S, L, Q, B, W and their numbers. Raises BadPatch."""
    found = [_patch(table) for path in sorted(folder.glob("*.toml")) for table in _tables(path)]
    seen: set[str] = set()
    for patch in found:
        if patch.id in seen:
            raise BadPatch(f"{patch.id} is there twice: give one of them another letter")
        seen.add(patch.id)
    return sorted(found, key=lambda patch: _order(patch.id))


def _tables(path: Path) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["patch"]
    return tables


def _order(name: str) -> tuple[int, int, str]:
    found = _ID.fullmatch(name)
    assert found is not None
    return "KSLQBW".index(found[1]), int(found[2]), name


def _patch(table: dict[str, Any]) -> Patch:
    name = str(table.get("id"))
    found = _ID.fullmatch(name)
    if found is None:
        raise BadPatch(f"{name!r} is no id: write K, S, L, Q, B or W, a number, and a letter for a variant")
    missing = {"bug", "file", "old", "new"} - set(table)
    unknown = set(table) - {"id", "bug", "file", "within", "after", "old", "new", "breaks"}
    if missing or unknown:
        raise BadPatch(f"{name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    if "\n" in table["old"] + table["new"] or table["old"] == table["new"]:
        raise BadPatch(f"{name}: a patch changes one line, and changes it")
    kind, number = found[1], f"{found[1]}{found[2]}"
    own = bugs()[number][1] if kind == "K" and number in bugs() else () if kind in "KQ" else (number,)
    breaks = tuple(table.get("breaks", own))
    if not breaks:
        raise BadPatch(f"{name}: say in `breaks` which properties it breaks")
    within, after = table.get("within", ""), table.get("after", "")
    return Patch(name, table["bug"], breaks, table["file"], within, after, table["old"], table["new"])
