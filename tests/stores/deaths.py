"""A store that dies before each of its statements and after each COMMIT, and what the next program finds.

Each death is a fork's, from a program that has nothing open. What the store answered is noted in a file beside.
"""

from __future__ import annotations

import ast
import inspect
import os
import shutil
import signal
import sqlite3
import traceback
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from tenure_sqlite import open_store
from tenure_sqlite.link import Connect

STRUCK = {"contents_deaths": ("contents.py", "held.py"), "session_deaths": ("sessions.py", "session_rows.py")}
"""Of the modules beside, which files of the store each strikes; the registry's own are `tests/crashes`' matter."""


@define
class Dying:
    """Connections whose program is killed at the n-th of those points; `ran`: where each statement was run."""

    n: int
    points: int = 0
    ran: list[str] = field(factory=list[str])

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        dying = self

        class Counting(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                dying.runs()
                if sql.startswith("BEGIN"):
                    # A killed program loses nothing that it gave to the system, and the disk is not waited for here.
                    super().execute("PRAGMA synchronous = OFF")
                cursor = super().execute(sql, parameters)
                if sql == "COMMIT":
                    dying.strikes()
                return cursor

            def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
                dying.runs()
                return super().executemany(sql, parameters)

        uri = f"{path.as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Counting
        )

    def runs(self) -> None:
        """A statement is about to be run."""
        by = inspect.currentframe()
        for _ in ("this one", "the connection's"):
            by = by and by.f_back
        assert by is not None
        self.ran.append(f"{Path(by.f_code.co_filename).name}:{by.f_lineno}")
        self.strikes()

    def strikes(self) -> None:
        """One of the points is come to."""
        self.points += 1
        if self.points > self.n:
            os.kill(os.getpid(), signal.SIGKILL)


def note(path: Path, answered: str) -> None:
    """The store has answered that."""
    with path.with_suffix(".acks").open("a") as acks:
        acks.write(answered + "\n")


def noted(path: Path) -> list[str]:
    """All that was answered before the death, in its order."""
    acks = path.with_suffix(".acks")
    return acks.read_text().splitlines() if acks.exists() else []


Life = Callable[[Path, Connect], None]
"""What a program does with the file at that path, by connections made so."""


def die_everywhere(folder: Path, lives: Life, finds: Life) -> int:
    """Live once for each point, and die there; `finds` raises where the file is not as it should be. Says how often
    it died, and then each place in the source that ran a statement. Returns the exit code."""
    new = folder / "new.db"
    if in_a_fork(lambda: open_store(f"sqlite:///{new}").close()) != 0:
        return 1
    for n in count():
        path = folder / f"{n}.db"
        shutil.copy(new, path)
        ended = in_a_fork(partial(live, path, lives, n))
        found = in_a_fork(partial(finds, path, Dying(1 << 40).connect))
        if found != 0 or ended not in (0, -signal.SIGKILL):
            return 1
        if ended == 0:
            print(n)
            print(path.with_suffix(".ran").read_text())
            return 0
        for left in folder.glob(f"{n}.*"):
            left.unlink()
    raise AssertionError("it never came to the end")


def live(path: Path, lives: Life, n: int) -> None:
    """To the n-th point, or else to the end, and say where the statements are."""
    dying = Dying(n)
    lives(path, dying.connect)
    path.with_suffix(".ran").write_text("\n".join(dying.ran))


def in_a_fork(act: Callable[[], None]) -> int:
    """How it ended: 0, 1 where it raised, negative where it was killed."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def statements(path: Path) -> set[str]:
    """`FILE:LINE` of each call of `execute` or `executemany` of a connection, also under another name, outside of what
    is done about an exception."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    handled = {inner for node in nodes if isinstance(node, ast.ExceptHandler) for inner in ast.walk(node)}
    names = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "executemany"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {
        f"{path.name}:{node.lineno}"
        for node in nodes
        if isinstance(node, ast.Call)
        and node not in handled
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in ("execute", "executemany"))
            or (isinstance(node.func, ast.Name) and node.func.id in names)
        )
    }
