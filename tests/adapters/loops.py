"""The loops under test behind one small interface, so that the suite says everything once."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, Unpack

import trio

import tenure_asyncio
import tenure_trio
from tenure import Client, Limits, Outcome, Registration, WorkerConfig
from tenure_driver import DirectOptions, Options, Store, What, Worker
from tests.adapters import trampoline

T = TypeVar("T")

BOUND = 15.0
"""Seconds after which a test gives up waiting; nothing that is right comes near."""


class Adapter(Protocol):
    """What every adapter offers."""

    def worker(
        self, what: What, store: Store | None = None, **options: Unpack[Options]
    ) -> AbstractAsyncContextManager[Worker]: ...
    def connect(
        self, store: Store, *, limits: Limits | None = None
    ) -> AbstractAsyncContextManager[Client]: ...
    def run(
        self,
        what: What,
        store: Store | None,
        main: Callable[[Client], Awaitable[T]],
        **options: Unpack[Options],
    ) -> T: ...

    async def run_process(
        self, config: WorkerConfig, registration: Registration, **options: Unpack[DirectOptions]
    ) -> Outcome: ...


class Running(ABC):
    """A task that a test started."""

    done = False
    error: BaseException | None = None

    @abstractmethod
    def cancel(self) -> None:
        """Cancel it from outside, as its surroundings would."""


class Host(ABC):
    """One loop and its adapter."""

    name: str
    adapter: Adapter
    cancelled: type[BaseException]

    @abstractmethod
    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run it on a new loop."""

    def abandon(self, main: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run it on a new loop that is closed without further ado."""
        self.run(main)

    @abstractmethod
    async def pause(self) -> None:
        """Let others run, for an instant."""

    @abstractmethod
    def spawn(self, body: Callable[[], Coroutine[Any, Any, object]]) -> Running:
        """Start a task beside the running one."""

    @abstractmethod
    async def stubborn(self, let_go: threading.Event) -> None:
        """Ignore every cancellation until `let_go` is set."""

    async def until(self, seen: Callable[[], object], bound: float = BOUND) -> None:
        """Wait until `seen()` is true. Raises AssertionError after `bound` seconds."""
        end = time.monotonic() + bound
        while not seen():
            assert time.monotonic() < end, "waited in vain"
            await self.pause()

    async def forever(self) -> None:
        """Wait for a cancellation."""
        await self.until(lambda: False, 60)


class _AsyncioTask(Running):
    def __init__(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._task = asyncio.get_running_loop().create_task(body())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self.done = True
        self.error = asyncio.CancelledError() if task.cancelled() else task.exception()

    def cancel(self) -> None:
        self._task.cancel()


class AsyncioHost(Host):
    name = "asyncio"
    adapter = tenure_asyncio
    cancelled = asyncio.CancelledError

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run(main())

    def abandon(self, main: Callable[[], Coroutine[Any, Any, object]]) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()

    async def pause(self) -> None:
        await asyncio.sleep(0.002)

    def spawn(self, body: Callable[[], Coroutine[Any, Any, object]]) -> Running:
        return _AsyncioTask(body)

    async def stubborn(self, let_go: threading.Event) -> None:
        while not let_go.is_set():
            try:
                await self.pause()
            except asyncio.CancelledError:
                pass


class _TrioTask(Running):
    def __init__(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._run, body, context=contextvars.copy_context())

    async def _run(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            with self._scope:
                await body()
            if self._scope.cancelled_caught:
                self.error = KeyError("cancelled")
        except BaseException as error:
            self.error = error
        self.done = True

    def cancel(self) -> None:
        self._scope.cancel()


class TrioHost(Host):
    name = "trio"
    adapter = tenure_trio
    cancelled = trio.Cancelled

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return trio.run(main)

    async def pause(self) -> None:
        await trio.sleep(0.002)

    def spawn(self, body: Callable[[], Coroutine[Any, Any, object]]) -> Running:
        return _TrioTask(body)

    async def stubborn(self, let_go: threading.Event) -> None:
        with trio.CancelScope(shield=True):
            await self.until(let_go.is_set, 60)


class _TrampolineTask(Running):
    def __init__(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._task = trampoline.spawn(self._run(body))

    async def _run(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            await body()
        except BaseException as error:
            self.error = error
        self.done = True

    def cancel(self) -> None:
        self._task.cancel()


class TrampolineHost(Host):
    name = "trampoline"
    adapter = trampoline
    cancelled = trampoline.Cancelled

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return trampoline.drive(main())

    async def pause(self) -> None:
        await trampoline.sleep(0.002)

    def spawn(self, body: Callable[[], Coroutine[Any, Any, object]]) -> Running:
        return _TrampolineTask(body)

    async def stubborn(self, let_go: threading.Event) -> None:
        while not let_go.is_set():
            try:
                await self.pause()
            except trampoline.Cancelled:
                pass


HOSTS: tuple[Host, ...] = (AsyncioHost(), TrioHost(), TrampolineHost())
