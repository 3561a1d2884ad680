"""What a handler awaited that does not exist in a played world."""

from __future__ import annotations

from tenure.process import Failure, Outcome

_SIGNS = (
    "no running event loop",  # asyncio.sleep, asyncio.to_thread, TaskGroup
    "no current event loop",
    "must be called from async context",  # trio
    "no attribute 'create_future'",  # asyncio's Event, Queue, Lock, made where there is no loop
    "a coroutine of a played world awaited",  # ours: a bare future or another loop's primitive
)


class ForeignAwait(AssertionError):
    """A handler under test awaited something of an event loop, and there is none. Fields: `process_id`, `said`."""

    def __init__(self, process_id: str, said: str) -> None:
        self.process_id, self.said = process_id, said
        super().__init__(
            f"the handler of process {process_id!r} needs an event loop, and a rehearsed world has none ({said}). "
            "In it a handler may await what `ctx` and a client offer, async functions of its own that do no more, and "
            "`tenure_testing.rehearsing.sleep`; a plain handler waits by `pass_time`. Hand whatever needs asyncio or "
            "trio to the handler from outside, as a function, and pass another one in the test."
        )


def foreign(outcome: Outcome | None) -> str:
    """What was said if the handler ended by awaiting something foreign, else nothing."""
    if isinstance(outcome, Failure) and any(sign in outcome.message for sign in _SIGNS):
        return f"{outcome.failure_class}: {outcome.message}"
    return ""
