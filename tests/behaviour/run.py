"""`make behaviours`: the table of behaviours, what shows each and what breaks it. Exit 1 where one is not shown.

    .venv/bin/python -m tests.behaviour.run [--prove] [--jobs 1] [--only B9,W3]

Writes docs/behaviours.md. With `--prove` each breaker is put into a copy of the tree, and a test of its behaviour has
to fail there; one that survives is a fault, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.behaviour.covering import LOOPS, STORES, Row, collected, faults, read, rows
from tests.behaviour.page import PAGE, page
from tests.matrix.layers import Part
from tests.matrix.patches import BadPatch, Patch
from tests.matrix.trees import Tree, Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every behaviour is shown, and every breaker seen, if that was asked; 1: not; 2: the run itself went wrong."""
    asked = _options().parse_args(arguments)
    try:
        table = rows(collected(), read())
        PAGE.write_text(page(table), encoding="utf-8")
        chosen = [row for row in table if asked.only is None or row.number in asked.only.split(",")]
        for row in chosen:
            tests, stores, loops = (len(row.tests), *map(", ".join, (row.among(STORES), row.among(LOOPS))))
            print(f"{row.number:4} {tests} tests  {stores:15} {loops:22} {row.says}")
        said = faults(chosen)
        if asked.prove and not said:
            said = prove(chosen, asked.jobs)
    except (BadPatch, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    for fault in said:
        print(fault, file=sys.stderr)
    return 1 if said else 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="make behaviours")
    options.add_argument("--prove", action="store_true", help="try every breaker")
    options.add_argument("--jobs", type=int, default=2, help="breakers tried at the same time")
    options.add_argument("--only", help="numbers of behaviours, such as B9,W3")
    return options


def part(row: Row) -> Part:
    """What has to fail with a breaker of that behaviour: its own tests, and nothing else."""
    return Part((), (*row.files, "-k", " or ".join(row.tests)))


def prove(table: Sequence[Row], jobs: int) -> list[str]:
    """Try every breaker; the faults. Raises BadPatch where one does not fit, or a test fails without any."""
    trees: SimpleQueue[Tree] = SimpleQueue()
    tried = [(row, patch) for row in table for patch in row.breakers]

    def one(pair: tuple[Row, Patch]) -> Verdict:
        row, patch = pair
        tree = trees.get()
        try:
            with tree.patched(patch):
                return tree.run(part(row))
        finally:
            trees.put(tree)

    with tempfile.TemporaryDirectory(prefix="tenure-behaviours-") as folder:
        first = Tree(Path(folder) / "copy-0")
        every = Part((), (*dict.fromkeys(file for row in table for file in row.files),))
        sound = first.run(every, keep_compiled=True)
        if sound.killed:
            raise BadPatch(f"without any breaker {sound.first} fails: mend that first")
        trees.put(first)
        for number in range(1, jobs):
            trees.put(Tree(Path(folder) / f"copy-{number}", first))
        said: list[str] = []
        with ThreadPoolExecutor(jobs) as pool:
            for (_, patch), verdict in zip(tried, pool.map(one, tried), strict=True):
                print(f"{patch.id:4} {told(verdict)}  ({patch.bug})", flush=True)
                if not verdict.killed or "::test_" not in verdict.first:
                    said.append(f"{patch.id}: {told(verdict)}; no test of {patch.number} sees: {patch.bug}")
        return said


def told(verdict: Verdict) -> str:
    """In words."""
    return f"killed by {verdict.first}" if verdict.killed else "SURVIVES"


if __name__ == "__main__":
    sys.exit(main())
