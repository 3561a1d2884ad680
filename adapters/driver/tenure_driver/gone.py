"""Calls that nobody will answer."""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen(eq=False)
class Gone:
    """The reply to a call that nobody will answer."""

    error: Exception


def reply_of(reply: Any) -> Any:
    """The reply, or the error that stands in its place, raised."""
    if isinstance(reply, Gone):
        raise reply.error
    return reply
