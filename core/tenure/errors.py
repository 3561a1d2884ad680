"""Every error that tenure raises. A message says what happened, to which process, and what to do."""

from __future__ import annotations


class TenureError(Exception):
    """The root of all of tenure's errors."""


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

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(
            f"{what} takes {size} bytes; the limit is {limit}. Store it elsewhere and pass a reference."
        )


class InvalidTimings(InvalidValue):
    """Lease timings that break CONTRACT's inequality: a lease could expire before its handler was stopped."""


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
    """An effect's key was recorded before for another function or other arguments (`key`)."""


class EffectKeyReused(TenureError):
    """One attempt used the same effect key twice (`key`)."""

    def __init__(self, process_id: str, key: str) -> None:
        self.process_id, self.key = process_id, key
        super().__init__(
            f"process {process_id!r} used the effect key {key!r} twice in one attempt; give each effect its own key"
        )


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


class WaitTimeout(TenureError, TimeoutError):
    """The process had not ended when the caller's time was up. It goes on."""

    def __init__(self, process_id: str, timeout: float) -> None:
        self.process_id, self.timeout = process_id, timeout
        super().__init__(
            f"process {process_id!r} had not ended after {timeout:g} s; it goes on, wait again to see its end"
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


class WorkerRefused(TenureError):
    """The worker does not drive: a facet's tier does not suffice for a durable deployment (B6, S15)."""


class WorkerCrashed(TenureError):
    """One of the worker's own threads ended by an error; its handlers were cancelled, its leases will expire."""


class WorkerClosed(TenureError):
    """The worker or client was closed; the call was not made, or its end is unknown."""


class ForkedProcess(TenureError):
    """A call in a child made by fork() after the store was opened. Open after the fork only, or spawn the child."""
