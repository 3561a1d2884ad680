"""Effects: calls to the outside that a process makes once, and whose results every later attempt gets (B3, W9).

Three ideas, each of which a deployment may bring for itself: an `EffectHost` gives each process an `EffectScope`, where
its effects are kept; a scope gives each attempt an `EffectJournal`, which reads what was recorded, and records. What is
recorded, and when, is decided here, once for all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import frozen

from tenure.asks import AskFunction, CallPlain, Submit
from tenure.canonical import Json, canonical, digest, parsed, utf8_size
from tenure.contents import Contents
from tenure.effect_results import Attached, Raised, Result, Returned, result_of, stored
from tenure.errors import (
    ContentCorrupt,
    ContentNotFound,
    EffectFailed,
    EffectHostFailed,
    EffectKeyReused,
    EffectMismatch,
    EffectUnreadable,
    FacetMissing,
    InvalidValue,
    NotJson,
    TooLarge,
    WorkerClosed,
)
from tenure.handlers import failure_of, is_of_a_stop
from tenure.kinds import CO_COROUTINE, VERBATIM, Converter, hint_of, is_plain, string, unwrapped
from tenure.process import Effect
from tenure.replies import EffectRecorded, EffectsRead, Grant, Succeeded
from tenure.requests import Get, ReadEffects, RecordEffect
from tenure.stores import DurabilityTier
from tenure.under_lease import act, leave

READ_TIMEOUT = 30.0
"""Seconds for reading a page of the journal of an earlier attempt."""
RESULT_LIMIT = 16 << 20
"""Bytes of a result that goes to an attachment by itself; it is held in memory."""
ATTACHMENT_NAME = "effect result"
"""The name of such an attachment."""
NAME_LIMIT = 200
"""Characters of a function's name in a fingerprint: the last ones; a store takes 255 for the whole."""


class EffectJournal(Protocol):
    """The effects of one process, for one attempt. What it raises is what the handler's `ctx.effect` raises."""

    @abstractmethod
    async def recorded(self) -> Mapping[str, Effect]:
        """What was recorded, by key. Called before the first effect of the attempt, and again after a call that was
        cut short: it may have been recorded, or not."""

    @abstractmethod
    async def record(self, key: str, fingerprint: str, result: Json) -> Json:
        """Record a result, and return what is recorded under the key, which need not be the same: the first writer
        wins. Raises LeaseLost where the attempt does not hold its process any more, and EffectMismatch where the key
        was recorded with another fingerprint. Repeated, it answers the same."""


class EffectScope(Protocol):
    """Where the effects of one process are kept."""

    @abstractmethod
    def journal(self, ask: AskFunction, grant: Grant, epoch: int) -> EffectJournal:
        """The journal of the attempt that holds the process by `grant`; called at its first effect.

        `(epoch, grant.fence.token)` is what a store of one's own compares to refuse a writer that lost its lease;
        `await ask(CallPlain(fn, args))` calls a plain function where it may block.
        """


class EffectHost(Protocol):
    """Gives each process its scope. A deployment's configured host decides by its tier how durable the rest must be
    (B6)."""

    @property
    @abstractmethod
    def tier(self) -> DurabilityTier:
        """What its scopes promise."""

    @abstractmethod
    def scope(self, process_id: str) -> EffectScope | None:
        """The scope of that process. None, or an exception, is EffectHostFailed to whoever asked; see `scope_of`."""


def scope_of(host: EffectHost, process_id: str) -> EffectScope:
    """The scope that the host gives the process. Raises EffectHostFailed where it fails, or gives none (B3)."""
    try:
        scope = host.scope(process_id)
    except Exception as raised:
        said = failure_of(raised)
        raise EffectHostFailed(process_id, f"it raised {said.failure_class}: {said.message}") from raised
    if scope is None or not callable(getattr(scope, "journal", None)):
        raise EffectHostFailed(process_id, f"it returned {scope!r}, which is no EffectScope")
    return scope


# --- the two hosts that tenure brings -----------------------------------------------------------------------------


class RegistryScope:
    """Effects are kept in the registry, beside the process; it refuses those of a worker that lost its lease (S11)."""

    def journal(self, ask: AskFunction, grant: Grant, epoch: int) -> EffectJournal:
        """Reads and records through the machine that holds the lease."""
        return _RegistryJournal(ask, grant)


class _RegistryJournal:
    def __init__(self, ask: AskFunction, grant: Grant) -> None:
        self._ask, self._grant = ask, grant
        self._begins: str | None = None if grant.record.claims == 1 else ""

    async def recorded(self) -> Mapping[str, Effect]:
        """Every page; at the first look of the first attempt there is nothing to read."""
        found: dict[str, Effect] = {}
        process_id = self._grant.record.id
        after, self._begins = self._begins, ""
        while after is not None:
            answer = await self._ask(Submit(ReadEffects(process_id, after), READ_TIMEOUT))
            if isinstance(answer, Succeeded) and isinstance(answer.reply, EffectsRead):
                found |= {effect.key: effect for effect in answer.reply.effects}
                after = answer.reply.next
            else:  # a store that is away is no fault of the handler's: as long as the lease lasts, again
                await leave(self._ask, self._grant.fence)
        return found

    async def record(self, key: str, fingerprint: str, result: Json) -> Json:
        """Fenced, and only while the lease has not expired."""
        request = RecordEffect(self._grant.fence, key, fingerprint, result)
        reply: EffectRecorded = await act(self._ask, request, key)
        return reply.result


@frozen
class RegistryEffects:
    """The host whose scopes keep effects in the registry; `tier` is the registry's."""

    tier: DurabilityTier

    def scope(self, process_id: str) -> EffectScope:
        """Every process has one."""
        return IN_THE_REGISTRY


IN_THE_REGISTRY = RegistryScope()


class _InlineScope:
    def journal(self, ask: AskFunction, grant: Grant, epoch: int) -> EffectJournal:
        return _InlineJournal()


class _InlineJournal:
    async def recorded(self) -> Mapping[str, Effect]:
        return {}

    async def record(self, key: str, fingerprint: str, result: Json) -> Json:
        return result


@frozen
class InlineEffects:
    """The host that keeps nothing: another attempt calls every effect again. All else is as with any host: a key
    counts once per attempt, results are JSON, and what a function raises becomes EffectFailed."""

    tier: DurabilityTier = DurabilityTier.INLINE

    def scope(self, process_id: str) -> EffectScope:
        """Every process has one."""
        return _InlineScope()


# --- one attempt --------------------------------------------------------------------------------------------------


class Effects:
    """The effects of one attempt: what `ctx.effect` does.

    `limit`: bytes of what a journal takes; a result over it goes to `attachments`, where there are some, and may take
    RESULT_LIMIT there. `checkpoint` raises HandlerStopped once the handler is to stop.
    """

    def __init__(
        self,
        ask: AskFunction,
        grant: Grant,
        epoch: int,
        convert: Converter,
        limit: int,
        scope: EffectScope,
        attachments: Contents | None,
        checkpoint: Callable[[], None],
    ) -> None:
        self._ask, self._grant, self._epoch = ask, grant, epoch
        self._convert, self._limit, self._attachments = convert, limit, attachments
        self._scope, self._checkpoint = scope, checkpoint
        self._process_id = grant.record.id
        self._used: dict[str, str] = {}
        self._journal: EffectJournal | None = None
        self._known: Mapping[str, Effect] | None = None
        self._reading: EffectJournal | None = None

    async def once(self, key: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call `fn(*args)` and record what comes of it, or give what was recorded: the value, or EffectFailed."""
        string(key, f"process {self._process_id!r}: the key of an effect")
        to = hint_of(fn, "return", f"process {self._process_id!r}: the function of effect {key!r}")
        fingerprint = fingerprint_of(fn, args, self._convert)
        if key in self._used:
            raise EffectKeyReused(self._process_id, key, self._used[key], fingerprint)
        self._used[key] = fingerprint
        try:
            result, raised = await self._result(key, fingerprint, fn, args, to)
            if not isinstance(result, Raised):
                return await self._value(key, result, to)
        except BaseException:
            # Cut short when the store had it, perhaps: before it is repeated, the journal is read.
            del self._used[key]
            self._known = None
            raise
        raise EffectFailed(
            self._process_id, key, result.effect_class, result.code, result.message
        ) from raised

    async def _result(
        self, key: str, fingerprint: str, fn: Callable[..., Any], args: tuple[Any, ...], to: Any
    ) -> tuple[Result, Exception | None]:
        """What is recorded, and what the function raised, if it was called now."""
        if self._journal is None:
            self._journal = self._scope.journal(self._ask, self._grant, self._epoch)
        raised: Exception | None = None
        known = (await self._recorded(self._journal)).get(key)
        await leave(self._ask, self._grant.fence)
        if known is None:
            called, raised = await self._called(key, fn, args, to)
            text = await self._journal.record(key, fingerprint, stored(called))
        elif known.fingerprint == fingerprint:
            text = known.result
        else:
            detail = f"recorded for {known.fingerprint}, asked for {fingerprint}"
            raise EffectMismatch(self._process_id, key, detail)
        try:
            return result_of(text), raised
        except ValueError as unknown:
            raise EffectUnreadable(self._process_id, key, str(unknown)) from unknown

    async def _recorded(self, journal: EffectJournal) -> Mapping[str, Effect]:
        """What was recorded before, read once, however many effects are asked for at the same moment: the others wait
        for the one that reads. Read again after a call that was cut short."""
        while (known := self._known) is None:
            if self._reading is not None:
                # A look at the row takes about as long as a page does, and carries next to nothing.
                await self._ask(Submit(Get(self._process_id), READ_TIMEOUT))
                await leave(self._ask, self._grant.fence)
                continue
            self._reading = journal
            try:
                self._known = await journal.recorded()
            finally:
                self._reading = None
        return known

    async def _called(
        self, key: str, fn: Callable[..., Any], args: tuple[Any, ...], to: Any
    ) -> tuple[Result, Exception | None]:
        """Call the function: what it returned, which fits `to`, or raised. A stop is neither, nor what it raises once
        it is to stop."""
        try:
            value = fn(*args) if is_async(fn) else await self._ask(CallPlain(fn, args))
            if hasattr(value, "__await__"):  # of an async function, or of a plain one that only calls it
                value = await value
        except Exception as raised:
            if is_of_a_stop(raised) or isinstance(raised, WorkerClosed):
                raise
            self._checkpoint()  # perhaps it raised because it was stopped: another attempt shall call it
            return self._failure(raised), raised
        what = f"the result of effect {key!r} of process {self._process_id!r}"
        try:
            value = self._convert.unstructure(value, to)
        except NotJson as bad:
            raise NotJson(what, bad.path, bad.reason) from bad
        except Exception as bad:
            raise NotJson(what, "$", f"it could not be converted: {failure_of(bad).message}") from bad
        most = self._limit if self._attachments is None else max(self._limit, RESULT_LIMIT)
        returned = Returned(canonical(value, what, most))
        try:
            self._fitting(returned.value, to)
        except ValueError as misfit:  # recorded, it would be of no use to any attempt
            raise InvalidValue(
                f"{what} is not what its function is annotated to return, so it was not recorded: {misfit}; "
                "correct the function or its annotation"
            ) from misfit
        size = utf8_size(stored(returned))
        if size <= self._limit:
            return returned, None
        if self._attachments is None:
            raise TooLarge(what, size, self._limit)
        body = returned.value.encode()
        try:
            content = await self._attachments.put(body, name=ATTACHMENT_NAME, media_type="application/json")
        except FacetMissing as missing:
            raise TooLarge(what, size, self._limit) from missing
        return Attached(content.id, content.size), None

    def _failure(self, raised: Exception) -> Raised:
        """The exception as data, with as much of its message as the journal takes."""
        said = failure_of(raised)
        message = said.message
        while True:
            failure = Raised(said.failure_class, said.code, message)
            if not message or utf8_size(stored(failure)) <= self._limit:
                return failure
            message = message[: len(message) // 2]

    async def _value(self, key: str, result: Returned | Attached, to: Any) -> Any:
        """The value, as the type `to`."""
        text = result.value if isinstance(result, Returned) else await self._attached(key, result)
        try:
            return self._fitting(text, to)
        except ValueError as mismatch:
            detail = f"recorded as something else than it returns now: {mismatch}"
            raise EffectMismatch(self._process_id, key, detail) from mismatch

    def _fitting(self, text: Json, to: Any) -> Any:
        """The value as the type; as it is where that is plain, since nothing is to be made of it."""
        return parsed(text) if is_plain(to) else self._convert.structure(parsed(text), to)

    async def _attached(self, key: str, result: Attached) -> Json:
        """The text of an attachment, which is what was put there."""
        where = f"attachment {result.id} of {result.size} bytes"
        if self._attachments is None:
            why = f"it is in {where}, and there is no attachment store here"
            raise EffectUnreadable(self._process_id, key, why)
        try:
            text = (await self._attachments.get(result.id)).decode(errors="replace")
        except (ContentNotFound, ContentCorrupt, FacetMissing) as lost:
            raise EffectUnreadable(self._process_id, key, str(lost)) from lost
        if digest(text) != result.id:  # of a store of the deployment's own, which does not look
            raise EffectUnreadable(self._process_id, key, f"{where} has other bytes than were put there")
        return Json(text)


# --- which call it is ---------------------------------------------------------------------------------------------


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether the function was defined with `async def`; partial objects and methods are looked through."""
    code = getattr(unwrapped(fn)[0], "__code__", None)
    return bool(code is not None and code.co_flags & CO_COROUTINE)


def fingerprint_of(fn: Callable[..., Any], args: tuple[Any, ...], convert: Converter = VERBATIM) -> str:
    """The function's name, and a digest of its arguments: by value what is JSON, or converted to it; anything else by
    its type's name.

    Arguments that `functools.partial` binds count, and so does the object of a bound method. The module does not: the
    same file is `__main__` where it is run, and something else where `tenure worker` imports it.
    """
    function, bound, named = unwrapped(fn)
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    shown = [_shown(arg, convert) for arg in (*bound, *args)]
    shown += [f"{key}={_shown(named[key], convert)}" for key in sorted(named)]
    return name[-NAME_LIMIT:] + ":" + digest("\n".join(shown))[:16]


def _shown(arg: Any, convert: Converter) -> str:
    try:
        return canonical(convert.unstructure(arg))
    except Exception:  # of a class of the program's own, perhaps
        return f"<{type(arg).__qualname__}>"
