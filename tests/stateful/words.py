"""Words that the rules of a machine have in common: what a handler asks for, and how a broken property is named."""

from __future__ import annotations

from tenure.canonical import NULL
from tenure.process import Fence
from tenure.requests import EmitEvent, RecordEffect
from tenure_testing.stateful.judge import broken


def asked_for(what: str, fence: Fence) -> RecordEffect | EmitEvent | None:
    """The request of that name, under the fence; None for what is no request."""
    match what:
        case "effect":
            return RecordEffect(fence, "1", "f", NULL)
        case "other effect":
            return RecordEffect(fence, "2", "f", NULL)
        case "event":
            return EmitEvent(fence, "t", NULL, "1")
        case _:
            return None


def holds(condition: bool, number: str, what: str) -> None:
    """Fail, naming the property, unless the condition holds."""
    if not condition:
        raise broken([number], what)
