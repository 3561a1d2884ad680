"""The reference model of a whole registry: claims, reads and pruning (CONTRACT §4, S1-S3, S10, S19, S20, S22)."""

from __future__ import annotations

import pytest
from attrs import evolve

from tenure.canonical import canonical
from tenure.claims import grant, lease_of, makes_work, takeover_wait
from tenure.limits import Limits
from tenure.process import ENDED, ClaimId, External, Fence, Record, Registration, Success
from tenure.registry import Decision, decide
from tenure.replies import (
    CancelsRead,
    Claimed,
    EffectsRead,
    EndingsRead,
    EventsRead,
    Fenced,
    FenceLogRead,
    FenceNote,
    Listed,
    Pruned,
    Reason,
    Succeeded,
)
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    Get,
    List,
    Phase,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tests.core.rows import TTL, Rows, registration

# --- claims -------------------------------------------------------------------------------------------------------


def test_claims_come_in_the_order_of_readiness_then_registration() -> None:
    rows = Rows()
    rows.ask(Register(registration("late"), delay=10))
    rows.register("b", "a", "c")
    assert rows.claim_next(2) == ["b", "a"]
    rows.after(10)
    assert rows.claim_next() == ["c", "late"]
    assert rows.claim_next() == []


def test_what_is_not_claimed() -> None:
    """S3, S19: external, delayed, ended, held, excluded and foreign rows."""
    rows = Rows()
    rows.ask(Register(Registration("external", External())))
    rows.ask(Register(registration("blue", profile="blue")))
    rows.ask(Register(registration("kind", kind="unheard-of")))
    rows.ask(Register(registration("delayed"), delay=1))
    rows.register("ended", "held", "excluded", "fine")
    rows.ask(RequestCancel("ended"))
    rows.claim("held", owner="them")
    assert rows.claim_next(wanted=ClaimFilter("", ("k",), ("excluded",))) == ["fine"]
    assert rows.claim_next(wanted=ClaimFilter("blue", ("k",))) == ["blue", "excluded"]


def test_a_repeated_claim_answers_what_it_got() -> None:
    """S10: nothing new, nothing extended, nothing counted; what ended or was lost is not among it."""
    rows = Rows()
    rows.register("a", "b", "c")
    assert rows.claim_next(2) == ["a", "b"]
    before = rows.state
    assert rows.claim_next(2, n=1) == ["a", "b"]
    assert rows.state == before
    rows.ask(Complete(rows.fence("a"), Success()))
    assert rows.claim_next(2, n=1) == ["b"]
    rows.after(TTL)
    assert rows.claim_next(2, n=1) == []


def test_a_lower_claim_is_fenced_and_an_empty_one_leaves_no_trace() -> None:
    """S10: what is late gets nothing."""
    rows = Rows()
    assert rows.claim_next(n=7) == []
    rows.register("a", "b")
    assert rows.claim_next(1, n=5) == ["a"]
    assert rows.ask(ClaimNext(ClaimId("us", 4), TTL, 1, ClaimFilter("", ("k",)))) == Fenced()
    assert rows.ask(Claim(ClaimId("us", 4), "b", TTL)) == Fenced()
    assert rows.claim_next(1, owner="them", n=1) == ["b"], "another incarnation counts for itself"


def test_a_claim_without_an_owner_is_refused() -> None:
    assert Rows().refused(Claim(ClaimId(" ", 1), "p", TTL)) is Reason.BLANK


def test_why_one_process_cannot_be_claimed() -> None:
    """S3: it is said."""
    rows = Rows()
    rows.ask(Register(registration("delayed"), delay=1))
    rows.ask(Register(Registration("external", External())))
    rows.register("ended", "held")
    rows.ask(RequestCancel("ended"))
    rows.claim("held")
    for name, reason in {
        "nobody": Reason.NOT_FOUND,
        "delayed": Reason.NOT_READY,
        "external": Reason.EXTERNAL,
        "ended": Reason.ENDED,
        "held": Reason.HELD,
    }.items():
        assert rows.refused(Claim(ClaimId("us", 9), name, TTL)) is reason


def test_a_single_claim_repeated() -> None:
    """S10, S20: the same lease, not counted again."""
    rows = Rows()
    rows.register("p")
    request = Claim(ClaimId("us", 1), "p", TTL)
    assert rows.get(request, Claimed) == rows.get(request, Claimed)
    assert rows.record("p").claims == 1


def test_a_take_over_is_counted_and_waits() -> None:
    """S20; the second in a row waits after the expiry, a recorded effect or a release forgets."""
    rows = Rows(Limits(takeover_wait=1_000, takeover_cap=1_500))
    rows.register("p")
    rows.claim("p")
    for lost, wait in ((1, 0), (2, 1_000), (3, 1_500)):
        rows.after(TTL + wait - 1)
        assert rows.claim_next() == []
        rows.after(1)
        assert rows.claim_next() == ["p"]
        assert (rows.record("p").lost, rows.record("p").claims) == (lost, lost + 1)
    fence = rows.fence("p")
    rows.ask(RecordEffect(fence, "a", "f", canonical(1)))
    assert rows.record("p").lost == 0
    rows.ask(Release(fence))
    assert rows.claim_next() == ["p"], "a release is no loss"


def test_the_wait_of_a_take_over_is_capped() -> None:
    waits = [takeover_wait(k, Limits()) for k in (0, 1, 2, 3, 4, 100)]
    assert waits == [0, 0, 1_000, 2_000, 4_000, 60_000]


def test_tokens_grow_through_everything() -> None:
    """S2, K19."""
    rows = Rows(Limits(retry_horizon=0))
    tokens: list[int] = []
    for _ in range(3):
        rows.register("p")
        fence = rows.claim("p")
        tokens.append(fence.token)
        rows.ask(Release(fence))
        fence = rows.claim("p")
        tokens.append(fence.token)
        rows.ask(Complete(fence, Success()))
        rows.after(1)
        assert rows.get(Prune(), Pruned).count == 1
    assert tokens == sorted(set(tokens))


# --- reads --------------------------------------------------------------------------------------------------------


def test_events_are_paged_and_end_with_the_terminal_one() -> None:
    rows = Rows()
    rows.register("p")
    for number in range(3):
        rows.ask(AppendEvent("p", "note", canonical(number), str(number)))
    page = rows.get(ReadEvents("p", 0, 2), EventsRead)
    assert ([event.seq for event in page.events], page.ended) == ([1, 2], False)
    rows.ask(RequestCancel("p"))
    page = rows.get(ReadEvents("p", 2, 2), EventsRead)
    assert ([event.seq for event in page.events], page.ended) == ([3, 4], False)
    page = rows.get(ReadEvents("p", 4), EventsRead)
    assert ([event.type for event in page.events], page.ended) == ([ENDED], True)
    page = rows.get(ReadEvents("p", 5), EventsRead)
    assert (page.events, page.ended) == ((), True)
    assert rows.refused(ReadEvents("nobody")) is Reason.NOT_FOUND


def test_effects_are_paged_by_key() -> None:
    rows = Rows()
    rows.register("p")
    fence = rows.claim("p")
    for key in ("c", "a", "b"):
        rows.ask(RecordEffect(fence, key, "f", canonical(key)))
    page = rows.get(ReadEffects("p", "", 2), EffectsRead)
    assert ([effect.key for effect in page.effects], page.next) == (["a", "b"], "b")
    page = rows.get(ReadEffects("p", "b", 2), EffectsRead)
    assert ([effect.key for effect in page.effects], page.next) == (["c"], None)


def test_lists_are_filtered_and_paged() -> None:
    rows = Rows()
    rows.register("a", "b")
    rows.ask(Register(registration("c", kind="other", owner="else")))
    rows.claim("a")
    rows.ask(RequestCancel("b"))

    def listed(request: List) -> list[str]:
        return [record.id for record in rows.get(request, Listed).records]

    assert listed(List()) == ["a", "b", "c"]
    assert listed(List(phase=Phase.RUNNING)) == ["a"]
    assert listed(List(phase=Phase.ENDED)) == ["b"]
    assert listed(List(phase=Phase.PENDING)) == ["c"]
    assert listed(List(kind="other")) == ["c"]
    assert listed(List(owner_scope="main")) == ["a", "b"]
    page = rows.get(List(limit=2), Listed)
    assert page.next == 2
    assert listed(List(after=2)) == ["c"]
    assert rows.get(List(after=2), Listed).next is None
    assert rows.refused(Get("nobody")) is Reason.NOT_FOUND


def test_endings_and_cancels() -> None:
    rows = Rows()
    rows.register("a", "b", "c")
    rows.claim("a")
    rows.claim("b", owner="them")
    rows.ask(RequestCancel("a", "why"))
    rows.ask(RequestCancel("b"))
    rows.ask(RequestCancel("c"))
    assert rows.get(ReadCancels("us"), CancelsRead).cancels == (("a", rows.record("a").token, "why"),)
    endings = rows.get(ReadEndings(0), EndingsRead)
    assert [name for _, name in endings.endings] == ["c"]
    assert endings.latest == rows.state.number
    assert rows.get(ReadEndings(endings.latest), EndingsRead).endings == ()


# --- pruning and the fence log ------------------------------------------------------------------------------------


def test_pruning_waits_for_the_retry_horizon() -> None:
    """S10, S11: a late replay finds its row."""
    rows = Rows(Limits(retry_horizon=1_000))
    rows.register("a", "b", "going on")
    fence = rows.claim("a")
    rows.ask(RecordEffect(fence, "a", "f", canonical(1)))
    rows.ask(AppendEvent("a", "note", canonical(1), "a"))
    complete = Complete(fence, Success())
    rows.ask(complete)
    rows.after(1)
    rows.ask(RequestCancel("b"))
    rows.after(1_000)
    assert rows.get(Prune(older_than=5), Pruned).count == 1
    assert [record.id for record in rows.state.records] == ["b", "going on"]
    assert (rows.state.events[0].process_id, rows.state.effects, rows.state.claims) == ("b", (), ())
    assert rows.ask(complete) == Fenced(), "a replay after the prune makes no row (K20)"
    assert rows.get(Prune(older_than=5_000), Pruned).count == 0


def test_the_claims_of_one_worker_are_not_those_of_another() -> None:
    """S10, K13: they are remembered by their owner."""
    rows = Rows()
    rows.register("a", "b")
    assert rows.claim_next(1, "us", 1) == ["a"]
    assert rows.claim_next(1, "them", 1) == ["b"]
    assert (rows.claim_next(1, "us", 1), rows.claim_next(1, "them", 1)) == (["a"], ["b"]), "repeated"
    assert [claim.owner for claim, _ in rows.state.claims] == ["us", "them"]


def test_a_claim_is_remembered_for_the_retry_horizon() -> None:
    """S10: and then forgotten."""
    rows = Rows(Limits(retry_horizon=1_000))
    rows.register("a")
    rows.claim_next(1, "us", 1)
    for wait, kept in ((1_000, 1), (1, 0)):
        rows.after(wait)
        rows.ask(Prune())
        assert len(rows.state.claims) == kept


def test_the_model_has_no_fence_log() -> None:
    """It is no part of the state that stores are compared by."""
    assert Rows().get(ReadFenceLog(), FenceLogRead) == FenceLogRead((), 0)


def test_what_a_store_is_told_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row that was read, and the decision whole: a store may write by what changed."""
    written: list[tuple[Record | None, Decision]] = []

    def write(tables: object, before: Record | None, decision: Decision) -> None:
        written.append((before, decision))

    rows = Rows()
    rows.register("p", "q")
    before, other = rows.record("p"), rows.record("q")
    claim = ClaimId("us", 1)
    rows.state = evolve(rows.state, epoch=7)
    granted = grant(before, claim, TTL, rows.clock, rows.state.number + 1)
    leases = Succeeded(Claimed((lease_of(granted, claim),), 7))
    monkeypatch.setattr("tenure.model._Draft.write", write)
    assert rows.ask(Claim(claim, "p", TTL)) == leases
    answer = rows.ask(RequestCancel("q", "why"))
    assert written == [
        (before, Decision(leases, granted)),
        (other, decide(other, RequestCancel("q", "why"), None, rows.clock, rows.state.number + 1, Limits())),
    ]
    assert written[1][1].answer == answer


def test_every_read_keeps_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fence_log(tables: object, limit: int) -> FenceLogRead:
        asked.append(limit)
        return FenceLogRead((), 0)

    rows = Rows(Limits(retry_horizon=0))
    rows.register("a", "b", "c")
    for name in "abc":
        rows.claim(name)
        rows.ask(RequestCancel(name, "why"))
    assert len(rows.get(ReadCancels("us", 2), CancelsRead).cancels) == 2
    for name in "abc":
        rows.ask(Complete(rows.fence(name), Success()))
    assert len(rows.get(ReadEndings(0, 2), EndingsRead).endings) == 2
    rows.after(1)
    assert rows.get(Prune(limit=2), Pruned).count == 2
    monkeypatch.setattr("tenure.model._Draft.fence_log", fence_log)
    rows.ask(ReadFenceLog(3))
    assert asked == [3]


def test_what_the_fence_log_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Fenced request and a Complete's conflict, in words that every store can keep (CONTRACT §4)."""
    notes: list[FenceNote] = []

    def note(tables: object, noted: FenceNote) -> None:
        notes.append(noted)

    monkeypatch.setattr("tenure.model._Draft.note_fenced", note)
    rows = Rows()
    rows.register("p", "q")
    fence = rows.claim("p")
    rows.ask(Renew(evolve(fence, token=77), TTL))
    rows.ask(Complete(fence, Success()))
    rows.ask(Complete(fence, Success(canonical(2))))
    rows.ask(Release(Fence("go\0ne", ClaimId("us\ud800", 1), -1)))
    rows.claims = 5
    rows.claim("q")
    rows.ask(Claim(ClaimId("us", 1), "p", TTL))
    assert rows.ask(ClaimNext(ClaimId("us", 2), TTL, 1, ClaimFilter("", ()))) == Fenced()
    assert notes == [
        FenceNote("p", "Renew", 77, fence.token, "us", rows.clock),
        FenceNote("p", "Complete", fence.token, fence.token, "us", rows.clock),
        FenceNote("go?ne", "Release", 0, 0, "us?", rows.clock),
        FenceNote("p", "Claim", 1, 6, "us", rows.clock),
        FenceNote("", "ClaimNext", 2, 6, "us", rows.clock),
    ]


def test_what_makes_work() -> None:
    """K17, L1, L4: what moves the feed."""
    rows = Rows()
    rows.register("p")
    pending = rows.record("p")
    assert makes_work(None, pending)
    fence = rows.claim("p")
    held = rows.record("p")
    assert not makes_work(pending, held)
    rows.ask(RequestCancel("p"))
    assert makes_work(held, rows.record("p"))
    assert makes_work(held, evolve(held, held=False))
    rows.ask(Complete(fence, Success()))
    assert not makes_work(held, rows.record("p"))
