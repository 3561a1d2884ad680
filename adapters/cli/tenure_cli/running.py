"""A worker in this operating system's process: its loop, its signals, its end."""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import click

from tenure.app import App
from tenure.errors import TenureError
from tenure_cli.exits import DONE, FAILED, code_of, say

if TYPE_CHECKING:
    from tenure_driver import Options

FLUSH_PATIENCE = 0.5
"""Seconds that the last lines of the log may take; whoever sends a second signal does not want to wait."""


class Draining(Protocol):
    """What this module needs of a worker, whichever its loop."""

    @property
    def owner(self) -> str: ...
    @property
    def name(self) -> str: ...
    def request_drain(self, grace: float | None = None) -> None: ...


class Signals:
    """SIGTERM and SIGINT: the first drains, the second ends the process at once, with 128 + its number.

    By `signal.signal`, and not by the loop, which a handler may be blocking.
    """

    def __init__(self) -> None:
        self._worker: Draining | None = None
        self._asked = False

    def install(self) -> None:
        """Take both signals over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def attach(self, worker: Draining) -> None:
        """The worker is open; a signal may have come before it was."""
        self._worker = worker
        if self._asked:
            worker.request_drain()

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            leave(128 + number)
        self._asked = True
        if self._worker is not None:
            self._worker.request_drain()


def leave(code: int) -> NoReturn:
    """End this process now: the log is flushed, threads and loops are not waited for (they join what may never end).

    The flush has a thread of its own and a bound: another thread may hold the log's lock, or nobody reads our stderr.
    """
    done = _thread.allocate_lock()
    done.acquire()
    with contextlib.suppress(RuntimeError):
        _thread.start_new_thread(_flush, (done.release,))
        done.acquire(timeout=FLUSH_PATIENCE)
    os._exit(code)


def _flush(then: Callable[[], None]) -> None:
    try:
        for stream in (*(handler for handler in logging.root.handlers), sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        then()


def run_worker(
    app: App, url: str, loop: str, options: Options, when_ready: Callable[[Draining], None]
) -> int:
    """Drive the application's processes until a signal asks for the end; the exit code.

    Exit 0 after a clean drain. After any other end handlers may still run in threads that would be waited for, so
    that this never returns then: 1 after a crash or a drain that left handlers behind, 4 for a store that became
    unusable. Raises what opening the worker raises: nothing runs yet.
    """
    signals = Signals()
    opened = False

    async def body(open_worker: Callable[..., Any]) -> int:
        nonlocal opened
        async with open_worker(app, url, **options) as worker:
            opened = True
            signals.attach(worker)
            when_ready(worker)
            left: int = await worker.finished()
            if left:
                say(
                    f"drained, but {left} handlers did not stop and were left behind; their leases will expire"
                )
                leave(FAILED)
        return DONE

    opener = _opener(loop)
    signals.install()
    try:
        if loop == "trio":
            import trio

            return trio.run(body, opener)
        import asyncio

        return asyncio.run(body(opener))
    except BaseException as error:
        if not opened:
            raise
        _said_and_left(error)


def _opener(loop: str) -> Callable[..., Any]:
    if loop == "asyncio":
        import tenure_asyncio

        return tenure_asyncio.worker
    try:
        import tenure_trio
    except ModuleNotFoundError as missing:
        if missing.name != "trio":
            raise
        raise click.UsageError(
            "--loop trio needs trio, which is not installed: pip install 'tenure[trio]'"
        ) from None
    return tenure_trio.worker


def _said_and_left(error: BaseException) -> NoReturn:
    if isinstance(error, TenureError):
        cause = f" ({type(error.__cause__).__name__}: {error.__cause__})" if error.__cause__ else ""
        say(f"Error: {error}{cause}")
        leave(code_of(error))
    logging.getLogger("tenure").critical("the worker ended by an error of tenure's own", exc_info=error)
    leave(FAILED)
