"""Run: whatever a handler does becomes an outcome that every store can carry, or none where its lease is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from tenure.app import App
from tenure.asks import Act, CallPlain
from tenure.canonical import canonical, parsed
from tenure.errors import HandlerStopped, LeaseLost
from tenure.handlers import CODE_LIMIT, MESSAGE_LIMIT
from tenure.kinds import Kind
from tenure.limits import Limits, bad_outcome
from tenure.process import Failure, Outcome, Success
from tests.core.trampoline_asks import LIMIT, Typed, World, driven


@frozen
class Job:
    url: str
    size: int


@frozen
class Done:
    url: str


def outcome_of(
    handler: Callable[..., Any], payload: Any = None, world: World | None = None
) -> Outcome | None:
    """How a process with that handler and payload ends; the store has to take it."""
    world = world or World.new()
    kind: Kind[Any, Any] = App().process("job")(handler)
    driven(world.client().start(kind, payload, id="p"))
    outcome = world.attempt(kind)
    assert world.record("p").outcome == outcome
    return outcome


def failure_in(handler: Callable[..., Any], payload: Any = None) -> Failure:
    outcome = outcome_of(handler, payload)
    assert isinstance(outcome, Failure)
    return outcome


def raising(error: BaseException) -> list[Callable[..., Any]]:
    """An async and a plain handler that raise it."""

    async def later(ctx: Any) -> None:
        raise error

    def now(ctx: Any) -> None:
        raise error

    return [later, now]


def returning(value: Any) -> list[Callable[..., Any]]:
    """An async and a plain handler that return it."""

    async def later(ctx: Any) -> Any:
        return value

    def now(ctx: Any) -> Any:
        return value

    return [later, now]


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["", "a", "ü", "a b"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json)
def test_a_handler_gets_its_payload_and_its_result_is_kept_as_they_are(payload: Any) -> None:
    async def echo(ctx: Any, given: Any) -> Any:
        return [given]

    outcome = outcome_of(echo, payload)
    assert isinstance(outcome, Success)
    assert canonical(parsed(outcome.value)) == canonical([payload])
    assert parsed(outcome.value) == [payload]


def test_typed_handlers_take_and_return_their_types() -> None:
    async def later(ctx: Any, job: Job) -> Done:
        return Done(job.url * job.size)

    def now(ctx: Any, job: Job) -> Done:
        return Done(job.url * job.size)

    for handler in (later, now):
        assert outcome_of(handler, Job("ab", 2)) == Success(canonical({"url": "abab"}))


def test_a_payload_that_does_not_fit_fails_the_process_by_name() -> None:
    async def later(ctx: Any, job: Job) -> None:
        raise AssertionError("never started")

    def now(ctx: Any, job: Job) -> None:
        raise AssertionError("never started")

    for handler in (later, now):
        failure = failure_in(handler, {"url": "x", "colour": "red"})
        assert (failure.failure_class, failure.code) == ("InvalidPayload", "invalid_payload")
        assert "does not fit Job" in failure.message
        assert "colour" in failure.message


def test_a_handler_that_cannot_be_called_with_a_payload_fails_the_process() -> None:
    async def greedy(ctx: Any, job: Any, more: Any) -> None:
        """Nobody passes `more`."""

    failure = failure_in(greedy, 1)
    assert (failure.failure_class, failure.code) == ("TypeError", "raised")
    assert "missing 1 required positional argument: 'more'" in failure.message


class Known(Exception):
    code = "quota"


class Odd(Exception):
    code = 7


class Evasive(Exception):
    @property
    def code(self) -> str:
        raise RuntimeError("no code")

    def __str__(self) -> str:
        raise RuntimeError("no message")


class Dirty(Exception):
    code = "a\0b\ud800" + "c" * 1_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad input"), Failure("ValueError", "raised", "bad input")),
        (Known("no more today"), Failure("Known", "quota", "no more today")),
        (Odd("x"), Failure("Odd", "raised", "x")),
        (Evasive(), Failure("Evasive", "raised", "(its message could not be made)")),
        (Dirty(), Failure("Dirty", "a\ufffdb?" + "c" * (CODE_LIMIT - 4), "")),
        (ValueError("a\0b\ud800c"), Failure("ValueError", "raised", "a\ufffdb?c")),
        (ValueError("x" * 2_000_000), Failure("ValueError", "raised", "x" * MESSAGE_LIMIT)),
        (
            ExceptionGroup("both", [ValueError("a")]),
            Failure("ExceptionGroup", "raised", "both (1 sub-exception)"),
        ),
    ],
)
def test_an_exception_is_a_failure_with_its_own_class_code_and_message(
    error: Exception, expected: Failure
) -> None:
    for handler in raising(error):
        failure = outcome_of(handler)
        assert failure == expected
        assert failure is not None
        assert bad_outcome(failure, Limits()) is None


def test_in_a_thread_whatever_is_raised_is_a_failure() -> None:
    """There is no loop that could be stopped by it, and nobody else to hear of it."""

    class Fatal(BaseException):
        """Not even an Exception."""

    for error, expected in (
        (SystemExit(3), Failure("SystemExit", "raised", "3")),
        (KeyboardInterrupt(), Failure("KeyboardInterrupt", "raised", "")),
        (Fatal("gone"), Failure("Fatal", "raised", "gone")),
    ):
        _, plain = raising(error)
        assert outcome_of(plain) == expected


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_on_a_loop_what_is_meant_for_the_loop_goes_there(error: BaseException) -> None:
    awaited, _ = raising(error)
    with pytest.raises(type(error)):
        outcome_of(awaited)


@pytest.mark.parametrize(
    "error",
    [
        LeaseLost("p"),
        HandlerStopped("p", "drain"),
        ExceptionGroup("tasks", [ValueError("a"), ExceptionGroup("inner", [LeaseLost("p")])]),
    ],
)
def test_a_handler_that_ends_by_the_loss_of_its_lease_has_no_outcome(error: Exception) -> None:
    """Not a failure of its own, which would be written where the token still stands (CONTRACT §7). A nursery or a task
    group wraps the loss."""
    for handler in raising(error):
        assert outcome_of(handler) is None


@pytest.mark.parametrize("awaits", [True, False])
def test_a_plain_wrapper_of_an_async_handler(awaits: bool) -> None:
    """It returns what is to be awaited, or has done all of it itself: either way what comes of it is the result."""

    async def handler(ctx: Any, n: int) -> int:
        return n + 1

    @wraps(handler)
    def wrapper(ctx: Any, n: int) -> Any:
        return handler(ctx, n) if awaits else driven(handler(ctx, n))

    assert outcome_of(wrapper, 4) == Success(canonical(5))


def test_a_loss_within_an_effect_ends_the_handler_without_outcome() -> None:
    """S14, S17: nothing is written for it."""
    world = World.new()

    async def handler(ctx: Any) -> None:
        world.lost.add(ctx.fencing_token.token)
        await ctx.effect("k", list)

    assert outcome_of(handler, world=world) is None
    assert isinstance(world.asked[-1], Act)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1}, r"at \$: set is no JSON type"),
        ({"a": [1, (2,)]}, r"at \$\.a\[1\]: tuple is no JSON type"),
        (float("nan"), r"at \$: nan is not a JSON number"),
        ({1: 2}, r"at \$: the key 1 is not a string"),
        ("\ud800", r"at \$: it contains a lone surrogate"),
        ({"k" * 100_000: {1}}, r"at \$\.kkk"),
    ],
)
def test_a_result_that_is_not_json_is_a_failure_that_says_where(value: Any, said: str) -> None:
    for handler in returning(value):
        failure = failure_in(handler)
        assert (failure.failure_class, failure.code) == ("NotJson", "result_not_json")
        assert failure.message.startswith("what the handler of kind 'job' returned is not JSON at $")
        assert len(failure.message) <= MESSAGE_LIMIT
        assert re.search(said, failure.message)


def test_a_result_that_is_too_large_is_a_failure_that_says_so() -> None:
    for handler in returning("x" * LIMIT):
        failure = failure_in(handler)
        assert (failure.failure_class, failure.code) == ("TooLarge", "result_too_large")
        assert f"takes {LIMIT + 2} bytes; the limit is {LIMIT}" in failure.message


def test_a_result_that_the_converter_fails_at_is_a_failure() -> None:
    class Broken(Typed):
        def unstructure(self, value: Any, declared: Any = Any) -> Any:
            if isinstance(value, Done):
                raise RuntimeError("a field is missing")
            return value

    for handler in returning(Done("x")):
        failure = outcome_of(handler, world=World.new(Broken()))
        assert isinstance(failure, Failure)
        assert (failure.failure_class, failure.code) == ("NotJson", "result_not_json")
        assert (
            failure.message
            == "what the handler of kind 'job' returned could not be converted: a field is missing"
        )


def test_a_result_that_is_not_of_the_promised_type_is_a_failure_that_says_so() -> None:
    wrong: Any = Job("x", 1)

    async def later(ctx: Any) -> Done:
        done: Done = wrong
        return done

    def now(ctx: Any) -> Done:
        done: Done = wrong
        return done

    for handler in (later, now):
        failure = failure_in(handler)
        assert (failure.failure_class, failure.code) == ("InvalidResult", "invalid_result")
        assert failure.message.startswith(
            "what the handler of kind 'job' returned: the value does not fit Done: "
        )
        assert "'size'" in failure.message


def test_a_plain_function_is_called_for_a_handler() -> None:
    """What it raises is raised; but StopIteration means something else to futures and coroutines."""
    assert CallPlain(divmod, (7, 2)).called() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        CallPlain(divmod, (7, 0)).called()
    with pytest.raises(RuntimeError, match="raised StopIteration") as raised:
        CallPlain(next, (iter(()),)).called()
    assert isinstance(raised.value.__cause__, StopIteration)
