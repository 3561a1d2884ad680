"""The three files of vectors and their schema. The shipped law makes them, and `docs/conformance` publishes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tenure_testing.conforming import (
    scenarios_claims,
    scenarios_clients,
    scenarios_fences,
    scenarios_journal,
    scenarios_leases,
    scenarios_reads,
    scenarios_takeovers,
)
from tenure_testing.conforming.steps import steps
from tenure_testing.conforming.story import scripts
from tenure_testing.conforming.tours import tours
from tenure_testing.conforming.vectors import Command, Response, RowStep, Script, Vector
from tenure_testing.conforming.wire import definitions, wire_of

SCENARIOS = (
    scenarios_claims.SCENARIOS,
    scenarios_takeovers.SCENARIOS,
    scenarios_fences.SCENARIOS,
    scenarios_leases.SCENARIOS,
    scenarios_journal.SCENARIOS,
    scenarios_clients.SCENARIOS,
    scenarios_reads.SCENARIOS,
)


def scenarios() -> Iterator[Script]:
    """All scenarios. Raises NotBorneOut for one that the reference model does not bear out."""
    return scripts(*SCENARIOS)


FILES: Mapping[str, Callable[[], Iterator[Vector]]] = {
    "scenarios": scenarios,
    "tours": tours,
    "steps": steps,
}
"""In the order in which they are played: first what tells most."""

LINES: Mapping[str, type] = {"scenarios": Script, "tours": Script, "steps": RowStep}


def selected(only: str = "") -> dict[str, list[Vector]]:
    """The vectors of all files whose names are `only`, begin with it, or match it as a pattern; all, if it is empty."""
    return {
        file: [vector for vector in make() if _wanted(file, vector.name, only)]
        for file, make in FILES.items()
    }


def _wanted(file: str, name: str, only: str) -> bool:
    return only in ("", file) or name.startswith(only) or fnmatchcase(name, only)


def schema() -> str:
    """The JSON Schema of the lines of all files, and of the protocol's lines, as text."""
    body: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tenure's conformance vectors and the protocol that plays them",
        "$comment": "a line of scenarios.jsonl or tours.jsonl is a #/$defs/script, one of steps.jsonl a "
        "#/$defs/row_step; a line to the store under test is a #/$defs/command, one from it a #/$defs/response",
        "$defs": {
            "command": wire_of(Command).schema(),
            "response": wire_of(Response).schema(),
            **{
                name: body
                for hint in (Script, RowStep, Command, Response)
                for name, body in definitions(hint).items()
            },
        },
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("script", "row_step", "command", "response")],
    }
    return json.dumps(body, indent=1) + "\n"
