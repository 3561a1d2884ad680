"""What an application is to tenure: its handlers, each under the name of its kind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar, get_type_hints, overload

from attrs import field, frozen

from tenure.errors import DuplicateKind, InvalidValue, UnknownKind
from tenure.process import RESERVED
from tenure.timings import nanos

P = TypeVar("P")
R = TypeVar("R")

CO_COROUTINE = 0x80
"""CPython's flag of a function defined with `async def` (inspect.CO_COROUTINE)."""


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
    def __call__(self, handler: Callable[[Any, P], Coroutine[Any, Any, R]]) -> Kind[P, R]: ...
    @overload
    def __call__(self, handler: Callable[[Any], Coroutine[Any, Any, R]]) -> Kind[None, R]: ...
    @overload
    def __call__(self, handler: Callable[[Any, P], R]) -> Kind[P, R]: ...
    @overload
    def __call__(self, handler: Callable[[Any], R]) -> Kind[None, R]: ...
    def __call__(self, handler: Callable[..., Any]) -> Kind[Any, Any]:
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
        if not name or name.isspace():
            raise InvalidValue("a kind needs a name that is not blank")
        if name in self._kinds:
            raise DuplicateKind(
                f"the application has two handlers of kind {name!r}; give one of them another name"
            )
        if isinstance(emits, str):
            raise InvalidValue(f"kind {name!r}: emits takes a list of event types, not the string {emits!r}")
        reserved = [one for one in emits if not one or one.isspace() or one.startswith(RESERVED)]
        if reserved:
            raise InvalidValue(
                f"kind {name!r}: the event type {reserved[0]!r} is blank, or begins with {RESERVED!r} and is reserved"
            )
        if max_run is not None and not 0 < max_run <= 86_400 * 366:
            raise InvalidValue(f"kind {name!r}: max_run={max_run!r} is not a duration in seconds above 0")

        return _Handle(self._kinds, name, tuple(emits), max_run)

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
    function: Any = handler
    bound = 0
    while isinstance(function, partial):
        bound += len(function.args)
        function = function.func
    if hasattr(function, "__func__"):
        bound, function = bound + 1, function.__func__
    code = getattr(function, "__code__", None)
    if code is None:
        raise InvalidValue(f"the handler of kind {name!r} is no function: {handler!r}")
    hints = hints_of(function)
    names = code.co_varnames[: code.co_argcount][bound:]
    takes_payload = len(names) > 1 or bool(code.co_flags & 0x04)
    payload_type = hints.get(names[1], Any) if len(names) > 1 else Any
    plain = not code.co_flags & CO_COROUTINE
    return Kind(name, handler, plain, takes_payload, payload_type, hints.get("return", Any), emits, max_run)


def hints_of(function: Any) -> dict[str, Any]:
    """The function's annotations; none where they name something that exists for type checkers only."""
    try:
        return get_type_hints(function)
    except Exception:
        return {}
