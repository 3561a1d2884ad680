"""What crosses threads: immutable values, in lists, through queues only."""

from __future__ import annotations

from typing import Any, TypeAlias

from attrs import field, frozen

from tenure.asks import Act, AwaitEnd, AwaitEvents, Submit
from tenure.attempt_types import OpenSession, Report, StartHandler, StopHandler
from tenure.instants import Instant
from tenure.process import Outcome
from tenure.replies import Answer
from tenure.requests import Request
from tenure.stores import Cursor

# --- into the machine thread --------------------------------------------------------------------------------------


@frozen
class Asked:
    """A handler's or client's call number `ask`."""

    ask: int
    what: Submit | AwaitEnd | AwaitEvents | Act


@frozen
class Abandoned:
    """Nobody waits for `ask` any more."""

    ask: int


@frozen
class Returned:
    """The handler of that token has an outcome, or None where it was stopped."""

    token: int
    outcome: Outcome | None


@frozen
class Opened:
    """What the machine's OpenSession number `call` came to: nothing, or a fault."""

    call: int
    fault: OpeningFault | None = None


@frozen
class OpeningFault:
    """Why the session was not opened. `permanent`: no worker could ever open it (CONTRACT §7)."""

    permanent: bool
    message: str


@frozen
class Answered:
    """The store's answers to calls by their ids."""

    answers: tuple[tuple[int, Answer], ...]


@frozen
class Changed:
    """The change feed moved."""

    cursor: Cursor


@frozen
class Drain:
    """Stop claiming; handlers have `grace` nanoseconds."""

    grace: int


@frozen
class Failed:
    """A thread of the driver ended by an error."""

    thread: str
    error: BaseException = field(eq=False)


@frozen
class Quit:
    """End the threads."""


Inbound: TypeAlias = Asked | Abandoned | Returned | Opened | Answered | Changed | Drain | Failed | Quit

# --- out of it ----------------------------------------------------------------------------------------------------


@frozen
class StoreCall:
    """One request for the store thread."""

    id: int
    request: Request
    not_after: Instant | None


@frozen
class Reply:
    """The reply to the call `ask`."""

    ask: int
    value: Any = field(eq=False)


@frozen
class Stopped:
    """The worker is over; `left` handlers did not stop, `refused` says why it never drove."""

    left: int
    refused: str = ""


@frozen
class OpeningOver:
    """The attempt of that token ended before its handler could start: what was opened for it is closed."""

    token: int


Loopward: TypeAlias = Reply | OpenSession | OpeningOver | StartHandler | StopHandler | Stopped | Failed


@frozen
class Outbox:
    """What a turn wants done: calls for the store, messages for the loop, reports for the log; when to turn again;
    and whether anybody waits for the change feed."""

    calls: tuple[StoreCall, ...]
    loop: tuple[Loopward, ...]
    reports: tuple[Report, ...]
    wake_at: Instant | None
    feed: bool
