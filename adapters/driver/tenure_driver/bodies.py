"""Plain functions that run in threads for a handler. A thread cannot be stopped, so a handler counts as running until
the last of its threads has ended: until then its lease is renewed, its slot stays taken, and nobody else gets its
process. If that takes too long, the attempt is detached and reported as any handler is that does not stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Generic, TypeVar

from tenure.context import Context
from tenure.errors import LeaseLost
from tenure.process import Outcome

T = TypeVar("T")

handler_of: ContextVar[tuple[int, Context] | None] = ContextVar("tenure_handler", default=None)
"""The token and context of the handler in whose contextvars the code runs."""


class Bodies:
    """Counts them, by the token of their handler. `report` is called with the outcome of a handler whose threads
    outlived it, once the last has ended: in that thread."""

    def __init__(self, report: Callable[[int, Outcome | None], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._running: dict[int, int] = {}
        self._ended: dict[int, Outcome | None] = {}

    def body(self, call: Callable[[], T]) -> Body[T]:
        """The call, to be made in a thread; it belongs to the handler that is current here."""
        return Body(self, call)

    def all_ended(self, token: int, outcome: Outcome | None) -> bool:
        """The handler itself ended. True: with all its threads; else its outcome is reported with the last of them."""
        with self._lock:
            if token not in self._running:
                return True
            self._ended[token] = outcome
            return False

    def begin(self, body: Body[T]) -> bool:
        """In the thread: whether the call may still be made."""
        with self._lock:
            if body.dropped:
                return False
            if body.handler is not None:
                token, ctx = body.handler
                if ctx.stop_reason in ("deadline", "lease_lost"):
                    return False
                self._running[token] = self._running.get(token, 0) + 1
            return True

    def end(self, body: Body[T]) -> None:
        """In the thread: the call was made."""
        if body.handler is None:
            return
        token = body.handler[0]
        with self._lock:
            self._running[token] -= 1
            if self._running[token]:
                return
            del self._running[token]
            if token not in self._ended:
                return
            outcome = self._ended.pop(token)
        self._report(token, outcome)

    def drop(self, body: Body[T]) -> None:
        """Nobody waits for the call any more: if it has not begun, it never will."""
        with self._lock:
            body.dropped = True


class Body(Generic[T]):
    """One plain function on its way to a thread. Raises LeaseLost where it came too late to be called (S13)."""

    def __init__(self, bodies: Bodies, call: Callable[[], T]) -> None:
        self._bodies, self._call = bodies, call
        self.handler = handler_of.get()
        self.dropped = False

    def __call__(self) -> T:
        """In the thread."""
        if not self._bodies.begin(self):
            raise LeaseLost(self.handler[1].id if self.handler else "")
        try:
            return self._call()
        finally:
            self._bodies.end(self)

    def drop(self) -> None:
        """Whoever waited for the call is gone, or has its result."""
        self._bodies.drop(self)
