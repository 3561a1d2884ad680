"""The known bugs that a driver could have (docs/reference/properties.md §5), each shown not to be there."""

from __future__ import annotations

import time

import pytest

from tenure.app import App
from tenure.instants import Instant
from tenure.stores import DurabilityTier
from tenure_driver.clocks import local_now
from tenure_driver.options import WorkerOptions, new_id


def test_the_workers_clock_counts_suspend(monkeypatch: pytest.MonkeyPatch) -> None:
    """K7, C2: a machine that slept has no time left (S13). CLOCK_MONOTONIC would stand still meanwhile; it is read only
    where there is no other."""
    clocks = {time.CLOCK_MONOTONIC: 5, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC): 65}
    monkeypatch.setattr(time, "clock_gettime_ns", clocks.__getitem__)
    assert local_now() == Instant(65)


def test_two_workers_of_one_name_are_two_owners() -> None:
    """K13, S12: a worker is known by its incarnation, which is new at every start; its name is for people."""
    terms = [
        WorkerOptions(name="host").terms(App(), DurabilityTier.DURABLE, incarnation)
        for incarnation in (new_id(), new_id())
    ]
    assert terms[0].owner != terms[1].owner
