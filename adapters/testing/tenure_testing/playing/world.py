"""A world in virtual time: workers and clients, each with its own clock, around one store behind a network.

    world = World("memory:", seed=7)
    worker = world.worker(app)
    handle = world.client.start(resize, Resize(url="u"), id="order-17")
    world.drop_reply(Complete)
    print(handle.wait())

What runs is what ships: the driver and its machines, the batches, the runner of handlers, `ctx`, the client, and a real
store whose clock the world moves. Only threads, network and time are played, so that nothing happens by chance: the
same calls with the same seed give the same order of events, to the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any, Self, TypeVar, Unpack

from tenure.app import App
from tenure.asks import Ask, CallPlain
from tenure.instants import Instant
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.replies import Answer
from tenure.requests import Request
from tenure_driver.blocking import BlockingClient
from tenure_driver.gone import reply_of
from tenure_driver.options import Options, WorkerOptions
from tenure_testing.playing.clocks import LocalClock, StoreClock
from tenure_testing.playing.faults import Faults
from tenure_testing.playing.host import Host, Life
from tenure_testing.playing.network import Weather
from tenure_testing.playing.observing import Execution, Observer
from tenure_testing.playing.shell import Sending
from tenure_testing.playing.stores import Make, PlayedStore, maker
from tenure_testing.playing.tasks import Task

T = TypeVar("T")

SECOND = 1_000_000_000
BEGIN = 1_000 * SECOND
"""The true time at which a world begins, in nanoseconds."""
PATIENCE = 24 * 3_600.0
"""Seconds of the world's time in which something that is waited for has to come."""


SPIN = 100_000
"""Events at one instant, after which the world is stuck."""


class Stuck(AssertionError):
    """What was waited for did not come, or an end of all activity did not."""


class World(Faults):
    """`store`: a URL, or a function from a clock to a store. `weather`: how the network is; fair unless told."""

    def __init__(
        self,
        store: str | Make = "memory:",
        seed: int = 0,
        *,
        weather: Weather | None = None,
        limits: Limits = DEFAULT_LIMITS,
        observers: Sequence[Observer] = (),
    ) -> None:
        super().__init__(weather or Weather())
        self.seed = seed
        self.random = Random(f"{seed}/world")
        self.now = BEGIN
        self.observers: list[Observer] = list(observers)
        self._queue: list[tuple[int, int, Life | None, Callable[[], object]]] = []
        self._numbers = 0
        self._sendings = 0
        self.store_clock = StoreClock(self)
        lasting = not isinstance(store, str) or not store.startswith("memory:")
        self.store = PlayedStore(maker(store, limits), self.store_clock, lasting)
        self.hosts: list[Host] = []
        self._graves: list[Life] = []
        self._inside = False
        self._still = 0
        self._seen: Exception | None = None
        self._visitor: Host | None = None
        self._steps_of_the_dead = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything: handlers that still wait, threads of plain ones, the store."""
        for host in self.hosts:
            if host.life is not None:
                self._graves.append(host.life)
        for life in self._graves:
            life.let_go()
        self._queue.clear()
        self.store.close()

    # --- who is in it ---------------------------------------------------------------------------------------------

    def worker(self, app: App, *, offset: float = 0, drift: int = 0, **options: Unpack[Options]) -> Host:
        """A worker, running at once; `name` is w1, w2, ... unless told. `offset` (seconds) and `drift` (parts per
        million) are its machine's clock's."""
        clock = LocalClock(self, offset, drift)
        name = options.setdefault("name", f"w{len(self.hosts) + 1}")
        return self._host(name, app, WorkerOptions(**options), clock)

    def visitor(self, name: str = "client") -> Host:
        """A program with a client and no worker; `Host.client` and `Host.play` are for its coroutines."""
        return self._host(name, None, WorkerOptions(name=name), LocalClock(self))

    def _host(self, name: str, app: App | None, options: WorkerOptions, clock: LocalClock) -> Host:
        host = Host(self, len(self.hosts) + 1, name, app, options, clock)
        self.hosts.append(host)
        return host

    def buried(self, life: Life) -> None:
        """A life is over. What it left is kept until the world is closed: a crash runs no `finally`."""
        life.over = True
        router = life.shell.driver.router
        self._steps_of_the_dead += router.steps if router else 0
        self._graves.append(life)

    @property
    def steps(self) -> int:
        """How many steps the shipped machines have made, those of crashed workers too."""
        return self._steps_of_the_dead + sum(host.steps for host in self.hosts)

    @property
    def client(self) -> BlockingClient:
        """A client for the test itself: each call lets the world go on until it is answered."""
        visitor = self._visitor = self._visitor or self.visitor("test")
        assert visitor.life is not None
        return BlockingClient(visitor.life.runner.client(partial(self._driving_ask, visitor)))

    async def _driving_ask(self, visitor: Host, ask: Ask) -> Any:
        if isinstance(ask, CallPlain):  # of a session, or of contents
            return ask.called()
        assert visitor.life is not None
        replies: list[Any] = []
        visitor.life.runner.post(ask, replies.append)
        self.run_until(lambda: bool(replies), what=f"a reply to {ask}")
        return reply_of(replies[0])

    # --- time -----------------------------------------------------------------------------------------------------

    def call(self, at: int, what: Callable[[], object], life: Life | None = None) -> None:
        """Have that done at the true time `at`, in nanoseconds; after what was asked for before."""
        self._numbers += 1
        heappush(self._queue, (at, self._numbers, life, what))

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        """Have that done in so many seconds."""
        self.call(self.now + round(seconds * SECOND), what)

    def step(self) -> bool:
        """The next event; False where there is none. Raises what `raises` was told meanwhile."""
        if not self._queue:
            return False
        at, _, life, what = heappop(self._queue)
        if life is not None:
            if life.over:
                return True
            asleep = life.host.asleep_until
            if asleep > at:
                self.call(asleep, what, life)
                return True
        if at > self.now:
            self.now, self._still = at, 0
        elif self._still < SPIN:
            self._still += 1
        else:
            raise Stuck(
                f"{SPIN:,} events at one instant: somebody does the same again and again without waiting"
            )
        what()
        if self._seen is not None:
            error, self._seen = self._seen, None
            raise error
        return True

    def raises(self, error: Exception) -> None:
        """Have the step that is being made raise the first of these: raised inside a handler, it is the handler's."""
        self._seen = self._seen or error

    def observed(self, tell: Callable[[Observer], object]) -> None:
        """Tell each observer, from inside a handler or its task: what one raises is raised by the step."""
        for observer in self.observers:
            try:
                tell(observer)
            except Exception as error:
                self.raises(error)

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        self._run(self.now + round(seconds * SECOND))

    def _run(self, end: int) -> None:
        with self._going_on():
            queue = self._queue
            while queue and queue[0][0] <= end:
                self.step()
            self.now = max(self.now, end)

    def run_until(
        self, condition: Callable[[], bool], within: float = PATIENCE, what: str = "the condition"
    ) -> None:
        """Let time pass until the condition holds. Raises Stuck where it does not within so many seconds."""
        end = self.now + round(within * SECOND)
        with self._going_on():
            queue = self._queue
            while not condition():
                if not queue or queue[0][0] > end:
                    raise Stuck(f"{what} did not come within {within:g} s of the world's time")
                self.step()

    @contextmanager
    def _going_on(self) -> Generator[None]:
        """Nobody lets the world go on from inside of it."""
        if self._inside:
            raise RuntimeError(
                "a handler or an observer cannot let the world go on; in a handler, use ctx and `sleep`"
            )
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def run_until_idle(self, within: float = PATIENCE) -> None:
        """Let time pass until no worker that is alive holds anything, nobody waits for an answer, and everything that
        a worker could claim has ended. Raises Stuck."""
        self.run_until(self.idle, within, "an end of all activity")

    def idle(self) -> bool:
        """Whether `run_until_idle` would return at once."""
        if any(host.running or (host.life and host.life.shell.under_way) for host in self.hosts):
            return False
        kinds = {kind for host in self.hosts if host.alive and host.app for kind in host.app.kinds}
        return all(
            row.outcome is not None or row.registration.kind not in kinds for row in self.store.records()
        )

    def play(self, task: Task, within: float = PATIENCE) -> Any:
        """Let time pass until the task is done: what it returned, or raised."""
        self.run_until(lambda: task.done, within, "the end of the task")
        if task.error is not None:
            raise task.error
        return task.value

    # --- store and network ----------------------------------------------------------------------------------------

    def execute(self, *requests: Request) -> tuple[Answer, ...]:
        """Requests of a test's own, executed at once as one transaction."""
        return tuple(self._executed(None, self.next_sending(), requests))

    def execute_sent(self, sending: Sending) -> None:
        """What was sent reaches the store. Unavailable is not told while another copy of it may still be applied."""
        sending.copies -= 1
        if self.store.down and sending.copies:
            return
        answers = self._executed(sending.host, sending.number, sending.requests, sending.sent_at)
        if sending.answers is None:
            sending.answers = answers

    def _executed(
        self, sender: Host | None, number: int, requests: tuple[Request, ...], sent_at: Instant | None = None
    ) -> Sequence[Answer]:
        answers = self.store.execute(requests)
        if self.observers:
            execution = Execution(sender, number, requests, tuple(answers), self.store_clock(), sent_at)
            for observer in self.observers:
                observer.executed(execution)
        if self.store.changed():
            for host in self.hosts:
                if host.life is not None:
                    host.life.shell.hint()
        return answers

    def next_sending(self) -> int:
        """A number for a batch."""
        self._sendings += 1
        return self._sendings

    def store_down(self, seconds: float, *, restarts: bool = True) -> None:
        """The store answers nobody for so long; then it is opened again, if it `restarts` (S21)."""
        self.store.down = True
        self.happened("store down", None)
        self.after(seconds, partial(self._store_up, restarts))

    def _store_up(self, restarts: bool) -> None:
        if restarts:
            self.store.restart()
        self.store.down = False
        self.happened("store up", None)

    def happened(self, what: str, host: Host | None) -> None:
        """Tell the observers of a fault, or of its end."""
        for observer in self.observers:
            observer.happened(what, host)
