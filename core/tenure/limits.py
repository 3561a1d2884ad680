"""Sizes and times that the registry keeps, and why a name or a payload is refused."""

from __future__ import annotations

from typing import assert_never

from attrs import frozen

from tenure.canonical import text_fault, utf8_size
from tenure.process import RESERVED, Cancelled, Failure, Outcome, Success
from tenure.replies import Reason, Refused


@frozen
class Limits:
    """Sizes that the registry refuses to exceed, and its own times.

    `payload` bytes of one JSON text; `name` characters of ids, kinds, keys and event types; `takeover_wait` and
    `takeover_cap` ms: the second take-over in a row waits the former after the expiry, each further one twice as
    long, at most the latter; `retry_horizon` ms: how long a row that ended can still answer a replay.
    """

    payload: int = 1 << 20
    name: int = 255
    takeover_wait: int = 1_000
    takeover_cap: int = 60_000
    retry_horizon: int = 86_400_000
    fence_log: int = 10_000


DEFAULT_LIMITS = Limits()


def bad_name(name: str, limits: Limits) -> Refused | None:
    """Why an id, kind, key or event type is refused."""
    if not name or name.isspace():
        return Refused(Reason.BLANK, "an id, kind, key or type must not be empty or blank")
    return bad_text(name, limits.name)


def bad_text(text: str, limit: int) -> Refused | None:
    """Why a text that may be empty is refused; `limit` in characters."""
    if len(text) > limit:
        return Refused(Reason.NAME_TOO_LONG, f"{len(text)} characters; the limit is {limit}")
    fault = text_fault(text)
    return Refused(Reason.BAD_TEXT, fault) if fault else None


def noted(text: str) -> str:
    """The text as a note carries it: a stale fence may name anything, and every store must be able to keep it."""
    return text.encode(errors="replace").decode().replace("\0", "?")[:1_000]


def too_large(text: str, limits: Limits) -> Refused | None:
    """Why a body (of JSON, or a reason) is refused: a text that no store could carry, or more bytes than allowed."""
    fault = text_fault(text)
    if fault:
        return Refused(Reason.BAD_TEXT, fault)
    size, limit = utf8_size(text), limits.payload
    return Refused(Reason.TOO_LARGE, f"{size} bytes; the limit is {limit}") if size > limit else None


def bad_event(kind: str, key: str, payload: str, limits: Limits) -> Refused | None:
    """Why an event from outside the registry is refused."""
    if kind.startswith(RESERVED):
        return Refused(
            Reason.RESERVED_EVENT, f"event types beginning with {RESERVED!r} are the registry's own"
        )
    return bad_name(kind, limits) or bad_name(key, limits) or too_large(payload, limits)


def bad_outcome(outcome: Outcome, limits: Limits) -> Refused | None:
    """Why an outcome is refused: every text of it together, so that a row stays within the limit."""
    match outcome:
        case Success():
            text = outcome.value + outcome.control
        case Failure():
            text = outcome.failure_class + outcome.code + outcome.message + outcome.raw + outcome.control
        case Cancelled():
            text = outcome.reason + outcome.control
        case _:
            assert_never(outcome)
    return too_large(text, limits)
