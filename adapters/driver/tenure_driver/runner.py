"""What running handlers is, apart from any event loop: an adapter adds tasks, cancelling and futures, and no rule.

`deliver` is called in the machine thread and wakes the loop once for a whole batch; `pump` handles the batch in the
loop's thread. Calls of plain handlers and of blocking programs are answered right in the machine thread, so they go on
while the loop is blocked.
"""

from __future__ import annotations

import contextvars
import queue
import warnings
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Protocol, TypeAlias, TypeVar

from tenure.asks import Act, Ask, AskFunction, AwaitEnd, AwaitEvents, CallPlain, Submit
from tenure.attempt_types import OpenSession, StartHandler, StopHandler, StopReason
from tenure.client import Client
from tenure.config import WorkerConfig
from tenure.context import Context
from tenure.errors import WorkerClosed, WorkerCrashed, WorkerRefused
from tenure.handlers import Run
from tenure.kinds import Kind
from tenure.plugins import AnyPlugin, Block, PluginStack
from tenure.process import Outcome
from tenure.stores import ProcessRegistry
from tenure.timings import nanos
from tenure_driver.bodies import Bodies, Body, handler_of
from tenure_driver.deployments import configured
from tenure_driver.gone import Gone, reply_of
from tenure_driver.jobs import Job
from tenure_driver.messages import (
    Abandoned,
    Asked,
    Drain,
    Failed,
    Loopward,
    OpeningOver,
    Reply,
    Returned,
    Stopped,
)
from tenure_driver.openings import Opens
from tenure_driver.options import WorkerOptions
from tenure_driver.rebuilding import AwaitStart, Rebuild, Surroundings
from tenure_driver.seams import REAL, Seams

T = TypeVar("T")
ASIDE = 8
"""Threads of a loop for what no handler asks for: openings of sessions, and clients. A handler's are its own."""
Spawned: TypeAlias = Job | Rebuild
What: TypeAlias = AnyPlugin | WorkerConfig
"""What a worker is made of: an App or Plugin, which needs a store beside it, or a configuration."""
Store: TypeAlias = ProcessRegistry | str | WorkerConfig
"""A store as an object or by URL; for a client also the configuration that has one."""


class Loop(Protocol):
    """What an adapter has to bring. All but `wake` is called in the loop's thread, from `Runner.pump`; `pump` itself
    as soon as `wake` asked for it."""

    @abstractmethod
    async def ask(self, ask: Ask | AwaitStart) -> Any:
        """Send the call by `Runner.post`, wait for its reply; call plain functions in a thread."""

    @abstractmethod
    def wake(self) -> None:
        """From the machine thread: have `Runner.pump` called soon. Raises where the loop is gone."""

    @abstractmethod
    def spawn(self, job: Spawned) -> None:
        """Start the task of `job.outcome`; when it ends, `Runner.returned` is told, exactly once."""

    @abstractmethod
    def cancel(self, token: int) -> None:
        """Cancel the task of that token, if it still runs."""

    @abstractmethod
    def ended(self) -> None:
        """The worker is over: `Runner.result` has its end."""


class Runner:
    """A worker, or a client alone where `app` is None: its threads, its calls under way, its running handlers."""

    def __init__(
        self,
        what: What | None,
        store: Store | None,
        options: WorkerOptions,
        loop: Loop,
        seams: Seams = REAL,
    ) -> None:
        self.options, self._loop = options, loop
        self._owned = isinstance(store, str)
        self.config = configured(what, store, options.profile, options.limits)
        self.store, self.convert = self.config.registry, seams.convert()
        self.plugins = self._opened() if what is not None else None
        terms = options.terms(self.config, self.plugins, seams.new_id()) if self.plugins is not None else None
        self.owner = terms.owner if terms else ""
        self._around = Surroundings(self.config, self.plugins or PluginStack(()), self.convert)
        self._starts: dict[int, int] = {}
        self._rebuilds: dict[int, Rebuild] = {}
        self._asks = count(1)
        self._waiting: dict[int, Callable[[Any], None]] = {}
        self._blocking: dict[int, queue.SimpleQueue[Any]] = {}
        self._jobs: dict[int, Job] = {}
        self._delivered: deque[Loopward] = deque()
        self._woken = False
        self._closed = False
        self._gone = False
        self.result: Stopped | Failed | None = None
        self.context = contextvars.copy_context()
        self._bodies = Bodies(self._report_return)
        self._seams = seams
        opens = self._around.opens() if terms is not None else Opens.NONE
        poll, tap = options.poll_interval, options.tap
        self._threads = seams.shell(self.store, terms, self.deliver, poll, tap, opens)

    def _opened(self) -> PluginStack:
        try:
            return self.config.plugins.open()
        except BaseException:
            if self._owned:
                self.store.close()
            raise

    def lifespan(self) -> Block:
        """What the plugins open for this worker, to be entered before `start`. Raises PluginFailed."""
        return self._around.plugins.lifespan()

    def start(self) -> None:
        """Start the threads."""
        self._threads.start()

    # --- calls ----------------------------------------------------------------------------------------------------

    def post(
        self, what: Submit | AwaitEnd | AwaitEvents | Act | AwaitStart, resolve: Callable[[Any], None]
    ) -> int:
        """Send a call from the loop's thread; `resolve` gets its reply there. Raises WorkerClosed, WorkerCrashed."""
        self.check()
        ask = next(self._asks)
        self._waiting[ask] = resolve
        if isinstance(what, AwaitStart):
            self._starts[what.token] = ask
        else:
            self._threads.post(Asked(ask, what))
        return ask

    def abandon(self, ask: int) -> None:
        """Nobody waits for the call any more; what it asked for may still happen."""
        if self._waiting.pop(ask, None) is not None and not self._closed:
            self._threads.post(Abandoned(ask))

    async def blocking_ask(self, ask: Ask) -> Any:
        """Send a call from any thread but the loop's, and block there until its reply."""
        if isinstance(ask, CallPlain):
            return ask.called()
        number = next(self._asks)
        slot = self._blocking[number] = queue.SimpleQueue()
        try:
            self.check()  # only now: whoever ends the runner either is seen here, or sees the slot
            self._threads.post(Asked(number, ask))
            return reply_of(slot.get())
        except KeyboardInterrupt:
            self._threads.post(Abandoned(number))
            raise
        finally:
            del self._blocking[number]

    def client(self, ask: AskFunction) -> Client:
        """A client whose calls go through `ask`."""
        return self._around.client(ask, self._seams.new_id, self.options.limits.payload)

    def _crashed(self, failed: Failed) -> WorkerCrashed:
        """WorkerCrashed, raised from what ended the thread."""
        said = f"tenure's {failed.thread} thread ended by {type(failed.error).__name__}: {failed.error}"
        if self.plugins is not None:
            said += (
                "; handlers were cancelled, and what the worker held is claimed again once its leases expire"
            )
        error = WorkerCrashed(said)
        error.__cause__ = failed.error
        return error

    def _ending(self) -> Exception | None:
        """How the worker ended, where that is an error: it crashed, or it never drove."""
        match self.result:
            case Failed():
                return self._crashed(self.result)
            case Stopped(refused=refused) if refused:
                return WorkerRefused(f"the worker does not drive: {refused}")
            case _:
                return None

    def check(self) -> None:
        """Raise WorkerCrashed, WorkerRefused or WorkerClosed where there is nobody left to answer a call."""
        ending = self._ending()
        if ending is not None:
            raise ending
        if self._closed or self._gone:
            raise WorkerClosed("the worker or client was closed; open it again to go on")

    # --- what the driver says -------------------------------------------------------------------------------------

    def deliver(self, messages: Sequence[Loopward]) -> None:
        """In the machine thread: answer blocked threads, and wake the loop once for all the rest."""
        rest = [m for m in messages if not (isinstance(m, Reply) and self._unblock(m))]
        if any(isinstance(message, Failed) for message in messages):
            self.result = next(m for m in messages if isinstance(m, Failed))
            self._unblock_all()
        self._delivered.extend(rest)
        if rest and not self._woken:
            self._woken = True
            try:
                self._loop.wake()
            except RuntimeError:  # the loop is closed, and with it everybody who could be told
                self._gone = True
                self._unblock_all()
                self._threads.stop()

    def _unblock(self, reply: Reply) -> bool:
        slot = self._blocking.get(reply.ask)
        if slot is not None:
            slot.put(reply.value)
        return slot is not None

    def _unblock_all(self) -> None:
        for slot in tuple(self._blocking.values()):
            slot.put(self._no_reply())

    def _no_reply(self) -> Gone:
        closed = "the worker or client was closed before the answer came; it may have been applied"
        return Gone(self._ending() or WorkerClosed(closed))

    def pump(self) -> None:
        """In the loop's thread: handle what was delivered, in order."""
        self._woken = False
        while self._delivered:
            message = self._delivered.popleft()
            match message:
                case Reply():
                    resolve = self._waiting.pop(message.ask, None)
                    if resolve is not None:
                        resolve(message.value)
                case OpenSession():
                    self._rebuild(message)
                case OpeningOver():
                    self._not_started(message.token)
                case StartHandler():
                    self._start_handler(message)
                case StopHandler():
                    self._stop_handler(message)
                case Stopped() | Failed():
                    self._end(message)

    def _start_handler(self, said: StartHandler) -> None:
        if isinstance(self.result, Failed):
            return  # said by the machine before it heard of it
        token, record = said.grant.fence.token, said.grant.record
        kind: Kind[Any, Any] = self._around.plugins.kind(record.registration.kind)
        limit = self.options.limits.payload
        run = Run(kind, said.grant, self.convert, limit)
        ask = self.blocking_ask if kind.plain else self._loop.ask
        rebuild = self._rebuilds.pop(token, None)
        around = self._around
        runtime = around.started(ask, rebuild)
        opens = partial(around.own_session, ask, said) if around.has_facets else None
        ctx = Context(ask, said.grant, said.epoch, self.convert, limit, runtime, opens, kind.shapes)
        job = self._jobs[token] = Job(token, run, ctx, said.not_after, self._seams.clock)
        if rebuild is None:
            self._loop.spawn(job)
        else:
            start = self._start(token)
            if start is None:  # its task has ended: with its loop, or by what its services raised
                self._returned(token, rebuild.ended)
            else:
                start(job)

    def _start(self, token: int) -> Callable[[Any], None] | None:
        """What tells the task of that token, if it waits for its start."""
        return self._waiting.pop(self._starts.pop(token, 0), None)

    def _rebuild(self, command: OpenSession) -> None:
        if not isinstance(self.result, Failed):
            rebuild = Rebuild(command, self._around, self._loop, self._threads.post)
            self._rebuilds[command.token] = rebuild
            self._loop.spawn(rebuild)

    def _not_started(self, token: int) -> None:
        """The attempt is over: what was rebuilt is closed, what is still being rebuilt is cancelled."""
        rebuild = self._rebuilds.pop(token, None)
        if rebuild is not None:
            rebuild.over = True
        start = self._start(token)
        if start is None:
            self._loop.cancel(token)
        else:
            start(None)

    def _stop_handler(self, stop: StopHandler) -> None:
        job = self._jobs.get(stop.token)
        if job is not None:
            again = job.ctx.stop_reason is not None
            job.ctx.told_to_stop(stop.reason)
            if not job.plain and not again:  # a better reason must not interrupt what the handler cleans up
                self._loop.cancel(stop.token)

    def _end(self, result: Stopped | Failed) -> None:
        if not isinstance(self.result, Failed):
            self.result = result
        if isinstance(result, Failed):
            for token, job in tuple(self._jobs.items()):
                job.ctx.told_to_stop(StopReason.LEASE_LOST)
                self._loop.cancel(token)
            for token in tuple(self._rebuilds):
                self._not_started(token)
        if self._ending() is not None:  # whoever waits for what it would have done is told now
            self.fail_calls()
            self._unblock_all()
        self._loop.ended()

    def context_of(self, job: Spawned) -> contextvars.Context:
        """The contextvars that the handler starts with: those of the block that opened the worker."""
        context = self.context.copy()
        if isinstance(job, Job):
            context.run(handler_of.set, (job.token, job.ctx))
        return context

    def body(self, call: Callable[[], T]) -> Body[T]:
        """A call that an adapter makes in a thread, for the handler that is current here; `drop` it when nobody waits
        for it any more. A handler counts as running until its threads have ended."""
        return self._bodies.body(call)

    def returned(self, job: Spawned, outcome: Outcome | None) -> None:
        """The handler of that job ended; None: by a cancellation, or by what came after it and was not its own."""
        self._returned(job.token, job.ended if outcome is None and isinstance(job, Rebuild) else outcome)

    def _returned(self, token: int, outcome: Outcome | None) -> None:
        if self._jobs.pop(token, None) is not None:
            if self._bodies.all_ended(token, outcome):
                self._report_return(token, outcome)
        elif token in self._rebuilds:
            self._rebuilds[token].ended = outcome

    def _report_return(self, token: int, outcome: Outcome | None) -> None:
        if not self._closed:
            self._threads.post(Returned(token, outcome))

    # --- the end --------------------------------------------------------------------------------------------------

    def drain(self, grace: float | None = None) -> None:
        """Stop claiming; after `grace` seconds tell the handlers to stop. From any thread and any signal handler."""
        if not self._closed:
            self._threads.post(Drain(nanos(self.options.grace if grace is None else grace)))

    def fail_calls(self) -> None:
        """In the loop's thread: nobody will answer the calls that are under way."""
        for resolve in tuple(self._waiting.values()):
            resolve(self._no_reply())
        self._waiting.clear()

    def left(self) -> int:
        """How many handlers did not stop. Raises WorkerCrashed or WorkerRefused where the worker ended like that."""
        ending = self._ending()
        if ending is not None:
            raise ending
        return self.result.left if isinstance(self.result, Stopped) else 0

    def close(self) -> None:
        """End the threads, and let go of the store if it was opened here. Idempotent; blocks for a bounded time."""
        if self._closed:
            return
        self._closed = True
        try:
            self._threads.close(self.store.close if self._owned else None)
        finally:
            self._unblock_all()

    def dropped(self, what: str) -> None:
        """Nobody left the block of `what`: say so, and end it without the loop, which may be gone. Its handlers are
        left alone; what they hold expires."""
        try:
            warnings.warn(
                f"{what} of tenure was not closed; leave its block",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
        finally:
            self.close()
