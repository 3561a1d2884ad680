"""What the machines' tables are made of: for every state and event the edges, each under a guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from tenure.errors import Misuse

Guard: TypeAlias = Callable[[Any, Any], bool]


@frozen
class Edge:
    """One entry of a table: under `guard` (named `name`) do `go`; or ignore, or refuse as misuse, for `reason`."""

    name: str
    guard: Guard
    go: Callable[[Any, Any], Any] | None
    reason: str = ""
    misuse: bool = False


Table: TypeAlias = Mapping[tuple[type, type], tuple[Edge, ...]]


def always(state: object, event: object) -> bool:
    """The guard of a pair that has no others."""
    return True


def go(name: str, guard: Guard, rule: Callable[[Any, Any], Any]) -> Edge:
    """Under this guard the rule applies."""
    return Edge(name, guard, rule)


def ignore(name: str, guard: Guard, reason: str) -> Edge:
    """Late but legal."""
    return Edge(name, guard, None, reason)


def each(rule: Callable[[Any, Any], Any]) -> tuple[Edge, ...]:
    """The rule applies whatever the fields."""
    return (go("always", always, rule),)


def late(reason: str) -> tuple[Edge, ...]:
    """Late but legal, whatever the fields."""
    return (ignore("always", always, reason),)


def misuse(reason: str) -> tuple[Edge, ...]:
    """No adapter that works as it should can bring this about."""
    return (Edge("always", always, None, reason, misuse=True),)


def edge_of(table: Table, state: object, event: object, process_id: str) -> Edge:
    """The one edge whose guard holds. Raises Misuse where it is a misuse, or where the table has no such pair."""
    for edge in table.get((type(state), type(event)), ()):
        if edge.guard(state, event):
            if edge.misuse:
                raise Misuse(edge.reason, state, event, process_id)
            return edge
    raise Misuse("the machine has no such state or event", state, event, process_id)
