"""The law of sessions (CONTRACT §8) as a test kit: `check_sessions(make)`.

`make(clock)` returns a new, empty store of sessions that reads `clock` for store time and has `Limits()`. Each check
runs on a store of its own, which it closes. In a test suite, parametrise over `SESSION_CHECKS`:

    @pytest.mark.parametrize("check", SESSION_CHECKS, ids=name_of)
    def test_my_sessions(check):
        run_session_check(check, lambda clock: MySessions(clock=clock))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tenure_testing.kits import name_of, run_on
from tenure_testing.session_fence_checks import FENCE_CHECKS
from tenure_testing.session_tree_checks import TREE_CHECKS
from tenure_testing.session_world import MakeSessions, SessionWorld

__all__ = ["SESSION_CHECKS", "SessionCheck", "check_sessions", "name_of", "run_session_check"]

SessionCheck: TypeAlias = Callable[[SessionWorld], None]

SESSION_CHECKS: tuple[SessionCheck, ...] = (*TREE_CHECKS, *FENCE_CHECKS)


def run_session_check(check: SessionCheck, make: MakeSessions) -> None:
    """Run one check on a store of its own. Raises AssertionError with what the law says and what was seen."""
    world = SessionWorld(make)
    run_on(check, world, world.store.close)


def check_sessions(make: MakeSessions) -> None:
    """Run every check; the first that fails raises."""
    for check in SESSION_CHECKS:
        run_session_check(check, make)
