"""docs/behaviours.md: the table as a page, the same for the same tests and breakers."""

from __future__ import annotations

from collections.abc import Sequence

from tests.behaviour.covering import LOOPS, STORES, Row
from tests.matrix.page import code
from tests.matrix.patches import ROOT

PAGE = ROOT / "docs" / "behaviours.md"

HEAD = """\
<!-- Generated: make behaviours -->
# The behaviours, and what shows them

Each behaviour of [BEHAVIOUR](reference/behaviour.md), B1 to B22, and each known mistake of the original, W1 to W10, has
tests with its number in their names, in `tests/behaviour/`. They are short stories against the stores and loops that
ship. `virtual` stands for the shipped driver and its machines in virtual time, which is where a story is about time,
trouble or crashes. Where tenure departs from the original on purpose, the test shows the departure, and says so.

`make behaviours` made this page, and fails where a behaviour has no test. `make behaviours PROVE=1` puts each breaker
below into a copy of the tree, one at a time, and fails unless a test of that behaviour fails with it.

| | behaviour | tests | stores | loops |
| --- | --- | --- | --- | --- |
"""

BREAKERS = """
## Breakers

One line each. For W1 to W10 it is the original's rule put back.

| | what is broken | file | was | is |
| --- | --- | --- | --- | --- |
"""


def page(table: Sequence[Row]) -> str:
    """The page's text."""
    lines = [
        f"| {row.number} | {row.says.replace('|', chr(92) + '|')} | {'<br>'.join(map(words, row.tests))} | "
        f"{', '.join(row.among(STORES))} | {', '.join(row.among(LOOPS))} |"
        for row in table
    ]
    broken = [
        f"| {patch.id} | {patch.bug} | `{patch.file}` | {code(patch.old)} | {code(patch.new)} |"
        for row in table
        for patch in row.breakers
    ]
    return HEAD + "\n".join(lines) + "\n" + BREAKERS + "\n".join(broken) + "\n"


def words(name: str) -> str:
    """The name of a test as words, without its number."""
    return name.split("_", 2)[2].replace("_", " ")
