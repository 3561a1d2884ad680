"""A failing seed as a file, which `tenure simulate --replay` runs again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from tenure.errors import InvalidValue
from tenure_testing.simulating.plans import Plan, plan_of
from tenure_testing.simulating.run import Verdict

FORMAT = 1


def save(verdict: Verdict, folder: Path) -> Path:
    """Write it to a file of its own in the folder: which one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{verdict.plan.seed}-{verdict.broken}.json"
    body = {"tenure_simulation": FORMAT, **verdict.json()}
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> tuple[Plan, str]:
    """The plan in the file, and the hash of its trace when it was saved. Raises InvalidValue, OSError."""
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidValue(f"{path} is no saved simulation: {error}") from error
    saved = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if saved.get("tenure_simulation") != FORMAT:
        raise InvalidValue(f"{path} is no saved simulation of format {FORMAT}")
    return plan_of(saved.get("plan")), str(saved.get("hash", ""))
