"""The state machine of stores as a layer: memory, SQLite and the model in lock-step, until they differ or a property
breaks."""

from __future__ import annotations

import sys
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.stores_in_lockstep import AllInStep

FEW = settings(
    max_examples=60,
    stateful_step_count=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def main() -> int:
    """1 and what broke, else 0."""
    try:
        run_state_machine_as_test(cast(Any, AllInStep), settings=FEW)
    except Exception as broken:
        print("\n".join(f"E  {line}" for line in str(broken).splitlines()[:1]))
        print(f"FAILED in_step_{type(broken).__name__}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
