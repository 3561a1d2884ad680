"""The runner of the mutants finds a gap that was planted, and a mutant that a test kills; its excuses are of use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenure_testing.checking.configurations import named
from tests.mutants import run
from tests.mutants.excused import Excuse, excuses, pointless
from tests.mutants.generate import Mutant, mutants_of
from tests.mutants.graphs import GRAPHS
from tests.mutants.report import MOST, Report, page, table
from tests.mutants.results import Result, add, digest_of, read
from tests.mutants.run import CORE, PAGE, ROOT, SQLITE
from tests.mutants.statements import statements_of

TOY = '''\
"""A module with a gap in its tests."""

LIMIT = 3


class Counter:
    @property
    def start(self) -> int:
        return 1


def doubled(number: int) -> int:
    return number * 2


def bounded(number: int) -> bool:
    return number < LIMIT


def endless(number: int) -> int:
    while number > 0:
        number -= 1
    return number
'''
TESTS = """\
from toy import Counter, bounded, doubled, endless


def test_doubled():
    assert doubled(3) == 6


def test_bounded():
    assert bounded(1)
    assert not bounded(5)


def test_start():
    assert Counter().start == 1


def test_endless():
    assert endless(3) == 0
"""
DRIVER = """\
import json
import sys
from pathlib import Path

sys.path[:0] = sys.argv[1:3]
import pytest
from tests.mutants import results
from tests.mutants.forked import forked
from tests.mutants.generate import mutants_of
from tests.mutants.imported import QUIET, RELAXED, judged
from tests.mutants.session import Session

folder, file = Path(sys.argv[2]), Path(sys.argv[2]) / "results.jsonl"
mutants = mutants_of("toy", (folder / "toy.py").read_text())
tests = str(folder / "test_toy.py")
session = Session("toy", mutants, file)
assert forked(lambda say: int(pytest.main([*QUIET, *RELAXED, tests], plugins=[session]))).code == 0
known = results.read(file)
for mutant in mutants:
    if results.digest_of(mutant) not in known:
        results.add(file, [judged(mutant, [tests], {})])
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What became of each mutant of the toy, by what it changed."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.py").write_text(TOY, encoding="utf-8")
    (folder / "test_toy.py").write_text(TESTS, encoding="utf-8")
    subprocess.run([sys.executable, "-c", DRIVER, str(ROOT), str(folder)], check=True, cwd=folder)
    known = read(folder / "results.jsonl")
    mutants = mutants_of("toy", TOY)
    assert {digest_of(mutant) for mutant in mutants} == set(known), "each was tried"
    return {mutant.after: known[digest_of(mutant)] for mutant in mutants}


def test_a_mutant_that_a_test_notices_is_killed(toy: dict[str, Result]) -> None:
    assert toy["return number * 3"].fate == "killed"
    assert toy["return number * 3"].by.endswith("test_doubled")
    assert toy["return 2"].by.endswith("test_start"), "a property is mutated too"


def test_a_gap_in_the_tests_is_a_survivor(toy: dict[str, Result]) -> None:
    """Nothing asks for the limit itself."""
    assert toy["return number <= LIMIT"].fate == "survived"
    assert toy["LIMIT = 4"].fate == "survived"


def test_what_only_an_import_runs_is_mutated_too(toy: dict[str, Result]) -> None:
    assert toy["LIMIT = None"].fate == "killed"


def test_a_mutant_that_does_not_end_is_dead(toy: dict[str, Result]) -> None:
    result = toy["number += 1"]
    assert result.fate == "timed out"
    assert result.by.endswith("test_endless")
    assert result.dead


def test_every_condition_of_a_statement_is_dropped_once() -> None:
    source = 'QUERY = "SELECT a FROM t JOIN u ON u.b = t.b WHERE a = ? AND max(b, ?) < 3 ORDER BY a"\n'
    assert [mutant.after for mutant in statements_of("m", source)] == [
        source.strip().replace("u.b = t.b", "(u.b = t.b OR 1)"),
        source.strip().replace("a = ?", "(a = ? OR 1)"),
        source.strip().replace("max(b, ?) < 3", "(max(b, ?) < 3 OR 1)"),
    ]


def test_a_result_is_good_while_its_function_is_the_same() -> None:
    """However far the function moves; a change in it asks for another try."""
    before = {digest_of(mutant) for mutant in mutants_of("toy", TOY)}
    moved = {digest_of(mutant) for mutant in mutants_of("toy", TOY.replace("LIMIT = 3\n", "LIMIT = 3\n\n\n"))}
    assert moved == before
    other = {digest_of(mutant) for mutant in mutants_of("toy", TOY.replace("number * 2", "number * 4"))}
    assert 0 < len(before - other) < len(before)


def mutant(number: int) -> Mutant:
    return Mutant("toy", "f", None, 1, number, f"a = {number}", "a = 0", "", "")


def result(number: int, fate: str) -> Result:
    return Result(f"toy:f#{number}", fate, "", digest_of(mutant(number)), 1.0)


def test_a_report_is_good_if_nothing_is_left_and_little_excused() -> None:
    mutants = [mutant(number) for number in range(100)]
    known = {one.digest: one for one in (result(number, "killed") for number in range(100))}
    assert Report.of(mutants, known, ()).good
    gap = known | {digest_of(mutant(0)): result(0, "survived")}
    assert not Report.of(mutants, gap, ()).good
    assert "survived: toy:f#0, line 1" in table(Report.of(mutants, gap, ()))
    excuse = Excuse("toy", "f", "a = 0", "a = 0", "it is the same number")
    report = Report.of(mutants, gap, (excuse,))
    assert report.good
    assert "It is the same number:\n\n- `toy`, `f`: `a = 0` became `a = 0`" in page(report)
    same = {digest_of(mutant(number)): result(number, "same graphs") for number in (1, 2)}
    assert not Report.of(mutants, gap | same, (excuse,)).good, f"three are more than {MOST:.0%}"
    assert not Report.of(mutants, {}, ()).good, "what was not tried is not killed"


def test_every_excuse_is_of_a_mutant_that_is_there() -> None:
    known = excuses()
    found: list[Mutant] = []
    for module in sorted({excuse.module for excuse in known}):
        package, _, name = module.partition(".")
        if package == "tenure":
            source = (CORE / f"{name or '__init__'}.py").read_text(encoding="utf-8")
            found += mutants_of(module, source)
        else:
            found += statements_of(module, (SQLITE / f"{name}.py").read_text(encoding="utf-8"))
    assert pointless(known, found) == []
    assert pointless([Excuse("tenure.errors", "nobody", "a", "b", "")], found)


def test_the_graphs_are_of_configurations_that_there_are() -> None:
    assert {named(name).name for name in GRAPHS} == set(GRAPHS)


def test_what_is_excused_meets_the_tests_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else survived is tried again, and nothing that is dead."""
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results.jsonl")
    mutants, excuse = [mutant(number) for number in range(4)], Excuse("toy", "f", "a = 1", "a = 0", "why")
    assert run.left(mutants, [excuse]) == mutants, "nothing is known yet"
    add(run.RESULTS, [result(0, "killed"), result(1, "survived"), result(2, "survived")])
    assert run.left(mutants, [excuse]) == mutants[2:]


def test_the_page_has_every_excuse() -> None:
    """After a change of the excuses, `make mutants` writes the page anew."""
    text = PAGE.read_text(encoding="utf-8")
    for excuse in excuses():
        assert f"`{excuse.owner}`: " in text
        assert excuse.reason[1:] in text
