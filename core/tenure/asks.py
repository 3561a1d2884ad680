"""What a handler's context and a client ask of whoever runs them. They belong to no event loop: they do nothing but
await the injected `ask`, so that asyncio, trio, a blocking program and a test's trampoline run the same code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from attrs import frozen

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


Ask: TypeAlias = Submit | AwaitEnd | Act | CallPlain


class AskFunction(Protocol):
    """The injected coroutine function. What it returns depends on the ask, see there."""

    async def __call__(self, ask: Ask) -> Any:
        """Raises WorkerClosed where there is nobody left to answer."""
