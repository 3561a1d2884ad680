"""In what a store is interrupted: executing a batch, opening a file, opening it again after trouble, waiting."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from tenure.errors import StoreUnavailable
from tenure.replies import Answer, Succeeded
from tenure.requests import Register
from tenure.stores import Cursor
from tenure_memory import open_store as open_memory
from tenure_sqlite import SqliteRegistry
from tenure_testing.crashing.points import Boundary, Watch
from tenure_testing.crashing.recovery import Breach, Circumstance, breaches, difference
from tenure_testing.crashing.sqlite_seam import COMMIT, Seam, SqliteFile
from tenure_testing.crashing.story import LIMITS, Page, told
from tenure_testing.registry_world import START, ManualClock, process

Answered = Callable[[], None]
"""Called when whoever asked has its answer."""

REPLY = "the answer"


class Scene(Protocol):
    """One thing that a store does, in the middle of which it is struck."""

    @property
    @abstractmethod
    def name(self) -> str:
        """In words."""

    @property
    @abstractmethod
    def now(self) -> int:
        """Store time while it happens."""

    @abstractmethod
    def prepare(self, file: SqliteFile, path: Path) -> None:
        """Make the file as it is before, and let go of it."""

    @abstractmethod
    def play(self, file: SqliteFile, path: Path, seam: Seam, answered: Answered) -> Played:
        """Do it, with the watch on from where it matters."""

    @abstractmethod
    def judge(self, played: Played, seen: Sequence[Boundary]) -> Generator[Breach]:
        """What does not hold; `seen` are the boundaries that were reached, the last of them struck."""


@frozen
class Played:
    """What came of it: the store as it is used on, the answers where the caller lived to see them, whether it had an
    answer at all, and what was raised instead of one."""

    store: SqliteRegistry
    answers: Sequence[Answer] | None = None
    answered: bool = False
    raised: BaseException | None = None


def reopened(file: SqliteFile, path: Path, now: int) -> SqliteRegistry:
    """The store as the next one opens it, whom nothing disturbs."""
    return file.open(path, ManualClock(now), Seam(Watch()))


@frozen
class Batch:
    """The store executes a chapter. Its last one was executed by the same store, so that the log is not empty, and
    rows are known."""

    page: Page

    @property
    def name(self) -> str:
        """The chapter's."""
        return self.page.chapter.name

    @property
    def now(self) -> int:
        """The chapter's."""
        return self.page.clock

    def prepare(self, file: SqliteFile, path: Path) -> None:
        executed(file, path, self.page.before[:-1])

    def play(self, file: SqliteFile, path: Path, seam: Seam, answered: Answered) -> Played:
        clock = ManualClock()
        store = file.open(path, clock, seam)
        for page in self.page.before[-1:]:
            clock.now = page.clock
            store.execute(page.batch)
        clock.now = self.page.clock
        seam.watch.on = True
        answers = store.execute(self.page.batch)
        seam.watch.reach(Boundary("before", REPLY))
        answered()
        seam.watch.reach(Boundary("after", REPLY))
        seam.watch.on = False
        return Played(store, answers, True)

    def judge(self, played: Played, seen: Sequence[Boundary]) -> Generator[Breach]:
        yield from _breaches(self.page, played, seen)


@frozen
class Opening:
    """Somebody opens the file: a new one (no page), or one with all up to the page in it. The statement that is
    `failing` reports an error, so that the opening fails."""

    page: Page | None
    failing: str = ""

    @property
    def name(self) -> str:
        """Of which file."""
        what = "open a file that is there" if self.page else "make a new file"
        return f"{what}, and fail at {self.failing}" if self.failing else what

    @property
    def now(self) -> int:
        """Any."""
        return self.page.clock if self.page else START

    def prepare(self, file: SqliteFile, path: Path) -> None:
        if self.page:
            executed(file, path, (*self.page.before, self.page))

    def play(self, file: SqliteFile, path: Path, seam: Seam, answered: Answered) -> Played:
        seam.watch.on, seam.failing = True, self.failing
        try:
            store = file.open(path, ManualClock(self.now), seam)
        except BaseException as raised:
            seam.watch.on = False
            return Played(reopened(file, path, self.now), raised=raised)
        answered()
        store.close()
        seam.watch.on = False
        return Played(reopened(file, path, self.now))

    def judge(self, played: Played, seen: Sequence[Boundary]) -> Generator[Breach]:
        if played.raised is not None and not isinstance(played.raised, StoreUnavailable):
            yield Breach("CONTRACT §2", f"an opening that may succeed later raised {played.raised!r}")
        wanted = self.page.applied.state if self.page else told(open_memory("memory:", limits=LIMITS))
        state = told(played.store)
        if state != wanted:
            yield Breach("S21", f"the next opener finds something else: {difference(state, wanted)}")
        (answer,) = played.store.execute([Register(process("afterwards"))])
        if not isinstance(answer, Succeeded):
            yield Breach("CONTRACT §4", f"the next opener cannot use the file: {answer!r}")


@frozen
class Again:
    """The store had trouble, and opens its file again for the next batch."""

    page: Page

    @property
    def name(self) -> str:
        """That it is the second opening."""
        return "open again after trouble"

    @property
    def now(self) -> int:
        """The chapter's."""
        return self.page.clock

    def prepare(self, file: SqliteFile, path: Path) -> None:
        executed(file, path, self.page.before)

    def play(self, file: SqliteFile, path: Path, seam: Seam, answered: Answered) -> Played:
        clock = ManualClock(self.page.clock)
        store = file.open(path, clock, seam)
        seam.failing = "BEGIN IMMEDIATE"
        dropped = store.execute(self.page.batch)
        assert not any(isinstance(answer, Succeeded) for answer in dropped), dropped
        seam.watch.on = True
        answers = store.execute(self.page.batch)
        answered()
        seam.watch.on = False
        return Played(store, answers, True)

    def judge(self, played: Played, seen: Sequence[Boundary]) -> Generator[Breach]:
        yield from _breaches(self.page, played, seen)


@frozen
class Waiting:
    """Somebody waits for a change, on a connection of its own. It changes nothing, whatever happens to it."""

    page: Page

    @property
    def name(self) -> str:
        """What it waits for."""
        return "wait for a change"

    @property
    def now(self) -> int:
        """The chapter's."""
        return self.page.clock

    def prepare(self, file: SqliteFile, path: Path) -> None:
        executed(file, path, (*self.page.before, self.page))

    def play(self, file: SqliteFile, path: Path, seam: Seam, answered: Answered) -> Played:
        clock = ManualClock(self.page.clock)
        store = file.open(path, clock, seam)
        seam.watch.on = True
        store.wait(Cursor(), 0)
        answered()
        store.close()
        seam.watch.on = False
        return Played(reopened(file, path, self.now))

    def judge(self, played: Played, seen: Sequence[Boundary]) -> Generator[Breach]:
        yield from breaches(played.store, self.page, Circumstance(True))


def _breaches(page: Page, played: Played, seen: Sequence[Boundary]) -> Generator[Breach]:
    """Whoever died after the answer had been answered as the reference answers."""
    answers = page.answers if played.answered and played.answers is None else played.answers
    yield from breaches(played.store, page, Circumstance(committed(seen), answers))


def executed(file: SqliteFile, path: Path, pages: Sequence[Page]) -> None:
    """Make the file, with these chapters in it, and close it."""
    clock = ManualClock()
    store = file.open(path, clock, Seam(Watch()))
    for page in pages:
        clock.now = page.clock
        store.execute(page.batch)
    store.close()


def committed(seen: Sequence[Boundary]) -> bool:
    """Whether a COMMIT was executed before the last of these boundaries."""
    return any(boundary.when == "after" and boundary.kind == COMMIT for boundary in seen)
