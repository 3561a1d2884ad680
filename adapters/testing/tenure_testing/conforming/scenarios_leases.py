"""Scenarios: what the holder of a lease can do, and what its requests answer when they come again (CONTRACT §3, §4)."""

from __future__ import annotations

from tenure.canonical import NULL, Json
from tenure.process import Cancelled, EndedBy, Failure, Outcome, Success
from tenure.requests import (
    Complete,
    EmitEvent,
    Prune,
    ReadEvents,
    Release,
    Renew,
    RequestCancel,
)
from tenure_testing.conforming.story import HORIZON, SHORT, SMALL, TTL, Story, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import success

# --- renewing -------------------------------------------------------------------------------------------------------


@scenario("S9")
def a_renewal_counts_from_store_time(story: Story) -> None:
    """The new expiry is store time plus ttl; token, claim and counters stay, the version grows."""
    fence = story.started()
    story.later(400)
    story.ok(Renew(fence, TTL), expires_at=story.now + TTL, cancel=None)
    story.row("p", token=fence.token, claim=fence.claim, claims=1, expires_at=story.now + TTL)


@scenario("S9")
def a_renewal_never_shortens(story: Story) -> None:
    """A renewal for less leaves the later expiry, and is accepted all the same."""
    fence = story.started()
    expiry = story.now + TTL
    story.ok(Renew(fence, 1), expires_at=expiry)
    story.ok(Renew(fence, 0), expires_at=expiry)


@scenario("S9")
def a_renewal_is_repeatable(story: Story) -> None:
    """It is no replay: each one counts from its own store time, and has a version of its own."""
    fence = story.started()
    first = story.ok(Renew(fence, TTL))
    story.later(1)
    second = story.ok(Renew(fence, TTL), expires_at=story.now + TTL)
    story.expect("versions grow", second.stamp.version > first.stamp.version, True)


@scenario("S16 L4 K17")
def a_renewal_carries_the_cancel_flag(story: Story) -> None:
    """So a cancel reaches the holder within one renewal, also where the feed's hint is lost; an empty reason is one."""
    fence = story.started()
    story.ok(RequestCancel("p", ""), outcome=None)
    story.ok(Renew(fence, TTL), cancel="")
    story.ok(Renew(fence, TTL), cancel="")


# --- completing -----------------------------------------------------------------------------------------------------


@scenario("S6")
def a_completion_ends_in_one_step(story: Story) -> None:
    """Outcome, terminal event and release come together; the terminal event is the last of the log, and numbered."""
    fence = story.started()
    story.ok(EmitEvent(fence, "progress", Json("1"), "k"), seq=1)
    story.later(3)
    story.ok(Complete(fence, success("yes")), outcome=success("yes"))
    story.row(
        "p", outcome=success("yes"), ended_by=EndedBy.COMPLETE, held=False, events=2, changed_at=story.now
    )
    read = story.ok(ReadEvents("p"), ended=True)
    story.expect("the log", [(e.seq, e.type) for e in read.events], [(1, "progress"), (2, "process.ended")])


OUTCOMES: dict[str, Outcome] = {
    "an empty success": Success(),
    "a value and control": Success(Json('{"a":[1,2.5,null]}'), Json('{"next":"q"}')),
    "a failure": Failure("ValueError", "bad", "it was bad", Json('["trace"]')),
    "an empty failure": Failure("", "", "", NULL, Json("[]")),
    "a cancellation": Cancelled("stopped", Json("1")),
    "text beyond ASCII": Failure("É", "\u2028", "\U0001f600 \uffff", Json('"é"')),
}


@scenario("S6 S10")
def every_kind_of_outcome_comes_back_equal(story: Story) -> None:
    """Successes, failures and cancellations, empty and full, are stored and answered as they were reported."""
    for name, outcome in OUTCOMES.items():
        fence = story.started(name)
        reply = story.ok(Complete(fence, outcome), outcome=outcome)
        story.again(Complete(fence, outcome), reply)
        story.row(name, outcome=outcome)


@scenario("S5")
def a_completion_does_not_test_the_expiry(story: Story) -> None:
    """While the token stands nobody took the process, and accepting late loses nothing."""
    fence = story.started()
    story.later(50 * TTL)
    story.ok(Complete(fence, success("late")), outcome=success("late"))


@scenario("S10 S11 S18")
def a_repeated_completion_answers_what_is_stored(story: Story) -> None:
    """The same outcome under the same token is a replay, with the stamp of the first."""
    fence = story.started()
    reply = story.ok(Complete(fence, success({"x": 1})))
    story.later(5)
    story.again(Complete(fence, success({"x": 1})), reply)


@scenario("S6 S11 K10")
def a_second_outcome_of_one_attempt_is_a_conflict(story: Story) -> None:
    """The same token with another outcome tells of a fault in the worker: refused, and the first stays."""
    fence = story.started()
    story.ok(Complete(fence, success(1)))
    story.refused("conflict", Complete(fence, success(2)), Complete(fence, Cancelled("no")))
    story.row("p", outcome=success(1))


@scenario("S11 S21 K24", Ability.REOPEN)
def a_completion_is_known_after_a_restart(story: Story) -> None:
    """Whoever never heard the answer may ask again after the store came back: same answer, or the same conflict."""
    fence = story.started()
    reply = story.ok(Complete(fence, success("kept")))
    story.reopen()
    story.row("p", outcome=success("kept"))
    story.again(Complete(fence, success("kept")), reply)
    story.refused("conflict", Complete(fence, success("other")))


@scenario("S11 K20", limits=SHORT)
def a_completion_repeated_after_pruning_makes_no_row(story: Story) -> None:
    """The row is gone: the replay is fenced, and there is still no process."""
    fence = story.started()
    story.ok(Complete(fence, success()))
    story.later(HORIZON + 1)
    story.ok(Prune(), count=1)
    story.fenced(Complete(fence, success()))


@scenario("S16")
def a_completion_before_the_cancel_is_seen_stands(story: Story) -> None:
    """Complete against cancel is decided by row order: a handler that finished is successful, flag or not."""
    fence = story.started()
    story.ok(RequestCancel("p", "stop"), outcome=None)
    story.ok(Complete(fence, success("finished")), outcome=success("finished"))
    story.ok(RequestCancel("p", "stop"), outcome=success("finished"))


@scenario("S16 S17")
def a_holder_may_end_as_cancelled(story: Story) -> None:
    """What a worker writes when its handler stopped for our cancel is an outcome like any other, reported by token."""
    fence = story.started()
    story.ok(RequestCancel("p", "stop"))
    story.ok(Complete(fence, Cancelled("stop")))
    story.row("p", ended_by=EndedBy.COMPLETE, cancel="stop")


@scenario("S7", limits=SMALL)
def an_outcome_that_is_too_large_is_refused(story: Story) -> None:
    """All its texts count together, in bytes of UTF-8; the lease stays, so that a smaller one can be written."""
    fence = story.started()
    for outcome in (
        Success(Json('"' + "x" * 39 + '"')),
        Success(Json('"' + "é" * 20 + '"')),
        Success(Json('"' + "x" * 20 + '"'), Json('"' + "x" * 20 + '"')),
        Failure("x" * 20, "x" * 10, "x" * 10),
    ):
        story.refused("too_large", Complete(fence, outcome))
    story.refused("bad_text", Complete(fence, Cancelled("\0")))
    story.ok(
        Complete(fence, Success(Json('"' + "x" * 34 + '"')))
    )  # and 4 bytes for the control, which is null


@scenario("S7", Ability.SURROGATES)
def an_outcome_that_is_no_text_is_refused(story: Story) -> None:
    """No store could carry it, so it is refused for good rather than tried again."""
    fence = story.started()
    story.refused(
        "bad_text", Complete(fence, Failure("C", "c", "\ud800")), Complete(fence, Cancelled("\udfff"))
    )


# --- releasing ------------------------------------------------------------------------------------------------------


@scenario("S8")
def a_release_gives_back(story: Story) -> None:
    """Nobody holds it, it is ready after the delay, and token and claim stay, so that a replay is known."""
    fence = story.started()
    story.later(10)
    story.ok(Release(fence, 30), outcome=None)
    story.row("p", held=False, ready_at=story.now + 30, token=fence.token, claim=fence.claim)


@scenario("S8 S10")
def a_repeated_release_is_a_replay(story: Story) -> None:
    """Until somebody claims the row: the same answer, whatever its delay says now, and `ready_at` stays."""
    fence = story.started()
    reply = story.ok(Release(fence, 30))
    ready = story.now + 30
    story.later(10)
    story.again(Release(fence, 30), reply)
    story.again(Release(fence, 99), reply)
    story.row("p", ready_at=ready)


@scenario("S8")
def a_release_does_not_test_the_expiry(story: Story) -> None:
    """A worker that was paused gives back what nobody took."""
    fence = story.started()
    story.later(3 * TTL)
    story.ok(Release(fence), outcome=None)
    story.row("p", held=False, lost=0)


@scenario("S8 S9 K3 K16")
def a_stale_release_leaves_a_newer_lease(story: Story) -> None:
    """Who took over keeps the row, can renew it and can end it."""
    old = story.started()
    story.later(TTL)
    new = story.take("p", "x")
    story.fenced(Release(old))
    story.row("p", held=True, token=new.token)
    story.ok(Renew(new, TTL))
    story.ok(Complete(new, success()))


@scenario("S9 K2")
def a_stale_renewal_leaves_a_newer_lease(story: Story) -> None:
    """The expiry is the new holder's: a zombie cannot prolong it."""
    old = story.started()
    story.later(TTL)
    new = story.take("p", "x")
    story.fenced(Renew(old, 50 * TTL))
    story.row("p", expires_at=story.now + TTL, token=new.token)


@scenario("S8 S9 K16")
def a_renewal_after_its_own_release_takes_nothing_back(story: Story) -> None:
    """A renewal that was on its way when the release was accepted is fenced: nobody holds the row."""
    fence = story.started()
    story.ok(Release(fence))
    story.fenced(Renew(fence, TTL))
    story.row("p", held=False)
    story.take("p", "x")


@scenario("S16")
def a_release_of_a_cancelled_row_ends_it(story: Story) -> None:
    """It would be claimed again only to be cancelled, so it ends now; repeated, it answers that outcome."""
    fence = story.started()
    story.ok(RequestCancel("p", "enough"))
    reply = story.ok(Release(fence, 30), outcome=Cancelled("enough"))
    story.row("p", outcome=Cancelled("enough"), ended_by=EndedBy.RELEASE)
    story.again(Release(fence, 30), reply)
    story.fenced(Complete(fence, Cancelled("enough")))


@scenario("S16")
def a_release_after_a_cancel_without_a_reason_ends_the_row(story: Story) -> None:
    """An empty reason is a reason: the flag is set, and the row does not go back to the others."""
    fence = story.started()
    story.ok(RequestCancel("p", ""), outcome=None)
    story.row("p", cancel="")
    reply = story.ok(Release(fence, 30), outcome=Cancelled(""))
    story.row("p", outcome=Cancelled(""), ended_by=EndedBy.RELEASE)
    story.again(Release(fence, 30), reply)
    story.get_next(owner="x")


@scenario("S7")
def a_release_after_its_own_completion_is_fenced(story: Story) -> None:
    """A Complete releases too; the Release that comes after it changes nothing, and is told that it is over."""
    fence = story.started()
    story.ok(Complete(fence, success()))
    story.fenced(Release(fence))


@scenario("S8 S11 S21", Ability.REOPEN)
def a_release_is_known_after_a_restart(story: Story) -> None:
    """The row says who gave it back."""
    fence = story.started()
    reply = story.ok(Release(fence, 30))
    story.reopen()
    story.again(Release(fence, 30), reply)


SCENARIOS = told_in(globals())
