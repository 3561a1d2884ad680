"""`make mutants`: every mutant of the core is killed by a test, or it is shown, or said, why nothing can kill it.

python -m tests.mutants.run [--only MODULE]... [--jobs N] [--json FILE] [--anew]

Three stages, each with what survived the ones before. First the tests that run the changed function, in a child that is
forked with everything imported (`session`); then all tests after a fresh import (`imported`); then the digests of the
checker's graphs (`graphs`). The SQL of the SQLite store goes to the second. Results are kept in `build/mutants`: a run
that was broken off goes on, and what survived is tried again; what is excused meets all tests once. The working tree is
not touched. Exits 1 if a mutant is left, or more than 2 % are excused.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import pytest
from attrs import evolve

from tests.mutants import results
from tests.mutants.excused import Excuse, excuses, pointless
from tests.mutants.forked import forked
from tests.mutants.generate import Mutant, mutants_of
from tests.mutants.graphs import same_graphs
from tests.mutants.imported import QUIET, RELAXED, judged
from tests.mutants.report import Report, page, table
from tests.mutants.results import digest_of
from tests.mutants.session import Session
from tests.mutants.statements import statements_of

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "tenure"
SQLITE = ROOT / "adapters" / "sqlite" / "tenure_sqlite"
RESULTS = ROOT / "build" / "mutants" / "results.jsonl"
PAGE = ROOT / "docs" / "mutants.md"
CORE_TESTS = ("tests/core",)
STORE_TESTS = ("tests/stores",)


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    if asked.anew:
        RESULTS.unlink(missing_ok=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    known = excuses()
    core, statements = core_mutants(asked.only), store_mutants(asked.only)
    _say(f"{len(core)} mutants of the core, {len(statements)} of the store's SQL")
    _fast([mutant for mutant in left(core, known) if not _excused(mutant, known)], asked.jobs)
    _slow(left(core, known), CORE_TESTS, asked.jobs)
    _slow(left(statements, known), STORE_TESTS, asked.jobs)
    same_graphs(left(core, known), RESULTS)
    mutants = [*core, *statements]
    report = Report.of(mutants, results.read(RESULTS), known)
    print(table(report))
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(report.as_json()) + "\n", encoding="utf-8")
    stray = [] if asked.only else pointless(known, mutants)
    for excuse in stray:
        _say(f"an excuse for what is not there: {excuse.module}, {excuse.owner}: {excuse.before}")
    if not asked.only:
        PAGE.write_text(page(report), encoding="utf-8")
    return 0 if report.good and not stray else 1


def core_mutants(only: Sequence[str] = ()) -> list[Mutant]:
    """Of the named modules of the core, or of all."""
    found: list[Mutant] = []
    for file in _sources(CORE, only):
        module = "tenure" if file.stem == "__init__" else f"tenure.{file.stem}"
        found += mutants_of(module, file.read_text(encoding="utf-8"))
    return found


def store_mutants(only: Sequence[str] = ()) -> list[Mutant]:
    """Of the named modules of the SQLite store, or of all."""
    found: list[Mutant] = []
    for file in _sources(SQLITE, only):
        found += statements_of(f"tenure_sqlite.{file.stem}", file.read_text(encoding="utf-8"))
    return found


def _sources(folder: Path, only: Sequence[str]) -> list[Path]:
    return [file for file in sorted(folder.glob("*.py")) if not only or f"{folder.name}.{file.stem}" in only]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants.run", description="mutation tests of the core"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="MODULE",
        help="such as tenure.registry; may be repeated",
    )
    parser.add_argument("--jobs", type=int, default=1, help="so many mutants at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what the run comes to as JSON")
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    return parser


def left(mutants: Sequence[Mutant], known: Sequence[Excuse]) -> list[Mutant]:
    """Those that nothing has killed so far. What is excused is tried once."""
    found = results.read(RESULTS)

    def is_left(mutant: Mutant) -> bool:
        result = found.get(digest_of(mutant))
        return result is None or not (result.dead or _excused(mutant, known))

    return [mutant for mutant in mutants if is_left(mutant)]


def _excused(mutant: Mutant, known: Sequence[Excuse]) -> bool:
    return any(excuse.covers(mutant) for excuse in known)


def _fast(mutants: Sequence[Mutant], jobs: int) -> None:
    """In a child, since this process must never import the core."""
    _say(f"{len(mutants)} to be tried in place")

    def work(say: Callable[[str], None]) -> int:
        session = Session("tenure", mutants, RESULTS, jobs)
        return int(pytest.main([*QUIET, *RELAXED, *CORE_TESTS], plugins=[session]))

    if mutants and forked(work).code != 0:
        sys.exit("the tests fail without a mutant; see above")


def _slow(mutants: Sequence[Mutant], tests: Sequence[str], jobs: int) -> None:
    _say(f"{len(mutants)} to be imported anew, for {' '.join(tests)}")
    measured = RESULTS.with_name("seconds.json")
    seconds: dict[str, float] = {}
    if measured.exists():
        seconds = json.loads(measured.read_text(encoding="utf-8"))
    if mutants and judged(_unchanged(mutants[0]), tests, seconds).dead:
        sys.exit(f"{' '.join(tests)}: a test fails without a mutant")
    children: list[int] = []
    for part in range(jobs):
        child = os.fork()
        if child == 0:
            try:
                _judge(mutants[part::jobs], tests, seconds)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _unchanged(mutant: Mutant) -> Mutant:
    """The module as it is, which everything must let pass: a runner that kills by a fault of its own would not."""
    package, _, name = mutant.module.partition(".")
    folder = CORE if package == CORE.name else SQLITE
    return evolve(mutant, source=(folder / f"{name or '__init__'}.py").read_text(encoding="utf-8"))


def _judge(mutants: Sequence[Mutant], tests: Sequence[str], seconds: Mapping[str, float]) -> None:
    """The files whose tests ended the last mutants of a module meet the next one first, alone: they are soon there."""
    # Before the forks, since every one of them needs it.
    import_module("hypothesis.stateful")
    gc.freeze()
    lately: dict[str, list[str]] = {}
    for mutant in mutants:
        first = lately.setdefault(mutant.module, [])
        files = sorted({name.partition("::")[0] for name in first})
        result = judged(mutant, files, seconds, first) if files else None
        if result is None or not result.dead:
            result = judged(mutant, tests, seconds, first)
        results.add(RESULTS, [result])
        if result.fate == "killed" and "::" in result.by:
            lately[mutant.module] = [result.by, *(name for name in first if name != result.by)][:6]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
