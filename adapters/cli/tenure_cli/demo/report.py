"""What the demo prints at the end: what was learnt about the library, and the audit."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenure_cli.demo.audit import Audit
from tenure_cli.demo.library import Learnt
from tenure_cli.exits import printable

WIDTH = 100
"""Columns where stdout is no terminal: a table in a file must not depend on who wrote it."""


def print_report(found: Learnt, audited: Audit) -> None:
    """Both tables, on stdout."""
    console = Console(highlight=False, width=None if Console().is_terminal else WIDTH)
    console.print(_library(found))
    console.print(_audit(audited))
    figures = audited.figures
    speed = f"{figures.processes_per_second:g} processes a second over {figures.seconds:.1f} s"
    console.print(
        f"{'The audit holds' if audited.ok else 'The audit does NOT hold'}: {speed}, all runs together."
    )


def _library(found: Learnt) -> Table:
    table = _table("the library", "", "")
    deepest, longest = found.deepest, found.longest
    names = ", ".join(f"{name} {count:,}" for name, count in found.names)
    for name, value in (
        ("files", f"{found.files:,}, of which {found.files - found.parsed:,} do not parse"),
        ("size", f"{found.size / 1e6:,.1f} MB, {found.lines:,} lines"),
        ("functions", f"{found.functions:,}, and {found.classes:,} classes"),
        ("deepest nesting", f"{deepest[0]} blocks, in {deepest[1]}"),
        ("longest file", f"{longest[0]:,} lines, {longest[1]}"),
        ("most used names", names),
    ):
        table.add_row(name, Text(printable(value)))
    return table


def _audit(audited: Audit) -> Table:
    table = _table("the audit", "wanted", "found")
    table.add_column("")
    for finding in audited.findings:
        verdict = Text(printable(finding.fault), "bold red") if finding.fault else Text("holds", "green")
        table.add_row(finding.name, finding.wanted, finding.value, verdict)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
