"""The replies to the registry's requests, and the five ways in which a request can end (CONTRACT §2)."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from attrs import frozen

from tenure.canonical import Json
from tenure.instants import StoreTime
from tenure.process import Effect, Event, Fence, Outcome, Record

# --- replies ----------------------------------------------------------------------------------------------------


@frozen
class Stamp:
    """What every accepted mutation answers: the row's token, its version, and store time."""

    token: int
    version: int
    at: StoreTime


@frozen
class Grant:
    """One lease: the fence to write under, and the record read in the same transaction."""

    fence: Fence
    record: Record


@frozen
class Claimed:
    """The leases granted, perhaps none; `epoch` is the registry's, for tokens compared outside it."""

    grants: tuple[Grant, ...]
    epoch: int


@frozen
class Renewed:
    stamp: Stamp
    expires_at: StoreTime
    cancel: str | None


@frozen
class EffectRecorded:
    """`result` is what is stored: the first writer's."""

    stamp: Stamp
    result: Json


@frozen
class EventAppended:
    stamp: Stamp
    seq: int


@frozen
class Completed:
    stamp: Stamp
    outcome: Outcome


@frozen
class Released:
    """`outcome` is set where the release ended a process that was to be cancelled."""

    stamp: Stamp
    outcome: Outcome | None


@frozen
class Registered:
    stamp: Stamp
    seq: int


@frozen
class CancelAccepted:
    """`outcome` is set where the process has ended, by this request or before it."""

    stamp: Stamp
    outcome: Outcome | None


@frozen
class Pruned:
    count: int


@frozen
class Got:
    record: Record


@frozen
class Listed:
    """Records, and the `after` of the next page, or None after the last."""

    records: tuple[Record, ...]
    next: int | None


@frozen
class EventsRead:
    """Events in order; `ended` says that the last of them is the process's last for good."""

    events: tuple[Event, ...]
    ended: bool


@frozen
class ProcessEnded:
    """An entry of a session's log: one of its processes ended (B12). No store writes it: it is read off the row, and
    goes with it when that is pruned. `version` is that of the ending, `status` as in `outcome_json`."""

    process_id: str
    status: str
    version: int
    token: int
    at: StoreTime


@frozen
class OwnerEventsRead:
    events: tuple[ProcessEnded, ...]


@frozen
class EffectsRead:
    effects: tuple[Effect, ...]
    next: str | None


@frozen
class EndingsRead:
    """(version, process id) of what ended; `latest` is the store's latest version at the time of reading."""

    endings: tuple[tuple[int, str], ...]
    latest: int


@frozen
class CancelsRead:
    """(process id, token, reason) of the held processes that are to be cancelled."""

    cancels: tuple[tuple[str, int, str], ...]


@frozen
class FenceNote:
    """One refused fenced request (CONTRACT §4). `current` is 0 where the row is gone."""

    process_id: str
    request: str
    stale: int
    current: int
    owner: str
    at: StoreTime


@frozen
class FenceLogRead:
    """`total` counts all refusals ever noted, `notes` are the newest of those kept."""

    notes: tuple[FenceNote, ...]
    total: int


Reply: TypeAlias = (
    Claimed
    | Renewed
    | EffectRecorded
    | EventAppended
    | Completed
    | Released
    | Registered
    | CancelAccepted
    | Pruned
    | Got
    | Listed
    | EventsRead
    | OwnerEventsRead
    | EffectsRead
    | EndingsRead
    | CancelsRead
    | FenceLogRead
)

# --- answers ----------------------------------------------------------------------------------------------------


class Reason(Enum):
    """Why a request was refused for good."""

    NOT_FOUND = "not_found"
    BLANK = "blank"
    NAME_TOO_LONG = "name_too_long"
    BAD_TEXT = "bad_text"
    TOO_LARGE = "too_large"
    CONFLICT = "conflict"
    ENDED = "ended"
    HELD = "held"
    NOT_READY = "not_ready"
    EXTERNAL = "external"
    NOT_EXTERNAL = "not_external"
    UNDECLARED_EVENT = "undeclared_event"
    RESERVED_EVENT = "reserved_event"
    EFFECT_MISMATCH = "effect_mismatch"


@frozen
class Succeeded:
    """Applied now, or applied before (a replay)."""

    reply: Reply


@frozen
class Refused:
    """Definitive; never retried."""

    reason: Reason
    detail: str = ""


@frozen
class Fenced:
    """The fence does not hold, or the process has ended otherwise: the lease is lost."""


@frozen
class Unavailable:
    """Surely not applied; may be sent again."""

    cause: str = ""


@frozen
class Unknown:
    """Perhaps applied: the same request again, or a read, and nothing else (S18)."""

    cause: str = ""


Answer: TypeAlias = Succeeded | Refused | Fenced | Unavailable | Unknown
