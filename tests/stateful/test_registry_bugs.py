"""The machine of registries would notice: for each property a bug that breaks it, in the law or in one store, which it
finds and names. The bugs are those of docs/reference/properties.md (K) and more, each put in for one test only."""

# What is patched here is private, and a lambda in its place says no types.
# pyright: reportPrivateUsage=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tenure import claims, model, registry
from tenure.instants import StoreTime
from tenure.process import Cancelled, ClaimId, EndedBy, Fence, Record, Registration, Work
from tenure.registry import Decision, Moment
from tenure.replies import CancelAccepted, Claimed, Fenced, Released, Stamp, Succeeded
from tenure.requests import AppendEvent, Complete, EmitEvent, Release, Renew, Request, RequestCancel
from tenure.stores import ProcessRegistry
from tenure.values import changed
from tenure_sqlite import rows, scans
from tenure_sqlite import store as sqlite_store
from tenure_sqlite.tables import SqliteTables
from tenure_testing.registry_world import ManualClock
from tenure_testing.stateful import Broken, RegistryMachine
from tenure_testing.stateful.alphabet import Act
from tests.stateful.stores_in_lockstep import AllInStep

Patch: TypeAlias = pytest.MonkeyPatch
Rule: TypeAlias = Callable[[Record | None, Any, Moment], Decision]


# --- in the law, which every store obeys --------------------------------------------------------------------------


def instead(patch: Patch, kind: type, bug: Callable[[Rule, Record | None, Any, Moment], Decision]) -> None:
    """Have the bug decide about requests of that kind; it is given the rule that is right."""
    right = registry._RULES[kind]
    patch.setitem(registry._RULES, kind, lambda record, request, moment: bug(right, record, request, moment))


def unfenced(rule: Rule, record: Record | None, request: Any, moment: Moment) -> Decision:
    """Whoever asks is taken for the holder."""
    if record is not None and record.outcome is None and record.claim is not None:
        request = evolve(request, fence=Fence(record.id, record.claim, record.token))
    return rule(record, request, moment)


def k1(patch: Patch) -> None:
    instead(patch, Complete, unfenced)


def k2(patch: Patch) -> None:
    instead(patch, Renew, unfenced)


def k3(patch: Patch) -> None:
    instead(patch, Release, unfenced)


def k23(patch: Patch) -> None:
    instead(patch, EmitEvent, unfenced)


def k6(patch: Patch) -> None:
    """The clock is read before the lock, and stands still meanwhile."""
    patch.setattr(Record, "now", lambda self, clock: self.changed_at)


def k10(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: Complete, moment: Moment) -> Decision:
        if record is not None and record.outcome is not None:
            record = changed(record, outcome=None, ended_by=None, held=True)
        return rule(record, request, moment)

    instead(patch, Complete, bug)


def k10_by_a_cancel(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: RequestCancel, moment: Moment) -> Decision:
        if record is not None and record.outcome is not None:
            after = changed(record, version=moment.number, changed_at=record.now(moment.clock))
            stamp = Stamp(after.token, after.version, after.changed_at)
            return Decision(Succeeded(CancelAccepted(stamp, after.outcome)), after)
        return rule(record, request, moment)

    instead(patch, RequestCancel, bug)


def k18(patch: Patch) -> None:
    patch.setattr(Record, "live", lambda self, now: self.held and now <= self.expires_at)


def k19(patch: Patch) -> None:
    """The sequence begins again when the last row is pruned."""
    right = model._Draft.prune

    def bug(self: Any, cutoff: StoreTime, limit: int) -> int:
        count = right(self, cutoff, limit)
        if not self.state.records:
            self.state = changed(self.state, number=0)
        return count

    patch.setattr(model._Draft, "prune", bug)


def k20(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: Complete, moment: Moment) -> Decision:
        if record is None and request.fence.token:
            wanted = Registration(request.fence.process_id, Work("k"))
            now = moment.clock
            record = Record(wanted, moment.number, moment.number, now, now)
            record = changed(record, token=request.fence.token, claim=request.fence.claim, held=True)
        return rule(record, request, moment)

    instead(patch, Complete, bug)


def a_live_row_is_claimed(patch: Patch) -> None:
    right = claims.refuse_claim

    def bug(record: Record | None, clock: StoreTime, limits: Any) -> Any:
        return right(record and changed(record, held=False), clock, limits)

    patch.setattr(model, "refuse_claim", bug)


def a_renewal_shortens(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: Renew, moment: Moment) -> Decision:
        decision = rule(record, request, moment)
        if decision.record is None:
            return decision
        return evolve(
            decision, record=changed(decision.record, expires_at=StoreTime(moment.clock + request.ttl))
        )

    instead(patch, Renew, bug)


def an_event_is_appended_again(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: AppendEvent, moment: Moment) -> Decision:
        return rule(
            record, evolve(request, key=f"{request.key}{moment.number % 2}"), evolve(moment, found=None)
        )

    instead(patch, AppendEvent, bug)


def the_last_reason_wins(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: RequestCancel, moment: Moment) -> Decision:
        return rule(record and changed(record, cancel=None), request, moment)

    instead(patch, RequestCancel, bug)


def a_release_ends_the_process(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: Release, moment: Moment) -> Decision:
        decision = rule(record, request, moment)
        if decision.record is None or decision.record.outcome is not None or record is None:
            return decision
        after = registry._ended(record, Cancelled("released"), EndedBy.RELEASE, moment)
        stamp = Stamp(after.token, after.version, after.changed_at)
        return Decision(Succeeded(Released(stamp, after.outcome)), after)

    instead(patch, Release, bug)


def a_claim_answers_a_row_that_it_did_not_get(patch: Patch) -> None:
    right = model._granted

    def bug(tables: Any, found: Sequence[Record], claim: ClaimId, ttl: int, clock: StoreTime) -> Any:
        others = [row for row in tables.state.records if row not in found]
        answer: Any = right(tables, found, claim, ttl, clock)
        more = tuple(claims.lease_of(row, claim) for row in others[:1])
        return Succeeded(Claimed((*answer.reply.grants, *more), 1))

    patch.setattr(model, "_granted", bug)


def a_release_is_a_take_over(patch: Patch) -> None:
    right = claims.grant

    def bug(record: Record, *given: Any) -> Record:
        return changed(right(record, *given), lost=record.lost + 1)

    patch.setattr(model, "grant", bug)


def a_row_is_claimed_before_its_time(patch: Patch) -> None:
    patch.setattr(
        claims, "free_at", lambda record, limits: record.expires_at if record.held else StoreTime(0)
    )


def a_version_is_used_twice(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: EmitEvent, moment: Moment) -> Decision:
        decision = rule(record, request, moment)
        if decision.record is None or record is None:
            return decision
        return evolve(decision, record=changed(decision.record, version=record.version))

    instead(patch, EmitEvent, bug)


def a_healthy_holder_is_fenced(patch: Patch) -> None:
    def bug(rule: Rule, record: Record | None, request: Renew, moment: Moment) -> Decision:
        late = record is not None and record.lost > 0
        return Decision(Fenced()) if late else rule(record, request, moment)

    instead(patch, Renew, bug)


def a_row_goes_back_in_time(patch: Patch) -> None:
    patch.setattr(Record, "now", lambda self, clock: clock)


def a_change_reaches_another_row(patch: Patch) -> None:
    write = model._Draft.write

    def bug(self: Any, before: Record | None, decision: Decision) -> None:
        write(self, before, decision)
        if decision.event is not None and len(self.state.records) > 1:
            records = tuple(changed(row, ready_at=StoreTime(0)) for row in self.state.records)
            self.state = changed(self.state, records=records)

    patch.setattr(model._Draft, "write", bug)


def pruned_too_early(patch: Patch) -> None:
    prune = model._Draft.prune
    patch.setattr(
        model._Draft, "prune", lambda self, cutoff, limit: prune(self, StoreTime(cutoff + 1_000), limit)
    )


# --- in one store alone -------------------------------------------------------------------------------------------


def k18_in_sqlite(patch: Patch) -> None:
    """A store that judges the expiry by itself, and takes it to be inclusive."""
    right = getattr(sqlite_store, "execute")  # noqa: B009  it is the model's, under another name

    def bug(tables: Any, request: Any, clock: StoreTime) -> Any:
        with patch.context() as meanwhile:
            if isinstance(request, Renew):
                k18(meanwhile)
            return right(tables, request, clock)

    patch.setattr(sqlite_store, "execute", bug)


def k6_in_sqlite(patch: Patch) -> None:
    """A store that takes the time of an event from another machine."""
    right = getattr(sqlite_store, "execute")  # noqa: B009  it is the model's, under another name

    def bug(tables: Any, request: Any, clock: StoreTime) -> Any:
        return right(tables, request, StoreTime(clock + isinstance(request, EmitEvent)))

    patch.setattr(sqlite_store, "execute", bug)


def k24_in_sqlite(patch: Patch) -> None:
    """Answered, and then not committed: the batch is rolled back by the next one."""
    flush = SqliteTables.flush

    def bug(self: SqliteTables) -> bool:
        return flush(self) and not any(row and row.outcome for row in self._rows.values())

    patch.setattr(SqliteTables, "flush", bug)


def sqlite_forgets_a_flag(patch: Patch) -> None:
    patch.setattr(
        rows, "TOUCH", rows.TOUCH.replace("cancel = ?", "cancel = coalesce(cancel, substr(?, 9, 0))")
    )


def sqlite_skips_an_event(patch: Patch) -> None:
    right = scans.events
    patch.setattr(scans, "events", lambda link, record, after, limit: right(link, record, after + 1, limit))


def sqlite_claims(patch: Patch, wanted: Callable[[Any], Any], order: Callable[[Any], Any]) -> None:
    """ClaimNext as SQLite would grant it if it took the filter and its places for these."""
    right = SqliteTables.candidates

    def bug(self: SqliteTables, of: Any, limit: int, clock: StoreTime) -> Any:
        return sorted(right(self, wanted(of), 100, clock), key=order)[:limit]

    patch.setattr(SqliteTables, "candidates", bug)


def sqlite_claims_any_kind(patch: Patch) -> None:
    """The scan leaves the kind out."""
    sqlite_claims(patch, lambda of: evolve(of, kinds=("k", "j")), lambda row: (row.ready_at, row.seq))


def sqlite_claims_in_order_of_registration(patch: Patch) -> None:
    """The scan leaves `ready_at` out of its order."""
    sqlite_claims(patch, lambda of: of, lambda row: row.seq)


def the_claimed_are_not_in_order(patch: Patch) -> None:
    """In the law itself: the last of the registered goes first."""
    right = model._Draft.candidates
    patch.setattr(model._Draft, "candidates", lambda self, *given: tuple(reversed(right(self, *given))))


class TheModelAlone(RegistryMachine):
    """What breaks the law itself is found without any store."""

    def open_stores(self, clock: ManualClock) -> dict[str, ProcessRegistry]:
        return {}


@frozen
class Bug:
    put_in: Callable[[Patch], None]
    breaks: str
    """The property that is named first; of a bug in one store, one that is named: S1 is broken by all of them."""
    machine: type[RegistryMachine] = TheModelAlone


BUGS = [
    Bug(k1, "S4"),
    Bug(k2, "S9"),
    Bug(k3, "S8"),
    Bug(k6, "S5"),
    Bug(k10, "S6"),
    Bug(k10_by_a_cancel, "S7"),
    Bug(k18, "S5"),
    Bug(k19, "S2"),
    Bug(k20, "S11"),
    Bug(k23, "S4"),
    Bug(a_live_row_is_claimed, "S3"),
    Bug(a_renewal_shortens, "S9"),
    Bug(an_event_is_appended_again, "S10"),
    Bug(the_last_reason_wins, "S16"),
    Bug(a_release_ends_the_process, "S17"),
    Bug(a_claim_answers_a_row_that_it_did_not_get, "S19"),
    Bug(a_release_is_a_take_over, "S20"),
    Bug(a_row_is_claimed_before_its_time, "L1"),
    Bug(the_claimed_are_not_in_order, "L1"),
    Bug(a_version_is_used_twice, "S23"),
    Bug(a_healthy_holder_is_fenced, "L3"),
    Bug(a_row_goes_back_in_time, "C1"),
    Bug(a_change_reaches_another_row, "S22"),
    Bug(pruned_too_early, "S21"),
    Bug(k18_in_sqlite, "S5", AllInStep),
    Bug(k24_in_sqlite, "S6", AllInStep),
    Bug(sqlite_forgets_a_flag, "S16", AllInStep),
    Bug(k6_in_sqlite, "S1", AllInStep),
    Bug(sqlite_skips_an_event, "S1", AllInStep),
    Bug(sqlite_claims_any_kind, "L1", AllInStep),
    Bug(sqlite_claims_in_order_of_registration, "L1", AllInStep),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.put_in.__name__)
def test_it_is_found_and_named(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.put_in(monkeypatch)
    with pytest.raises(Broken) as found:
        look_for(bug)
    named = found.value.properties
    assert bug.breaks == named[0] if bug.machine is TheModelAlone else bug.breaks in named, found.value
    assert str(found.value).startswith(", ".join(named))


def look_for(bug: Bug) -> None:
    """Few examples. In the law, a bug is to be found by the one property alone; in a store, by any, and named."""

    class Machine(bug.machine):  # type: ignore[name-defined, misc]  # a class chosen at run time
        def __init__(self) -> None:
            super().__init__()
            if bug.machine is TheModelAlone:
                self.lockstep.judge.only = frozenset((bug.breaks,))

        def _requests(self, acts: list[Act]) -> list[Request]:
            """Alone: of a batch only its end can be seen, and what a store did is S1, unless it is shrunk."""
            return super()._requests(acts)[:1]  # type: ignore[no-any-return]

    few = settings(
        max_examples=300,
        stateful_step_count=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    run_state_machine_as_test(Machine, settings=few)
