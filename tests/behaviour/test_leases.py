"""B13, B14, B17, B19, B20 and B21 on real loops: a lease is renewed, lost, written under and given back."""

from __future__ import annotations

import threading
from typing import Any

from tenure import Context, Failure, LeaseLost, LeaseTimings, ProcessRegistry, Success
from tenure.canonical import canonical
from tenure.process import ClaimId, Provenance, Record, Registration, Work
from tenure.replies import Succeeded
from tenure.requests import Claim, Register
from tests.adapters.loops import BOUND, Host
from tests.adapters.stores import Clock
from tests.behaviour.stories import job, record

DONE = Success(canonical("done"))


class Held:
    """A handler that waits until it is let go; then it does what it is told to, and returns "done"."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.emits = False
        self.ended: list[Any] = []

    async def run(self, ctx: Context) -> str:
        """The handler itself."""
        self.begun.set()
        try:
            await self.host.until(self.let_go.is_set, 60)
            if self.emits:
                await ctx.emit("progress")
        except BaseException as error:
            self.ended.append(error)
            raise
        finally:
            self.ended.append(ctx.stop_reason)
        return "done"


def overtaken(registry: ProcessRegistry, clock: Clock) -> Record:
    """An hour passes in the store, and somebody else takes the process: the row under the new lease."""
    clock.expire_leases()
    (granted,) = registry.execute([Claim(ClaimId("other", 1), "p", 30_000)])
    assert isinstance(granted, Succeeded)
    return record(registry)


def test_b13_a_renewal_moves_the_expiry_and_keeps_the_tokens(registry: ProcessRegistry, host: Host) -> None:
    held = Held(host)

    async def main() -> None:
        timings = LeaseTimings.scaled(0.6)
        async with host.adapter.worker(job(held.run), registry, timings=timings) as worker:
            handle = await worker.client.start("job", id="p")
            await host.until(held.begun.is_set)
            begun = record(registry)
            await host.until(lambda: record(registry).expires_at > begun.expires_at + 300)
            now = record(registry)
            assert (now.token, now.claim, now.claims, now.held) == (begun.token, begun.claim, 1, True)
            held.let_go.set()
            assert await handle.outcome(BOUND) == DONE

    host.run(main)


def test_b14_what_is_fenced_is_a_loss_and_nothing_is_written_or_released(
    registry: ProcessRegistry, host: Host, clock: Clock
) -> None:
    """It emits an event, which tells before any renewal does."""
    held = Held(host)
    held.emits = True

    async def main() -> None:
        app = job(held.run, emits=["progress"])
        async with host.adapter.worker(app, registry) as worker:
            await worker.client.start("job", id="p")
            await host.until(held.begun.is_set)
            theirs = overtaken(registry, clock)
            held.let_go.set()
            await host.until(lambda: len(held.ended) == 2)
            assert isinstance(held.ended[0], LeaseLost | host.cancelled), "whichever comes first"
            assert held.ended[1] == "lease_lost"
            assert await worker.client.events("p") == ()
        assert record(registry) == theirs

    host.run(main)


def test_b17_an_outcome_that_comes_after_somebody_took_over_is_not_written(
    registry: ProcessRegistry, host: Host, clock: Clock
) -> None:
    held = Held(host)

    async def main() -> None:
        async with host.adapter.worker(job(held.run), registry) as worker:
            await worker.client.start("job", id="p")
            await host.until(held.begun.is_set)
            theirs = overtaken(registry, clock)
            held.let_go.set()
            await host.until(lambda: held.ended == [None])
        assert record(registry) == theirs
        assert theirs.claim == ClaimId("other", 1)

    host.run(main)


def test_b19_a_process_that_could_not_be_run_says_why(registry: ProcessRegistry, host: Host) -> None:
    registry.execute([Register(Registration("p", Work("job"), (), Provenance("")))])

    def handler(ctx: Any) -> None:
        raise AssertionError("it is not run")

    async def main() -> None:
        async with host.adapter.worker(job(handler), registry) as worker:
            said = "process 'p' names no owner scope, so it has no session to run in"
            failed = Failure("execution", "process_recovery_failed", said)
            assert await worker.client.wait("p", BOUND) == failed

    host.run(main)


def test_b20_who_leaves_gives_back_what_is_its_own_and_nothing_else(
    registry: ProcessRegistry, host: Host, clock: Clock
) -> None:
    """A worker that drains stops its handler and releases the row; one that was overtaken clears nobody's lease."""
    first, second = Held(host), Held(host)

    async def leaves(held: Held, meanwhile: Any) -> None:
        async with host.adapter.worker(job(held.run), registry, grace=0) as worker:
            if held is first:
                await worker.client.start("job", id="p")
            await host.until(held.begun.is_set)
            meanwhile()

    async def main() -> None:
        await leaves(first, lambda: None)
        assert (record(registry).held, record(registry).outcome, record(registry).lost) == (False, None, 0)
        theirs: list[Record] = []
        await leaves(second, lambda: theirs.append(overtaken(registry, clock)))
        assert record(registry) == theirs[0]

    host.run(main)


def test_b21_the_timings_are_thirty_and_ten_seconds_unless_told(
    registry: ProcessRegistry, host: Host
) -> None:
    async def main() -> None:
        for name, timings in (("p", LeaseTimings()), ("q", LeaseTimings.scaled(60))):
            held = Held(host)
            given: Any = {} if name == "p" else {"timings": timings}
            async with host.adapter.worker(job(held.run), registry, **given) as worker:
                await worker.client.start("job", id=name)
                await host.until(held.begun.is_set)
                granted = record(registry, name)
                assert granted.expires_at - granted.changed_at == timings.ttl * 1_000
                held.let_go.set()
                assert await worker.client.wait(name, BOUND) == DONE

    host.run(main)
    assert (LeaseTimings().ttl, LeaseTimings().renew_interval) == (30.0, 10.0)
