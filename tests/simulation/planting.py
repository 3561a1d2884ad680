"""Plants a bug in this process's own import of the product, and simulates: which property is broken.

python -m tests.simulation.planting K3 20 late,crash            # bug, seeds, faults
python -m tests.simulation.planting E1 20 lost_answer events    # and company
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from attrs import evolve

from tests.matrix.patches import ROOT, Patch, read
from tests.simulation.company_bugs import BUGS

ON_SQLITE = ("K24b", "S21")
"""Bugs of the SQLite store."""


class _Patched(SourceFileLoader):
    """Loads the patched text, and never what was compiled before."""

    patch: Patch

    def get_code(self, fullname: str) -> CodeType:
        text = self.patch.applied(Path(self.path).read_text(encoding="utf-8"))
        return self.source_to_code(text.encode(), self.path)


class _Finder(MetaPathFinder):
    def __init__(self, patch: Patch) -> None:
        self._patch, self._file = patch, ROOT / patch.file

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None and Path(spec.origin) == self._file:
            loader = _Patched(fullname, spec.origin)
            loader.patch = self._patch
            spec.loader = loader
        return spec


def plant(name: str) -> None:
    """Have the bug in every import from now on; nothing of the product may have been imported yet."""
    assert not any(module.split(".")[0] == "tenure" for module in sys.modules), "tenure is imported already"
    (patch,) = [one for one in (*read(), *BUGS) if one.id == name]
    sys.meta_path.insert(0, _Finder(patch))


def main(name: str, seeds: int, faults: str, company: str = "") -> None:
    """Say which property is broken, by which seed; nothing where none is. `faults` and `company`, with commas, are all
    there are."""
    plant(name)
    from tenure_testing.simulating import planned, run

    others = tuple(company.split(",")) if company else ()
    for seed in range(seeds):
        plan = planned(seed, "sqlite" if name in ON_SQLITE else "memory")
        plan = evolve(plan, company=others, faults=faults.split(","))
        verdict = run(evolve(plan, rate=0.25, processes=20, workers=3))
        if not verdict.ok:
            print(verdict.broken, seed, verdict.what)
            return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
