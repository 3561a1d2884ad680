"""The worker machine's states, events and commands; `tenure.worker` has the idea and the table."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from tenure.attempt_types import (
    CallFenced,
    CallRefused,
    CallSucceeded,
    CallUnavailable,
    CallUnknown,
    Event,
    Report,
    Send,
    Terms,
    Tick,
)
from tenure.instants import Instant
from tenure.replies import Grant
from tenure.requests import ClaimNext


@frozen
class WorkerTerms:
    """What the worker machine is told once: who it is, how many handlers it runs, how many rows one claim may ask
    for, and how long it waits between polls, in nanoseconds."""

    owner: str
    terms: Terms
    max_running: int
    claim_limit: int
    poll_interval: int


# --- states -------------------------------------------------------------------------------------------------------


@frozen
class ClaimCall:
    """The claim that is outstanding: in flight, or waiting until `retry_at` to be sent again with the same id.
    `doubtful`: a sending of it ended as Unknown, so it may have been granted. `sent_at`: the first sending that may
    be the one that is granted."""

    call: int
    request: ClaimNext
    sent_at: Instant
    retry_at: Instant | None = None
    doubtful: bool = False


@frozen
class Working:
    """What Driving and Draining share. `running` counts attempts that have not ended; `exclude` has (process id, token)
    of the handlers that still run here without a lease; `tries` counts failures in a row."""

    terms: WorkerTerms
    running: int
    exclude: tuple[tuple[str, int], ...]
    claim: ClaimCall | None
    reading: int | None
    tries: int


@frozen
class Driving(Working):
    """Claims and runs. `hungry`: there may be something to claim. `hinted`: the feed spoke since the claim was sent.
    `cancels`: there may be a cancellation to read."""

    hungry: bool
    hinted: bool
    cancels: bool
    poll_at: Instant


@frozen
class Draining(Working):
    """Claims nothing more. At `until` the handlers are told to stop (`told`), and `stop_grace` later it is over."""

    until: Instant
    told: bool


@frozen
class Stopped:
    """Over. `left` handlers did not stop; `refused` is why the worker never drove, or empty."""

    left: int
    refused: str = ""


WorkerState: TypeAlias = Working | Stopped

# --- events of its own --------------------------------------------------------------------------------------------


@frozen
class AttemptEnded(Event):
    """An attempt is over: its slot is free, and its process may be claimed here again."""

    process_id: str
    token: int


@frozen
class AttemptUnheld(Event):
    """An attempt lost its lease or its time while its handler still runs."""

    process_id: str
    token: int


@frozen
class WorkHinted(Event):
    """The feed saw work made claimable, or a cancellation asked for."""


@frozen
class DrainAsked(Event):
    """Stop claiming; handlers have `grace` nanoseconds before they are told to stop."""

    grace: int


WorkerEvent: TypeAlias = (
    CallSucceeded
    | CallRefused
    | CallFenced
    | CallUnavailable
    | CallUnknown
    | AttemptEnded
    | AttemptUnheld
    | WorkHinted
    | DrainAsked
    | Tick
)

# --- commands of its own ------------------------------------------------------------------------------------------


@frozen
class BeginAttempt:
    """Begin an attempt with this grant of the claim sent at `sent_at`; one that is not wanted is released at once."""

    grant: Grant
    epoch: int
    sent_at: Instant
    wanted: bool


@frozen
class ShowCancels:
    """Tell the attempts of these (process id, token, reason) that they are to be cancelled."""

    cancels: tuple[tuple[str, int, str], ...]


@frozen
class StopAttempts:
    """Tell every attempt that the worker shuts down."""


WorkerCommand: TypeAlias = Send | BeginAttempt | ShowCancels | StopAttempts | Report


@frozen
class WorkerStep:
    """The state after the event, and what is to be done, in order."""

    state: WorkerState
    commands: tuple[WorkerCommand, ...] = ()
