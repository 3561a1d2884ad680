"""Checks of claims: which rows, in which order, how often, and after which wait (CONTRACT §4; S2, S3, S19, S20)."""

from __future__ import annotations

from tenure.canonical import NULL
from tenure.claims import free_at
from tenure.limits import Limits
from tenure.process import ClaimId, Fence, Record
from tenure.replies import Claimed, Reason, Registered, Released
from tenure.requests import (
    Claim,
    ClaimFilter,
    ClaimNext,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure_testing.registry_world import TTL, World, expect, external, holds


def claims_go_by_ready_at_then_seq(world: World) -> None:
    """ClaimNext: in the order of (ready_at, seq), always from the head, at most `limit`; what is ready is got (L1)."""
    for name in ("a", "b", "c", "d"):
        world.register(name)
    first = world.claim("w", 1, limit=1)
    expect([grant.record.id for grant in first], ["a"])
    world.clock.now += 5
    world.reply(Release(first[0].fence), Released)
    world.register("late-but-first", delay=0)
    expect(world.claim_ids("w", 2, limit=2), ["b", "c"])
    expect(
        world.claim_ids("w", 3),
        ["d", "a", "late-but-first"],
        "given back at the time of a later registration",
    )


def claims_merge_kinds_and_profiles_in_order(world: World) -> None:
    """One order over all kinds and profiles that the filter names, whatever order it names them in."""
    for place, name in enumerate("abcdefgh"):
        world.register(name, kind=("k", "j", "i")[place % 3], profile=("", "mine")[place % 2])
        world.clock.now += place % 2
    wanted = ClaimFilter("mine", ("j", "k", "i", "none", "j"))
    expect(world.claim_ids("w", 1, limit=5, wanted=wanted), list("abcde"))
    expect(world.claim_ids("w", 2, limit=5, wanted=wanted), list("fgh"))


def claims_take_only_what_the_filter_wants(world: World) -> None:
    """ClaimNext: kind among mine, profile empty or mine, id not in `exclude`, never an external row."""
    world.register("any")
    world.register("mine", profile="linux")
    world.register("theirs", profile="windows")
    world.register("other", kind="other")
    world.register("left-alone")
    world.reply(Register(external("outside")), Registered)
    wanted = ClaimFilter("linux", ("k", ""), ("left-alone", "nobody"))
    expect(world.claim_ids("w", 1, wanted=wanted), ["any", "mine"])
    expect(world.claim_ids("w", 2, wanted=ClaimFilter("", ())), [], "no kinds, no rows")
    expect(world.claim_ids("w", 3, wanted=ClaimFilter("", ("k", "other"))), ["other", "left-alone"])


def exclusion_does_not_use_up_the_limit(world: World) -> None:
    """`exclude` passes over rows at the head; as many as wanted are found behind them."""
    names = [f"p{n:02}" for n in range(30)]
    for name in names:
        world.register(name)
    wanted = ClaimFilter("", ("k",), tuple(names[:20]))
    expect(world.claim_ids("w", 1, limit=3, wanted=wanted), names[20:23])
    expect(world.claim_ids("w", 2, limit=2), names[:2], "what was passed over is still at the head")


def a_delay_is_waited_for(world: World) -> None:
    """Register and Release with a delay: claimable from `ready_at` on, which is inclusive (C1, L1)."""
    world.register("p", delay=100)
    world.clock.now += 99
    expect(world.claim_ids("w", 1), [])
    world.refused(Claim(ClaimId("w", 1), "p", TTL), Reason.NOT_READY)
    world.clock.now += 1
    fence = world.take("p")
    world.reply(Release(fence, 50), Released)
    world.clock.now += 49
    expect(world.claim_ids("w", 2), [])
    world.clock.now += 1
    expect(world.claim_ids("w", 2), ["p"])


def a_live_lease_is_not_claimed_and_expiry_is_exclusive(world: World) -> None:
    """S3: not live means `s >= expiry`; one millisecond before, nobody gets the row."""
    fence = world.started()
    world.clock.now += TTL - 1
    expect(world.claim_ids("x", 1), [])
    world.refused(Claim(ClaimId("x", 1), "p", TTL), Reason.HELD)
    world.refused(Claim(ClaimId("w", 2), "p", TTL), Reason.HELD)
    world.clock.now += 1
    (grant,) = world.claim("x", 1)
    holds(grant.fence.token > fence.token, "a take-over raises the token")
    expect((grant.record.claims, grant.record.lost), (2, 1))
    world.fenced(Renew(fence, TTL))


def a_claim_answers_lease_and_record_together(world: World) -> None:
    """ClaimNext: leases and records, as the claim left them (S19); token, claim id and counters are in the row."""
    world.register("p")
    before = world.record("p")
    (grant,) = world.claim("w", 7)
    row = grant.record
    expect(world.record("p"), row)
    expect(grant.fence, Fence("p", ClaimId("w", 7), row.token))
    expect((row.held, row.claim, row.claims, row.lost), (True, ClaimId("w", 7), 1, 0))
    expect((row.expires_at, row.changed_at), (world.clock.now + TTL, world.clock.now))
    holds(row.version > before.version and row.token > before.token, "version and token grew")


def an_equal_claim_is_a_replay(world: World) -> None:
    """S10: an equal n answers the live unfinished rows that still carry it: nothing new, extended or counted."""
    for name in ("a", "b", "c"):
        world.register(name)
    request = ClaimNext(ClaimId("w", 1), TTL, 2, ClaimFilter("", ("k",)))
    answer = world.ask(request)
    world.repeats(request, answer)
    a, b = (grant.fence for grant in world.reply(request, Claimed).grants)
    world.clock.now += 10
    world.complete(a)
    left = world.reply(request, Claimed).grants
    expect([grant.fence for grant in left], [b])
    expect(left[0].record, world.record("b"))
    world.reply(Release(b), Released)
    expect(world.reply(request, Claimed).grants, ())
    world.clock.now += 10 * TTL
    expect(world.claim_ids("w", 1), [], "the same claim gets nothing new, ever")
    expect(world.claim_ids("w", 2), ["c", "b"])


def an_expired_claim_is_not_replayed(world: World) -> None:
    """The rows of an equal n must be live: an expired lease is never revived (S5)."""
    world.register("p")
    expect(world.claim_ids("w", 1), ["p"])
    world.clock.now += TTL
    expect(world.claim_ids("w", 1), [])


def a_lower_claim_is_fenced(world: World) -> None:
    """The highest n that granted rows is kept per incarnation; a lower one is Fenced, another's is its own."""
    for name in ("a", "b", "c"):
        world.register(name)
    expect(world.claim_ids("w", 5, limit=1), ["a"])
    world.fenced(ClaimNext(ClaimId("w", 4), TTL, 1, ClaimFilter("", ("k",))))
    world.fenced(Claim(ClaimId("w", 4), "b", TTL))
    expect(world.claim_ids("x", 1, limit=1), ["b"])
    expect(world.claim_ids("w", 6, limit=1), ["c"])


def a_claim_that_granted_nothing_leaves_no_trace(world: World) -> None:
    """ClaimNext: such an n may be used again, and a lower one after it."""
    expect(world.claim_ids("w", 5), [])
    world.register("p")
    expect(world.claim_ids("w", 3, limit=0), [])
    expect(world.claim_ids("w", 3), ["p"])


def a_single_claim_follows_the_same_rules(world: World) -> None:
    """Claim: a live lease under another claim id refuses even the same incarnation; the same id is a replay."""
    world.register("p")
    request = Claim(ClaimId("w", 1), "p", TTL)
    answer = world.ask(request)
    world.repeats(request, answer)
    world.refused(Claim(ClaimId("w", 2), "p", TTL), Reason.HELD)
    world.refused(Claim(ClaimId("w", 2), "nobody", TTL), Reason.NOT_FOUND)
    world.reply(Register(external("outside")), Registered)
    world.refused(Claim(ClaimId("w", 2), "outside", TTL), Reason.EXTERNAL)
    world.complete(Fence("p", ClaimId("w", 1), world.record("p").token))
    world.refused(Claim(ClaimId("w", 2), "p", TTL), Reason.ENDED)
    expect(world.reply(request, Claimed).grants, (), "an ended row is not answered to a repeated claim")


def take_overs_wait_longer_each_time(world: World) -> None:
    """Counters: the k-th take-over in a row waits backoff(k) after the expiry: 0, then doubling, capped."""
    limits = Limits()
    world.started()
    for k in range(1, 11):
        row = world.record("p")
        wait = 0 if k == 1 else min(limits.takeover_cap, limits.takeover_wait << (k - 2))
        expect(free_at(row, limits), row.expires_at + wait, f"when take-over {k} may come")
        world.clock.now = row.expires_at + wait - 1
        expect(world.claim_ids("x", k), [], f"before take-over {k}")
        world.clock.now += 1
        (grant,) = world.claim("x", k)
        expect((grant.record.lost, grant.record.claims), (k, k + 1))


def a_renewal_keeps_the_take_over_wait(world: World) -> None:
    """Renew moves the expiry, and with it the moment from which the next take-over waits."""
    world.started()
    world.clock.now += TTL
    (grant,) = world.claim("x", 1)
    world.clock.now += 10
    world.ask(Renew(grant.fence, TTL))
    row = world.record("p")
    expect(
        (row.expires_at, free_at(row, Limits())),
        (world.clock.now + TTL, world.clock.now + TTL + Limits().takeover_wait),
    )


def what_was_lost_keeps_its_place(world: World) -> None:
    """ClaimNext: a row whose holder was lost is first in the order again, not behind what came since (L1)."""
    world.started()
    world.clock.now += 1
    world.register("later")
    world.clock.now += TTL
    world.register("last")
    expect(world.claim_ids("x", 1, 2), ["p", "later"])


def rows_renewed_often_are_taken_over(world: World) -> None:
    """Renew: however often a lease was renewed, what is held beside it, and it itself, are free after their expiry."""
    for name in ("a", "b", "c"):
        world.register(name)
    a, *_ = (grant.fence for grant in world.claim("w", 1))
    world.batch(*(Renew(a, TTL + n) for n in range(300)))
    world.clock.now += TTL
    expect(world.claim_ids("x", 1), ["b", "c"])
    world.clock.now += 299
    expect(world.claim_ids("x", 2), ["a"])


def progress_resets_the_lost_counter(world: World) -> None:
    """`lost` is set to 0 by a Release and by a newly recorded effect, by nothing else (S20)."""
    world.started()
    world.clock.now += TTL
    (grant,) = world.claim("x", 1)
    effect = RecordEffect(grant.fence, "e", "f", NULL)
    world.ask(effect)
    row = world.record("p")
    expect((row.lost, free_at(row, Limits())), (0, row.expires_at))
    world.clock.now = row.expires_at
    (grant,) = world.claim("y", 1)
    expect(grant.record.lost, 1)
    world.ask(RecordEffect(grant.fence, "e", "f", NULL))
    world.ask(Renew(grant.fence, TTL))
    expect(world.record("p").lost, 1, "an effect that was there already is no progress")
    world.reply(Release(grant.fence), Released)
    expect(world.record("p").lost, 0)
    (grant,) = world.claim("y", 2)
    expect((grant.record.lost, grant.record.claims), (0, 4), "claiming what was given back is no take-over")


def tokens_and_versions_only_grow(world: World) -> None:
    """S2: through release, expiry, completion, prune and re-registration, no token or version comes again."""
    stamps: list[int] = [world.register("p").version]

    def claimed(owner: str) -> Fence:
        fence = world.take("p", owner)
        expect(world.record("p").version, fence.token, "the claim's version is its token")
        stamps.append(fence.token)
        return fence

    world.reply(Release(claimed("a")), Released)
    stamps.append(world.record("p").version)
    claimed("b")
    world.clock.now += TTL
    world.complete(claimed("c"))
    stamps.append(world.record("p").version)
    world.clock.now += Limits().retry_horizon + 1
    world.ask(Prune())
    again = world.register("p")
    expect((again.token, world.record("p").claims), (0, 0), "a new process under an old id")
    stamps.append(again.version)
    claimed("d")
    expect(stamps, sorted(set(stamps)), "strictly growing")


def bad_claims_are_refused(world: World) -> None:
    """The incarnation is a name like any other, on every store; a filter may name what no row can have."""
    world.register("p")
    wanted = ClaimFilter("", ("k",))
    for owner, reason in (
        ("", Reason.BLANK),
        ("\ud800", Reason.BAD_TEXT),
        ("a\0b", Reason.BAD_TEXT),
        ("x" * 256, Reason.NAME_TOO_LONG),
    ):
        world.refused(ClaimNext(ClaimId(owner, 1), TTL, 1, wanted), reason)
        world.refused(Claim(ClaimId(owner, 1), "p", TTL), reason)
    expect(world.claim_ids("w", 1, wanted=ClaimFilter("\ud800", ("\ud800", "\0", "k"), ("\ud800",))), ["p"])


def a_claim_changes_only_what_it_answers(world: World) -> None:
    """S19, S22: every row that a claim did not answer is as it was; every one that it did, is as answered."""
    for name in ("a", "b", "c", "d"):
        world.register(name)
    before = {row.id: row for row in world.rows()}
    granted: dict[str, Record] = {grant.record.id: grant.record for grant in world.claim("w", 1, limit=2)}
    expect({row.id: row for row in world.rows()}, before | granted)


def a_cancelled_or_ended_row_is_not_claimed(world: World) -> None:
    """S3, S16: no outcome may be there; a cancel of a waiting row ends it, so nobody starts it."""
    world.register("a")
    world.complete(world.started("b"))
    world.ask(RequestCancel("a"))
    world.clock.now += 10 * TTL
    expect(world.claim_ids("x", 1), [])


CLAIM_CHECKS = (
    claims_go_by_ready_at_then_seq,
    claims_merge_kinds_and_profiles_in_order,
    claims_take_only_what_the_filter_wants,
    exclusion_does_not_use_up_the_limit,
    a_delay_is_waited_for,
    a_live_lease_is_not_claimed_and_expiry_is_exclusive,
    a_claim_answers_lease_and_record_together,
    an_equal_claim_is_a_replay,
    an_expired_claim_is_not_replayed,
    a_lower_claim_is_fenced,
    a_claim_that_granted_nothing_leaves_no_trace,
    a_single_claim_follows_the_same_rules,
    take_overs_wait_longer_each_time,
    a_renewal_keeps_the_take_over_wait,
    what_was_lost_keeps_its_place,
    rows_renewed_often_are_taken_over,
    progress_resets_the_lost_counter,
    tokens_and_versions_only_grow,
    bad_claims_are_refused,
    a_claim_changes_only_what_it_answers,
    a_cancelled_or_ended_row_is_not_claimed,
)
