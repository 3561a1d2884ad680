"""What one seed stands for: how many take part, and which faults there are. A subset of the faults for each seed, since
faults that are always all there hide each other."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, cast

from attrs import asdict, field, frozen

from tenure.errors import InvalidValue

NETWORK = ("lost request", "lost answer", "late", "doubled", "busy", "silent")
FEED = ("no hints",)
LOOPS = ("stalls",)
HOSTS = ("crash", "pause", "suspend", "drain", "cut there", "cut back")
CLOCKS = ("drift", "store step", "store freeze", "store drift")
STORE = ("store restart",)
HANDLERS = ("raises", "blocks", "ignores", "overruns")
CLIENTS = ("cancel",)

FAULTS = (*NETWORK, *FEED, *LOOPS, *HOSTS, *CLOCKS, *STORE, *HANDLERS, *CLIENTS)

GENTLE = frozenset({"busy", "no hints", "drain", "raises", "overruns", "cancel"})
"""Faults under which a worker stays healthy, so that it never loses a lease (L3)."""


def _names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names)


@frozen
class Plan:
    """`store` is memory or sqlite. `storm` seconds long faults happen, each batch meeting one with probability `rate`;
    then the weather is fair, and everything has to come to its end (L9)."""

    seed: int
    store: str
    workers: int
    slots: int
    processes: int
    faults: tuple[str, ...] = field(converter=_names)
    storm: float
    rate: float

    @property
    def gentle(self) -> bool:
        """Whether none of its faults excuses the loss of a lease."""
        return GENTLE.issuperset(self.faults)

    def random(self, what: str) -> Random:
        """Chance for that purpose alone, so that a smaller plan keeps the chances of what is left."""
        return Random(f"{self.seed}/{what}")

    def json(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def planned(seed: int, store: str | None = None) -> Plan:
    """The plan of a seed; one in twenty is on SQLite where no `store` is given."""
    random = Random(f"{seed}/plan")
    chosen = random.randrange(20) == 0
    gentle = random.random() < 0.25
    possible = [fault for fault in FAULTS if not gentle or fault in GENTLE]
    share = random.choice((0.08, 0.2, 0.35, 0.7))
    faults = tuple(fault for fault in possible if random.random() < share) or (random.choice(possible),)
    workers, slots = random.randint(2, 5), random.choice((1, 2, 4, 8))
    return Plan(
        seed,
        store or ("sqlite" if chosen else "memory"),
        workers,
        slots,
        random.randint(3, 24),
        faults,
        float(random.randint(60, 240)),
        random.choice((0.02, 0.05, 0.1, 0.25)),
    )


def plan_of(body: object) -> Plan:
    """The plan from JSON. Raises InvalidValue for anything else."""
    plan: Plan | None = None
    if isinstance(body, dict):
        try:
            plan = Plan(**cast("dict[str, Any]", body))
        except (TypeError, ValueError):
            pass
    if plan is None or plan.store not in ("memory", "sqlite") or set(plan.faults) - set(FAULTS):
        raise InvalidValue(f"{body!r} is no plan of a simulation")
    return plan
