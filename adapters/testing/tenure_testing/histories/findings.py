"""What a check of traces found, and how often it looked."""

from __future__ import annotations

from collections import Counter

from attrs import Factory, define, frozen

KEPT = 100
"""Findings that a report lists; it counts them all."""


@frozen
class Finding:
    """A property that does not hold: in words what was seen, and in which line of which trace."""

    property: str
    what: str
    place: tuple[int, int]


@define
class Findings:
    """`looked`: how often each property was judged; what was not looked at is not said to hold."""

    looked: Counter[str] = Factory(Counter[str])
    broken: Counter[str] = Factory(Counter[str])
    kept: list[Finding] = Factory(list[Finding])

    def broke(self, number: str, what: str, place: tuple[int, int]) -> None:
        """Note that property `number` does not hold."""
        self.broken[number] += 1
        if len(self.kept) < KEPT:
            self.kept.append(Finding(number, what, place))
