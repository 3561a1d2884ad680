"""Every behaviour is shown and can be broken, docs/behaviours.md is the table as it is, and the runner can tell."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.behaviour.covering import NUMBERS, Case, Row, cases_in, collected, faults, read, rows, sentences
from tests.behaviour.page import PAGE, page
from tests.behaviour.run import prove
from tests.matrix.patches import ROOT, Patch

BREAKERS = read()


@pytest.mark.parametrize("breaker", BREAKERS, ids=lambda breaker: breaker.id)
def test_a_breaker_fits_and_makes_a_program(breaker: Patch) -> None:
    """Its old text is found exactly once; with the new one the file compiles, and is another."""
    shipped = (ROOT / breaker.file).read_text(encoding="utf-8")
    broken = breaker.applied(shipped)
    compile(broken, breaker.file, "exec")
    assert broken != shipped


def test_every_behaviour_is_shown_has_a_breaker_and_is_on_the_page() -> None:
    """After a change: `make behaviours`."""
    table = rows(collected(), BREAKERS)
    assert faults(table) == []
    assert PAGE.read_text(encoding="utf-8") == page(table)


def test_the_reference_has_all_that_is_shown() -> None:
    assert tuple(sentences()) == NUMBERS
    assert sentences()["B4"] == "A caller may pass an effect scope of its own instead."


LISTING = """\
tests/behaviour/test_x.py::test_b09_it_runs[memory-trio]
tests/behaviour/test_x.py::test_w10_it_ends[sqlite-virtual-plain]
tests/behaviour/test_x.py::test_without_number[memory-asyncio]
tests/behaviour/test_x.py::test_b04_alone

4 tests collected in 0.01s
"""


def test_what_pytest_collects_is_read() -> None:
    file = "tests/behaviour/test_x.py"
    assert cases_in(LISTING) == (
        Case("B9", file, "test_b09_it_runs", ("memory", "trio")),
        Case("W10", file, "test_w10_it_ends", ("sqlite", "virtual", "plain")),
        Case("B4", file, "test_b04_alone", ()),
    )


def test_what_is_missing_is_said() -> None:
    whole = Row(
        "B9", "It runs.", (Case("B9", "f", "test_b09_x", ("memory", "sqlite", "trio")),), (BREAKERS[0],)
    )
    assert faults([whole]) == []
    poorer = {
        "B9 is not in behaviour.md: it has to say it in a line of its own": evolve(whole, says=""),
        "B9 has no test: write test_b09_…": evolve(whole, cases=()),
        "B9 is not shown on sqlite": evolve(
            whole, cases=(Case("B9", "f", "test_b09_x", ("memory", "trio")),)
        ),
        "B9 is shown on no loop, and not in virtual time": evolve(
            whole, cases=(Case("B9", "f", "test_b09_x", ("memory", "sqlite")),)
        ),
        "B9 has no breaker: keep a line in breakers/ with which its test fails": evolve(whole, breakers=()),
    }
    for said, row in poorer.items():
        assert faults([row]) == [said]


def test_a_breaker_that_survives_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In a copy of the tree: a line that changes nothing is not seen, one that matters is, by a test of its number."""
    (row,) = [row for row in rows(collected(), BREAKERS) if row.number == "B22"]
    breaker = row.breakers[0]
    harmless = evolve(breaker, id="B22p", bug="nothing", new=f"{breaker.old} ")
    said = prove([evolve(row, breakers=(breaker, harmless))], 1)
    assert said == ["B22p: SURVIVES; no test of B22 sees: nothing"]
    told = capsys.readouterr().out
    killer = (
        "tests/behaviour/test_boundaries.py::test_b22_durable_worker_rejects_ephemeral_session_store_factory["
    )
    assert f"B22  killed by {killer}" in told
    assert "B22p SURVIVES  (nothing)" in told
