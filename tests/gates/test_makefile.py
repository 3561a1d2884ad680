"""`make test` goes from the small layers to the large ones, runs each test once, and leaves a report of each run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
SMALL = ("tests/gates/", "tests/stores/test_known_bugs_of_", "tests/adapters/test_known_bugs_of_")
SLOW = {"tests/gates/test_limits.py"}
"""Gates that run the tools of `make check`, each a few times over."""

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py"))


@frozen
class Run:
    """A run of pytest."""

    paths: tuple[str, ...]
    ignored: tuple[str, ...]
    report: str
    first: bool

    def has(self, file: str) -> bool:
        return _within(file, self.paths) and not _within(file, self.ignored)


def _within(file: str, paths: tuple[str, ...]) -> bool:
    return any(f"{file}/".startswith(f"{path}/") for path in paths)


def said(target: str) -> list[str]:
    """The lines that make would run."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    run = subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=clean, capture_output=True, text=True, check=True, timeout=60
    )
    return run.stdout.replace("\\\n", " ").splitlines()


def runs(lines: list[str]) -> list[Run]:
    """The runs of pytest in them, in their order; those that share a line run at the same time."""
    found: list[Run] = []
    for line in lines:
        for words in re.findall(r"\bpytest ((?:[\w./=-]+ ?)+)", line):
            told = words.split()
            paths = tuple(word for word in told if not word.startswith("-"))
            ignored = tuple(word.removeprefix("--ignore=") for word in told if word.startswith("--ignore="))
            (report,) = (word.partition("=")[2] for word in told if word.startswith("--junit-xml="))
            found.append(Run(paths, ignored, report, "-x" in told))
    return found


def test_each_test_is_in_exactly_one_run() -> None:
    made = runs(said("test"))
    times = {file: sum(run.has(file) for run in made) for file in FILES}
    assert {file: number for file, number in times.items() if number != 1} == {}


def test_the_small_ones_come_first_and_stop_the_rest() -> None:
    """After the core's own, and before the search: a bug of a store or of the driver is named within seconds."""
    lines = said("test")
    core, small, *_ = runs(lines)
    assert core.paths == ("tests/core",)
    assert small.first
    assert [
        file for file in FILES if file.startswith(SMALL) and file not in SLOW and not small.has(file)
    ] == []
    order = [number for number, line in enumerate(lines) if small.report in line or "tenure check" in line]
    assert len(order) == 2
    assert small.report in lines[order[0]]


def test_every_run_leaves_a_report_and_every_report_is_read() -> None:
    """docs/verification.md counts the tests by them."""
    reports = [run.report for run in runs(said("test"))]
    (read,) = re.findall(r"\btests=(\S+)", "\n".join(said("verify")))
    assert reports == read.split(",")
