"""Whatever the store, the network and the handlers do to a worker, it keeps the rules and comes to its end."""

from __future__ import annotations

from tests.stateful.stores_in_lockstep import run
from tests.stateful.worker_machine import WorkerMachine


def test_a_worker_keeps_the_rules_and_catches_up() -> None:
    run(WorkerMachine, 500)
