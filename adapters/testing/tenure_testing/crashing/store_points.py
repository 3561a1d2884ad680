"""Every boundary inside the SQLite store, struck: by a death of the whole operating system process, and by an error of
the database instead."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from attrs import define, field

from tenure.errors import TenureError
from tenure.replies import Unavailable, Unknown
from tenure_testing.crashing.deaths import dies, kill_this_process
from tenure_testing.crashing.points import Boundary, Violation, Watch
from tenure_testing.crashing.recovery import Breach
from tenure_testing.crashing.sqlite_seam import COMMIT, Seam, SqliteFile, fail
from tenure_testing.crashing.store_scenes import (
    REPLY,
    Again,
    Batch,
    Opening,
    Played,
    Scene,
    Waiting,
    reopened,
)
from tenure_testing.crashing.story import pages

CODES = {
    "FULL": sqlite3.SQLITE_FULL,
    "IOERR": sqlite3.SQLITE_IOERR,
    "BUSY": sqlite3.SQLITE_BUSY,
    "INTERRUPT": sqlite3.SQLITE_INTERRUPT,
    "NOMEM": sqlite3.SQLITE_NOMEM,
}
"""Errors of SQLite's that may pass."""


@define
class Points:
    """What was struck: `boundaries` as many as runs without a strike reached, `listed` the strikes, one line each."""

    boundaries: int = 0
    listed: list[str] = field(factory=list[str])
    kinds: set[tuple[str, str]] = field(factory=set[tuple[str, str]])
    where: set[str] = field(factory=set[str])
    violations: list[Violation] = field(factory=list[Violation])

    def saw(self, boundaries: Iterable[Boundary]) -> None:
        """The boundaries of one scene."""
        for boundary in boundaries:
            self.boundaries += 1
            self.kinds.add((boundary.when, boundary.kind))
            if boundary.where:
                self.where.add(boundary.where)

    def found(self, point: str, breaches: Iterable[Breach]) -> None:
        """What one strike broke."""
        self.violations += [Violation(breach.law, point, breach.said) for breach in breaches]


def scenes() -> list[Scene]:
    """All in the middle of which a store can be struck."""
    story = pages()
    writing = next(page for page in story if len(page.batch) == 3)
    return [
        Opening(None),
        Opening(None, failing="INSERT meta"),
        *map(Batch, story),
        Opening(story[-1]),
        Again(writing),
        Waiting(writing),
    ]


def deaths(file: SqliteFile, chosen: Iterable[Scene]) -> Points:
    """Kill a process at each boundary of each scene, and have another one recover.

    The process that calls this forks; it must have no other thread, and no SQLite file open.
    """
    points = Points()
    for scene in chosen:
        with _Stage(file, scene, points) as stage:
            for at, boundary in enumerate(stage.seen):
                path = stage.fresh()
                seam = Seam(Watch(at, kill_this_process))
                death = dies(partial(_play, scene, file, path, seam))
                point = f"a crash {boundary} of {scene.name!r}"
                if not death.killed:
                    points.found(point, [Breach("the harness", f"it did not die there; {death.trouble}")])
                    continue
                points.listed.append(f"{scene.name}: it dies {boundary}")
                try:
                    store = reopened(file, path, scene.now)
                except TenureError as trouble:
                    points.found(point, [Breach("S21", f"nobody can open the file any more: {trouble}")])
                    continue
                with closing(store):
                    played = Played(store, answered=death.answered)
                    points.found(point, scene.judge(played, stage.seen[: at + 1]))
    return points


def _play(scene: Scene, file: SqliteFile, path: Path, seam: Seam, answered: Callable[[], None]) -> None:
    scene.play(file, path, seam, answered)


def errors(file: SqliteFile, chosen: Iterable[Scene], *, every: bool = False) -> Points:
    """Have SQLite report an error at each statement.

    `every`: each code before the statement is executed, and after it was. Else one code, in turn, before it (or between
    two rows); but at COMMIT each, before and after.
    """
    points = Points()
    turn = cycle(CODES)
    for scene in chosen:
        with _Stage(file, scene, points) as stage:
            for at, boundary in enumerate(stage.seen):
                whole = every or boundary.kind == COMMIT
                if boundary.when == "after" and not whole:
                    continue
                for code in CODES if whole else [next(turn)]:
                    if not _can_fail(boundary, code):
                        continue
                    seam = Seam(Watch(at, partial(fail, CODES[code])))
                    points.listed.append(f"{scene.name}: {code} {boundary}")
                    reached = stage.seen[: at + 1]
                    point = f"{code} reported {boundary} of {scene.name!r}"
                    try:
                        played = scene.play(file, stage.fresh(), seam, _nobody)
                        with closing(played.store):
                            points.found(point, _after_error(scene, played, reached, boundary, code))
                    except (TenureError, sqlite3.Error) as raised:
                        points.found(
                            point, [Breach("CONTRACT §2", f"an answer was due, and {raised!r} raised")]
                        )
    return points


def _nobody() -> None:
    """Nobody waits for the answer."""


def _can_fail(boundary: Boundary, code: str) -> bool:
    """Closing reports nothing here, an answer is no statement, and what SQLite committed is never reported as busy."""
    if boundary.kind in ("close", REPLY):
        return False
    return not (code == "BUSY" and boundary == Boundary("after", COMMIT, boundary.where))


def _after_error(
    scene: Scene, played: Played, seen: Sequence[Boundary], boundary: Boundary, code: str
) -> Iterable[Breach]:
    if played.answers is not None:
        wanted = Unknown if boundary.kind == COMMIT and code != "BUSY" else Unavailable
        wrong = [answer for answer in played.answers if not isinstance(answer, wanted)]
        if wrong:
            yield Breach("S18", f"answered {wrong[0]!r}, not {wanted.__name__} (CONTRACT §2)")
    yield from scene.judge(played, seen)


class _Stage:
    """A scene's file as it is before, in as many copies as are wanted; the boundaries that it reaches undisturbed."""

    def __init__(self, file: SqliteFile, scene: Scene, points: Points) -> None:
        self._file, self._scene, self._points = file, scene, points
        self._copies = count()
        self.seen: list[Boundary] = []

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        self._path = Path(self._folder.name) / "before.db"
        self._scene.prepare(self._file, self._path)
        watch = Watch()
        seam = Seam(watch)
        played = self._scene.play(self._file, self.fresh(), seam, _nobody)
        self.seen = watch.seen
        with closing(played.store):
            undisturbed = f"nothing, in {self._scene.name!r}"
            self._points.found(undisturbed, self._scene.judge(played, self.seen))
            self._points.found(undisturbed, [Breach("S21", f"committed with {weak}") for weak in seam.weak])
        self._points.saw(self.seen)
        return self

    def fresh(self) -> Path:
        """A copy, in a folder of its own; none where the scene begins without a file."""
        folder = Path(self._folder.name) / str(next(self._copies))
        folder.mkdir()
        if self._path.exists():
            self._file.copy(self._path, folder / "s.db")
        return folder / "s.db"

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()
