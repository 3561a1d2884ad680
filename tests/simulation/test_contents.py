"""What is kept is judged: stores that lie about it in an answer, and handlers that are given something else, are found
by few seeds, and the property is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

import tenure.effects
from tenure.canonical import Json
from tenure.effect_results import result_of
from tenure.process import Work
from tenure.replies import Answer, Claimed, EffectsRead, EventsRead, Got, Grant, Listed, Succeeded
from tenure.requests import Request
from tenure_memory.store import MemoryRegistry
from tenure_testing.simulating import planned, run

SEEDS = 12
LIE = Json('"lie"')

Fix = pytest.MonkeyPatch


def lying(patch: Fix, lie: Callable[[Any], Any]) -> None:
    """Have the memory store answer something else in each reply that the lie changes."""
    execute = MemoryRegistry.execute

    def lied(self: MemoryRegistry, batch: Sequence[Request]) -> Sequence[Answer]:
        answers = execute(self, batch)
        return [Succeeded(lie(one.reply)) if isinstance(one, Succeeded) else one for one in answers]

    patch.setattr(MemoryRegistry, "execute", lied)


def other_payload(grant: Grant) -> Grant:
    registration = grant.record.registration
    changed = evolve(registration, input=Work(registration.kind, Json("[]")))
    return evolve(grant, record=evolve(grant.record, registration=changed))


def payloads_of_leases(patch: Fix) -> None:
    def lie(reply: Any) -> Any:
        if isinstance(reply, Claimed):
            return evolve(reply, grants=tuple(map(other_payload, reply.grants)))
        return reply

    lying(patch, lie)


def numbers_of_records(patch: Fix) -> None:
    def lie(reply: Any) -> Any:
        if isinstance(reply, Listed):
            return evolve(reply, records=tuple(evolve(one, seq=one.seq + 1) for one in reply.records))
        return evolve(reply, record=evolve(reply.record, seq=1)) if isinstance(reply, Got) else reply

    lying(patch, lie)


def results_of_effects(patch: Fix) -> None:
    def lie(reply: Any) -> Any:
        if isinstance(reply, EffectsRead):
            return evolve(reply, effects=tuple(evolve(one, result=LIE) for one in reply.effects))
        return reply

    lying(patch, lie)


def journals_without_their_last(patch: Fix) -> None:
    def lie(reply: Any) -> Any:
        return evolve(reply, effects=reply.effects[:-1]) if isinstance(reply, EffectsRead) else reply

    lying(patch, lie)


def logs_without_events(patch: Fix) -> None:
    def lie(reply: Any) -> Any:
        return evolve(reply, events=()) if isinstance(reply, EventsRead) else reply

    lying(patch, lie)


def fences_of_others(patch: Fix) -> None:
    def lie(reply: Any) -> Any:
        if isinstance(reply, Claimed):
            grants = [evolve(one, record=evolve(one.record, claim=None)) for one in reply.grants]
            return evolve(reply, grants=tuple(grants))
        return reply

    lying(patch, lie)


def results_that_a_handler_is_given_again(patch: Fix) -> None:
    """The store tells the truth, and the handler does not get it."""

    def lie(text: Json) -> Any:
        return result_of(LIE)

    patch.setattr(tenure.effects, "result_of", lie)


@pytest.mark.parametrize(
    ("lie", "named"),
    [
        (payloads_of_leases, "S21"),
        (numbers_of_records, "S21"),
        (results_of_effects, "S21"),
        (journals_without_their_last, "S21"),
        (logs_without_events, "S21"),
        (fences_of_others, "S19"),
        (results_that_a_handler_is_given_again, "delivery"),
    ],
)
def test_few_seeds_find_what_is_not_as_it_was_kept(
    lie: Callable[[Fix], None], named: str, monkeypatch: Fix
) -> None:
    lie(monkeypatch)
    plans = [
        evolve(planned(seed, "memory"), company=(), faults=("crash", "lost answer")) for seed in range(SEEDS)
    ]
    found = (verdict for verdict in map(run, plans) if not verdict.ok)
    verdict = next(found, None)
    assert verdict is not None, "no seed found it"
    assert verdict.broken == named, verdict.what
