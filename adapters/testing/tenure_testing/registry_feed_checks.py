"""Checks of store time, the fence log and the feed (CONTRACT §1, §4, §9; C1)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from tenure.canonical import NULL
from tenure.limits import Limits
from tenure.process import ClaimId, Fence
from tenure.replies import (
    Claimed,
    FenceNote,
    Released,
    Renewed,
)
from tenure.requests import (
    LARGEST,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    EmitEvent,
    Get,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure.stores import Cursor
from tenure_testing.registry_world import TTL, World, expect, holds, process, success

PATIENCE = 10.0
"""Seconds that a check waits for a thread; a bound, not a speed."""

# --- time ---------------------------------------------------------------------------------------------------------


def a_rows_time_never_goes_back(world: World) -> None:
    """C1: store time is max(clock, the row's last change): a clock set back neither revives nor ends a lease early."""
    fence = world.started()
    world.clock.now += 500
    expires = world.reply(Renew(fence, TTL), Renewed).expires_at
    changed = world.record("p").changed_at
    world.clock.now -= 100_000
    again = world.reply(Renew(fence, TTL), Renewed)
    expect((again.expires_at, again.stamp.at), (expires, changed), "no shorter, no earlier")
    expect(world.claim_ids("x", 1), [], "and still live")
    world.clock.now = expires
    expect(world.claim_ids("x", 1), ["p"])
    world.clock.now -= 100_000
    world.fenced(Renew(fence, TTL))
    (row,) = world.rows()
    expect(
        world.reply(ClaimNext(ClaimId("x", 1), TTL, 1, ClaimFilter("", ("k",))), Claimed).grants[0].record,
        row,
    )


def what_was_ready_stays_ready(world: World) -> None:
    """C1: a row given back at some time is claimable at that time, though the clock was set back since; one that
    still waits for its delay is not."""
    world.register("waits", delay=50)
    fence = world.started()
    world.clock.now += 10
    world.reply(Release(fence), Released)
    world.clock.now -= 100_000
    world.register("new")
    expect(world.claim_ids("x", 1), ["new", "p"])
    expect(world.record("p").changed_at, world.clock.now + 100_000)


def what_was_lost_stays_claimable(world: World) -> None:
    """C1: an expired row that a claim passed over is there for a later one, though the clock went back in between;
    so is one that was registered and claimed by one batch."""
    wanted = ClaimFilter("", ("k",), ("p",))
    world.batch(Register(process("p")), Claim(ClaimId("w", 1), "p", TTL))
    world.clock.now += 2 * TTL
    expect(world.claim_ids("x", 1, wanted=wanted), [], "passed over")
    expect(world.claim_ids("x", 1, limit=0), [])
    world.clock.now -= 2 * TTL
    expect(world.claim_ids("x", 1), [], "live again, by the clock")
    world.clock.now += 2 * TTL
    expect(world.claim_ids("x", 1), ["p"])


# --- the fence log ------------------------------------------------------------------------------------------------


def refusals_are_noted(world: World) -> None:
    """Fence log: each Fenced request, and a Complete's conflict, newest first; nothing else."""
    fence = world.started()
    world.complete(fence)
    world.clock.now += 7
    world.ask(Renew(fence, TTL))
    world.ask(Complete(fence, success("other")))
    world.ask(Release(Fence("gone", ClaimId("z", 3), 99)))
    world.ask(Complete(fence, success()))
    world.ask(Get("gone"))
    wanted = (
        FenceNote("gone", "Release", 99, 0, "z", world.clock()),
        FenceNote("p", "Complete", fence.token, fence.token, "w", world.clock()),
        FenceNote("p", "Renew", fence.token, fence.token, "w", world.clock()),
    )
    read = world.fence_log()
    expect((read.notes, read.total), (wanted, 3))
    expect(world.fence_log(1).notes, wanted[:1])


def the_newest_refusals_are_kept(world: World) -> None:
    """Fence log: the newest 10,000 are kept, all are counted."""
    kept = Limits().fence_log
    world.register("p")
    for start in range(0, kept + 1_000, 1_000):
        world.batch(*(Renew(Fence("p", ClaimId("w", 1), n), TTL) for n in range(start + 1, start + 1_001)))
    read = world.fence_log(2 * kept)
    expect((len(read.notes), read.total), (kept, kept + 1_000))
    expect((read.notes[0].stale, read.notes[-1].stale), (kept + 1_000, 1_001))


# --- the feed -----------------------------------------------------------------------------------------------------


def the_cursor_follows_versions_and_work(world: World) -> None:
    """CONTRACT §9: `version` moves with every accepted mutation; `work` with a registration, a release that gives
    back, and a cancel flag on a held row; neither with a refusal or a replay."""

    def cursor() -> Cursor:
        return world.store.wait(Cursor(), 0)

    def after(act: Callable[[], object], *, version: bool, work: bool) -> None:
        before = cursor()
        act()
        now = cursor()
        expect((now.version > before.version, now.work > before.work), (version, work), f"cursor after {act}")
        holds(now.work <= now.version, "work is a version")

    expect(cursor(), Cursor(0, 0), "of an empty store")
    after(lambda: world.register("p"), version=True, work=True)
    after(lambda: world.register("p"), version=False, work=False)
    after(lambda: world.take("p"), version=True, work=False)
    fence = Fence("p", ClaimId("w", 1), world.record("p").token)
    after(lambda: world.ask(Renew(fence, TTL)), version=True, work=False)
    after(lambda: world.ask(EmitEvent(fence, "progress", NULL, "k")), version=True, work=False)
    after(lambda: world.ask(Renew(Fence("p", fence.claim, 99), TTL)), version=False, work=False)
    after(lambda: world.ask(Release(fence)), version=True, work=True)
    after(lambda: world.ask(Release(fence)), version=False, work=False)
    after(lambda: world.take("p", "w", 2), version=True, work=False)
    after(lambda: world.ask(RequestCancel("p")), version=True, work=True)
    after(lambda: world.ask(RequestCancel("p")), version=False, work=False)
    last = Fence("p", ClaimId("w", 2), world.record("p").token)
    after(lambda: world.ask(Release(last)), version=True, work=False)
    after(lambda: world.register("q"), version=True, work=True)
    after(lambda: world.ask(RequestCancel("q")), version=True, work=False)


def waiting_ends_at_once_where_the_cursor_moved(world: World) -> None:
    """CONTRACT §9: read the cursor, then the state, then wait: what happened in between is not missed."""
    before = world.store.wait(Cursor(), 0)
    world.register("p")
    now = world.store.wait(before, PATIENCE)
    holds(now.version > before.version and now.work > before.work, "moved")
    expect(world.store.wait(now, 0), now, "nothing new")


def waiting_is_woken(world: World) -> None:
    """CONTRACT §9: a waiter returns when another thread's batch is committed, long before its time-out. Either half
    of the cursor wakes: who only looks for work passes a version that is far ahead."""
    for number, ahead in enumerate((0, LARGEST)):
        now = world.store.wait(Cursor(), 0)
        before, seen = Cursor(now.version + ahead, now.work), list[Cursor]()

        def wait(before: Cursor = before, seen: list[Cursor] = seen) -> None:
            seen.append(world.store.wait(before, 10 * PATIENCE))

        waiter = Thread(target=wait, daemon=True)
        waiter.start()
        world.register(f"p{number}")
        waiter.join(PATIENCE)
        expect([cursor.work > before.work for cursor in seen], [True])


def closing_wakes_and_is_repeatable(world: World) -> None:
    """`wait` returns soon after `close`; closing twice is closing once."""
    before = world.store.wait(Cursor(), 0)
    waiter = Thread(target=lambda: world.store.wait(before, 10 * PATIENCE), daemon=True)
    waiter.start()
    world.store.close()
    waiter.join(PATIENCE)
    holds(not waiter.is_alive(), "the waiter returned")
    world.store.close()


FEED_CHECKS = (
    a_rows_time_never_goes_back,
    what_was_ready_stays_ready,
    what_was_lost_stays_claimable,
    refusals_are_noted,
    the_newest_refusals_are_kept,
    the_cursor_follows_versions_and_work,
    waiting_ends_at_once_where_the_cursor_moved,
    waiting_is_woken,
    closing_wakes_and_is_repeatable,
)
