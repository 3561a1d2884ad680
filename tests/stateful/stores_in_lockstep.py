"""The stores that run in lock-step with the model, and how often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tenure.process import Fence
from tenure.requests import Claim, ClaimNext, Complete, EmitEvent, RecordEffect, Release, Renew, Request
from tenure.stores import ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite
from tenure_sqlite.store import SqliteRegistry
from tenure_testing.registry_world import ManualClock
from tenure_testing.stateful import RegistryMachine

STEPS = 100
MORE = 5
"""How many runs `make verify` makes, at random."""

SHARED_MEMORY = Path("/dev/shm")
"""Where there is one, SQLite's files are there: nobody pulls the plug here, so that a disk would only be slow."""

JOINING: dict[str, Callable[[ManualClock], ProcessRegistry]] = {}
"""Further stores for the lock-step, by name; each is opened empty, with `RegistryMachine.limits`."""


def run(machine: type[RuleBasedStateMachine], examples: int) -> None:
    """That many examples of 100 steps, always the same; in `make verify` five times as many, always others: in as
    many runs, since Hypothesis remembers all that it drew in one, and one of 16,000 took 8 GB."""
    thorough = settings.get_current_profile_name() == "verify"
    drawn = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        derandomize=not thorough,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
    )
    for _ in range(MORE if thorough else 1):
        run_state_machine_as_test(cast(Any, machine), settings=drawn)


class MemoryInStep(RegistryMachine):
    """The model and memory."""

    def open_stores(self, clock: ManualClock) -> dict[str, ProcessRegistry]:
        return {"memory": open_memory("memory:", clock=clock, limits=self.limits)}

    def break_off(self, name: str, store: ProcessRegistry, requests: list[Request]) -> None:
        """By an error of ours; only memory's fence log may have noted more."""
        silent = [request for request in requests if not is_noted(request)]
        with pytest.raises(AttributeError):
            store.execute([*silent, Renew(cast(Fence, None), 1)])


class AllInStep(MemoryInStep):
    """The model, memory, SQLite, and who joins them."""

    strict = True

    def open_stores(self, clock: ManualClock) -> dict[str, ProcessRegistry]:
        self.folder = mkdtemp(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None)
        sqlite = open_sqlite(f"sqlite:///{self.folder}/s.db", clock=clock, limits=self.limits, gap=0)
        more = {name: make(clock) for name, make in JOINING.items()}
        return {**super().open_stores(clock), "sqlite": sqlite, **more}

    def reopen(self, name: str, store: ProcessRegistry, clock: ManualClock) -> ProcessRegistry | None:
        """As after kill -9: no `close`, only what the operating system does, which is to drop the file's handles."""
        if not isinstance(store, SqliteRegistry):
            return None
        for link in store.connections():
            link.close()
        return open_sqlite(f"sqlite:///{store.path}", clock=clock, limits=self.limits, gap=0)

    def teardown(self) -> None:
        super().teardown()
        rmtree(self.folder)


def is_noted(request: Request) -> bool:
    """Whether a refusal of it would be noted in the fence log, which memory keeps where a batch breaks off."""
    return isinstance(request, Renew | RecordEffect | EmitEvent | Complete | Release | Claim | ClaimNext)
