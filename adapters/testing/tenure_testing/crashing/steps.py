"""The boundaries of a worker, a client, or a program that runs processes by itself: what an observer sees of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never, get_args

from tenure.asks import Act, Ask, AwaitEnd, AwaitEvents, CallPlain, Submit
from tenure.process import Outcome
from tenure.replies import Answer
from tenure.sessions import SessionRequest
from tenure_driver import Job
from tenure_driver.messages import Inbound, Outbox, StoreCall
from tenure_testing.crashing.points import Boundary, Watch
from tenure_testing.crashing.stage import CLIENT, DIRECT
from tenure_testing.playing import Execution, Host, Observer

WORKER = "worker"


def who(host: Host) -> str:
    """What is struck there: a client, a direct run, or a worker."""
    return host.name if host.name in (CLIENT, DIRECT) else WORKER


class Boundaries(Observer):
    """Has a watch reach a boundary at each step of one host: `host`, once it is employed. `met`: the kinds of asks, of
    requests that were sent, of requests to sessions, and of what the machine told the loop, each with who it was."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.host: Host | None = None
        self.met: set[tuple[str, type]] = set()

    def _at(self, host: Host | None, when: str, kind: str, *met: object) -> None:
        if host is self.host and host is not None and host.alive:
            if self.watch.on:
                self.met.update((who(host), type(one)) for one in met)
            self.watch.reach(Boundary(when, kind))

    def turned(self, host: Host, inbox: Sequence[Inbound], box: Outbox) -> None:
        wants = [*(type(call.request) for call in box.calls), *map(type, box.loop)]
        self._at(host, "after", f"a turn that wants {_names(wants)}", *box.loop)

    def declined(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._at(host, "after", f"dropping {_of(calls)}")

    def sending(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._at(host, "before", f"sending {_of(calls)}", *(call.request for call in calls))

    def sent(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._at(host, "after", f"sending {_of(calls)}")

    def executed(self, execution: Execution) -> None:
        self._at(execution.sender, "after", f"the commit of {_names(map(type, execution.requests))}")

    def heard(self, host: Host, calls: Sequence[StoreCall], answers: Sequence[Answer]) -> None:
        self._at(host, "after", f"hearing {_names(map(type, answers))} of {_of(calls)}")

    def starting(self, host: Host, job: Job) -> None:
        self._at(host, "before", "starting a handler")

    def started(self, host: Host, job: Job) -> None:
        self._at(host, "before", "the handler's first line")

    def cancelling(self, host: Host, token: int) -> None:
        self._at(host, "before", "cancelling a handler")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self._at(host, "after", f"the handler's end: {type(outcome).__name__}")

    def asking(self, host: Host, ask: Ask) -> None:
        asked = ask.args if isinstance(ask, CallPlain) else ()
        self._at(host, "before", f"{_whose(host)} call: {_ask(ask)}", ask, *asked)

    def replied(self, host: Host, ask: Ask) -> None:
        self._at(host, "after", f"{_whose(host)} call: {_ask(ask)}")


def _of(calls: Sequence[StoreCall]) -> str:
    return _names(type(call.request) for call in calls)


def _names(kinds: Iterable[type]) -> str:
    return " and ".join(sorted({kind.__name__ for kind in kinds})) or "nothing"


def _ask(ask: Ask) -> str:
    match ask:
        case Act(request=None):
            return "leave to act"
        case Act() | Submit():
            return type(ask.request).__name__
        case CallPlain():
            return f"a plain function, {_called(ask)}"
        case AwaitEnd():
            return "the end of a process"
        case AwaitEvents():
            return "an event"
        case _:
            assert_never(ask)


def _whose(host: Host) -> str:
    return "a client's" if host.name == CLIENT else "a handler's"


def _called(ask: CallPlain) -> str:
    """What the function does, by its name; for a session by the name of what its store is asked for."""
    for one in ask.args:
        if isinstance(one, get_args(SessionRequest)):
            return f"{type(one).__name__} of a session"
    fn = next(
        (one for one in ask.args if callable(one)), ask.fn
    )  # a session's calls are made by another function
    return str(getattr(fn, "__name__", type(fn).__name__)).strip("_")
