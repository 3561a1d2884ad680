"""From a URL to a path: `sqlite:///relative.db`, `sqlite:////absolute/path.db`, with percent-decoding."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from tenure.errors import InvalidValue

PREFIX = "sqlite:///"


def path_of(url: str) -> Path:
    """The file that the URL names, absolute, so that a later change of directory cannot name another.

    Raises InvalidValue. A database in memory is refused: each connection would see one of its own, the feed's too.
    """
    if ":memory:" in url or url in ("sqlite:", "sqlite://", PREFIX):
        raise InvalidValue(
            f"{url!r} names no file; write 'sqlite:///file.db', or 'memory:' for a store in memory"
        )
    if not url.startswith(PREFIX):
        raise InvalidValue(
            f"{url!r} is no SQLite URL; write 'sqlite:///relative.db' or 'sqlite:////absolute/path.db'"
        )
    if "?" in url:
        raise InvalidValue(
            f"{url!r} has options, and there are none; a question mark in a name is written %3F"
        )
    name = unquote(url.removeprefix(PREFIX), errors="surrogateescape")
    if "\0" in name:
        raise InvalidValue(f"{url!r} names no file: it contains %00")
    return Path(name).absolute()
