"""No behaviour of two workers and one process breaks S2-S9 or S20, and the search would notice.

`search` explores the world; here is what must hold of each transition of the row, what must be seen sometimes, and
for each property a bug that breaks it. One configuration is checked: two workers, one process, a ttl of two ticks, one
zombie request, max_lost 2, free clocks; without effects, drain, max_run and the age of calls.

What a state leaves out, and why no behaviour is lost by it:
- Instants. Both clocks are rebased to now. A worker's clock is free against the store's, so that what waits for the age
  of a lease may come at any moment: the lease is kept as new, and the ticks to each limit are always possible.
- Tokens but for their rank. The law compares them for equality with the row's, and S2 holds on every transition.
- Owners. Claims are named by the token that they got, under one owner: who compared owners alone would be found out.
  A claim that its worker gave up before it was granted counts as that of a worker that crashed.
- Versions, claims, numbers of events: checked on transitions. `lost` saturates at max_lost, the wait with it.
- A request that is doubled in the air: it is late, and sent again. A reply that is doubled: it answers no call.
- Which worker is which.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from attrs import frozen

from tenure import attempt, attempt_opening, attempt_rules, claims, model, registry
from tenure import attempt_types as t
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import Cancelled, Failure, Fence, Outcome, Record
from tenure.registry import Decision
from tenure.replies import Answer, Fenced, Reason, Refused, Succeeded
from tenure.requests import Claim, ClaimFilter, Complete, Release, Renew, RequestCancel
from tenure.tables import each
from tenure.values import changed
from tests.core import search
from tests.core.search import CLOCK, LIMITS, NEXT, NOW, TERMS, TICK, WAITS, Search, State

STATES, TRANSITIONS = 2_242_081, 30_318_602
"""How large the whole world is. Commit other numbers only if you know which behaviours came or went."""

# --- what must hold -----------------------------------------------------------------------------------------------


@frozen
class Transition:
    """The store answers one request."""

    before: Record
    asked: search.Asked
    row: Record
    answer: Answer

    @property
    def changes(self) -> bool:
        return self.row != self.before

    @property
    def grants(self) -> bool:
        return self.changes and isinstance(self.asked, Claim)

    @property
    def ended(self) -> bool:
        """Before it."""
        return self.before.outcome is not None

    @property
    def live(self) -> bool:
        """Before it; judged here and not by the core, so that the core's own judgement is checked."""
        return self.before.held and self.before.expires_at > CLOCK

    @property
    def stale(self) -> bool:
        """A change under a fence that does not hold."""
        if not self.changes or not isinstance(self.asked, Renew | Complete | Release):
            return False
        lease = (self.before.token, self.before.claim)
        return lease != (self.asked.fence.token, self.asked.fence.claim) or not (
            self.before.held or self.ended
        )


def token_grows_by_claims_only(of: Transition) -> bool:
    """S2; `NEXT` is above every token there has been, and a claim is named by the token that it gets."""
    lease = (of.row.token, of.row.claim)
    if of.grants:
        return lease == (NEXT, of.asked.claim if isinstance(of.asked, Claim) else None)
    return lease == (of.before.token, of.before.claim)


def claims_what_is_free(of: Transition) -> bool:
    """S3, and Claim and ClaimNext agree about what is free."""
    free = claims.claimable(of.before, ClaimFilter(TERMS.profile, TERMS.kinds), CLOCK, LIMITS)
    anew = isinstance(of.asked, Claim) and of.asked.claim.n == NEXT
    return not (of.grants and (of.ended or of.live)) and of.grants == (anew and free)


def ends_once(of: Transition) -> bool:
    """S6: neither another outcome nor another terminal event, and who is told of an outcome finds it in the row."""
    told = of.asked.outcome if isinstance(of.asked, Complete) and isinstance(of.answer, Succeeded) else None
    if told is not None and told != of.row.outcome:
        return False
    return not of.ended or (of.row.outcome, of.row.events) == (of.before.outcome, of.before.events)


def renews_its_own_and_never_shortens(of: Transition) -> bool:
    """S9."""
    return not isinstance(of.asked, Renew) or not (of.stale or of.row.expires_at < of.before.expires_at)


def counts(of: Transition) -> bool:
    """S20, and a refusal changes nothing."""
    lost = of.before.lost + (1 if of.before.held else 0) if of.grants else of.before.lost
    if of.changes and isinstance(of.asked, Release) and of.row.outcome is None:
        lost = 0
    counted = (of.row.claims, of.row.lost) == (of.before.claims + (1 if of.grants else 0), lost)
    return counted and (isinstance(of.answer, Succeeded) or not of.changes)


PROPERTIES: dict[str, Callable[[Transition], bool]] = {
    "S2": token_grows_by_claims_only,
    "S3": claims_what_is_free,
    "S4": lambda of: not of.stale,
    "S5": lambda of: not (of.changes and isinstance(of.asked, Renew)) or of.live,
    "S6": ends_once,
    "S7": lambda of: not (of.ended and of.changes),
    "S8": lambda of: not (of.stale and isinstance(of.asked, Release)),
    "S9": renews_its_own_and_never_shortens,
    "S20": counts,
    "version": lambda of: of.row.version == (NEXT if of.changes else of.before.version),
}


class Broken(Exception):
    """A behaviour that breaks `properties`; the notes tell how it came to that."""

    def __init__(self, properties: list[str], of: Transition) -> None:
        super().__init__(
            f"{', '.join(properties)}: {of.asked} is answered {of.answer} and makes {of.before} {of.row}"
        )
        self.properties = properties


def judge(before: Record, asked: search.Asked, row: Record, answer: Answer) -> str:
    of = Transition(before, asked, row, answer)
    broken = [name for name, holds in PROPERTIES.items() if not holds(of)]
    if broken:
        raise Broken(broken, of)
    said = f"{type(asked).__name__} {type(answer).__name__.lower()}"
    if isinstance(answer, Refused):
        return f"{said} ({answer.reason.value})"
    if of.grants and before.held:
        return f"{said}, a take-over"
    if isinstance(asked, Complete):
        said += (
            ", lost too often"
            if isinstance(asked.outcome, Failure) and asked.outcome.code == "lost_too_often"
            else ""
        )
        said += ", though cancelled" if of.changes and before.cancel is not None else ""
        said += (
            ", cancelled before"
            if isinstance(before.outcome, Cancelled) and asked.fence.token == before.token
            else ""
        )
    return said


def explored() -> tuple[Search, int, int]:
    """A search that ran. A fault of it has the shortest way there in its notes."""
    world = Search(judge)
    try:
        return world, *world.run()
    except Exception as fault:
        for line in story(world):
            fault.add_note(line)
        raise


def story(world: Search) -> list[str]:
    """How the world came to its state."""
    path = [world.state]
    while path[-1] != world.parents[path[-1]]:
        path.append(world.parents[path[-1]])
    steps = (
        (next(said for said, then in world.successors(old) if then == new), new)
        for old, new in pairwise(path[::-1])
    )
    return [f"{number:3} {said:40} {shown(world, state)}" for number, (said, state) in enumerate(steps, 1)]


def shown(world: Search, state: State) -> str:
    """Row, zombie and both workers in a line."""
    row: Record = [*world.rows][state[0]]
    zombie: search.Zombie = [*world.zombies][state[1]]
    workers: list[search.Block] = [[*world.blocks][block] for block in state[2:]]
    left = f"held for {(row.expires_at - CLOCK) // TICK}" if row.held else "free"
    words = [f"row {type(row.outcome).__name__ if row.outcome else left}", f"lost {row.lost}"]
    words += ["cancel"] if row.cancel is not None else []
    words += [f"zombie {type(zombie.asked).__name__} of token {zombie.token}"] if zombie.asked else []
    for worker in workers:
        name = type(worker.attempt).__name__ if worker.attempt else "idle"
        words.append(f"{name} {worker.token}" + (f" and {type(worker.mail).__name__}" if worker.mail else ""))
    return "; ".join(words)


# --- all behaviours -----------------------------------------------------------------------------------------------


def test_no_behaviour_breaks_a_property_and_all_have_been_seen() -> None:
    """S2-S9, S20: to the fixpoint, without a bound on the depth; and the world is as large, and as rich, as it was."""
    world, states, transitions = explored()
    assert set(SOMETIMES) <= world.seen
    for (
        block
    ) in world.blocks:  # no limit in time lies between the instants to which an attempt is said to wait
        assert block.attempt is None or attempt.overdue_at(block.attempt) in (None, NOW, *WAITS)
    assert (states, transitions) == (STATES, TRANSITIONS)


SOMETIMES = [
    "crashes",
    "Claim succeeded",
    "Claim succeeded, a take-over",
    "Claim refused (held)",
    "Claim refused (not_ready)",
    "Claim refused (ended)",
    "Renew succeeded",
    "Renew fenced",
    "Release succeeded",
    "Release fenced",
    "RequestCancel succeeded",
    "Complete succeeded",
    "Complete succeeded, lost too often",
    "Complete succeeded, though cancelled",  # complete against cancel, both ways
    "Complete fenced, cancelled before",
    "late: Complete fenced",  # a zombie is refused
    "late: Release fenced",
    "late: Renew fenced",
    "late: Claim succeeded, a take-over",
    "late: Complete succeeded",  # unknown, then committed
    "late: Renew succeeded",
    "a late request is lost",  # unknown, then lost
]

# --- and bugs would be found --------------------------------------------------------------------------------------

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
