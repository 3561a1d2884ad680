"""The same coroutines for code that blocks: plain handlers in their threads, and programs without an event loop.

`driven` runs a coroutine that awaits nothing but an `ask` that blocks. So `BlockingContext`, `BlockingClient` and
`BlockingHandle` have the methods of `tenure.Context`, `tenure.Client` and `tenure.Handle`, without `await`; a test
compares names and signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

from attrs import frozen

from tenure.client import Client, Handle
from tenure.context import Context, FencingToken
from tenure.kinds import Kind
from tenure.process import Event, Outcome, Record
from tenure.replies import Answer, Listed
from tenure.requests import ClientRequest, Phase, ReadRequest
from tenure_driver.blocking_contents import BlockingContents
from tenure_driver.blocking_session import BlockingSession
from tenure_driver.driving import driven, iterated

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")


@frozen(eq=False)
class BlockingContext:
    """`tenure.Context` for a plain handler, in its thread."""

    _ctx: Context

    @property
    def id(self) -> str:
        """The process id."""
        return self._ctx.id

    @property
    def attempt(self) -> int:
        """Which claim of the process this is, from 1."""
        return self._ctx.attempt

    @property
    def owner_scope(self) -> str:
        """The session that owns the process."""
        return self._ctx.owner_scope

    def session(self) -> BlockingSession:
        """As `Context.session`."""
        return BlockingSession(driven(self._ctx.session()))

    @property
    def attachments(self) -> BlockingContents:
        """As `Context.attachments`."""
        return BlockingContents(self._ctx.attachments)

    @property
    def artifacts(self) -> BlockingContents:
        """As `Context.artifacts`."""
        return BlockingContents(self._ctx.artifacts)

    @property
    def fencing_token(self) -> FencingToken:
        """Grows with every claim of the process."""
        return self._ctx.fencing_token

    @property
    def stop_reason(self) -> str | None:
        """None, or why the handler should stop; a plain handler cannot be stopped, so it looks from time to time."""
        return self._ctx.stop_reason

    def checkpoint(self) -> None:
        """As `Context.checkpoint`: a plain handler is not stopped from outside, so it calls this from time to time."""
        self._ctx.checkpoint()

    def effect(self, key: str, fn: Callable[..., T], *args: Any) -> T:
        """As `Context.effect`; `fn` is a plain function and is called here."""
        return driven(self._ctx.effect(key, fn, *args))

    def emit(self, type: str, payload: Any = None, *, key: str | None = None) -> None:
        """As `Context.emit`."""
        driven(self._ctx.emit(type, payload, key=key))

    def wait_event(self, type: str, *, timeout: float | None = None) -> Event:
        """As `Context.wait_event`; raises HandlerStopped as soon as the handler is to stop."""
        return driven(self._ctx.wait_event(type, timeout=timeout))


@frozen(eq=False)
class BlockingClient:
    """`tenure.Client` for a program without an event loop; may be called from any thread."""

    _client: Client

    @overload
    def start(
        self,
        kind: Kind[P, R],
        payload: P = ...,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> BlockingHandle[R]: ...
    @overload
    def start(
        self,
        kind: str,
        payload: Any = None,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> BlockingHandle[Any]: ...
    def start(
        self,
        kind: Kind[Any, Any] | str,
        payload: Any = None,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> BlockingHandle[Any]:
        """As `Client.start`."""
        started: Coroutine[Any, Any, Handle[Any]] = self._client.start(
            kind, payload, id=id, owner=owner, profile=profile, emits=emits, delay=delay
        )
        return BlockingHandle(driven(started))

    def handle(self, process_id: str) -> BlockingHandle[Any]:
        """As `Client.handle`."""
        return BlockingHandle(self._client.handle(process_id))

    def get(self, process_id: str) -> Record:
        """As `Client.get`."""
        return driven(self._client.get(process_id))

    def wait(self, process_id: str, timeout: float | None = None) -> Outcome:
        """As `Client.wait`."""
        return driven(self._client.wait(process_id, timeout))

    def cancel(self, process_id: str, reason: str = "") -> Outcome | None:
        """As `Client.cancel`."""
        return driven(self._client.cancel(process_id, reason))

    def events(
        self, process_id: str | None = None, *, owner: str | None = None, after: int = 0, limit: int = 1_000
    ) -> tuple[Event, ...]:
        """As `Client.events`."""
        return driven(self._client.events(process_id, owner=owner, after=after, limit=limit))

    def follow(self, process_id: str, *, after: int = 0) -> Iterator[Event]:
        """As `Client.follow`."""
        return iterated(self._client.follow(process_id, after=after))

    def append(self, process_id: str, type: str, payload: Any = None, *, key: str | None = None) -> int:
        """As `Client.append`."""
        return driven(self._client.append(process_id, type, payload, key=key))

    def list(
        self,
        *,
        phase: Phase | None = None,
        kind: str | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Listed:
        """As `Client.list`."""
        return driven(self._client.list(phase=phase, kind=kind, owner=owner, after=after, limit=limit))

    def session(self, session_id: str) -> BlockingSession:
        """As `Client.session`."""
        return BlockingSession(driven(self._client.session(session_id)))

    @property
    def attachments(self) -> BlockingContents:
        """As `Client.attachments`."""
        return BlockingContents(self._client.attachments)

    @property
    def artifacts(self) -> BlockingContents:
        """As `Client.artifacts`."""
        return BlockingContents(self._client.artifacts)

    def submit(self, request: ClientRequest | ReadRequest) -> Answer:
        """As `Client.submit`."""
        return driven(self._client.submit(request))


@frozen(eq=False)
class BlockingHandle(Generic[R]):
    """`tenure.Handle` for a program without an event loop."""

    _handle: Handle[R]

    @property
    def id(self) -> str:
        """The process id."""
        return self._handle.id

    def wait(self, timeout: float | None = None) -> R:
        """As `Handle.wait`."""
        return driven(self._handle.wait(timeout))

    def outcome(self, timeout: float | None = None) -> Outcome:
        """As `Handle.outcome`."""
        return driven(self._handle.outcome(timeout))

    def cancel(self, reason: str = "") -> Outcome | None:
        """As `Handle.cancel`."""
        return driven(self._handle.cancel(reason))

    def get(self) -> Record:
        """As `Handle.get`."""
        return driven(self._handle.get())

    def events(self, *, after: int = 0, limit: int = 1_000) -> tuple[Event, ...]:
        """As `Handle.events`."""
        return driven(self._handle.events(after=after, limit=limit))

    def follow(self, *, after: int = 0) -> Iterator[Event]:
        """As `Handle.follow`."""
        return iterated(self._handle.follow(after=after))
