"""Plugins: who brings the handlers. A plugin has a name, and handlers by kind; it may bring what is opened once for a
worker (`lifespan`), and what is started around each process (`services`).

A worker opens a plugin host once and gets a stack: its plugins in order. What is first is opened first and closed last.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, TypeAlias, cast

from attrs import Factory, define, field, frozen

from tenure.errors import (
    DuplicateKind,
    DuplicatePlugin,
    InvalidValue,
    PluginFailed,
    ServicesFailed,
    TenureError,
)
from tenure.kinds import Kind, found, max_runs, string
from tenure.runtime import Runtime


class Block(Protocol):
    """An async context manager: whatever `async with` takes."""

    @abstractmethod
    def __aenter__(self) -> Awaitable[Any]:
        """Open."""

    @abstractmethod
    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Awaitable[bool | None]:
        """Close."""


def _kinds(kinds: object) -> Mapping[str, Kind[Any, Any]]:
    """A copy that nobody changes; an App's own is a view already, and grows with each kind that it declares."""
    if isinstance(kinds, MappingProxyType):
        return cast("Mapping[str, Kind[Any, Any]]", kinds)
    if not isinstance(kinds, Mapping):
        raise InvalidValue(f"the kinds of a plugin must be a mapping by name; they are {kinds!r}")
    return MappingProxyType(dict(cast("Mapping[str, Kind[Any, Any]]", kinds)))


@frozen(eq=False)
class Plugin:
    """`name` for people; `kinds` by name, as `App.kinds` has them.

    `lifespan()` is an async context manager that a worker enters before it claims anything and leaves when its
    handlers have ended. `services(runtime)` is one that is entered around each process, after its session was rebuilt
    and before its handler starts (B7). Raises InvalidValue.
    """

    name: str
    kinds: Mapping[str, Kind[Any, Any]] = field(converter=_kinds)
    lifespan: Callable[[], Block] | None = None
    services: Callable[[Runtime], Block] | None = None

    def __attrs_post_init__(self) -> None:
        if not string(self.name, "the name of a plugin").strip():
            raise InvalidValue("a plugin needs a name that is not blank")
        for name, kind in cast("Mapping[str, object]", self.kinds).items():
            if not isinstance(kind, Kind):
                raise InvalidValue(
                    f"plugin {self.name!r}: {name!r} is no kind but {kind!r}; use App.process to make one"
                )
            if kind.name != name:
                raise InvalidValue(f"plugin {self.name!r}: the kind under {name!r} is called {kind.name!r}")
        for what, made in (("lifespan", self.lifespan), ("services", self.services)):
            if made is not None and not callable(made):
                raise InvalidValue(f"plugin {self.name!r}: {what} must be a function or None; it is {made!r}")


class HasPlugin(Protocol):
    """An App, or whatever else stands for one plugin."""

    @property
    @abstractmethod
    def plugin(self) -> Plugin:
        """The plugin."""


AnyPlugin: TypeAlias = Plugin | HasPlugin
PluginFactory: TypeAlias = Callable[[], AnyPlugin]


@define(eq=False)
class Nested:
    """Several blocks as one: entered in order, left in the reverse order, whatever some of them raise. What keeps one
    from opening closes those before it, and is raised as the error that was made for that block. What one raises when
    it is left takes the place of the error that it was left by; none can make an error vanish."""

    _blocks: tuple[tuple[Callable[[], Block], Callable[[Exception], TenureError]], ...]
    _open: list[Block] = field(factory=list[Block])

    async def __aenter__(self) -> None:
        try:
            for opened, failed in self._blocks:
                try:
                    block = opened()
                    await block.__aenter__()
                except Exception as cause:
                    raise failed(cause) from cause
                self._open.append(block)
        except BaseException as error:
            await self._leave(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        """Leave all blocks. Raises what they raise, the last of it, or else the error that they are left by."""
        while self._open:
            block = self._open.pop()
            try:
                kind, trace = (type(error), error.__traceback__) if error is not None else (None, None)
                await block.__aexit__(kind, error, trace)
            except BaseException as raised:
                error = raised
        if error is not None:
            raise error


def _by_kind(stack: PluginStack) -> Mapping[str, Kind[Any, Any]]:
    names = [plugin.name for plugin in stack.plugins]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DuplicatePlugin(f"two plugins are called {twice!r}; each needs a name of its own")
    merged: dict[str, Kind[Any, Any]] = {}
    owners: dict[str, Plugin] = {}
    for plugin in stack.plugins:
        for name, kind in plugin.kinds.items():
            if name in owners:
                raise DuplicateKind(
                    f"plugins {owners[name].name!r} and {plugin.name!r} both handle kind {name!r}; "
                    "give one of the two another name, or leave one of the plugins out"
                )
            merged[name], owners[name] = kind, plugin
    return MappingProxyType(merged)


@frozen(eq=False)
class PluginStack:
    """One worker's plugins, in order. Raises DuplicatePlugin, DuplicateKind."""

    plugins: tuple[Plugin, ...]
    kinds: Mapping[str, Kind[Any, Any]] = field(init=False, default=Factory(_by_kind, takes_self=True))

    def kind(self, name: str) -> Kind[Any, Any]:
        """The kind of that name. Raises UnknownKind."""
        return found(self.kinds, name, "this worker has")

    def max_runs(self) -> tuple[tuple[str, int], ...]:
        """(kind, nanoseconds) of the kinds that have a bound, as the machines take it."""
        return max_runs(self.kinds)

    def lifespan(self) -> Nested:
        """An async context manager: everything that the plugins open for a worker. Raises PluginFailed, which names
        the plugin whose start-up raised."""
        return Nested(
            tuple(
                (plugin.lifespan, partial(_not_started, plugin.name))
                for plugin in self.plugins
                if plugin.lifespan is not None
            )
        )

    def services(self, runtime: Runtime, process_id: str, session_id: str) -> Nested:
        """An async context manager: what the plugins start around one process (B7's third point). Raises
        ServicesFailed, which names the plugin, the session and the process."""
        return Nested(
            tuple(
                (
                    partial(plugin.services, runtime),
                    partial(ServicesFailed, process_id, session_id, plugin.name),
                )
                for plugin in self.plugins
                if plugin.services is not None
            )
        )


def _not_started(name: str, cause: Exception) -> PluginFailed:
    return PluginFailed(name, f"plugin {name!r} could not be started: {type(cause).__name__}: {cause}")


def _plugin(given: object, whence: str) -> Plugin:
    plugin = given if isinstance(given, Plugin) else getattr(given, "plugin", None)
    if not isinstance(plugin, Plugin):
        raise InvalidValue(f"{whence} is {given!r}; it must be a Plugin or an App")
    return plugin


@frozen(eq=False)
class PluginHost:
    """A deployment's plugins, before any worker has opened them; shared by as many workers as one likes (B2)."""

    _factories: tuple[PluginFactory, ...]

    @classmethod
    def from_factories(cls, *factories: PluginFactory) -> PluginHost:
        """Each factory makes one plugin instance for each worker, in this order. Raises InvalidValue."""
        for number, factory in enumerate(factories, 1):
            if not callable(factory):
                raise InvalidValue(
                    f"plugin factory {number} is {factory!r}; it must be a function without parameters"
                )
        return cls(factories)

    @classmethod
    def from_stack(cls, *plugins: AnyPlugin) -> PluginHost:
        """The same plugin instances for all workers, in this order; an App stands for its plugin. Raises
        InvalidValue, DuplicatePlugin, DuplicateKind."""
        stack = PluginStack(tuple(_plugin(one, f"plugin {number}") for number, one in enumerate(plugins, 1)))
        return cls(tuple(partial(_same, plugin) for plugin in stack.plugins))

    def open(self) -> PluginStack:
        """The plugins of one worker. Raises PluginFailed, which names the factory that raised or made something else,
        DuplicatePlugin and DuplicateKind."""
        return PluginStack(tuple(_made(factory) for factory in self._factories))


def _same(plugin: Plugin) -> Plugin:
    return plugin


def _made(factory: PluginFactory) -> Plugin:
    name = getattr(factory, "__qualname__", repr(factory))
    try:
        return _plugin(factory(), f"what plugin factory {name} made")
    except Exception as cause:
        raise PluginFailed(name, f"plugin factory {name} failed: {type(cause).__name__}: {cause}") from cause
