"""A store of contents that dies before each of its statements, and what the next program finds:
`python contents_deaths.py FOLDER`. Says how often it died, and then each place in the source that ran a statement.

Each death is a fork's, from a program that has nothing open. Acknowledged contents are noted in a file beside.
"""

from __future__ import annotations

import inspect
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from tenure import contents
from tenure.errors import ContentNotFound
from tenure_sqlite import SqliteContents, open_store
from tenure_sqlite.contents import FORGOTTEN, PER_WRITE
from tenure_testing.content_contract import id_of
from tenure_testing.registry_world import ManualClock
from tests.stores.contents_tables import rows_of

CHUNK = 64
"""Bytes of a chunk here: where a store dies does not depend on how large they are, how long it takes does."""
LARGE = b"".join(n.to_bytes(8, "big") * (CHUNK // 8) for n in range(PER_WRITE + 1))
BODIES = (b"small", LARGE)


@define
class Dying:
    """Connections whose program is killed before the n-th statement; `ran`: where each was run."""

    n: int
    ran: list[str] = field(factory=list[str])

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        dying = self

        class Counting(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                dying.runs()
                if sql.startswith("BEGIN"):
                    # A killed program loses nothing that it gave to the system, and the disk is not waited for here.
                    super().execute("PRAGMA synchronous = OFF")
                return super().execute(sql, parameters)

            def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
                dying.runs()
                return super().executemany(sql, parameters)

        uri = f"{path.as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Counting
        )

    def runs(self) -> None:
        """A statement is about to be run."""
        by = inspect.stack(0)[2]
        self.ran.append(f"{Path(by.filename).name}:{by.lineno}")
        if len(self.ran) > self.n:
            os.kill(os.getpid(), signal.SIGKILL)


def makes(path: Path) -> None:
    """The registry's file; how its making dies is its own tests' matter."""
    open_store(f"sqlite:///{path}").close()


def lives(path: Path, n: int) -> None:
    """Everything that a store does, with what was answered noted; then where its statements are."""
    dying = Dying(n)
    clock = ManualClock()
    store = SqliteContents(path, "attachment", clock, gap=0, open_connection=dying.connect)
    for body in (*BODIES, LARGE):
        upload = store.begin()
        upload.write(body)
        content = upload.commit("", "")
        with path.with_suffix(".acks").open("a") as acks:
            acks.write(content.id + "\n")
    for give_up in ("abort", "abandon"):
        upload = store.begin()
        upload.write(LARGE[CHUNK:] + LARGE)
        getattr(upload, give_up)()
    upload = store.begin()
    upload.write(LARGE[CHUNK:] + LARGE)
    clock.now += FORGOTTEN + 1
    store.begin()
    assert b"".join(store.chunks(id_of(LARGE))) == LARGE
    store.close()
    path.with_suffix(".ran").write_text("\n".join(dying.ran))


def finds(path: Path) -> None:
    """In the next program: what was acknowledged is there and whole, and nothing else is, or all of it."""
    clock = ManualClock()
    clock.now += 3 * FORGOTTEN
    store = SqliteContents(path, "attachment", clock, gap=0, open_connection=Dying(1 << 40).connect)
    acks = path.with_suffix(".acks")
    acknowledged = set(acks.read_text().split()) if acks.exists() else set[str]()
    there: list[bytes] = []
    for body in BODIES:
        try:
            assert b"".join(store.chunks(id_of(body))) == body
            there.append(body)
        except ContentNotFound:
            assert id_of(body) not in acknowledged
    store.begin()
    assert sorted(row["id"] for row in rows_of(path, "contents")) == sorted(map(id_of, there))
    assert len(rows_of(path, "content_chunks")) == sum(-(-len(body) // CHUNK) for body in there)
    store.close()


def in_a_fork(act: Callable[..., None], *arguments: object) -> int:
    """How it ended: 0, 1 where it raised, negative where it was killed."""
    child = os.fork()
    if child == 0:
        try:
            act(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path) -> int:
    contents.CHUNK = CHUNK
    for n in count():
        path = folder / f"{n}.db"
        made = in_a_fork(makes, path)
        ended, found = in_a_fork(lives, path, n), in_a_fork(finds, path)
        if made != 0 or found != 0 or ended == 1:
            return 1
        if ended == 0:
            print(n)
            print(path.with_suffix(".ran").read_text())
            return 0
        for left in folder.glob(f"{n}.*"):
            left.unlink()
    raise AssertionError("it never came to the end")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
