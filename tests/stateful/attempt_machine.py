"""Attempts as their machine decides them, among answers that the contract allows and such as it forbids.

One claim after another, each driven through `tenure.attempt.step` itself: here sessions also fail to open, and a store
also answers nonsense, which no real one does (`tests/stateful/worker_machine.py` has those).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenure import attempt
from tenure import attempt_types as t
from tenure.attempt_opening import claim_one
from tenure.canonical import NULL
from tenure.instants import NANOS_PER_MILLI, NANOS_PER_SECOND, Instant, StoreTime
from tenure.process import ClaimId, Failure, Success
from tenure.replies import (
    Answer,
    Claimed,
    Completed,
    EffectRecorded,
    EventAppended,
    Fenced,
    Grant,
    Pruned,
    Reason,
    Refused,
    Released,
    Renewed,
    Reply,
    Succeeded,
    Unavailable,
    Unknown,
)
from tenure.requests import Claim, Complete, EmitEvent, RecordEffect, Release, Renew
from tenure.router import answer_event
from tenure.timings import LeaseTimings
from tests.core.samples import FENCE, RECORD, STAMP
from tests.stateful.words import holds

TIMINGS = LeaseTimings(completion_patience=40)
TERMS = t.Terms(TIMINGS, "", ("k",), max_run=(("k", 33 * NANOS_PER_SECOND),))
OVER = (t.AlreadyTerminal, t.ClaimRefused, t.Ended)
LOST = (t.LeaseLost, t.Detached, *OVER)
SPANS = (0, 1, 25, 30, 100, 1_000, 9_000, 10_000, 24_000)
"""Milliseconds: about every limit that there is in `TIMINGS`, and between them."""
ASKS: tuple[RecordEffect | EmitEvent | None, ...] = (
    None,
    RecordEffect(FENCE, "download", "f", NULL),
    EmitEvent(FENCE, "progress", NULL, "a"),
)
NONSENSE = Succeeded(Pruned(0))
"""No store answers a request under a lease like this."""


class AttemptMachine(RuleBasedStateMachine):
    """Attempts at process `p`, one after another, each under a claim of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.next_id = count(1).__next__
        self.next_claim = count(1).__next__
        self.now = Instant(0)
        self.ids: set[int] = set()
        self.claim()

    def claim(self) -> None:
        self.handler = self.started = self.lost = False
        self.out: dict[int, tuple[t.Send, Instant]] = {}
        self.opening: int | None = None
        self.asked: set[int] = set()
        self.told: set[int] = set()
        self.last_write: Complete | Release | None = None
        self.accepted = self.now
        claim = Claim(ClaimId("us", self.next_claim()), "p", TIMINGS.ttl_ms)
        self.state: t.AttemptState = t.ClaimRefused("p", "")
        self.moved(claim_one(TERMS, claim, t.Tick(now=self.now, tag=self.next_id())))

    @property
    def over(self) -> bool:
        return isinstance(self.state, OVER)

    # --- what the machine says ------------------------------------------------------------------------------------

    def feed(self, make: Callable[..., t.AttemptEvent], **given: Any) -> None:
        """One event. The first that comes after an attempt's end is the last for it: another attempt begins."""
        late = self.over
        self.moved(attempt.step(self.state, make(now=self.now, tag=self.next_id(), jitter=500, **given)))
        if late:
            holds(self.told == self.asked, "L9", "an ask has no answer")
            self.claim()
            self.begin(running=self.next_id() % 2 == 0)

    def moved(self, step: t.Step) -> None:
        self.state = step.state
        for command in step.commands:
            self.check(command)
        self.lost = self.lost or isinstance(self.state, LOST)

    def check(self, command: t.Command) -> None:
        deadline = self.accepted + TIMINGS.budget_ns
        match command:
            case t.Send():
                self.check_send(command, deadline)
            case t.OpenSession():
                holds(self.opening is None, "S12", "the session is opened twice")
                self.opening = command.id
            case t.StartHandler():
                holds(not self.started, "S12", "the handler is started twice")
                in_budget = self.now < command.not_after <= deadline
                holds(in_budget, "S13", "the handler is started without budget, or for longer than it")
                self.started = self.handler = True
            case t.StopHandler():
                holds(self.handler, "S12", "a handler that does not run is told to stop")
            case t.AnswerAsk():
                holds(
                    command.ask in self.asked - self.told,
                    "S18",
                    "an ask is answered twice, or was never made",
                )
                self.told.add(command.ask)
                if isinstance(command.answer, t.Permitted):
                    in_budget = self.now < command.answer.until <= deadline
                    holds(in_budget, "S13", "leave to act without budget, or for longer than it")
            case t.Report():
                assert command.process_id == "p"

    def check_send(self, send: t.Send, deadline: int) -> None:
        holds(not self.lost, "S14", "something is sent after a loss")
        holds(not self.out, "S18", "two calls in flight (CONTRACT §5)")
        holds(send.id not in self.ids, "S18", "a call's id is used twice")
        self.ids.add(send.id)
        self.out[send.id] = send, self.now
        match send.request:
            case Complete() | Release():
                kept = self.last_write in (None, send.request) or is_too_large(send.request)
                holds(kept, "S18", "another last write than the first")
                self.last_write = send.request
            case Renew() | RecordEffect() | EmitEvent():
                holds(self.last_write is None, "S18", "a write after the last one")
                holds(
                    send.not_after is not None and self.now < send.not_after <= deadline,
                    "S13",
                    "a late write",
                )
            case _:
                assert isinstance(send.request, Claim)

    # --- what the world does --------------------------------------------------------------------------------------

    def answer(self, answer: Answer) -> None:
        for call in list(self.out):
            send, at = self.out.pop(call)
            if isinstance(answer, Succeeded) and isinstance(send.request, Renew | Claim):
                self.accepted = at
            self.lost = self.lost or isinstance(answer, Fenced)
            self.moved(attempt.step(self.state, answer_event(call, answer, self.now, self.next_id(), 500)))

    @initialize(running=st.booleans())
    def begin(self, running: bool) -> None:
        """Half of the attempts begin with a handler that runs: that is where most of it happens."""
        if running:
            self.accept(None)
            self.end_opening("opens")

    @rule(cancel=st.sampled_from((None, None, None, "why")))
    def accept(self, cancel: str | None) -> None:
        for send, _ in list(self.out.values()):
            self.answer(Succeeded(reply_to(send, cancel)))

    @precondition(lambda self: bool(self.out))
    @rule(lost=st.booleans())
    def trouble(self, lost: bool) -> None:
        self.answer(Unknown() if lost else Unavailable())

    @precondition(lambda self: bool(self.out))
    @rule()
    def fence(self) -> None:
        self.answer(Fenced())

    @precondition(lambda self: bool(self.out))
    @rule(answer=st.sampled_from((Refused(Reason.TOO_LARGE), Refused(Reason.EFFECT_MISMATCH), NONSENSE)))
    def refuse(self, answer: Answer) -> None:
        """What the contract forbids ends the attempt, and is reported."""
        self.answer(answer)

    @rule(call=st.integers(1, 9))
    def answer_late(self, call: int) -> None:
        """The answer to a call that was given up, or never made."""
        if call not in self.out and call != self.opening:
            self.feed(t.CallFenced, call=call)

    @rule(span=st.sampled_from(SPANS), tick=st.booleans())
    def pass_time(self, span: int, tick: bool) -> None:
        self.now = Instant(self.now + span * NANOS_PER_MILLI)
        if tick:
            self.feed(t.Tick)

    @precondition(lambda self: self.opening is not None)
    @rule(how=st.sampled_from(("opens", "opens", "opens", "for now", "for good")))
    def end_opening(self, how: str) -> None:
        if self.opening is not None:
            call, self.opening = self.opening, None
            if how == "opens":
                self.feed(t.SessionOpened, call=call)
            else:
                self.feed(t.SessionFailed, call=call, permanent=how == "for good", message="no")

    @precondition(lambda self: self.handler)
    @rule(stops=st.booleans())
    def end_handler(self, stops: bool) -> None:
        """A step looks at the time first: it may tell the handler to stop that has just ended."""
        if stops:
            self.feed(t.HandlerStopped)
        else:
            self.feed(t.HandlerReturned, outcome=Success(NULL))
        self.handler = False

    @precondition(lambda self: self.handler)
    @rule(requests=st.lists(st.sampled_from(ASKS), min_size=1, max_size=3))
    def ask(self, requests: list[RecordEffect | EmitEvent | None]) -> None:
        for request in requests:
            if self.handler:
                ask = self.next_id()
                self.asked.add(ask)
                self.feed(t.Asked, ask=ask, request=request)

    @rule(cancel=st.booleans())
    def stop(self, cancel: bool) -> None:
        """One rule for both, so that handlers run for a while before it comes."""
        if cancel:
            self.feed(t.CancelSeen, reason="why")
        else:
            self.feed(t.StopAsked)

    # --- after every step, and at the end -------------------------------------------------------------------------

    @invariant()
    def something_will_happen(self) -> None:
        """An attempt that is not over waits for an answer, a handler, a session, or for a time that is told."""
        waits = self.out or self.handler or self.opening is not None
        holds(
            bool(self.over or waits or attempt.next_wakeup(self.state)),
            "L9",
            "nothing will ever happen again",
        )

    def teardown(self) -> None:
        if sys.exc_info()[1] is None:
            self.settle()

    def settle(self) -> None:
        """Faults stop: whatever was sent is answered, the session opens, the handler returns, time goes on."""
        limit = attempt.overdue_at(self.state)
        in_time = isinstance(self.state, t.Running) and limit is not None and self.now < limit
        for _ in range(20):
            self.end_opening("opens")
            if self.handler:
                self.end_handler(stops=False)
            self.accept(None)
            wakeup = attempt.next_wakeup(self.state)
            if not self.out and wakeup is not None:
                self.now = Instant(max(self.now, wakeup.at))
                self.feed(t.Tick)
        holds(self.over, "L9", "it does not come to an end")
        holds(self.told == self.asked, "L9", "an ask has no answer")
        if in_time:
            holds(self.state == t.Ended("p", t.End.COMPLETED), "L2", "an outcome in time is not recorded")
            holds(self.last_write == Complete(FENCE, Success(NULL)), "L2", "another outcome is recorded")


def is_too_large(request: Complete | Release) -> bool:
    outcome = request.outcome if isinstance(request, Complete) else None
    return isinstance(outcome, Failure) and outcome.code == "result_too_large"


def reply_to(send: t.Send, cancel: str | None) -> Reply:
    match send.request:
        case Claim():
            return Claimed((Grant(FENCE, RECORD),), 1)
        case Renew():
            return Renewed(STAMP, StoreTime(1), cancel)
        case RecordEffect():
            return EffectRecorded(STAMP, send.request.result)
        case EmitEvent():
            return EventAppended(STAMP, 1)
        case Complete():
            return Completed(STAMP, send.request.outcome)
        case _:
            return Released(STAMP, None)
