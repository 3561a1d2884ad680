"""The diagrams show the tables as they are."""

from __future__ import annotations

import re

import pytest

from tests.core.edges import TABLES
from tests.docs.diagrams import PAGE, arrows, page, states


def test_the_page_is_what_the_tables_and_traces_say(request: pytest.FixtureRequest) -> None:
    drawn = page()
    if request.config.getoption("--rewrite"):
        PAGE.write_text(drawn, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == drawn, "draw it anew: pytest tests/docs --rewrite"


@pytest.mark.parametrize("machine", TABLES)
def test_every_state_is_drawn(machine: str) -> None:
    section = PAGE.read_text(encoding="utf-8").partition(f"## The {machine} machine")[2]
    drawing = section.partition("```mermaid")[2].partition("```")[0]
    assert set(states(machine)) == set(re.findall(r"^    (\w+) -->", drawing, re.MULTILINE))


def test_an_arrow_is_drawn_for_every_edge_that_does_something() -> None:
    for machine, drawn in arrows().items():
        wanted = {
            (state.__name__, event.__name__, edge.name)
            for (state, event), row in TABLES[machine].items()
            for edge in row
            if edge.go
        }
        assert {(arrow.edge.state, arrow.edge.event, arrow.edge.name) for arrow in drawn} == wanted
