"""What an application is to tenure: its handlers, each under the name of its kind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from types import MappingProxyType, MethodType
from typing import Any, Generic, Protocol, TypeVar, get_type_hints, overload

from attrs import field, frozen

from tenure.errors import DuplicateKind, InvalidValue, UnknownKind
from tenure.process import RESERVED
from tenure.timings import nanos

P = TypeVar("P")
R = TypeVar("R")

CO_COROUTINE = 0x80
"""CPython's flag of a function defined with `async def` (inspect.CO_COROUTINE)."""
CO_VARARGS = 0x04
"""CPython's flag of a function that takes `*args`."""


class Converter(Protocol):
    """Turns what handlers take and return into what JSON can carry, and back. The driver brings one."""

    def structure(self, value: Any, to: Any) -> Any:
        """The JSON value as the type `to`. Raises ValueError naming the field that does not fit."""

    def unstructure(self, value: Any) -> Any:
        """The value as JSON types."""


class Verbatim:
    """A converter for handlers that take and return JSON types only."""

    def structure(self, value: Any, to: Any) -> Any:
        """The value itself."""
        return value

    def unstructure(self, value: Any) -> Any:
        """The value itself."""
        return value


@frozen(eq=False)
class Kind(Generic[P, R]):
    """A kind of process: its name and handler. `start` and the outcome are typed by it. Calling it calls the handler.

    `plain`: a plain function, run in a thread. `emits`: the event types it may emit. `max_run` in seconds, or None.
    """

    name: str
    handler: Callable[..., Any]
    plain: bool
    takes_payload: bool
    payload_type: Any
    result_type: Any
    emits: tuple[str, ...]
    max_run: float | None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler(*args, **kwargs)


@frozen(eq=False)
class _Handle:
    """The decorator that `App.process` returns; its types carry the handler's over to the Kind."""

    kinds: dict[str, Kind[Any, Any]]
    name: str
    emits: tuple[str, ...]
    max_run: float | None

    @overload
    def __call__(self, handler: Callable[[Any, P], Coroutine[Any, Any, R]]) -> Kind[P, R]:
        """An async function with a payload."""

    @overload
    def __call__(self, handler: Callable[[Any], Coroutine[Any, Any, R]]) -> Kind[None, R]:
        """An async function without."""

    @overload
    def __call__(self, handler: Callable[[Any, P], R]) -> Kind[P, R]:
        """A plain function with a payload."""

    @overload
    def __call__(self, handler: Callable[[Any], R]) -> Kind[None, R]:
        """A plain function without."""

    def __call__(self, handler: Callable[..., Any]) -> Kind[Any, Any]:
        if self.name in self.kinds:
            raise DuplicateKind(
                f"the application has two handlers of kind {self.name!r}; give one of them another name"
            )
        kind = _kind_of(self.name, handler, self.emits, self.max_run)
        self.kinds[self.name] = kind
        return kind


@frozen(eq=False)
class App:
    """Handlers by kind. A module of one's own has one, and `tenure worker module:app` runs it."""

    _kinds: dict[str, Kind[Any, Any]] = field(factory=dict[str, Kind[Any, Any]], init=False)

    @property
    def kinds(self) -> Mapping[str, Kind[Any, Any]]:
        """The kinds by name."""
        return MappingProxyType(self._kinds)

    def process(self, name: str, *, emits: Sequence[str] = (), max_run: float | None = None) -> _Handle:
        """A decorator: the function handles the processes of that kind.

        The function takes the context and, if it has a second parameter, the payload. Raises DuplicateKind,
        InvalidValue for a blank name, a reserved event type or a bad `max_run` (seconds).
        """
        if not string(name, "the name of a kind").strip():
            raise InvalidValue("a kind needs a name that is not blank")
        types = event_types(emits, f"kind {name!r}")
        reserved = [one for one in types if not one.strip() or one.startswith(RESERVED)]
        if reserved:
            raise InvalidValue(
                f"kind {name!r}: the event type {reserved[0]!r} is blank, or begins with {RESERVED!r} and is reserved"
            )
        if max_run is not None and not 0 < max_run <= 86_400 * 366:
            raise InvalidValue(f"kind {name!r}: max_run={max_run!r} is not a duration in seconds above 0")
        return _Handle(self._kinds, name, types, max_run)

    def kind(self, name: str) -> Kind[Any, Any]:
        """The kind of that name. Raises UnknownKind."""
        try:
            return self._kinds[name]
        except KeyError:
            known = ", ".join(sorted(self._kinds)) or "none"
            raise UnknownKind(f"the application has no handler of kind {name!r}; it has: {known}") from None

    def max_runs(self) -> tuple[tuple[str, int], ...]:
        """(kind, nanoseconds) of the kinds that have a bound, as the machines take it."""
        return tuple((k.name, nanos(k.max_run)) for k in self._kinds.values() if k.max_run is not None)


def _kind_of(
    name: str, handler: Callable[..., Any], emits: tuple[str, ...], max_run: float | None
) -> Kind[Any, Any]:
    function, bound, named = unwrapped(handler)
    code = getattr(function, "__code__", None)
    if code is None:
        raise InvalidValue(f"the handler of kind {name!r} is no function: {handler!r}")
    plain = not code.co_flags & CO_COROUTINE
    while hasattr(function, "__wrapped__"):  # a decorator's: what it wraps says which parameters there are
        function = function.__wrapped__
    code = getattr(function, "__code__", code)
    # A plain wrapper of an async function returns what is to be awaited, so it is run as an async one.
    plain = plain and not code.co_flags & CO_COROUTINE
    names = [one for one in code.co_varnames[: code.co_argcount][len(bound) :] if one not in named]
    takes_payload = len(names) > 1 or bool(code.co_flags & CO_VARARGS)
    hints = hints_of(function)
    payload_type = hints.get(names[1], Any) if len(names) > 1 else Any
    return Kind(name, handler, plain, takes_payload, payload_type, hints.get("return", Any), emits, max_run)


def unwrapped(function: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The function within `functools.partial` objects and bound methods; the arguments that they bind, by position
    (the object of a method too) and by name."""
    bound: tuple[Any, ...] = ()
    named: dict[str, Any] = {}
    while True:
        if isinstance(function, partial):
            bound, named = function.args + bound, function.keywords | named
            function = function.func
        elif isinstance(function, MethodType):
            bound, function = (function.__self__, *bound), function.__func__
        else:
            return function, bound, named


def hints_of(function: Any) -> dict[str, Any]:
    """The function's annotations; none where they name something that exists for type checkers only."""
    try:
        return get_type_hints(unwrapped(function)[0])
    except Exception:
        return {}


def string(value: object, what: str) -> str:
    """The value, which is a string. Raises InvalidValue: a store would fail at anything else."""
    if not isinstance(value, str):
        raise InvalidValue(f"{what} must be a string; it is {value!r}")
    return value


def event_types(emits: Sequence[str], whose: str) -> tuple[str, ...]:
    """The event types as a tuple. Raises InvalidValue for a single string, which is a sequence of strings too."""
    if isinstance(emits, str):
        raise InvalidValue(f"{whose}: emits takes a list of event types, not the string {emits!r}")
    try:
        types = tuple(emits)
    except TypeError:
        raise InvalidValue(f"{whose}: emits takes a list of event types, not {emits!r}") from None
    return tuple(string(one, f"{whose}: an event type") for one in types)
