"""The known bugs of stores (docs/reference/properties.md §5), each shown not to be in the law that every store runs."""

from __future__ import annotations

import pytest
from attrs import evolve

from tenure.canonical import NULL, canonical
from tenure.claims import makes_work
from tenure.limits import Limits
from tenure.process import Cancelled, ClaimId, External, Fence, Registration, Success
from tenure.replies import (
    CancelAccepted,
    Claimed,
    Completed,
    EffectRecorded,
    Fenced,
    Reason,
    Released,
    Renewed,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    FencedRequest,
    Get,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tests.core.rows import TTL, Rows

DONE, OTHER = Success(canonical("done")), Success(canonical("other"))


def under(fence: Fence) -> list[FencedRequest]:
    """Each kind of write under that fence."""
    return [
        Renew(fence, TTL),
        RecordEffect(fence, "key", "f", NULL),
        EmitEvent(fence, "progress", NULL, "key"),
        Release(fence, 0),
        Complete(fence, DONE),
    ]


def taken_over() -> tuple[Rows, Fence, Fence]:
    """A process whose lease was lost and taken by another worker: the stale fence, and the newer one."""
    rows = Rows()
    rows.register("p")
    stale = rows.claim("p")
    rows.after(TTL + 1)
    return rows, stale, rows.claim("p", "them")


def claimed() -> tuple[Rows, Fence]:
    rows = Rows()
    rows.register("p")
    return rows, rows.claim("p")


def test_what_a_dead_worker_held_is_claimed_again() -> None:
    """K21, K6, K18, S5, L1: at the expiry, though nothing changed the row since, by either claim."""
    rows, _ = claimed()
    rows.register("q")
    rows.claim("q")
    rows.after(TTL)
    assert rows.claim_next(owner="them") == ["p", "q"]
    rows.after(TTL + rows.state.limits.takeover_wait)
    assert rows.claim("p").token == rows.record("p").token


def test_a_claim_changes_what_it_answers() -> None:
    """K12, S19: each row in the answer is the row as it is now; and repeated (K5), it answers nothing that expired."""
    rows = Rows()
    rows.register("p")
    request = ClaimNext(ClaimId("us", 1), TTL, 10, ClaimFilter("", ("k",)))
    (grant,) = rows.get(request, Claimed).grants
    assert grant.record == rows.record("p")
    assert grant.record.claim == request.claim
    rows.after(TTL)
    assert rows.get(request, Claimed).grants == ()


@pytest.mark.parametrize(
    ("number", "bug"),
    [
        (0, "K2, S9, S4: a renewal is not scoped"),
        (1, "K5, S4: a demoted worker's effect is recorded"),
        (2, "K23, S4: a demoted worker's event is taken"),
        (3, "K3, S8: a release clears a newer lease"),
        (4, "K1, S4, S6: a stale holder's outcome is accepted"),
    ],
)
def test_who_lost_the_process_changes_nothing(number: int, bug: str) -> None:
    """Whatever of the fence is wrong: the token, the lease token, or that there is no holder any more."""
    rows, stale, newer = taken_over()
    strangers = [
        stale,
        evolve(newer, token=0),
        evolve(newer, token=stale.token),
        evolve(newer, claim=stale.claim),
    ]
    for fence in strangers:
        before = rows.state
        assert rows.ask(under(fence)[number]) == Fenced(), bug
        assert rows.state == before, bug
    rows.get(Release(newer, 0), Released)
    request = under(newer)[number]
    assert isinstance(request, Release) or rows.ask(request) == Fenced(), bug


def test_the_expiry_is_exclusive_and_nothing_is_revived() -> None:
    """K18, S5: at the expiry the lease is over; a renewal and an effect are refused from then on, a claim is not."""
    rows, fence = claimed()
    rows.after(TTL - 1)
    assert rows.refused(Claim(evolve(fence.claim, n=9), "p", TTL)) is Reason.HELD
    rows.after(1)
    assert rows.ask(Renew(fence, TTL)) == Fenced()
    assert rows.ask(RecordEffect(fence, "key", "f", NULL)) == Fenced()
    assert rows.get(Complete(fence, DONE), Completed).outcome == DONE  # nobody took it


def test_a_claim_never_takes_what_is_held_or_over() -> None:
    """S3: a live lease is not claimed, nor what has ended, by either claim."""
    rows, fence = claimed()
    assert rows.claim_next(owner="them") == []
    rows.get(RequestCancel("p", ""), CancelAccepted)
    assert rows.refused(Claim(evolve(fence.claim, n=9), "p", TTL)) is Reason.HELD
    rows.get(Complete(fence, DONE), Completed)
    rows.after(TTL)
    assert rows.claim_next(owner="them") == []
    assert rows.refused(Claim(evolve(fence.claim, n=9), "p", TTL)) is Reason.ENDED


def test_time_goes_on_without_changes_and_never_back() -> None:
    """K6, C1, S5: expiry is judged by the store's clock now; where that stepped back, by the row's last change."""
    rows, fence = claimed()
    rows.after(TTL + 1)
    assert rows.ask(Renew(fence, TTL)) == Fenced()
    rows, fence = claimed()
    rows.after(1_000)
    first = rows.get(Renew(fence, TTL), Renewed)
    rows.after(-900)
    assert rows.get(Renew(fence, TTL), Renewed).expires_at == first.expires_at


def test_a_renewal_extends_and_never_shortens() -> None:
    """S9, L3, L10: or healthy workers would take a process from each other."""
    rows, fence = claimed()
    rows.after(10)
    assert rows.get(Renew(fence, TTL), Renewed).expires_at == TTL + 10
    assert rows.get(Renew(fence, 1), Renewed).expires_at == TTL + 10


def test_what_has_ended_stays_as_it_is() -> None:
    """K10, S6, S7, S16: no late cancel, event, completion or claim changes it."""
    rows, fence = claimed()
    rows.get(Complete(fence, DONE), Completed)
    ended = rows.state
    assert rows.get(RequestCancel("p", "late"), CancelAccepted).outcome == DONE
    assert rows.refused(AppendEvent("p", "note", NULL, "key")) is Reason.ENDED
    assert rows.refused(Complete(fence, OTHER)) is Reason.CONFLICT
    assert rows.ask(Release(fence, 0)) == Fenced()
    assert rows.refused(CompleteExternal("p", "them", OTHER)) is Reason.NOT_EXTERNAL
    assert rows.state == ended


def test_what_somebody_outside_has_ended_stays_as_it_is() -> None:
    """K10, S6, S7: another outcome is a conflict, and so is the same one by another authority."""
    rows = Rows()
    rows.ask(Register(Registration("p", External())))
    rows.get(CompleteExternal("p", "them", DONE), Completed)
    for authority, outcome in (("them", OTHER), ("us", DONE), ("us", OTHER)):
        assert rows.refused(CompleteExternal("p", authority, outcome)) is Reason.CONFLICT
    assert rows.get(CompleteExternal("p", "them", DONE), Completed).outcome == DONE


def test_a_token_is_never_used_again() -> None:
    """K19, S2: not after a release, nor after the row was pruned and registered anew."""
    rows = Rows(Limits(retry_horizon=0))
    tokens: list[int] = []
    for _ in range(2):
        rows.register("p")
        for _ in range(2):
            fence = rows.claim("p")
            tokens.append(fence.token)
            rows.get(Release(fence, 0), Released)
            assert rows.record("p").token == fence.token
        rows.get(RequestCancel("p", ""), CancelAccepted)
        rows.after(1)
        rows.ask(Prune(0))
    assert tokens == sorted(set(tokens))


def test_a_completion_after_pruning_makes_no_row() -> None:
    """K20, S11: it is fenced, and the process stays gone."""
    rows = Rows(Limits(retry_horizon=0))
    rows.register("p")
    fence = rows.claim("p")
    rows.get(Complete(fence, DONE), Completed)
    rows.after(1)
    rows.ask(Prune(0))
    for request in under(fence):
        assert rows.ask(request) == Fenced()
    assert rows.refused(Get("p")) is Reason.NOT_FOUND


def test_a_repeated_request_is_answered_as_before_and_changes_nothing() -> None:
    """S10, S11: an effect, a release, a completion; another outcome is a conflict."""
    rows, fence = claimed()
    effect = RecordEffect(fence, "key", "f", canonical(1))
    for request, kind in ((effect, EffectRecorded), (Release(fence, 0), Released)):
        answer = rows.ask(request)
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, kind)
        before = rows.state
        assert rows.ask(request) == answer
        assert rows.state == before
    fence = rows.claim("p")
    assert rows.ask(Complete(fence, DONE)) == rows.ask(Complete(fence, Success(canonical("done"))))
    assert rows.refused(Complete(fence, OTHER)) is Reason.CONFLICT


def test_a_cancel_is_sticky() -> None:
    """S16: the first reason stays; a row that is not live ends at once, and so does a release."""
    rows, fence = claimed()
    rows.get(RequestCancel("p", ""), CancelAccepted)
    rows.get(RequestCancel("p", "later"), CancelAccepted)
    assert rows.get(Renew(fence, TTL), Renewed).cancel == ""
    assert rows.get(Release(fence, 0), Released).outcome == Cancelled("")
    rows.register("waiting")
    assert rows.get(RequestCancel("waiting", "why"), CancelAccepted).outcome == Cancelled("why")


def test_claims_and_losses_are_counted() -> None:
    """S20: a take-over counts as a loss, until an effect or a release shows that the process gets on."""
    rows, _, newer = taken_over()
    assert (rows.record("p").claims, rows.record("p").lost) == (2, 1)
    rows.get(RecordEffect(newer, "key", "f", NULL), EffectRecorded)
    assert rows.record("p").lost == 0


def test_the_wait_before_a_take_over_is_bounded() -> None:
    """L9: however often the process was lost, it is claimed again within the cap."""
    rows = Rows()
    rows.register("p")
    for _ in range(20):
        rows.claim("p")
        rows.after(TTL + rows.state.limits.takeover_cap)
    assert rows.claim_next() == ["p"]


def test_every_change_has_a_version_of_its_own() -> None:
    """S1: so a history can be put in its order."""
    rows, fence = claimed()
    seen = [rows.record("p").version]
    changes = [
        *under(fence)[:3],
        AppendEvent("p", "note", NULL, "key"),
        RequestCancel("p", ""),
        Complete(fence, DONE),
    ]
    for request in changes:
        rows.ask(request)
        seen.append(rows.record("p").version)
    assert seen == sorted(set(seen))


def test_the_work_that_the_feed_tells_of() -> None:
    """K17, L4, L1: a cancel of what runs is work for its holder; so is what was registered, and what was given back."""
    rows = Rows()
    rows.register("p")
    waiting = rows.record("p")
    rows.claim("p")
    held = rows.record("p")
    rows.ask(RequestCancel("p", "why"))
    flagged = rows.record("p")
    assert [makes_work(None, waiting), makes_work(waiting, held), makes_work(held, flagged)] == [
        True,
        False,
        True,
    ]
    rows.register("q")
    fence = rows.claim("q")
    held = rows.record("q")
    rows.ask(Release(fence, 0))
    assert makes_work(held, rows.record("q"))
