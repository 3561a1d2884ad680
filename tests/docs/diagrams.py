"""The page of diagrams, drawn from the machines' tables and from the edges that the traces take.

A table knows each edge's guard and rule but not where the rule leads; the traces, which take every edge that does
something, show that. So an arrow of a diagram is one that a test has gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from tenure.tables import Edge
from tests.core.edges import TABLES, Taken, edges
from tests.core.traces import rerun

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "diagrams.md"
TRACES = sorted((ROOT / "tests" / "traces").glob("*.txt"))

HEAD = """\
<!-- Generated: `pytest tests/docs --rewrite` draws it anew. -->
# Diagrams of the machines

The two state machines, drawn from their tables in `core/tenure/attempt.py` and `core/tenure/worker.py`. Every arrow is
one that a trace of `tests/traces/` goes; an edge of a table that no trace takes fails the tests, and so does this page
when it is out of date. Words are explained in [machine.md](machine.md).
"""

INTRODUCTIONS = {
    "attempt": """\
One worker's attempt at one process. An attempt that ClaimNext brought begins in Opening, that of a single Claim in
Claiming.""",
    "worker": """\
When to claim, how much, and when to stop. A worker whose tiers do not suffice begins in Stopped, and is over.""",
}
BEGINNINGS = {"attempt": ("Claiming", "Opening"), "worker": ("Driving", "Stopped")}


@frozen
class Arrow:
    """An edge of a table with one state that it leads to."""

    edge: Taken
    target: str
    trace: str


def arrows() -> dict[str, list[Arrow]]:
    """By machine, in the order of its table: every edge that does something, and each state that a trace saw it lead
    to, with the first trace that did."""
    seen: dict[Taken, dict[str, str]] = defaultdict(dict)
    for path in TRACES:
        _, recorder = rerun(path.read_text(encoding="utf-8"))
        for taken, targets in recorder.targets.items():
            for target in targets:
                seen[taken].setdefault(target, path.stem)
    return {
        machine: [
            Arrow(taken, target, trace)
            for taken, edge in edges(machine)
            if edge.go is not None
            for target, trace in sorted(seen[taken].items())
        ]
        for machine in TABLES
    }


def page() -> str:
    """The whole page."""
    sections = [
        f"## The {machine} machine\n\n{INTRODUCTIONS[machine]}\n\n{diagram(machine, drawn)}\n{listing(machine, drawn)}"
        for machine, drawn in arrows().items()
    ]
    return "\n".join([HEAD, *sections])


def diagram(machine: str, drawn: Iterable[Arrow]) -> str:
    """The states and what leads from one to another; what leaves a state as it is stands in the list below."""
    between: dict[tuple[str, str], list[str]] = defaultdict(list)
    for arrow in drawn:
        if arrow.edge.state != arrow.target:
            label = between[arrow.edge.state, arrow.target]
            if said(arrow.edge) not in label:
                label.append(said(arrow.edge))
    lines = ["```mermaid", "stateDiagram-v2", *(f"    [*] --> {state}" for state in BEGINNINGS[machine])]
    lines += [
        f"    {state} --> {target}: {'<br/>'.join(label)}" for (state, target), label in between.items()
    ]
    lines += [
        f"    {state} --> [*]" for state in states(machine) if not any(state == left for left, _ in between)
    ]
    return "\n".join([*lines, "```"]) + "\n"


def states(machine: str) -> list[str]:
    """The machine's states, in the order of its table."""
    return [*dict.fromkeys(state.__name__ for state, _ in TABLES[machine])]


def listing(machine: str, drawn: Iterable[Arrow]) -> str:
    """Every edge that does something, and how many entries there are besides."""
    rows = [
        f"| {arrow.edge.state} | {arrow.edge.event} | {arrow.edge.name} | {arrow.target} | {arrow.trace} |"
        for arrow in drawn
    ]
    kinds = entries([edge for _, edge in edges(machine)])
    head = (
        f"{kinds['go']} entries of the table do something, each in a trace; {kinds['ignore']} ignore what is late but\n"
        f"legal, with a reason; {kinds['misuse']} refuse what no adapter may do.\n\n"
        "| in | event | guard | leads to | first trace |\n| --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


def entries(table: Iterable[Edge]) -> Mapping[str, int]:
    """How many entries do something, ignore, and refuse."""
    kinds = {"go": 0, "ignore": 0, "misuse": 0}
    for edge in table:
        kinds["misuse" if edge.misuse else "go" if edge.go else "ignore"] += 1
    return kinds


def said(edge: Taken) -> str:
    """The edge as an arrow's label."""
    return edge.event if edge.name == "always" else f"{edge.event} ({edge.name})"
