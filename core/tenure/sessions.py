"""What a session is to a store: an append-only tree of JSON entries with a head; its requests and their replies.

A store answers each request in one of CONTRACT §2's five ways: with the reply that belongs to it (applied now, or
applied before), SessionRefused (for good, nothing changed), Fenced, Unavailable (surely not applied) or Unknown
(perhaps applied: the same request again). Every request may be sent again: what it changes, it changes once.
`tenure.session_model` is the law, `tenure.session` what handlers and clients hold.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol, TypeAlias

from attrs import field, frozen

from tenure.canonical import Json, parsed, text_fault
from tenure.errors import InvalidValue
from tenure.replies import Fenced, Unavailable, Unknown
from tenure.requests import LARGEST
from tenure.stores import DurabilityTier

NAME_LIMIT = 512
"""Characters of a session's id: `process:` and the longest id of a process fit, whatever a store's own limit is."""
PAGE = 500
"""Entries of one read, unless it says otherwise."""


class Residency(Enum):
    """How much of a session is held in memory: the whole tree, or the path from the root to the head only."""

    KEEP_ALL = "keep_all"
    ACTIVE_PATH_ONLY = "active_path_only"


def _whole(least: int) -> Callable[[object, Any, int], None]:
    def check(request: object, attribute: Any, value: int) -> None:
        if type(value) is not int or not least <= value <= LARGEST:
            raise InvalidValue(
                f"{type(request).__name__}.{attribute.name} is {value!r}; "
                f"it must be a whole number within {least} and {LARGEST}"
            )

    return check


_at_least_0, _at_least_1 = _whole(0), _whole(1)


@frozen
class SessionPolicy:
    """How large a session may grow: entries, bytes (UTF-8) of one entry's body, and bytes of all bodies together.

    Checked when an entry is appended, and when the session is opened: a smaller policy refuses a larger session.
    """

    entries: int = field(default=100_000, validator=_at_least_1)
    entry_bytes: int = field(default=1 << 20, validator=_at_least_1)
    total_bytes: int = field(default=256 << 20, validator=_at_least_1)


@frozen
class SessionFence:
    """Under which lease a session is used: the registry's name, the process, and (epoch, token) of the claim."""

    registry: str
    process_id: str
    epoch: int = field(validator=_at_least_0)
    token: int = field(validator=_at_least_0)


@frozen
class Entry:
    """One entry: `parent` is the id of the one before it on its path, "" at the root; `seq` counts appends from 1."""

    id: str
    parent: str
    seq: int
    body: Json

    @property
    def value(self) -> Any:
        """The body, parsed."""
        return parsed(self.body)


# --- requests ---------------------------------------------------------------------------------------------------


@frozen
class Open:
    """Read where the session stands. Under a fence: raise the watermark of (registry, process) to it, in the same
    transaction, and make the session where there is none."""

    fence: SessionFence | None = None


@frozen
class ReadPath:
    """The entries from `leaf` towards the root, at most `limit`; none where there is no such leaf."""

    leaf: str
    limit: int = field(default=PAGE, validator=_at_least_1)


@frozen
class ReadTree:
    """The entries whose seq is greater than `after`, in its order, at most `limit`."""

    after: int = field(default=0, validator=_at_least_0)
    limit: int = field(default=PAGE, validator=_at_least_1)


@frozen
class AppendEntry:
    """Append an entry whose parent is the head as the caller knows it, and move the head to it.

    An id that is there already is answered with its entry, and the head stays; with another body it is refused.
    """

    entry_id: str
    parent: str
    body: Json
    fence: SessionFence | None = None


@frozen
class MoveHead:
    """Move the head from `head`, as the caller knows it, to another entry of the tree, so that the next append begins
    a branch.

    `n`: the how-many-th move of its process it is, from 1. One that was made before, by an earlier attempt perhaps,
    is answered with the head as it is, and moves nothing. 0: not counted, as a client's.
    """

    head: str
    to: str
    n: int = field(default=0, validator=_at_least_0)
    fence: SessionFence | None = None


@frozen
class Delete:
    """Remove the session and its entries. Its watermarks stay for the retry horizon."""

    fence: SessionFence | None = None


SessionRequest: TypeAlias = Open | ReadPath | ReadTree | AppendEntry | MoveHead | Delete

# --- replies ----------------------------------------------------------------------------------------------------


@frozen
class Opened:
    """The head ("" where nothing was appended), how many entries there are, and the bytes of all bodies."""

    head: str
    entries: int
    size: int


@frozen
class PathRead:
    """Entries, from the leaf towards the root. More follow unless there are none, or the last one's parent is ""."""

    entries: tuple[Entry, ...]


@frozen
class TreeRead:
    """Entries in the order of seq; fewer than asked for, or none, at the end."""

    entries: tuple[Entry, ...]


@frozen
class Appended:
    """The entry as it is stored, and the head as it is now: another one where the entry was there before."""

    entry: Entry
    head: str


@frozen
class Moved:
    """The head as it is now."""

    head: str


@frozen
class Deleted:
    """How many entries were removed."""

    entries: int


SessionReply: TypeAlias = Opened | PathRead | TreeRead | Appended | Moved | Deleted


class SessionReason(Enum):
    """Why a request was refused for good. The first three are the names of the policy's limits."""

    ENTRIES = "entries"
    ENTRY_BYTES = "entry_bytes"
    TOTAL_BYTES = "total_bytes"
    HEAD_MOVED = "head_moved"
    UNKNOWN_ENTRY = "unknown_entry"
    CONFLICT = "conflict"
    BAD_TEXT = "bad_text"


@frozen
class SessionRefused:
    """Definitive, and nothing has changed. `head`: with HEAD_MOVED, where the head is."""

    reason: SessionReason
    detail: str
    head: str = ""


SessionAnswer: TypeAlias = SessionReply | SessionRefused | Fenced | Unavailable | Unknown

# --- stores -----------------------------------------------------------------------------------------------------


class SessionStore(Protocol):
    """One session under one policy. Blocking; any thread may call, several at the same time."""

    @abstractmethod
    def execute(self, request: SessionRequest) -> SessionAnswer:
        """The answer. Each request is one transaction. What it raises is taken for trouble that may pass."""


class SessionStoreFactory(Protocol):
    """Where sessions are kept. Blocking; any thread may call, several at the same time."""

    @property
    @abstractmethod
    def tier(self) -> DurabilityTier:
        """What it promises (B6)."""

    @abstractmethod
    def open(self, session_id: str, policy: SessionPolicy) -> SessionStore:
        """The session of that id, which need not exist yet. Raises InvalidValue for the id (`session_name`); what else
        it raises is taken for trouble that may pass (W4)."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store; may be called twice."""


def session_name(session_id: object) -> str:
    """The id, if a session may have it. Raises InvalidValue for a blank one, one over the limit, or no text at all."""
    if not isinstance(session_id, str) or not session_id or session_id.isspace():
        raise InvalidValue(f"a session's id is {session_id!r}; it must be a string, neither empty nor blank")
    fault = text_fault(session_id)
    if fault:
        raise InvalidValue(f"a session's id is {session_id!r}: {fault}")
    if len(session_id) > NAME_LIMIT:
        raise InvalidValue(
            f"a session's id has {len(session_id)} characters; the limit is {NAME_LIMIT}: {session_id!r}"
        )
    return session_id
