"""Plain functions in a played world: each runs in a thread of its own, but only while the world waits for it, so that
there is one order of events whatever the machine does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from attrs import frozen

from tenure_testing.playing.tasks import Park, Sleep


@frozen
class Ended:
    """The function returned, or raised."""

    value: Any = None
    error: BaseException | None = None


class Dropped(BaseException):
    """Raised where a plain function waits when its worker crashed."""


_local = threading.local()


class Strand:
    """One plain function. `resume` runs it until it waits (a Park or Sleep) or has Ended."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._in: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._out: SimpleQueue[Park | Sleep | Ended] = SimpleQueue()
        self._dropped = False
        self._thread: threading.Thread | None = None

    def resume(self, value: Any = None) -> Park | Sleep | Ended:
        """Go on with what was waited for."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._body, name="tenure-played-handler", daemon=True)
            self._thread.start()
        else:
            self._in.put((value, None))
        return self._out.get()

    def drop(self) -> None:
        """Nobody resumes it any more: where it waits it gets Dropped, as often as it waits."""
        self._dropped = True
        if self._thread is not None and self._thread.is_alive():
            self._in.put((None, Dropped()))
            self._thread.join(1.0)

    def _body(self) -> None:
        _local.strand = self
        try:
            ended = Ended(self._call())
        except BaseException as error:
            ended = Ended(error=error)
        self._out.put(ended)

    def wait(self, what: Park | Sleep) -> Any:
        """In the function's thread: let the world go on until that is over."""
        if self._dropped:
            raise Dropped
        self._out.put(what)
        value, error = self._in.get()
        if error is not None:
            raise error
        return value


def current() -> Strand | None:
    """The strand in whose thread the code runs."""
    strand: Strand | None = getattr(_local, "strand", None)
    return strand


def pass_time(seconds: float) -> None:
    """For a plain handler in a played world: wait so long, in the world's time."""
    strand = current()
    if strand is None:
        raise RuntimeError("pass_time is for plain handlers of a played world; async ones await `sleep`")
    strand.wait(Sleep(round(seconds * 1e9)))
