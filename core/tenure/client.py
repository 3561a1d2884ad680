"""What a program asks of the registry: start, get, wait, cancel, events, follow, list. The same coroutines
everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar, assert_never, cast, get_args, overload

from attrs import field, frozen

from tenure.asks import AskFunction, AwaitEnd, AwaitEvents, Heard, Submit
from tenure.canonical import canonical, parsed
from tenure.contents import Contents
from tenure.errors import (
    Conflict,
    FacetMissing,
    InvalidValue,
    ProcessCancelled,
    ProcessFailed,
    ProcessNotFound,
    RequestRefused,
    StoreUnavailable,
    StoreUnknown,
    UndeclaredEvent,
    WaitTimeout,
)
from tenure.events import Following, told_event
from tenure.facets import present
from tenure.kinds import Converter, Kind, event_types, string
from tenure.process import (
    Cancelled,
    Event,
    Failure,
    Outcome,
    Provenance,
    Record,
    Registration,
    Success,
    Work,
    own_session,
)
from tenure.replies import (
    Answer,
    CancelAccepted,
    EventAppended,
    EventsRead,
    Got,
    Listed,
    OwnerEventsRead,
    Reason,
    Refused,
    Registered,
    Succeeded,
    Unavailable,
    Unknown,
)
from tenure.requests import (
    LARGEST,
    AppendEvent,
    ClientRequest,
    Get,
    List,
    Phase,
    ReadEvents,
    ReadOwnerEvents,
    ReadRequest,
    Register,
    RequestCancel,
)
from tenure.session import Session
from tenure.timings import is_duration, patience

P = TypeVar("P")
R = TypeVar("R")
Wanted = TypeVar("Wanted")


@frozen(eq=False)
class Client:
    """Every method raises StoreUnavailable or StoreUnknown where the store did not answer within `timeout` seconds,
    and RequestRefused, or a class below it, where it refused. `new_id` makes ids that nobody else makes."""

    _ask: AskFunction
    _convert: Converter
    _new_id: Callable[[], str]
    _opens: Callable[[str], Awaitable[Session]] | None = None
    _attachments: Contents | None = None
    _artifacts: Contents | None = None
    limit: int = field(kw_only=True)
    timeout: float = field(default=30.0, kw_only=True)

    async def session(self, session_id: str) -> Session:
        """Open a session as a client, without a lease: it writes as long as its head is the session's (CONTRACT §8).

        Raises FacetMissing where the deployment has no sessions, and what `tenure.session.open_session` raises.
        """
        if self._opens is None:
            raise FacetMissing("sessions")
        return await self._opens(session_id)

    @property
    def attachments(self) -> Contents:
        """The deployment's attachments. Raises FacetMissing."""
        return present(self._attachments, "attachments")

    @property
    def artifacts(self) -> Contents:
        """The deployment's artifacts. Raises FacetMissing."""
        return present(self._artifacts, "artifacts")

    @overload
    async def start(
        self,
        kind: Kind[None, R],
        payload: None = None,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> Handle[R]:
        """A kind without a payload."""

    @overload
    async def start(
        self,
        kind: Kind[P, R],
        payload: P,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> Handle[R]:
        """A kind with a payload."""

    @overload
    async def start(
        self,
        kind: str,
        payload: Any = None,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> Handle[Any]:
        """A kind by its name."""

    async def start(
        self,
        kind: Kind[Any, Any] | str,
        payload: Any = None,
        *,
        id: str | None = None,
        owner: str | None = None,
        profile: str = "",
        emits: Sequence[str] | None = None,
        delay: float = 0,
    ) -> Handle[Any]:
        """Register a process. Idempotent by id: the same content again answers the same; other content is a Conflict.

        `owner` is the session that owns it, by default one of its own; `profile` the host profile that may run it;
        `emits` its event types, by default the kind's; `delay` seconds before it may first be claimed.
        """
        process_id = self._new_id() if id is None else string(id, "the id of a process")
        this = f"process {process_id!r}"
        name = kind.name if isinstance(kind, Kind) else string(kind, f"{this}: the kind")
        declared = emits if emits is not None else kind.emits if isinstance(kind, Kind) else ()
        if not is_duration(delay):
            raise InvalidValue(f"{this}: delay={delay!r} is not a duration in seconds up to a year")
        shape = kind.payload_type if isinstance(kind, Kind) else Any
        text = canonical(self._convert.unstructure(payload, shape), f"the payload of {this}", self.limit)
        scope = own_session(process_id) if owner is None else string(owner, f"{this}: the owner")
        source = Provenance(scope, string(profile, f"{this}: the profile"))
        registration = Registration(process_id, Work(name, text), event_types(declared, this), source)
        answer = await self.submit(Register(registration, round(delay * 1000)))
        if owner is None and isinstance(answer, Refused) and answer.detail.startswith(f"{len(scope)} char"):
            answer = Refused(answer.reason, _own_session_too_long(answer.detail))
        self._reply(answer, process_id, Registered)
        result_type = kind.result_type if isinstance(kind, Kind) else Any
        return Handle(self, process_id, result_type)

    def handle(self, process_id: str) -> Handle[Any]:
        """A handle on a process that exists, or may."""
        return Handle(self, process_id, Any)

    async def get(self, process_id: str) -> Record:
        """The process's record. Raises ProcessNotFound."""
        return (await self._submit(Get(_id(process_id)), process_id, Got)).record

    async def wait(self, process_id: str, timeout: float | None = None) -> Outcome:
        """The outcome, once there is one. Raises WaitTimeout after `timeout` seconds; the process goes on."""
        answer = await self._ask(AwaitEnd(_id(process_id), patience(timeout, process_id)))
        if answer is None:
            raise WaitTimeout(process_id, timeout or 0)
        record = self._reply(answer, process_id, Got).record
        assert record.outcome is not None
        return record.outcome

    async def cancel(self, process_id: str, reason: str = "") -> Outcome | None:
        """Ask for cancellation (B16). The outcome, where the process has ended; None where its handler is told."""
        request = RequestCancel(_id(process_id), string(reason, "the reason of a cancellation"))
        return (await self._submit(request, process_id, CancelAccepted)).outcome

    async def events(
        self, process_id: str | None = None, *, owner: str | None = None, after: int = 0, limit: int = 1_000
    ) -> tuple[Event, ...]:
        """The process's events in order, after the one numbered `after`.

        With `owner` instead, the log of that session (B12): a `process.ended` for each of its processes that ended,
        with `{"process_id": …, "status": …}`, numbered by a version that only grows. One is there as soon as its
        process has ended, and until that is pruned.
        """
        if owner is None:
            return (
                await self._submit(ReadEvents(_id(process_id), after, limit), process_id or "", EventsRead)
            ).events
        if process_id is not None:
            raise InvalidValue(
                f"events of process {process_id!r} and of owner {owner!r} at once: ask for either of them"
            )
        read = await self._submit(ReadOwnerEvents(_owner(owner), after, limit), "", OwnerEventsRead)
        return tuple(map(told_event, read.events))

    def follow(self, process_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """The process's events in order, after the one numbered `after`: those that are there, and then each as it
        comes, to `process.ended`. Iterating raises ProcessNotFound, also where the process is pruned meanwhile."""
        if type(after) is not int or not 0 <= after <= LARGEST:
            raise InvalidValue(f"process {process_id!r}: after={after!r} is not the number of an event, or 0")
        return Following(partial(self._heard, _id(process_id)), after)

    async def _heard(self, process_id: str, after: int) -> Heard:
        reply = await self._ask(AwaitEvents(process_id, after, None))
        if not isinstance(reply, Heard):
            _raise(reply, process_id)
        return reply

    async def append(self, process_id: str, type: str, payload: Any = None, *, key: str | None = None) -> int:
        """Append an event from outside, once per key; its number. Refused after the process has ended."""
        this = f"event {type!r} of process {process_id!r}"
        text = canonical(self._convert.unstructure(payload), f"the payload of {this}", self.limit)
        own_key = self._new_id() if key is None else string(key, f"{this}: the key")
        request = AppendEvent(_id(process_id), string(type, "the type of an event"), text, own_key)
        return (await self._submit(request, process_id, EventAppended)).seq

    async def list(
        self,
        *,
        phase: Phase | None = None,
        kind: str | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Listed:
        """A page of records in the order of registration; `next` of the reply is the `after` of the next page."""
        return await self._submit(List(after, limit, phase, kind, owner), "", Listed)

    async def submit(self, request: ClientRequest | ReadRequest) -> Answer:
        """Any other request of a client or reader, and its bare answer. Raises InvalidValue for anything else."""
        if type(request) not in _REQUESTS:
            raise InvalidValue(f"{request!r} is no request of a client; `tenure.requests` has those")
        answer: Answer = await self._ask(Submit(request, self.timeout))
        return answer

    async def _submit(
        self, request: ClientRequest | ReadRequest, process_id: str, wanted: type[Wanted]
    ) -> Wanted:
        return self._reply(await self.submit(request), process_id, wanted)

    def _reply(self, answer: Answer, process_id: str, wanted: type[Wanted]) -> Wanted:
        if isinstance(answer, Succeeded) and isinstance(answer.reply, wanted):
            return answer.reply
        _raise(answer, process_id)

    def result(self, process_id: str, outcome: Outcome, to: Any) -> Any:
        """The value of a success. Raises ProcessFailed or ProcessCancelled, InvalidValue where it is no `to`."""
        match outcome:
            case Success():
                try:
                    return self._convert.structure(parsed(outcome.value), to)
                except ValueError as mismatch:
                    raise InvalidValue(f"the result of process {process_id!r}: {mismatch}") from mismatch
            case Failure():
                raise ProcessFailed(process_id, outcome.failure_class, outcome.code, outcome.message)
            case Cancelled():
                raise ProcessCancelled(process_id, outcome.reason)
            case _:
                assert_never(outcome)


@frozen(eq=False)
class Handle(Generic[R]):
    """One process, as its starter sees it."""

    _client: Client
    id: str
    _result_type: Any

    async def wait(self, timeout: float | None = None) -> R:
        """What the handler returned. Raises ProcessFailed, ProcessCancelled, WaitTimeout."""
        outcome = await self._client.wait(self.id, timeout)
        return cast(R, self._client.result(self.id, outcome, self._result_type))

    async def outcome(self, timeout: float | None = None) -> Outcome:
        """How the process ended, as data. Raises WaitTimeout."""
        return await self._client.wait(self.id, timeout)

    async def cancel(self, reason: str = "") -> Outcome | None:
        """Ask for cancellation."""
        return await self._client.cancel(self.id, reason)

    async def get(self) -> Record:
        """The process's record."""
        return await self._client.get(self.id)

    async def events(self, *, after: int = 0, limit: int = 1_000) -> tuple[Event, ...]:
        """The process's events in order."""
        return await self._client.events(self.id, after=after, limit=limit)

    def follow(self, *, after: int = 0) -> AsyncIterator[Event]:
        """The process's events in order, each as it comes, to its last. See `Client.follow`."""
        return self._client.follow(self.id, after=after)


_REQUESTS = get_args(ClientRequest | ReadRequest)


_SAID = {
    Reason.BLANK: "its id, kind or another name is empty or blank",
    Reason.NAME_TOO_LONG: "its id, kind or another name is too long",
    Reason.BAD_TEXT: "one of its texts cannot be stored",
    Reason.TOO_LARGE: "its content is too large",
    Reason.ENDED: "it has ended",
}


def _id(process_id: object) -> str:
    return string(process_id, "the id of a process")


def _owner(owner: str) -> str:
    if not string(owner, "the owner of a log").strip():
        raise InvalidValue("the owner of a log is blank; name the session")
    return owner


def _own_session_too_long(detail: str) -> str:
    """Why an id is refused that is short enough for an id."""
    longer = len(own_session(""))
    return (
        f"{detail}. That is the name of its own session, since no owner was named: {own_session('<id>')!r}, "
        f"{longer} characters longer than the id. Shorten the id, or name an owner"
    )


def _raise(answer: Answer, process_id: str) -> NoReturn:
    match answer:
        case Refused(reason=Reason.NOT_FOUND):
            raise ProcessNotFound(
                "not_found", process_id, f"there is no process {process_id!r} in this store"
            )
        case Refused(reason=Reason.CONFLICT):
            said = f"process {process_id!r} conflicts with what is stored: {answer.detail}; use another id"
            raise Conflict("conflict", process_id, said)
        case Refused(reason=Reason.UNDECLARED_EVENT | Reason.RESERVED_EVENT):
            raise UndeclaredEvent(answer.reason.value, process_id, f"process {process_id!r}: {answer.detail}")
        case Refused():
            why = _SAID.get(answer.reason, answer.reason.value)
            said = f"process {process_id!r} was refused: {why}" + (
                f" ({answer.detail})" if answer.detail else ""
            )
            raise RequestRefused(answer.reason.value, process_id, said)
        case Unavailable():
            raise StoreUnavailable(
                f"the store could not be reached ({answer.cause}); nothing was changed, try again"
            )
        case _:
            why = f" ({answer.cause})" if isinstance(answer, Unknown) and answer.cause else ""
            raise StoreUnknown(
                f"the store did not answer in time{why}; the request may have been applied, repeat it"
            )
