"""What the tests of events share: events in a log, and answers that overtake each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tenure.asks import Heard
from tenure.canonical import canonical
from tenure.instants import StoreTime
from tenure.process import Event
from tests.core.trampoline_asks import World, driven, pause


def appended(world: World, *types: str) -> World:
    """The world after a client appended these events, numbered from 0."""
    for number, name in enumerate(types):
        driven(world.client().append("p", name, number))
    return world


def event(seq: int, type: str) -> Event:
    return Event("p", seq, type, canonical(None), "k", 0, StoreTime(0))


def finished(running: Any) -> Any:
    """What a coroutine returns that was begun before."""
    with pytest.raises(StopIteration) as done:
        running.send(None)
    return done.value.value


class Late:
    """Whoever asks first is told what is older, and hears of it last. `asked`: after which numbers was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def more(self, after: int) -> Heard:
        self.asked.append(after)
        seqs = [(1,), (1, 2), (3,)][len(self.asked) - 1]
        await pause()
        return Heard(tuple(event(seq, "go") for seq in seqs), seqs[-1], False)

    async def ask(self, ask: Any) -> Heard:
        return await self.more(ask.after)


async def next_of(events: AsyncIterator[Event]) -> Event:
    return await anext(events)
