"""Which edges of the machines' tables a run takes: a recorder around `edge_of`, and the list of all there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from attrs import evolve, frozen

from tenure import attempt, worker
from tenure.tables import Edge, Table, edge_of

TABLES: dict[str, Table] = {"attempt": attempt.TABLE, "worker": worker.TABLE}


@frozen
class Taken:
    """One edge, named as its table names it."""

    machine: str
    state: str
    event: str
    name: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.state} x {self.event}, {self.name!r}"


def edges(machine: str) -> Iterator[tuple[Taken, Edge]]:
    """Every entry of the machine's table."""
    for (state, event), row in TABLES[machine].items():
        for edge in row:
            yield Taken(machine, state.__name__, event.__name__, edge.name), edge


class Recorder:
    """What was taken while it recorded, in order; a misuse is taken too. `targets`: which states each edge led to."""

    def __init__(self) -> None:
        self.taken: list[tuple[Taken, Edge]] = []
        self.targets: defaultdict[Taken, set[str]] = defaultdict(set)

    def note(self, machine: str, table: Table, state: object, event: object, process_id: str) -> Edge:
        for edge in table.get((type(state), type(event)), ()):
            if edge.guard(state, event):
                name = Taken(machine, type(state).__name__, type(event).__name__, edge.name)
                self.taken.append((name, edge))
                return self._watched(name, edge_of(table, state, event, process_id))
        return edge_of(table, state, event, process_id)

    def _watched(self, name: Taken, edge: Edge) -> Edge:
        rule = edge.go
        if rule is None:
            return edge

        def go(state: object, event: object) -> Any:
            step = rule(state, event)
            self.targets[name].add(type(step.state).__name__)
            return step

        return evolve(edge, go=go)


@contextmanager
def recording() -> Generator[Recorder, None, None]:
    """Record every edge that either machine takes inside the block."""
    recorder = Recorder()

    def attempts(table: Table, state: object, event: object, process_id: str) -> Edge:
        return recorder.note("attempt", table, state, event, process_id)

    def workers(table: Table, state: object, event: object, process_id: str) -> Edge:
        return recorder.note("worker", table, state, event, process_id)

    with patch.object(attempt, "edge_of", attempts), patch.object(worker, "edge_of", workers):
        yield recorder
