"""What a process is: its registration, its record in the registry, its events, its effects and its outcome."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias, assert_never

from attrs import field, frozen

from tenure.canonical import NULL, Json, canonical, parsed
from tenure.instants import StoreTime

RESERVED = "process."
"""The prefix of the event types that only the registry writes."""
CANCEL_REQUESTED = "process.cancel_requested"
ENDED = "process.ended"


def own_session(process_id: str) -> str:
    """The session of a process that was started without an owner (CONTRACT §8)."""
    return f"process:{process_id}"


@frozen
class Provenance:
    """Which session owns the process, and which kind of deployment made it (empty: any may run it)."""

    owner_scope: str = ""
    host_profile_id: str = ""


@frozen
class Work:
    """Input for a handler of `kind`."""

    kind: str
    payload: Json = NULL


@frozen
class External:
    """Work done elsewhere; only metadata. Never claimed, completed by CompleteExternal."""

    metadata: Json = NULL


@frozen
class Registration:
    """What starts a process. `event_types` are those that its handler may emit."""

    id: str
    input: Work | External
    event_types: tuple[str, ...] = ()
    provenance: Provenance = Provenance()

    @property
    def kind(self) -> str:
        """The handler's kind; empty for an external input."""
        return self.input.kind if isinstance(self.input, Work) else ""


@frozen
class Success:
    """The handler returned `value`."""

    value: Json = NULL
    control: Json = NULL


@frozen
class Failure:
    """The handler raised, or the process could not be run. `raw` is whatever else is known, as JSON."""

    failure_class: str
    code: str
    message: str
    raw: Json = NULL
    control: Json = NULL


@frozen
class Cancelled:
    """Ended on request."""

    reason: str = ""
    control: Json = NULL


Outcome: TypeAlias = Success | Failure | Cancelled


def status_of(outcome: Outcome) -> str:
    """The outcome in one word: succeeded, failed or cancelled."""
    match outcome:
        case Success():
            return "succeeded"
        case Failure():
            return "failed"
        case Cancelled():
            return "cancelled"
        case _:
            assert_never(outcome)


def outcome_json(outcome: Outcome) -> Json:
    """The outcome as canonical JSON, the same text in every store."""
    match outcome:
        case Success():
            body: dict[str, Any] = {"value": parsed(outcome.value)}
        case Failure():
            body = {
                "class": outcome.failure_class,
                "code": outcome.code,
                "message": outcome.message,
                "raw": parsed(outcome.raw),
            }
        case Cancelled():
            body = {"reason": outcome.reason}
        case _:
            assert_never(outcome)
    body["status"] = status_of(outcome)
    if outcome.control != NULL:
        body["control"] = parsed(outcome.control)
    return canonical(body, "the outcome")


@frozen
class ClaimId:
    """The claim `n` of the worker incarnation `owner`; the lease token of every row that the claim got."""

    owner: str
    n: int


@frozen
class Fence:
    """What every write under a lease carries (CONTRACT §1): nothing is accepted without all of it."""

    process_id: str
    claim: ClaimId
    token: int


class EndedBy(Enum):
    """Which request ended a process; a replay of that very request is answered, any other is fenced."""

    COMPLETE = "complete"
    RELEASE = "release"
    CANCEL = "cancel"
    EXTERNAL = "external"


@frozen
class Record:
    """One row of the registry.

    `token` and `claim` stay after release and completion, so that replays are recognised; `held` says whether there
    is a holder. `ready_at` is when the row may first be claimed, or again after a release, and its place in the order
    of claims. `cancel` is None, or the reason of the first request (perhaps empty). `changed_at` is the store
    time of the last accepted change; of a row that ended, when it ended.
    """

    registration: Registration
    seq: int
    version: int
    changed_at: StoreTime
    ready_at: StoreTime
    token: int = 0
    claim: ClaimId | None = None
    held: bool = False
    expires_at: StoreTime = StoreTime(0)
    cancel: str | None = None
    claims: int = 0
    lost: int = 0
    events: int = 0
    outcome: Outcome | None = None
    ended_by: EndedBy | None = None
    authority: str = ""

    @property
    def id(self) -> str:
        """The process id."""
        return self.registration.id

    def now(self, clock: StoreTime) -> StoreTime:
        """Store time for this row: the store's clock, but never before the row's last accepted change (C1)."""
        return max(clock, self.changed_at)

    def live(self, now: StoreTime) -> bool:
        """Whether somebody holds the row and the lease has not expired; the expiry is exclusive (K18)."""
        return self.held and now < self.expires_at


@frozen
class Event:
    """One entry of a process's log. `key` makes appending repeatable, `token` is 0 for a client's."""

    process_id: str
    seq: int
    type: str
    payload: Json
    key: str
    token: int
    at: StoreTime

    @property
    def value(self) -> Any:
        """The payload as JSON types."""
        return parsed(self.payload)


@frozen
class Effect:
    """A recorded effect: its result, and the fingerprint of what was called."""

    process_id: str
    key: str
    fingerprint: str
    result: Json
    token: int
    version: int = field(default=0)


def terminal_event(record: Record) -> Event | None:
    """The last event of a process that ended; it is kept inside the record and numbered like any other."""
    if record.outcome is None:
        return None
    payload = outcome_json(record.outcome)
    return Event(record.id, record.events, ENDED, payload, "r:ended", record.token, record.changed_at)
