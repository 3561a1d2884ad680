"""The search would notice: for each property a bug in the law of rows, which it reports first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tenure import attempt, attempt_opening, attempt_rules, claims, model, registry
from tenure import attempt_types as t
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import Fence, Outcome, Record
from tenure.registry import Decision
from tenure.replies import Fenced, Reason, Refused
from tenure.requests import Complete, Release, Renew, RequestCancel
from tenure.tables import each
from tenure.values import changed
from tests.core.search import CLOCK, NEXT, TERMS
from tests.core.test_search import Broken, explored

Decide: TypeAlias = Callable[[Record, Any], Decision]
"""What the shipped law makes of a row and a request."""
Bug: TypeAlias = Callable[[Record, Any, Decide], Decision]


def unfenced(record: Record, request: Any, shipped: Decide) -> Decision:
    """Written by process id alone: whatever fence comes with the request, the row's is taken."""
    assert record.claim is not None
    return shipped(record, changed(request, fence=Fence("p", record.claim, record.token)))


def writing(**fields: Any) -> Bug:
    """These fields are written too."""

    def bug(record: Record, request: Any, shipped: Decide) -> Decision:
        made = shipped(record, request)
        return made if made.record is None else changed(made, record=changed(made.record, **fields))

    return bug


def unseen(**fields: Any) -> Bug:
    """These fields of the row are taken to be so."""
    return lambda record, request, shipped: shipped(changed(record, **fields), request)


def flag_after_the_end(record: Record, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    return (
        made if record.outcome is None else changed(made, record=changed(record, cancel="late", version=NEXT))
    )


def outcome_not_kept(record: Record, request: Any, shipped: Decide) -> Decision:
    """Acknowledged, and the row only given back."""
    made = shipped(record, request)
    return (
        made
        if made.record is None
        else changed(made, record=changed(made.record, outcome=None, ended_by=None))
    )


def clears_a_newer_lease(record: Record, request: Any, shipped: Decide) -> Decision:
    made = shipped(record, request)
    stale = record.outcome is None and isinstance(made.answer, Fenced)
    return Decision(made.answer, changed(record, held=False, version=NEXT)) if stale else made


BUGS: list[tuple[str, list[str], type, Bug]] = [
    ("K19: a release takes the token back", ["S2"], Release, writing(token=0)),
    ("a renewal draws a new token", ["S2"], Renew, writing(token=NEXT)),
    ("K1: a complete is not fenced", ["S4"], Complete, unfenced),
    ("a renewal revives an expired lease", ["S5"], Renew, unseen(expires_at=CLOCK + 1)),
    ("K10: a late complete overwrites an outcome", ["S6", "S7"], Complete, unseen(outcome=None, held=True)),
    ("K10: a late cancel overwrites an outcome", ["S6", "S7"], RequestCancel, unseen(outcome=None)),
    ("a complete is acknowledged and not kept", ["S6"], Complete, outcome_not_kept),
    ("a late cancel flags what has ended", ["S7"], RequestCancel, flag_after_the_end),
    ("a release is not fenced", ["S4", "S8"], Release, unfenced),
    ("K3: a stale release clears a newer lease", ["S4", "S8", "S20"], Release, clears_a_newer_lease),
    ("K2: a renewal is not fenced", ["S4", "S9"], Renew, unfenced),
    ("a renewal shortens", ["S9"], Renew, writing(expires_at=CLOCK + 1)),
    ("a change does not raise the version", ["version"], RequestCancel, writing(version=0)),
]


@pytest.mark.parametrize(
    ("properties", "kind", "bug"), [bug[1:] for bug in BUGS], ids=[bug[0] for bug in BUGS]
)
def test_a_bug_in_a_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, properties: list[str], kind: type, bug: Bug
) -> None:
    """The first transition that the search objects to breaks just these properties."""

    def decide(record: Record, request: Any, found: Any, *rest: Any) -> Decision:
        def shipped(record: Record, request: Any) -> Decision:
            return registry.decide(record, request, found, *rest)

        return bug(record, request, shipped) if isinstance(request, kind) else shipped(record, request)

    monkeypatch.setattr(model, "decide", decide)
    with pytest.raises(Broken) as found:
        explored()
    assert found.value.properties == properties


def test_a_claim_over_a_live_lease_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3: the one-process claim forgets whom it would take the process from."""
    shipped = claims.refuse_claim

    def refuse_claim(record: Record | None, clock: StoreTime, limits: Limits) -> Refused | None:
        refused = shipped(record, clock, limits)
        return None if refused == Refused(Reason.HELD) else refused

    monkeypatch.setattr(model, "refuse_claim", refuse_claim)
    with pytest.raises(Broken) as found:
        explored()
    assert found.value.properties == ["S3"]


def test_a_lease_that_lives_through_its_expiry_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """S5, K18: `<=` for `<`."""

    def live(record: Record, now: StoreTime) -> bool:
        return record.held and now <= record.expires_at

    monkeypatch.setattr(Record, "live", live)
    with pytest.raises(Broken) as found:
        explored()
    assert found.value.properties == ["S5"]


def test_a_claim_that_reuses_a_token_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """S2: the second claim gets the token of the first."""
    shipped = claims.grant

    def grant(record: Record, *rest: Any) -> Record:
        return changed(shipped(record, *rest), token=record.token or NEXT)

    monkeypatch.setattr(model, "grant", grant)
    with pytest.raises(Broken) as found:
        explored()
    assert found.value.properties == ["S2"]


def test_a_take_over_that_is_not_counted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """S20."""
    shipped = claims.grant

    def grant(record: Record, *rest: Any) -> Record:
        return changed(shipped(record, *rest), lost=record.lost)

    monkeypatch.setattr(model, "grant", grant)
    with pytest.raises(Broken) as found:
        explored()
    assert found.value.properties == ["S20"]


def test_a_fence_checked_in_another_transaction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """W1: the worker renews under its fence, and only then writes the outcome by process id alone. What happens in
    between, a pause longer than the lease and a take-over, is not seen (S4)."""

    def renew_first(state: t.Holding, outcome: Outcome, event: t.Event, *said: t.Command) -> t.Step:
        write = t.Call(0, Complete(state.lease.fence, outcome), event.now)
        renew = t.Call(event.tag, Renew(state.lease.fence, TERMS.timings.ttl_ms), event.now)
        then = t.Completing(state.terms, state.record, state.lease, state.flight or renew, (write,), outcome)
        return t.Step(then, said if state.flight else (*said, t.Send(renew.id, renew.request, None)))

    def decide(record: Record, request: Any, *rest: Any) -> Decision:
        if isinstance(request, Complete) and record.claim is not None:
            request = changed(request, fence=Fence("p", record.claim, record.token))
        return registry.decide(record, request, *rest)

    monkeypatch.setattr(attempt_rules, "complete", renew_first)
    monkeypatch.setattr(attempt_opening, "complete", renew_first)
    monkeypatch.setattr(model, "decide", decide)
    for failed in (t.CallUnknown, t.CallUnavailable):  # no renewal, no write
        monkeypatch.setitem(attempt.TABLE, (t.Completing, failed), each(attempt_rules.fenced))
    with pytest.raises(Broken) as found:
        explored()
    assert found.value.properties == ["S4"]
    told = "\n".join(found.value.__notes__)
    assert told.index("Renew succeeded") < told.index("a take-over")
