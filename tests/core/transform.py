"""Shifts time and renames ids in any value of the machines, guided by the types of their fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from attrs import fields, has

from tenure.timings import LeaseTimings

V = TypeVar("V")

CALLS = {"call", "tag", "opening", "reading", "id", "n"}
"""Fields that name a call. `n` of a claim id is one: it is the tag of the event that brought the claim about."""


def shifted(value: V, by: int) -> V:
    """The value with every local time `by` nanoseconds later; store times stay as they are."""

    def change(owner: type, name: str, kind: str, found: Any) -> Any:
        return found + by if found is not None and "Instant" in kind else None

    return cast(V, _rebuilt(value, change))


def renamed(value: V, calls: Callable[[int], int], others: Callable[[int], int], owner: str) -> V:
    """The value with its calls, its tokens and asks, and the owner's name replaced, each id by the same wherever it
    occurs."""

    def change(where: type, name: str, kind: str, found: Any) -> Any:
        if found is None:
            return None
        if kind in ("int", "int | None"):
            if name in CALLS:
                return calls(found)
            if name in ("token", "ask"):
                return others(found)
        if name == "owner":
            return found + owner
        if name == "exclude" and where.__name__ in ("Driving", "Draining"):
            return tuple((process_id, others(token)) for process_id, token in found)
        if name == "cancels" and isinstance(found, tuple):
            rows = cast("tuple[tuple[str, int, str], ...]", found)
            return tuple((process_id, others(token), reason) for process_id, token, reason in rows)
        return None

    return cast(V, _rebuilt(value, change))


def _rebuilt(value: Any, change: Callable[[type, str, str, Any], Any]) -> Any:
    kind = value.__class__
    if kind is tuple:
        return tuple(_rebuilt(item, change) for item in value)
    if not has(kind) or kind is LeaseTimings:
        return value
    made: dict[str, Any] = {}
    for field in fields(kind):
        found = getattr(value, field.name)
        new = change(kind, field.name, str(field.type), found)
        made[field.alias] = _rebuilt(found, change) if new is None else new
    return kind(**made)
