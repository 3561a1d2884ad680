"""The session of one process, as the search keeps it, and the shipped law of sessions over it.

What is kept is enough to tell apart all that the law can tell apart:
- Under which lease: by rank. LATEST is the row's token; OLD is that of the one worker that goes on although its row was
  taken, BETWEEN one after it, and PASSED is before all that are at work. A later one may have the higher epoch and the
  lower token, so that a law that compared tokens alone would be found out.
- Two entries: the one that handlers append, by its key, and a client's. What a writer takes for the head is any entry
  that there is, and none; so whatever it may have seen, however late its request is, is among what is asked.
- One counted move of the head: from the client's entry back to the handlers' one that it follows.
- `opened` is the judge's own count of what was answered, beside what the law wrote.

What is left out: deleting, and forgetting watermarks; policies; other processes and registries; residency.
`tests/core`, the lock-step of the stores and the shipped kit have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attrs import define, field

from tenure import session_model
from tenure.canonical import canonical
from tenure.instants import StoreTime
from tenure.session_tables import Mark, SessionRow
from tenure.sessions import (
    AppendEntry,
    Entry,
    MoveHead,
    Open,
    Opened,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
)
from tenure.values import changed
from tenure_testing.checking.explorer import Broken
from tenure_testing.checking.session_properties import Change, broken_by, words

UNMARKED, PASSED, OLD, BETWEEN, LATEST = range(5)
HEIGHTS = {PASSED: (0, 7), OLD: (1, 9), BETWEEN: (2, 3), LATEST: (2, 4)}
"""Epoch and token of each rank."""
OURS, THEIRS, NEVER = "a handler's", "a client's", "nobody's"
BODY = canonical("first")
POLICY, CLOCK = SessionPolicy(), StoreTime(1_000_000)
Asked = Open | AppendEntry | MoveHead


class Kept(NamedTuple):
    """The session. `mark`: the rank of its watermark, `moves` the number in it. `opened`: the highest rank under which
    it was opened."""

    mark: int = UNMARKED
    opened: int = UNMARKED
    moves: int = 0
    head: str = ""
    entries: tuple[Entry, ...] = ()


class Told(NamedTuple):
    """What the store made of a request."""

    said: str
    kept: Kept
    opened: bool


def taken(kept: Kept, rival: int) -> Kept:
    """The row has a new token. `rival`: the rank of the worker that goes on under an earlier one, as it was until now;
    UNMARKED where there is none."""
    if rival == UNMARKED:
        return _ranked(kept, (UNMARKED, PASSED, PASSED, PASSED, PASSED))
    if rival == LATEST:
        return _ranked(kept, (UNMARKED, PASSED, PASSED, PASSED, OLD))
    return _ranked(kept, (UNMARKED, PASSED, OLD, BETWEEN, BETWEEN))


def left(kept: Kept) -> Kept:
    """Nobody goes on any more under an old token."""
    return _ranked(kept, (UNMARKED, PASSED, PASSED, PASSED, LATEST))


def _ranked(kept: Kept, ranks: Sequence[int]) -> Kept:
    return kept._replace(mark=ranks[kept.mark], opened=ranks[kept.opened])


def writes(kept: Kept, rank: int) -> Iterator[AppendEntry | MoveHead]:
    """All that a handler under that rank may ask for, whichever head it has seen."""
    fence = fence_of(rank)
    known = [entry.id for entry in kept.entries]
    yield from (AppendEntry(OURS, parent, BODY, fence) for parent in ("", *known))
    if known == [OURS, THEIRS]:
        yield MoveHead(THEIRS, OURS, 1, fence)


def _astray(kept: Kept, rank: int) -> Iterator[AppendEntry | MoveHead]:
    """What anybody may ask for under that rank: also with another body, from a head that never was, to any entry."""
    for asked in writes(kept, rank):
        yield asked
        if isinstance(asked, AppendEntry):
            yield changed(asked, parent=NEVER)
            yield changed(asked, body=canonical("another"))
    for entry in kept.entries:
        yield MoveHead(NEVER, entry.id, 1, fence_of(rank))
        yield MoveHead(kept.head, entry.id, 1, fence_of(rank))


def of_a_client(kept: Kept) -> Iterator[AppendEntry]:
    """All that a client may ask for, whichever head it has seen."""
    return (AppendEntry(THEIRS, parent, BODY) for parent in ("", *(entry.id for entry in kept.entries)))


def fence_of(rank: int) -> SessionFence:
    """Of the process, in its registry."""
    return SessionFence("", "p", *HEIGHTS[rank])


class SessionLaw:
    """What the shipped law makes of sessions; each pair of session and request is asked for once, and judged."""

    def __init__(self) -> None:
        self.known: dict[tuple[Kept, Asked], Told] = {}
        self.answers: list[str] = []
        self._strayed: set[Kept] = set()

    def answered(self, kept: Kept, asked: Asked, rank: int = UNMARKED) -> Told:
        """What the store does with that request, which is under the fence of that rank, or a client's."""
        found = self.known.get((kept, asked))
        if found is None:
            found = self.known[kept, asked] = self._asked(kept, asked, rank)
        return found

    def strays(self, kept: Kept) -> Iterator[str]:
        """Judge what any other token would be answered, one whose attempt is over or that never opened the session, and
        what nobody asks for who goes by the rules. Nothing comes of it. Yields each request's name before it asks."""
        if kept in self._strayed:
            return
        self._strayed.add(kept)
        for rank in HEIGHTS:
            for asked in (Open(fence_of(rank)), *_astray(kept, rank)):
                yield f"stray: {type(asked).__name__}"
                self.answered(kept, asked, rank)

    def _asked(self, kept: Kept, asked: Asked, rank: int) -> Told:
        after, answer = _apply(kept, asked, rank)
        change = Change(kept, asked, rank, after, answer, lambda then: _apply(then, asked, rank))
        said, broken = words(change), broken_by(change)
        self.answers.append(f"{kept} {asked} {after} {answer}")
        if broken:
            raise Broken(broken, f"{said}; the session was {shown(kept)}, and is {shown(after)}")
        return Told(said, after, isinstance(answer, Opened))


def _apply(kept: Kept, asked: Asked, rank: int) -> tuple[Kept, SessionAnswer]:
    tables = _Tables.of(kept)
    answer = session_model.execute(tables, asked, POLICY, CLOCK)
    ranks = {height: rank for rank, height in HEIGHTS.items()}
    mark = UNMARKED if tables.watermark is None else ranks[tables.watermark.height]
    moves = 0 if tables.watermark is None else tables.watermark.moves
    opened = max(kept.opened, rank) if isinstance(answer, Opened) else kept.opened
    head = "" if tables.kept is None else tables.kept.head
    return Kept(mark, opened, moves, head, tuple(tables.entries)), answer


@define
class _Tables:
    """`tenure.session_tables.SessionTables` over one session that nobody deletes."""

    kept: SessionRow | None
    watermark: Mark | None
    entries: list[Entry] = field(factory=list[Entry])

    @classmethod
    def of(cls, kept: Kept) -> _Tables:
        there = kept.opened != UNMARKED or kept.entries
        sizes = [len(entry.body) for entry in kept.entries]
        row = SessionRow(kept.head, len(sizes), sum(sizes), max(sizes, default=0)) if there else None
        mark = None if kept.mark == UNMARKED else Mark(*HEIGHTS[kept.mark], kept.moves)
        return cls(row, mark, [*kept.entries])

    def row(self) -> SessionRow | None:
        return self.kept

    def write_row(self, row: SessionRow) -> None:
        self.kept = row

    def mark(self, registry: str, process_id: str) -> Mark | None:
        return self.watermark

    def write_mark(self, registry: str, process_id: str, mark: Mark) -> None:
        self.watermark = mark

    def entry(self, entry_id: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)

    def path(self, leaf: str, limit: int) -> Sequence[Entry]:
        raise NotImplementedError("nobody reads a path here")

    def tree(self, after: int, limit: int) -> Sequence[Entry]:
        raise NotImplementedError("nobody reads a tree here")

    def remove(self, clock: StoreTime) -> None:
        raise NotImplementedError("nobody deletes here")

    def forget(self, before: StoreTime, sessions: int) -> None:
        """No session was deleted."""


def shown(kept: Kept) -> str:
    """The session in a few words."""
    entries = ", ".join(entry.id for entry in kept.entries) or "empty"
    return f"{entries}, head {kept.head or 'none'}, {RANKS[kept.mark]}, {kept.moves} moves"


RANKS = (
    "no watermark",
    "a passed watermark",
    "an old watermark",
    "a watermark between",
    "the row's watermark",
)
