"""Scenarios: who does not hold the lease changes nothing. Each way to lose it, against each request under a lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import evolve, frozen

from tenure.canonical import NULL
from tenure.instants import StoreTime
from tenure.process import ClaimId, Fence
from tenure.replies import FenceNote
from tenure.requests import (
    Complete,
    EmitEvent,
    FencedRequest,
    Prune,
    RecordEffect,
    Release,
    Renew,
    RequestCancel,
)
from tenure_testing.conforming.story import HORIZON, SHORT, TTL, Story, Told, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import success


@frozen
class Loss:
    """A way in which a fence comes not to hold: makes that situation, and the fence."""

    who: str
    why: str
    cites: str
    make: Callable[[Story], Fence]
    but: tuple[type, ...] = ()
    """Requests that are replays there, and have scenarios of their own."""


def taken_over(story: Story) -> Fence:
    old = story.started()
    story.later(TTL)
    story.take("p", "x")
    return old


def taken_over_and_ended(story: Story) -> Fence:
    old = story.started()
    story.later(TTL)
    story.ok(Complete(story.take("p", "x"), success("theirs")))
    return old


def taken_again_by_itself(story: Story) -> Fence:
    old = story.started()
    story.later(TTL)
    story.take("p", "w")
    return old


def given_back(story: Story) -> Fence:
    fence = story.started()
    story.ok(Release(fence), outcome=None)
    return fence


def given_back_and_taken(story: Story) -> Fence:
    fence = given_back(story)
    story.take("p", "x")
    return fence


def ended(story: Story) -> Fence:
    fence = story.started()
    story.ok(Complete(fence, success("mine")))
    return fence


def cancelled_while_expired(story: Story) -> Fence:
    fence = story.started()
    story.later(TTL)
    story.ok(RequestCancel("p", "late"))
    return fence


def pruned(story: Story) -> Fence:
    fence = ended(story)
    story.later(HORIZON + 1)
    story.ok(Prune(), count=1)
    return fence


def registered_anew(story: Story) -> Fence:
    fence = pruned(story)
    story.register("p")
    return fence


def claimed_anew(story: Story) -> Fence:
    fence = registered_anew(story)
    story.take("p", "x")
    return fence


def never_claimed(story: Story) -> Fence:
    story.register("p")
    return Fence("p", ClaimId("w", 1), 0)


def unknown_process(story: Story) -> Fence:
    return Fence("nobody", ClaimId("w", 1), 1)


def changed_fence(change: Callable[[Fence], Fence]) -> Callable[[Story], Fence]:
    return lambda story: change(story.started())


def of_its_neighbour(story: Story) -> Fence:
    story.register("p", "q")
    p, q = story.get_next("p", "q")
    return evolve(p, token=q.token)


LOSSES: Sequence[Loss] = (
    Loss("superseded", "its lease expired and another worker claimed the process", "S4 K1", taken_over),
    Loss(
        "outlived",
        "the worker that took the process over has ended it already",
        "S4 S7 K1 K10",
        taken_over_and_ended,
    ),
    Loss(
        "older-self",
        "its own worker has claimed the process again since, under a new token",
        "S4 K13",
        taken_again_by_itself,
    ),
    Loss("released", "it gave the process back itself", "S4 S8", given_back, (Release,)),
    Loss(
        "released-and-taken",
        "it gave the process back, and another worker has it",
        "S4 S8 K3",
        given_back_and_taken,
    ),
    Loss(
        "finished",
        "it has ended the process itself, and only its own Complete again is a replay",
        "S7 K10",
        ended,
        (Complete,),
    ),
    Loss(
        "cancelled-late",
        "the process was cancelled when the lease had expired, which ended it",
        "S7 S16",
        cancelled_while_expired,
    ),
    Loss("pruned", "the row is gone, and a fenced write inserts nothing", "S11 K20", pruned),
    Loss("registered-anew", "the row is another process under the same id", "S2 S11 K20", registered_anew),
    Loss(
        "claimed-anew",
        "the row is another process under the same id, and somebody runs it",
        "S2 S4 K19",
        claimed_anew,
    ),
    Loss("never-claimed", "nobody has claimed the process, and token 0 is nobody's", "S4 K23", never_claimed),
    Loss("of-no-process", "there is no such process", "S4", unknown_process),
    Loss(
        "with-a-higher-token",
        "its token is not the row's, though it is newer",
        "S4",
        changed_fence(lambda f: evolve(f, token=f.token + 1)),
    ),
    Loss(
        "without-a-token",
        "owner and claim are the row's, and the token is missing",
        "S4 K23",
        changed_fence(lambda f: evolve(f, token=0)),
    ),
    Loss(
        "with-another-claim-number",
        "token and owner are the row's, and the claim is not",
        "S4",
        changed_fence(lambda f: evolve(f, claim=ClaimId("w", 2))),
    ),
    Loss(
        "of-another-owner",
        "token and claim number are the row's, and the owner is not",
        "S4 K13",
        changed_fence(lambda f: evolve(f, claim=ClaimId("other", 1))),
    ),
    Loss(
        "with-its-neighbours-token",
        "one claim granted both rows, but each has a token of its own",
        "S4 S22",
        of_its_neighbour,
    ),
)

REQUESTS: dict[str, Callable[[Fence], FencedRequest]] = {
    "renewal": lambda fence: Renew(fence, TTL),
    "effect": lambda fence: RecordEffect(fence, "e", "f", NULL),
    "event": lambda fence: EmitEvent(fence, "progress", NULL, "k"),
    "release": lambda fence: Release(fence, 5),
    "completion": lambda fence: Complete(fence, success("stale")),
}


def lost_fences() -> Iterator[Told]:
    """Each request under each lost fence: fenced, and the row is as it was."""
    for loss in LOSSES:
        for name, make in REQUESTS.items():
            if not isinstance(make(Fence("p", ClaimId("w", 1), 1)), loss.but):
                yield _lost(loss, name, make)


def _lost(loss: Loss, name: str, make: Callable[[Fence], FencedRequest]) -> Told:
    def tell(story: Story) -> None:
        story.fenced(make(loss.make(story)))

    why = f"The {name} is fenced: {loss.why}."
    return Told(f"fenced-{name}-{loss.who}", why, tuple(loss.cites.split()), tell, (), SHORT)


@scenario("S4")
def a_fence_with_a_text_that_no_store_can_hold(story: Story) -> None:
    """A fence may name anything; what no row can have does not hold, and breaks nothing."""
    fence = story.started()
    for stranger in (
        evolve(fence, process_id="a\0b"),
        evolve(fence, claim=ClaimId("a\0b", 1)),
        evolve(fence, process_id=""),
    ):
        story.fenced(*(make(stranger) for make in REQUESTS.values()))


@scenario("S4", Ability.SURROGATES)
def a_fence_with_half_a_character(story: Story) -> None:
    """A lone surrogate is no text that UTF-8 can carry, so no row has it, and it is fenced like any other stranger."""
    fence = story.started()
    for stranger in (evolve(fence, process_id="\ud800"), evolve(fence, claim=ClaimId("\ud800", 1))):
        story.fenced(*(make(stranger) for make in REQUESTS.values()))


@scenario("S4 S20", Ability.FENCE_LOG)
def refusals_under_a_fence_are_noted(story: Story) -> None:
    """Each fenced request adds a note with its stale token, the row's, its owner and the time, the newest first."""
    old = story.started()
    story.later(TTL)
    new = story.take("p", "x")
    story.fenced(Renew(old, TTL))
    first = FenceNote("p", "Renew", old.token, new.token, "w", StoreTime(story.now))
    story.later(5)
    story.fenced(Complete(old, success()))
    second = FenceNote("p", "Complete", old.token, new.token, "w", StoreTime(story.now))
    story.notes(2, second, first)


@scenario("S11 S20", Ability.FENCE_LOG)
def a_conflict_of_completions_is_noted(story: Story) -> None:
    """A Complete's conflict tells of a fault as a fenced request does, so it is noted; other refusals are not."""
    fence = story.started()
    story.refused("undeclared_event", EmitEvent(fence, "other", NULL, "k"))
    story.ok(Complete(fence, success(1)))
    story.refused("conflict", Complete(fence, success(2)))
    note = FenceNote("p", "Complete", fence.token, fence.token, "w", StoreTime(story.now))
    story.notes(1, note)


@scenario("S4", Ability.FENCE_LOG)
def a_note_of_a_row_that_is_gone(story: Story) -> None:
    """Where there is no row, the note's current token is 0."""
    story.fenced(Renew(Fence("nobody", ClaimId("w", 1), 0), TTL))
    story.notes(1, FenceNote("nobody", "Renew", 0, 0, "w", StoreTime(story.now)))


SCENARIOS = (*lost_fences(), *told_in(globals()))
