"""The attempt machine's states, events and commands; `tenure.attempt` has the idea and the table."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from attrs import frozen

from tenure.instants import Instant
from tenure.process import Fence, Outcome, Record
from tenure.replies import Answer, Grant, Reason, Reply
from tenure.requests import Claim, ClaimNext, EmitEvent, FencedRequest, ReadCancels, RecordEffect
from tenure.timings import LeaseTimings


@frozen
class Terms:
    """What all attempts of one worker share. `max_run` has (kind, nanoseconds) for the kinds that have a bound;
    `tier_fault` is B6's message, empty where the tiers suffice; `release_delay` in ms, for transient trouble."""

    timings: LeaseTimings
    profile: str
    kinds: tuple[str, ...]
    max_run: tuple[tuple[str, int], ...] = ()
    max_lost: int = 10
    tier_fault: str = ""
    release_delay: int = 5_000


class StopReason(Enum):
    """Why a handler is told to stop."""

    CANCEL = "cancel"
    DEADLINE = "deadline"
    LEASE_LOST = "lease_lost"
    MAX_RUN = "max_run"
    DRAIN = "drain"


class End(Enum):
    """How an attempt that held the process ended."""

    COMPLETED = "completed"
    RELEASED = "released"
    LOST = "lost"
    SPENT = "spent"
    GAVE_UP = "gave_up"
    CONFLICT = "conflict"
    DETACHED = "detached"


# --- what states are made of --------------------------------------------------------------------------------------


@frozen
class Lease:
    """The lease as this worker knows it. `since`: when the accepted claim or renewal was first sent; the local
    deadline counts from there. `renewing`: when the renewal that is not settled yet was first sent."""

    fence: Fence
    epoch: int
    since: Instant
    renew_at: Instant
    renewing: Instant | None = None
    tries: int = 0


@frozen
class Call:
    """A fenced request, waiting (`ready_at`) or in flight. `ask` is the handler's call that waits for its answer."""

    id: int
    request: FencedRequest
    ready_at: Instant
    ask: int | None = None
    tries: int = 0


# --- states -------------------------------------------------------------------------------------------------------


@frozen
class Claiming:
    """A single claim is under way; `retry_at` is set while it waits to be repeated. `sent_at`: its first sending that
    may be the one that is granted. `began`: its first sending of all. `doubtful`: one of them ended as Unknown."""

    terms: Terms
    request: Claim
    call: int
    sent_at: Instant
    began: Instant
    retry_at: Instant | None = None
    tries: int = 0
    wanted: bool = True
    doubtful: bool = False


@frozen
class Holding:
    """What every state that has a lease shares."""

    terms: Terms
    record: Record
    lease: Lease
    flight: Call | None
    queue: tuple[Call, ...]


@frozen
class Opening(Holding):
    """The session is being opened by the command `opening`, under a claim that was sent at `claimed`; nothing of the
    handler runs yet."""

    opening: int
    claimed: Instant


@frozen
class Running(Holding):
    """The handler runs, since `started`."""

    started: Instant


@frozen
class Stopping(Holding):
    """The handler, which runs since `started`, was told to stop for `why`, at `stopped`. `spent`: the local deadline
    has passed. `ran_out`: its kind's max_run is over, so the lease is not renewed any more. `detail`: the reason that
    whoever asked for the cancellation gave."""

    why: StopReason
    started: Instant
    stopped: Instant
    spent: bool
    ran_out: bool
    detail: str = ""


@frozen
class Completing(Holding):
    """The handler has ended; its outcome is being written."""

    outcome: Outcome


@frozen
class Releasing(Holding):
    """The lease is being given back without an outcome."""


@frozen
class LeaseLost(Holding):
    """The lease is lost; the handler was told to stop at `stopped`. Nothing more is sent for this token."""

    stopped: Instant


@frozen
class Detached(Holding):
    """The handler did not stop. It keeps its slot, its ctx answers only that the lease is lost."""


@frozen
class AlreadyTerminal:
    """The process had ended before the claim (B11)."""

    process_id: str


@frozen
class ClaimRefused:
    """Someone else holds the process, or it cannot be claimed (B10)."""

    process_id: str
    why: str


@frozen
class Ended:
    """Over; `how` says what was written."""

    process_id: str
    how: End


AttemptState: TypeAlias = Claiming | Holding | AlreadyTerminal | ClaimRefused | Ended
"""A Holding is always one of its seven subclasses."""

# --- events -------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Event:
    """What all events carry: local time, the id for a call that the step may send, and jitter."""

    now: Instant
    tag: int = 0
    jitter: int = 0


@frozen
class CallSucceeded(Event):
    call: int
    reply: Reply


@frozen
class CallRefused(Event):
    call: int
    reason: Reason
    detail: str = ""


@frozen
class CallFenced(Event):
    call: int


@frozen
class CallUnavailable(Event):
    call: int
    cause: str = ""


@frozen
class CallUnknown(Event):
    call: int
    cause: str = ""


@frozen
class SessionOpened(Event):
    call: int


@frozen
class SessionFailed(Event):
    """`permanent`: no other try can succeed (CONTRACT §7)."""

    call: int
    permanent: bool
    message: str


@frozen
class HandlerReturned(Event):
    """The handler returned, or raised an exception of its own: either way it has an outcome."""

    outcome: Outcome


@frozen
class HandlerStopped(Event):
    """The handler ended by a cancellation."""


@frozen
class CancelSeen(Event):
    """Somebody read the row's cancel flag."""

    reason: str


@frozen
class StopAsked(Event):
    """The worker shuts down and its grace is over."""


@frozen
class Asked(Event):
    """The handler's ctx asks for a fenced request; None asks only whether it may still act."""

    ask: int
    request: RecordEffect | EmitEvent | None


@frozen
class Overdue(Event):
    """A limit in time has passed. `step` itself applies it before any other event (CONTRACT §6)."""


@frozen
class Tick(Event):
    """Time passes; what is due is sent."""


AttemptEvent: TypeAlias = (
    CallSucceeded
    | CallRefused
    | CallFenced
    | CallUnavailable
    | CallUnknown
    | SessionOpened
    | SessionFailed
    | HandlerReturned
    | HandlerStopped
    | CancelSeen
    | StopAsked
    | Asked
    | Overdue
    | Tick
)

# --- commands -----------------------------------------------------------------------------------------------------


@frozen
class Send:
    """Give the request to the store, unless `not_after` has passed when it is about to be executed (S14)."""

    id: int
    request: FencedRequest | Claim | ClaimNext | ReadCancels
    not_after: Instant | None


@frozen
class OpenSession:
    """Open the session of the process's owner, under the claim's (epoch, token), and build its runtime; answered by
    SessionOpened or SessionFailed."""

    id: int
    process_id: str
    owner_scope: str
    token: int
    epoch: int


@frozen
class StartHandler:
    """Start the handler under this grant, unless `not_after` has passed (S13); when it ends, `wake` is told (B12)."""

    grant: Grant
    epoch: int
    wake: str
    not_after: Instant


@frozen
class StopHandler:
    """Cancel the handler of that token, or tell a handler that is being cancelled a better reason."""

    process_id: str
    token: int
    reason: StopReason


@frozen
class Permitted:
    """The handler may act until the local time `until`, the deadline of its lease when it asked (S13)."""

    until: Instant


@frozen
class AnswerAsk:
    """Answer the handler's call `ask`: what the store answered, or leave to act."""

    ask: int
    answer: Answer | Permitted


@frozen
class Report:
    """Something that people should see in the log."""

    process_id: str
    what: str


Command: TypeAlias = Send | OpenSession | StartHandler | StopHandler | AnswerAsk | Report


@frozen
class Step:
    """What `step` returns: the state after the event, and what is to be done, in order."""

    state: AttemptState
    commands: tuple[Command, ...] = ()


@frozen
class Wakeup:
    """When time alone changes something, and what."""

    at: Instant
    reason: str
