"""The machines under a trace: one attempt by itself, or a whole worker behind its router. Both speak as
`Router` does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tenure import attempt
from tenure import attempt_types as t
from tenure.attempt_opening import claim_one
from tenure.instants import Instant
from tenure.process import ClaimId, Outcome
from tenure.replies import Answer
from tenure.requests import Claim, EmitEvent, RecordEffect
from tenure.router import Router, answer_event
from tenure.worker_types import WorkerTerms
from tests.core import trace_text as text

OWNER = "us"


class Alone:
    """One attempt machine, begun by a single claim. Jitter is 0."""

    def __init__(self, terms: t.Terms) -> None:
        self.terms = terms
        self.state: t.AttemptState | None = None
        self.next_id = count(1).__next__
        self.opening = 0

    def claim(self, process_id: str, now: Instant) -> list[t.Command]:
        tag = self.next_id()
        request = Claim(ClaimId(OWNER, tag), process_id, self.terms.timings.ttl_ms)
        return self._moved(claim_one(self.terms, request, t.Tick(now=now, tag=tag)))

    def answered(self, call: int, answer: Answer, now: Instant) -> list[t.Command]:
        return self.feed(answer_event(call, answer, now, self.next_id(), 0))

    def session_opened(self, call: int, now: Instant) -> list[t.Command]:
        return self.feed(t.SessionOpened(now=now, tag=self.next_id(), call=call))

    def session_failed(self, call: int, permanent: bool, message: str, now: Instant) -> list[t.Command]:
        return self.feed(
            t.SessionFailed(now=now, tag=self.next_id(), call=call, permanent=permanent, message=message)
        )

    def handler_returned(self, token: int, outcome: Outcome, now: Instant) -> list[t.Command]:
        return self.feed(t.HandlerReturned(now=now, tag=self.next_id(), outcome=outcome))

    def handler_stopped(self, token: int, now: Instant) -> list[t.Command]:
        return self.feed(t.HandlerStopped(now=now, tag=self.next_id()))

    def asked(
        self, token: int, ask: int, request: RecordEffect | EmitEvent | None, now: Instant
    ) -> list[t.Command]:
        return self.feed(t.Asked(now=now, tag=self.next_id(), ask=ask, request=request))

    def cancel_seen(self, reason: str, now: Instant) -> list[t.Command]:
        return self.feed(t.CancelSeen(now=now, tag=self.next_id(), reason=reason))

    def stop_asked(self, now: Instant) -> list[t.Command]:
        return self.feed(t.StopAsked(now=now, tag=self.next_id()))

    def tick(self, now: Instant) -> list[t.Command]:
        return [] if self.state is None else self.feed(t.Tick(now=now, tag=self.next_id()))

    def feed(self, event: t.AttemptEvent) -> list[t.Command]:
        assert self.state is not None, "no attempt has begun"
        return self._moved(attempt.step(self.state, event))

    def states(self, number: text.Number) -> dict[str, str]:
        return {"": text.attempt_state(self.state, number)} if self.state else {}

    def _moved(self, step: t.Step) -> list[t.Command]:
        self.state = step.state
        return list(step.commands)


class Whole(Router):
    """A worker: its own machine and those of its attempts, behind the router."""

    def __init__(self, terms: WorkerTerms, now: Instant) -> None:
        middle: Callable[[], int] = lambda: 500  # noqa: E731  a poll then comes after exactly one interval
        super().__init__(terms, now, count(1).__next__, middle)

    def states(self, number: text.Number) -> dict[str, str]:
        shown = {"worker": text.worker_state(self.worker)}
        for token, state in self.attempts.items():
            shown[str(token)] = text.attempt_state(state, number)
        return shown
