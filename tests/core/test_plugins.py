"""Plugins: who brings the handlers, what is opened around a worker and around a process, and what goes wrong there."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

import pytest
from attrs import define

from tenure.app import App
from tenure.errors import (
    DuplicateKind,
    DuplicatePlugin,
    InvalidValue,
    PluginFailed,
    ServicesFailed,
    UnknownKind,
)
from tenure.kinds import Kind
from tenure.plugins import Nested, Plugin, PluginHost, PluginStack
from tenure.runtime import Runtime
from tests.core.trampoline_asks import driven

RUNTIME = cast("Runtime", object())


def handler(ctx: Any) -> None:
    """Nothing."""


def app(name: str, *kinds: str, max_run: float | None = None) -> App:
    made = App(name)
    for kind in kinds:
        made.process(kind, max_run=max_run)(handler)
    return made


@define
class Seen:
    """A block that writes down what happens to it, and raises what it is told to."""

    log: list[str]
    name: str
    opening: BaseException | None = None
    closing: BaseException | None = None
    swallows: bool = False

    async def __aenter__(self) -> None:
        self.log.append(f"+{self.name}")
        if self.opening is not None:
            raise self.opening

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        assert (kind, trace) == ((None, None) if error is None else (type(error), error.__traceback__))
        self.log.append(f"-{self.name} {error!r}")
        if self.closing is not None:
            raise self.closing
        return self.swallows


def entered(nested: Nested, log: list[str], raising: BaseException | None = None) -> None:
    async def block() -> None:
        async with nested:
            log.append("body")
            if raising is not None:
                raise raising

    driven(block())


def lived(log: list[str], *blocks: Seen) -> Nested:
    def opening(block: Seen) -> Callable[[], Seen]:
        return lambda: block

    plugins = [Plugin(block.name, {}, lifespan=opening(block)) for block in blocks]
    return PluginStack((*plugins, Plugin("bare", {}))).lifespan()


# --- a plugin -----------------------------------------------------------------------------------------------------


def test_a_plugin_has_a_name_and_kinds_that_nobody_changes() -> None:
    kinds = dict(app("a", "k").kinds)
    plugin = Plugin("a", kinds)
    kinds.clear()
    assert (plugin.name, set(plugin.kinds), plugin.lifespan, plugin.services) == ("a", {"k"}, None, None)
    with pytest.raises(TypeError):
        cast("dict[str, Any]", plugin.kinds)["x"] = None


def test_an_app_is_one_plugin_and_nothing_more() -> None:
    made = app("mine", "a")
    plugin = made.plugin
    made.process("b")(handler)
    assert made.plugin is plugin
    assert (plugin.name, plugin.kinds, plugin.lifespan, plugin.services) == ("mine", made.kinds, None, None)
    assert list(plugin.kinds) == ["a", "b"]
    assert App().plugin.name == App().name == "app"


@pytest.mark.parametrize("name", ["", " ", "\n\t"])
def test_a_plugin_is_called_something(name: str) -> None:
    with pytest.raises(InvalidValue, match=r"^a plugin needs a name that is not blank$"):
        Plugin(name, {})
    with pytest.raises(InvalidValue, match=r"^a plugin needs a name that is not blank$"):
        App(name)


KIND: Kind[Any, Any] = app("a", "k").kind("k")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Plugin(cast("str", 5), {}), "the name of a plugin must be a string; it is 5"),
        (
            lambda: Plugin("p", cast("Any", [])),
            "the kinds of a plugin must be a mapping by name; they are []",
        ),
        (
            lambda: Plugin("p", cast("Any", {"k": 7})),
            "plugin 'p': 'k' is no kind but 7; use App.process to make one",
        ),
        (lambda: Plugin("p", {"j": KIND}), "plugin 'p': the kind under 'j' is called 'k'"),
        (
            lambda: Plugin("p", {}, lifespan=cast("Any", 7)),
            "plugin 'p': lifespan must be a function or None; it is 7",
        ),
        (
            lambda: Plugin("p", {}, services=cast("Any", 7)),
            "plugin 'p': services must be a function or None; it is 7",
        ),
    ],
)
def test_a_plugin_of_the_wrong_parts_is_refused(made: Any, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        made()
    assert str(refused.value) == said


def test_what_an_app_and_a_stack_find_out_is_not_given() -> None:
    app, stack = cast("Any", App), cast("Any", PluginStack)
    with pytest.raises(TypeError):
        app("a", {})
    with pytest.raises(TypeError):
        stack((), {})


# --- a stack ------------------------------------------------------------------------------------------------------


def test_a_stack_has_the_kinds_of_all_its_plugins_in_order() -> None:
    one, two = app("one", "b", max_run=1.5), app("two", "a", "c", max_run=2)
    stack = PluginStack((one.plugin, two.plugin))
    assert list(stack.kinds.items()) == [("b", one.kind("b")), ("a", two.kind("a")), ("c", two.kind("c"))]
    assert stack.kind("a") is two.kind("a")
    assert stack.max_runs() == (("b", 1_500_000_000), ("a", 2_000_000_000), ("c", 2_000_000_000))
    with pytest.raises(TypeError):
        cast("dict[str, Any]", stack.kinds)["x"] = None
    with pytest.raises(UnknownKind, match=r"^this worker has no handler of kind 'x'; it has: a, b, c$"):
        stack.kind("x")


def test_two_plugins_of_one_kind_are_named_with_it() -> None:
    with pytest.raises(DuplicateKind) as refused:
        PluginStack((app("one", "a", "k").plugin, app("two", "b").plugin, app("three", "k").plugin))
    assert str(refused.value) == (
        "plugins 'one' and 'three' both handle kind 'k'; "
        "give one of the two another name, or leave one of the plugins out"
    )


def test_two_plugins_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicatePlugin) as refused:
        PluginStack((app("one", "a").plugin, app("two").plugin, app("two", "b").plugin))
    assert str(refused.value) == "two plugins are called 'two'; each needs a name of its own"


# --- a host -------------------------------------------------------------------------------------------------------


def test_factories_make_one_instance_for_each_worker() -> None:
    host = PluginHost.from_factories(lambda: app("one", "a"), lambda: app("two", "b").plugin)
    first, second = host.open(), host.open()
    assert (
        [plugin.name for plugin in first.plugins]
        == [plugin.name for plugin in second.plugins]
        == ["one", "two"]
    )
    assert all(one is not other for one, other in zip(first.plugins, second.plugins, strict=True))


def test_a_stack_is_the_same_instances_for_all_workers() -> None:
    one, two = app("one", "a"), app("two", "b")
    host = PluginHost.from_stack(one, two.plugin)
    one.process("late")(handler)
    for stack in (host.open(), host.open()):
        assert stack.plugins == (one.plugin, two.plugin)
        assert list(stack.kinds) == ["a", "late", "b"]


def test_a_stack_is_checked_when_it_is_written_down() -> None:
    with pytest.raises(DuplicateKind):
        PluginHost.from_stack(app("one", "k"), app("two", "k"))
    with pytest.raises(InvalidValue, match=r"^plugin 2 is 7; it must be a Plugin or an App$"):
        PluginHost.from_stack(app("one", "k"), cast("Any", 7))
    with pytest.raises(InvalidValue) as refused:
        PluginHost.from_factories(lambda: app("one"), cast("Any", 7))
    assert str(refused.value) == "plugin factory 2 is 7; it must be a function without parameters"


def test_a_factory_that_raises_is_named() -> None:
    def images() -> Plugin:
        raise OSError("no display")

    with pytest.raises(PluginFailed) as failed:
        PluginHost.from_factories(lambda: app("one"), images).open()
    assert str(failed.value).endswith("images failed: OSError: no display")
    assert str(failed.value).startswith("plugin factory test_a_factory_that_raises_is_named.<locals>.")
    assert failed.value.plugin.endswith(".images")
    assert isinstance(failed.value.__cause__, OSError)


def test_a_factory_that_makes_something_else_is_named() -> None:
    class Factory:
        def __call__(self) -> Any:
            return {}

        def __repr__(self) -> str:
            return "the factory"

    with pytest.raises(PluginFailed) as failed:
        PluginHost.from_factories(Factory()).open()
    assert str(failed.value) == (
        "plugin factory the factory failed: InvalidValue: "
        "what plugin factory the factory made is {}; it must be a Plugin or an App"
    )
    assert failed.value.plugin == "the factory"


def test_factories_whose_plugins_do_not_go_together_are_refused_when_they_are_opened() -> None:
    with pytest.raises(DuplicateKind):
        PluginHost.from_factories(lambda: app("one", "k"), lambda: app("two", "k")).open()


# --- lifespans ----------------------------------------------------------------------------------------------------


def test_what_is_first_is_opened_first_and_closed_last() -> None:
    log: list[str] = []
    entered(lived(log, Seen(log, "a"), Seen(log, "b")), log)
    assert log == ["+a", "+b", "body", "-b None", "-a None"]


def test_a_plugin_that_does_not_start_closes_those_before_it() -> None:
    log: list[str] = []
    with pytest.raises(PluginFailed) as failed:
        entered(
            lived(log, Seen(log, "a"), Seen(log, "b", opening=OSError("port in use")), Seen(log, "c")), log
        )
    said = "plugin 'b' could not be started: OSError: port in use"
    assert str(failed.value) == said
    assert failed.value.plugin == "b"
    assert isinstance(failed.value.__cause__, OSError)
    assert log == ["+a", "+b", f"-a {failed.value!r}"]


def test_a_lifespan_that_is_no_block_is_named() -> None:
    stack = PluginStack((Plugin("a", {}, lifespan=cast("Any", lambda: 7)),))
    with pytest.raises(
        PluginFailed, match=r"^plugin 'a' could not be started: AttributeError: 'int' object has no"
    ):
        entered(stack.lifespan(), [])


def test_a_start_up_that_is_cancelled_is_left_as_cancelled() -> None:
    log: list[str] = []
    stop = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as raised:
        entered(lived(log, Seen(log, "a"), Seen(log, "b", opening=stop)), log)
    assert raised.value is stop
    assert log == ["+a", "+b", "-a KeyboardInterrupt()"]


def test_no_plugin_makes_an_error_vanish() -> None:
    log: list[str] = []
    error = ValueError()
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the very one
        entered(lived(log, Seen(log, "a", swallows=True), Seen(log, "b", swallows=True)), log, error)
    assert raised.value is error
    assert log == ["+a", "+b", "body", "-b ValueError()", "-a ValueError()"]


@pytest.mark.parametrize("error", [None, ValueError()])
def test_what_a_plugin_raises_at_the_end_closes_the_others_and_is_raised(error: ValueError | None) -> None:
    log: list[str] = []
    broken = OSError()
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the very one
        entered(lived(log, Seen(log, "a"), Seen(log, "b", closing=broken)), log, error)
    assert raised.value is broken
    assert log == ["+a", "+b", "body", f"-b {error!r}", "-a OSError()"]


# --- services -----------------------------------------------------------------------------------------------------


def test_services_get_the_runtime_and_are_started_in_order() -> None:
    log: list[str] = []
    given: list[Runtime] = []

    def services(name: str) -> Any:
        def start(runtime: Runtime) -> Seen:
            given.append(runtime)
            return Seen(log, name)

        return start

    stack = PluginStack(
        (Plugin("a", {}, services=services("a")), Plugin("bare", {}), Plugin("b", {}, services=services("b")))
    )
    entered(stack.services(RUNTIME, "p", "s"), log)
    assert log == ["+a", "+b", "body", "-b None", "-a None"]
    assert len(given) == 2
    assert all(one is RUNTIME for one in given)


def test_services_that_do_not_start_name_plugin_process_session_and_cause() -> None:
    """B7's third point."""
    cause = OSError("port in use")
    stack = PluginStack((Plugin("a", {}, services=lambda _: Seen([], "a", opening=cause)),))
    with pytest.raises(ServicesFailed) as failed:
        entered(stack.services(RUNTIME, "p", "s"), [])
    error = failed.value
    assert str(error) == (
        "the services of plugin 'a' could not be started for process 'p' in session 's': OSError: port in use"
    )
    assert (error.process_id, error.session_id, error.plugin, error.cause) == ("p", "s", "a", cause)
    assert error.__cause__ is cause
