"""docs/kill-matrix.md: the matrix as a page, the same for the same verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from tests.matrix.judging import BLIND, KEPT, KILLED, NAMED, SURVIVED, Row, faults
from tests.matrix.layers import LAYERS
from tests.matrix.patches import ROOT

PAGE = ROOT / "docs" / "kill-matrix.md"

HEAD = f"""\
<!-- Generated: make kill-matrix -->
# The kill matrix

A suite that cannot fail shows nothing. So every bug of [PROPERTIES](reference/properties.md) §5 (K1 to K24) is put
into the code by hand, as one line, and further ones for the properties that these do not name (S…, L…) and for the
conditions of SQLite's statements and what is around a process (Q…). Each must be killed by at least two layers of
checks, and by one of them under a property that it breaks ({NAMED} or {KEPT}); a rule of the contract that is no
property is named by its section.
A bug that survives fails `make kill-matrix`, which made this page. The lines are in `tests/matrix/patches/`; they are
applied to a copy of the tree.

What the design excludes has no line here, since putting it in breaks nothing: SQLite's claims are judged again by
`tenure.claims.claimable` and `replayed_claim`, so a condition of the statement that finds candidates is a matter of
speed (that it is the right one shows in Q12 to Q14); and whatever writes is fenced by `tenure.registry`, in the core,
under BEGIN IMMEDIATE, so that SQLite's own statements carry no fence, only which rows they mean (Q1 to Q11, Q19 to Q33,
and Q45 to Q47).

Of K24 a test without a power cut can see one thing alone: what SQLite was told. Both layers that kill it ask for that,
one of an open store, the other at each COMMIT; K24b is the same bug where it can be seen from outside.

- {NAMED} killed, and the failure's own text names a property that the bug breaks: checker, simulation, crash
  points and the state machine say what they saw broken; a check of the kit quotes the law that it is about
- {KEPT} killed, and the failed test says in its docstring or parameters that it keeps such a property; what it saw is a
  wrong value, and names none
- {KILLED} killed by a test of something else
- {SURVIVED} not noticed
- an empty cell: the layer is not about that part of the code

"""


def page(rows: Sequence[Row]) -> str:
    """The page's text."""
    names = [layer.name for layer in LAYERS]
    layers = "\n".join(f"| {layer.name} | {layer.says} |" for layer in LAYERS)
    lines = [
        f"| {row.patch.id} | {row.patch.bug} | {', '.join(row.patch.breaks)} | "
        + " | ".join(row.cell(name) or BLIND for name in names)
        + " |"
        for row in rows
    ]
    places = [
        f"| {row.patch.id} | `{row.patch.file}` | {code(row.patch.old)} | {code(row.patch.new)} |"
        for row in rows
    ]
    survivors = [line for row in rows for line in faults(row)]
    told = "\n".join(f"- {line}" for line in survivors) if survivors else "None."
    return (
        HEAD
        + f"## Layers, the small ones first\n\n| layer | what it is |\n| --- | --- |\n{layers}\n\n"
        + f"## {len(rows)} bugs\n\n| id | bug | breaks | {' | '.join(names)} |\n"
        + f"| --- | --- | --- |{' :-: |' * len(names)}\n"
        + "\n".join(lines)
        + f"\n\n## Survivors\n\n{told}\n\n"
        + "## The lines\n\n| id | file | was | is |\n| --- | --- | --- | --- |\n"
        + "\n".join(places)
        + "\n"
    )


def code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text.replace('|', chr(92) + '|')}{fence}" if text else "(nothing)"
