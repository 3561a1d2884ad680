"""SQLite's errors, and what each means for a batch (CONTRACT §2).

| SQLite says | before COMMIT | by COMMIT |
| --- | --- | --- |
| BUSY, LOCKED: another process writes | Unavailable | Unavailable: nothing was written, and we roll back |
| FULL, IOERR, NOMEM, INTERRUPT, PROTOCOL | Unavailable | Unknown: the commit record may be in the log already |
| CANTOPEN, while the file is there (no descriptors left) | Unavailable | Unknown |
| NOTADB, CORRUPT, FORMAT, READONLY, PERM, AUTH; no such table; CANTOPEN else | StoreUnusable is raised | the same |
| anything else | a mistake of ours: raised as it is | the same |

NOMEM comes as a MemoryError, without a code: Python's module makes it one. (Where the interpreter itself has no memory
left for the batch, the answer is the same.) A batch of reads is always "before COMMIT". After any trouble but waiting
for the lock in vain the connection is dropped, and the next batch makes a new one, so that no half-failed state is
carried on.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TypeAlias

from tenure.errors import StoreUnusable
from tenure.replies import Unavailable, Unknown

Trouble: TypeAlias = sqlite3.Error | MemoryError
TROUBLE = (sqlite3.Error, MemoryError)
"""What SQLite's failures are raised as; `except` takes no alias of a union."""

_PRIMARY = 0xFF

_CAUSES = {
    sqlite3.SQLITE_BUSY: "another process is writing",
    sqlite3.SQLITE_LOCKED: "another connection holds a lock",
    sqlite3.SQLITE_FULL: "no room left on the disk, or in the size that the database may have",
    sqlite3.SQLITE_IOERR: "the disk reported an error",
    sqlite3.SQLITE_NOMEM: "no memory left",
    sqlite3.SQLITE_INTERRUPT: "the store is being closed",
    sqlite3.SQLITE_PROTOCOL: "too many processes take and leave the lock",
    sqlite3.SQLITE_CANTOPEN: "the file could not be opened just now",
}

_UNUSABLE = {
    sqlite3.SQLITE_NOTADB: "is not a database; name another file",
    sqlite3.SQLITE_FORMAT: "is not a database that this SQLite reads; name another file",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_READONLY: "cannot be written; give this user the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be written; give this user the right to write the file and its folder",
    sqlite3.SQLITE_AUTH: "may not be used by this user; give it the right to read and write the file",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; see that its folder exists and that this user may read and write it",
}


def code_of(error: Trouble) -> int:
    """SQLite's primary result code, or 0 where the error is the Python module's own."""
    if isinstance(error, MemoryError):
        return sqlite3.SQLITE_NOMEM
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def is_busy(error: Trouble) -> bool:
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def words_of(error: Trouble) -> str:
    """The cause, and what SQLite said; a MemoryError says nothing."""
    said, cause = str(error), _CAUSES.get(code_of(error), "")
    return f"{cause} ({said})" if cause and said else cause or said


def answer_to(error: Trouble, path: Path, *, committing: bool) -> Unavailable | Unknown:
    """The answer of every request of the batch that met the error. Raises StoreUnusable, or the error itself."""
    raise_unusable(error, path)
    if code_of(error) not in _CAUSES:
        raise error
    sentence = f"{path}: {words_of(error)}"
    return Unknown(sentence) if committing and not is_busy(error) else Unavailable(sentence)


def raise_unusable(error: Trouble, path: Path, *, opening: bool = False) -> None:
    """Raise StoreUnusable where trying again cannot help."""
    code = code_of(error)
    advice = _UNUSABLE.get(code)
    if code == sqlite3.SQLITE_CANTOPEN and not opening and path.is_file():
        return
    if code == sqlite3.SQLITE_ERROR and str(error).startswith("no such table"):
        advice = "has lost its tables; restore it from a backup"
    if advice is not None:
        raise StoreUnusable(f"{path} {advice} ({error})") from error
