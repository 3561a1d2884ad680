"""A Python with a bug planted, by which what workers send depends on PYTHONHASHSEED.

python -m tests.simulation.by_hash emitted -m tenure_testing.simulating 0 1 2 0 memory
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from runpy import run_module

from attrs import evolve

from tenure.canonical import Json
from tenure.instants import Instant
from tenure.requests import ClaimNext, EmitEvent, RecordEffect, Request
from tenure_driver.messages import Inbound, Outbox
from tenure_driver.turn import Driver


def emitted(request: Request) -> Request:
    """The payload of a handler's event is made from a hash."""
    return evolve(request, payload=Json(str(hash("tenure")))) if isinstance(request, EmitEvent) else request


def recorded(request: Request) -> Request:
    """The result of an effect has an order of its own."""
    if not isinstance(request, RecordEffect):
        return request
    return evolve(request, result=Json(f'"{"".join(sorted("abcdefgh", key=hash))}"'))


def claimed(request: Request) -> Request:
    """A claim names its kinds as a set might give them. Three kinds may stand the same under two PYTHONHASHSEEDs; with
    a letter before them they do not."""
    if not isinstance(request, ClaimNext):
        return request
    kinds = tuple(sorted(request.filter.kinds, key=lambda kind: hash(f"b{kind}")))
    return evolve(request, filter=evolve(request.filter, kinds=kinds))


BUGS: dict[str, Callable[[Request], Request]] = {
    "none": lambda request: request,
    "emitted": emitted,
    "recorded": recorded,
    "claimed": claimed,
}


def plant(name: str) -> None:
    """Have what the driver of every worker and client wants to send be changed by the bug."""
    change, turn = BUGS[name], Driver.turn

    def changed(self: Driver, inbox: Sequence[Inbound], now: Instant) -> Outbox:
        box = turn(self, inbox, now)
        return evolve(box, calls=tuple(evolve(call, request=change(call.request)) for call in box.calls))

    Driver.turn = changed  # type: ignore[method-assign]  # the whole point of this program


if __name__ == "__main__":
    _, bug, _, module, *given = sys.argv
    plant(bug)
    sys.argv = [module, *given]
    run_module(module, run_name="__main__", alter_sys=True)
