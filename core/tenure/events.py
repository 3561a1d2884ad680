"""Events as they come: a process that is followed, a handler that waits, and the shapes that a kind declares."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, assert_never

from attrs import define, field, has

from tenure.asks import AskFunction, AwaitEvents, Heard
from tenure.attempt_types import StopReason
from tenure.canonical import canonical
from tenure.errors import HandlerStopped, InvalidValue, LeaseLost, StoreUnavailable, WaitTimeout
from tenure.process import ENDED, Event
from tenure.replies import EventsRead, ProcessEnded, Refused, Unavailable

EventTypes: TypeAlias = Sequence[str] | Mapping[str, type | None]
"""How a kind declares what it emits: names, or names with the attrs class or dataclass that each payload has to fit,
None for any JSON."""

NO_SHAPES: Mapping[str, type] = MappingProxyType({})


def shapes_of(emits: EventTypes, whose: str) -> Mapping[str, type]:
    """The shapes among the declared event types. Raises InvalidValue for what is neither a class with fields nor None:
    anything else would never be checked."""
    if not isinstance(emits, Mapping):
        return NO_SHAPES
    for name, shape in emits.items():
        if shape is not None and not has_fields(shape):
            raise InvalidValue(
                f"{whose}: the shape of event {name!r} is {shape!r}; it must be an attrs class or a dataclass, or None "
                "for any JSON"
            )
    return MappingProxyType({name: shape for name, shape in emits.items() if shape is not None})


def has_fields(shape: object) -> bool:
    """Whether it is an attrs class or a dataclass."""
    return isinstance(shape, type) and (has(shape) or hasattr(shape, "__dataclass_fields__"))


def heard(ask: AwaitEvents, after: int, read: EventsRead) -> Heard:
    """What a page of the log, read after that number, holds for whoever asked."""
    wanted = tuple(event for event in read.events if ask.type in ("", event.type))
    return Heard(wanted, read.events[-1].seq if read.events else after, read.ended)


def told_event(told: ProcessEnded) -> Event:
    """An entry of a session's log as an event, numbered by the version of the ending."""
    payload = canonical({"process_id": told.process_id, "status": told.status})
    return Event(told.process_id, told.version, ENDED, payload, "r:ended", told.token, told.at)


@define(eq=False)
class Following:
    """A process's events in order, those that are there and then each as it comes, to its last; an async iterator.

    `more(after)` waits for what the log has after that number. A call that is cancelled loses no event.
    """

    _more: Callable[[int], Awaitable[Heard]] | None
    _after: int
    _page: deque[Event] = field(factory=deque[Event], init=False)

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> Event:
        while not self._page:
            if self._more is None:
                raise StopAsyncIteration
            more = await self._more(self._after)
            self._page.extend(event for event in more.events if event.seq > self._after)
            self._after = max(self._after, more.reached)
            if more.ended:
                self._more = None
        return self._page.popleft()


@define(eq=False)
class _Position:
    """How far the log was searched for one type, and what was found and not yet given out."""

    reached: int = 0
    found: deque[Event] = field(factory=deque[Event])


@define(eq=False)
class Hearing:
    """What one attempt has heard of its process's log: of each type every event once, from the log's start, so that a
    later attempt hears the same again in the same order (CONTRACT §8)."""

    _ask: AskFunction
    _process_id: str
    _token: int
    _of: dict[str, _Position] = field(factory=dict[str, _Position], init=False)

    async def next(self, type: str, timeout: float | None) -> Event:
        """The next event of that type. Raises WaitTimeout after `timeout` seconds, HandlerStopped or LeaseLost where
        the handler was told to stop, StoreUnavailable where the worker has too many calls under way."""
        position = self._of.setdefault(type, _Position())
        while not position.found:
            ask = AwaitEvents(self._process_id, position.reached, timeout, type, self._token)
            more = self._heard(await self._ask(ask))
            position.found.extend(event for event in more.events if event.seq > position.reached)
            position.reached = max(position.reached, more.reached)
            if not position.found:
                if more.ended:
                    raise LeaseLost(self._process_id)  # somebody else ended the process
                if not more.events:
                    raise WaitTimeout(self._process_id, timeout or 0, type)
        return position.found.popleft()

    def _heard(self, reply: Heard | StopReason | Refused | Unavailable) -> Heard:
        match reply:
            case Heard():
                return reply
            case StopReason.LEASE_LOST | StopReason.DEADLINE | Refused():
                raise LeaseLost(self._process_id)  # a row that is gone was ended by somebody else
            case StopReason():
                raise HandlerStopped(self._process_id, reply.value)
            case Unavailable():
                said = (
                    f"process {self._process_id!r}: its events could not be read ({reply.cause}); wait again"
                )
                raise StoreUnavailable(said)
            case _:
                assert_never(reply)
