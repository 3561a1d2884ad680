"""What a kind of process is: its name and its handler, and what tenure reads off the handler's signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MethodType, NoneType, SimpleNamespace, UnionType
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from attrs import frozen

from tenure.errors import InvalidValue, UnknownKind
from tenure.events import NO_SHAPES
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

    def unstructure(self, value: Any, declared: Any = Any) -> Any:
        """The value as JSON types, from which `structure` makes it again as the type `declared`.

        Raises NotJson, with the path, where that could not be."""


class Verbatim:
    """A converter for handlers that take and return JSON types only."""

    def structure(self, value: Any, to: Any) -> Any:
        """The value itself."""
        return value

    def unstructure(self, value: Any, declared: Any = Any) -> Any:
        """The value itself."""
        return value


VERBATIM = Verbatim()


@frozen(eq=False)
class Kind(Generic[P, R]):
    """A kind of process: its name and handler. `start` and the outcome are typed by it. Calling it calls the handler.

    `plain`: a plain function, run in a thread. `emits`: the event types it may emit, `shapes` the classes that their
    payloads have to fit, where one was declared. `max_run` in seconds, or None.
    """

    name: str
    handler: Callable[..., Any]
    plain: bool
    takes_payload: bool
    payload_type: Any
    result_type: Any
    emits: tuple[str, ...]
    max_run: float | None
    shapes: Mapping[str, type] = NO_SHAPES

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler(*args, **kwargs)


def found(kinds: Mapping[str, Kind[Any, Any]], name: str, whose: str) -> Kind[Any, Any]:
    """The kind of that name; `whose` is how the message begins. Raises UnknownKind."""
    try:
        return kinds[name]
    except KeyError:
        known = ", ".join(sorted(kinds)) or "none"
        raise UnknownKind(f"{whose} no handler of kind {name!r}; it has: {known}") from None


def max_runs(kinds: Mapping[str, Kind[Any, Any]]) -> tuple[tuple[str, int], ...]:
    """(kind, nanoseconds) of the kinds that have a bound, as the machines take it."""
    return tuple((kind.name, nanos(kind.max_run)) for kind in kinds.values() if kind.max_run is not None)


def kind_of(
    name: str,
    handler: Callable[..., Any],
    emits: tuple[str, ...],
    max_run: float | None,
    shapes: Mapping[str, type] = NO_SHAPES,
) -> Kind[Any, Any]:
    """The kind that this function handles. Raises InvalidValue for what is no function."""
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
    whose = f"the handler of kind {name!r}"
    payload_type = hint_of(function, names[1], whose) if len(names) > 1 else Any
    result_type = hint_of(function, "return", whose)
    return Kind(name, handler, plain, takes_payload, payload_type, result_type, emits, max_run, shapes)


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


def hint_of(function: Any, name: str, whose: str) -> Any:
    """What the function's parameter of that name is annotated with, or "return" its result; Any where nothing is.

    The others may name what exists for type checkers only. Raises InvalidValue where this one does; `whose` is how the
    message begins."""
    function = unwrapped(function)[0]
    annotation = getattr(function, "__annotations__", {}).get(name, Any)
    alone = SimpleNamespace(__annotations__={name: annotation}, __wrapped__=function)
    try:
        return get_type_hints(alone, localns=_enclosed(function))[name]
    except Exception as unresolved:
        what = "the return annotation" if name == "return" else f"the annotation of the parameter {name!r}"
        raise InvalidValue(
            f"{whose}: {what}, {annotation}, cannot be resolved: {unresolved}; import what it names at run time too, "
            "not under TYPE_CHECKING only, and define a class of it at the top of a module"
        ) from unresolved


def is_plain(to: Any) -> bool:
    """Whether the annotation means values that JSON gives back as they are: null, truth values, numbers, texts, lists
    and objects of them, and whatever else says nothing (Any)."""
    if get_origin(to) in (list, dict, Union, UnionType):
        return all(is_plain(part) for part in get_args(to))
    return to in (Any, object, None, NoneType, bool, int, float, str, list, dict)


def _enclosed(function: Any) -> dict[str, Any]:
    """The variables of the functions around it that it uses, by name; those that have a value by now."""
    cells: dict[str, Any] = {}
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    for place, name in enumerate(names):
        try:
            cells[name] = function.__closure__[place].cell_contents
        except ValueError:  # not assigned yet
            continue
    return cells


def string(value: object, what: str) -> str:
    """The value, which is a string. Raises InvalidValue: a store would fail at anything else."""
    if not isinstance(value, str):
        raise InvalidValue(f"{what} must be a string; it is {value!r}")
    return value


def event_types(emits: Iterable[str], whose: str) -> tuple[str, ...]:
    """The event types as a tuple. Raises InvalidValue for a single string, which is a sequence of strings too."""
    if isinstance(emits, str):
        raise InvalidValue(f"{whose}: emits takes a list of event types, not the string {emits!r}")
    try:
        types = tuple(emits)
    except TypeError:
        raise InvalidValue(f"{whose}: emits takes a list of event types, not {emits!r}") from None
    return tuple(string(one, f"{whose}: an event type") for one in types)
