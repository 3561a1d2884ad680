"""A whole worker as the driver runs it, in a world that Hypothesis draws: `Driver.turn` against the model.

Calls are delivered, refused, lost, late or doubled, one by one and in any order; handlers return, raise, stop and ask;
the worker's clock and the store's go apart; clients start, cancel and wait; the worker drains. Every turn is checked as
it is made, every request that reaches the model is judged (`tenure_testing.stateful.judge`), and when the faults stop
everything has to come to its end (L9). After a drain a new incarnation goes on, over the same store.
"""

from __future__ import annotations

import sys
from typing import Any

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenure import attempt_types as t
from tenure.asks import Act, AwaitEnd, Submit
from tenure.canonical import NULL
from tenure.instants import NANOS_PER_MILLI, NANOS_PER_SECOND, Instant, StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import Failure, Outcome, Registration, Success, Work
from tenure.replies import Answer, Unavailable, Unknown
from tenure.requests import (
    ClaimNext,
    Complete,
    EmitEvent,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.router import unheld
from tenure.stores import Cursor
from tenure.timings import LeaseTimings
from tenure.worker_types import Stopped as WorkerStopped
from tenure.worker_types import WorkerTerms, Working
from tenure_driver.messages import (
    Answered,
    Asked,
    Changed,
    Drain,
    Inbound,
    Reply,
    Returned,
    Stopped,
    StoreCall,
)
from tenure_driver.turn import Driver
from tenure_testing.stateful.judge import Judge
from tenure_testing.stateful.lockstep import content_of
from tests.stateful.words import asked_for, holds

TIMINGS = LeaseTimings(completion_patience=40)
SLOTS = 2
TERMS = WorkerTerms(
    "us",
    t.Terms(TIMINGS, "", ("k",), (("k", 60 * NANOS_PER_SECOND),), max_lost=3),
    SLOTS,
    2,
    NANOS_PER_SECOND,
)
SPANS = (1, 25, 100, 1_000, 3_000, 10_000, 24_000, 29_000, 31_000)
"""Milliseconds: about every limit that there is in `TIMINGS`."""
MOST_UNFINISHED = 4
TURNS_BEFORE_A_DRAIN = 30
places = st.integers(0, 5)


class WorkerMachine(RuleBasedStateMachine):
    """One worker after another, two slots, some processes of its kind at a time."""

    driver: Driver

    def __init__(self) -> None:
        super().__init__()
        self.now, self.clock = Instant(0), StoreTime(1_000)
        self.model = Snapshot(limits=Limits(takeover_cap=1_000))
        self.judge = Judge(self.model.limits)
        self.zombies: list[tuple[StoreCall, Driver]] = []
        self.started: set[int] = set()
        self.incarnations = 0
        self.calls: list[StoreCall] = []
        self.incarnate()

    def incarnate(self) -> None:
        """A new program begins; what the one before had sent may still arrive, and is not answered to anybody."""
        self.incarnations += 1
        self.zombies += [(call, self.driver) for call in self.calls]
        self.driver = Driver(evolve(TERMS, owner=f"us{self.incarnations}"), self.now, lambda: 500)
        self.turns = 0
        self.calls = []
        self.handlers: dict[int, t.StartHandler] = {}
        self.ids: set[int] = set()
        self.flying: dict[int, tuple[int, Instant]] = {}
        self.last_write: dict[int, Complete | Release] = {}
        self.lost: set[int] = set()
        self.asks: set[int] = set()
        self.next_ask = 0
        self.claims: list[int] = []
        self.drained = False
        self.left: Stopped | None = None
        self.turn()

    # --- what the worker does -------------------------------------------------------------------------------------

    def turn(self, *inbox: Inbound) -> None:
        """One turn, and a look at all that it wants."""
        self.turns += 1
        box = self.driver.turn(inbox, self.now)
        for call in box.calls:
            self.check_call(call)
            self.calls.append(call)
        for message in box.loop:
            match message:
                case t.StartHandler():
                    self.check_start(message)
                case t.StopHandler():
                    holds(
                        message.token in self.handlers, "S12", "a handler that does not run is told to stop"
                    )
                case Reply():
                    holds(message.ask in self.asks, "S18", "an ask is answered twice")
                    self.asks.remove(message.ask)
                case Stopped():
                    holds(self.left is None, "L5", "a worker stops twice")
                    self.left = message
                case _:
                    raise AssertionError(message)
        self.lost |= {
            token for token, state in self.attempts.items() if isinstance(state, t.LeaseLost | t.Detached)
        }
        wake = box.wake_at
        holds(
            wake is None or wake > self.now,
            "L9",
            "the next wake-up is in the past: the driver would turn for ever",
        )

    @property
    def attempts(self) -> dict[int, t.AttemptState]:
        assert self.driver.router is not None
        return self.driver.router.attempts

    def check_call(self, call: StoreCall) -> None:
        holds(call.id not in self.ids, "S18", "a call's id is used twice")
        self.ids.add(call.id)
        request = call.request
        if isinstance(request, ClaimNext):
            self.check_claim(request)
        if not isinstance(request, Renew | RecordEffect | EmitEvent | Complete | Release):
            return
        token = request.fence.token
        holds(token not in self.lost, "S14", "a write for a lease that is lost")
        known = self.flying.get(token)
        in_time = known is not None and self.now < known[1] + TIMINGS.call_timeout_ns
        holds(not in_time, "S18", "two fenced calls of one attempt in flight (CONTRACT §5)")
        self.flying[token] = call.id, self.now
        if isinstance(request, Complete | Release):
            holds(
                self.last_write.setdefault(token, request) == request,
                "S18",
                "another last write than the first",
            )
        else:
            holds(token not in self.last_write, "S18", "a write after the last one")
            in_budget = call.not_after is not None and call.not_after > self.now
            holds(in_budget, "S13", "a write whose time is over when it is sent")

    def check_claim(self, request: ClaimNext) -> None:
        n = request.claim.n
        if n not in self.claims:
            holds(not self.drained, "L5", "a drain claims nothing new")
            holds(n > max(self.claims, default=0), "S2", "a claim id is not new")
            self.claims.append(n)
        holds(n == self.claims[-1], "S18", "an earlier claim is taken up again")
        running = len(self.attempts)
        holds(request.limit + running <= SLOTS, "S12", "more is claimed than there are slots for")

    def check_start(self, start: t.StartHandler) -> None:
        token, name = start.grant.fence.token, start.grant.record.id
        holds(token not in self.started, "S12", "a handler is started twice under one token")
        holds(self.now < start.not_after, "S13", "a handler is started without budget")
        strays = {
            t.grant.record.id
            for k, t in self.handlers.items()
            if k in self.attempts and unheld(self.attempts[k])
        }
        holds(name not in strays, "S12", "a handler is started beside one that has lost its lease")
        granted = {row.token for row in self.model.records if row.id == name}
        holds(bool(granted), "S12", "a handler is started for what nobody registered")
        self.started.add(token)
        self.handlers[token] = start

    # --- what the world does --------------------------------------------------------------------------------------

    def executed(self, request: Request) -> Answer:
        """The store's answer; the transition is judged."""
        before = content_of(self.model)
        self.model, answer = apply(self.model, request, self.clock)
        self.judge.saw(request, answer, before, content_of(self.model), self.clock)
        return answer

    def deliver_call(self, call: StoreCall) -> None:
        late = call.not_after is not None and call.not_after <= self.now
        self.answer(call, Unavailable("too late") if late else self.executed(call.request))

    def answer(self, call: StoreCall, answer: Answer) -> None:
        token = getattr(getattr(call.request, "fence", None), "token", 0)
        if self.flying.get(token, (0, 0))[0] == call.id:
            del self.flying[token]
        self.turn(Answered(((call.id, answer),)))

    def take(self, place: int) -> StoreCall:
        return self.calls.pop(place % len(self.calls))

    @initialize()
    def begin(self) -> None:
        for name in ("p1", "p2"):
            self.executed(Register(Registration(name, Work("k"), ("t",))))

    @precondition(lambda self: len(self.unfinished) < MOST_UNFINISHED)
    @rule(delay=st.sampled_from((0, 0, 2_000)))
    def register(self, delay: int) -> None:
        """Somebody else starts a process."""
        name = f"p{len(self.model.records) + 1}"
        self.executed(Register(Registration(name, Work("k"), ("t",)), delay))

    @precondition(lambda self: bool(self.calls))
    @rule(place=places)
    def deliver(self, place: int) -> None:
        self.deliver_call(self.take(place))

    @precondition(lambda self: bool(self.calls))
    @rule()
    def deliver_all(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            self.deliver_call(call)

    @precondition(lambda self: bool(self.calls))
    @rule(place=places)
    def refuse(self, place: int) -> None:
        self.answer(self.take(place), Unavailable("no"))

    @precondition(lambda self: bool(self.calls))
    @rule(place=places, applied=st.booleans(), told=st.booleans())
    def lose(self, place: int, applied: bool, told: bool) -> None:
        """Nobody knows whether it was applied. Not told: the worker finds out at its own call_timeout."""
        call = self.take(place)
        if applied:
            self.executed(call.request)
        if told:
            self.answer(call, Unknown("lost"))

    @precondition(lambda self: bool(self.calls))
    @rule(place=places, told=st.booleans())
    def delay(self, place: int, told: bool) -> None:
        call = self.take(place)
        self.zombies.append((call, self.driver))
        if told:
            self.answer(call, Unknown("no answer in time"))

    @precondition(lambda self: bool(self.calls))
    @rule(place=places)
    def double(self, place: int) -> None:
        """It is answered, and comes a second time, later."""
        call = self.take(place)
        self.zombies.append((call, self.driver))
        self.deliver_call(call)

    @precondition(lambda self: bool(self.zombies))
    @rule(place=places, heard=st.booleans())
    def arrive(self, place: int, heard: bool) -> None:
        """A request that is late is executed, whatever its sender thinks by now."""
        call, sender = self.zombies.pop(place % len(self.zombies))
        answer = self.executed(call.request)
        if heard and sender is self.driver:
            self.answer(call, answer)

    @rule(span=st.sampled_from(SPANS))
    def pass_time(self, span: int) -> None:
        self.now = Instant(self.now + span * NANOS_PER_MILLI)
        self.clock = StoreTime(self.clock + span)
        self.turn()

    @rule(by=st.sampled_from((1, 5_000, 30_000, -10_000)))
    def drift(self, by: int) -> None:
        """The store's clock alone; backwards too (C1)."""
        self.clock = StoreTime(self.clock + by)

    @rule(span=st.sampled_from(SPANS))
    def pause(self, span: int) -> None:
        """The worker sleeps: the store's time goes on, its own clock shows it when it wakes (C2)."""
        self.now = Instant(self.now + span * NANOS_PER_MILLI)
        self.clock = StoreTime(self.clock + span)

    @precondition(lambda self: bool(self.handlers))
    @rule(place=places, how=st.sampled_from(("returns", "raises", "stops")))
    def end(self, place: int, how: str) -> None:
        token = list(self.handlers)[place % len(self.handlers)]
        del self.handlers[token]
        outcomes: dict[str, Outcome] = {"returns": Success(NULL), "raises": Failure("E", "e", "no")}
        self.turn(Returned(token, outcomes.get(how)))

    @precondition(lambda self: bool(self.handlers))
    @rule(place=places, what=st.sampled_from(("leave", "effect", "other effect", "event")))
    def ask(self, place: int, what: str) -> None:
        """The handler asks for something under its lease."""
        token = list(self.handlers)[place % len(self.handlers)]
        fence = self.handlers[token].grant.fence
        self.turn(Asked(self.new_ask(), Act(token, asked_for(what, fence))))

    @rule(back=st.integers(-1, 3), wait=st.booleans())
    def ask_as_client(self, back: int, wait: bool) -> None:
        """A client of this very driver cancels, or waits for an end."""
        name = self.newest(back)
        what: Any = AwaitEnd(name, 5.0) if wait else Submit(RequestCancel(name, "why"), 10.0)
        self.turn(Asked(self.new_ask(), what))

    @rule(back=st.integers(-1, 3))
    def cancel(self, back: int) -> None:
        """Somebody else asks for a cancellation."""
        self.executed(RequestCancel(self.newest(back), "why"))

    @rule()
    def hint(self) -> None:
        self.turn(Changed(Cursor(self.model.number, self.model.number)))

    @precondition(lambda self: self.turns > TURNS_BEFORE_A_DRAIN)
    @rule(grace=st.sampled_from((0, 1, 30)))
    def drain(self, grace: int) -> None:
        self.drained = True
        self.turn(Drain(grace * NANOS_PER_SECOND))

    @precondition(lambda self: self.left is not None)
    @rule()
    def start_anew(self) -> None:
        """The worker that drained is gone, and with it the handlers that it left behind."""
        self.incarnate()

    @property
    def unfinished(self) -> list[str]:
        return [row.id for row in self.model.records if row.outcome is None]

    def newest(self, back: int) -> str:
        """The name of the process registered last, or of one before; -1: of one that nobody registered yet."""
        return f"p{max(1, len(self.model.records) - back)}"

    def new_ask(self) -> int:
        self.next_ask += 1
        self.asks.add(self.next_ask)
        return self.next_ask

    # --- after every step, and at the end -------------------------------------------------------------------------

    @invariant()
    def capacity_holds(self) -> None:
        assert self.driver.router is not None
        worker = self.driver.router.worker
        if isinstance(worker, WorkerStopped):
            holds(
                worker.left >= len(self.attempts) or self.left is not None, "L5", "what is left is not said"
            )
            return
        assert isinstance(worker, Working)
        reserved = worker.claim.request.limit if worker.claim else 0
        holds(worker.running == len(self.attempts), "S12", "the worker counts other attempts than there are")
        holds(worker.running + reserved <= SLOTS, "S12", "more attempts than slots")
        holds(len(self.handlers) <= SLOTS, "S12", "more handlers than slots")
        holds(len(set(worker.exclude)) == len(worker.exclude) <= SLOTS, "S12", "a stray is excluded twice")

    def teardown(self) -> None:
        if sys.exc_info()[1] is None:
            self.settle()

    def settle(self) -> None:
        """Faults stop: everything is delivered, every handler returns, and time goes on (L1, L2, L5, L8, L9)."""
        self.let_go_on()
        holds(not self.asks, "L9", f"asks without an answer: {self.asks}")
        if self.drained:
            holds(self.left is not None, "L5", "a drain does not come to its end")
            self.incarnate()
            self.let_go_on()
        holds(not self.attempts, "L9", "attempts that do not end")
        holds(not self.unfinished, "L1", f"processes that nobody finishes: {self.unfinished}")

    def let_go_on(self) -> None:
        for _ in range(80):
            while self.calls:
                self.deliver_all()
            while self.handlers:
                self.end(0, "returns")
            self.pass_time(3_000)
