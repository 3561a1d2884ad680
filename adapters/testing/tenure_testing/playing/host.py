"""One OS process of a world: a worker with its handlers, or a client. It crashes, pauses, and starts again."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from tenure.app import App
from tenure.asks import Ask, CallPlain
from tenure.client import Client
from tenure.handlers import failure_of
from tenure.process import Outcome
from tenure.values import changed
from tenure_driver.convert import CattrsConverter
from tenure_driver.gone import reply_of
from tenure_driver.jobs import Job
from tenure_driver.options import WorkerOptions
from tenure_driver.rebuilding import AwaitStart, Rebuild
from tenure_driver.runner import Runner, Spawned
from tenure_driver.seams import Seams
from tenure_testing.playing.clocks import LocalClock
from tenure_testing.playing.shell import PlayedShell
from tenure_testing.playing.strands import Ended, Strand, current
from tenure_testing.playing.tasks import Cancelled, Park, Resume, Sleep, Task, parked

if TYPE_CHECKING:
    from tenure_testing.playing.world import World

T = TypeVar("T")


class _Runner(Runner):
    """The shipped runner; a plain handler's calls go through its strand instead of blocking its thread."""

    life: Life

    async def blocking_ask(self, ask: Ask) -> Any:
        """In the strand's thread: let the world go on until the reply. A plain function is called right there."""
        strand = current()
        assert strand is not None, "a plain handler of a played world runs in its own thread only"
        self.life.asking(ask)
        if self.life.over:
            strand.wait(FOR_EVER)
        if isinstance(ask, CallPlain):
            reply = ask.called()
        else:
            reply = reply_of(strand.wait(Park(partial(self.post, ask))))
        self.life.replied(ask)
        if self.life.over:
            strand.wait(FOR_EVER)
        return reply


FOR_EVER = Park(lambda resume: None)
"""Where the code of a host waits that crashed while it ran."""


class Life:
    """One incarnation: the runner, its played threads, and its event loop; a `tenure_driver.Loop`."""

    def __init__(self, host: Host, number: int) -> None:
        self.host, self.number = host, number
        self.over = False
        self._running: dict[int, Task] = {}
        self.tasks: list[Task] = []
        self.strands: list[Strand] = []
        self._ready: deque[Callable[[], None]] = deque()
        self._stirred = False
        self._blocked_until = 0
        self.finished = False
        seams = Seams(self._shell, host.clock.now, host.new_id, _converter)
        self.runner = _Runner(host.app, host.world.store, host.options, self, seams)
        self.runner.life = self
        self.runner.start()

    def _shell(self, *given: Any) -> PlayedShell:
        self.shell = PlayedShell(self, *given)
        return self.shell

    def call(self, at: int, what: Callable[[], object]) -> None:
        """Have one of the threads do that then; later, if the host is paused; never, once the life is over."""
        self.host.world.call(at, what, self)

    # --- the event loop -------------------------------------------------------------------------------------------

    def on_loop(self, at: int, what: Callable[[], object]) -> None:
        """Have the loop do that then; later, if a handler blocks it."""
        self.call(at, partial(self._looped, what))

    def _looped(self, what: Callable[[], object]) -> None:
        if self.host.world.now < self._blocked_until:
            self.call(self._blocked_until, partial(self._looped, what))
            return
        self._stirred = True  # whatever becomes ready in here is run here
        what()
        self._run_ready()

    def _run_ready(self) -> None:
        while self._ready and not self.over and self.host.world.now >= self._blocked_until:
            self._ready.popleft()()
        self._stirred = False
        if self._ready:
            self._stir()

    def _stir(self) -> None:
        if not self._stirred:
            self._stirred = True
            self.on_loop(max(self.host.world.now, self._blocked_until), _nothing)

    def _wait(self, sleep: Sleep, resume: Resume) -> None:
        at = self.host.world.now + sleep.nanos
        if sleep.blocking:
            self._blocked_until = at
            # Before whatever else waits for the loop: the handler itself goes on first.
            self.call(at, partial(self._unblocked, resume))
        else:
            self.on_loop(at, partial(resume, None))

    def _unblocked(self, resume: Resume) -> None:
        self._stirred = True
        resume(None)
        self._ready.rotate(1)
        self._run_ready()

    def task(self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context) -> Task:
        """A new task, begun soon."""
        task = Task(coroutine, context, self._ready, self._wait, self._stir)
        self.tasks = [known for known in self.tasks if not known.done]
        self.tasks.append(task)
        self._stir()
        return task

    def asking(self, ask: Ask) -> None:
        """Tell the observers."""
        self.host.world.observed(lambda observer: observer.asking(self.host, ask))

    def replied(self, ask: Ask) -> None:
        """Tell the observers."""
        self.host.world.observed(lambda observer: observer.replied(self.host, ask))

    # --- what `tenure_driver.Loop` asks for -----------------------------------------------------------------------

    async def ask(self, ask: Ask | AwaitStart) -> Any:
        """Wait for the reply; cancelled, the call may still have its effect. A plain function is called right here:
        it takes none of the world's time."""
        if isinstance(ask, AwaitStart):
            return reply_of(await parked(Park(partial(self.runner.post, ask))))
        self.asking(ask)
        if self.over:
            await parked(FOR_EVER)
        if isinstance(ask, CallPlain):
            reply = ask.called()
        else:
            numbers: list[int] = []
            try:
                given = await parked(Park(lambda resume: numbers.append(self.runner.post(ask, resume))))
            except Cancelled:
                if numbers:
                    self.runner.abandon(numbers[0])
                raise
            reply = reply_of(given)
        self.replied(ask)
        if self.over:
            await parked(FOR_EVER)
        return reply

    def wake(self) -> None:
        """One call of the loop for a whole batch of messages."""
        world = self.host.world
        self.on_loop(world.now + world.weather.lag(self.host.name), self.runner.pump)

    def spawn(self, job: Spawned) -> None:
        """Start the handler as a task."""
        if isinstance(job, Rebuild):
            job.seen = self._started_seen
        else:
            job = self._started_seen(job)
        if self.over:
            return

        def begun() -> None:
            self._running[job.token] = task

        task = self.task(self._handle(job, begun), self.runner.context_of(job))

    def _started_seen(self, job: Job) -> Job:
        """The job, whose start is told to the observers."""
        for observer in self.host.world.observers:
            observer.starting(self.host, job)
        return self._seen(job)

    def _seen(self, job: Job) -> Job:
        """The job, whose handler's start is seen."""
        kind = job.run.kind

        def handler(*args: Any) -> Any:
            if not self.over:  # a host that crashes right before it starts nothing
                self.host.world.observed(lambda observer: observer.started(self.host, job))
            if not self.over:
                return kind.handler(*args)
            strand = current()
            return parked_for_ever() if strand is None else strand.wait(FOR_EVER)

        return changed(job, run=changed(job.run, kind=changed(kind, handler=handler)))

    def cancel(self, token: int) -> None:
        """Cancel the handler's task; one that has not begun looks at its stop reason first."""
        for observer in self.host.world.observers:
            observer.cancelling(self.host, token)
        task = self._running.get(token)
        if task is not None:
            task.cancel()

    def ended(self) -> None:
        """The worker is over."""
        self.finished = True

    async def _handle(self, job: Spawned, begun: Callable[[], None]) -> None:
        begun()
        outcome: Outcome | None = None
        try:
            outcome = await job.outcome(self._in_thread)
        except Cancelled:
            pass
        except BaseException as raised:
            outcome = failure_of(raised)
        finally:
            self._running.pop(job.token, None)
            ran = job.job if isinstance(job, Rebuild) else job
            if ran is not None and not self.over:
                self.host.world.observed(lambda observer: observer.ended(self.host, ran, outcome))
            if not self.over:
                self.runner.returned(job, outcome)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        body = self.runner.body(call)
        strand = Strand(partial(contextvars.copy_context().run, body))
        self.strands.append(strand)
        try:
            said = strand.resume()
            while not isinstance(said, Ended):
                said = strand.resume(await parked(said))
        finally:
            self.strands.remove(strand)
            body.drop()
        if said.error is not None:
            raise said.error
        value: T = said.value
        return value

    # --- the end --------------------------------------------------------------------------------------------------

    def let_go(self) -> None:
        """Close what a life that is over left behind: its coroutines and threads."""
        self.over = True
        for strand in tuple(self.strands):
            strand.drop()
        for task in self.tasks:
            task.drop()


async def parked_for_ever() -> None:
    """Wait until the world is closed."""
    await parked(FOR_EVER)


@cache
def _converter() -> CattrsConverter:
    """One for all, since making one takes a while, and hosts are born often."""
    return CattrsConverter()


def _nothing() -> None:
    """What is ready is run after it."""


class Host:
    """`name` for people; several hosts may have one. `clock` is that of its machine, and outlives a crash."""

    def __init__(
        self, world: World, number: int, name: str, app: App | None, options: WorkerOptions, clock: LocalClock
    ) -> None:
        self.world, self.number, self.name = world, number, name
        self.app, self.options, self.clock = app, options, clock
        self.asleep_until = 0
        self._ids = 0
        self._lives = 0
        self.cut_there_until = self.cut_back_until = 0
        self.life: Life | None = self._born()

    def _born(self) -> Life:
        self._lives += 1
        return Life(self, self._lives)

    def new_id(self) -> str:
        """An id that nobody else in this world makes; the same in every run."""
        self._ids += 1
        return f"{self.number}.{self._ids}"

    @property
    def alive(self) -> bool:
        """Whether it has not crashed."""
        return self.life is not None

    @property
    def owner(self) -> str:
        """The incarnation that runs; empty for a client, and after a crash."""
        return self.life.runner.owner if self.life else ""

    @property
    def running(self) -> int:
        """How many attempts its machines hold."""
        router = self.life.shell.driver.router if self.life else None
        return len(router.attempts) if router else 0

    @property
    def steps(self) -> int:
        """How many steps its machines made in this life."""
        router = self.life.shell.driver.router if self.life else None
        return router.steps if router else 0

    @property
    def finished(self) -> bool:
        """Whether the worker has drained and is over."""
        return self.life is not None and self.life.finished

    # --- what may happen to it ------------------------------------------------------------------------------------

    def crash(self) -> None:
        """As by kill -9: nothing more of it runs, not even a `finally`. What is on its way may still arrive."""
        if self.life is not None:
            life, self.life = self.life, None
            self.world.buried(life)
            self.asleep_until = 0
            self.world.happened("crashed", self)

    def restart(self) -> None:
        """Start again, after a crash or a drain, as a new incarnation."""
        self.crash()
        self.life = self._born()
        self.world.happened("restarted", self)

    def pause(self, seconds: float) -> None:
        """As by SIGSTOP: none of its threads runs for so long."""
        self.asleep_until = max(self.asleep_until, self.world.now + round(seconds * 1e9))
        self.world.happened("paused", self)

    def suspend(self, seconds: float) -> None:
        """A pause that its clock does not count, as one without CLOCK_BOOTTIME would not (K7)."""
        self.clock.freezes()
        self.pause(seconds)
        self.world.call(self.asleep_until, self._resumes)

    def _resumes(self) -> None:
        self.clock.thaws()
        self.clock_moved()

    def clock_moved(self) -> None:
        """Whoever changed `clock` says so: the machine's alarm is set anew."""
        if self.life is not None:
            self.life.shell.set_alarm()

    def cut(self, seconds: float, *, there: bool = True, back: bool = True) -> None:
        """A partition between it and the store, in one direction or both: its requests, or the answers, are lost."""
        until = self.world.now + round(seconds * 1e9)
        if there:
            self.cut_there_until = max(until, self.cut_there_until)
        if back:
            self.cut_back_until = max(until, self.cut_back_until)
        self.world.happened("cut", self)

    def drain(self, grace: float | None = None) -> None:
        """As by SIGTERM: stop claiming, and end."""
        if self.life is not None:
            self.life.runner.drain(grace)
            self.world.happened("drained", self)

    # --- for clients ----------------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """A client of the store, for coroutines that `play` runs on this host."""
        assert self.life is not None, f"{self.name} has crashed"
        return self.life.runner.client(self.life.ask)

    def play(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Run a coroutine on this host's loop."""
        assert self.life is not None, f"{self.name} has crashed"
        return self.life.task(coroutine, contextvars.copy_context())
