"""App: what it makes of handlers, and which it refuses, at import and not when a process is already there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ForwardRef

import pytest
from attrs import frozen

from tenure.app import App
from tenure.errors import DuplicateKind, InvalidValue, UnknownKind
from tenure.kinds import Kind, Verbatim, unwrapped

if TYPE_CHECKING:
    from decimal import Decimal


@frozen
class Job:
    url: str


async def resize(ctx: Any, job: Job) -> int:
    return len(job.url)


def shrink(ctx: Any, job: Job) -> str:
    return job.url


class Service:
    async def serve(self, ctx: Any, job: Job) -> Job:
        return job

    def idle(self, ctx: Any) -> None:
        """Takes no payload."""

    def __call__(self, ctx: Any) -> None:
        """Not a function."""


def facts(kind: Kind[Any, Any]) -> tuple[bool, bool, Any, Any]:
    return kind.plain, kind.takes_payload, kind.payload_type, kind.result_type


def made(handler: Callable[..., Any]) -> Kind[Any, Any]:
    return App().process("k")(handler)


def test_an_async_function_is_awaited_and_a_plain_one_goes_to_a_thread() -> None:
    assert facts(made(resize)) == (False, True, Job, int)
    assert facts(made(shrink)) == (True, True, Job, str)


def test_a_handler_that_takes_the_context_only_gets_no_payload() -> None:
    async def idle(ctx: Any) -> None:
        """Nothing."""

    assert facts(made(idle)) == (False, False, Any, type(None))


def test_methods_are_looked_through() -> None:
    service = Service()
    assert facts(made(service.serve)) == (False, True, Job, Job)
    assert facts(made(service.idle)) == (True, False, Any, type(None))
    assert facts(made(partial(service.serve))) == (False, True, Job, Job)


def test_partial_binds_parameters_by_position_and_by_name() -> None:
    async def send(server: str, ctx: Any, job: Job, retries: int) -> bytes:
        return b""

    assert facts(made(partial(send, "a", retries=3))) == (False, True, Job, bytes)
    assert facts(made(partial(partial(send, "a"), retries=3))) == (False, True, Job, bytes)
    assert facts(made(partial(send, "a", job=Job("x"), retries=3))) == (False, False, Any, bytes)


def test_partial_objects_that_python_keeps_apart_are_looked_through() -> None:
    """One that carries an attribute is not merged with the one around it."""

    async def send(server: str, region: str, ctx: Any, job: Job) -> bytes:
        return b""

    inner = partial(send, "a")
    inner.__doc__ = "Kept apart."
    outer = partial(inner, "b")
    assert outer.func is inner
    assert facts(made(outer)) == (False, True, Job, bytes)
    assert unwrapped(outer) == (send, ("a", "b"), {})


def test_a_decorated_handler_is_known_by_what_it_wraps() -> None:
    def logged(handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        async def wrapper(*args: Any) -> Any:
            return await handler(*args)

        return wrapper

    async def idle(ctx: Any) -> None:
        """Nothing."""

    assert facts(made(logged(resize))) == (False, True, Job, int)
    assert facts(made(logged(idle))) == (False, False, Any, type(None))


def test_a_plain_wrapper_of_an_async_handler_is_awaited() -> None:
    @wraps(resize)
    def wrapper(*args: Any) -> Any:
        return resize(*args)

    assert facts(made(wrapper)) == (False, True, Job, int)


def test_a_wrapper_of_what_is_no_function_is_known_by_itself() -> None:
    def shortened(ctx: Any) -> int:
        return 1

    vars(shortened)["__wrapped__"] = len  # as functools.wraps(len) has it
    assert facts(made(shortened)) == (True, False, Any, Any)


def test_a_handler_of_any_arguments_gets_the_payload() -> None:
    def catch_all(*args: Job) -> int:
        return len(args)

    assert facts(made(catch_all)) == (True, True, Any, int)


def test_an_annotation_of_the_context_may_exist_for_type_checkers_only() -> None:
    """Each annotation is resolved by itself: this one is no reason to read the payload as a dict."""

    async def handler(ctx: Decimal, job: Job) -> Job:
        return job

    assert facts(made(handler)) == (False, True, Job, Job)


ADVICE = (
    "import what it names at run time too, not under TYPE_CHECKING only, "
    "and define a class of it at the top of a module"
)


def test_an_annotation_of_the_payload_or_the_result_must_resolve() -> None:
    async def takes(ctx: Any, job: list[Decimal]) -> int:
        return 1

    async def gives(ctx: Any, job: Job) -> Decimal | None:
        return None

    for handler, what in (
        (takes, "the annotation of the parameter 'job', list[Decimal],"),
        (gives, "the return annotation, Decimal | None,"),
    ):
        with pytest.raises(InvalidValue) as refused:
            made(handler)
        assert str(refused.value) == (
            f"the handler of kind 'k': {what} cannot be resolved: name 'Decimal' is not defined; {ADVICE}"
        )
        assert str(refused.value.__cause__) == "name 'Decimal' is not defined"


def test_a_class_of_a_function_is_found_where_the_handler_uses_it() -> None:
    @frozen
    class Local:
        n: int

    async def handler(ctx: Any, job: Local) -> list[Local]:
        return [Local(job.n), Later(1)]

    assert facts(made(handler)) == (False, True, Local, list[Local])

    class Later(Local):
        """Not there yet when the handler was made a kind."""


def test_annotations_that_are_no_texts_are_used_as_they_are() -> None:
    @frozen
    class Local:
        n: int

    async def handler(ctx: Any, job: Any) -> Any:
        return job

    handler.__annotations__ |= {"job": Local, "return": list[Local]}
    assert facts(made(handler)) == (False, True, Local, list[Local])
    unknown: Any = ForwardRef("Local")
    handler.__annotations__["job"] = dict[str, unknown]
    said = r"the annotation of the parameter 'job', dict\[str, ForwardRef\('Local'\)\], cannot be resolved: "
    with pytest.raises(InvalidValue, match=said + "name 'Local' is not defined; "):
        made(handler)


def test_a_kind_is_still_the_function() -> None:
    app = App()
    kind = app.process("shrink", emits=["half", "whole"], max_run=1.5)(shrink)
    assert kind(None, Job("x")) == kind(None, job=Job("x")) == "x"
    assert (kind.name, kind.emits, kind.max_run) == ("shrink", ("half", "whole"), 1.5)
    assert app.kinds == {"shrink": kind}
    assert app.kind("shrink") is kind


def test_max_runs_are_in_nanoseconds_and_of_those_that_have_one() -> None:
    app = App()
    app.process("a", max_run=1.5)(shrink)
    app.process("b")(shrink)
    app.process("c", max_run=86_400 * 366)(shrink)
    app.process("d", max_run=1)(shrink)
    assert app.max_runs() == (("a", 1_500_000_000), ("c", 86_400 * 366 * 10**9), ("d", 10**9))


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(InvalidValue, match="the handler of kind 'k' is no function: <"):
        made(Service())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "a kind needs a name that is not blank"),
        (" \n", "a kind needs a name that is not blank"),
        (5, "the name of a kind must be a string; it is 5"),
        (None, "the name of a kind must be a string; it is None"),
    ],
)
def test_a_kind_has_a_name(name: Any, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        App().process(name)
    assert str(refused.value) == said


def test_a_kind_has_one_handler() -> None:
    app = App()
    again = app.process("a")
    app.process("a")(shrink)
    for decorator in (again, app.process("a")):
        with pytest.raises(DuplicateKind, match="two handlers of kind 'a'; give one of them another name"):
            decorator(resize)
    assert app.kind("a").handler is shrink


@pytest.mark.parametrize(
    ("emits", "said"),
    [
        ("progress", "takes a list of event types, not the string 'progress'"),
        (["fine", "process.ended"], "'process.ended' is blank, or begins with 'process.' and is reserved"),
        ([""], "'' is blank"),
        ([" "], "' ' is blank"),
        ([5], "an event type must be a string; it is 5"),
        (5, "emits takes a list of event types, not 5"),
    ],
)
def test_event_types_are_checked_when_the_module_is_imported(emits: Any, said: str) -> None:
    with pytest.raises(InvalidValue, match=f"^kind 'a': .*{said}"):
        App().process("a", emits=emits)


@pytest.mark.parametrize("max_run", [0, -1, float("nan"), float("inf"), 86_400 * 366 + 1])
def test_a_bound_on_running_is_a_duration(max_run: float) -> None:
    with pytest.raises(InvalidValue, match=r"kind 'a': max_run=.* is not a duration in seconds above 0"):
        App().process("a", max_run=max_run)


def test_an_unknown_kind_is_named_with_those_that_are_known() -> None:
    app = App()
    with pytest.raises(UnknownKind, match=r"^the application has no handler of kind 'x'; it has: none$"):
        app.kind("x")
    app.process("b")(shrink)
    app.process("a")(shrink)
    with pytest.raises(UnknownKind, match=r"^the application has no handler of kind 'x'; it has: a, b$"):
        app.kind("x")


def test_verbatim_converts_nothing() -> None:
    value = {"a": [1]}
    assert Verbatim().structure(value, Job) is value
    assert Verbatim().unstructure(value) is value
