"""Boundaries, and how one is struck.

A *boundary* is a place between two steps where the world can end: before or after one SQL statement, before a call is
sent, after a handler's effect ran. Whoever executes the steps calls `Watch.reach` at each. A watch that is not armed
writes them down; one that is armed at the n-th strikes there. So a run without a crash says how many there are, and as
many runs later each was struck exactly once: 100 % of the points, and the list of them.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen


@frozen
class Boundary:
    """One place between two steps. `when` and `kind` name it in the language of whoever reaches it (before | COMMIT);
    `where` is the line of code, or empty."""

    when: str
    kind: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.when} {self.kind}"


@frozen
class Violation:
    """What did not hold after one strike. `law` is the property (S21) or the paragraph of the contract; `point` says
    what was struck, and where."""

    law: str
    point: str
    said: str

    def __str__(self) -> str:
        return f"{self.law} does not hold after {self.point}: {self.said}"


def _nothing() -> None:
    """The strike of a watch that only looks."""


@define
class Watch:
    """Counts boundaries, from 0, while it is `on`. At number `at` it strikes: `strike` kills the process or raises."""

    at: int | None = None
    strike: Callable[[], None] = _nothing
    on: bool = False
    seen: list[Boundary] = field(factory=list[Boundary])

    def reach(self, boundary: Boundary) -> None:
        """The caller is about to go on from here."""
        if self.on:
            self.seen.append(boundary)
            if len(self.seen) - 1 == self.at:
                self.strike()
