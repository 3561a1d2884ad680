"""B9-B16: how a worker drives what is pending, and how a process is cancelled."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tenure import Cancelled, Context, Failure, ProcessRegistry, Success
from tenure.canonical import canonical
from tenure.process import ClaimId, External, Fence, Provenance, Registration
from tenure.replies import Reason, Refused
from tenure.requests import Claim, ClaimNext, Complete, ReadCancels, Register, Release, Renew
from tenure_testing.rehearsing import RehearsedWorld, sleep
from tests.adapters.loops import BOUND, Host
from tests.behaviour.stories import Seen, an_hour, job, log, record, row

DONE = Success(canonical("done"))


# --- B9: sweeping -------------------------------------------------------------------------------------------------


def test_b09_everything_pending_is_run_and_a_failure_stops_no_other(
    registry: ProcessRegistry, host: Host
) -> None:
    """Departs (W5): by capacity, in order, and again for what comes later; an external process is left alone."""
    running: list[int] = []
    started: list[int] = []
    gate = threading.Event()

    async def handler(ctx: Context, n: int) -> str:
        running.append(n)
        started.append(n)
        assert len(running) <= 2, "the worker has two places"
        await host.until(lambda: gate.is_set() and (len(running) == 2 or len(started) >= 5))
        running.remove(n)
        if n == 1:
            raise ValueError("a failing process")
        return "done"

    async def main() -> None:
        async with host.adapter.connect(registry) as client:
            pending = [await client.start("job", n, id=f"p{n}") for n in range(5)]
        registry.execute([Register(Registration("elsewhere", External(canonical(None))))])
        async with host.adapter.worker(job(handler), registry, max_running=2) as worker:
            await host.until(lambda: len(running) == 2)
            gate.set()
            outcomes = [await worker.client.wait(handle.id, BOUND) for handle in pending]
            assert outcomes == [DONE, Failure("ValueError", "raised", "a failing process"), DONE, DONE, DONE]
            later = await worker.client.start("job", 5)
            assert await later.outcome(BOUND) == DONE
        assert sorted(started) == [0, 1, 2, 3, 4, 5]
        tokens = [record(registry, handle.id).token for handle in pending]
        assert tokens == sorted(tokens), "claimed in the order of registration"

    host.run(main)
    assert (record(registry, "elsewhere").claims, record(registry, "elsewhere").outcome) == (0, None)


# --- B10, B11, B12: claims ----------------------------------------------------------------------------------------


def test_b10_what_somebody_else_runs_is_left_alone_silently(world: RehearsedWorld) -> None:
    """For an hour another worker looks at it, again and again, and says nothing and changes nothing."""
    app = job(an_hour)
    world.worker(app, name="holder")
    world.client.start("job", id="p")
    world.run_for(10)
    before = row(world)
    world.worker(app, name="other")
    looked = Seen(world, ClaimNext)
    world.run_for(1_800)
    assert len([who for _, who, _, _ in looked.all if who == "other"]) > 100
    assert (row(world).claims, row(world).token, row(world).claim) == (1, before.token, before.claim)
    assert log(world) == []
    world.run_until_idle()
    world.assert_started("p", times=1)
    assert world.client.handle("p").wait() == 1


def test_b10_a_claim_of_its_own_is_refused_and_every_claim_has_a_new_id(
    registry: ProcessRegistry, host: Host
) -> None:
    """Departs: one owner a worker, a new claim id (which is the lease token) for each claim."""
    held = threading.Event()
    claims: list[Any] = []

    async def handler(ctx: Context) -> str:
        claims.append(record(registry, ctx.id).claim)
        if ctx.id == "p":
            held.set()
            await host.until(lambda: len(claims) == 2)
        return "done"

    async def main() -> None:
        async with host.adapter.worker(job(handler), registry) as worker:
            first = await worker.client.start("job", id="p")
            await host.until(held.is_set)
            (refused,) = registry.execute([Claim(ClaimId("other", 1), "p", 30_000)])
            assert refused == Refused(Reason.HELD)
            second = await worker.client.start("job", id="q")
            assert await first.outcome(BOUND) == await second.outcome(BOUND) == DONE
            assert {claim.owner for claim in claims} == {worker.owner}
            assert len(set(claims)) == 2

    host.run(main)


def test_b11_what_ended_before_it_was_claimed_is_not_run(registry: ProcessRegistry, host: Host) -> None:
    """Departs: the claim reads the row in its own transaction, so there is nothing to read again and no window."""
    ran: list[str] = []

    def handler(ctx: Any) -> str:
        ran.append(ctx.id)
        return "done"

    async def main() -> None:
        async with host.adapter.connect(registry) as client:
            await client.start("job", id="over")
            await client.start("job", id="pending")
            assert await client.cancel("over", "too late") == Cancelled("too late")
        (refused,) = registry.execute([Claim(ClaimId("me", 1), "over", 30_000)])
        assert refused == Refused(Reason.ENDED)
        async with host.adapter.worker(job(handler), registry) as worker:
            assert await worker.client.wait("pending", BOUND) == DONE

    host.run(main)
    assert ran == ["pending"]
    assert (record(registry, "over").claims, record(registry, "over").held) == (0, False)


def test_b12_the_handler_gets_what_was_registered_and_the_owner_is_told_of_the_end(
    registry: ProcessRegistry, host: Host
) -> None:
    """Departs: from the record that the claim read, never from a list that was read earlier."""

    async def handler(ctx: Context, payload: Any) -> Any:
        return [ctx.id, ctx.owner_scope, ctx.attempt, payload]

    async def main() -> None:
        async with host.adapter.worker(job(handler), registry) as worker:
            client = worker.client
            handle = await client.start("job", {"n": 1}, id="p", owner="session-7")
            assert await handle.wait(BOUND) == ["p", "session-7", 1, {"n": 1}]
            (told,) = await client.events(owner="session-7")
            assert told.type == "process.ended"
            assert told.payload == canonical({"process_id": "p", "status": "succeeded"})
            assert await client.events(owner="session-8") == ()

    host.run(main)
    assert record(registry, "p").registration.provenance == Provenance("session-7")


# --- B13, B14: renewals -------------------------------------------------------------------------------------------


def test_b13_the_lease_is_renewed_while_the_handler_runs(world: RehearsedWorld) -> None:
    """Tokens stay, the expiry moves. Departs (W6): an interval after the last one was first sent."""
    world.worker(job(an_hour))
    renewed = Seen(world, Renew)
    world.client.start("job", id="p")
    world.run_for(5)
    begun = row(world)
    world.run_for(600)
    gaps = [later - earlier for earlier, later in zip(renewed.times, renewed.times[1:], strict=False)]
    assert len(renewed.times) >= 59
    assert all(8 <= gap <= 10.5 for gap in gaps), "every 10 s, or up to an eighth of that earlier"
    now = row(world)
    assert (now.token, now.claim, now.claims) == (begun.token, begun.claim, 1)
    assert now.expires_at - begun.expires_at >= 580_000
    world.run_until_idle()
    world.assert_started("p", times=1)


def test_b14_a_renewal_that_is_fenced_is_a_loss_and_nothing_more_is_written(world: RehearsedWorld) -> None:
    """The handler is told to stop, and cancelled; the new owner is the only writer."""
    told: list[tuple[int, str | None]] = []

    async def handler(ctx: Context) -> int:
        try:
            await sleep(3_600)
        finally:
            told.append((ctx.attempt, ctx.stop_reason))
        return ctx.attempt

    app = job(handler)
    robbed = world.worker(app, name="robbed")
    world.client.start("job", id="p")
    world.run_for(10)
    thief = world.steal("p", wakes_after=5)
    writes = [Seen(world, kind) for kind in (Complete, Release)]
    world.run_for(60)
    assert told[0][0] == 1
    assert told[0][1] in ("deadline", "lease_lost")
    assert robbed.running == 0
    assert world.holder("p") is thief
    world.run_until_idle()
    assert {who for seen in writes for _, who, _, _ in seen.all} == {thief.name}
    assert world.client.handle("p").wait() == 2


def test_b14_a_fenced_renewal_in_time_is_a_loss_too(world: RehearsedWorld) -> None:
    """Long before the local deadline: the store alone judges."""
    reasons: list[str | None] = []

    async def handler(ctx: Context) -> None:
        try:
            await sleep(3_600)
        finally:
            reasons.append(ctx.stop_reason)

    host = world.worker(job(handler))
    world.client.start("job", id="p")
    world.run_for(5)
    held = row(world)
    assert held.claim is not None
    world.execute(Complete(Fence("p", held.claim, held.token), DONE))
    world.run_for(6)
    assert reasons == ["lease_lost"]
    assert host.running == 0
    assert row(world).outcome == DONE


# --- B15, B16: cancelling -----------------------------------------------------------------------------------------


def test_b15_a_cancel_reaches_the_handler_and_it_ends_as_cancelled(
    registry: ProcessRegistry, host: Host
) -> None:
    """Cooperatively: the handler may clean up."""
    seen: list[str | None] = []
    held = threading.Event()

    async def handler(ctx: Context) -> None:
        held.set()
        try:
            await host.forever()
        finally:
            seen.append(ctx.stop_reason)

    async def main() -> None:
        async with host.adapter.worker(job(handler), registry) as worker:
            handle = await worker.client.start("job")
            await host.until(held.is_set)
            assert await handle.cancel("changed my mind") is None
            assert await handle.outcome(BOUND) == Cancelled("changed my mind")

    host.run(main)
    assert seen == ["cancel"]


def test_b15_a_request_made_before_the_run_counts(world: RehearsedWorld) -> None:
    """It was asked for while another worker held the process, which died of it: the next one starts no handler. Departs
    (W8): the flag is in the row that the claim reads."""
    app = job(an_hour)
    dead = world.worker(app)
    world.client.start("job", id="p")
    world.run_for(5)
    dead.pause(3_600)
    world.client.cancel("p", "too slow")
    dead.crash()
    world.worker(app)
    world.run_until_idle()
    assert row(world).outcome == Cancelled("too slow")
    assert row(world).claims == 2
    world.assert_started("p", times=1)


def test_b16_anyone_may_ask_with_a_reason_or_without(registry: ProcessRegistry, host: Host) -> None:
    """It is an event in the log, and the first reason stays. Departs (S16): what nobody holds ends at once."""

    async def main() -> None:
        async with host.adapter.connect(registry) as client:
            await client.start("job", id="p")
            await client.start("job", id="q")
            assert await client.cancel("p", "not needed") == Cancelled("not needed")
            assert await client.cancel("p", "again") == Cancelled("not needed")
            assert await client.cancel("q") == Cancelled("")
            asked, ended = await client.events("p")
            assert (asked.type, asked.payload) == (
                "process.cancel_requested",
                canonical({"reason": "not needed"}),
            )
            assert ended.type == "process.ended"

    host.run(main)


@pytest.mark.parametrize("hints", ["hinted", "without hints"])
def test_b16_while_somebody_holds_it_it_is_a_flag_that_it_is_told_of(
    world: RehearsedWorld, hints: str
) -> None:
    """At once by the feed, and with the next renewal if that is silent."""
    world.worker(job(an_hour))
    if hints != "hinted":
        world.drop_request(ReadCancels, times=1_000)
    world.client.start("job", id="p")
    world.run_for(5)
    assert world.client.cancel("p", "first") is None
    assert world.client.cancel("p", "second") is None
    assert row(world).cancel == "first"
    world.run_for(2 if hints == "hinted" else 10)
    assert row(world).outcome == Cancelled("first")
    assert log(world) == ["process.cancel_requested", "process.ended"]
