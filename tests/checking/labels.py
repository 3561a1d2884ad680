"""Which properties the judges of the search speak of, taken from the judges themselves; and whose a violation is.

A judge is a table of properties (`PROPERTIES`), a list of promises, or a module that says in its code which property is
broken: by `yield "S12", "..."`, or by `Broken(["S12"], ...)`. A judge that comes anew is asked for here by `MODULES`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import getsource
from types import ModuleType

from tenure_testing.checking import (
    Configuration,
    Violation,
    cutoff,
    explorer,
    fleet_properties,
    properties,
    session_properties,
    steps,
    timed,
    timed_properties,
)
from tenure_testing.checking.fleet import FleetWorld
from tenure_testing.checking.fleet_configurations import FLEETS
from tenure_testing.checking.liveness import Forever
from tenure_testing.checking.promises import of_fleets, of_workers
from tenure_testing.checking.timed_configurations import TIMED

ROWS, STEPS, SESSIONS, FLEET, CLOCKS = "rows", "steps of attempts", "sessions", "fleets", "bounded drift"
PROMISES = "promises of "
TABLES = {ROWS: properties.PROPERTIES, STEPS: steps.PROPERTIES, SESSIONS: session_properties.PROPERTIES}
MODULES: dict[str, tuple[ModuleType, ...]] = {
    FLEET: (fleet_properties,),
    CLOCKS: (timed, timed_properties),
}
PROPERTY = re.compile(r"[SLC]\d+|CONTRACT .*|cut-off")
ELSEWHERE = {"cutoff": cutoff, "explorer": explorer}
"""What these say is no property of the core, and has tests of its own."""


def spoken_of() -> set[tuple[str, str]]:
    """Each judge with each property that it may report first."""
    found = {(judge, name) for judge, table in TABLES.items() for name, _ in table}
    found |= {(judge, name) for judge, modules in MODULES.items() for of in modules for name in said_by(of)}
    workers, fleet = timed.TimedWorld(TIMED[0]), FleetWorld(FLEETS[1])
    found |= {(PROMISES + "workers", promise.name) for promise in of_workers(workers)}
    return found | {(PROMISES + "fleets", promise.name) for promise in of_fleets(fleet)}


def said_by(module: ModuleType) -> set[str]:
    """The properties that come first in what the module's code reports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(getsource(module))):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            found |= {*_texts(node.value.elts[0])}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Broken":
            found |= {*_texts(node.args[0])}
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    """The text, or the first of each list of texts."""
    if isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.List):
        yield from _texts(node.elts[0])
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PROPERTY.fullmatch(node.value):
        yield node.value


def judge_of(configuration: Configuration, violation: Violation) -> str:
    """Whose it is: what was said tells."""
    fleet = configuration in FLEETS
    if isinstance(violation, Forever):
        return PROMISES + ("fleets" if fleet else "workers")
    if fleet:
        return FLEET
    for words, judge in (("; the row was ", ROWS), ("; the session was ", SESSIONS)):
        if words in violation.said:
            return judge
    event = violation.said.split(" in ")[0]
    return STEPS if event.isidentifier() else CLOCKS
