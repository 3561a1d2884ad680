"""SIGTERM and SIGINT: the first one drains the worker, the second one ends this process at once.

Python runs a signal's handler in the main thread, between two of its instructions. There the loop may be asleep, or a
handler may block it; and a signal that comes a moment before a thread goes to sleep wakes nobody. So each signal is
also written to a pipe, by the interpreter itself (`signal.set_wakeup_fd`), and a thread of our own that reads the
pipe does what is to be done.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn, Protocol

FLUSH_PATIENCE = 0.5
"""Seconds that the last lines of the log may take; whoever sends a second signal does not want to wait."""

ENDING = (signal.SIGTERM, signal.SIGINT)


class Draining(Protocol):
    """What the command needs of a worker, whichever its loop."""

    @property
    def owner(self) -> str: ...
    @property
    def name(self) -> str: ...
    def request_drain(self, grace: float | None = None) -> None: ...


class Signals:
    """Takes both signals over, inside its block. They are held back until there is a worker to drain: `draining` lets
    them through."""

    def __init__(self) -> None:
        self._worker: Draining | None = None
        self._asked = False
        self._forward = -1

    def __enter__(self) -> Signals:
        reading, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        # Before the thread is made, which so never gets one itself.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        self._before = {number: signal.signal(number, self._in_main_thread) for number in ENDING}
        threading.Thread(target=self._watch, args=(reading,), name="tenure-signals", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        os.close(self._wake)

    @contextmanager
    def draining(self, worker: Draining) -> Generator[None]:
        """Inside the running loop, and in its thread: signals are for this worker."""
        self._worker = worker
        self._forward = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)  # trio has one of its own
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        try:
            yield
        finally:
            signal.set_wakeup_fd(self._forward, warn_on_full_buffer=False)
            self._forward = -1

    def _watch(self, reading: int) -> None:
        while numbers := os.read(reading, 64):
            for number in numbers:
                if number in ENDING:
                    self._received(number)
            if self._forward >= 0:
                with contextlib.suppress(OSError):
                    os.write(self._forward, numbers)
        os.close(reading)

    def _in_main_thread(self, number: int, frame: FrameType | None) -> None:
        """Only for a signal that the pipe did not get, since a loop or the user's code put another one in its place."""
        current = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        if current != self._wake:
            signal.set_wakeup_fd(current, warn_on_full_buffer=False)
            self._received(number)

    def _received(self, number: int) -> None:
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
        for stream in (*logging.root.handlers, sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        then()
