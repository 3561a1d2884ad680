"""The last stage: a mutant that no test tells from the core is equivalent on the checker's configurations, if their
labelled transition graphs are the same under it, reasons and error texts included.

That counts only where the changed line ran while the graph was made. A graph that differs has found the mutant, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from tests.mutants import results
from tests.mutants.forked import forked, give_time
from tests.mutants.generate import Mutant
from tests.mutants.imported import in_place
from tests.mutants.results import Result, digest_of

GRAPHS = ("drain and cancel", "forgotten rows", "effects and events", "tiers")
"""Shrunk, they are closed in seconds each, and together with every request and every rule of an attempt in them."""
PATIENCE = 900.0


@frozen
class Graph:
    """A configuration of the core as it is: its digest, and by module the lines that ran while it was made."""

    name: str
    digest: str
    ran: dict[str, frozenset[int]]

    def runs(self, mutant: Mutant) -> bool:
        """Whether the changed line ran for it; that of a function's body, since an import runs all others anyway."""
        return mutant.lines is not None and mutant.at in self.ran.get(mutant.module, ())


def same_graphs(mutants: Sequence[Mutant], file: Path) -> None:
    """Add what the graphs say of the mutants to the results; nothing of those whose lines no graph runs."""
    if not mutants:
        return
    graphs = [_graph(name) for name in GRAPHS]
    for mutant in mutants:
        concerned = [graph for graph in graphs if graph.runs(mutant)]
        seconds = 0.0
        other = ""
        for graph in concerned:
            digest, took = _digest(graph.name, mutant)
            seconds += took
            if digest != graph.digest:
                other = graph.name
                break
        if concerned:
            fate = "killed" if other else "same graphs"
            by = f"the graph of {other}" if other else ", ".join(graph.name for graph in concerned)
            results.add(file, [Result(mutant.name, fate, by, digest_of(mutant), round(seconds, 3))])


def _graph(name: str) -> Graph:
    def work(say: Callable[[str], None]) -> int:
        from coverage import Coverage

        coverage = Coverage(data_file=None, config_file=False, source=["tenure"])
        coverage.start()
        digest = _explored(name)
        coverage.stop()
        data = coverage.get_data()
        ran = {
            "tenure" if Path(path).stem == "__init__" else f"tenure.{Path(path).stem}": data.lines(path)
            for path in data.measured_files()
        }
        say(json.dumps([digest, ran]))
        return 0

    ended = forked(work)
    assert ended.code == 0, f"{name} could not be explored"
    digest, ran = json.loads(ended.said[-1])
    return Graph(name, digest, {module: frozenset(lines) for module, lines in ran.items()})


def _digest(name: str, mutant: Mutant) -> tuple[str, float]:
    """Under the mutant, and the seconds of work; not a digest where the core fails on the way."""

    def work(say: Callable[[str], None]) -> int:
        give_time(PATIENCE)
        in_place(mutant)
        say(_explored(name))
        return 0

    ended = forked(work)
    return ended.said[-1] if ended.code == 0 else f"ended with {ended.code}", ended.seconds


def _explored(name: str) -> str:
    # Here, since nothing may import the core before the mutant is in its place.
    from tenure_testing.checking.configurations import named, shrunk
    from tenure_testing.checking.digest import digest

    return digest(shrunk(named(name)))
