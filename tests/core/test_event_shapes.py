"""The shapes that a kind declares for its events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from attrs import frozen

from tenure.app import App
from tenure.errors import EventMismatch, InvalidValue
from tests.core.trampoline_asks import driven, started


@frozen
class Progress:
    done: int
    total: int


@dataclass
class Note:
    text: str


def handler(ctx: Any) -> None:
    """Does nothing."""


def test_a_kind_declares_what_its_events_look_like() -> None:
    app = App()
    kind = app.process("k", emits={"progress": Progress, "note": Note, "any": None})(handler)
    assert kind.emits == ("progress", "note", "any")
    assert kind.shapes == {"progress": Progress, "note": Note}
    assert app.process("l", emits=["progress"])(handler).shapes == {}
    assert app.process("m")(handler).emits == ()


@pytest.mark.parametrize("shape", [int, "Progress", Progress(1, 2), list[Progress]])
def test_a_shape_that_could_not_be_checked(shape: Any) -> None:
    said = (
        f"kind 'k': the shape of event 'progress' is {shape!r}; it must be an attrs class or a dataclass, or None for "
        "any JSON"
    )
    with pytest.raises(InvalidValue, match=f"^{re.escape(said)}$"):
        App().process("k", emits={"progress": shape})


def test_an_event_that_fits_its_shape_is_emitted() -> None:
    world = started(emits=("progress", "any"))
    ctx = world.context(shapes={"progress": Progress})
    driven(ctx.emit("progress", Progress(1, 3)))
    driven(ctx.emit("progress", {"done": 2, "total": 3}))
    driven(ctx.emit("any", {"whatever": [1]}))
    assert [one.value for one in world.state.events] == [
        {"done": 1, "total": 3},
        {"done": 2, "total": 3},
        {"whatever": [1]},
    ]


def test_an_event_that_does_not_fit_its_shape_is_not() -> None:
    world = started(emits=("progress",))
    ctx = world.context(shapes={"progress": Progress})
    with pytest.raises(EventMismatch) as mismatch:
        driven(ctx.emit("progress", {"done": 1}))
    assert (mismatch.value.process_id, mismatch.value.event) == ("p", "progress")
    assert str(mismatch.value).startswith(
        "process 'p': the payload of event 'progress' is not what its kind declares: the value does not fit Progress: "
    )
    assert "'total'" in str(mismatch.value)
    assert world.state.events == ()
