"""The promises of liveness, for two workers under bounded drift and for a worker with several slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tenure import attempt_types as t
from tenure.worker_types import Driving
from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Explored
from tenure_testing.checking.fleet import FleetWorld
from tenure_testing.checking.fleet_forms import CLOCK as FLEET_CLOCK
from tenure_testing.checking.graph import Edge, Graph
from tenure_testing.checking.liveness import Promise, searched
from tenure_testing.checking.rows import CLOCK, CURRENT
from tenure_testing.checking.timed import TimedWorld, Worker


def search_workers(configuration: Configuration, progress: Callable[[int], None] | None) -> Explored:
    """A configuration's `search`: two workers under bounded drift, and what is promised of them."""
    return searched(configuration, progress, of_workers)


def search_fleets(configuration: Configuration, progress: Callable[[int], None] | None) -> Explored:
    """A configuration's `search`: a worker with several slots, and what is promised of it."""
    return searched(configuration, progress, of_fleets)


HANDLER = "handler of"
"""The class of handlers that nobody told to stop: they may run for ever, where a promise does not assume their end."""


def of_workers(graph: Graph) -> Sequence[Promise]:
    """L1, L2, L4, L5, L10 and L9 of two workers and one process. L3 and L6 are judged on each step."""
    assert isinstance(graph, TimedWorld)
    world = graph

    def record(state: Any) -> Any:
        return world.view(state)[0].record

    def some(holds: Callable[[Worker], bool]) -> Callable[[Any], bool]:
        """Whether it holds of a worker, while the process has not ended."""

        def some_does(state: Any) -> bool:
            row, workers = world.view(state)
            assert row.record is not None
            return row.record.outcome is None and any(holds(worker) for worker in workers)

        return some_does

    def unattended(state: Any) -> bool:
        row, workers = world.view(state)
        assert row.record is not None
        works = any(w.token == CURRENT and isinstance(w.attempt, AT_WORK) for w in workers)
        live = row.record.held and row.record.expires_at > CLOCK
        return row.record.outcome is None and not (works and live)

    def drops_an_outcome(state: Any, edge: Edge) -> bool:
        """It gives up on an outcome that was never sent, or not sent again, though the store answers."""
        before, after = world.view(state)[1], world.view(edge.then)[1]
        return any(
            isinstance(old.attempt, t.Completing)
            and old.token == CURRENT
            and old.mail is None
            and new.attempt is None
            for old, new in zip(before, after, strict=True)
        )

    return (
        Promise("L1", "a process that has not ended is claimed, and run", unattended),
        Promise(
            "L2",
            "an outcome that a handler returned is written",
            some(lambda w: isinstance(w.attempt, t.Completing) and w.token == CURRENT),
            breaks=drops_an_outcome,
        ),
        Promise(
            "L4",
            "a handler whose process is to be cancelled is told so",
            lambda state: record(state).cancel is not None and some(_runs)(state),
            unowed=(HANDLER,),
        ),
        Promise(
            "L5",
            "a worker that drains ends its attempt and leaves",
            lambda state: any(w.leaves and w.attempt is not None for w in world.view(state)[1]),
            unowed=(HANDLER,),
        ),
        Promise(
            "L10",
            "two healthy workers do not take the process from each other for ever",
            lambda state: record(state).outcome is None,
            recurs="Claim succeeded",
            unowed=(HANDLER,),
        ),
        Promise(
            "L9", "the process ends, and no attempt at it is left", lambda state: not _quiet(world, state)
        ),
    )


AT_WORK = t.Running | t.Stopping | t.Completing


def _runs(worker: Worker) -> bool:
    return isinstance(worker.attempt, t.Running) and worker.token == CURRENT


def _quiet(world: TimedWorld, state: Any) -> bool:
    row, workers = world.view(state)
    ended = row.record is not None and row.record.outcome is not None
    return ended and not any(isinstance(worker.attempt, t.Holding) for worker in workers)


def of_fleets(graph: Graph) -> Sequence[Promise]:
    """L7 and L8 of a worker with several slots, and L9 of both processes."""
    assert isinstance(graph, FleetWorld)
    world = graph

    def passed_over(state: Any) -> bool:
        """A process waits, whose handler does not run here without a lease, and a slot is free."""
        fleet = world.unpacked(state)
        strayed = {each.process for each in fleet.attempts if each.stage == "strayed"}
        free = isinstance(fleet.worker, Driving) and len(fleet.attempts) < fleet.worker.terms.max_running
        waits = any(
            row.outcome is None and not (row.held and row.expires_at > FLEET_CLOCK) and row.id not in strayed
            for row in fleet.rows
        )
        return free and waits

    def unfinished(state: Any) -> bool:
        return any(row.outcome is None for row in world.unpacked(state).rows)

    return (
        Promise(
            "L7", "a process that waits is claimed while a slot is free", passed_over, unowed=("strayed",)
        ),
        Promise("L8", "every process ends, whatever trouble there was before", unfinished),
    )
