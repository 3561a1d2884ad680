"""The matrix on the screen: a table where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.matrix.judging import Row
from tests.matrix.layers import Layer


def show(rows: Sequence[Row], layers: Sequence[Layer]) -> None:
    """Print a line for each bug: its cells, and the properties that failures named."""
    if not sys.stdout.isatty():
        for row in rows:
            told = " ".join(f"{layer.name}:{row.cell(layer.name) or ' '}" for layer in layers)
            print(f"{row.patch.id:5} {told}  {', '.join(row.named) or 'no property named'}")
        return
    table = Table("bug", *(layer.name for layer in layers), "named", "what it is")
    for row in rows:
        cells = [row.cell(layer.name) for layer in layers]
        table.add_row(row.patch.id, *cells, ", ".join(row.named), row.patch.bug)
    Console().print(table)
