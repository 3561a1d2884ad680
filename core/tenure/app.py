"""`App`: one plugin, written as decorators. For whatever fits into a single module it is all one needs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, overload

from attrs import field, frozen

from tenure.errors import DuplicateKind, InvalidValue
from tenure.events import EventTypes, shapes_of
from tenure.kinds import Kind, event_types, found, kind_of, max_runs, string
from tenure.plugins import Plugin
from tenure.process import RESERVED

P = TypeVar("P")
R = TypeVar("R")


@frozen(eq=False)
class _Handle:
    """The decorator that `App.process` returns; its types carry the handler's over to the Kind."""

    kinds: dict[str, Kind[Any, Any]]
    name: str
    emits: tuple[str, ...]
    max_run: float | None
    shapes: Mapping[str, type]

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
        kind = kind_of(self.name, handler, self.emits, self.max_run, self.shapes)
        self.kinds[self.name] = kind
        return kind


@frozen(eq=False)
class App:
    """Handlers by kind. A module of one's own has one, and `tenure worker module:app` runs it.

    `plugin` is all that it makes: a plugin called `name` whose kinds are those that were declared so far.
    """

    name: str = "app"
    _kinds: dict[str, Kind[Any, Any]] = field(factory=dict[str, Kind[Any, Any]], init=False)
    plugin: Plugin = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "plugin", Plugin(self.name, MappingProxyType(self._kinds)))

    @property
    def kinds(self) -> Mapping[str, Kind[Any, Any]]:
        """The kinds by name."""
        return self.plugin.kinds

    def process(self, name: str, *, emits: EventTypes = (), max_run: float | None = None) -> _Handle:
        """A decorator: the function handles the processes of that kind.

        The function takes the context and, if it has a second parameter, the payload. `emits`: the event types that it
        may emit, or a mapping of them to the attrs class or dataclass that their payloads have to fit (None: any JSON).
        Raises DuplicateKind, InvalidValue for a blank name, a reserved event type, a shape that is no such class, or a
        bad `max_run` (seconds).
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
        return _Handle(self._kinds, name, types, max_run, shapes_of(emits, f"kind {name!r}"))

    def kind(self, name: str) -> Kind[Any, Any]:
        """The kind of that name. Raises UnknownKind."""
        return found(self._kinds, name, "the application has")

    def max_runs(self) -> tuple[tuple[str, int], ...]:
        """(kind, nanoseconds) of the kinds that have a bound, as the machines take it."""
        return max_runs(self._kinds)
