"""What a handler sees of its process: `ctx`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, overload

from attrs import frozen

from tenure.asks import AskFunction, AwaitEnd
from tenure.attempt_types import StopReason
from tenure.canonical import canonical, parsed
from tenure.contents import Contents
from tenure.effects import IN_THE_REGISTRY, Effects
from tenure.errors import EventMismatch, FacetMissing, HandlerStopped, InvalidValue, SessionUnavailable
from tenure.events import NO_SHAPES, Hearing
from tenure.facets import present
from tenure.instants import Instant
from tenure.kinds import Converter, string
from tenure.process import Event
from tenure.replies import Grant
from tenure.requests import EmitEvent
from tenure.runtime import Runtime
from tenure.session import FOR_GOOD, Session
from tenure.timings import patience
from tenure.under_lease import act, leave, permitted

T = TypeVar("T")

BARE = Runtime(None, None, None, IN_THE_REGISTRY)
"""Around a process of a registry alone: no session, no contents."""


SESSION_PAUSE = 1.0
"""Seconds between two tries of opening a process's own session while its store is away."""


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

    def __init__(
        self,
        ask: AskFunction,
        grant: Grant,
        epoch: int,
        convert: Converter,
        limit: int,
        runtime: Runtime = BARE,
        opens: Callable[[], Awaitable[Session]] | None = None,
        shapes: Mapping[str, type] = NO_SHAPES,
    ) -> None:
        """`runtime`: what was rebuilt around the process. `opens`: opens its session at the first use, where it was
        not opened before. `shapes`: of the events that its kind declares."""
        self._ask, self._grant, self._convert, self._limit = ask, grant, convert, limit
        self._runtime, self._opens = runtime, opens
        self._sessions = [] if runtime.session is None else [runtime.session]
        self._fencing_token = FencingToken(epoch, grant.fence.token)
        self._stop_reason: StopReason | None = None
        self._emitted = 0
        self._shapes = shapes

    @cached_property
    def _effects(self) -> Effects:
        """Made where there is a first: most of what is run a million times has none."""
        grant, around = self._grant, self._runtime
        return Effects(
            self._ask,
            grant,
            self._fencing_token.epoch,
            self._convert,
            self._limit,
            around.effects,
            around.attachments,
            self.checkpoint,
        )

    @cached_property
    def _hearing(self) -> Hearing:
        """Likewise."""
        return Hearing(self._ask, self.id, self._fencing_token.token)

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

    async def session(self) -> Session:
        """The session of the owner scope, open under this attempt's lease (CONTRACT §8). That of a process which was
        started without an owner is opened by the first call, every other before the handler starts (B7). A store that
        is away is asked again as long as the lease lasts (W4).

        Raises FacetMissing where the deployment has no sessions; SessionCorrupt and SessionFull, with which the process
        ends as `process_recovery_failed` unless the handler catches them (B19); HandlerStopped, LeaseLost.
        """
        if not self._sessions:
            if self._opens is None:
                raise FacetMissing("sessions")
            self._sessions.append(await self._opened(self._opens))
        return self._sessions[0]  # another task of the handler may have been faster

    async def _opened(self, opens: Callable[[], Awaitable[Session]]) -> Session:
        while True:
            try:
                return await opens()
            except FOR_GOOD as verdict:
                verdict.unopenable = True
                raise
            except SessionUnavailable:  # no fault of the handler's
                self.checkpoint()
                await leave(self._ask, self._grant.fence)
            # The core has no clock; and a process that this attempt holds does not end meanwhile.
            await self._ask(AwaitEnd(self.id, SESSION_PAUSE))

    @property
    def attachments(self) -> Contents:
        """The deployment's attachments. Raises FacetMissing."""
        return present(self._runtime.attachments, "attachments")

    @property
    def artifacts(self) -> Contents:
        """The deployment's artifacts. Raises FacetMissing."""
        return present(self._runtime.artifacts, "artifacts")

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
        converter knows. What it raises is recorded too, and raised as EffectFailed, now and by every later attempt: it
        is not called again under this key. A function that shall be retried does that itself, or gets another key.
        Nothing is recorded where the call is cancelled, or raises once the handler is to stop (HandlerStopped): it
        may be repeated under its key. Raises EffectKeyReused, EffectMismatch (the key was recorded for another
        function, other arguments or another type of result), EffectUnreadable, NotJson, TooLarge, LeaseLost.
        """
        return await self._effects.once(key, fn, args)

    async def emit(self, type: str, payload: Any = None, *, key: str | None = None) -> None:
        """Append an event to the process's log. With a key it counts once per process, without one on every attempt.

        Raises UndeclaredEvent where the registration does not list the type, EventMismatch where the payload does not
        fit the shape that the kind declares for it, NotJson, TooLarge, LeaseLost.
        """
        string(type, f"process {self.id!r}: the type of an event")
        self._emitted += 1
        own_key = f"={key}" if key is not None else f"{self._fencing_token.token}/{self._emitted}"
        what = f"the payload of event {type!r} of process {self.id!r}"
        text = canonical(self._convert.unstructure(payload), what, self._limit)
        shape = self._shapes.get(type)
        if shape is not None:
            try:
                self._convert.structure(parsed(text), shape)
            except ValueError as mismatch:
                raise EventMismatch(self.id, type, str(mismatch)) from mismatch
        await act(self._ask, EmitEvent(self._grant.fence, type, text, own_key), type)

    async def wait_event(self, type: str, *, timeout: float | None = None) -> Event:
        """The next event of that type in the process's own log, whoever appended it: each of them once per attempt,
        from the log's start, so that a later attempt gets the same again in the same order (CONTRACT §8).

        Raises WaitTimeout where there is none within `timeout` seconds, which is not recorded: a later attempt may see
        the event instead. Raises LeaseLost, and HandlerStopped where the handler is to stop; an async one is cancelled.
        """
        if not string(type, f"process {self.id!r}: the type of an event").strip():
            raise InvalidValue(f"process {self.id!r}: the type of an event to wait for is blank")
        patience(timeout, self.id)
        self.checkpoint()
        await leave(self._ask, self._grant.fence)
        return await self._hearing.next(type, timeout)

    async def permitted(self) -> Instant | None:
        """Until when, in local time, the handler may act, or None: the machine is asked, so the answer is as fresh as
        can be (S13)."""
        return await permitted(self._ask, self._grant.fence)
