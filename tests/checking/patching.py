"""How a bug is planted in the shipped core, for one test; and what a search makes of it, each once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import pytest

from tenure import attempt, model, registry
from tenure.process import Fence, Record
from tenure.registry import Decision
from tenure.tables import Edge
from tenure.values import changed
from tenure_testing.checking import Configuration, Violation, explore

Patch: TypeAlias = Callable[[pytest.MonkeyPatch], None]
Decide: TypeAlias = Callable[[Record | None, Any], Decision]
"""What the shipped law makes of a row and a request."""
Rule: TypeAlias = Callable[[Record | None, Any, Decide], Decision]


@cache
def violation_of(configuration: Configuration, patch: Patch) -> Violation | None:
    """What the search finds under that bug. Tests that ask the same share the search."""
    with pytest.MonkeyPatch.context() as patched:
        patch(patched)
        return explore(configuration).violation


def deciding(kind: type, rule: Rule, blind: bool = False) -> Patch:
    """Requests of that kind follow the rule. `blind`: it does not see what is recorded under the request's key."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        shipped = registry.decide

        def decide(record: Record | None, request: Any, known: Any, *rest: Any) -> Decision:
            def asked(record: Record | None, request: Any) -> Decision:
                return shipped(record, request, None if blind else known, *rest)

            return (
                rule(record, request, asked)
                if isinstance(request, kind)
                else shipped(record, request, known, *rest)
            )

        monkeypatch.setattr(model, "decide", decide)

    return patch


def setting(where: object, name: str, make: Callable[[Any], object]) -> Patch:
    """That name stands for what `make` makes of what is shipped."""
    return lambda monkeypatch: monkeypatch.setattr(where, name, make(getattr(where, name)))


def entering(state: type, event: type, entry: tuple[Edge, ...]) -> Patch:
    """That entry of the attempt machine's table."""
    table: Any = attempt.TABLE
    return lambda monkeypatch: monkeypatch.setitem(table, (state, event), entry)


def unfenced(record: Record | None, request: Any, shipped: Decide) -> Decision:
    """Written by process id alone: whatever fence comes with the request, the row's is taken."""
    if record is None or record.claim is None:
        return shipped(record, request)
    return shipped(record, changed(request, fence=Fence("p", record.claim, record.token)))


def overwrites(record: Record | None, request: Any, shipped: Decide) -> Decision:
    """As shipped; it is blind that makes it a bug."""
    return shipped(record, request)


def writing(**fields: Any) -> Rule:
    """These fields are written too."""

    def rule(record: Record | None, request: Any, shipped: Decide) -> Decision:
        made = shipped(record, request)
        return made if made.record is None else changed(made, record=changed(made.record, **fields))

    return rule


def unseen(**fields: Any) -> Rule:
    """These fields of the row are taken to be so."""
    return lambda record, request, shipped: shipped(record and changed(record, **fields), request)
