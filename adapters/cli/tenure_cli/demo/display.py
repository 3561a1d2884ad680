"""What people see while the demo runs, on stderr: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from tenure_cli.exits import printable

if TYPE_CHECKING:
    from rich.console import Console

EVERY = 2.0
"""Seconds between two plain lines of progress."""


@frozen
class Seen:
    """One worker as it is shown."""

    name: str
    loop: str
    pid: int
    state: str


class Display(Protocol):
    """Where the demo's messages go."""

    def __enter__(self) -> Display: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def say(self, text: str) -> None:
        """Something happened."""

    def progress(self, done: int, total: int, workers: Sequence[Seen]) -> None:
        """How far it is."""


def display() -> Display:
    """The display that fits what stderr is."""
    from rich.console import Console

    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay()


class PlainDisplay:
    """Lines, each with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {printable(text)}", file=sys.stderr, flush=True)

    def progress(self, done: int, total: int, workers: Sequence[Seen]) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            states = ", ".join(f"{worker.name} {worker.state}" for worker in workers)
            self.say(f"{done} of {total} processes ended; {states}")


class LiveDisplay:
    """A bar and the workers, redrawn in place; what happened scrolls above them."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("processes"),
            BarColumn(None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=None)
        self._live = Live(self._bar, console=console, refresh_per_second=8, transient=True)
        self._console = console

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def progress(self, done: int, total: int, workers: Sequence[Seen]) -> None:
        from rich.console import Group
        from rich.table import Table

        self._bar.update(self._task, completed=done, total=total)
        table = Table.grid(padding=(0, 2))
        for worker in workers:
            style = _STYLES.get(worker.state, "")
            table.add_row(worker.name, worker.loop, str(worker.pid), worker.state, style=style)
        self._live.update(Group(self._bar, table))


_STYLES = {"killed": "red", "stopped": "yellow", "running": "green"}
