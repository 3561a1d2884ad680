"""Whatever a store and a handler do to one attempt: S12, S13, S14, S18, and that it always comes to an end (L2)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

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
from tests.core.strategies import examples

TIMINGS = LeaseTimings(completion_patience=40)
TERMS = t.Terms(TIMINGS, "", ("k",), max_run=(("k", 33 * NANOS_PER_SECOND),))
OVER = (t.AlreadyTerminal, t.ClaimRefused, t.Ended)
LOST = (t.LeaseLost, t.Detached, *OVER)


class Played:
    """One attempt with the world around it; it checks every command as it comes."""

    def __init__(self) -> None:
        self.next_id = count(1).__next__
        self.now = Instant(0)
        self.starts = 0
        self.handler = False
        self.lost = False
        self.out: dict[int, tuple[t.Send, Instant]] = {}
        self.opening: int | None = None
        self.asked: set[int] = set()
        self.told: set[int] = set()
        self.last_write: Complete | Release | None = None
        self.accepted = Instant(0)
        claim = Claim(ClaimId("us", 1), "p", TIMINGS.ttl_ms)
        self.state: t.AttemptState = t.ClaimRefused("p", "")
        self.moved(claim_one(TERMS, claim, t.Tick(now=self.now, tag=self.next_id())))

    # --- what the machine says ------------------------------------------------------------------------------------

    def feed(self, make: Callable[..., t.AttemptEvent], **given: Any) -> None:
        self.moved(attempt.step(self.state, make(now=self.now, tag=self.next_id(), jitter=500, **given)))

    def moved(self, step: t.Step) -> None:
        self.state = step.state
        for command in step.commands:
            self.check(command)
        self.lost = self.lost or isinstance(self.state, LOST)

    def latest_deadline(self) -> int:
        """The deadline by an account of our own, never an earlier one: from the last sending of what was accepted."""
        return self.accepted + TIMINGS.budget_ns

    def check(self, command: t.Command) -> None:
        match command:
            case t.Send():
                self.check_send(command)
            case t.OpenSession():
                assert self.opening is None, "one opening"
                self.opening = command.id
            case t.StartHandler():
                self.starts += 1
                assert self.starts == 1, "S12: one start per attempt"
                assert self.now < self.latest_deadline(), "S13: with budget left"
                self.handler = True
            case t.StopHandler():
                assert self.handler, "only a handler that runs is told to stop"
            case t.AnswerAsk():
                assert command.ask in self.asked - self.told, "each ask is answered once"
                self.told.add(command.ask)
                if isinstance(command.answer, t.Permitted):
                    until = command.answer.until
                    assert self.now < until <= self.latest_deadline(), (
                        "S13: leave to act only with budget left"
                    )
            case t.Report():
                assert command.process_id == "p"

    def check_send(self, send: t.Send) -> None:
        assert not self.lost, "S14: nothing is sent after a loss"
        assert not self.out, "CONTRACT §5: one call in flight"
        self.out[send.id] = send, self.now
        match send.request:
            case Complete() | Release():
                kept = self.last_write in (None, send.request) or is_too_large(send.request)
                assert kept, "S18: the same write again, or none"
                self.last_write = send.request
            case Renew() | RecordEffect() | EmitEvent():
                assert self.last_write is None, "nothing after the last write"
                assert send.not_after is not None
                assert self.now < send.not_after <= self.latest_deadline(), "S13"
            case _:
                assert isinstance(send.request, Claim)

    # --- what the world does --------------------------------------------------------------------------------------

    def answer(self, answer: Answer) -> None:
        for call in list(self.out):
            send, at = self.out.pop(call)
            if isinstance(answer, Succeeded) and isinstance(send.request, Renew | Claim):
                self.accepted = at
            event = answer_event(call, answer, self.now, self.next_id(), 500)
            self.moved(attempt.step(self.state, event))

    def accept(self, cancel: str | None = None) -> None:
        for send, _ in list(self.out.values()):
            self.answer(Succeeded(reply_to(send, cancel)))

    def pass_time(self, nanos: int) -> None:
        self.now = Instant(self.now + nanos)

    def ask(self, request: RecordEffect | EmitEvent | None) -> None:
        ask = self.next_id()
        self.asked.add(ask)
        self.feed(t.Asked, ask=ask, request=request)

    def end_handler(self, how: str) -> None:
        if self.handler:
            if how == "stops":
                self.feed(t.HandlerStopped)
            else:
                self.feed(t.HandlerReturned, outcome=Success(NULL))
            self.handler = False

    def end_opening(self, how: str) -> None:
        if self.opening is not None:
            call, self.opening = self.opening, None
            if how == "opens":
                self.feed(t.SessionOpened, call=call)
            else:
                self.feed(t.SessionFailed, call=call, permanent=how == "for good", message="no")

    def act(self, action: tuple[str, Any]) -> None:
        """One thing that may happen at any time, if it may happen now."""
        what, how = action
        match what:
            case "time":
                self.pass_time(how)
            case "tick":
                self.pass_time(how)
                self.feed(t.Tick)
            case "accept":
                self.accept(how)
            case "answer":
                self.answer(how)
            case "session":
                self.end_opening(how)
            case "handler":
                self.end_handler(how)
            case "ask" if self.handler:
                self.ask(how)
            case "flag":
                self.feed(t.CancelSeen, reason=how)
            case "shutdown":
                self.feed(t.StopAsked)
            case _:
                pass


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


ANSWERS: list[Answer] = [
    Unavailable(),
    Unknown(),
    Fenced(),
    Refused(Reason.TOO_LARGE),
    Refused(Reason.EFFECT_MISMATCH),
]
ASKS: list[RecordEffect | EmitEvent | None] = [
    None,
    RecordEffect(FENCE, "download", "f", NULL),
    EmitEvent(FENCE, "progress", NULL, "a"),
]
spans = st.sampled_from([0, 1, 25, 30, 100, 1_000, 9_000, 10_000, 24_000]).map(
    lambda ms: ms * NANOS_PER_MILLI
)
actions = st.one_of(
    st.tuples(st.just("time"), spans),
    st.tuples(st.just("tick"), spans),
    st.tuples(st.just("accept"), st.sampled_from([None, None, None, "why"])),
    st.tuples(st.just("accept"), st.none()),
    st.tuples(st.just("answer"), st.sampled_from(ANSWERS[:2])),
    st.tuples(st.just("answer"), st.sampled_from(ANSWERS)),
    st.tuples(st.just("session"), st.sampled_from(["opens", "opens", "opens", "for now", "for good"])),
    st.tuples(st.just("handler"), st.sampled_from(["returns", "stops"])),
    st.tuples(st.just("ask"), st.sampled_from(ASKS)),
    st.tuples(st.just("flag"), st.just("why")),
    st.tuples(st.just("shutdown"), st.none()),
)
RUNNING: list[tuple[str, Any]] = [("accept", None), ("session", "opens")]
BEGINNINGS: list[list[tuple[str, Any]]] = [
    [],
    RUNNING,
    [*RUNNING, ("ask", ASKS[1]), ("ask", ASKS[2]), ("flag", "why")],
]


@given(st.sampled_from(BEGINNINGS), st.lists(actions, max_size=25))
@examples(400)
def test_every_run_keeps_the_rules_and_ends(begun: list[tuple[str, Any]], run: list[tuple[str, Any]]) -> None:
    played = Played()
    for action in [*begun, *run]:
        played.act(action)
    limit = attempt.overdue_at(played.state)
    in_time = isinstance(played.state, t.Running) and limit is not None and played.now < limit
    # Faults stop: whatever was sent is answered, the session opens, the handler returns, time goes on.
    for _ in range(20):
        played.end_opening("opens")
        played.end_handler("returns")
        played.accept()
        wakeup = attempt.next_wakeup(played.state)
        if not played.out and wakeup is not None:
            played.pass_time(max(0, wakeup.at - played.now))
            played.feed(t.Tick)
    assert isinstance(played.state, OVER), "it comes to an end"
    assert played.told == played.asked, "every ask is answered"
    if in_time:
        assert played.state == t.Ended("p", t.End.COMPLETED), "L2"
        assert played.last_write == Complete(FENCE, Success(NULL))
