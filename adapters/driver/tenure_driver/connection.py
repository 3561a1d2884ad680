"""A client for a program without an event loop."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tenure.asks import Ask
from tenure.limits import Limits
from tenure_driver.blocking import BlockingClient
from tenure_driver.options import WorkerOptions
from tenure_driver.rebuilding import AwaitStart
from tenure_driver.runner import Runner, Spawned, Store


class _NoLoop:
    """Every call of a blocking client is answered in the thread that waits for it, so there is nobody to wake."""

    runner: Runner

    async def ask(self, ask: Ask | AwaitStart) -> Any:
        """A blocking client asks by `Runner.blocking_ask`."""
        raise AssertionError(ask)

    def wake(self) -> None:
        """Drop what nobody waits for any more, right in the machine thread."""
        self.runner.pump()

    def spawn(self, job: Spawned) -> None:
        """A client runs no handlers."""

    def cancel(self, token: int) -> None:
        """A client runs no handlers."""

    def ended(self) -> None:
        """Whoever waits was told."""


@contextmanager
def connect(store: Store, *, limits: Limits | None = None) -> Generator[BlockingClient]:
    """A blocking client of the store, by URL, as an object or as a configuration; closed with the block.

    Raises InvalidValue and StoreUnusable as `open_store` does.
    """
    loop = _NoLoop()
    runner = loop.runner = Runner(None, store, WorkerOptions(limits=limits or Limits()), loop)
    runner.start()
    try:
        yield BlockingClient(runner.client(runner.blocking_ask))
    except GeneratorExit:
        runner.dropped("a client")
        raise
    finally:
        runner.close()
