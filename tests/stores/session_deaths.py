"""A store of sessions that dies at each of its points, and what the next program finds:
`python -m tests.stores.session_deaths FOLDER`.

The life is a list of requests. After k of them were answered, the file holds what the law in memory holds after k, or
after k + 1: nothing half. Then the next program sends the one that was under way, twice, and goes on to the end.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tenure.canonical import canonical
from tenure.limits import DEFAULT_LIMITS
from tenure.sessions import (
    AppendEntry,
    Delete,
    Deleted,
    MoveHead,
    Open,
    ReadPath,
    ReadTree,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionRequest,
    SessionStoreFactory,
)
from tenure_memory import MemorySessions
from tenure_sqlite import SqliteSessions, session_rows, sessions
from tenure_sqlite.link import Connect
from tenure_testing.registry_world import ManualClock
from tests.stores.deaths import die_everywhere, note, noted

PIECE = 2
"""Entries that a transaction removes here: a deletion of seven takes several, and dies between them."""
FIRST, SECOND = SessionFence("r", "p", 1, 1), SessionFence("r", "p", 1, 2)
FENCES = (FIRST, SECOND)
SESSIONS = ("s", "gone")
LATER = DEFAULT_LIMITS.retry_horizon + 1


def appended(name: str, parent: str, fence: SessionFence | None = None) -> AppendEntry:
    return AppendEntry(name, parent, canonical({"said": name}), fence)


STORY: tuple[tuple[str, SessionRequest, int], ...] = (
    ("s", Open(FIRST), 0),
    ("s", appended("a", "", FIRST), 0),
    ("s", appended("b", "a", FIRST), 0),
    ("s", appended("a", "", FIRST), 0),  # a replay
    ("s", MoveHead("b", "a", 1, FIRST), 0),
    ("s", appended("c", "a", FIRST), 0),
    ("s", MoveHead("b", "a", 1, FIRST), 0),  # a replay, that moves nothing
    ("s", Open(SECOND), 0),
    ("s", appended("d", "c", FIRST), 0),  # who was taken over
    ("s", appended("d", "c", SECOND), 0),
    ("s", ReadTree(), 0),
    ("gone", Open(FIRST), 0),
    *(("gone", appended(f"g{n}", f"g{n - 1}" if n else ""), 0) for n in range(2 * PIECE + 1)),
    ("gone", Delete(FIRST), 0),
    ("gone", Delete(FIRST), 0),  # its watermark stands
    ("s", Open(SECOND), LATER),  # the deleted session is forgotten
    ("gone", appended("new", ""), LATER),
)
"""To which session, what, and when, in ms from the beginning."""


class Asked:
    """A store, asked what the story asks. `seen`: what it shows of all sessions, which changes nothing."""

    def __init__(self, store: SessionStoreFactory, clock: ManualClock) -> None:
        self.store, self.clock, self.began = store, clock, clock.now

    def ask(self, n: int) -> SessionAnswer:
        session, request, at = STORY[n]
        self.clock.now = self.began + at
        return self.store.open(session, SessionPolicy()).execute(request)

    def seen(self) -> list[SessionAnswer]:
        stores = [self.store.open(session, SessionPolicy()) for session in SESSIONS]
        names = ("a", "b", "c", "d", "g0", "g4", "new")
        requests: list[SessionRequest] = [
            Open(),
            ReadTree(),
            *(ReadPath(name) for name in names),
            # Under the watermark of its process it is refused for its parent, under any other fence as fenced.
            *(AppendEntry("never", "nowhere", canonical(0), fence) for fence in FENCES),
        ]
        return [store.execute(request) for store in stores for request in requests]


def durable(path: Path, connect: Connect) -> Asked:
    clock = ManualClock()
    return Asked(SqliteSessions(path, clock, gap=0, open_connection=connect), clock)


def lives(path: Path, connect: Connect) -> None:
    """The whole story, with each answer noted."""
    asked = durable(path, connect)
    for n in range(len(STORY)):
        note(path, repr(asked.ask(n)))
    asked.store.close()


def finds(path: Path, connect: Connect) -> None:
    """In the next program: what was answered is there, the one under way is or is not, and the story goes on."""
    asked, law_clock = durable(path, connect), ManualClock()
    law = Asked(MemorySessions(clock=law_clock), law_clock)
    answered = noted(path)
    for n, answer in enumerate(answered):
        assert repr(law.ask(n)) == answer, STORY[n]
    found, without = asked.seen(), law.seen()
    for n in range(len(answered), len(STORY)):
        wanted = law.ask(n)
        if n == len(answered):
            assert found in (without, law.seen()), STORY[n]
            applied_before = found != without
            got = asked.ask(n)
            # Only a deletion cannot tell again how many entries there were.
            assert got == wanted or (applied_before and got == Deleted(0)), (STORY[n], got, wanted)
            if not isinstance(STORY[n][1], Delete):
                assert asked.ask(n) == wanted, STORY[n]
            assert asked.seen() == law.seen(), STORY[n]
        else:
            assert asked.ask(n) == wanted, STORY[n]
    assert asked.seen() == law.seen()
    for _ in range(PIECE + 2):  # a piece by each
        asked.store.open("s", SessionPolicy()).execute(Open(SECOND))
    assert asked.seen() == law.seen()
    asked.store.close()
    with closing(sqlite3.connect(path)) as link:
        assert link.execute("SELECT id, entries FROM sessions ORDER BY id").fetchall() == [
            ("gone", 1),
            ("s", 4),
        ]
        assert link.execute("SELECT count(*) FROM session_entries").fetchone() == (5,)
        assert link.execute("SELECT count(*) FROM session_leftovers").fetchone() == (0,)
        assert link.execute("SELECT DISTINCT session FROM session_marks").fetchall() == [(1,)]


if __name__ == "__main__":
    for module in (session_rows, sessions):
        vars(module)["PIECE"] = PIECE
    sys.exit(die_everywhere(Path(sys.argv[1]), lives, finds))
