"""What becomes of a batch between a worker and the store: executed once, twice, late or never; heard of, or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast, get_args

from attrs import define, field, frozen

from tenure.errors import InvalidValue
from tenure.instants import NANOS_PER_MILLI
from tenure.replies import Unavailable, Unknown
from tenure.requests import Request

NO_ANSWER = Unknown("the connection was lost before the answer came")
UNREACHABLE = Unavailable("the store cannot be reached")
BUSY = Unavailable("the store is busy")


def _says(fate: Fate, attribute: Any, says: Unavailable | Unknown | None) -> None:
    if isinstance(says, Unavailable) and fate.executes:
        raise ValueError("Unavailable says that nothing was applied, so such a batch must never be executed")


@frozen
class Fate:
    """`executes`: after how many nanoseconds the store executes the batch; none: it is lost, two: it is doubled, late:
    a zombie request. `heard`: when the sender's store thread hears of it, and what: the answers of the first execution
    where that has happened and `says` is None, else `says`, or Unknown for all of it."""

    executes: tuple[int, ...] = (NANOS_PER_MILLI,)
    heard: int = 2 * NANOS_PER_MILLI
    says: Unavailable | Unknown | None = field(default=None, validator=_says)


class Weather:
    """How the network and the machines are. This one is fair; seeded faults are in `tenure_testing.simulating`."""

    def fate(self, host: str, batch: Sequence[Request]) -> Fate:
        """What becomes of the batch."""
        return FAIR

    def hint(self, host: str) -> int | None:
        """Nanoseconds until a change of the store is told to the worker; None: it is not."""
        return NANOS_PER_MILLI

    def lag(self, host: str) -> int:
        """Nanoseconds until the worker's loop looks at what the machine tells it."""
        return 0

    def jitter(self, host: str, random: Random) -> int:
        """The machines' jitter, 0 to 999."""
        return random.randrange(1000)


FAIR = Fate()


@define(eq=False)
class Rule:
    """A fault that a test asks for: it meets `left` batches that carry a request which `fits`, sent by `host` (None:
    by anybody). `met` counts them."""

    fits: Callable[[Request], bool]
    host: str | None
    fate: Fate
    left: int
    met: int = 0

    def meets(self, host: str, batch: Sequence[Request]) -> bool:
        """Whether it meets this one, and counts it."""
        if self.left <= 0 or self.host not in (None, host) or not any(self.fits(one) for one in batch):
            return False
        self.left -= 1
        self.met += 1
        return True


def fitting(kind: Any, process_id: str | None) -> Callable[[Request], bool]:
    """Requests of that type, or tuple of types, that name that process (None: any). Raises InvalidValue where no
    request can be of such a type."""
    kinds = cast("tuple[object, ...]", kind if isinstance(kind, tuple) and kind else (kind,))
    for one in kinds:
        if one is not object and one not in get_args(Request):
            raise InvalidValue(
                f"{one!r} is no class of requests; say which a fault is to meet by one of those in tenure.requests, "
                "such as Complete, RecordEffect or Renew, by a tuple of them, or by object for all"
            )

    def fits(request: Request) -> bool:
        return isinstance(request, kind) and process_id in (None, process_of(request))

    return fits


def process_of(request: Request) -> str:
    """The process that the request names, or nothing."""
    fence = getattr(request, "fence", None)
    if fence is not None:
        return str(fence.process_id)
    registration = getattr(request, "registration", None)
    return str(registration.id if registration is not None else getattr(request, "process_id", ""))
