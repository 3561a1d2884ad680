"""What becomes of a direct run's requests and waits while the store is away, by a clock that the test moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import define, field

from tenure import Cancellation, HeldLease, LeaseTimings, WorkerConfig
from tenure.asks import Act, AwaitEnd, Submit
from tenure.attempt_types import Permitted
from tenure.canonical import canonical
from tenure.direct import run_process as run_in_core
from tenure.errors import LeaseLost
from tenure.instants import Instant
from tenure.process import Cancelled, Failure, Outcome, Success
from tenure.replies import Answer, Reason, Refused, Succeeded, Unavailable, Unknown
from tenure.requests import AppendEvent, Complete, Get, Renew, Request, RequestCancel
from tenure.timings import nanos
from tenure_driver import BlockingContext, open_store
from tenure_driver.convert import CattrsConverter
from tenure_driver.deployments import config_of
from tenure_driver.direct import DirectCalls
from tenure_driver.driving import driven
from tests.adapters.direct_parts import JOB, T, claimed, handling, one

# --- its requests, in time that the test moves --------------------------------------------------------------------


@define(eq=False)
class Played:
    """A registry whose next answers are `trouble`, a clock, and a `sleep` that moves it; `asked` has what reached the
    registry, `naps` the seconds of each sleep, `waking` what happens in them."""

    registry: Any = field(factory=lambda: open_store("memory:"))
    trouble: deque[Answer] = field(factory=deque[Answer])
    asked: list[Request] = field(factory=list[Request])
    naps: list[float] = field(factory=list[float])
    waking: deque[Callable[[], object]] = field(factory=deque[Callable[[], object]])
    at: Instant = Instant(5)
    cancellation: Cancellation = field(factory=Cancellation)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "registry"), name)

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        self.asked.extend(batch)
        if self.trouble:
            return [self.trouble.popleft()]
        answers: Sequence[Answer] = self.registry.execute(batch)
        return answers

    def sleep(self, seconds: float) -> None:
        self.naps.append(round(seconds, 6))
        self.at = Instant(self.at + nanos(seconds))
        if self.waking:
            self.waking.popleft()()

    def pass_by(self, seconds: float) -> None:
        self.at = Instant(self.at + nanos(seconds))

    def config(self, handler: Callable[..., Any]) -> WorkerConfig:
        registry: Any = self  # it forwards what it does not have itself
        return config_of(registry, handling(handler))

    def calls(self, config: WorkerConfig, lease: HeldLease, timings: LeaseTimings) -> DirectCalls:
        async def here(call: Callable[[], T]) -> T:
            return call()

        return DirectCalls(
            config, JOB, lease, self.cancellation, timings, here, clock=lambda: self.at, sleep=self.sleep
        )

    def run(self, handler: Callable[..., Any], timings: LeaseTimings | None = None) -> Outcome:
        """Claim the process and run it."""
        config = self.config(handler)
        lease = claimed(self.registry)
        return driven(
            run_in_core(
                config,
                JOB,
                ask=self.calls(config, lease, timings or LeaseTimings()).ask,
                convert=CattrsConverter(),
                cancellation=self.cancellation,
                lease=lease,
                for_plain=BlockingContext,
            )
        )

    def of(self, kind: type[Any]) -> list[Any]:
        """The requests of that type."""
        return [one for one in self.asked if isinstance(one, kind)]


def never(ctx: BlockingContext, n: int) -> None:
    raise AssertionError


def emitting(ctx: BlockingContext, n: int) -> int:
    ctx.emit("progress")
    return n


def test_what_the_store_could_not_answer_is_sent_again() -> None:
    """S18: the same request, after pauses that double."""
    played = Played()
    played.trouble.extend([Unavailable("away"), Unknown("no answer"), *[Unavailable()] * 5])
    assert played.run(emitting) == Success(canonical(7))
    assert played.naps == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 0.8]
    assert len({repr(renewal) for renewal in played.of(Renew)}) == 1
    assert [renewal.ttl for renewal in played.of(Renew)] == [30_000] * 8


def test_past_the_deadline_nothing_is_asked_any_more() -> None:
    """CONTRACT §6: 24 s after the first sending of what was accepted, by default."""
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> None:
        ctx.effect("early", int)
        played.pass_by(23.999_999_999)
        ctx.emit("progress", key="in time")
        played.pass_by(0.000_000_001)
        played.asked.clear()
        with pytest.raises(LeaseLost):
            ctx.emit("progress", key="late")
        with pytest.raises(LeaseLost):
            ctx.effect("late", lambda: played.asked.append(Get("called")))
        assert played.asked == []
        raise LeaseLost("p")

    with pytest.raises(LeaseLost):
        played.run(handler)


def test_a_renewal_counts_from_when_it_was_first_sent() -> None:
    """S13, K15: the budget begins with the first sending (CONTRACT §6)."""
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> int:
        ctx.effect("early", int)
        played.pass_by(20)
        played.trouble.append(Unavailable())
        played.waking.append(lambda: played.pass_by(3))
        assert ctx.effect("one", lambda: n) == n
        played.asked.clear()
        played.pass_by(24 - 3.025)
        with pytest.raises(LeaseLost):
            ctx.emit("progress")
        assert played.asked == []
        return n

    assert played.run(handler) == Success(canonical(7))


def test_a_store_that_stays_away_costs_the_lease() -> None:
    """S13, K7: past the deadline nothing is sent any more."""
    played = Played()
    played.trouble.extend([Unknown("cut off"), *[Unavailable("away")] * 1_000])
    with pytest.raises(LeaseLost):
        played.run(emitting)
    assert round(sum(played.naps), 6) == 24.0, "until the deadline, and no longer"
    assert played.naps[-1] < 0.8


def test_a_lease_that_is_over_before_the_start_starts_nothing() -> None:
    """S13: what was rebuilt before it may have taken longer than the lease."""
    played = Played()
    config, lease = played.config(never), claimed(played.registry)
    calls = played.calls(config, lease, LeaseTimings())
    played.pass_by(30)
    with pytest.raises(LeaseLost):
        driven(run_in_core(config, JOB, ask=calls.ask, convert=CattrsConverter(), lease=lease))


def test_what_is_unknown_stays_unknown() -> None:
    """S18: Unavailable says of one sending that it was not applied, and nothing of an earlier one."""
    played = Played()
    calls = played.calls(played.config(emitting), claimed(played.registry), LeaseTimings.scaled(0.15))
    played.trouble.extend([Unknown("cut off"), *[Unavailable("away")] * 1_000])
    assert driven(calls.ask(Submit(Get("p"), 1.0))) == Unknown("away")
    played.trouble.clear()
    played.trouble.extend([Unavailable("away")] * 1_000)
    assert driven(calls.ask(Submit(Get("p"), 1.0))) == Unavailable("away")
    played.trouble.clear()
    assert isinstance(driven(calls.ask(Submit(Get("p"), 1.0))), Succeeded)
    assert driven(calls.ask(Act(1, None))) == Unavailable("there was no time left to ask")
    with pytest.raises(AssertionError):
        driven(calls.ask(AwaitEnd("p", None)))


def test_leave_to_act_says_until_when() -> None:
    """S13: and none is given once the budget is spent."""
    played = Played()
    calls = played.calls(played.config(emitting), claimed(played.registry), LeaseTimings())
    played.pass_by(1)
    assert driven(calls.ask(Act(1, None))) == Permitted(Instant(5 + nanos(25)))


def test_a_cancel_that_a_client_asked_for_comes_with_the_renewal() -> None:
    """B15, W8: one that was asked for before the start starts nothing."""
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> None:
        one(played.registry, RequestCancel("p", "by a client"))
        seen = [ctx.stop_reason]
        ctx.effect("one", lambda: n)
        assert [*seen, ctx.stop_reason] == [None, "cancel"]
        ctx.checkpoint()

    assert played.run(handler) == Cancelled("by a client")
    again = Played()
    again.waking.append(lambda: one(again.registry, RequestCancel("p", "at once")))
    again.trouble.append(Unavailable())
    assert again.run(never) == Cancelled("at once")


def test_a_lease_that_somebody_else_has_is_lost() -> None:
    """S14: nothing more is sent for it."""
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> None:
        lease = played.of(Renew)[0].fence
        one(played.registry, Complete(lease, Success()))
        ctx.emit("progress")

    with pytest.raises(LeaseLost):
        played.run(handler)


# --- waiting for events -------------------------------------------------------------------------------------------


def appended(played: Played, key: str, type: str = "approved") -> Callable[[], object]:
    return lambda: one(played.registry, AppendEvent("p", type, canonical(key), key))


def waiting(ctx: BlockingContext, n: int) -> Any:
    return ctx.wait_event("approved").payload


def test_events_that_are_there_and_events_that_come() -> None:
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> list[Any]:
        for number in range(150):
            appended(played, f"other-{number}", "other")()
        appended(played, "first")()
        found = [ctx.wait_event("approved").payload]
        played.waking.extend([lambda: None, appended(played, "second")])
        found.append(ctx.wait_event("approved").payload)
        return found

    assert played.run(handler) == Success(canonical(['"first"', '"second"']))
    assert played.naps == [0.25, 0.25]


@pytest.mark.parametrize(("timeout", "naps"), [(0.0, []), (0.6, [0.25, 0.25, 0.1])])
def test_a_wait_has_an_end(timeout: float, naps: list[float]) -> None:
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> None:
        ctx.wait_event("approved", timeout=timeout)

    outcome = played.run(handler)
    assert isinstance(outcome, Failure)
    assert outcome.failure_class == "WaitTimeout"
    assert played.naps == naps


def test_the_lease_is_renewed_while_its_handler_waits() -> None:
    """L3, K11: a long wait costs no lease."""
    played = Played()
    played.waking.extend([*[lambda: played.pass_by(5)] * 10, appended(played, "late")])
    assert played.run(waiting) == Success(canonical('"late"'))
    assert len(played.of(Renew)) == 2 + 5, (
        "at the start and before the wait, then each time that 10 s were over"
    )


def test_a_wait_ends_when_it_is_cancelled() -> None:
    played = Played()
    played.waking.append(lambda: played.cancellation.cancel("enough"))
    assert played.run(waiting) == Cancelled("enough")


def deadline(played: Played) -> None:
    played.pass_by(30)


def end(played: Played) -> None:
    one(played.registry, Complete(played.of(Renew)[0].fence, Success()))


@pytest.mark.parametrize("happens", [deadline, end])
def test_a_wait_ends_when_the_lease_is_lost(happens: Callable[[Played], None]) -> None:
    """L6: the handler hears of it."""
    played = Played()
    played.waking.append(lambda: happens(played))
    with pytest.raises(LeaseLost):
        played.run(waiting)


def test_a_store_that_refuses_the_log_has_lost_the_process() -> None:
    played = Played()

    def handler(ctx: BlockingContext, n: int) -> None:
        played.trouble.extend([one_renewed(played), Refused(Reason.NOT_FOUND)])
        ctx.wait_event("approved")

    with pytest.raises(LeaseLost):
        played.run(handler)


def one_renewed(played: Played) -> Answer:
    """The answer to another renewal."""
    (answer,) = played.registry.execute([played.of(Renew)[0]])
    assert isinstance(answer, Succeeded)
    return answer


def test_a_wait_goes_on_while_the_store_is_away() -> None:
    """L8, K9: trouble ends no wait."""
    played = Played()
    played.waking.append(appended(played, "back"))

    def handler(ctx: BlockingContext, n: int) -> Any:
        played.trouble.extend([one_renewed(played), Unavailable(), Unknown()])
        return waiting(ctx, n)

    assert played.run(handler) == Success(canonical('"back"'))
    assert played.naps == [0.025, 0.05]
