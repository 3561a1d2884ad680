"""`make kill-matrix`: every bug against every layer that sees it. Exit 1 where a bug is not killed as it has to be.

    .venv/bin/python -m tests.matrix.run [--only K7,K8] [--layers units,kit] [--jobs 2] [--quick] [--json FILE]
        [--resume FILE]

A run over everything writes docs/kill-matrix.md, and no other does: with `--quick` some cells are not tried. `--json`
keeps the verdicts; `--resume` takes from such a file those of patches that are the same, which is right only if neither
the product nor the tests have changed since.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

from attrs import asdict

from tests.matrix.judging import Row, faults
from tests.matrix.layers import LAYERS, Layer
from tests.matrix.page import PAGE, page
from tests.matrix.patches import BadPatch, Patch, read
from tests.matrix.showing import show
from tests.matrix.trees import Tree, Verdict

Key: TypeAlias = tuple[str, ...]
"""What makes two patches the same, whatever they are called."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every bug was killed by its property and by two layers; 1: not; 2: the run itself went wrong."""
    asked = _options().parse_args(arguments)
    try:
        patches = _chosen(asked.only, read())
        layers = [layer for layer in LAYERS if asked.layers is None or layer.name in asked.layers.split(",")]
        known = _resumed(Path(asked.resume)) if asked.resume else {}
        rows = matrix(
            patches, layers, asked.jobs, known, Path(asked.json) if asked.json else None, asked.quick
        )
    except BadPatch as error:
        print(error, file=sys.stderr)
        return 2
    show(rows, layers)
    whole = asked.only is None and asked.layers is None and not asked.quick
    said = [line for row in rows for line in faults(row)]
    print("\n".join(said) or f"{len(rows)} bugs, each killed by its property and by two layers or more")
    if whole:
        PAGE.write_text(page(rows), encoding="utf-8")
    return 1 if said else 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.matrix.run", description=__doc__)
    options.add_argument("--only", help="ids of bugs, separated by commas; K7 stands for its variants, too")
    options.add_argument("--layers", help="names of layers, separated by commas")
    options.add_argument("--jobs", type=int, default=2, help="copies of the tree that are run at once")
    options.add_argument(
        "--quick", action="store_true", help="try a bug on no more layers once it is surely killed"
    )
    options.add_argument("--json", help="where to write the verdicts, as they come")
    options.add_argument("--resume", help="a file of verdicts to go on from")
    return options


def _chosen(only: str | None, patches: Sequence[Patch]) -> list[Patch]:
    if only is None:
        return list(patches)
    names = only.split(",")
    found = [patch for patch in patches if patch.id in names or patch.number in names]
    if not found:
        raise BadPatch(f"no patch is called {only}")
    return found


def matrix(
    patches: Sequence[Patch],
    layers: Sequence[Layer],
    jobs: int,
    known: dict[Key, dict[str, Verdict]],
    keep: Path | None = None,
    quick: bool = False,
) -> list[Row]:
    """The rows of the patches; `quick`: a bug that is killed as it has to be is not tried on.

    Raises BadPatch where the tree without any patch fails, or a patch does not fit.
    """
    trees: SimpleQueue[Tree] = SimpleQueue()

    def one(patch: Patch) -> Row:
        return _row(trees, patch, layers, known.get(_key(patch), {}), quick)

    with tempfile.TemporaryDirectory(prefix="tenure-matrix-") as folder:
        first = Tree(Path(folder) / "copy-0")
        _sound(first, [layer for layer in layers if any(_missing(patch, layer, known) for patch in patches)])
        trees.put(first)
        for number in range(1, jobs):
            trees.put(Tree(Path(folder) / f"copy-{number}", first))
        with ThreadPoolExecutor(jobs) as pool:
            rows: list[Row] = []
            for row in pool.map(one, patches):
                rows.append(row)
                print(f"{row.patch.id:5} {' '.join(row.killers) or 'SURVIVES'}", file=sys.stderr, flush=True)
                if keep is not None:
                    keep.write_text(json.dumps([*_plain(rows)], indent=1), encoding="utf-8")
        return rows


def _sound(tree: Tree, layers: Sequence[Layer]) -> None:
    """Without a patch the copy runs its own code, and every layer passes: so what kills later is the patch."""
    strays = [name for name, path in tree.imported().items() if not path.startswith(str(tree.folder))]
    if strays:
        raise BadPatch(
            f"{', '.join(strays)} would not be imported from the copy: see PYTHONPATH and the installation"
        )
    for name, part in [(layer.name, part) for layer in layers for part in layer.parts]:
        verdict = tree.run(part, keep_compiled=True)
        if verdict.killed:
            raise BadPatch(f"without any patch the layer {name} fails at {verdict.first}: mend that first")


def _missing(patch: Patch, layer: Layer, known: dict[Key, dict[str, Verdict]]) -> bool:
    return layer.part(patch.file) is not None and layer.name not in known.get(_key(patch), {})


def _row(
    trees: SimpleQueue[Tree], patch: Patch, layers: Sequence[Layer], known: dict[str, Verdict], quick: bool
) -> Row:
    parts = {layer.name: part for layer in layers if (part := layer.part(patch.file)) is not None}
    verdicts = {name: known[name] for name in parts if name in known}
    if len(verdicts) < len(parts):
        tree = trees.get()
        try:
            with tree.patched(patch):
                for name, part in parts.items():
                    if name not in verdicts and not (quick and not faults(Row(patch, verdicts))):
                        verdicts[name] = tree.run(part)
        finally:
            trees.put(tree)
    return Row(patch, verdicts)


# --- verdicts that are kept ---------------------------------------------------------------------------------------


def _key(patch: Patch) -> Key:
    return patch.file, patch.within, patch.after, patch.old, patch.new


def _plain(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        verdicts = {name: asdict(verdict) for name, verdict in row.verdicts.items()}
        yield {"patch": asdict(row.patch), "verdicts": verdicts, "faults": faults(row)}


def _resumed(path: Path) -> dict[Key, dict[str, Verdict]]:
    if not path.exists():
        return {}
    return {
        _key(Patch(**entry["patch"])): {
            name: Verdict(told["killed"], tuple(told["seen"]), tuple(told["kept"]), told["first"])
            for name, told in entry["verdicts"].items()
        }
        for entry in json.loads(path.read_text(encoding="utf-8"))
    }


if __name__ == "__main__":
    sys.exit(main())
