"""Workers, one row, and the session of its process: a `RowWorld` beside a store of sessions.

OpenSession is a request to that store. It arrives at any time as long as its attempt goes on, once or again, and its
answer is heard, or lost: then the attempt waits on, or hears that it failed. A handler whose session was opened appends
and moves the head at any time until it has ended, whether its worker is paused, its lease lost, or itself detached: so
each such request is as late as it can be. A client appends at any time. What requests of attempts that are over would
be answered is judged in each state of the session, and nothing comes of it, as there are no zombies here.

Ranks are relative to the row, and to the one worker that goes on under an earlier token and may yet ask for something;
with two workers and no late claim there is never another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenure import attempt_types as t
from tenure.sessions import Open
from tenure_testing.checking.attempts import ANSWERED, ASKED, RUNS, Block
from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.rows import CURRENT, NEW, STALE, Row
from tenure_testing.checking.sessions import (
    LATEST,
    OLD,
    UNMARKED,
    Kept,
    SessionLaw,
    fence_of,
    left,
    of_a_client,
    taken,
    writes,
)
from tenure_testing.checking.world import Moved, Numbers, RowWorld

RANKS = {NEW: UNMARKED, STALE: OLD, CURRENT: LATEST}


def _rank(block: Block) -> int:
    """Under which the worker may yet ask the store of sessions for something; UNMARKED if it never will."""
    over = isinstance(block.attempt, t.Completing | t.Releasing | None)
    return UNMARKED if over else RANKS[block.token]


class SessionWorld(RowWorld):
    """The world of a configuration with the feature `session`."""

    unsaid = "the words of traces have no entries of sessions"

    def __init__(self, configuration: Configuration) -> None:
        assert configuration.workers <= 2, "ranks of three workers are not told apart"
        assert not configuration.zombies, "nor are those of late requests"
        super().__init__(configuration)
        self.rows, self.sessions = Numbers(Row(session=Kept())), SessionLaw()

    def _beside(self, row: int, others: Sequence[int]) -> int:
        rivals = [_rank(self.blocks.values[other]) for other in others]
        return self._with_session(row, taken(self._session(row), max(rivals, default=UNMARKED)))

    def _session(self, row: int) -> Kept:
        kept = self.rows.values[row].session
        assert kept is not None
        return kept

    def _with_session(self, row: int, kept: Kept) -> int:
        return self.rows.number(self.rows.values[row]._replace(session=kept))

    def _by_itself(self, row: int, pool: int, mover: int) -> Iterator[Moved]:
        before = _rank(self.blocks.values[mover])
        for move in super()._by_itself(row, pool, mover):
            ends = before == OLD and _rank(self.blocks.values[move.block]) == UNMARKED
            yield move._replace(row=self._with_session(row, left(self._session(row)))) if ends else move

    def _by_the_store(self, row: int, pool: int, mover: int) -> Iterator[Moved]:
        yield from super()._by_the_store(row, pool, mover)
        block, kept = self.blocks.values[mover], self._session(row)
        rank = _rank(block)
        if block.session == ASKED:
            yield from self._opened(row, pool, block, rank)
        if isinstance(block.attempt, RUNS):
            for asked in writes(kept, rank):
                self.breaking = (mover, type(asked).__name__)
                told = self.sessions.answered(kept, asked, rank)
                yield from self._changed(told.said, row, pool, told.kept, block, block)

    def _opened(self, row: int, pool: int, block: Block, rank: int) -> Iterator[Moved]:
        self.breaking = (self.blocks.number(block), "Open")
        told = self.sessions.answered(self._session(row), Open(fence_of(rank)), rank)
        heard = block._replace(session=ANSWERED) if told.opened else block
        yield from self._changed(told.said, row, pool, told.kept, block, heard)
        yield from self._changed(f"{told.said}, not heard of", row, pool, told.kept, block, block)

    def _changed(
        self, said: str, row: int, pool: int, kept: Kept, block: Block, then: Block
    ) -> Iterator[Moved]:
        """As with attempts, what changes nothing was seen and is no transition."""
        self.seen.add(said)
        if kept != self._session(row) or then != block:
            yield Moved(said, self._with_session(row, kept), pool, self.blocks.number(then), 0)

    def _without_workers(self, row: int, pool: int) -> Iterator[Moved]:
        yield from super()._without_workers(row, pool)
        kept = self._session(row)
        for said in self.sessions.strays(kept):
            self.breaking = (-1, said)
        for asked in of_a_client(kept):
            self.breaking = (-1, type(asked).__name__)
            told = self.sessions.answered(kept, asked)
            yield from self._changed(told.said, row, pool, told.kept, Block(), Block())

    def judged(self) -> tuple[int, int]:
        """With the requests to sessions."""
        pairs, steps = super().judged()
        return pairs + len(self.sessions.known), steps

    def tables(self) -> Iterator[str]:
        """And every answer of the law of sessions."""
        yield from super().tables()
        yield from self.sessions.answers
