"""What a trace plays on: one store, one machine, two clocks, and what is on its way between them."""

from __future__ import annotations

from collections import deque

from attrs import frozen

from tenure import attempt_types as t
from tenure.instants import Instant, StoreTime
from tenure.model import Snapshot, apply
from tenure.process import (
    Record,
)
from tenure.replies import (
    Answer,
    Got,
    Succeeded,
    Unavailable,
)
from tenure.requests import (
    Get,
    Request,
)
from tenure.timings import LeaseTimings, nanos
from tests.core import trace_text as text
from tests.core.edges import Recorder
from tests.core.trace_machines import Alone, Whole


@frozen
class Sent:
    """A request on its way to the store."""

    id: int
    request: Request
    not_after: Instant | None


def seconds(value: str) -> int:
    """Seconds as the trace writes them, as nanoseconds."""
    return nanos(float(value.removesuffix("s")))


class Scene:
    """One store, one machine, two clocks, and what is on its way between them."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.terms = t.Terms(LeaseTimings(), "", ("k",))
        self.now, self.clock = Instant(0), StoreTime(0)
        self.model = Snapshot()
        self.machine: Alone | Whole | None = None
        self.sent: deque[Sent] = deque()
        self.delayed: deque[Sent] = deque()
        self.answers: deque[tuple[Sent, Answer]] = deque()
        self.sessions: deque[int] = deque()
        self.claims = 0
        self.asks = 0
        self.numbers: dict[int, int] = {}
        self.shown: dict[str, str] = {}
        self.out: list[str] = []

    # --- inside ---------------------------------------------------------------------------------------------------

    def number(self, raw: int) -> int:
        return self.numbers.setdefault(raw, len(self.numbers) + 1)

    def did(self, commands: list[t.Command]) -> None:
        """The machine's commands, shown and taken in."""
        for command in commands:
            self.out.append(text.command(command, self.number))
            if isinstance(command, t.Send):
                self.sent.append(Sent(command.id, command.request, command.not_after))
            elif isinstance(command, t.OpenSession):
                self.sessions.append(command.id)
        if isinstance(self.machine, Whole) and (more := self.machine.tick(self.now)):
            self.did(more)

    def ask(self, request: Request) -> Answer:
        self.model, answer = apply(self.model, request, self.clock)
        return answer

    def tell(self, request: Request) -> None:
        """Somebody else's request, answered at once."""
        self.out.append(f"store: {text.answer(self.ask(request))}")

    def executed(self, sent: Sent) -> Answer:
        """The store thread executes the request, unless its `not_after` has passed (S14)."""
        if sent.not_after is not None and sent.not_after <= self.now:
            return Unavailable("too late to be sent")
        return self.ask(sent.request)

    def record(self, name: str) -> Record | None:
        answer = self.ask(Get(name))
        return (
            answer.reply.record if isinstance(answer, Succeeded) and isinstance(answer.reply, Got) else None
        )

    def token(self, name: str | None) -> int:
        """The token of the one attempt there is, or of that process's."""
        if not isinstance(self.machine, Whole):
            return 0
        found = [
            token
            for token, state in self.machine.attempts.items()
            if isinstance(state, t.Holding) and name in (None, state.record.id)
        ]
        return found[0]

    @property
    def driven(self) -> Alone | Whole:
        assert self.machine is not None, "no machine yet: `claim`, `grant` or `worker` comes first"
        return self.machine

    @property
    def alone(self) -> Alone:
        assert isinstance(self.machine, Alone), "this word is for one attempt by itself"
        return self.machine

    @property
    def whole(self) -> Whole:
        assert isinstance(self.machine, Whole), "this word is for a whole worker"
        return self.machine

    def answered(self, sent: Sent, answer: Answer) -> None:
        self.did(self.driven.answered(sent.id, answer, self.now))

    def show_states(self) -> None:
        states = self.machine.states(self.number) if self.machine else {}
        self.out += [f"= {line}" for key, line in states.items() if self.shown.get(key) != line]
        self.shown = states
