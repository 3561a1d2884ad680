"""The bugs of the kill matrix still fit the code, the published matrix is theirs, and its runner can tell."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.matrix import patches, run
from tests.matrix.judging import KEPT, KILLED, LEAST, NAMED, Row, faults, seeing
from tests.matrix.layers import LAYERS, Part
from tests.matrix.page import PAGE
from tests.matrix.patches import ROOT, BadPatch, Patch
from tests.matrix.trees import Tree, Verdict, verdict_of

BUGS = patches.read()


@pytest.mark.parametrize("patch", BUGS, ids=lambda patch: patch.id)
def test_a_patch_fits_and_makes_a_program(patch: Patch) -> None:
    """Its old text is found exactly once, within one line; with the new one the file compiles, and is another."""
    shipped = (ROOT / patch.file).read_text(encoding="utf-8")
    text = patch.applied(shipped)
    compile(text, patch.file, "exec")
    changed = [
        pair for pair in zip(shipped.splitlines(), text.splitlines(), strict=True) if pair[0] != pair[1]
    ]
    assert len(changed) == 1


def test_every_bug_and_every_property_has_a_patch() -> None:
    """No property is vacuous: K1-K24, S1-S23 and L1-L10 are each broken by one bug at least."""
    assert not {*patches.bugs()} - {patch.number for patch in BUGS}
    assert not {*patches.properties()} - {name for patch in BUGS for name in patch.breaks}
    assert len(patches.bugs()) == 24
    assert len(patches.properties()) == 33


def test_every_patch_is_seen_by_two_layers() -> None:
    assert not [patch.id for patch in BUGS if len(seeing(patch, LAYERS)) < LEAST]


def test_every_condition_of_a_writing_statement_is_dropped_by_a_patch() -> None:
    """SQLite's store owns no rule: what writes is fenced by `tenure.registry` under BEGIN IMMEDIATE, and its statements
    only say which rows are meant. Each such condition has a bug of its own: a patch after which the statement, as it
    then is, has it no more."""
    seen = 0
    for path in (ROOT / "adapters" / "sqlite" / "tenure_sqlite").glob("*.py"):
        file, shipped = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        dropped = set[tuple[int, str]]()
        for patch in (patch for patch in BUGS if patch.file == file):
            before, after = list(writing(shipped)), list(writing(patch.applied(shipped)))
            for number, (was, now) in enumerate(zip(before, after, strict=True)):
                dropped |= {(number, name) for name in (Counter(conditions(was)) - Counter(conditions(now)))}
        for number, statement in enumerate(writing(shipped)):
            for condition in conditions(statement):
                seen += 1
                assert (number, condition) in dropped, (
                    f"no patch drops {condition!r} of {statement.strip()!r}: add one to stores.toml or facets.toml"
                )
    assert seen >= 27


def writing(source: str) -> list[str]:
    """The texts of statements that write, in the order of the file."""
    return [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
    ]


def conditions(statement: str) -> list[str]:
    """What its WHERE clauses ask for, those of its subqueries included."""
    return _ASKED.findall(statement.partition("WHERE")[2])


_ASKED = re.compile(r"\b[a-z_.]+ (?:[<>=]+ (?:\?\d*|'[^']*')|IS (?:NOT )?NULL)")


@pytest.mark.parametrize(
    ("statement", "asked"),
    [
        ("UPDATE t SET a = ? WHERE b = ? AND c = 'kept'", ["b = ?", "c = 'kept'"]),
        ("DELETE FROM t WHERE rowid IN (SELECT rowid FROM t WHERE b < ?1 LIMIT ?)", ["b < ?1"]),
        ("INSERT INTO t (a) VALUES ((SELECT n FROM s WHERE id = ?), ?)", ["id = ?"]),
        ("DELETE FROM t WHERE gone_at IS NOT NULL AND ? > 0", ["gone_at IS NOT NULL"]),
        ("UPDATE t SET a = ?", []),
    ],
)
def test_the_conditions_of_a_statement(statement: str, asked: list[str]) -> None:
    assert conditions(statement) == asked


def test_no_condition_is_overlooked() -> None:
    """Each WHERE, AND and OR of the statements brings one, but for those that only open a subquery."""
    for path in (ROOT / "adapters" / "sqlite" / "tenure_sqlite").glob("*.py"):
        for statement in writing(path.read_text(encoding="utf-8")):
            asks = len(re.findall(r"\b(?:WHERE|AND|(?<!INSERT )OR)\b(?! \w+ IN \(SELECT)", statement))
            assert len(conditions(statement)) == asks, statement


def test_what_the_layers_run_is_there() -> None:
    """A file of tests that was moved would end pytest before it runs anything."""
    names = {name for layer in LAYERS for part in layer.parts for name in (*part.tests, *part.files)}
    paths = {name for name in names if "/" in name and not name.startswith("-")}
    assert not [name for name in sorted(paths) if not (ROOT / name).exists()]


def test_the_published_matrix_has_these_bugs_and_no_survivor() -> None:
    """docs/kill-matrix.md lists exactly these patches. Else: make kill-matrix, and commit the page."""
    page = PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([KSLQ]\d+[a-z]?) \| [^`]", page, re.MULTILINE)
    assert listed == [patch.id for patch in BUGS]
    for patch in BUGS:
        assert f"| {patch.id} | {patch.bug} | {', '.join(patch.breaks)} |" in page
    assert "## Survivors\n\nNone.\n" in page


# --- the runner ---------------------------------------------------------------------------------------------------


def bug(**given: str) -> Patch:
    known = {"id": "K18", "bug": "", "file": "core/tenure/process.py", "within": "Record.live", "after": ""}
    told = known | {"old": "now < self.expires_at", "new": "now <= self.expires_at"} | given
    return Patch(breaks=("S5",), **told)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"old": "not there"}, "found 0 times"),
        ({"old": "self"}, "found 3 times"),
        ({"within": "Record.dead"}, "has no 'Record.dead' any more"),
        ({"after": "def dead"}, "'def dead' is found 0 times"),
    ],
)
def test_a_patch_that_does_not_fit_says_what_to_do(given: dict[str, str], said: str) -> None:
    patch = bug(**given)
    with pytest.raises(BadPatch, match=said):
        patch.applied((ROOT / patch.file).read_text(encoding="utf-8"))


def test_every_layer_has_the_tests_that_it_names() -> None:
    missing = [
        one for layer in LAYERS for part in layer.parts for one in part.tests if not (ROOT / one).exists()
    ]
    assert not missing


def test_no_bug_survives_and_an_obvious_one_dies(tmp_path: Path) -> None:
    """In a copy, whose own code is imported: a patch that changes nothing is not noticed, a renewal for whoever asks
    is, and its property is named; and the copy is whole again."""
    tree = Tree(tmp_path)
    small = Part((bug().file,), ("tests/core/test_known_bugs_of_rows.py",))
    obvious = next(patch for patch in BUGS if patch.id == "K2")
    assert all(path.startswith(str(tmp_path)) for path in tree.imported().values())
    shipped = (tmp_path / obvious.file).read_text(encoding="utf-8")
    with tree.patched(bug(new="now < self.expires_at ")):
        assert tree.run(small) == Verdict(False)
    with tree.patched(obvious):
        verdict = tree.run(small)
    assert verdict.killed
    assert verdict.first.startswith("tests/core/test_known_bugs_of_rows.py::")
    assert {*obvious.breaks} <= {*verdict.names}
    assert (tmp_path / obvious.file).read_text(encoding="utf-8") == shipped


def test_what_the_matrix_demands() -> None:
    """A bug survives, is seen by one layer alone, or is killed without its property, for which its number does not
    stand: each is a fault of the row."""

    def said(**verdicts: Verdict) -> list[str]:
        return [fault.split(":")[0].split(" (")[0] for fault in faults(Row(bug(), verdicts))]

    missed, named, other = Verdict(False), Verdict(True, ("S5",)), Verdict(True, ("S9",), ("K18",))
    kept = Verdict(True, ("S9",), ("S5",))
    assert said(units=named, kit=other) == []
    assert said(units=kept, kit=other) == []
    assert said(units=missed, kit=missed) == ["K18 survives"]
    assert said(units=named, kit=missed) == ["K18 is killed by units alone"]
    assert said(units=other, kit=other) == ["K18 is killed, but no failure names S5"]
    assert said(units=other, kit=named) == ["K18"]  # whoever breaks it by hand reads the first layer first
    cells = Row(bug(), {"units": named, "kit": kept, "checker": other})
    assert [cells.cell(name) for name in ("units", "kit", "checker")] == [NAMED, KEPT, KILLED]


@pytest.mark.parametrize("part", ["--quick", "--only=K18", "--layers=units"])
def test_only_a_whole_run_writes_the_page(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published says of each bug what each layer made of it, and nothing of what was not tried."""

    def tried(*arguments: object) -> list[Row]:
        return [Row(bug(), {"units": Verdict(True, ("S5",)), "kit": Verdict(True, ("S5",))})]

    monkeypatch.setattr(run, "matrix", tried)
    page = tmp_path / "page.md"
    monkeypatch.setattr(run, "PAGE", page)
    assert run.main([part]) == 0
    assert not page.exists()
    assert run.main([]) == 0
    assert page.exists()


def test_what_a_run_of_pytest_says() -> None:
    out = "E   assert S4\nkeeps: B17\n  S9\nFAILED tests/x.py::test_it[a b] - AssertionError: S1\n"
    assert verdict_of(1, out) == Verdict(True, ("S4",), ("B17",), "tests/x.py::test_it[a b]")
    assert verdict_of(0, out) == Verdict(False)
    assert verdict_of(4, "usage").first.startswith("pytest ended with 4")
