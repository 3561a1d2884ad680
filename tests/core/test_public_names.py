"""What `from tenure import *` gives: every public name that the package imports, each once, in order."""

from __future__ import annotations

from types import ModuleType

import tenure
from tenure import attempt


def test_the_package_offers_what_it_imports() -> None:
    imported = [
        name
        for name, value in vars(tenure).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    ]
    assert tenure.__all__ == sorted(imported)


def test_the_attempt_machine_offers_its_table_and_its_four_questions() -> None:
    assert attempt.__all__ == ["TABLE", "next_wakeup", "overdue_at", "process_of", "step"]
