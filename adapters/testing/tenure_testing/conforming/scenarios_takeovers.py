"""Scenarios: when a lease is over, what a take-over costs, and that tokens only grow (C1; S2, S5, S20)."""

from __future__ import annotations

from tenure.canonical import NULL
from tenure.process import ClaimId, External, Registration
from tenure.requests import (
    Claim,
    Complete,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
)
from tenure_testing.conforming.story import HORIZON, SHORT, TTL, Story, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import success


@scenario("S5 K18")
def expiry_is_exclusive(story: Story) -> None:
    """At the very millisecond of its expiry a lease is over: the row can be taken, and cannot be renewed."""
    fence = story.started()
    story.later(TTL)
    story.fenced(Renew(fence, TTL), RecordEffect(fence, "e", "f", NULL))
    story.get_next("p", owner="x")


@scenario("S5 K18")
def a_lease_lives_until_the_millisecond_before(story: Story) -> None:
    """One millisecond before its expiry a lease is renewed."""
    fence = story.started()
    story.later(TTL - 1)
    story.ok(Renew(fence, TTL), expires_at=story.now + TTL)


@scenario("S5 S20")
def a_take_over_is_counted_and_gets_a_new_token(story: Story) -> None:
    """Claiming an expired row raises the token, `claims` and `lost`."""
    old = story.started()
    story.later(TTL)
    (new,) = story.get_next("p", owner="x")
    row = story.row("p", claims=2, lost=1, held=True, claim=ClaimId("x", 1), token=new.token)
    story.expect("grown", row.token > old.token, True)


@scenario("S20")
def claiming_what_was_given_back_is_no_take_over(story: Story) -> None:
    """`claims` counts it, `lost` does not."""
    story.ok(Release(story.started()))
    story.take("p", "x")
    story.row("p", claims=2, lost=0)


@scenario("S20 L1")
def the_second_take_over_waits(story: Story) -> None:
    """backoff(1) is 0, backoff(2) the wait: a process that kills its workers is tried ever more rarely."""
    story.started()
    story.later(TTL)
    story.take("p", "x")
    story.later(TTL + 999)
    story.get_next(owner="y")
    story.refused("not_ready", Claim(ClaimId("y", 9), "p", TTL))
    story.later(1)
    story.get_next("p", owner="z")
    story.row("p", lost=2)


@scenario("S20")
def take_overs_wait_twice_as_long_each_time_up_to_a_cap(story: Story) -> None:
    """The waits are 0, 1 s, 2 s, 4 s, ... and one minute at most."""
    story.started()
    for k, wait in enumerate((0, 1, 2, 4, 8, 16, 32, 60, 60), 1):
        story.later(TTL + wait * 1_000 - 1)
        story.get_next(owner=f"before-{k}")
        story.later(1)
        story.take("p", f"w{k}")
        story.row("p", lost=k, claims=k + 1)


@scenario("S20")
def a_renewal_moves_the_wait_along(story: Story) -> None:
    """The next take-over waits from the expiry that stands, not from the one that the claim set."""
    story.started()
    story.later(TTL)
    fence = story.take("p", "x")
    story.later(500)
    story.ok(Renew(fence, TTL), expires_at=story.now + TTL)
    story.later(TTL + 999)
    story.refused("not_ready", Claim(ClaimId("y", 1), "p", TTL))
    story.later(1)
    story.take("p", "y")


@scenario("S20")
def a_release_forgets_the_losses(story: Story) -> None:
    """`lost` counts take-overs in a row; who gives a process back has not lost it."""
    story.started()
    story.later(TTL)
    story.ok(Release(story.take("p", "x")))
    story.row("p", lost=0, claims=2)


@scenario("S20")
def a_new_effect_forgets_the_losses(story: Story) -> None:
    """An effect that was recorded is progress; one that was there already is none."""
    story.started()
    story.later(TTL)
    fence = story.take("p", "x")
    story.ok(RecordEffect(fence, "e", "f", NULL))
    story.row("p", lost=0)
    story.later(TTL)
    fence = story.take("p", "y")
    story.ok(RecordEffect(fence, "e", "f", NULL))
    story.row("p", lost=1)


@scenario("S17 S20")
def losing_a_process_for_ever_does_not_end_it(story: Story) -> None:
    """A store ends nothing by itself: at `max_lost` it is the claimer who writes the failure, under its own token."""
    story.started()
    for n in range(12):
        story.later(100_000)
        story.take("p", f"w{n}")
    story.row("p", outcome=None, lost=12)


@scenario("S2 K19")
def the_token_grows_through_a_release(story: Story) -> None:
    """A release takes no token back: the next claim has a higher one."""
    first = story.started()
    story.ok(Release(first))
    story.row("p", token=first.token, held=False)
    second = story.take("p", "w")
    story.expect("grown", second.token > first.token, True)
    story.fenced(Complete(first, success()))


@scenario("S2 K19 K20", limits=SHORT)
def the_token_grows_through_prune_and_registration(story: Story) -> None:
    """A process under an old id begins with no token, and its first claim's is higher than any before."""
    first = story.started()
    story.ok(Complete(first, success()))
    story.later(HORIZON + 1)
    story.ok(Prune(), count=1)
    story.register("p")
    story.row("p", token=0, claims=0, claim=None)
    second = story.take("p", "w")
    story.expect("grown", second.token > first.token, True)


@scenario("S2 S21 K19", Ability.REOPEN)
def the_token_grows_through_a_restart(story: Story) -> None:
    """The sequence is the store's, not the program's."""
    story.ok(Release(story.started()))
    story.reopen()
    story.take("p", "x")
    story.register("q")
    story.take("q", "x")


@scenario("S2")
def every_accepted_change_has_a_version_of_its_own(story: Story) -> None:
    """Versions of all rows are drawn from one sequence, and refusals draw none that shows."""
    a, b = story.started("a"), story.started("b")
    story.ok(Renew(a, TTL))
    story.refused("conflict", Register(Registration("a", External())))
    story.ok(Renew(b, TTL))
    story.ok(Renew(a, TTL))
    story.ok(Complete(b, success()))
    story.expect("order", story.row("a").version < story.row("b").version, True)


@scenario("S5 S9")
def rows_renewed_often_are_taken_over_at_their_last_expiry(story: Story) -> None:
    """However often a lease was renewed, it and its neighbours are free when their own last expiry says."""
    story.register("a", "b")
    a, _ = story.get_next("a", "b")
    story.batch(*(Renew(a, TTL + n) for n in range(20)))
    story.later(TTL)
    story.get_next("b", owner="x")
    story.later(19)
    story.get_next("a", owner="x")


@scenario("C1 S5 K6")
def store_time_of_a_row_never_goes_back(story: Story) -> None:
    """`s = max(store clock, the row's last accepted change)`: a clock set back prolongs and revives nothing."""
    fence = story.started()
    story.later(600)
    story.ok(Renew(fence, TTL), expires_at=story.now + TTL)
    story.later(-500)
    story.ok(Renew(fence, TTL + 1), expires_at=story.now + 500 + TTL + 1)
    story.row("p", changed_at=story.now + 500)


@scenario("C1 S3 K6")
def a_row_made_before_the_clock_went_back_is_claimable(story: Story) -> None:
    """A row is ready as of its own store time, so a clock that was set back hides no work."""
    story.later(1_000)
    story.register("p")
    story.later(-1_000)
    story.get_next("p")
    story.row("p", changed_at=story.now + 1_000, expires_at=story.now + 1_000 + TTL)


@scenario("C1 S8 K6")
def a_delay_begins_at_the_store_time_of_the_row(story: Story) -> None:
    """A clock that was set back shortens no delay: it is counted from the row's last accepted change."""
    fence = story.started()
    story.later(-500)
    story.ok(Release(fence, 30), outcome=None)
    ready = story.now + 500 + 30
    story.row("p", ready_at=ready, changed_at=story.now + 500)
    story.later(529)
    story.refused("not_ready", Claim(ClaimId("x", 1), "p", TTL))
    story.later(1)
    story.get_next("p", owner="y")


@scenario("C1 S3")
def an_expired_lease_may_be_live_again_when_the_clock_goes_back(story: Story) -> None:
    """Expiry is judged by the store's clock at each request, and nothing was written when it passed."""
    fence = story.started()
    story.later(TTL)
    story.fenced(Renew(fence, TTL))
    story.later(-1)
    story.ok(Renew(fence, TTL), expires_at=story.now + TTL)


SCENARIOS = told_in(globals())
