"""Routes events to the worker machine and to each attempt's, as h11's Connection does. It decides nothing.

Every method takes local time, returns the commands that came of it, and may be called in any order. Attempts are
known by their fencing token. A call that has no answer within `call_timeout` is answered with CallUnknown here, so
that every command ends in exactly one answer (CONTRACT §2); the real answer, should it come after all, is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import TypeAlias, assert_never

from tenure import attempt
from tenure import attempt_types as t
from tenure import worker as worker_machine
from tenure.attempt_opening import begin
from tenure.instants import Instant, after
from tenure.process import Outcome
from tenure.replies import Answer, Fenced, Refused, Succeeded, Unavailable, Unknown
from tenure.requests import EmitEvent, RecordEffect
from tenure.worker_types import (
    AttemptEnded,
    AttemptUnheld,
    BeginAttempt,
    DrainAsked,
    ShowCancels,
    StopAttempts,
    Stopped,
    WorkerCommand,
    WorkerEvent,
    WorkerState,
    WorkerTerms,
    WorkHinted,
)

WORKER = 0
"""Stands for the worker machine where an attempt's token would be; the store's tokens begin at 1."""

OVER = (t.AlreadyTerminal, t.ClaimRefused, t.Ended)

Routed: TypeAlias = list[t.Command]


AnswerEvent: TypeAlias = t.CallSucceeded | t.CallRefused | t.CallFenced | t.CallUnavailable | t.CallUnknown


def answer_event(call: int, answer: Answer, now: Instant, tag: int, jitter: int) -> AnswerEvent:
    """The machine's event for the store's answer to the call."""
    match answer:
        case Succeeded():
            return t.CallSucceeded(now=now, tag=tag, jitter=jitter, call=call, reply=answer.reply)
        case Refused():
            reason, detail = answer.reason, answer.detail
            return t.CallRefused(now=now, tag=tag, jitter=jitter, call=call, reason=reason, detail=detail)
        case Fenced():
            return t.CallFenced(now=now, tag=tag, jitter=jitter, call=call)
        case Unavailable():
            return t.CallUnavailable(now=now, tag=tag, jitter=jitter, call=call, cause=answer.cause)
        case Unknown():
            return t.CallUnknown(now=now, tag=tag, jitter=jitter, call=call, cause=answer.cause)
        case _:
            assert_never(answer)


class Router:
    """The machines of one worker. `next_id` gives ids that only grow, `jitter` numbers from 0 to 999. `steps` counts
    the steps that the machines have made."""

    def __init__(
        self, terms: WorkerTerms, now: Instant, next_id: Callable[[], int], jitter: Callable[[], int]
    ) -> None:
        self.terms = terms
        self.worker: WorkerState = worker_machine.start(terms, now).state
        self.attempts: dict[int, t.AttemptState] = {}
        self.steps = 0
        self._next_id, self._jitter = next_id, jitter
        self._owner_of: dict[int, int] = {}
        self._timeouts: deque[tuple[Instant, int]] = deque()
        self._wakeups: list[tuple[Instant, int]] = []
        self._wakes: dict[int, Instant] = {}

    # --- events ---------------------------------------------------------------------------------------------------

    def answered(self, call: int, answer: Answer, now: Instant) -> Routed:
        """The store answered a Send."""
        token = self._owner_of.pop(call, None)
        if token is None:
            return []
        event = answer_event(call, answer, now, self._next_id(), self._jitter())
        return self._to_worker(event) if token == WORKER else self._route(token, event)

    def session_opened(self, call: int, now: Instant) -> Routed:
        """An OpenSession succeeded."""
        token = self._owner_of.pop(call, None)
        if token is None:
            return []
        return self._route(token, t.SessionOpened(now=now, tag=self._next_id(), call=call))

    def session_failed(self, call: int, permanent: bool, message: str, now: Instant) -> Routed:
        """An OpenSession failed, for good or for now."""
        token = self._owner_of.pop(call, None)
        if token is None:
            return []
        return self._route(
            token,
            t.SessionFailed(now=now, tag=self._next_id(), call=call, permanent=permanent, message=message),
        )

    def handler_returned(self, token: int, outcome: Outcome, now: Instant) -> Routed:
        """The handler of that token returned or raised."""
        return self._route(token, t.HandlerReturned(now=now, tag=self._next_id(), outcome=outcome))

    def handler_stopped(self, token: int, now: Instant) -> Routed:
        """The handler of that token ended by a cancellation."""
        return self._route(token, t.HandlerStopped(now=now, tag=self._next_id()))

    def asked(self, token: int, ask: int, request: RecordEffect | EmitEvent | None, now: Instant) -> Routed:
        """A handler's ctx asks; None asks for leave to act. An attempt that is over answers as Ended does."""
        if token not in self.attempts:
            return [t.AnswerAsk(ask, Fenced())]
        return self._route(token, t.Asked(now=now, tag=self._next_id(), ask=ask, request=request))

    def hinted(self, now: Instant) -> Routed:
        """The feed saw something to claim or to cancel."""
        return self._to_worker(WorkHinted(now=now, tag=self._next_id()))

    def drain(self, grace: int, now: Instant) -> Routed:
        """Stop claiming; after `grace` nanoseconds handlers are told to stop."""
        return self._to_worker(DrainAsked(now=now, tag=self._next_id(), grace=grace))

    def tick(self, now: Instant) -> Routed:
        """Whatever is due by now. Called once at the end of every turn of the driver."""
        said: Routed = []
        while self._timeouts and self._timeouts[0][0] <= now:
            _, call = self._timeouts.popleft()
            if call in self._owner_of:
                said += self.answered(call, Unknown("no answer within call_timeout"), now)
        # Renewals that will be due soon go with those that are due, in one batch.
        soon = after(now, self.terms.terms.timings.renew_slack_ns)
        due: list[int] = []
        while self._wakeups and self._wakeups[0][0] <= soon:
            at, token = heappop(self._wakeups)
            if self._wakes.get(token) == at:
                del self._wakes[token]
                due.append(token)
        for token in due:
            said += self._route(token, t.Tick(now=now, tag=self._next_id()))
        more = self._to_worker(t.Tick(now=now, tag=self._next_id(), jitter=self._jitter()))
        while more:
            said += more
            more = self._to_worker(t.Tick(now=now, tag=self._next_id(), jitter=self._jitter()))
        return said

    # --- what the driver wants to know ----------------------------------------------------------------------------

    @property
    def stopped(self) -> Stopped | None:
        """Set once the worker machine has stopped."""
        return self.worker if isinstance(self.worker, Stopped) else None

    def wakeup(self) -> Instant | None:
        """When `tick` is needed next, if nothing happens before."""
        while self._wakeups and self._wakes.get(self._wakeups[0][1]) != self._wakeups[0][0]:
            heappop(self._wakeups)
        while self._timeouts and self._timeouts[0][1] not in self._owner_of:
            self._timeouts.popleft()
        times = [queue[0][0] for queue in (self._wakeups, self._timeouts) if queue]
        worker = worker_machine.next_wakeup(self.worker)
        return min([*times, worker.at] if worker else times, default=None)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _to_worker(self, event: WorkerEvent) -> Routed:
        self.steps += 1
        step = worker_machine.step(self.worker, event)
        self.worker = step.state
        return self._worker_commands(step.commands, event)

    def _route(self, token: int, event: t.AttemptEvent) -> Routed:
        state = self.attempts.get(token)
        if state is None:
            return []
        self.steps += 1
        return self._moved(token, state, attempt.step(state, event), event)

    def _moved(self, token: int, before: t.AttemptState | None, step: t.Step, event: t.Event) -> Routed:
        """Keep the attempt's new state, tell the worker machine what concerns it, and pass the commands on."""
        state, said = step.state, list(step.commands)
        for command in said:
            self._expect(token, command, event.now)
        if isinstance(state, OVER):
            del self.attempts[token]
            self._wakes.pop(token, None)
            process_id = attempt.process_of(state)
            ended = AttemptEnded(now=event.now, tag=self._next_id(), process_id=process_id, token=token)
            return said + self._to_worker(ended)
        self.attempts[token] = state
        wakeup = attempt.next_wakeup(state)
        if wakeup is None:
            self._wakes.pop(token, None)
        elif self._wakes.get(token) != wakeup.at:
            self._wakes[token] = wakeup.at
            heappush(self._wakeups, (wakeup.at, token))
        if unheld(state) and not (before is not None and unheld(before)):
            process_id = attempt.process_of(state)
            strayed = AttemptUnheld(now=event.now, tag=self._next_id(), process_id=process_id, token=token)
            said += self._to_worker(strayed)
        return said

    def _expect(self, token: int, command: object, now: Instant) -> None:
        if isinstance(command, t.Send):
            self._owner_of[command.id] = token
            self._timeouts.append((after(now, self.terms.terms.timings.call_timeout_ns), command.id))
        elif isinstance(command, t.OpenSession):
            self._owner_of[command.id] = token

    def _worker_commands(self, commands: Iterable[WorkerCommand], event: t.Event) -> Routed:
        said: Routed = []
        for command in commands:
            match command:
                case BeginAttempt():
                    begun = t.Tick(now=event.now, tag=self._next_id())
                    grant, terms = command.grant, self.terms.terms
                    step = begin(terms, grant, command.epoch, command.sent_at, begun, command.wanted)
                    said += self._moved(grant.fence.token, None, step, begun)
                case ShowCancels():
                    for _, token, reason in command.cancels:
                        said += self._route(
                            token, t.CancelSeen(now=event.now, tag=self._next_id(), reason=reason)
                        )
                case StopAttempts():
                    for token in tuple(self.attempts):
                        said += self._route(token, t.StopAsked(now=event.now, tag=self._next_id()))
                case t.Send() | t.Report():
                    self._expect(WORKER, command, event.now)
                    said.append(command)
                case _:
                    assert_never(command)
        return said


def unheld(state: t.AttemptState) -> bool:
    """Whether a handler runs here although its lease is lost or spent: its process must not be claimed here again."""
    return isinstance(state, t.LeaseLost | t.Detached) or (isinstance(state, t.Stopping) and state.spent)
