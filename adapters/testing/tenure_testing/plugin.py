"""The pytest plugin: fixtures for tests of an application that runs on tenure. `docs/testing.md` shows each in use.

pytest loads this module in every run of everyone who installed tenure, so it imports pytest alone; what a fixture
needs is imported inside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tenure_testing.rehearsing import RehearsedWorld, Survived


@pytest.fixture
def tenure_store_url() -> str:
    """The store of `tenure_world`: in memory. Override it to rehearse on `sqlite:///...`, in a file of the test's."""
    return "memory:"


@pytest.fixture
def tenure_world(tenure_store_url: str) -> Iterator[RehearsedWorld]:
    """A world in virtual time: workers, clients, a store, and faults on demand (`tenure_testing.rehearsing`)."""
    from tenure_testing.rehearsing import RehearsedWorld  # noqa: PLC0415 - not before a test asks for it

    with RehearsedWorld(tenure_store_url) as world:
        yield world


@pytest.fixture
def tenure_crash_at_every_effect() -> Callable[..., Survived]:
    """`tenure_testing.rehearsing.crash_at_every_effect`: runs a handler once per boundary of its effects, with a crash
    there, and fails unless it ends each time as it does without one."""
    from tenure_testing.rehearsing import crash_at_every_effect  # noqa: PLC0415 - not before a test asks for it

    return crash_at_every_effect
