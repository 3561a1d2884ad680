"""Stores that are killed at any of their points: all or nothing is stored, and nothing is left (S21, S22, B7)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tenure_sqlite
from tests.docs.pages import ROOT
from tests.stores.deaths import STRUCK, statements

BOUND = 600
"""Seconds until it is given up; a bound, not a speed."""


@pytest.mark.parametrize("module", STRUCK)
def test_a_store_that_is_killed_at_any_point_has_stored_all_or_nothing(tmp_path: Path, module: str) -> None:
    """Before each statement, and after each COMMIT; and each statement of the store's source, but the one that undoes a
    failed making of the tables, is reached."""
    command = [sys.executable, "-m", f"tests.stores.{module}", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False)
    assert ran.returncode == 0, ran.stderr
    deaths, *reached = ran.stdout.split()
    assert int(deaths) > len(reached) > 50
    package = Path(tenure_sqlite.__file__).parent
    there = {place for name in STRUCK[module] for place in statements(package / name)}
    assert there - set(reached) == set()
