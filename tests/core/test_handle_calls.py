"""What goes through a handle, a kind and a handler's run arrives whole: arguments, and what errors say."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest

from tenure.app import App
from tenure.asks import AwaitEnd, Submit
from tenure.canonical import canonical
from tenure.errors import (
    InvalidValue,
    RequestRefused,
    StoreUnknown,
    TooLarge,
    UndeclaredEvent,
    WaitTimeout,
)
from tenure.handlers import CODE_LIMIT, failure_of
from tenure.process import Failure, Success
from tenure.replies import Fenced, Reason, Refused, Unknown
from tenure.requests import Complete, ReadEvents, RequestCancel
from tests.core.trampoline_asks import LIMIT, Typed, World, driven, started


def test_a_handle_asks_what_its_client_asks() -> None:
    world = started()
    handle = world.client().handle("p")
    for wait in (handle.wait, handle.outcome):
        with pytest.raises(WaitTimeout):
            driven(wait(2.5))
    driven(handle.events(after=3, limit=4))
    driven(handle.cancel("why"))
    assert world.asked[-4:] == [
        AwaitEnd("p", 2.5),
        AwaitEnd("p", 2.5),
        Submit(ReadEvents("p", 3, 4), world.client().timeout),
        Submit(RequestCancel("p", "why"), world.client().timeout),
    ]


def test_a_handle_by_id_alone_may_have_any_result() -> None:
    class Noting(Typed):
        def structure(self, value: Any, to: Any) -> Any:
            assert to is Any
            return value

    world = started(World.new(Noting()))
    world.store(Complete(world.claim().fence, Success(canonical(5))))
    assert driven(world.client().handle("p").wait()) == 5


def test_a_wait_of_no_time_says_so() -> None:
    with pytest.raises(WaitTimeout) as caught:
        driven(started().client().wait("p", 0))
    assert caught.value.timeout == 0


def test_an_appended_payload_has_the_limit_of_the_client() -> None:
    with pytest.raises(TooLarge) as caught:
        driven(started().client().append("p", "note", "x" * LIMIT))
    assert str(caught.value).startswith("the payload of event 'note' of process 'p' takes 50002 bytes")


@pytest.mark.parametrize(
    ("answer", "kind", "fields", "said"),
    [
        (
            Refused(Reason.RESERVED_EVENT, "it is the registry's"),
            UndeclaredEvent,
            ("reserved_event", "p"),
            "process 'p': it is the registry's",
        ),
        (
            Refused(Reason.HELD),
            RequestRefused,
            ("held", "p"),
            "process 'p' was refused: held",
        ),
    ],
)
def test_a_refusal_of_a_client_names_the_process(
    answer: Refused, kind: type[RequestRefused], fields: tuple[str, str], said: str
) -> None:
    world = started()
    world.trouble.append(answer)
    with pytest.raises(kind) as caught:
        driven(world.client().append("p", "note"))
    assert (caught.value.reason, caught.value.process_id) == fields
    assert str(caught.value) == said


def test_a_list_that_is_refused_names_no_process() -> None:
    world = started()
    world.trouble.append(Refused(Reason.HELD))
    with pytest.raises(RequestRefused) as caught:
        driven(world.client().list())
    assert caught.value.process_id == ""


@pytest.mark.parametrize(("answer", "why"), [(Unknown("busy"), " (busy)"), (Unknown(), ""), (Fenced(), "")])
def test_no_answer_in_time(answer: Any, why: str) -> None:
    world = started()
    world.trouble.append(answer)
    with pytest.raises(StoreUnknown) as caught:
        driven(world.client().get("p"))
    said = f"the store did not answer in time{why}; the request may have been applied, repeat it"
    assert str(caught.value) == said


# --- handlers and kinds -------------------------------------------------------------------------------------------


def test_a_plain_handler_gets_the_context() -> None:
    world, app = World.new(), App()

    @app.process("job")
    def job(ctx: Any) -> str:
        return f"{ctx.id} was run"

    driven(world.client().start(job, id="p"))
    assert world.attempt(job) == Success(canonical("p was run"))


def test_a_class_with_a_long_name_is_cut() -> None:
    kind = type("E" * (CODE_LIMIT + 1), (Exception,), {})
    assert failure_of(kind("no")) == Failure("E" * CODE_LIMIT, "raised", "no")


def test_a_code_that_cannot_be_read_is_none() -> None:
    class Broken(Exception):
        @property
        def code(self) -> str:
            raise RuntimeError("not now")

    assert failure_of(Broken("no")) == Failure("Broken", "raised", "no")


def test_a_kind_is_called_with_everything() -> None:
    app = App()

    @app.process("job")
    def job(ctx: Any, payload: int = 0) -> tuple[Any, int]:
        return ctx, payload

    assert job("ctx", payload=3) == ("ctx", 3)


class Callable:
    """A handler's inside that is no function."""

    def __call__(self, ctx: Any) -> str:
        return "done"


def test_a_function_around_what_is_none_is_known_by_itself() -> None:
    app = App()

    @wraps(Callable())
    def outer(ctx: Any) -> str:
        return "done"

    kind = app.process("job")(outer)
    assert (kind.plain, kind.takes_payload) == (True, False)


def test_a_kind_without_a_name() -> None:
    with pytest.raises(InvalidValue) as caught:
        App().process(" ")
    assert str(caught.value) == "a kind needs a name that is not blank"
    with pytest.raises(InvalidValue) as caught:
        App().process(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == "the name of a kind must be a string; it is 1"


def test_a_bound_is_from_a_moment_to_a_year() -> None:
    for bound in (1e-9, 1, 86_400 * 366):
        App().process("job", max_run=bound)
    for bound in (0, 86_400 * 366 + 1):
        with pytest.raises(InvalidValue, match=f"max_run={bound} is not a duration in seconds above 0"):
            App().process("job", max_run=bound)
