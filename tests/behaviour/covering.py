"""Which tests show each behaviour of docs/reference/behaviour.md, and which one-line patch each of them has to see.

A test shows B9 or W3 if its name begins with `test_b09_` or `test_w03_`. On which stores and loops it was played is
said by the ids of its parameters, as pytest collects them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from attrs import frozen

from tests.matrix import patches
from tests.matrix.patches import ROOT, Patch

HERE = Path(__file__).parent
BREAKERS = HERE / "breakers"
REFERENCE = ROOT / "docs" / "reference" / "behaviour.md"

NUMBERS = (*(f"B{n}" for n in range(1, 23)), *(f"W{n}" for n in range(1, 11)))
STORES = ("memory", "sqlite")
LOOPS = ("asyncio", "trio", "virtual")
"""`virtual`: the shipped driver and its machines in virtual time, where a test is about time, trouble or crashes."""

_COLLECTED = re.compile(r"^(\S+\.py)::(test_([bw])(\d\d)_\w+)(?:\[(.+)\])?$", re.MULTILINE)


@frozen
class Case:
    """One test with its parameters."""

    number: str
    file: str
    name: str
    ids: tuple[str, ...]


@frozen
class Row:
    """A behaviour, by its number and in words, what shows it, and what breaks it."""

    number: str
    says: str
    cases: tuple[Case, ...]
    breakers: tuple[Patch, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """The names of its tests, each once."""
        return tuple(dict.fromkeys(case.name for case in self.cases))

    @property
    def files(self) -> tuple[str, ...]:
        """Where they are."""
        return tuple(dict.fromkeys(case.file for case in self.cases))

    def among(self, known: Sequence[str]) -> tuple[str, ...]:
        """Which of these stores or loops they are played on."""
        ids = {one for case in self.cases for one in case.ids}
        return tuple(name for name in known if name in ids)


@cache
def sentences() -> dict[str, str]:
    """B1-B22 and W1-W10 in the words of the reference: what comes first, up to its first full stop."""
    text = REFERENCE.read_text(encoding="utf-8")
    found = re.findall(r"^- \*\*([BW]\d+)\*\* (.+?)(?=\n- |\n\n|\n#)", text, re.MULTILINE | re.DOTALL)
    return {number: _first(" ".join(said.split())) for number, said in found}


def _first(words: str) -> str:
    end = re.search(r"\.(?= )", words)
    return words[: end.start() + 1] if end else words


def collected(folder: Path = HERE) -> tuple[Case, ...]:
    """Every test of the folder whose name has a number, as pytest collects it, in an interpreter of its own."""
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if said.returncode not in (0, 5):  # 5: nothing was found
        raise RuntimeError(f"pytest could not collect {folder}:\n{said.stdout}{said.stderr}")
    return cases_in(said.stdout)


def cases_in(listing: str) -> tuple[Case, ...]:
    """The tests of a listing by `pytest --collect-only -q`."""
    return tuple(
        Case(f"{kind.upper()}{int(number)}", file, name, tuple(ids.split("-")) if ids else ())
        for file, name, kind, number, ids in _COLLECTED.findall(listing)
    )


def rows(cases: Sequence[Case], breakers: Sequence[Patch]) -> list[Row]:
    """All behaviours in their order, covered or not."""
    return [
        Row(
            number,
            sentences().get(number, ""),
            tuple(case for case in cases if case.number == number),
            tuple(patch for patch in breakers if patch.number == number),
        )
        for number in NUMBERS
    ]


def read() -> list[Patch]:
    """The breakers. Raises BadPatch."""
    return patches.read(BREAKERS)


def faults(table: Sequence[Row]) -> list[str]:
    """What is missing, in words; nothing where every behaviour is shown on every store and has a breaker."""
    said: list[str] = []
    for row in table:
        if not row.says:
            said.append(f"{row.number} is not in {REFERENCE.name}: it has to say it in a line of its own")
        if not row.cases:
            said.append(
                f"{row.number} has no test: write test_{row.number[0].lower()}{int(row.number[1:]):02}_…"
            )
        elif row.among(STORES) != STORES:
            missing = ", ".join(name for name in STORES if name not in row.among(STORES))
            said.append(f"{row.number} is not shown on {missing}")
        elif not row.among(LOOPS):
            said.append(f"{row.number} is shown on no loop, and not in virtual time")
        if not row.breakers:
            said.append(
                f"{row.number} has no breaker: keep a line in {BREAKERS.name}/ with which its test fails"
            )
    return said
