"""What becomes of a handler: it is given its payload, run, and whatever it does is turned into an outcome (B8)."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from tenure.attempt_opening import recovery_failed
from tenure.canonical import canonical, parsed
from tenure.errors import EffectFailed, HandlerStopped, LeaseLost, NotJson, TenureError, TooLarge
from tenure.kinds import Converter, Kind
from tenure.process import Failure, Outcome, Success, Work
from tenure.replies import Grant

MESSAGE_LIMIT = 10_000
"""Characters of a failure's message; the rest is cut."""
CODE_LIMIT = 255
"""Characters of a failure's class, and of its code."""


@frozen(eq=False)
class Run:
    """One run of one handler: `ctx` is its context, `convert` and `limit` (bytes) what its values pass through."""

    kind: Kind[Any, Any]
    grant: Grant
    convert: Converter
    limit: int
    _stops: list[BaseException] = field(factory=list[BaseException], init=False)

    @property
    def lost_its_lease(self) -> bool:
        """Whether it has no outcome because it raised LeaseLost."""
        return any(_holds(stop, (LeaseLost,)) for stop in self._stops)

    async def awaited(self, ctx: object) -> Outcome | None:
        """Run an async handler. None: it stopped because it was told to, or lost its lease: no outcome of its own."""
        try:
            value = self._called(ctx)
            if hasattr(value, "__await__"):  # a wrapper of an async function may do all of it itself
                value = await value
        except Exception as raised:
            return self._raised(raised)
        return self._outcome(value)

    def blocking(self, ctx: object, passing: tuple[type[BaseException], ...] = ()) -> Outcome | None:
        """Run a plain handler in the calling thread. It may raise BaseException, and all of it is an outcome but what
        is `passing`: that is raised, since it is no handler's own in that thread."""
        try:
            value = self._called(ctx)
        except passing:
            raise
        except BaseException as raised:
            return self._raised(raised)
        return self._outcome(value)

    def _called(self, ctx: object) -> Any:
        if not self.kind.takes_payload:
            return self.kind.handler(ctx)
        source = self.grant.record.registration.input
        assert isinstance(source, Work)  # what is external is never claimed
        payload = parsed(source.payload)
        try:
            payload = self.convert.structure(payload, self.kind.payload_type)
        except Exception as mismatch:
            raise _BadPayload(Failure("InvalidPayload", "invalid_payload", _words(mismatch))) from mismatch
        return self.kind.handler(ctx, payload)

    def _raised(self, raised: BaseException) -> Outcome | None:
        if isinstance(raised, _BadPayload):
            return raised.failure
        if isinstance(raised, TenureError) and raised.unopenable:
            return recovery_failed(_words(raised))
        if not is_of_a_stop(raised):
            return failure_of(raised)
        self._stops.append(raised)
        return None

    def _outcome(self, value: Any) -> Outcome:
        what = f"what the handler of kind {self.kind.name!r} returned"
        try:
            plain = self.convert.unstructure(value, self.kind.result_type)
            result = canonical(plain, what, self.limit)
        except TooLarge as large:
            return Failure("TooLarge", "result_too_large", _words(large))
        except NotJson as bad:
            return Failure("NotJson", "result_not_json", _words(bad))
        except Exception as bad:
            return Failure("NotJson", "result_not_json", f"{what} could not be converted: {_words(bad)}")
        try:  # whoever waits for it is promised that type
            self.convert.structure(plain, self.kind.result_type)
        except Exception as mismatch:
            return Failure("InvalidResult", "invalid_result", f"{what}: {_words(mismatch)}")
        return Success(result)


class _BadPayload(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def is_of_a_stop(raised: BaseException) -> bool:
    """Whether the handler ended because its lease is lost, or stopped as it was told."""
    return _holds(raised, (LeaseLost, HandlerStopped))


def _holds(raised: BaseException, kinds: tuple[type[Exception], ...]) -> bool:
    """Whether it is one of them. Nurseries and task groups wrap what their tasks raise: a LeaseLost in a group is a
    lost lease as well."""
    group: Any = raised
    return isinstance(raised, kinds) or (
        isinstance(raised, BaseExceptionGroup) and group.subgroup(kinds) is not None
    )


def failure_of(raised: BaseException) -> Failure:
    """A handler's own class and code: the exception's type, and its `code` where that is a text.

    Of an effect that failed, the class and code are those of what its function raised; the message names the effect.
    """
    if isinstance(raised, EffectFailed):
        said = f"effect {raised.key!r}: {raised.effect_message}"
        return Failure(raised.effect_class, raised.code, _clean(said, MESSAGE_LIMIT))
    name = _clean(type(raised).__name__, CODE_LIMIT)
    return Failure(name, _code_of(raised) or "raised", _words(raised))


def _code_of(raised: Any) -> str:
    try:
        code = raised.code
    except Exception:
        return ""
    return _clean(code, CODE_LIMIT) if isinstance(code, str) else ""


def _words(raised: BaseException) -> str:
    """The exception's message as a text that every store can carry."""
    try:
        text = str(raised)
    except Exception:
        text = "(its message could not be made)"
    return _clean(text, MESSAGE_LIMIT)


def _clean(text: str, limit: int) -> str:
    """The text without what JSON and stores cannot carry, cut to `limit` characters."""
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
