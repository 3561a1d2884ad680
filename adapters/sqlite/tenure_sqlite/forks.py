"""What a fork leaves behind, and why a child must not touch it.

A child of fork() inherits the connections, and with them SQLite's own book-keeping of file locks, in memory, per
inode. Closing one there could check-point and delete the log that the parent still writes; and a *new* connection of
the child to the same file takes the parent's locks for its own, so that the parent deletes the log under it: an
acknowledged commit was lost that way here. So the child neither closes what it inherited, nor opens that file again.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

from tenure.errors import ForkedProcess


class Holder(Protocol):
    """Whoever has connections open."""

    def connections(self) -> list[sqlite3.Connection]: ...
    def identity(self) -> tuple[int, int] | None: ...


_holders: WeakSet[Holder] = WeakSet()
_inherited: set[tuple[int, int] | None] = set()


def watch(holder: Holder) -> None:
    """Have the holder's connections kept alive, unclosed, in every child."""
    _holders.add(holder)


def refuse_inherited(path: Path) -> None:
    """Raise ForkedProcess where the file was open in the parent at the fork."""
    identity = file_identity(path)
    if identity is not None and identity in _inherited:
        raise ForkedProcess(
            f"{path} was open when this process was forked; SQLite cannot open it again here. "
            "Open the store after the fork only, or start the child by spawn."
        )


def file_identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, None where there is no file. The folder is asked; the file is never opened (closing it would
    drop SQLite's locks)."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _in_child() -> None:
    for holder in list(_holders):
        if holder.connections():
            _inherited.add(holder.identity())
        for connection in holder.connections():
            # One reference that nothing ever gives back: not even the interpreter's end closes it.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


os.register_at_fork(after_in_child=_in_child)
