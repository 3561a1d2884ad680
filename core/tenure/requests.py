"""The registry's requests (CONTRACT §4); `tenure.replies` has what they answer."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

from attrs import field, frozen

from tenure.canonical import Json
from tenure.errors import InvalidValue
from tenure.process import ClaimId, Fence, Outcome, Registration

LARGEST = (1 << 53) - 1
"""The largest number that a request takes: every store and every JSON reader carries it exactly."""


def _whole(request: object, attribute: Any, value: int) -> None:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise InvalidValue(
            f"{type(request).__name__}.{attribute.name} is {value!r}; it must be a whole number within 0 and {LARGEST}"
        )


def _page(request: object, attribute: Any, value: int) -> None:
    if type(value) is not int or not 1 <= value <= LARGEST:
        raise InvalidValue(
            f"{type(request).__name__}.{attribute.name} is {value!r}; it must be a whole number within 1 and {LARGEST}"
        )


def _claim_id(request: object, attribute: Any, value: ClaimId) -> None:
    _page(request, attribute, value.n)


# --- requests under a lease -------------------------------------------------------------------------------------


@frozen
class Renew:
    """Extend the lease by `ttl` ms from store time. Tests the expiry; never shortens; never changes tokens."""

    fence: Fence
    ttl: int = field(validator=_whole)


@frozen
class RecordEffect:
    """Record an effect's result, once per key. Tests the expiry."""

    fence: Fence
    key: str
    fingerprint: str
    result: Json


@frozen
class EmitEvent:
    """A handler's event. Without a key of its own the caller passes one made from token and number."""

    fence: Fence
    type: str
    payload: Json
    key: str


@frozen
class Complete:
    """Write the terminal outcome, its event, and release, in one transaction. Does not test the expiry."""

    fence: Fence
    outcome: Outcome


@frozen
class Release:
    """Give the process back, claimable `delay` ms from now; a row with the cancel flag ends as cancelled."""

    fence: Fence
    delay: int = field(default=0, validator=_whole)


# --- claims -----------------------------------------------------------------------------------------------------


@frozen
class ClaimFilter:
    """Which rows this worker can run: its host profile, its kinds, and the processes that it must leave alone."""

    profile: str
    kinds: tuple[str, ...]
    exclude: tuple[str, ...] = ()


@frozen
class ClaimNext:
    """Claim up to `limit` claimable rows for `ttl` ms, in the order of (ready_at, seq)."""

    claim: ClaimId = field(validator=_claim_id)
    ttl: int = field(validator=_whole)
    limit: int = field(validator=_whole)
    filter: ClaimFilter


@frozen
class Claim:
    """Claim one process for `ttl` ms."""

    claim: ClaimId = field(validator=_claim_id)
    process_id: str
    ttl: int = field(validator=_whole)


# --- requests of a client ---------------------------------------------------------------------------------------


@frozen
class Register:
    """Make the process, once; `delay` ms before it may first be claimed (not part of what is compared)."""

    registration: Registration
    delay: int = field(default=0, validator=_whole)


@frozen
class AppendEvent:
    """A client's event, once per key; refused after the terminal event."""

    process_id: str
    type: str
    payload: Json
    key: str


@frozen
class RequestCancel:
    """Ask for cancellation; the first reason stays. A process that nobody holds ends as cancelled at once (S16)."""

    process_id: str
    reason: str = ""


@frozen
class CompleteExternal:
    """End an external process; `authority` names who says so, and is recorded."""

    process_id: str
    authority: str
    outcome: Outcome


@frozen
class Prune:
    """Remove up to `limit` rows that ended more than `older_than` ms ago, and never within the retry horizon."""

    older_than: int = field(default=0, validator=_whole)
    limit: int = field(default=1_000, validator=_page)


# --- reads ------------------------------------------------------------------------------------------------------


@frozen
class Get:
    process_id: str


class Phase(Enum):
    """Where a process is, as a reader sees it."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"


def _phase(request: object, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, Phase):
        known = ", ".join(str(phase) for phase in Phase)
        raise InvalidValue(f"a list's phase is {value!r}; it must be one of {known}, or None for all")


def _text(request: object, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"a list's {attribute.name} is {value!r}; it must be a string, or None for all")


@frozen
class List:
    """Records after `after` in the order of seq, at most `limit`; None matches all."""

    after: int = field(default=0, validator=_whole)
    limit: int = field(default=100, validator=_page)
    phase: Phase | None = field(default=None, validator=_phase)
    kind: str | None = field(default=None, validator=_text)
    owner_scope: str | None = field(default=None, validator=_text)


@frozen
class ReadEvents:
    process_id: str
    after: int = field(default=0, validator=_whole)
    limit: int = field(default=100, validator=_page)


@frozen
class ReadOwnerEvents:
    """A session's log: which of its processes ended after version `after`, in the order of version (B12)."""

    owner_scope: str
    after: int = field(default=0, validator=_whole)
    limit: int = field(default=100, validator=_page)


@frozen
class ReadEffects:
    process_id: str
    after: str = ""
    limit: int = field(default=100, validator=_page)


@frozen
class ReadEndings:
    """Which processes ended after version `after`, in the order of version: how many waiters share one read."""

    after: int = field(validator=_whole)
    limit: int = field(default=1_000, validator=_page)


@frozen
class ReadCancels:
    """Which processes held by `owner` carry the cancel flag."""

    owner: str
    limit: int = field(default=1_000, validator=_page)


@frozen
class ReadFenceLog:
    """The newest refusals of fenced requests, newest first."""

    limit: int = field(default=100, validator=_page)


FencedRequest: TypeAlias = Renew | RecordEffect | EmitEvent | Complete | Release
ClaimRequest: TypeAlias = ClaimNext | Claim
ClientRequest: TypeAlias = Register | AppendEvent | RequestCancel | CompleteExternal | Prune
ReadRequest: TypeAlias = (
    Get | List | ReadEvents | ReadOwnerEvents | ReadEffects | ReadEndings | ReadCancels | ReadFenceLog
)
Request: TypeAlias = FencedRequest | ClaimRequest | ClientRequest | ReadRequest
