"""The machines of workers and attempts would notice: bugs of docs/reference/properties.md, each found and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tenure import attempt, worker
from tenure import attempt_types as t
from tenure import worker_types as w
from tenure.tables import each
from tenure.timings import LeaseTimings
from tenure.values import changed
from tenure_testing.stateful import Broken
from tests.stateful import attempt_machine
from tests.stateful.attempt_machine import AttemptMachine
from tests.stateful.worker_machine import WorkerMachine


def k7(patch: pytest.MonkeyPatch) -> None:
    """The worker thinks that it has more time left than it has."""
    late = LeaseTimings(margin=0, stop_grace=0, completion_patience=40)
    patch.setattr(attempt_machine, "TERMS", evolve(attempt_machine.TERMS, timings=late))


def a_loss_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """A call was fenced, and the attempt goes on under the same token."""
    table: Any = attempt.TABLE

    def goes_on(state: t.Running, event: t.CallFenced) -> t.Step:
        its_own = state.flight is not None and state.flight.id == event.call
        return t.Step(changed(state, flight=None) if its_own else state)

    patch.setitem(table, (t.Running, t.CallFenced), each(goes_on))


def slots_are_not_reserved(patch: pytest.MonkeyPatch) -> None:
    def all_slots(state: w.Working) -> int:
        return state.terms.max_running

    patch.setattr(worker, "free_slots", all_slots)


@frozen
class Bug:
    put_in: Callable[[pytest.MonkeyPatch], None]
    breaks: str
    machine: type[RuleBasedStateMachine]


BUGS = [
    Bug(k7, "S13", AttemptMachine),
    Bug(a_loss_is_ignored, "S14", AttemptMachine),
    Bug(slots_are_not_reserved, "S12", WorkerMachine),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.put_in.__name__)
def test_a_machine_finds_and_names_it(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.put_in(monkeypatch)
    few = settings(
        max_examples=200,
        stateful_step_count=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    machine: Any = bug.machine
    with pytest.raises(Broken) as found:
        run_state_machine_as_test(machine, settings=few)
    assert found.value.properties[0] == bug.breaks, found.value
