"""A real death: the act runs in a forked process, which kills itself where it is told to."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

from attrs import frozen

ANSWERED = b"a"
"""The byte by which the child says that its request was answered."""


@frozen
class Death:
    """How the child ended: killed where it should be; whether it had been answered before; what it said if it went
    wrong instead."""

    killed: bool
    answered: bool
    trouble: str = ""


def kill_this_process() -> None:
    """Die here and now: nothing is flushed, closed or rolled back."""
    os.kill(os.getpid(), signal.SIGKILL)


def dies(act: Callable[[Callable[[], None]], None]) -> Death:
    """Run `act(answered)` in a child made by fork, until it kills itself or is done.

    Only for a process with one thread, which has no SQLite file open: a fork carries over the locks of neither.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _live(act, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    answered = said.startswith(ANSWERED)
    return Death(killed, answered, said.removeprefix(ANSWERED).decode("utf-8", "replace"))


def _live(act: Callable[[Callable[[], None]], None], writer: int) -> None:
    """In the child, to its end: nothing of the parent's (exit handlers, buffers, test runners) may run here."""
    try:
        act(lambda: _say(writer, ANSWERED))
    except BaseException:
        _say(writer, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(0)


def _say(writer: int, text: bytes) -> None:
    os.write(writer, text)
