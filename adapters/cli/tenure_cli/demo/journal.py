"""What a worker did, line by line, in an append-only file of its own beside the store.

The audit trusts it more than the database: the database is what is audited. Each line is one `os.write` to a file
opened with O_APPEND, so that whatever was written is there after SIGKILL; the last line may be torn.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from attrs import frozen

SUFFIX = ".ndjson"


class What(Enum):
    """What a line tells of. `key` is the effect's; for ENDED the version of the terminal event, for DECLINED the
    request's name, for READY the worker's incarnation."""

    READY = "ready"
    STARTED = "started"
    EFFECT_BEGUN = "effect_begun"
    EFFECT_ENDED = "effect_ended"
    ENDED = "ended"
    """The store acknowledged the process's Complete."""
    DECLINED = "declined"
    """The worker dropped a write by itself: it was past its time (S14)."""
    STOPPED = "stopped"
    """The worker stops itself with this process's Complete in its hands."""


@frozen
class Line:
    """`begin` and `end` in nanoseconds of the system-wide monotonic clock; `end` is None for what has only begun."""

    what: What
    process: str
    token: int
    key: str
    begin: int
    end: int | None


class Journal:
    """Appends; any thread may."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(
        self, what: What, process: str = "", token: int = 0, key: str = "", *, since: int | None = None
    ) -> int:
        """Append a line, of now, or from `since` until now; now."""
        now = time.monotonic_ns()
        begin, end = (now, None) if since is None else (since, now)
        body = {
            "what": what.value,
            "process": process,
            "token": token,
            "key": key,
            "begin": begin,
            "end": end,
        }
        os.write(self._fd, (json.dumps(body) + "\n").encode())
        return now

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


class Damaged(Exception):
    """A line that no writer of ours left, elsewhere than at the end."""


def lines(path: Path) -> Iterator[Line]:
    """The lines of one file; a torn last one is left out. Raises Damaged."""
    *whole, _torn = path.read_bytes().split(b"\n")
    for number, text in enumerate(whole, 1):
        try:
            yield _line(text)
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{path}, line {number} is no line of a worker's: {error!r}") from error


def _line(text: bytes) -> Line:
    body = json.loads(text)
    return Line(What(body["what"]), body["process"], body["token"], body["key"], body["begin"], body["end"])
