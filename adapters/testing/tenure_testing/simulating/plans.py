"""What one seed stands for: how many take part, and which faults there are. A subset of the faults for each seed, since
faults that are always all there hide each other."""

from __future__ import annotations

import math
from collections.abc import Collection
from random import Random
from typing import Any, TypeGuard, cast

from attrs import Attribute, asdict, field, frozen

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

COMPANY = {"events": 0.25, "prune": 0.2, "sessions": 0.15}
"""Who else is in the world, and in which share of the seeds. `events`: clients that append events and follow logs, and
handlers that wait for some. `prune`: somebody prunes what has ended, soon after it did. `sessions`: handlers append to
sessions, of several processes or their own, and fork. They are no faults: a plan without any is as it was before there
was such company."""

GENTLE = frozenset({"busy", "no hints", "drain", "raises", "overruns", "cancel"})
"""Faults under which a worker stays healthy, so that it never loses a lease (L3)."""


MOST = 1_000
"""Of workers, slots and processes each: more than any machine plays in a day."""
LONGEST = 86_400
"""Seconds of a storm."""


def _names(names: Any) -> Any:
    return tuple(cast("list[object]", names)) if isinstance(names, list) else names


def _must(field: Attribute[Any], value: object, holds: bool, be: str) -> None:
    if not holds:
        raise InvalidValue(f"a plan's {field.name} must be {be}, not {value!r}")


def _whole(plan: object, field: Attribute[int], value: object) -> None:
    _must(field, value, type(value) is int, "a whole number")


def _count(plan: object, field: Attribute[int], value: Any) -> None:
    _must(field, value, type(value) is int and 1 <= value <= MOST, f"a whole number from 1 to {MOST:,}")


def _store(plan: object, field: Attribute[str], value: object) -> None:
    _must(field, value, value in ("memory", "sqlite"), "memory or sqlite")


def _faults(plan: object, field: Attribute[tuple[str, ...]], value: object) -> None:
    _must(field, value, _known(value), f"a list of one or more of {', '.join(FAULTS)}")


def _company(plan: object, field: Attribute[tuple[str, ...]], value: object) -> None:
    _must(field, value, value == () or _known(value, COMPANY), f"a list of any of {', '.join(COMPANY)}")


def _known(value: object, names: Collection[str] = FAULTS) -> bool:
    return (
        isinstance(value, tuple)
        and value != ()
        and all(name in names for name in cast("tuple[object]", value))
    )


def _seconds(plan: object, field: Attribute[float], value: object) -> None:
    _must(field, value, _number(value) and 0 < value <= LONGEST, f"seconds above 0, {LONGEST:,} at most")


def _share(plan: object, field: Attribute[float], value: object) -> None:
    _must(field, value, _number(value) and 0 <= value <= 1, "a number from 0 to 1")


def _number(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(cast("float", value))


@frozen
class Plan:
    """`store` is memory or sqlite. `storm` seconds long faults happen, each batch meeting one with probability `rate`;
    then the weather is fair, and everything has to come to its end (L9). `company` is who takes part besides; saved
    plans that do not name it have none. Raises InvalidValue."""

    seed: int = field(validator=_whole)
    store: str = field(validator=_store)
    workers: int = field(validator=_count)
    slots: int = field(validator=_count)
    processes: int = field(validator=_count)
    faults: tuple[str, ...] = field(converter=_names, validator=_faults)
    storm: float = field(validator=_seconds)
    rate: float = field(validator=_share)
    company: tuple[str, ...] = field(default=(), converter=_names, validator=_company)

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
    # From chance of its own, so that the seeds without company are played as they always were.
    others = Random(f"{seed}/company")
    company = tuple(name for name, share in COMPANY.items() if others.random() < share)
    return Plan(
        seed,
        store or ("sqlite" if chosen else "memory"),
        workers,
        slots,
        random.randint(3, 24),
        faults,
        float(random.randint(60, 240)),
        random.choice((0.02, 0.05, 0.1, 0.25)),
        company,
    )


def plan_of(body: object) -> Plan:
    """The plan from JSON. Raises InvalidValue for anything else."""
    if not isinstance(body, dict):
        raise InvalidValue(f"{body!r} is no plan of a simulation")
    try:
        return Plan(**cast("dict[str, Any]", body))
    except (TypeError, InvalidValue) as error:
        raise InvalidValue(f"this is no plan of a simulation: {error}") from error
