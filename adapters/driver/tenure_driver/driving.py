"""Coroutines that await nothing but an `ask` that blocks, run without an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from tenure.errors import InvalidValue

T = TypeVar("T")


def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns. Raises InvalidValue where it awaits something that needs an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise InvalidValue(
        "an async function needs an event loop: call it from an async handler, or pass a plain function"
    )


def iterated(values: AsyncIterator[T]) -> Iterator[T]:
    """The same values, for a program without an event loop."""
    while True:
        try:
            value = driven(_next(values))
        except StopAsyncIteration:
            return
        yield value


async def _next(values: AsyncIterator[T]) -> T:
    return await anext(values)
