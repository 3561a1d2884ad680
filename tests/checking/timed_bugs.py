"""Bugs for the searches under bounded drift, and for liveness, to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tenure import attempt, attempt_opening, attempt_rules, attempt_time, claims, worker
from tenure import attempt_types as t
from tenure.instants import NANOS_PER_SECOND, Instant, StoreTime, after
from tenure.limits import Limits
from tenure.process import Outcome, Record
from tenure.tables import Edge, go
from tenure.timings import LeaseTimings
from tenure.values import changed
from tenure.worker_types import Driving, WorkerStep
from tenure_testing.checking import timed
from tests.checking.patching import Patch

CANCELLED, DRAINED = "healthy workers that are cancelled", "healthy workers that drain"
EVERY_OTHER, TROUBLE = "healthy workers that renew every other tick", "after any trouble"
AGES, STUBBORN, STEPS = "ages and deadlines", "handlers that do not stop", "a store whose clock steps"
SLOT = "fleet of one slot"


def entry(table: Any, key: tuple[type, type], name: str, rule: Callable[[Any, Any], Any]) -> Patch:
    """The table's edge of that name follows another rule."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        edges: tuple[Edge, ...] = table[key]
        assert name in {edge.name for edge in edges}
        changed_edges = (go(name, edge.guard, rule) if edge.name == name else edge for edge in edges)
        monkeypatch.setitem(table, key, tuple(changed_edges))

    return patch


def both(*patches: Patch) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for each in patches:
            each(monkeypatch)

    return patch


def rule(module: Any, name: str, new: Callable[..., Any]) -> Patch:
    """The function of that name is another."""
    return lambda monkeypatch: monkeypatch.setattr(module, name, new)


def renews_while_opening_only(state: t.Holding) -> bool:
    return isinstance(state, t.Opening)


def renews_no_handler_that_drains(state: t.Holding) -> bool:
    draining = isinstance(state, t.Stopping) and state.why is t.StopReason.DRAIN
    return shipped_may_renew(state) and not draining


def waits_for_no_renewal(state: t.Holding, delay: int, event: t.Event, *said: t.Command) -> t.Step:
    return shipped_release(changed(state, flight=None), delay, event, *said)


def does_not_look_at_the_flag(state: t.Running, event: t.CallSucceeded) -> t.Step:
    reply: Any = event.reply
    blind = t.CallSucceeded(now=event.now, tag=event.tag, call=event.call, reply=changed(reply, cancel=None))
    return attempt_rules.renewed(state, blind)


shipped_free_at, shipped_begin = claims.free_at, attempt_opening.begin
shipped_may_renew, shipped_release = attempt_rules.may_renew, attempt_rules.release


def never_free_after_an_expiry(record: Record, limits: Limits) -> StoreTime:
    return StoreTime(1 << 50) if record.held else shipped_free_at(record, limits)


def never_free_after_a_release(record: Record, limits: Limits) -> StoreTime:
    return StoreTime(1 << 50) if record.token and not record.held else shipped_free_at(record, limits)


def opens_no_session(*of: Any) -> t.Step:
    step = shipped_begin(*of)
    return t.Step(step.state, tuple(c for c in step.commands if not isinstance(c, t.OpenSession)))


def stops_when_renewed(state: t.Running, event: t.Event) -> t.Step:
    return attempt_rules.running_shut_down(changed(state, flight=None), event)


def counts_from_the_answer(
    terms: t.Terms, grant: Any, epoch: int, sent_at: Instant, event: t.Event, wanted: bool = True
) -> t.Step:
    return shipped_begin(terms, grant, epoch, event.now, event, wanted)


def forgets_the_outcome(state: t.Holding, outcome: Outcome, event: t.Event, *said: t.Command) -> t.Step:
    return t.Step(t.Completing(state.terms, state.record, state.lease, state.flight, (), outcome), said)


def stays(state: Any, event: Any) -> t.Step:
    return t.Step(state)


def gives_back_at_once(state: t.Running, event: t.Event) -> t.Step:
    return attempt_rules.release(state, 0, event)


def tells_nobody(state: t.Holding, event: t.Event) -> t.Step:
    step = attempt_rules.fenced(state, event)
    return t.Step(step.state, tuple(c for c in step.commands if not isinstance(c, t.StopHandler)))


def waits_long(state: t.LeaseLost) -> Instant:
    return after(state.stopped, 10 * state.terms.timings.stop_grace_ns)


def detaches_late(state: t.Stopping) -> Instant:
    return after(attempt_rules.deadline(state), 3 * state.terms.timings.stop_grace_ns)


def polls_in_vain(state: Driving, event: Any) -> WorkerStep:
    step: WorkerStep = shipped_tick(changed(state, poll_at=after(event.now, 1)), event)
    return step


def no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if drift needed one tick of margin only."""
    times = LeaseTimings(6, renew_interval=1, call_timeout=1, margin=1, stop_grace=1, completion_patience=1)
    monkeypatch.setitem(timed.TIMES, 6, times)


def reckoned(**nanos: int) -> Patch:
    """The product makes something else of the seconds that it was given."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        times = evolve(timed.TIMES[6])
        for name, value in nanos.items():
            object.__setattr__(times, name, value)
        monkeypatch.setitem(timed.TIMES, 6, times)

    return patch


def late_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attempt_time.__dict__["_LIMITS"], t.LeaseLost, (waits_long, "stop_grace"))


TABLE, WORKER = attempt.TABLE, worker.TABLE
shipped_tick: Any = next(edge.go for edge in WORKER[Driving, t.Tick])
ENDS_IT = both(
    entry(TABLE, (t.Running, t.CallUnknown), "renewing", attempt_rules.fenced),
    entry(TABLE, (t.Running, t.CallUnavailable), "renewing", attempt_rules.fenced),
)
HANDS_OVER = entry(TABLE, (t.Running, t.CallSucceeded), "renewed", stops_when_renewed)
BLIND = entry(TABLE, (t.Running, t.CallSucceeded), "renewed", does_not_look_at_the_flag)

BUGS: list[tuple[str, str, str, Patch]] = [
    ("L3", CANCELLED, "K11: never renewed", rule(attempt_rules, "may_renew", renews_while_opening_only)),
    (
        "L5",
        DRAINED,
        "K8: drains, not renewed",
        rule(attempt_rules, "may_renew", renews_no_handler_that_drains),
    ),
    ("S9", DRAINED, "K16: does not wait for it", rule(attempt_rules, "release", waits_for_no_renewal)),
    ("L3", CANCELLED, "K22: one lost renewal ends it", ENDS_IT),
    ("L4", CANCELLED, "K17: the flag is not seen", BLIND),
    ("L1", CANCELLED, "an expired row stays taken", rule(claims, "free_at", never_free_after_an_expiry)),
    ("L1", DRAINED, "a released row stays taken", rule(claims, "free_at", never_free_after_a_release)),
    ("L1", CANCELLED, "K21: claimed, never started", rule(attempt_opening, "begin", opens_no_session)),
    ("L10", CANCELLED, "gives back what it renewed", HANDS_OVER),
    ("L2", CANCELLED, "an outcome is forgotten", rule(attempt_rules, "complete", forgets_the_outcome)),
    ("L9", CANCELLED, "never over", entry(TABLE, (t.Stopping, t.HandlerStopped), "always", stays)),
    (
        "L5",
        DRAINED,
        "given back first",
        entry(TABLE, (t.Running, t.StopAsked), "always", gives_back_at_once),
    ),
    ("L5", DRAINED, "the handler is not told", entry(TABLE, (t.Running, t.StopAsked), "always", stays)),
    ("C3", AGES, "too small a margin", no_margin),
    ("C3", AGES, "K4: counts from the answer", rule(attempt_opening, "begin", counts_from_the_answer)),
    ("S18", AGES, "no patience", reckoned(patience_ns=0)),
    ("S14", AGES, "too much patience", reckoned(patience_ns=NANOS_PER_SECOND * 60)),
    ("C3", STUBBORN, "left behind late", rule(attempt_rules, "detach_at", detaches_late)),
    ("L6", STEPS, "nobody is told", entry(TABLE, (t.Running, t.CallFenced), "current", tells_nobody)),
    ("L6", STEPS, "left behind late", late_lost),
    ("L7", SLOT, "a poll is in vain", entry(WORKER, (Driving, t.Tick), "always", polls_in_vain)),
]
"""The first property that is reported; the configuration; the bug, and the patch."""

REASONS: dict[str, Patch] = {
    STEPS: entry(TABLE, (t.Running, t.CallFenced), "current", tells_nobody),
    CANCELLED: BLIND,
    DRAINED: rule(attempt_rules, "may_renew", renews_no_handler_that_drains),
    AGES: rule(attempt_opening, "begin", counts_from_the_answer),
    STUBBORN: rule(attempt_rules, "detach_at", detaches_late),
    TROUBLE: entry(TABLE, (t.Completing, t.Tick), "always", stays),
}
"""The bug that each configuration's `reason` names."""

SAME: dict[str, tuple[str, Patch]] = {
    "K11": ("L3", rule(attempt_rules, "may_renew", renews_while_opening_only)),
    "K17": ("L4", BLIND),
    "K22": ("L3", ENDS_IT),
}
"""What a configuration that has no bug of its own shows as well as a smaller one, with the property."""
