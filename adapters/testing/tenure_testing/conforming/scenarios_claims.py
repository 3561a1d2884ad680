"""Scenarios: which rows a claim gets, in which order, how often, and after which wait (CONTRACT §4)."""

from __future__ import annotations

from tenure.process import ClaimId
from tenure.replies import Claimed
from tenure.requests import (
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    Get,
    Prune,
    Register,
    Release,
    RequestCancel,
)
from tenure_testing.conforming.story import HORIZON, SHORT, TTL, K, Story, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import external, success


@scenario("S19")
def claims_go_by_seq_where_all_are_ready(story: Story) -> None:
    """Rows that were ready at the same time are granted in the order of their registration, at most `limit`."""
    story.register("a", "b", "c", "d")
    story.get_next("a", limit=1)
    story.get_next("b", "c", limit=2)
    story.get_next("d")


@scenario("S19")
def claims_go_by_ready_at_first(story: Story) -> None:
    """A row that is ready earlier goes before one that was registered earlier."""
    story.register("late", delay=200)
    story.register("early", delay=100)
    story.register("now")
    story.later(200)
    story.get_next("now", "early", "late")


@scenario("S19")
def what_was_given_back_goes_behind_what_was_ready_before(story: Story) -> None:
    """A Release sets `ready_at`, and with it the row's place in the order."""
    story.register("a", "b")
    (a,) = story.get_next("a", limit=1)
    story.later(5)
    story.register("c")
    story.ok(Release(a))
    story.get_next("b", "a", "c")


@scenario("S19 L1")
def what_was_lost_keeps_its_place(story: Story) -> None:
    """A row whose holder was lost is first in the order again, not behind what came since."""
    story.started("first")
    story.later(1)
    story.register("second")
    story.later(TTL)
    story.register("third")
    story.get_next("first", "second", owner="x", limit=2)


@scenario("S19")
def one_order_over_all_kinds_and_profiles(story: Story) -> None:
    """However the filter lists its kinds, twice or in another order, there is one order over all rows that it wants."""
    for place, name in enumerate("abcdefgh"):
        story.register(name, kind=("k", "j", "i")[place % 3], profile=("", "mine")[place % 2])
        story.later(place % 2)
    wanted = ClaimFilter("mine", ("j", "k", "i", "none", "j"))
    story.get_next(*"abcde", limit=5, of=wanted)
    story.get_next(*"fgh", limit=5, of=wanted)


@scenario("S15 S19")
def a_profile_is_empty_or_mine(story: Story) -> None:
    """A worker gets what names its host profile or none, never what names another's."""
    story.register("any")
    story.register("mine", profile="linux")
    story.register("theirs", profile="windows")
    story.get_next("any", "mine", of=ClaimFilter("linux", ("k",)))
    story.get_next(of=ClaimFilter("", ("k",)))
    story.get_next("theirs", of=ClaimFilter("windows", ("k",)))


@scenario("S19")
def only_kinds_that_the_worker_handles(story: Story) -> None:
    """A row of another kind waits for a worker that handles it; no kinds, no rows."""
    story.register("mine")
    story.register("other", kind="other")
    story.get_next(of=ClaimFilter("", ()))
    story.get_next("mine")
    story.get_next("other", of=ClaimFilter("", ("other",)))


@scenario("S12")
def the_excluded_are_left_alone(story: Story) -> None:
    """A worker names the processes whose handlers it still runs detached; it gets what stands behind them."""
    story.register("a", "b", "c", "d")
    story.get_next("c", limit=1, of=ClaimFilter("", ("k",), ("a", "b", "nobody")))
    story.get_next("a", "b", limit=2)


@scenario("S3")
def external_rows_are_never_claimed(story: Story) -> None:
    """Work that is done elsewhere has no handler: neither claim gets it, whatever the kinds."""
    story.ok(Register(external("x")))
    story.get_next(of=ClaimFilter("", ("", "k")))
    story.refused("external", Claim(ClaimId("w", 9), "x", TTL))


@scenario("S3")
def a_row_is_claimable_from_ready_at_on(story: Story) -> None:
    """`ready_at <= s`: not a millisecond before, and at that very one."""
    story.register("p", delay=100)
    story.later(99)
    story.get_next()
    story.refused("not_ready", Claim(ClaimId("w", 9), "p", TTL))
    story.later(1)
    story.get_next("p")


@scenario("S3")
def a_released_row_waits_for_its_delay(story: Story) -> None:
    """A Release with a delay keeps everybody off until then, its last holder too."""
    fence = story.started()
    story.ok(Release(fence, 50))
    story.later(49)
    story.get_next()
    story.refused("not_ready", Claim(ClaimId("x", 1), "p", TTL))
    story.later(1)
    story.get_next("p")


@scenario("S3")
def a_live_lease_is_not_claimed(story: Story) -> None:
    """One millisecond before the expiry nobody gets the row, not even its own incarnation under another claim."""
    story.started()
    story.later(TTL - 1)
    story.get_next(owner="x")
    story.refused("held", Claim(ClaimId("x", 9), "p", TTL), Claim(ClaimId("w", 9), "p", TTL))


@scenario("S19")
def a_claim_answers_the_row_as_it_left_it(story: Story) -> None:
    """Lease and record are of one transaction: token, holder, expiry and counters are those of this claim."""
    story.register("p")
    reply = story.ok(ClaimNext(ClaimId("w", 7), TTL, 1, K), epoch=1)
    (grant,) = reply.grants
    row = story.row("p", held=True, claim=ClaimId("w", 7), claims=1, lost=0, expires_at=story.now + TTL)
    story.expect("the row in the reply", grant.record, row)
    story.expect("its version", row.version, row.token)


@scenario("S19 S22 K12")
def a_claim_changes_only_what_it_answers(story: Story) -> None:
    """What was not granted is exactly as it was, and can be claimed next."""
    story.register("a", "b", "c", "d")
    story.get_next("a", "b", limit=2)
    for name in "cd":
        story.row(name, held=False, token=0, claims=0)
    story.get_next("c", "d", owner="x")


@scenario("S10 S19 K12")
def a_claim_of_nothing_is_no_lease(story: Story) -> None:
    """A claim that finds no row answers no lease."""
    story.get_next()
    story.ok(ClaimNext(ClaimId("w", 3), TTL, 0, K), grants=())


@scenario("S10 S18 S20")
def an_equal_claim_is_a_replay(story: Story) -> None:
    """The same claim again answers the same leases, with nothing new, extended or counted."""
    story.register("a", "b", "c")
    request = ClaimNext(ClaimId("w", 1), TTL, 2, K)
    reply = story.ok(request)
    story.later(10)
    story.again(request, reply)
    story.row("a", claims=1, expires_at=story.now - 10 + TTL)
    story.row("c", held=False)


@scenario("S10")
def an_equal_claim_answers_what_is_left_of_it(story: Story) -> None:
    """Rows of the claim that have ended or were given back since are not answered again."""
    story.register("a", "b", "c")
    request = ClaimNext(ClaimId("w", 1), TTL, 3, K)
    a, b, _ = (grant.fence for grant in story.ok(request).grants)
    story.ok(Complete(a, success()))
    story.ok(Release(b))
    left: Claimed = story.ok(request)
    story.expect("left", [grant.record.id for grant in left.grants], ["c"])


@scenario("S5 S10")
def an_expired_claim_is_not_replayed(story: Story) -> None:
    """A repeated claim revives no expired lease, and gets nothing in its stead."""
    story.register("p")
    request = ClaimNext(ClaimId("w", 1), TTL, 1, K)
    story.ok(request)
    story.later(TTL)
    story.ok(request, grants=())
    story.ok(Claim(ClaimId("w", 1), "p", TTL), grants=())
    story.row("p", claims=1)


@scenario("S10")
def a_claim_whose_row_somebody_took_is_not_replayed(story: Story) -> None:
    """After a take-over the repeated claim answers nothing: the row carries another claim."""
    story.register("p")
    request = ClaimNext(ClaimId("w", 1), TTL, 1, K)
    story.ok(request)
    story.later(TTL)
    story.take("p", "x")
    story.ok(request, grants=())


@scenario("S10")
def a_repeated_claim_is_not_asked_what_it_wants_now(story: Story) -> None:
    """The claim id alone says that it is a replay, whatever ttl, limit and filter come with it."""
    story.register("a", "b")
    story.get_next("a", limit=1)
    left: Claimed = story.ok(ClaimNext(ClaimId("w", 1), 9 * TTL, 10, ClaimFilter("", ("other",))))
    story.expect("the same", [grant.record.id for grant in left.grants], ["a"])
    story.row("a", expires_at=story.now + TTL)


@scenario("S10")
def a_lower_claim_is_fenced(story: Story) -> None:
    """A claim that arrives after a later one of its worker is a zombie: its worker does not wait for it any more."""
    story.register("a", "b", "c")
    story.ok(ClaimNext(ClaimId("w", 5), TTL, 1, K))
    story.fenced(ClaimNext(ClaimId("w", 4), TTL, 1, K), Claim(ClaimId("w", 4), "b", TTL))
    story.row("b", held=False)


@scenario("S10 K13")
def claim_numbers_are_an_incarnations_own(story: Story) -> None:
    """Another incarnation's number 1 has nothing to do with mine."""
    story.register("a", "b", "c")
    story.ok(ClaimNext(ClaimId("w", 5), TTL, 1, K))
    story.get_next("b", owner="x", limit=1)
    story.ok(ClaimNext(ClaimId("w", 6), TTL, 1, K))
    story.row("c", claim=ClaimId("w", 6))


@scenario("S10")
def a_claim_that_granted_nothing_leaves_no_trace(story: Story) -> None:
    """Its number may be used again, and a lower one after it."""
    story.ok(ClaimNext(ClaimId("w", 5), TTL, 10, K), grants=())
    story.register("p")
    story.ok(ClaimNext(ClaimId("w", 5), TTL, 10, ClaimFilter("", ("other",))), grants=())
    story.get_next("p")


@scenario("S10", limits=SHORT)
def a_claim_number_is_kept_for_the_retry_horizon(story: Story) -> None:
    """Within the horizon a lower claim is Fenced; pruning later forgets it."""
    story.register("a", "b", "c")
    story.ok(ClaimNext(ClaimId("w", 5), TTL, 1, K))
    story.later(HORIZON)
    story.ok(Prune(), count=0)
    story.fenced(ClaimNext(ClaimId("w", 4), TTL, 1, K))
    story.later(1)
    story.ok(Prune(), count=0)
    reply: Claimed = story.ok(ClaimNext(ClaimId("w", 4), TTL, 1, K))
    story.expect("granted", len(reply.grants), 1)


@scenario("S3 S10")
def a_single_claim_is_repeatable(story: Story) -> None:
    """Claim of one process: the same claim id is a replay, another one is refused while the lease lives."""
    story.register("p")
    request = Claim(ClaimId("w", 1), "p", TTL)
    story.again(request, story.ok(request))
    story.refused("held", Claim(ClaimId("w", 2), "p", TTL))
    story.refused("not_found", Claim(ClaimId("w", 2), "nobody", TTL))


@scenario("S3 S7 K10")
def what_has_ended_is_not_claimed(story: Story) -> None:
    """No claim gets a row with an outcome, however long ago its lease expired; its own claim again answers nothing."""
    fence = story.started()
    story.ok(Complete(fence, success()))
    story.later(10 * TTL)
    story.get_next(owner="x")
    story.refused("ended", Claim(ClaimId("x", 9), "p", TTL))
    story.ok(Claim(fence.claim, "p", TTL), grants=())


@scenario("S16")
def what_was_cancelled_while_it_waited_is_not_claimed(story: Story) -> None:
    """A cancel of a waiting row ends it, so nobody starts it."""
    story.register("p")
    story.ok(RequestCancel("p", "no need"))
    story.get_next()
    story.refused("ended", Claim(ClaimId("w", 9), "p", TTL))


@scenario("S16")
def a_take_over_brings_the_cancel_flag_along(story: Story) -> None:
    """Who takes over a row that was to be cancelled learns it from the claim's own reply, before it starts anything."""
    story.started()
    story.ok(RequestCancel("p", "stop"))
    story.later(TTL)
    fence = story.take("p", "x")
    story.row("p", cancel="stop", held=True, token=fence.token)


@scenario("S3")
def an_owner_is_a_name_like_any_other(story: Story) -> None:
    """Blank, too long, or with U+0000: refused, by both kinds of claim, with nothing granted."""
    story.register("p")
    for owner, reason in (
        ("", "blank"),
        (" \t", "blank"),
        ("x" * 256, "name_too_long"),
        ("a\0b", "bad_text"),
    ):
        story.refused(reason, ClaimNext(ClaimId(owner, 1), TTL, 1, K), Claim(ClaimId(owner, 1), "p", TTL))
    story.row("p", held=False)


@scenario("S19", Ability.SURROGATES)
def a_filter_may_name_what_no_row_can_have(story: Story) -> None:
    """Kinds, profile and exclusions that are no Unicode text match nothing; the rest of the filter still holds."""
    story.register("p")
    story.get_next("p", of=ClaimFilter("\ud800", ("\ud800", "\0", "k"), ("\ud800",)))


@scenario("S23")
def a_refused_claim_leaves_the_version(story: Story) -> None:
    """Neither held, nor ended, nor not ready costs a version."""
    story.started("p")
    version = story.row("p").version
    story.refused("held", Claim(ClaimId("x", 1), "p", TTL))
    story.row("p", version=version)
    story.ok(Get("p"))


SCENARIOS = told_in(globals())
