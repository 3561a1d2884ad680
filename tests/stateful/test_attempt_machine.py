"""Whatever a store and a handler do to one attempt: S12, S13, S14, S18, and that it always comes to an end (L2, L9)."""

from __future__ import annotations

from tests.stateful.attempt_machine import AttemptMachine
from tests.stateful.stores_in_lockstep import run


def test_an_attempt_keeps_the_rules_and_ends() -> None:
    run(AttemptMachine, 400)
