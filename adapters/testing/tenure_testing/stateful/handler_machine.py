"""A handler among crashes, pauses, lost replies and thieves, drawn by Hypothesis: `HandlerMachine`.

A subclass brings the app, what its processes are given, and what must hold:

    class Charging(HandlerMachine):
        payloads = {"charge": st.builds(Charge, st.integers(1, 100))}

        def make_app(self):
            self.bank = Bank()
            return app_with(self.bank)

        def check_outcome(self, process, outcome):
            assert self.bank.charged(process.id) == process.payload.amount

    TestCharging = Charging.TestCase

The world is that of `tenure_testing.playing`: workers with the shipped driver around one store, in virtual time. At the
end of each example the faults stop, whoever crashed starts again, and every process has to come to its end (L9).
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from attrs import define, field, frozen
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
)

from tenure.app import App
from tenure.asks import Ask
from tenure.errors import StoreUnavailable, StoreUnknown
from tenure.process import Cancelled, Failure, Outcome
from tenure.replies import Answer, Completed, Succeeded
from tenure.requests import ClaimNext, Complete, EmitEvent, RecordEffect, Register, Release, Renew
from tenure_driver.jobs import Job
from tenure_driver.messages import StoreCall
from tenure_driver.options import Options
from tenure_testing.playing import Execution, Host, Make, Observer, World
from tenure_testing.stateful.judge import broken

POINTS = ("asking", "sending", "sent", "executed", "heard", "replied", "starting", "started", "ended")
"""Where a worker can be struck: between any two of its own steps, and of the store's."""
REQUESTS = (ClaimNext, Complete, RecordEffect, EmitEvent, Renew, Release, Register)
FATES = ("drop_reply", "drop_request", "refuse", "double", "delay")
SPANS = (0.0, 0.001, 0.1, 1.0, 5.0, 12.0, 31.0, 70.0)
"""Seconds: within a call, a poll, a stop_grace, a renewal's interval, beyond a ttl, and far beyond."""
AWAY = (1.0, 12.0, 31.0, 70.0)
"""For how long something is gone."""
places = st.integers(0, 9)


@frozen
class Started:
    """A process that was started: its id, its kind, and what it was given."""

    id: str
    kind: str
    payload: Any


@define(eq=False)
class _Strikes(Observer):
    """Strikes a worker when it comes to the n-th such point, and sees what no world may show."""

    armed: dict[str, tuple[str, int, Any]] = field(factory=dict[str, tuple[str, int, Any]])
    tokens: set[int] = field(factory=set[int])
    outcomes: dict[str, Outcome] = field(factory=dict[str, Outcome])

    def at(self, point: str, host: Host | None) -> None:
        if host is None or host.name not in self.armed:
            return
        wanted, left, strike = self.armed[host.name]
        if wanted != point:
            return
        if left > 0:
            self.armed[host.name] = wanted, left - 1, strike
        else:
            del self.armed[host.name]
            strike(host)

    def asking(self, host: Host, ask: Ask) -> None:
        self.at("asking", host)

    def sending(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self.at("sending", host)

    def sent(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self.at("sent", host)

    def executed(self, execution: Execution) -> None:
        for answer in execution.answers:
            reply = answer.reply if isinstance(answer, Succeeded) else None
            if isinstance(reply, Completed):
                known = self.outcomes.setdefault(f"{reply.stamp.token}", reply.outcome)
                if known != reply.outcome:
                    raise broken(["S6"], f"one token, two outcomes: {known!r} and {reply.outcome!r}")
        self.at("executed", execution.sender)

    def heard(self, host: Host, calls: Sequence[StoreCall], answers: Sequence[Answer]) -> None:
        self.at("heard", host)

    def replied(self, host: Host, ask: Ask) -> None:
        self.at("replied", host)

    def starting(self, host: Host, job: Job) -> None:
        self.at("starting", host)

    def started(self, host: Host, job: Job) -> None:
        if job.token in self.tokens:
            raise broken(["S12"], f"the handler of {job.ctx.id!r} was started twice under token {job.token}")
        self.tokens.add(job.token)
        self.at("started", host)

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self.at("ended", host)


def _starts(machine: Any) -> st.SearchStrategy[tuple[str, Any]]:
    return st.one_of([st.tuples(st.just(kind), given) for kind, given in machine.payloads.items()])


class HandlerMachine(RuleBasedStateMachine):
    """Subclass it: `payloads` draws, by the name of a kind, what a process of it is given.

    `workers` run at once, with `options`. At most `processes` are started in one example.
    """

    payloads: ClassVar[Mapping[str, st.SearchStrategy[Any]]] = {}
    workers: ClassVar[int] = 2
    processes: ClassVar[int] = 6
    options: ClassVar[Options] = {}

    started: Bundle[Started] = Bundle("started")

    # --- what a subclass says -------------------------------------------------------------------------------------

    @abstractmethod
    def make_app(self) -> App:
        """The app under test, made anew for each example, with whatever of the outside world its handlers touch."""

    def make_store(self) -> str | Make:
        """A URL, or a function from a clock to a store, as `World` takes it; a new store for each example."""
        return "memory:"

    def check_outcome(self, process: Started, outcome: Outcome) -> None:
        """Judge how a process ended. Here: it did not fail, and was cancelled only on request."""
        if isinstance(outcome, Failure):
            raise AssertionError(
                f"{process.id} failed: {outcome.failure_class} ({outcome.code}): {outcome.message}"
            )
        if isinstance(outcome, Cancelled) and process.id not in self.cancelled:
            raise broken(["S17"], f"{process.id} was cancelled, and nobody asked for it")

    def check_always(self) -> None:
        """What holds at any moment, of the outside world say; called after every step."""

    # --- steps ----------------------------------------------------------------------------------------------------

    def __init__(self) -> None:
        super().__init__()
        self._strikes = _Strikes()
        self.world = World(self.make_store(), observers=[self._strikes])
        self.app = self.make_app()
        self.hosts = [self.world.worker(self.app, **self.options) for _ in range(self.workers)]
        self.begun: list[Started] = []
        self.cancelled: set[str] = set()

    @precondition(lambda self: len(self.begun) < self.processes)
    @rule(target=started, what=st.runner().flatmap(_starts))
    def start(self, what: tuple[str, Any]) -> Started | MultipleResults[Started]:
        """A client starts a process."""
        process = Started(f"p{len(self.begun) + 1}", *what)
        self.begun.append(process)
        return process if self._start(process) else multiple()

    @rule(process=started)
    def start_again(self, process: Started) -> None:
        """The same start, repeated: it is the same process."""
        self._start(process)

    @rule(process=started)
    def cancel(self, process: Started) -> None:
        self.cancelled.add(process.id)
        try:
            self.world.client.cancel(process.id, "drawn")
        except (StoreUnavailable, StoreUnknown):
            pass

    @rule(seconds=st.sampled_from(SPANS))
    def pass_time(self, seconds: float) -> None:
        self.world.run_for(seconds)

    @rule(events=st.integers(1, 20))
    def go_on(self, events: int) -> None:
        """A few events of the world: one thread's step, one message."""
        for _ in range(events):
            self.world.step()

    @rule(
        worker=places, point=st.sampled_from(POINTS), skipped=st.integers(0, 3), seconds=st.sampled_from(AWAY)
    )
    def crash_at(self, worker: int, point: str, skipped: int, seconds: float) -> None:
        """Kill the worker right there, at the next such point but so many; it starts again after so long."""
        self._strikes.armed[self._host(worker).name] = point, skipped, partial(_crash, seconds=seconds)

    @rule(
        worker=places,
        point=st.sampled_from(POINTS),
        skipped=st.integers(0, 3),
        seconds=st.sampled_from(AWAY),
    )
    def pause_at(self, worker: int, point: str, skipped: int, seconds: float) -> None:
        """Stop it there for so long; beyond the ttl another worker takes its processes, and it comes back a zombie."""
        self._strikes.armed[self._host(worker).name] = point, skipped, partial(_pause, seconds=seconds)

    @rule(worker=places, seconds=st.sampled_from(AWAY))
    def crash(self, worker: int, seconds: float) -> None:
        """Kill the worker now; it starts again after so long."""
        _crash(self._host(worker), seconds)

    @rule(worker=places, seconds=st.sampled_from(AWAY))
    def drain(self, worker: int, seconds: float) -> None:
        """The worker is told to end, and starts again once it is over, after so long at the earliest."""
        host = self._host(worker)
        host.drain()
        self.world.after(seconds, partial(_back, host))

    @rule(worker=places, seconds=st.sampled_from(AWAY), there=st.booleans())
    def cut(self, worker: int, seconds: float, there: bool) -> None:
        """A partition in one direction: its requests are lost, or the answers to them."""
        self._host(worker).cut(seconds, there=there, back=not there)

    @rule(kind=st.sampled_from(REQUESTS), fate=st.sampled_from(FATES), seconds=st.sampled_from(SPANS[1:]))
    def lose(self, kind: type, fate: str, seconds: float) -> None:
        """The next such request, or its reply, is lost, refused, doubled or late."""
        more = (seconds,) if fate in ("double", "delay") else ()
        getattr(self.world, fate)(kind, *more)

    @rule(seconds=st.sampled_from(AWAY))
    def store_down(self, seconds: float) -> None:
        self.world.store_down(seconds)

    # --- after every step, and at the end -------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        self.check_always()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is None:
                self._settle()
        finally:
            self.world.close()

    def _settle(self) -> None:
        """Faults stop. Who is gone comes back, everything ends, and each end is judged."""
        self._strikes.armed.clear()
        self.world.run_for(SPANS[-1])  # what was to be down, paused or cut for so long is over
        for host in self.hosts:
            _back(host)
        self.world.run_until_idle()
        ended = {row.id: row.outcome for row in self.world.store.records()}
        for process in self.begun:
            outcome = ended.get(process.id)
            if outcome is not None:  # one whose start was never acknowledged may not be there
                self.check_outcome(process, outcome)
        self.check_always()

    def _start(self, process: Started) -> bool:
        try:
            self.world.client.start(self.app.kinds[process.kind], process.payload, id=process.id)
        except (StoreUnavailable, StoreUnknown):
            return False
        return True

    def _host(self, number: int) -> Host:
        return self.hosts[number % len(self.hosts)]


def _crash(host: Host, seconds: float) -> None:
    host.crash()
    host.world.after(seconds, partial(_back, host))


def _back(host: Host) -> None:
    """Start it again, if it is gone."""
    if not host.alive or host.finished:
        host.restart()


def _pause(host: Host, seconds: float) -> None:
    host.pause(seconds)
