"""Whatever a store and its handlers do to a whole worker: capacity, one claim at a time, drain, convergence (L9)."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tenure import attempt_types as t
from tenure.canonical import NULL
from tenure.instants import NANOS_PER_MILLI, NANOS_PER_SECOND, Instant, StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import Success
from tenure.replies import Answer, Succeeded, Unavailable
from tenure.requests import ClaimNext, Register, RequestCancel
from tenure.router import Router, unheld
from tenure.timings import LeaseTimings
from tenure.worker_types import Draining, Driving, Stopped, WorkerTerms, Working
from tests.core.rows import registration
from tests.core.strategies import examples

TIMINGS = LeaseTimings()
SLOTS = 2
TERMS = WorkerTerms("us", t.Terms(TIMINGS, "", ("k",)), SLOTS, 2, NANOS_PER_SECOND)


class Played:
    """A worker, the model as its store, and the world around both; it checks every command as it comes."""

    def __init__(self) -> None:
        self.now = Instant(0)
        self.clock = StoreTime(0)
        self.model = Snapshot(limits=Limits(takeover_cap=1_000))
        self.router = Router(TERMS, self.now, count(1).__next__, lambda: 500)
        self.sent: list[t.Send] = []
        self.perhaps: list[object] = []
        self.zombies: list[t.Send] = []
        self.opening: list[int] = []
        self.handlers: dict[int, str] = {}
        self.started: set[int] = set()
        self.asks: set[int] = set()
        self.claims: list[int] = []
        self.drained = False
        self.leave_at = Instant(1 << 62)
        self.claiming: int | None = None
        self.registered = 0
        self.turn([])

    # --- what the worker says -------------------------------------------------------------------------------------

    def turn(self, commands: list[t.Command]) -> None:
        """One turn of the driver: what came of the event, then one tick."""
        for command in [*commands, *self.router.tick(self.now)]:
            self.check(command)
        worker = self.router.worker
        if isinstance(worker, Stopped):
            assert worker.left >= len(self.router.attempts), "what is left is said"
            assert self.claiming is None or self.router.attempts or self.now >= self.leave_at, (
                "a drain waits for its claim, since what it may have got would be left to expire"
            )
        else:
            assert isinstance(worker, Working)
            reserved = worker.claim.request.limit if worker.claim else 0
            assert worker.running == len(self.router.attempts)
            assert worker.running + reserved <= SLOTS, "never more than it has slots for"
            assert len(self.handlers) <= SLOTS
            assert len(set(worker.exclude)) == len(worker.exclude) <= SLOTS
        wakeup = self.router.wakeup()
        assert wakeup is None or wakeup > self.now, "or the driver would turn for ever"

    def check(self, command: t.Command) -> None:
        match command:
            case t.Send():
                self.sent.append(command)
                if isinstance(command.request, ClaimNext):
                    self.check_claim(command.request)
            case t.OpenSession():
                self.opening.append(command.id)
            case t.StartHandler():
                token, name = command.grant.fence.token, command.grant.record.id
                assert token not in self.started, "S12: one start per token"
                assert name not in self.strays(), "beside a handler that has lost its lease"
                assert self.now < command.not_after, "S13"
                self.started.add(token)
                self.handlers[token] = name
            case t.StopHandler():
                assert command.token in self.handlers
            case t.AnswerAsk():
                self.asks.remove(command.ask)
            case t.Report():
                pass

    def strays(self) -> set[str]:
        """The processes whose handlers still run here without a lease. (One whose lease the store let expire by a
        clock of its own does not know it yet; its token is what keeps it apart.)"""
        states = self.router.attempts
        return {name for token, name in self.handlers.items() if token in states and unheld(states[token])}

    def check_claim(self, request: ClaimNext) -> None:
        """One claim at a time, repeated under its id until it is answered; none of its own in a drain (S18, L5)."""
        n = request.claim.n
        if n not in self.claims:
            assert not self.drained, "L5: a drain claims nothing new"
            assert self.claiming is None, "S18: the one before may have been granted"
            assert n > max(self.claims, default=0)
            self.claims.append(n)
            self.claiming = n
        assert n == self.claims[-1], "an earlier claim is not taken up again"
        assert request.limit + len(self.router.attempts) <= SLOTS

    # --- what the world does --------------------------------------------------------------------------------------

    def executed(self, send: t.Send) -> Answer:
        if send.not_after is not None and send.not_after <= self.now:
            return Unavailable("too late")
        self.model, answer = apply(self.model, send.request, self.clock)
        return answer

    def act(self, action: tuple[str, Any]) -> None:
        what, how = action
        match what:
            case "register":
                self.registered += 1
                self.model, _ = apply(self.model, Register(registration(f"p{self.registered}")), self.clock)
            case "deliver" if self.sent:
                send = self.sent.pop(how % len(self.sent))
                self.answered(send, self.executed(send))
            case "refuse" if self.sent:
                send = self.sent.pop(how % len(self.sent))
                self.answered(send, Unavailable())
            case "lose" if self.sent:
                # Nobody answers: the router itself does, once the call_timeout is over.
                send = self.sent.pop(how % len(self.sent))
                self.perhaps.append(send.request)
                self.executed(send)
            case "delay" if self.sent:
                self.zombies.append(self.sent.pop(how % len(self.sent)))
                self.perhaps.append(self.zombies[-1].request)
            case "arrive" if self.zombies:
                send = self.zombies.pop()
                self.model, answer = apply(self.model, send.request, self.clock)
                self.answered(send, answer)
            case "pass":
                self.pass_time(how)
            case "drift":
                self.clock = StoreTime(self.clock + how)
            case "open" if self.opening:
                self.turn(self.router.session_opened(self.opening.pop(0), self.now))
            case "fail" if self.opening:
                self.turn(self.router.session_failed(self.opening.pop(0), how, "no", self.now))
            case "ask" if self.handlers:
                self.asks.add(how)
                self.turn(self.router.asked(self.some_handler(how), how, None, self.now))
            case "end" if self.handlers:
                token = self.some_handler(how)
                del self.handlers[token]
                if how % 2:
                    self.turn(self.router.handler_stopped(token, self.now))
                else:
                    self.turn(self.router.handler_returned(token, Success(NULL), self.now))
            case "cancel":
                self.model, _ = apply(self.model, RequestCancel(f"p{how}"), self.clock)
            case "hint":
                self.turn(self.router.hinted(self.now))
            case "drain":
                self.drained = True
                worker = self.router.worker
                claim = worker.claim if isinstance(worker, Working) else None
                if claim and claim.retry_at is not None and claim.request not in self.perhaps:
                    self.claiming = None  # surely not granted, so it is not waited for
                patience = TIMINGS.stop_grace_ns + TIMINGS.call_timeout_ns
                self.leave_at = Instant(min(self.leave_at, self.now + how + patience))
                self.turn(self.router.drain(how, self.now))
            case _:
                pass

    def answered(self, send: t.Send, answer: Answer) -> None:
        if (isinstance(send.request, ClaimNext) and isinstance(answer, Succeeded) and self.awaits(send)) or (
            isinstance(answer, Unavailable) and self.drained and self.surely_not(send)
        ):
            self.claiming = None
        self.turn(self.router.answered(send.id, answer, self.now))

    def awaits(self, send: t.Send) -> bool:
        """Whether the worker still waits for the answer to this very call."""
        worker = self.router.worker
        claim = worker.claim if isinstance(worker, Working) else None
        return claim is not None and claim.call == send.id and claim.retry_at is None

    def surely_not(self, send: t.Send) -> bool:
        """Whether no sending of this claim can have been granted."""
        return isinstance(send.request, ClaimNext) and self.awaits(send) and send.request not in self.perhaps

    def some_handler(self, position: int) -> int:
        return list(self.handlers)[position % len(self.handlers)]

    def pass_time(self, nanos: int) -> None:
        self.now = Instant(self.now + nanos)
        self.clock = StoreTime(self.clock + nanos // NANOS_PER_MILLI)
        self.turn([])

    def settle(self) -> None:
        """Faults stop: everything is answered, every session opens, every handler returns."""
        while self.sent or self.opening or self.handlers:
            for word in ("deliver", "open", "end"):
                self.act((word, 0))


positions = st.integers(0, 5)
actions = st.one_of(
    st.tuples(st.just("register"), st.none()),
    st.tuples(st.sampled_from(["deliver", "deliver", "refuse", "lose", "delay", "arrive"]), positions),
    st.tuples(
        st.just("pass"),
        st.sampled_from([1, 100, 1_000, 3_000, 10_000, 24_000, 29_000]).map(lambda ms: ms * NANOS_PER_MILLI),
    ),
    st.tuples(st.just("drift"), st.just(30_000)),
    st.tuples(st.just("open"), st.none()),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(st.sampled_from(["end", "ask"]), positions),
    st.tuples(st.just("cancel"), st.integers(1, 3)),
    st.tuples(st.just("hint"), st.none()),
)
two_run: list[tuple[str, Any]] = [
    *[("register", None)] * 3,
    ("deliver", 0),
    *[("open", None)] * 2,
]


@given(st.sampled_from([[], two_run]), st.lists(actions, max_size=40))
@examples(250)
def test_a_worker_keeps_the_rules_and_catches_up(
    begun: list[tuple[str, Any]], run: list[tuple[str, Any]]
) -> None:
    """L1, L8, L9: once faults stop, every process comes to its end."""
    played = Played()
    for action in [*begun, *run]:
        played.act(action)
    for _ in range(60):
        played.settle()
        played.pass_time(TIMINGS.ttl_ns // 10)
    assert isinstance(played.router.worker, Driving)
    assert not played.router.attempts
    assert [record.id for record in played.model.records if record.outcome is None] == []
    assert not played.asks, "every ask is answered"


@given(
    st.sampled_from([[], two_run]),
    st.lists(actions, max_size=20),
    st.lists(actions | st.tuples(st.just("drain"), st.just(NANOS_PER_SECOND)), max_size=20),
    st.booleans(),
)
@examples(250)
def test_a_worker_drains(
    begun: list[tuple[str, Any]], run: list[tuple[str, Any]], draining: list[tuple[str, Any]], calm: bool
) -> None:
    """L5: it claims nothing new and stops in bounded time, at once when nothing is left to wait for."""
    played = Played()
    for action in [*begun, *run, ("drain", 30 * NANOS_PER_SECOND), *draining]:
        played.act(action)
    if isinstance(played.router.worker, Draining) and calm:
        played.settle()
        for _ in range(6):
            played.pass_time(NANOS_PER_SECOND)
            played.settle()
        assert isinstance(played.router.stopped, Stopped)
        assert played.router.stopped.left == 0
        assert not played.router.attempts
    else:
        for _ in range(8):
            played.pass_time(5 * NANOS_PER_SECOND)
        assert played.router.stopped is not None
