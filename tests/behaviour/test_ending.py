"""B17-B21: how a process ends, how a lease is given back, and the timings."""

from __future__ import annotations

import pytest

from tenure import Context, Failure, LeaseTimings, ProcessRegistry, SessionCorrupt, Success
from tenure.canonical import canonical
from tenure.process import Fence, Provenance, Registration, Work
from tenure.replies import Fenced
from tenure.requests import Complete, Register, Release
from tenure_testing.rehearsing import RehearsedWorld
from tests.adapters.loops import BOUND, Host
from tests.behaviour.stories import Failing, Seen, a_minute, an_hour, job, log, row, with_sessions

DONE = Success(canonical("done"))


def test_b17_the_terminal_write_carries_the_fence_and_one_that_is_stale_writes_nothing(
    world: RehearsedWorld,
) -> None:
    """It hangs in the network while the lease expires and another worker takes the process, which is still at it when
    the write arrives. Departs (W1): one fenced transaction, no renewal before it."""
    app = job(a_minute)
    first = world.worker(app, name="first")
    late, writes = world.delay(Complete, 70, worker="first"), Seen(world, Complete)
    world.client.start("job", id="p")
    world.run_until(lambda: late.met == 1)
    first.pause(600)
    world.worker(app, name="second")
    world.run_until(lambda: writes.all != [])
    ((_, who, _, answer),) = writes.all
    assert (who, answer) == ("first", Fenced())
    assert (row(world).outcome, row(world).held, row(world).claims) == (None, True, 2)
    assert log(world) == []
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(2))
    assert log(world) == ["process.ended"]


def test_b18_the_outcome_is_the_handlers_own_and_the_lease_is_gone_with_it(
    registry: ProcessRegistry, host: Host
) -> None:
    class NoFunds(Exception):
        code = "no_funds"

    async def handler(ctx: Context, funds: int) -> int:
        if not funds:
            raise NoFunds("too poor")
        return funds

    async def main() -> None:
        async with host.adapter.worker(job(handler), registry) as worker:
            for funds, outcome, status in (
                (0, Failure("NoFunds", "no_funds", "too poor"), "failed"),
                (7, Success(canonical(7)), "succeeded"),
            ):
                handle = await worker.client.start("job", funds)
                assert await handle.outcome(BOUND) == outcome
                assert not (await handle.get()).held
                (ended,) = await handle.events()
                assert ended.type == "process.ended"
                assert f'"status":"{status}"' in ended.payload

    host.run(main)


def test_b18_a_write_that_failed_is_tried_again_and_the_lease_kept_meanwhile(world: RehearsedWorld) -> None:
    """Departs (W3): never released without its outcome, so nobody runs it a second time."""
    world.worker(job(a_minute), name="first")
    world.worker(job(a_minute), name="second")
    released = Seen(world, Release)
    failed = world.refuse(Complete, times=5)
    world.client.start("job", id="p")
    world.run_until(lambda: failed.met == 1)
    while failed.met < 5:
        world.run_for(0.01)
        assert (row(world).held, row(world).outcome) == (True, None)
    world.run_until_idle()
    assert row(world).outcome == Success(canonical(1))
    assert released.all == []
    world.assert_started("p", times=1)


def test_b19_what_can_never_be_run_ends_as_process_recovery_failed(world: RehearsedWorld) -> None:
    """With the message of what was wrong, and the class `execution`."""
    world.worker(job(a_minute))
    world.execute(Register(Registration("p", Work("job"), (), Provenance(""))))
    world.run_until_idle()
    said = "process 'p' names no owner scope, so it has no session to run in"
    assert row(world).outcome == Failure("execution", "process_recovery_failed", said)
    world.assert_started("p", times=0)


def test_b19_a_session_that_is_corrupt_ends_it_too(world: RehearsedWorld) -> None:
    with_sessions(world, Failing(world, SessionCorrupt("s", "e1", "its parent is missing")))
    world.worker(job(a_minute))
    world.client.start("job", id="p", owner="s")
    world.run_until_idle()
    said = (
        "session 's' is corrupt at entry 'e1': its parent is missing; restore it from a backup, or delete it"
    )
    assert row(world).outcome == Failure("execution", "process_recovery_failed", said)
    world.assert_started("p", times=0)


def test_b20_a_release_is_fenced_and_never_clears_a_newer_lease(world: RehearsedWorld) -> None:
    """The release of a drained worker hangs in the network until somebody else has the process."""
    app = job(an_hour)
    first = world.worker(app, name="first")
    late, releases = world.delay(Release, 60, worker="first"), Seen(world, Release)
    world.client.start("job", id="p")
    world.run_for(5)
    first.drain(0)
    world.run_until(lambda: late.met == 1)
    first.crash()
    second = world.worker(app, name="second")
    world.run_until(lambda: releases.all != [])
    assert releases.answers == [Fenced()]
    assert world.holder("p") is second
    now = row(world)
    assert now.claim is not None
    stale = world.execute(Release(Fence("p", now.claim, now.token - 1)))
    assert stale == (Fenced(),)
    assert row(world) == now


def test_b20_a_release_that_failed_is_no_trouble(world: RehearsedWorld) -> None:
    """The lease expires, and the process is run by the next one."""
    app = job(a_minute)
    first = world.worker(app, name="first")
    lost = world.refuse(Release, times=1_000)
    world.client.start("job", id="p")
    world.run_for(5)
    first.drain(0)
    world.worker(app, name="second")
    world.run_until_idle(within=600)
    assert lost.met > 0
    assert row(world).outcome == Success(canonical(2))


def test_b21_a_lease_lasts_thirty_seconds_and_is_renewed_every_ten(world: RehearsedWorld) -> None:
    """Departs (W7) from 15 minutes; both can be set, within what the budget allows."""
    world.worker(job(an_hour), max_running=1)
    world.worker(job(an_hour), max_running=1, timings=LeaseTimings.scaled(60), name="slow")
    for name in ("p", "q"):
        world.client.start("job", id=name)
    world.run_for(2)
    terms: dict[str, int] = {}
    for name in ("p", "q"):
        now = row(world, name)
        terms[world.holder(name).name] = now.expires_at - now.changed_at
    assert terms == {"w1": 30_000, "slow": 60_000}
    timings = LeaseTimings()
    assert (timings.ttl, timings.renew_interval) == (30.0, 10.0)
    with pytest.raises(ValueError, match="ttl"):
        LeaseTimings(ttl=10.0, renew_interval=10.0)
