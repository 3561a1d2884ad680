"""Coroutines driven without an event loop: what a handler awaits is a `Park`, and the world resumes it."""

from __future__ import annotations

import contextvars
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from attrs import frozen

Resume = Callable[[Any], None]


class Cancelled(BaseException):
    """Thrown into a handler that is told to stop, where it waits."""


@frozen(eq=False)
class Park:
    """Wait until the callback that `register` gets is called; what it is called with is what was awaited."""

    register: Callable[[Resume], object]


@frozen
class Sleep:
    """Wait for so many nanoseconds; `blocking`: nothing else runs on the worker's loop meanwhile."""

    nanos: int
    blocking: bool = False


@types.coroutine
def parked(park: Park | Sleep) -> Generator[Park | Sleep, Any, Any]:
    """Wait as `park` says."""
    return (yield park)


async def sleep(seconds: float) -> None:
    """For an async handler in a played world: wait so long, in the world's time."""
    await parked(Sleep(round(seconds * 1e9)))


async def block(seconds: float) -> None:
    """Likewise, but as a handler that does not yield: its worker's loop stands still; the worker's threads do not."""
    await parked(Sleep(round(seconds * 1e9), blocking=True))


class Task:
    """A coroutine on a played loop, until it is `done`, with a `value` or an `error`. `wait` is how it sleeps."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        context: contextvars.Context,
        ready: deque[Callable[[], None]],
        wait: Callable[[Sleep, Resume], None],
        stir: Callable[[], None],
    ) -> None:
        self._coroutine, self._context, self._ready, self._wait = coroutine, context, ready, wait
        self._stir = stir
        self._parking: object = None
        self._cancel = False
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        ready.append(partial(self._step, None))

    def cancel(self) -> None:
        """Throw Cancelled where the task waits now, or waits next."""
        if not self.done:
            self._cancel = True
            if self._parking is not None:
                self._resume(self._parking, None)

    def drop(self) -> None:
        """Whatever the coroutine does about its end, it is over."""
        self.done = True
        try:
            self._coroutine.close()
        except BaseException:
            pass  # a handler may do anything when it is let go, and nobody is there any more to be told

    def _resume(self, parking: object, value: Any) -> None:
        if parking is self._parking and not self.done:
            self._parking = None
            self._ready.append(partial(self._step, value))
            self._stir()

    def _step(self, value: Any) -> None:
        error: BaseException | None = None
        while not self.done:
            try:
                if self._cancel:
                    self._cancel = False
                    park = self._context.run(self._coroutine.throw, Cancelled())
                elif error is not None:
                    park = self._context.run(self._coroutine.throw, error)
                else:
                    park = self._context.run(self._coroutine.send, value)
            except StopIteration as stop:
                self.done, self.value = True, stop.value
                return
            except BaseException as raised:
                self.done, self.error = True, raised
                return
            if self._cancel:
                continue
            parking = self._parking = object()
            resume = partial(self._resume, parking)
            if isinstance(park, Park):
                try:
                    park.register(resume)
                    return
                except Exception as raised:
                    self._parking, error = None, raised
                    continue
            if isinstance(park, Sleep):
                self._wait(park, resume)
                return
            self._parking = None
            error = TypeError(
                f"a coroutine of a played world awaited {park!r}; there is no event loop: await ctx, a client, "
                "or tenure_testing.playing.sleep"
            )
