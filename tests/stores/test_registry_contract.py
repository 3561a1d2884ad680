"""Every store under the law: the shipped kit, check by check (S2–S11, S16, S17, S19–S23)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tenure.stores import ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite
from tenure_testing.registry_contract import (
    CHECKS,
    Check,
    Make,
    ManualClock,
    check_registry,
    name_of,
    run_check,
)

Maker = Callable[[Path], Make]


def memory(_: Path) -> Make:
    return lambda clock: open_memory("memory:", clock=clock)


def sqlite(folder: Path) -> Make:
    numbers = count()
    return lambda clock: open_sqlite(f"sqlite:///{folder}/{next(numbers)}.db", clock=clock)


@pytest.mark.parametrize("maker", [memory, sqlite])
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_the_store_keeps_the_law(check: Check, maker: Maker, tmp_path: Path) -> None:
    run_check(check, maker(tmp_path))


def test_the_kit_runs_as_one_call() -> None:
    opened: list[ProcessRegistry] = []

    def make(clock: ManualClock) -> ProcessRegistry:
        opened.append(open_memory("memory:", clock=clock))
        return opened[-1]

    check_registry(make)
    assert len(opened) > len(CHECKS)  # one each, and a second where two are compared
