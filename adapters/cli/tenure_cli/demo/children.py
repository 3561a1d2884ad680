"""The demo's operating system processes: started, stopped, continued, killed, and none of them left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tenure_cli.demo.journal import What, lines
from tenure_cli.demo.worker import STOP

END = 1.5
"""Seconds that the end of all children may take before we stop waiting for it."""


class ChildEnded(Exception):
    """A worker ended though nobody asked it to."""


class Worker:
    """One worker; `loop` is asyncio or trio. Signals go to its id only while it has not been waited for."""

    def __init__(self, name: str, loop: str, command: list[str], group: int, folder: Path) -> None:
        self.name, self.loop = name, loop
        self.journal = folder / f"{name}.ndjson"
        self.log = folder / f"{name}.log"
        self.stopped = False
        self.exit: int | None = None
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--name", name, "--loop", loop, "--journal", str(self.journal)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                process_group=group,
            )

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it neither ended nor is stopped."""
        self.look()
        return self.exit is None and not self.stopped

    def look(self) -> None:
        """Ask the kernel what became of it."""
        while self.exit is None:
            found, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if not found:
                return
            if os.WIFSTOPPED(status):
                self.stopped = True
            elif os.WIFCONTINUED(status):
                self.stopped = False
            else:
                self.stopped = False
                self.exit = self._process.returncode = os.waitstatus_to_exitcode(status)

    def owner(self) -> str | None:
        """Its incarnation, once it is ready."""
        if not self.journal.exists():
            return None
        return next((line.key for line in lines(self.journal) if line.what is What.READY), None)

    def tell_to_stop(self) -> None:
        """It will stop itself, at its next Complete."""
        assert self._process.stdin is not None
        self._process.stdin.write(STOP)
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Send the signal, unless it has ended."""
        self.look()
        if self.exit is None:
            os.kill(self.pid, number)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-2_000:].strip()

    def close(self) -> None:
        """Let go of its stdin."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass


class Children:
    """All of them, in a process group that the reaper leads; leaving the block kills the group."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command, self._folder = command, folder
        self.workers: list[Worker] = []

    def __enter__(self) -> Children:
        self._reaper = subprocess.Popen(
            [sys.executable, "-m", "tenure_cli.demo.reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # not the terminal's: Ctrl-C is for the demo, which then ends them all
        )
        assert self._reaper.stdout is not None
        if self._reaper.stdout.readline() != b"ready\n":
            raise ChildEnded("the process that cleans up after the demo did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._reaper.stdin is not None
        assert self._reaper.stdout is not None
        self._reaper.stdin.close()
        self._reaper.stdout.close()
        for worker in self.workers:
            worker.close()
        wait_until(self._all_ended, END)

    def start(self, name: str, loop: str) -> Worker:
        """Start a worker."""
        worker = Worker(name, loop, self._command, self._reaper.pid, self._folder)
        self.workers.append(worker)
        return worker

    def unexpected(self, expected: set[str]) -> None:
        """Raise ChildEnded for a worker that ended and whose name is not expected."""
        for worker in self.workers:
            worker.look()
            if worker.exit is not None and worker.name not in expected:
                raise ChildEnded(
                    f"worker {worker.name} ended by itself with {worker.exit}; its log {worker.log} ends: "
                    f"{worker.last_words() or '(empty)'}"
                )

    def _all_ended(self) -> bool:
        for worker in self.workers:
            worker.look()
        return self._reaper.poll() is not None and all(worker.exit is not None for worker in self.workers)


def wait_until(holds: Callable[[], bool], timeout: float, every: float = 0.02) -> bool:
    """Whether it held within `timeout` seconds."""
    until = time.monotonic() + timeout
    while not holds():
        if time.monotonic() >= until:
            return False
        time.sleep(every)
    return True
