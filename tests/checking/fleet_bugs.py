"""Bugs in the worker machine, and in what the store answers to it, for the searches of fleets to find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from tenure import model, worker
from tenure.attempt_types import CallSucceeded, CallUnknown, Event, Tick
from tenure.claims import claimable, lease_of
from tenure.instants import Instant, StoreTime, after
from tenure.process import ClaimId, Record
from tenure.replies import CancelsRead
from tenure.requests import ClaimFilter, Complete
from tenure.tables import go, ignore
from tenure.values import changed
from tenure.worker_types import (
    AttemptEnded,
    BeginAttempt,
    ClaimCall,
    DrainAsked,
    Draining,
    Driving,
    ShowCancels,
    Stopped,
    WorkerStep,
    WorkerTerms,
    WorkHinted,
    Working,
)
from tests.checking.patching import Patch, deciding, writing

SHIPPED: dict[str, Any] = {**vars(worker)}
LAW: dict[str, Any] = {**vars(model)}
STEPS = {key: {edge.name: edge.go for edge in edges} for key, edges in worker.TABLE.items()}


def entry(state: type, event: type, name: str, rule: Callable[[Any, Any], WorkerStep] | None) -> Patch:
    """The table's edge of that name does something else: what `rule` says, or nothing."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        edges = tuple(
            edge
            if edge.name != name
            else go(name, edge.guard, rule)
            if rule
            else ignore(name, edge.guard, "")
            for edge in worker.TABLE[state, event]
        )
        monkeypatch.setitem(worker.TABLE, (state, event), edges)

    return patch


def rule(module: Any, name: str, new: Callable[..., Any]) -> Patch:
    """The function of that name is another."""
    return lambda monkeypatch: monkeypatch.setattr(module, name, new)


def drives_without_its_tiers(terms: WorkerTerms, now: Instant) -> WorkerStep:
    fit = evolve(terms, terms=changed(terms.terms, tier_fault=""))
    step: WorkerStep = SHIPPED["start"](fit, now)
    return step


def counts_from_the_last_sending(state: Working, claim: ClaimCall, event: Event) -> WorkerStep:
    step: WorkerStep = SHIPPED["_claim_again"](state, changed(claim, doubtful=False), event)
    return step


def claims_anew(state: Working, claim: ClaimCall, event: Event) -> WorkerStep:
    request = changed(claim.request, claim=ClaimId("w", event.tag))
    step: WorkerStep = SHIPPED["_claim_again"](state, changed(claim, request=request), event)
    return step


def drops_its_claim(state: Working, event: Event) -> WorkerStep:
    return WorkerStep(changed(state, claim=None))


def waits_long(now: Instant, tries: int, jitter: int) -> Instant:
    return after(now, 2_000_000_000)


def keeps_the_slot_of_who_strayed(state: Working, event: AttemptEnded) -> WorkerStep:
    step: WorkerStep = SHIPPED["_ended"](state, event)
    strayed = (event.process_id, event.token) in state.exclude
    return WorkerStep(changed(step.state, running=state.running)) if strayed else step


def leaves_nobody_alone(state: Working) -> tuple[str, ...]:
    return ()


def claims_for_one_too_many(state: Working) -> int:
    free: int = SHIPPED["free_slots"](state)
    return free + 1


def claims_though_it_drains(state: Draining, event: Event) -> WorkerStep:
    if state.claim is not None or not worker.free_slots(state):
        step: WorkerStep = SHIPPED["_drain_tick"](state, event)
        return step
    claim, flags = None, {"hungry": True, "hinted": False, "cancels": False}
    driving = Driving(state.terms, state.running, state.exclude, claim, None, 0, **flags, poll_at=event.now)
    claimed = SHIPPED["_tick"](driving, event)
    return WorkerStep(changed(state, claim=claimed.state.claim), claimed.commands)


def over_what_others_hold(self: Any, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
    """K13: a claim looks at the leases of its own name alone."""
    others = [row for row in self.state.records if row.held and row.claim and row.claim.owner != "w"]
    free = [row for row in others if row.outcome is None and row.id not in wanted.exclude]
    shipped: Sequence[Record] = shipped_candidates(self, wanted, limit, clock)
    return [*shipped, *(row for row in free if row not in shipped)][:limit]


def forgets_who_overtook_it(tables: Any, request: Any, clock: StoreTime) -> Any:
    """Of claims for several processes: as if each of them were asked for by itself."""
    live = [row for row in tables.carrying(request.claim) if row.live(clock)]
    overtaken = live and request.claim.n < tables.last_claim(request.claim.owner)
    return (
        None if overtaken and getattr(request, "limit", 1) > 1 else LAW["_repeated"](tables, request, clock)
    )


def leaves_the_first_alone(state: Working) -> tuple[str, ...]:
    strayed: tuple[str, ...] = SHIPPED["_strayed"](state)
    return strayed[:1]


def gives_up(state: Working, event: Event) -> WorkerStep:
    return WorkerStep(Stopped(state.running))


def leaves_with_the_grace(state: Draining) -> Instant:
    return state.until


def gives_no_grace(name: str) -> Callable[[Any, Any], WorkerStep]:
    def bug(state: Working, event: DrainAsked) -> WorkerStep:
        step: WorkerStep = SHIPPED[name](state, evolve(event, grace=0))
        return step

    return bug


def gives_the_last_grace(state: Draining, event: DrainAsked) -> WorkerStep:
    until = after(event.now, event.grace)
    step: WorkerStep = SHIPPED["_drain_on"](changed(state, until=until), event)
    return step


def granted(**fields: Any) -> Callable[[Any, Any], WorkerStep]:
    def bug(state: Working, event: Any) -> WorkerStep:
        step = SHIPPED["_granted"](state, event)
        begun = (changed(b, **fields) if isinstance(b, BeginAttempt) else b for b in step.commands)
        return WorkerStep(step.state, tuple(begun))

    return bug


def begins_the_first_only(state: Working, event: Any) -> WorkerStep:
    step = SHIPPED["_granted"](state, event)
    return WorkerStep(step.state, step.commands[:1])


def forgets_the_hint(state: Driving, event: Any) -> WorkerStep:
    return WorkerStep(changed(SHIPPED["_hinted"](state, event).state, hinted=False))


def hides_what_is_cancelled(self: Any, owner: str, limit: int) -> CancelsRead:
    return CancelsRead(())


def takes_its_last_number_again(owner: str, n: int) -> ClaimId:
    return ClaimId(owner, n - 1)


def shows_nothing(state: Working, event: Any) -> WorkerStep:
    return WorkerStep(changed(state, reading=None), (ShowCancels(()),))


def newest_first(self: Any, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
    found = [row for row in self.state.records if claimable(row, wanted, clock, self.limits)]
    return sorted(found, key=lambda row: (-row.ready_at, -row.seq))[:limit]


def over_the_held(self: Any, wanted: ClaimFilter, limit: int, clock: StoreTime) -> Sequence[Record]:
    return [row for row in self.state.records if row.outcome is None][:limit]


def releases_all(self: Any, before: Record | None, decision: Any) -> None:
    shipped_write(self, before, decision)
    if decision.record.outcome is not None:
        rows = tuple(changed(row, held=False) for row in self.state.records)
        self.state = changed(self.state, records=rows)


def answers_all_it_holds(tables: Any, rows: Sequence[Record], claim: ClaimId, *rest: Any) -> Any:
    answer = LAW["_granted"](tables, rows, claim, *rest)
    held = [row for row in tables.state.records if row.held and row.claim]
    grants = tuple(lease_of(row, row.claim) for row in held if row.claim)
    return changed_reply(answer, grants)


def changed_reply(answer: Any, grants: Any) -> Any:
    return type(answer)(changed(answer.reply, grants=grants))


shipped_write = model._Draft.write  # pyright: ignore[reportPrivateUsage]  # the model's one table of rows
shipped_candidates = model._Draft.candidates  # pyright: ignore[reportPrivateUsage]  # the same
DRAFT = model._Draft  # pyright: ignore[reportPrivateUsage]

SLOT, CANCELS, DRAINS = "fleet of one slot", "fleet and cancellations", "fleet that drains"
OTHER, STRAYS, LATE = (
    "fleet beside another worker",
    "fleet with handlers that stray",
    "fleet with late claims",
)
CLAIMED = Driving, CallSucceeded, "claimed"
AGAIN = Draining, DrainAsked, "always"

BUGS: list[tuple[str, str, str, Patch]] = [
    (
        "S15",
        "fleet without its tiers",
        "drives all the same",
        rule(worker, "start", drives_without_its_tiers),
    ),
    ("CONTRACT 1", SLOT, "a number again", rule(worker, "ClaimId", takes_its_last_number_again)),
    ("L8", SLOT, "it never ends", deciding(Complete, writing(outcome=None, ended_by=None))),
    ("S12", SLOT, "K4", rule(worker, "_claim_again", counts_from_the_last_sending)),
    ("S18", SLOT, "claims anew", rule(worker, "_claim_again", claims_anew)),
    ("L8", SLOT, "K9: drops it", entry(Driving, CallUnknown, "claim", drops_its_claim)),
    ("L8", SLOT, "waits too long", rule(worker, "retry_at", waits_long)),
    ("S10", SLOT, "a repeated claim is new", rule(model, "_repeated", lambda *of: None)),
    ("L1", CANCELS, "forgets a hint", entry(Driving, WorkHinted, "always", forgets_the_hint)),
    ("L4", CANCELS, "K17", entry(Driving, CallSucceeded, "cancels", shows_nothing)),
    ("S16", CANCELS, "hides a flag", rule(DRAFT, "cancels", hides_what_is_cancelled)),
    ("CONTRACT 4", CANCELS, "wrong order", rule(DRAFT, "candidates", newest_first)),
    ("L5", DRAINS, "claims", entry(Draining, Tick, "always", claims_though_it_drains)),
    ("L5", DRAINS, "K8: leaves too early", rule(worker, "leave_at", leaves_with_the_grace)),
    ("L5", DRAINS, "K8: no grace", entry(Driving, DrainAsked, "always", gives_no_grace("_drain"))),
    ("L5", DRAINS, "then no grace", entry(*AGAIN, gives_no_grace("_drain_sooner"))),
    ("L5", DRAINS, "the last grace", entry(*AGAIN, gives_the_last_grace)),
    ("CONTRACT 7", DRAINS, "runs it", entry(Draining, CallSucceeded, "claimed", granted(wanted=True))),
    ("S3", OTHER, "takes what is held", rule(DRAFT, "candidates", over_the_held)),
    ("S22", OTHER, "frees the other row", rule(DRAFT, "write", releases_all)),
    ("S19", OTHER, "answers more", rule(model, "_granted", answers_all_it_holds)),
    ("L7", STRAYS, "K14", entry(Driving, AttemptEnded, "always", keeps_the_slot_of_who_strayed)),
    ("S12", STRAYS, "claims it again", rule(worker, "_strayed", leaves_nobody_alone)),
    ("CONTRACT 4", LATE, "too many", rule(worker, "free_slots", claims_for_one_too_many)),
    ("S12", LATE, "drops a grant", entry(*CLAIMED, begins_the_first_only)),
    ("S13", LATE, "a new budget", entry(*CLAIMED, granted(sent_at=0))),
    ("L1", LATE, "gives back", entry(*CLAIMED, granted(wanted=False))),
]
"""The first property that is reported; the configuration; the bug, and the patch."""

TROUBLE, THREE = "fleet of two slots, with hints and trouble", "fleet of three slots with handlers that stray"
REASONS: dict[str, Patch] = {
    "fleet without its tiers": rule(worker, "start", drives_without_its_tiers),
    SLOT: rule(worker, "_claim_again", claims_anew),
    CANCELS: entry(Driving, CallSucceeded, "cancels", shows_nothing),
    OTHER: rule(DRAFT, "candidates", over_what_others_hold),
    STRAYS: entry(Driving, AttemptEnded, "always", keeps_the_slot_of_who_strayed),
    DRAINS: entry(Draining, Tick, "always", claims_though_it_drains),
    LATE: rule(model, "_repeated", forgets_who_overtook_it),
    THREE: rule(worker, "_strayed", leaves_the_first_alone),
    TROUBLE: entry(Driving, CallUnknown, "read", gives_up),
}
"""The bug that each configuration's `reason` names."""
