"""What a handler's context and a client ask of whoever runs them. They belong to no event loop: they do nothing but
await the injected `ask`, so that asyncio, trio, a blocking program and a test's trampoline run the same code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from tenure.process import Event
from tenure.requests import ClientRequest, EmitEvent, ReadRequest, RecordEffect


@frozen
class Submit:
    """Execute a client's request; the reply is an Answer, after retries within `timeout` seconds."""

    request: ClientRequest | ReadRequest
    timeout: float


@frozen
class AwaitEnd:
    """Wait until the process has ended, for `timeout` seconds or for ever. The reply is the record's Answer, of Get,
    or None where the time was over."""

    process_id: str
    timeout: float | None


@frozen
class AwaitEvents:
    """Wait until the process's log has an event numbered higher than `after`, of that type or, where it is empty, of
    any; or has its last event; for `timeout` seconds or for ever.

    `token`: for the handler that runs under it, which is not left waiting when it is told to stop; 0 for a client. The
    reply is Heard, of what there was when the time was over; Refused where there is no such process; Unavailable; or
    the StopReason of that handler.
    """

    process_id: str
    after: int
    timeout: float | None
    type: str = ""
    token: int = 0


@frozen
class Heard:
    """The events that were waited for, in order, none where the time was over. The log was searched up to the number
    `reached`; `ended` says that nothing follows."""

    events: tuple[Event, ...]
    reached: int
    ended: bool


@frozen
class Act:
    """A handler's request under the lease of `token`, or None for leave to act. The reply is an Answer or Permitted."""

    token: int
    request: RecordEffect | EmitEvent | None


@frozen
class CallPlain:
    """Call a plain function where it may block. The reply is what it returns; what it raises is raised."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]

    def called(self) -> Any:
        """Call it. StopIteration means something else to whoever hands it on, so it becomes a RuntimeError."""
        try:
            return self.fn(*self.args)
        except StopIteration as stop:
            raise RuntimeError(f"{self.fn!r} raised StopIteration") from stop


Ask: TypeAlias = Submit | AwaitEnd | AwaitEvents | Act | CallPlain


class AskFunction(Protocol):
    """The injected coroutine function. What it returns depends on the ask, see there."""

    async def __call__(self, ask: Ask) -> Any:
        """Raises WorkerClosed where there is nobody left to answer."""
