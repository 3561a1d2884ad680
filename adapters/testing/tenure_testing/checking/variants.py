"""The rules of the original worker, put back in the place of ours: what the search makes of them is why ours differ.

A variant patches the imported core for as long as its block lasts. `counterexample(name)` is the shortest way to what
it breaks. Under W1 the outcome is written in three steps; under W2 a renewal that failed is a loss, or time is not
watched at all; under W3 a terminal write that got no answer is dropped, and the process given back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from attrs import evolve, frozen

from tenure import attempt, attempt_opening, attempt_rules, model, registry
from tenure import attempt_guards as guards
from tenure import attempt_types as t
from tenure.instants import Instant
from tenure.process import Fence, Outcome, Record
from tenure.registry import Decision
from tenure.requests import Complete, Renew
from tenure.tables import each, go, ignore
from tenure.values import changed
from tenure_testing.checking import properties, steps
from tenure_testing.checking.configurations import named
from tenure_testing.checking.explorer import Violation, explore

Rules = list[tuple[Any, str, object]]
"""What is patched: a module and a name in it; or a table, under the name `table`, and its new entries."""


@frozen
class Variant:
    """`says`: the original's rule. `breaks`: the property that it breaks."""

    name: str
    says: str
    breaks: str
    rules: Callable[[], Rules]


@contextmanager
def put_back(name: str) -> Generator[Variant]:
    """The core with that rule of the original, until the block is left."""
    variant = VARIANTS[name]
    with ExitStack() as stack:
        for where, what, instead in variant.rules():
            if what == "table":
                stack.enter_context(patch.dict(where, instead))
            else:
                stack.enter_context(patch.object(where, what, instead))
        yield variant


def counterexample(name: str) -> Violation:
    """The shortest behaviour of two workers, whose sessions open, that breaks the property which the variant names. No
    other is judged: a rule of the original breaks several, and not each shows what comes of it."""
    world = evolve(named("rows and zombies"), features=frozenset({"sessions open"}))
    with put_back(name) as variant, ExitStack() as stack:
        for judge in (properties, steps):
            judged = tuple(known for known in judge.PROPERTIES if known[0] == variant.breaks)
            stack.enter_context(patch.object(judge, "PROPERTIES", judged))
        found = explore(world).violation
    assert found is not None, f"{name} breaks nothing: then there is no reason to do without it"
    return found


# --- W1: renew, write, release ------------------------------------------------------------------------------------


def _three_steps() -> Rules:
    def renew_first(state: t.Holding, outcome: Outcome, event: t.Event, *said: t.Command) -> t.Step:
        write = t.Call(0, Complete(state.lease.fence, outcome), event.now)
        renew = t.Call(event.tag, Renew(state.lease.fence, state.terms.timings.ttl_ms), event.now)
        then = t.Completing(state.terms, state.record, state.lease, state.flight or renew, (write,), outcome)
        first = t.Send(renew.id, renew.request, attempt_rules.deadline(state))
        return t.Step(then, said if state.flight else (*said, first))

    def unfenced(record: Record, request: Any, *rest: Any) -> Decision:
        if isinstance(request, Complete) and record.claim is not None:
            request = changed(request, fence=Fence(record.id, record.claim, record.token))
        return registry.decide(record, request, *rest)

    no_write = (
        ignore("stale", guards.stale, attempt.STALE),
        go("last write", guards.last, attempt_rules.ask_again),
        go("before it", guards.not_last, attempt_rules.fenced),
    )
    return [
        (attempt_rules, "complete", renew_first),
        (attempt_opening, "complete", renew_first),
        (model, "decide", unfenced),
        (attempt.TABLE, "table", {(t.Completing, t.CallUnknown): no_write}),
        (attempt.TABLE, "table", {(t.Completing, t.CallUnavailable): no_write}),
    ]


# --- W2: any failed renewal is a loss, and nothing else is ---------------------------------------------------------


def _any_failure_is_a_loss() -> Rules:
    lost = {
        (state, failed): each(attempt_rules.fenced)
        for state in (t.Running, t.Stopping)
        for failed in (t.CallUnknown, t.CallUnavailable)
    }
    return [(attempt.TABLE, "table", lost)]


def _no_deadline() -> Rules:
    watched = attempt.overdue_at

    def overdue_at(state: t.AttemptState) -> Instant | None:
        return None if isinstance(state, t.Opening | t.Running) else watched(state)

    return [(attempt, "overdue_at", overdue_at)]


# --- W3: a failed terminal write is dropped -------------------------------------------------------------------------


def _given_back_instead() -> Rules:
    def give_back(state: t.Completing, event: t.CallUnknown) -> t.Step:
        return attempt_rules.release(changed(state, flight=None), 0, event)

    entry = (
        ignore("stale", guards.stale, attempt.STALE),
        go("last write", guards.last, give_back),
        go("before it", guards.not_last, attempt_rules.ask_dropped),
    )
    return [(attempt.TABLE, "table", {(t.Completing, t.CallUnknown): entry})]


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("W1", "renew the lease, write the outcome by process id, release", "S4", _three_steps),
        Variant("W2", "any renewal that fails is a loss of the lease", "L3", _any_failure_is_a_loss),
        Variant(
            "W2, no deadline", "only a renewal's answer ends a lease, time does not", "S13", _no_deadline
        ),
        Variant(
            "W3",
            "a terminal write without answer is dropped, and the process given back",
            "S18",
            _given_back_instead,
        ),
    )
}
