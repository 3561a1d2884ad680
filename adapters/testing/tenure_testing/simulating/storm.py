"""The faults of a plan: those of the network as weather, all others as events in the world's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from tenure.requests import Request
from tenure_testing.playing import BUSY, NO_ANSWER, Fate, Host, Weather, World
from tenure_testing.playing.faults import HANG
from tenure_testing.simulating.plans import NETWORK, Plan

MILLI = 1_000_000
SECOND = 1_000_000_000
LATEST = 90.0
"""Seconds after which a late or doubled request arrives, at most."""
LONGEST_PAUSE = 75.0
LONGEST_STALL = 60.0
LONGEST_CUT = 40.0
LONGEST_OUTAGE = 20.0
LONGEST_GRACE = 20.0
OUTLASTS = {
    "late": LATEST,
    "doubled": LATEST,
    "pause": LONGEST_PAUSE,
    "suspend": LONGEST_PAUSE,
    "stalls": LONGEST_STALL,
    "cut there": LONGEST_CUT,
    "cut back": LONGEST_CUT,
    "store freeze": LONGEST_OUTAGE,
    "store restart": LONGEST_OUTAGE,
    "drain": LONGEST_GRACE,
}
"""Seconds for which a fault of the storm's last moment is felt after it, at most; no other fault outlasts the storm."""
CLIENT = "client"


class Storm(Weather):
    """The network of a plan, until it is `calm`. `count` has how often each fault happened."""

    def __init__(self, plan: Plan, count: Callable[[str], None]) -> None:
        self._random = plan.random("network")
        self._kinds = [fault for fault in plan.faults if fault in NETWORK]
        self._deaf = "no hints" in plan.faults
        self._withheld = False
        self._stalls = plan.rate / 4 if "stalls" in plan.faults else 0.0
        self._rate = plan.rate if self._kinds else 0.0
        self._count = count
        self.calm = False

    def fate(self, host: str, batch: Sequence[Request]) -> Fate:
        random = self._random.random
        there = int(MILLI * (0.2 + 4 * random()))
        back = there + int(MILLI * (0.2 + 4 * random()))
        if self.calm or random() >= self._rate:
            return Fate((there,), back)
        kind = self._random.choice(self._kinds)
        self._count(kind)
        match kind:
            case "lost request":
                return Fate((), HANG, NO_ANSWER)
            case "lost answer":
                return Fate((there,), HANG, NO_ANSWER)
            case "late":
                return Fate((int(SECOND * LATEST * random()) + there,), HANG, NO_ANSWER)
            case "doubled":
                return Fate((there, there + int(SECOND * LATEST * random())), back)
            case "busy":
                return Fate((), back, BUSY)
            case _:
                heard = int(SECOND * (3 + 20 * random()))
                return Fate((there,) if random() < 0.5 else (), heard)

    def hint(self, host: str) -> int | None:
        if self._deaf and not self.calm:
            if not self._withheld:  # one fault, however many there would have been
                self._withheld = True
                self._count("no hints")
            return None
        # A client looks less often: its turns are no machine's.
        return int(MILLI * (1 + 30 * self._random.random())) if host != CLIENT else 200 * MILLI

    def lag(self, host: str) -> int:
        random = self._random.random
        if host == CLIENT or not self._stalls or self.calm or random() >= self._stalls:
            return 0
        self._count("stalls")
        return int(SECOND * LONGEST_STALL * random() ** 2)


class Chaos:
    """What happens to workers, clocks and store during the storm. `stepped` sums up how far the store's clock was set
    back, in seconds."""

    def __init__(
        self, plan: Plan, world: World, workers: Sequence[Host], count: Callable[[str], None]
    ) -> None:
        self._plan, self._world, self._workers, self._count = plan, world, workers, count
        self.stepped = 0.0
        acts: dict[str, Callable[[Host, Random], bool | None]] = {
            "crash": self._crash,
            "pause": self._pause,
            "suspend": self._suspend,
            "drain": self._drain,
            "cut there": partial(self._cut, there=True),
            "cut back": partial(self._cut, there=False),
            "drift": self._drift,
        }
        store_acts: dict[str, Callable[[Random], bool | None]] = {
            "store step": self._store_step,
            "store freeze": self._store_freeze,
            "store drift": self._store_drift,
            "store restart": self._store_restart,
        }
        for fault, act in acts.items():
            self._have(fault, len(workers), partial(self._strike, fault, act))
        for fault, store_act in store_acts.items():
            self._have(fault, 1, partial(self._strike_store, fault, store_act))

    def _have(self, fault: str, pace: int, act: Callable[[Random], None]) -> None:
        if fault in self._plan.faults:
            random, at = self._plan.random(fault), 0.0
            while (at := at + random.expovariate(pace * (0.2 + self._plan.rate) / 20)) < self._plan.storm:
                self._world.after(at, partial(act, random))

    def _strike(self, fault: str, act: Callable[[Host, Random], bool | None], random: Random) -> None:
        """A fault is counted only where there is something to strike: who has crashed or drained is not there. One that
        sets a clock right is none."""
        host = self._workers[random.randrange(len(self._workers))]
        if host.alive and not host.finished and act(host, random) is not False:
            self._count(fault)

    def _strike_store(self, fault: str, act: Callable[[Random], bool | None], random: Random) -> None:
        if not self._world.store.down and act(random) is not False:
            self._count(fault)

    def _crash(self, host: Host, random: Random) -> None:
        away = random.choice((0.0, 1.0, 10.0, 40.0)) * random.random()
        host.crash()
        self._world.after(away, partial(self._up, host))

    def _up(self, host: Host) -> None:
        if not host.alive:
            host.restart()

    def _pause(self, host: Host, random: Random) -> None:
        host.pause(LONGEST_PAUSE * random.random() ** 2)

    def _suspend(self, host: Host, random: Random) -> None:
        host.suspend(LONGEST_PAUSE * random.random() ** 2)

    def _drain(self, host: Host, random: Random) -> None:
        host.drain(random.choice((0.0, 1.0, 5.0, LONGEST_GRACE)))
        self._world.after(1, partial(self._drained, host, host.life))

    def _drained(self, host: Host, life: object) -> None:
        if host.life is life:
            if host.finished:
                self._world.happened("drain ended", host)
                host.restart()
            else:
                self._world.after(1, partial(self._drained, host, life))

    def _cut(self, host: Host, random: Random, there: bool) -> None:
        host.cut(LONGEST_CUT * random.random() ** 2, there=there, back=not there)

    def _drift(self, host: Host, random: Random) -> bool:
        drift = random.choice((-200_000, -20_000, 0, 20_000, 200_000))
        host.clock.drifts(drift)
        host.clock_moved()
        return drift != 0

    def _store_step(self, random: Random) -> None:
        seconds = random.choice((-60, -5, -0.01, 0.01, 5, 60)) * random.random()
        self.stepped += max(0.0, -seconds)
        self._world.store_clock.steps(seconds)

    def _store_freeze(self, random: Random) -> None:
        self._world.store_clock.freezes()
        self._world.after(LONGEST_OUTAGE * random.random(), self._world.store_clock.thaws)

    def _store_drift(self, random: Random) -> bool:
        drift = random.choice((-300_000, -50_000, 0, 50_000, 300_000))
        self._world.store_clock.drifts(drift)
        return drift != 0

    def _store_restart(self, random: Random) -> None:
        self._world.store_down(random.choice((0.0, 0.5, 5.0, LONGEST_OUTAGE)) * random.random())

    def calm(self) -> None:
        """The storm is over: everybody runs again, and every clock goes right from where it stands."""
        self._world.store_clock.drifts(0)
        for host in self._workers:
            host.clock.drifts(0)
            host.clock_moved()
            self._up(host)
