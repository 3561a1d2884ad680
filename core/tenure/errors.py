"""Every error that tenure raises. A message says what happened, to which process, and what to do."""

from __future__ import annotations


class TenureError(Exception):
    """The root of all of tenure's errors."""

    unopenable = False
    """Whether no attempt of a process can have its session; it then ends like one that could not be run (B19)."""


class Misuse(TenureError):
    """An adapter fed a machine an event that its state cannot have. The state is unchanged.

    Fields: `state` and `event` (the values), `process_id` (empty where there is none), `reason`.
    """

    def __init__(self, reason: str, state: object, event: object, process_id: str = "") -> None:
        self.reason, self.state, self.event, self.process_id = reason, state, event, process_id
        where = f" (process {process_id!r})" if process_id else ""
        super().__init__(
            f"{type(event).__name__} cannot happen in {type(state).__name__}{where}: {reason}. "
            "This is a mistake of the adapter that drives the machine; the state is unchanged."
        )


class InvalidValue(TenureError, ValueError):
    """A value from the caller that tenure does not take: an id, a name, a timing, a URL."""


class NotJson(InvalidValue):
    """A value that JSON cannot carry and give back equal. `path` says where in the value, `reason` why."""

    def __init__(self, what: str, path: str, reason: str) -> None:
        self.what, self.path, self.reason = what, path, reason
        super().__init__(f"{what} is not JSON at {path}: {reason}")


class TooLarge(InvalidValue):
    """A value over its limit; `size` and `limit` in bytes."""

    def __init__(
        self, what: str, size: int, limit: int, advice: str = "Store it elsewhere and pass a reference."
    ) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(f"{what} takes {size} bytes; the limit is {limit}. {advice}")


class InvalidTimings(InvalidValue):
    """Lease timings that break CONTRACT's inequality: a lease could expire before its handler was stopped."""


class EventMismatch(InvalidValue):
    """The payload of a handler's event does not fit the shape that its kind declares for the type `event`."""

    def __init__(self, process_id: str, event: str, mismatch: str) -> None:
        self.process_id, self.event = process_id, event
        super().__init__(
            f"process {process_id!r}: the payload of event {event!r} is not what its kind declares: {mismatch}"
        )


class RequestRefused(TenureError):
    """The store refused a request for good. `reason` is the word of `tenure.Refused`, `process_id` the process."""

    def __init__(self, reason: str, process_id: str, message: str) -> None:
        self.reason, self.process_id = reason, process_id
        super().__init__(message)


class ProcessNotFound(RequestRefused):
    """There is no process with that id in this store."""


class Conflict(RequestRefused):
    """The id exists with other content, or the process has ended with another outcome."""


class EffectMismatch(RequestRefused):
    """An effect's key was recorded before for another function, other arguments or another type of result (`key`)."""

    def __init__(self, process_id: str, key: str, detail: str) -> None:
        self.key = key
        super().__init__(
            "effect_mismatch",
            process_id,
            f"process {process_id!r}: effect {key!r} was {detail}; "
            "a changed handler needs a new key for a changed effect",
        )


class EffectKeyReused(TenureError):
    """One attempt used the same effect key twice (`key`); `first` and `second` are the fingerprints of both calls."""

    def __init__(self, process_id: str, key: str, first: str, second: str) -> None:
        self.process_id, self.key, self.first, self.second = process_id, key, first, second
        super().__init__(
            f"process {process_id!r} used the effect key {key!r} twice in one attempt, for {first} and for {second}; "
            "give each effect its own key"
        )


class EffectFailed(TenureError):
    """An effect's function raised, in this attempt or in an earlier one; that is recorded, and it is not called again.

    `effect_class` and `effect_message` are the exception's, `code` its `code` where that was a text, else `raised`. A
    handler that lets it pass ends as a failure of that class and code. In the attempt that called the function,
    `__cause__` is the exception itself.
    """

    def __init__(self, process_id: str, key: str, effect_class: str, code: str, effect_message: str) -> None:
        self.process_id, self.key = process_id, key
        self.effect_class, self.code, self.effect_message = effect_class, code, effect_message
        super().__init__(
            f"effect {key!r} of process {process_id!r} failed: {effect_class} ({code}): {effect_message}"
        )


class EffectUnreadable(TenureError):
    """What was recorded of an effect (`key`) cannot be read back: its attachment is gone or altered, or a newer tenure
    wrote it."""

    def __init__(self, process_id: str, key: str, why: str) -> None:
        self.process_id, self.key = process_id, key
        super().__init__(
            f"effect {key!r} of process {process_id!r} was recorded, and cannot be read back: {why}"
        )


class EffectHostFailed(TenureError):
    """The effect host failed, or gave no scope, for a process (B3). It may be well again later, or elsewhere."""

    def __init__(self, process_id: str, why: str) -> None:
        self.process_id = process_id
        super().__init__(f"the effect host gave process {process_id!r} no scope for its effects: {why}")


class UndeclaredEvent(RequestRefused):
    """The process's registration does not list that event type, or the type is reserved."""


class LeaseLost(TenureError):
    """This attempt no longer holds its process: another worker may be running it. Stop; nothing more is written."""

    def __init__(self, process_id: str) -> None:
        self.process_id = process_id
        super().__init__(
            f"this attempt no longer holds process {process_id!r}: its lease was lost or its time is spent; "
            "whatever it does from here on is not recorded"
        )


class HandlerStopped(TenureError):
    """Raised by a handler, or by its `ctx.checkpoint()`, to say that it stops because it was told to.

    It is then neither a success nor a failure: what is written depends on why it was told (CONTRACT §7).
    """

    def __init__(self, process_id: str, reason: str) -> None:
        self.process_id, self.reason = process_id, reason
        super().__init__(f"the handler of process {process_id!r} stops because it was told to: {reason}")


class StoreUnavailable(TenureError):
    """The store could not be reached; the request was not applied."""


class StoreUnknown(TenureError):
    """The store did not answer in time; the request may or may not have been applied. Repeating it is safe."""


class StoreUnusable(TenureError):
    """The store is not one that tenure can work on: no database, another program's, of a newer schema, read-only."""


class ContentNotFound(TenureError):
    """The store has no attachment, or no artifact (`what`), of that id (`content_id`)."""

    def __init__(self, what: str, content_id: str) -> None:
        self.what, self.content_id = what, content_id
        super().__init__(
            f"there is no {what} {content_id!r} in this store; "
            "see that it was stored, and in the store of the worker that asks for it"
        )


class ContentCorrupt(TenureError):
    """What is stored under that id (`content_id`) is not what was put there; `reason` says what is wrong with it."""

    def __init__(self, what: str, content_id: str, reason: str) -> None:
        self.what, self.content_id, self.reason = what, content_id, reason
        super().__init__(f"{what} {content_id!r} is corrupt: {reason}; restore the store from a backup")


class WaitTimeout(TenureError, TimeoutError):
    """The process had not ended when the caller's time was up; or, where `event` names a type, its log had no further
    event of it. It goes on."""

    def __init__(self, process_id: str, timeout: float, event: str = "") -> None:
        self.process_id, self.timeout, self.event = process_id, timeout, event
        super().__init__(
            f"process {process_id!r} got no event {event!r} within {timeout:g} s; wait again to see the next"
            if event
            else f"process {process_id!r} had not ended after {timeout:g} s; it goes on, wait again to see its end"
        )


class ProcessFailed(TenureError):
    """The process that was waited for ended as a failure; its class, code and message are fields."""

    def __init__(self, process_id: str, failure_class: str, code: str, message: str) -> None:
        self.process_id, self.failure_class, self.code, self.message = (
            process_id,
            failure_class,
            code,
            message,
        )
        super().__init__(f"process {process_id!r} failed: {failure_class} ({code}): {message}")


class ProcessCancelled(TenureError):
    """The process that was waited for ended as cancelled; `process_reason` is the reason given, if any."""

    def __init__(self, process_id: str, process_reason: str) -> None:
        self.process_id, self.process_reason = process_id, process_reason
        super().__init__(
            f"process {process_id!r} was cancelled" + (f": {process_reason}" if process_reason else "")
        )


class UnknownKind(InvalidValue):
    """The application has no handler of that kind."""


class DuplicateKind(InvalidValue):
    """Two handlers of one kind in one application."""


class DuplicatePlugin(InvalidValue):
    """Two plugins of one name in one stack."""


class PluginFailed(TenureError):
    """A plugin factory raised or made something else, or a plugin could not be started. `plugin` says which."""

    def __init__(self, plugin: str, message: str) -> None:
        self.plugin = plugin
        super().__init__(message)


class ServicesFailed(TenureError):
    """What a plugin starts around a process could not be started (B7). Fields: the process, the session, the plugin
    and the cause."""

    def __init__(self, process_id: str, session_id: str, plugin: str, cause: Exception) -> None:
        self.process_id, self.session_id, self.plugin, self.cause = process_id, session_id, plugin, cause
        super().__init__(
            f"the services of plugin {plugin!r} could not be started for process {process_id!r} "
            f"in session {session_id!r}: {type(cause).__name__}: {cause}"
        )


class Unfit(TenureError):
    """What keeps `run_process` from running a process (B5), or a worker: one class below this for each check."""

    def __init__(self, process_id: str, message: str) -> None:
        self.process_id = process_id
        super().__init__(message)


class BlankProcessId(Unfit):
    """The process id is empty or blank."""


class ProfileMismatch(Unfit):
    """The process was made for another host profile."""


class TierMismatch(Unfit):
    """The effect host is durable and one of the four facets is not (B6)."""


class OwnerScopeMissing(Unfit):
    """The process names no owner scope, so there is no session to run it in."""


class LeaseRequired(TenureError):
    """`run_process` was called without a lease for something that has to be fenced: effects of a durable host, or an
    event. Claim the process, and pass what the claim answered."""

    def __init__(self, process_id: str, what: str) -> None:
        self.process_id = process_id
        super().__init__(
            f"process {process_id!r} runs without a lease, so {what}; claim the process and pass the lease"
        )


class FacetMissing(TenureError):
    """The registry is of one's own and brings no other store; `facet` is what was asked for."""

    def __init__(self, facet: str) -> None:
        self.facet = facet
        super().__init__(
            f"this deployment has no store of {facet}: its registry brings none; give a WorkerConfig that names one"
        )


class WorkerRefused(TenureError):
    """The worker does not drive: a facet's tier does not suffice for a durable deployment (B6, S15)."""


class WorkerCrashed(TenureError):
    """One of the worker's own threads ended by an error; its handlers were cancelled, its leases will expire."""


class WorkerClosed(TenureError):
    """The worker or client was closed; the call was not made, or its end is unknown."""


class ForkedProcess(TenureError):
    """A call in a child made by fork() after the store was opened. Open after the fork only, or spawn the child."""


class SessionUnavailable(TenureError):
    """A session's store could not be reached, or did not answer, for now; repeating the call is safe.

    Fields: `session_id`, `doing` (what was asked for), `cause`.
    """

    def __init__(self, session_id: str, doing: str, cause: str) -> None:
        self.session_id, self.doing, self.cause = session_id, doing, cause
        super().__init__(
            f"session {session_id!r}: {doing} did not succeed: {cause}. It may pass: repeat the same call"
        )


class SessionCorrupt(TenureError):
    """What is stored for a session is no tree of entries with a head. Fields: `session_id`, `entry_id`, `reason`."""

    def __init__(self, session_id: str, entry_id: str, reason: str) -> None:
        self.session_id, self.entry_id, self.reason = session_id, entry_id, reason
        super().__init__(
            f"session {session_id!r} is corrupt at entry {entry_id!r}: {reason}; "
            "restore it from a backup, or delete it"
        )


class SessionFull(TenureError):
    """A session is at a limit of its policy, or over it. Fields: `session_id`, `limit` (its name), `detail`."""

    def __init__(self, session_id: str, limit: str, detail: str) -> None:
        self.session_id, self.limit, self.detail = session_id, limit, detail
        super().__init__(
            f"session {session_id!r} exceeds the limit {limit!r} of its policy: {detail}; "
            "raise the limit, or go on in another session"
        )


class HeadMoved(TenureError):
    """Somebody else wrote to the session. Fields: `session_id`, `known` (the head as known here), `head` (as it is)."""

    def __init__(self, session_id: str, known: str, head: str) -> None:
        self.session_id, self.known, self.head = session_id, known, head
        super().__init__(
            f"session {session_id!r}: its head is {head!r} and no longer {known!r}, since somebody else wrote to it; "
            "refresh() shows what is there, then decide again"
        )


class EntryNotFound(TenureError):
    """The session has no entry of that id. Fields: `session_id`, `entry_id`."""

    def __init__(self, session_id: str, entry_id: str) -> None:
        self.session_id, self.entry_id = session_id, entry_id
        super().__init__(
            f"session {session_id!r} has no entry {entry_id!r}; fork() takes the id of one it has"
        )


class EntryConflict(TenureError):
    """The append was made before with another body. Fields: `session_id`, `entry_id`, `key`."""

    def __init__(self, session_id: str, entry_id: str, key: str) -> None:
        self.session_id, self.entry_id, self.key = session_id, entry_id, key
        super().__init__(
            f"session {session_id!r}: the append {key!r} was made before with another body (entry {entry_id!r}); "
            "give a different entry a key of its own"
        )


class SessionBusy(TenureError):
    """Two calls on one Session at the same time: their order would be a matter of chance. Field: `session_id`."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"session {session_id!r}: another call on it has not ended yet; await one before the next begins"
        )
