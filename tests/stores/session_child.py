"""What a second operating system process does in the tests of sessions:
`python -m tests.stores.session_child ACT URL ...`.

It talks by lines: on stdout what it did, on stdin when to go on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tenure.canonical import canonical
from tenure.sessions import (
    AppendEntry,
    MoveHead,
    Open,
    Opened,
    SessionPolicy,
    SessionRequest,
    SessionStoreFactory,
)
from tenure_memory import MemorySessions
from tenure_sqlite import open_sessions
from tests.stores.talking import act, say, tries


def races(url: str, name: str, rounds: str) -> None:
    """Append at a head that the others know too, again and again; say which appends won."""
    store = open_sessions(url, busy_timeout=30).open("s", SessionPolicy())
    for n in range(int(rounds)):
        opened = store.execute(Open())
        assert isinstance(opened, Opened)
        say("ready", opened.head)
        sys.stdin.readline()
        answer = store.execute(AppendEntry(f"{name}{n}", opened.head, canonical(name)))
        say(type(answer).__name__)


def appends(url: str) -> None:
    """Append and fork for ever; say each as soon as it was answered."""
    store = open_sessions(url).open("s", SessionPolicy())
    head, n = "", 0
    while True:
        store.execute(AppendEntry(f"e{n}", head, canonical("x" * 500)))
        head = f"e{n}"
        say(head, n + 1)
        if n % 5 == 4:
            store.execute(MoveHead(head, f"e{n - 2}"))
            head = f"e{n - 2}"
            say(head, n + 1)
        n += 1


def forked(url: str) -> None:
    """Open both stores, fork, and see in the child that each call is refused."""
    made: list[SessionStoreFactory] = [open_sessions(url), MemorySessions()]
    sessions = [one.open("s", SessionPolicy()) for one in made]
    for session in sessions:
        session.execute(AppendEntry("before", "", canonical(1)))
    child = os.fork()
    if child == 0:
        request: SessionRequest = Open()
        calls: list[Callable[[], object]] = [
            *(lambda session=session: session.execute(request) for session in sessions),
            *(one.close for one in made),
            lambda: open_sessions(url),
        ]
        tries(calls)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    say("child", os.waitstatus_to_exitcode(status))
    for session in sessions:
        say("parent", type(session.execute(AppendEntry("after", "before", canonical(2)))).__name__)


ACTS: dict[str, Callable[..., None]] = {"races": races, "appends": appends, "forked": forked}

if __name__ == "__main__":
    act(ACTS)
