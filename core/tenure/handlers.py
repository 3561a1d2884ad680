"""What becomes of a handler: it is given its payload, run, and whatever it does is turned into an outcome (B8)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from attrs import frozen

from tenure.app import Converter, Kind
from tenure.canonical import Json, canonical, parsed
from tenure.errors import LeaseLost, NotJson, TooLarge
from tenure.process import Failure, Outcome, Success, Work
from tenure.replies import Grant

MESSAGE_LIMIT = 10_000
"""Characters of a failure's message; the rest is cut."""


@frozen(eq=False)
class Run:
    """One run of one handler: `ctx` is its context, `convert` and `limit` (bytes) what its values pass through."""

    kind: Kind[Any, Any]
    grant: Grant
    convert: Converter
    limit: int

    async def awaited(self, ctx: object) -> Outcome | None:
        """Run an async handler. None: it ended because its lease is lost, so that it has no outcome of its own."""
        try:
            called: Coroutine[Any, Any, Any] = self._called(ctx)
        except _BadPayload as bad:
            return bad.failure
        try:
            value = await called
        except LeaseLost:
            return None
        except Exception as raised:
            return failure_of(raised)
        return self._outcome(value)

    def blocking(self, ctx: object) -> Outcome | None:
        """Run a plain handler in the calling thread. It may raise BaseException, and all of it is an outcome."""
        try:
            value = self._called(ctx)
        except _BadPayload as bad:
            return bad.failure
        except LeaseLost:
            return None
        except BaseException as raised:
            return failure_of(raised)
        return self._outcome(value)

    def _called(self, ctx: object) -> Any:
        source = self.grant.record.registration.input
        handler: Callable[..., Any] = self.kind.handler
        if not self.kind.takes_payload:
            return handler(ctx)
        payload = parsed(source.payload if isinstance(source, Work) else Json("null"))
        try:
            payload = self.convert.structure(payload, self.kind.payload_type)
        except Exception as mismatch:
            raise _BadPayload(Failure("InvalidPayload", "invalid_payload", _words(mismatch))) from mismatch
        return handler(ctx, payload)

    def _outcome(self, value: Any) -> Outcome:
        what = f"what the handler of kind {self.kind.name!r} returned"
        try:
            return Success(canonical(self.convert.unstructure(value), what, self.limit))
        except TooLarge as large:
            return Failure("TooLarge", "result_too_large", str(large))
        except NotJson as bad:
            return Failure("NotJson", "result_not_json", str(bad))
        except Exception as bad:
            return Failure("NotJson", "result_not_json", f"{what} could not be converted: {_words(bad)}")


class _BadPayload(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def failure_of(raised: BaseException) -> Failure:
    """A handler's own class and code: the exception's type, and its `code` where that is a text."""
    code = getattr(raised, "code", None)
    return Failure(
        type(raised).__name__, code if isinstance(code, str) and code else "raised", _words(raised)
    )


def _words(raised: BaseException) -> str:
    """The exception's message as a text that every store can carry."""
    try:
        text = str(raised)
    except Exception:
        text = "(its message could not be made)"
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
    return clean[:MESSAGE_LIMIT]
