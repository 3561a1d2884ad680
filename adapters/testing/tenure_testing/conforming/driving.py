"""A program that speaks the protocol: started, asked line by line with a time-out, ended. POSIX."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from abc import abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Protocol

from tenure_testing.conforming.vectors import Command, Response, line_of
from tenure_testing.conforming.wire import Garbled, from_line

LONGEST = 64 << 20
"""Bytes of one line, after which an answer is taken for garbage."""
PATIENCE = 3.0
"""Seconds for a program to end after its input was closed, and once more after it was told to."""


class Trouble(Exception):
    """What keeps a store under test from being asked at all: one sentence."""


class Subject(Protocol):
    """A store under test."""

    @abstractmethod
    def ask(self, command: Command) -> Response:
        """What it answers. Raises Trouble."""

    @abstractmethod
    def restart(self) -> None:
        """Begin anew after Trouble."""


class Program:
    """A `Subject` in a process of its own; its stderr is ours. A context manager."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command, self._timeout = list(command), timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def ask(self, command: Command) -> Response:
        process = self._process or self._start()
        text = line_of(command, Command).encode() + b"\n"
        line = self._exchange(process, text, time.monotonic() + self._timeout)
        try:
            response: Response = from_line(line, Response)
        except ValueError as error:
            raise Trouble(f"it answered what is no JSON: {line[:80]!r}") from error
        except Garbled as error:
            raise Trouble(f"its answer is not of the protocol: {error}") from error
        return response

    def restart(self) -> None:
        self._end(kill=True)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(kill=error is not None)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise Trouble(f"{self._command[0]} cannot be started: {error.strerror}") from error
        for pipe in (process.stdin, process.stdout):
            os.set_blocking(_opened(pipe).fileno(), False)
        self._process, self._rest = process, b""
        return process

    def _exchange(self, process: subprocess.Popen[bytes], text: bytes, until: float) -> bytes:
        """Send the text and read one line. Both at once: neither side may wait for ever with a full pipe."""
        to, back = _opened(process.stdin), _opened(process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(to, selectors.EVENT_WRITE)
            selector.register(back, selectors.EVENT_READ)
            read = [self._rest]
            while b"\n" not in read[-1]:
                left = until - time.monotonic()
                if left <= 0:
                    raise Trouble(f"it did not answer within {self._timeout:g} s")
                for key, _ in selector.select(left):
                    if key.fileobj is back:
                        read.append(self._read(process, back))
                        if sum(map(len, read)) > LONGEST:
                            raise Trouble(f"its answer is longer than {LONGEST} bytes")
                    else:
                        text = self._write(process, to, text)
                        if not text:
                            selector.unregister(to)
            line, _, self._rest = b"".join(read).partition(b"\n")
            return line

    def _read(self, process: subprocess.Popen[bytes], pipe: IO[bytes]) -> bytes:
        read = os.read(pipe.fileno(), 1 << 16)
        if not read:
            raise self._ended(process)
        return read

    def _write(self, process: subprocess.Popen[bytes], pipe: IO[bytes], text: bytes) -> bytes:
        try:
            return text[os.write(pipe.fileno(), text) :]
        except BrokenPipeError as error:
            raise self._ended(process) from error

    def _ended(self, process: subprocess.Popen[bytes]) -> Trouble:
        try:
            return Trouble(f"it ended with exit code {process.wait(PATIENCE)} instead of answering")
        except subprocess.TimeoutExpired:
            return Trouble("it closed its output instead of answering")

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _opened(process.stdin).close()
        try:
            if not kill:
                process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            kill = True
        if kill:
            process.kill()
        process.wait()
        _opened(process.stdout).close()


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "both pipes were asked for"
    return pipe
