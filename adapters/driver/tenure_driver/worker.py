"""What a program holds of a running worker, and how its block is entered and left; the same on every event loop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from attrs import define, field

from tenure.client import Client
from tenure_driver.runner import Loop, Runner


class AsyncLoop(Loop, Protocol):
    """A `Loop` whose worker or client is a block of an async program. Made when the block is entered."""

    runner: Runner

    @abstractmethod
    async def over(self) -> None:
        """Wait until `ended` was called."""

    @abstractmethod
    async def close(self, grace: float | None) -> None:
        """Call `Runner.drain(grace)`, wait for `over` where there is an owner, call `Runner.close` in a thread, then
        `Runner.fail_calls`. A cancellation meanwhile shortens it by `Runner.drain(0)`, and is passed on after it."""


@define(eq=False)
class Worker:
    """A running worker. `client` is a client of its store; `owner` its incarnation, `name` what people call it."""

    client: Client
    name: str
    owner: str
    _loop: AsyncLoop = field(repr=False)

    def request_drain(self, grace: float | None = None) -> None:
        """Stop claiming; handlers have `grace` seconds. From any thread, and from a signal handler."""
        self._loop.runner.drain(grace)

    async def finished(self) -> int:
        """Wait until the worker has drained: how many handlers did not stop. Raises WorkerCrashed, WorkerRefused."""
        await self._loop.over()
        return self._loop.runner.left()


@asynccontextmanager
async def working(opened: Callable[[], AsyncLoop]) -> AsyncGenerator[Worker]:
    """The block of a worker. Left normally it drains for `grace` seconds and raises WorkerCrashed or WorkerRefused
    where the worker ended like that; left by an exception or a cancellation it stops the handlers at once.

    What the plugins open is opened before anything is claimed, and closed after the last handler has ended."""
    loop = opened()
    runner = loop.runner
    started = False
    try:
        async with runner.lifespan():
            runner.start()
            started = True
            try:
                yield Worker(runner.client(loop.ask), runner.options.name, runner.owner, loop)
            except GeneratorExit:  # nobody left the block, and nothing can be awaited any more
                runner.dropped("a worker")
                raise
            except BaseException:
                await loop.close(0)
                raise
            await loop.close(None)
    finally:
        if not started:
            runner.close()
    runner.left()


@asynccontextmanager
async def connected(opened: Callable[[], AsyncLoop]) -> AsyncGenerator[Client]:
    """The block of a client without a worker."""
    loop = opened()
    loop.runner.start()
    try:
        yield loop.runner.client(loop.ask)
    except GeneratorExit:
        loop.runner.dropped("a client")
        raise
    except BaseException:
        await loop.close(0)
        raise
    await loop.close(0)
