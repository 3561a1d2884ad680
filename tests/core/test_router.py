"""The router carries events to the right machine, answers what nobody answers, and lets renewals go together."""

from __future__ import annotations

from collections.abc import Sized
from importlib import import_module
from itertools import count
from typing import Any

import pytest
from attrs import evolve

from tenure import attempt_types as t
from tenure.canonical import NULL
from tenure.instants import NANOS_PER_MILLI, NANOS_PER_SECOND, Instant, StoreTime
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Fence, Success
from tenure.replies import (
    Answer,
    CancelsRead,
    Fenced,
    Pruned,
    Reason,
    Refused,
    Succeeded,
    Unavailable,
    Unknown,
)
from tenure.requests import ClaimNext, Complete, EmitEvent, ReadCancels, Register, Release, Renew
from tenure.router import Router, answer_event
from tenure.timings import LeaseTimings
from tenure.worker_types import AttemptEnded, DrainAsked, Stopped, WorkerTerms, WorkHinted
from tests.core.rows import registration

SECOND = NANOS_PER_SECOND
TIMINGS = LeaseTimings()


class Driven:
    """A router with the model as its store."""

    def __init__(self, slots: int = 3, tier_fault: str = "", names: tuple[str, ...] = ("a", "b")) -> None:
        terms = WorkerTerms("us", t.Terms(TIMINGS, "", ("k",), tier_fault=tier_fault), slots, 10, SECOND)
        self.router = Router(terms, Instant(0), count(1).__next__, lambda: 0)
        self.model = Snapshot()
        for name in names:
            self.register(name)

    def tick(self, seconds: float) -> list[t.Command]:
        return self.router.tick(Instant(round(seconds * SECOND)))

    def answer(self, send: t.Command, seconds: float = 0) -> list[t.Command]:
        assert isinstance(send, t.Send)
        self.model, answer = apply(self.model, send.request, StoreTime(round(seconds * 1_000)))
        return self.router.answered(send.id, answer, Instant(round(seconds * SECOND)))

    def register(self, name: str) -> None:
        self.model, _ = apply(self.model, Register(registration(name)), StoreTime(0))

    def start(self, seconds: float = 0) -> list[int]:
        """Claims what there is and opens its sessions; the tokens in their order."""
        (claim,) = self.tick(seconds)
        opened: list[int] = []
        for command in self.answer(claim, seconds):
            assert isinstance(command, t.OpenSession)
            (started,) = self.router.session_opened(command.id, Instant(round(seconds * SECOND)))
            assert isinstance(started, t.StartHandler)
            opened.append(started.grant.fence.token)
        return opened


def requests(commands: list[t.Command]) -> list[object]:
    return [command.request for command in commands if isinstance(command, t.Send)]


def test_renewals_go_together() -> None:
    """One that is due takes those along that soon will be, so that they are one batch (CONTRACT §5)."""
    driven = Driven(slots=2, names=("a",))
    (a,) = driven.start()
    driven.register("b")
    (b,) = driven.start(1)
    assert driven.router.wakeup() == 10 * SECOND
    assert driven.tick(8) == []
    renewals = [request for request in requests(driven.tick(10)) if isinstance(request, Renew)]
    assert [renewal.fence.token for renewal in renewals] == [a, b]
    assert driven.router.wakeup() == 13 * SECOND, "their time-out"


def test_nobody_answers() -> None:
    """S18, K15: every command ends in exactly one answer: Unknown after call_timeout; the real one comes too late
    (§2)."""
    driven = Driven()
    (claim,) = driven.tick(0)
    assert isinstance(claim, t.Send)
    assert driven.router.wakeup() == TIMINGS.call_timeout_ns
    assert driven.tick(2.999) == []
    assert driven.tick(3) == [], "it waits to be repeated"
    assert driven.router.wakeup() == 3 * SECOND + 25 * NANOS_PER_MILLI
    (again,) = driven.tick(3.025)
    assert isinstance(again, t.Send)
    assert again.request == claim.request
    assert driven.answer(claim, 3.1) == []
    assert len(driven.answer(again, 3.1)) == 2


def test_an_answer_in_time_needs_no_time_out() -> None:
    driven = Driven(names=())
    (claim,) = driven.tick(0)
    driven.answer(claim)
    poll = driven.router.wakeup()
    assert poll is not None
    assert poll == 3 * SECOND // 4, "the poll is next, not the time-out of a call that was answered"
    assert isinstance(requests(driven.tick(3.5))[0], ClaimNext)


@pytest.mark.parametrize("answer", [Succeeded(Pruned(0)), Unknown()], ids=["Succeeded", "Unknown"])
def test_answers_to_nobody_are_dropped(answer: Answer) -> None:
    driven = Driven()
    driven.start()
    now = Instant(SECOND)
    before = dict(driven.router.attempts)
    assert driven.router.answered(999, answer, now) == []
    assert driven.router.session_opened(999, now) == []
    assert driven.router.session_failed(999, False, "no", now) == []
    assert driven.router.handler_returned(999, Success(), now) == []
    assert driven.router.handler_stopped(999, now) == []
    assert driven.router.attempts == before


def test_a_handler_that_nobody_knows_is_told_that_its_lease_is_lost() -> None:
    """L6: so that no ctx call waits for ever, whatever became of its attempt."""
    driven = Driven()
    event = EmitEvent(Fence("gone", ClaimId("us", 1), 99), "progress", NULL, "a")
    for request in (None, event):
        assert driven.router.asked(99, 7, request, Instant(0)) == [t.AnswerAsk(7, Fenced())]


def test_an_attempt_that_ends_frees_its_slot() -> None:
    """L1, L7: what waits is claimed."""
    driven = Driven(slots=1)
    (token,) = driven.start()
    (write,) = driven.router.handler_returned(token, Success(), Instant(0))
    assert requests([write]) == [Complete(Fence("a", ClaimId("us", 1), token), Success())]
    assert driven.answer(write) == []
    assert driven.router.attempts == {}
    (claim,) = driven.tick(0)
    assert isinstance(claim, t.Send)
    assert isinstance(claim.request, ClaimNext), "and the next is claimed at once"


def test_a_session_that_fails() -> None:
    driven = Driven(names=("a",))
    (claim,) = driven.tick(0)
    (opening,) = driven.answer(claim)
    assert isinstance(opening, t.OpenSession)
    said = driven.router.session_failed(opening.id, False, "the store of sessions is down", Instant(0))
    assert said[0] == t.Report("a", "the store of sessions is down")
    assert isinstance(requests(said)[0], Release)
    assert driven.router.session_opened(opening.id, Instant(0)) == [], "answered once"


def test_hints_and_cancels() -> None:
    """L4, K17: a cancellation for a token that is gone reaches nobody."""
    driven = Driven(slots=2)
    tokens = driven.start()
    assert driven.router.hinted(Instant(0)) == []
    (read,) = driven.tick(0)
    assert isinstance(read, t.Send)
    assert read.request == ReadCancels("us")
    cancels = (("a", tokens[0], "why"), ("gone", 99, "why"))
    said = driven.router.answered(read.id, Succeeded(CancelsRead(cancels)), Instant(0))
    assert said == [t.StopHandler("a", tokens[0], t.StopReason.CANCEL)]


def test_draining() -> None:
    """L5, K8: it stops claiming, and ends with its last handler."""
    driven = Driven()
    tokens = driven.start()
    assert driven.router.drain(2 * SECOND, Instant(0)) == []
    assert driven.router.wakeup() == 2 * SECOND
    stops = driven.tick(2)
    assert stops == [
        t.StopHandler(name, token, t.StopReason.DRAIN) for name, token in zip("ab", tokens, strict=True)
    ]
    assert not driven.router.stopped
    releases = [driven.router.handler_stopped(token, Instant(2 * SECOND))[0] for token in tokens]
    for release in releases:
        driven.answer(release, 2)
    assert driven.router.stopped == Stopped(0)
    assert driven.router.wakeup() is None
    assert driven.tick(3) == []


def test_a_worker_that_must_not_drive() -> None:
    """S15."""
    driven = Driven(tier_fault="too ephemeral")
    assert driven.router.stopped == Stopped(0, "too ephemeral")
    assert driven.tick(0) == []


def test_an_event_for_each_answer() -> None:
    now = Instant(5)
    cases: list[tuple[Answer, t.AttemptEvent]] = [
        (
            Refused(Reason.HELD, "why"),
            t.CallRefused(now=now, tag=2, jitter=3, call=1, reason=Reason.HELD, detail="why"),
        ),
        (Fenced(), t.CallFenced(now=now, tag=2, jitter=3, call=1)),
        (Unavailable("why"), t.CallUnavailable(now=now, tag=2, jitter=3, call=1, cause="why")),
        (Unknown("why"), t.CallUnknown(now=now, tag=2, jitter=3, call=1, cause="why")),
    ]
    for answer, event in cases:
        assert answer_event(1, answer, now, 2, 3) == event


def test_every_event_has_a_tag_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step may send a call under its event's tag, so that no two events may share one; `now` is the caller's, and
    whatever may wait for a back-off has its jitter."""
    seen: list[t.Event] = []
    polls: list[t.Event] = []

    def watched(machine: str) -> None:
        real = getattr(import_module(machine), "step")  # noqa: B009  its type is open here

        def step(state: Any, event: t.Event) -> Any:
            seen.append(event)
            if machine == "tenure.worker" and isinstance(event, t.Tick):
                polls.append(event)
            return real(state, event)

        monkeypatch.setattr(f"{machine}.step", step)

    watched("tenure.attempt")
    watched("tenure.worker")
    driven = Driven(slots=4, names=("a", "b", "c", "d"))
    router, jitters = driven.router, count(100)
    monkeypatch.setattr(router, "_jitter", jitters.__next__)
    (claim,) = driven.tick(0)
    sessions = driven.answer(claim)
    now = Instant(0)
    opened = [session for session in sessions if isinstance(session, t.OpenSession)]
    for session in opened[:3]:
        router.session_opened(session.id, now)
    router.session_failed(opened[3].id, True, "corrupt", now)
    first, second, third = (session.token for session in opened[:3])
    router.asked(first, 1, None, now)
    emit = EmitEvent(Fence("a", ClaimId("us", 1), first), "progress", NULL, "k")
    router.asked(first, 2, emit, now)
    router.handler_returned(second, Success(), now)
    router.handler_stopped(third, now)
    router.hinted(now)
    reads = [send for send in driven.tick(0) if isinstance(send, t.Send)]
    router.answered(reads[-1].id, Succeeded(CancelsRead((("a", first, "why"),))), now)
    driven.tick(4)
    router.drain(SECOND, Instant(4 * SECOND))
    driven.tick(6)
    driven.tick(60)
    kinds = {type(event) for event in seen}
    assert kinds >= {
        t.SessionOpened,
        t.SessionFailed,
        t.Asked,
        t.HandlerReturned,
        t.HandlerStopped,
        t.CancelSeen,
        t.StopAsked,
        t.CallUnknown,
        t.CallSucceeded,
        t.Tick,
        WorkHinted,
        DrainAsked,
        AttemptEnded,
    }
    tags = [event.tag for event in seen]
    assert len(set(tags)) == len(tags)
    assert all(type(tag) is int and tag > 0 for tag in tags)
    assert {event.now for event in seen} == {Instant(n * SECOND) for n in (0, 4, 6, 60)}
    answers = [event for event in seen if isinstance(event, t.CallUnknown | t.CallSucceeded)]
    assert all(event.jitter >= 100 for event in [*answers, *polls])
    assert len(seen) == router.steps
    (failed,) = [event for event in seen if isinstance(event, t.SessionFailed)]
    assert (failed.call, failed.permanent, failed.message) == (opened[3].id, True, "corrupt")
    assert [(event.ask, event.request) for event in seen if isinstance(event, t.Asked)] == [
        (1, None),
        (2, emit),
    ]
    causes = {event.cause for event in seen if isinstance(event, t.CallUnknown)}
    assert causes == {"no answer within call_timeout"}


def test_calls_of_several_attempts_that_time_out_together() -> None:
    """What comes of each is said, in the order of their sending."""
    driven = Driven()
    tokens = driven.start()
    for token in tokens:
        emit = EmitEvent(Fence("p", ClaimId("us", 1), token), "progress", NULL, "k")
        driven.router.asked(token, token, emit, Instant(0))
    said = driven.tick(60)
    stopped = [command.token for command in said if isinstance(command, t.StopHandler)]
    assert stopped == tokens


def test_an_attempt_is_woken_when_its_time_has_come_and_not_before() -> None:
    """L3, K11: a renewal goes as early as the slack allows, to the nanosecond; until then a tick is the worker's
    alone."""
    driven = Driven()
    driven.start()
    at = TIMINGS.renew_interval_ns - TIMINGS.renew_slack_ns
    driven.tick(1)
    steps = driven.router.steps
    assert requests(driven.router.tick(Instant(SECOND))) == []
    assert driven.router.steps == steps + 1
    assert not any(isinstance(one, Renew) for one in requests(driven.router.tick(Instant(at - 1))))
    renewed = requests(driven.router.tick(Instant(at)))
    assert [type(one) for one in renewed].count(Renew) == 2


def test_a_router_has_made_no_steps_yet() -> None:
    assert Driven().router.steps == 0


def test_a_handler_starts_under_the_epoch_of_its_claim() -> None:
    """A backup that was restored begins another epoch; tokens of both are told apart by it."""
    driven = Driven(names=("a",))
    driven.model = evolve(driven.model, epoch=7)
    (claim,) = driven.tick(0)
    (opening,) = driven.answer(claim)
    assert isinstance(opening, t.OpenSession)
    (started,) = driven.router.session_opened(opening.id, Instant(0))
    assert isinstance(started, t.StartHandler)
    assert (started.epoch, started.grant.fence.process_id) == (7, "a")


def test_a_handler_that_is_left_behind_wakes_nobody() -> None:
    """S14: however the attempt learns of it: here by a question that comes later than its grace."""
    driven = Driven(slots=1, names=("a",))
    (token,) = driven.start()
    (renewal,) = (send for send in driven.tick(10) if isinstance(send, t.Send))
    lost = Instant(10 * SECOND)
    driven.router.answered(renewal.id, Fenced(), lost)
    left_behind = Instant(lost + TIMINGS.stop_grace_ns)
    assert driven.router.wakeup() == left_behind
    driven.router.asked(token, 1, None, left_behind)
    assert isinstance(driven.router.attempts[token], t.Detached)
    assert driven.router.wakeup() != left_behind


def test_what_a_handler_asks_leaves_nothing_behind() -> None:
    """A handler may ask as often as it likes in one attempt."""
    driven = Driven(slots=1, names=("a",))
    (token,) = driven.start()

    def sizes() -> dict[str, int]:
        return {name: len(kept) for name, kept in vars(driven.router).items() if isinstance(kept, Sized)}

    before = sizes()
    leave = t.Permitted(Instant(TIMINGS.budget_ns))
    for ask in range(10):
        assert driven.router.asked(token, ask, None, Instant(0)) == [t.AnswerAsk(ask, leave)]
    assert sizes() == before
