"""The law of stores (CONTRACT §1–§5, §9) as a test kit: `check_registry(make)`.

`make(clock)` returns a new, empty store that reads `clock` for store time and has `Limits()`. Each check runs on a
store of its own, which it closes. In a test suite, parametrise over `CHECKS`, so that a failure is named:

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_my_store(check):
        run_check(check, lambda clock: MyStore(clock=clock))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tenure_testing.kits import name_of, run_on
from tenure_testing.registry_claim_checks import CLAIM_CHECKS
from tenure_testing.registry_client_checks import CLIENT_CHECKS
from tenure_testing.registry_feed_checks import FEED_CHECKS
from tenure_testing.registry_fence_checks import FENCE_CHECKS
from tenure_testing.registry_read_checks import READ_CHECKS
from tenure_testing.registry_world import Make, ManualClock, World

__all__ = ["CHECKS", "Check", "Make", "ManualClock", "check_registry", "name_of", "run_check"]

Check: TypeAlias = Callable[[World], None]

CHECKS: tuple[Check, ...] = (*CLAIM_CHECKS, *FENCE_CHECKS, *CLIENT_CHECKS, *READ_CHECKS, *FEED_CHECKS)


def run_check(check: Check, make: Make) -> None:
    """Run one check on a store of its own. Raises AssertionError with what the law says and what was seen."""
    world = World(make)
    run_on(check, world, world.store.close)


def check_registry(make: Make) -> None:
    """Run every check; the first that fails raises."""
    for check in CHECKS:
        run_check(check, make)
