"""What a handler sees of its process: `ctx`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from attrs import frozen

from tenure.app import CO_COROUTINE, Converter, hints_of, string, unwrapped
from tenure.asks import Act, AskFunction, CallPlain, Submit
from tenure.attempt_types import Permitted, StopReason
from tenure.canonical import Json, canonical, digest, parsed
from tenure.errors import (
    EffectKeyReused,
    EffectMismatch,
    HandlerStopped,
    LeaseLost,
    NotJson,
    RequestRefused,
    UndeclaredEvent,
)
from tenure.instants import Instant
from tenure.process import Effect
from tenure.replies import EffectRecorded, EffectsRead, Grant, Reason, Refused, Succeeded
from tenure.requests import EmitEvent, ReadEffects, RecordEffect

T = TypeVar("T")

READ_TIMEOUT = 30.0
"""Seconds for reading the journal of an earlier attempt."""
NAME_LIMIT = 200
"""Characters of a function's name in a fingerprint: the last ones; a store takes 255 for the whole."""


@frozen(order=True)
class FencingToken:
    """What a store of one's own compares to refuse a writer that lost its lease: a later holder's is greater."""

    epoch: int
    token: int


class Context:
    """A handler's view of its process and its lease.

    Every call may be cancelled: the write may have happened, and the same key makes repeating it safe. After a loss,
    or past the lease's deadline, calls raise LeaseLost (S13, S14).
    """

    def __init__(self, ask: AskFunction, grant: Grant, epoch: int, convert: Converter, limit: int) -> None:
        self._ask, self._grant, self._convert, self._limit = ask, grant, convert, limit
        self._fencing_token = FencingToken(epoch, grant.fence.token)
        self._stop_reason: StopReason | None = None
        self._used: set[str] = set()
        self._emitted = 0
        self._journal: dict[str, Effect] | None = None
        self._fresh = grant.record.claims == 1

    @property
    def id(self) -> str:
        """The process id."""
        return self._grant.record.id

    @property
    def attempt(self) -> int:
        """Which claim of the process this is, from 1."""
        return self._grant.record.claims

    @property
    def owner_scope(self) -> str:
        """The session that owns the process, and that is told when it ends (B12)."""
        return self._grant.record.registration.provenance.owner_scope

    @property
    def fencing_token(self) -> FencingToken:
        """Grows with every claim of the process."""
        return self._fencing_token

    @property
    def stop_reason(self) -> str | None:
        """None, or why the handler should stop: cancel, deadline, lease_lost, max_run or drain. An async handler is
        cancelled as well; a plain one calls `checkpoint` from time to time."""
        return self._stop_reason.value if self._stop_reason else None

    def checkpoint(self) -> None:
        """Raise HandlerStopped if the handler is to stop. What is written then depends on why: nothing on a drain, so
        that the process is given back and run again; cancelled on a cancel (CONTRACT §7)."""
        if self._stop_reason is not None:
            raise HandlerStopped(self.id, self._stop_reason.value)

    def told_to_stop(self, reason: StopReason) -> None:
        """For whoever runs the handler: it is to stop."""
        self._stop_reason = reason

    @overload
    async def effect(self, key: str, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        """An async function."""

    @overload
    async def effect(self, key: str, fn: Callable[..., T], *args: Any) -> T:
        """A plain function."""

    async def effect(self, key: str, fn: Callable[..., Any], *args: Any) -> Any:
        """Call `fn(*args)` once per process and record its result; a later attempt gets the recorded one (W9).

        An async function is awaited, a plain one called in a thread. The result must be JSON, or of a type that the
        converter knows. Nothing is recorded for one that raises or is cancelled; it may be repeated under its key.
        Raises EffectKeyReused, EffectMismatch (the key was recorded for another function, other arguments or another
        type of result), NotJson, TooLarge, LeaseLost.
        """
        if string(key, f"process {self.id!r}: the key of an effect") in self._used:
            raise EffectKeyReused(self.id, key)
        self._used.add(key)
        try:
            result = await self._recorded_or_called(key, fn, args)
            return self._typed(key, result, hints_of(fn).get("return", Any))
        except BaseException:
            # Cut short when the store had it, perhaps: before it is repeated, the journal is read.
            self._used.discard(key)
            self._journal, self._fresh = None, False
            raise

    async def _recorded_or_called(self, key: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> Json:
        fingerprint = fingerprint_of(fn, args)
        known = (await self._recorded()).get(key)
        await self._leave()
        if known is not None:
            if known.fingerprint != fingerprint:
                raise self._mismatch(key, f"recorded for {known.fingerprint}, asked for {fingerprint}")
            return known.result
        value = fn(*args) if is_async(fn) else await self._ask(CallPlain(fn, args))
        if hasattr(value, "__await__"):  # of an async function, or of a plain one that only calls it
            value = await value
        what = f"the result of effect {key!r} of process {self.id!r}"
        result = canonical(self._convert.unstructure(value), what, self._limit)
        recorded: EffectRecorded = await self._act(
            RecordEffect(self._grant.fence, key, fingerprint, result), key
        )
        return recorded.result

    def _typed(self, key: str, result: Json, to: Any) -> Any:
        try:
            return self._convert.structure(parsed(result), to)
        except ValueError as mismatch:
            said = f"recorded as something else than it returns now: {mismatch}"
            raise self._mismatch(key, said) from mismatch

    async def emit(self, type: str, payload: Any = None, *, key: str | None = None) -> None:
        """Append an event to the process's log. With a key it counts once per process, without one on every attempt.

        Raises UndeclaredEvent where the registration does not list the type, NotJson, TooLarge, LeaseLost.
        """
        string(type, f"process {self.id!r}: the type of an event")
        self._emitted += 1
        own_key = f"={key}" if key is not None else f"{self._fencing_token.token}/{self._emitted}"
        what = f"the payload of event {type!r} of process {self.id!r}"
        text = canonical(self._convert.unstructure(payload), what, self._limit)
        await self._act(EmitEvent(self._grant.fence, type, text, own_key), type)

    async def permitted(self) -> Instant | None:
        """Until when, in local time, the handler may act, or None: the machine is asked, so the answer is as fresh as
        can be (S13)."""
        reply = await self._ask(Act(self._fencing_token.token, None))
        return reply.until if isinstance(reply, Permitted) else None

    async def _leave(self) -> None:
        if await self.permitted() is None:
            raise LeaseLost(self.id)

    async def _recorded(self) -> dict[str, Effect]:
        """What was recorded before, read once; again after a call that was cut short. A fresh process has nothing."""
        if self._journal is None:
            journal: dict[str, Effect] = {}
            after: str | None = None if self._fresh else ""
            while after is not None:
                answer = await self._ask(Submit(ReadEffects(self.id, after), READ_TIMEOUT))
                if isinstance(answer, Succeeded) and isinstance(answer.reply, EffectsRead):
                    journal |= {effect.key: effect for effect in answer.reply.effects}
                    after = answer.reply.next
                else:  # a store that is away is no fault of the handler's: as long as the lease lasts, again
                    await self._leave()
            self._journal = journal
        return self._journal

    async def _act(self, request: RecordEffect | EmitEvent, name: str) -> Any:
        """The reply to the request, which is about `name`."""
        answer = await self._ask(Act(self._fencing_token.token, request))
        match answer:
            case Succeeded():
                return answer.reply
            case Refused(reason=Reason.EFFECT_MISMATCH):
                raise self._mismatch(name, answer.detail)
            case Refused(reason=Reason.UNDECLARED_EVENT | Reason.RESERVED_EVENT):
                todo = "" if answer.reason is Reason.RESERVED_EVENT else "; list it in the kind's emits"
                said = f"process {self.id!r} may not emit {name!r}: {answer.detail}{todo}"
                raise UndeclaredEvent(answer.reason.value, self.id, said)
            case Refused():
                why = f"{answer.reason.value} {answer.detail}".rstrip()
                said = f"process {self.id!r}: the store refused {name!r}: {why}"
                raise RequestRefused(answer.reason.value, self.id, said)
            case _:
                raise LeaseLost(self.id)

    def _mismatch(self, key: str, detail: str) -> EffectMismatch:
        return EffectMismatch(
            Reason.EFFECT_MISMATCH.value,
            self.id,
            f"process {self.id!r}: effect {key!r} was {detail}; a changed handler needs a new key for a changed effect",
        )


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether the function was defined with `async def`; partial objects and methods are looked through."""
    code = getattr(unwrapped(fn)[0], "__code__", None)
    return bool(code is not None and code.co_flags & CO_COROUTINE)


def fingerprint_of(fn: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """The function's name, and a digest of its arguments: JSON by value, anything else by its type's name.

    Arguments that `functools.partial` binds count, and so does the object of a bound method.
    """
    function, bound, named = unwrapped(fn)
    module, name = (
        getattr(function, "__module__", ""),
        getattr(function, "__qualname__", type(function).__qualname__),
    )
    shown = [_shown(arg) for arg in (*bound, *args)]
    shown += [f"{key}={_shown(named[key])}" for key in sorted(named)]
    return f"{module}.{name}"[-NAME_LIMIT:] + ":" + digest("\n".join(shown))[:16]


def _shown(arg: Any) -> str:
    try:
        return canonical(arg)
    except NotJson:
        return f"<{type(arg).__qualname__}>"
