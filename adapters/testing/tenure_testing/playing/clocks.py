"""Clocks that the world moves: each worker's own, and the store's. True time is nanoseconds that only a world knows."""

from __future__ import annotations

from typing import Protocol

from tenure.instants import NANOS_PER_MILLI, Instant, StoreTime

PPM = 1_000_000
EPOCH_MS = 1_700_000_000_000
"""What the store's clock shows when a world begins."""


class TrueTime(Protocol):
    """Whoever knows the true time."""

    now: int


class _Dial:
    """Reads true time through an offset and a drift, until it is frozen. All in nanoseconds."""

    def __init__(self, true: TrueTime, shows: int, drift: int) -> None:
        self._true, self._drift, self._frozen = true, drift, False
        self._shows, self._since = shows, true.now

    def read(self) -> int:
        """What it shows now."""
        if self._frozen:
            return self._shows
        passed = self._true.now - self._since
        return self._shows + (passed * (PPM + self._drift) // PPM if self._drift else passed)

    def set(self, shows: int, drift: int, frozen: bool) -> None:
        """From now on it shows that, and runs `drift` parts per million too fast."""
        self._shows, self._since, self._drift, self._frozen = shows, self._true.now, drift, frozen

    def until(self, shows: int) -> int | None:
        """The true time at which it shows that; None while it stands still before it."""
        left = shows - self._shows
        if self._frozen:
            return self._true.now if left <= 0 else None
        return self._since + -(-left * PPM // (PPM + self._drift))

    @property
    def drift(self) -> int:
        """Parts per million."""
        return self._drift

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen


class LocalClock:
    """A worker's clock (C2): it only moves forward. `offset` in seconds, `drift` in parts per million."""

    def __init__(self, true: TrueTime, offset: float = 0, drift: int = 0) -> None:
        self._dial = _Dial(true, true.now + round(offset * 1e9), drift)
        self._read = self._dial.read

    def now(self) -> Instant:
        """What it shows."""
        return Instant(self._read())

    def drifts(self, ppm: int) -> None:
        """From now on it runs so much too fast, or too slow where that is below 0."""
        self._dial.set(self._dial.read(), ppm, self._dial.frozen)

    def freezes(self) -> None:
        """It stands still, as one does that does not count while the machine is suspended (K7)."""
        self._dial.set(self._dial.read(), self._dial.drift, frozen=True)

    def thaws(self) -> None:
        """It goes on from where it stood."""
        self._dial.set(self._dial.read(), self._dial.drift, frozen=False)

    def until(self, at: Instant) -> int | None:
        """The true time at which it shows `at`, which may be over; None while it stands still."""
        return self._dial.until(at)


class StoreClock:
    """The store's clock (C1), in milliseconds. Anything may happen to it: a row's own time never goes back."""

    def __init__(self, true: TrueTime) -> None:
        self._dial = _Dial(true, EPOCH_MS * NANOS_PER_MILLI, 0)

    def __call__(self) -> StoreTime:
        return StoreTime(self._dial.read() // NANOS_PER_MILLI)

    def steps(self, seconds: float) -> None:
        """It jumps, backwards where that is below 0."""
        self._dial.set(self._dial.read() + round(seconds * 1e9), self._dial.drift, self._dial.frozen)

    def drifts(self, ppm: int) -> None:
        """From now on it runs so much too fast."""
        self._dial.set(self._dial.read(), ppm, self._dial.frozen)

    def freezes(self) -> None:
        """It stands still."""
        self._dial.set(self._dial.read(), self._dial.drift, frozen=True)

    def thaws(self) -> None:
        """It goes on from where it stood."""
        self._dial.set(self._dial.read(), self._dial.drift, frozen=False)
