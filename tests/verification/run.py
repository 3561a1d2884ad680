"""Takes what the tools measured into docs/verification.json, and writes docs/verification.md.

    .venv/bin/python -m tests.verification.run PART=FILE ...

PART is `check`, `simulate`, `matrix`, `mutants` (what their `--json` wrote) or `tests` (the reports of pytest that
`make test` left, with commas between). A part that is not named stays as it was, with the date and the versions that it
was measured with; what the repository itself lists is counted anew.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from tenure_testing.checking import CONFIGURATIONS
from tests.verification.page import DATA, PAGE, ROOT, SECTIONS, Part, page, read

PACKAGES = ("tenure", "attrs", "trio", "hypothesis", "pytest", "mutmut")


def main(arguments: list[str]) -> int:
    """0, or 2 where a part or its file is not what it should be."""
    data = read()
    for argument in arguments:
        name, _, file = argument.partition("=")
        if name not in READERS:
            print(f"{name!r} is no part; there are {', '.join(READERS)}", file=sys.stderr)
            return 2
        try:
            part = READERS[name](file)
        except (OSError, ValueError, KeyError) as error:
            print(f"{file} is not what {name} writes: {error}", file=sys.stderr)
            return 2
        data[name] = {"measured": measured(), **part}
    data["lists"] = {"measured": measured(), **lists()}
    ordered = {name: data[name] for name in SECTIONS if name in data}
    DATA.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(ordered), encoding="utf-8")
    return 0


def measured() -> dict[str, Any]:
    """When, and with what."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "versions": {
            platform.python_implementation(): platform.python_version(),
            "SQLite": sqlite3.sqlite_version,
            **versions,
        },
    }


def lists() -> Part:
    """What is counted in the repository itself."""
    folder = ROOT / "tests" / "crashes"
    store, worker = (
        (folder / f"{name}_points.txt").read_text().splitlines()[0] for name in ("store", "worker")
    )
    vectors = ROOT / "docs" / "conformance"
    names = ("steps", "tours", "scenarios")
    return {
        "store_points": store.partition(",")[0],
        "worker_points": worker.partition(";")[0],
        "vectors": {name: len((vectors / f"{name}.jsonl").read_text().splitlines()) for name in names},
    }


def _json(file: str) -> Any:
    return json.loads(Path(file).read_text(encoding="utf-8"))


def _check(file: str) -> Part:
    part: Part = _json(file)
    large = {one.name: one.large for one in CONFIGURATIONS}
    part["configurations"] = [{**one, "large": large[one["name"]]} for one in part["configurations"]]
    return part


def _simulate(file: str) -> Part:
    part: Part = _json(file)
    return {
        name: part[name]
        for name in ("seeds", "steps", "fault_count", "faults", "stores", "sometimes", "failures", "seconds")
    }


def _matrix(file: str) -> Part:
    rows = _json(file)
    tried, killed = Counter[str](), Counter[str]()
    for row in rows:
        for name, verdict in row["verdicts"].items():
            tried[name] += 1
            killed[name] += verdict["killed"]
    layers = {name: (killed[name], tried[name]) for name in tried}
    return {"bugs": len(rows), "survivors": sum(bool(row["faults"]) for row in rows), "layers": layers}


def _mutants(file: str) -> Part:
    part: Part = _json(file)
    return {name: part[name] for name in ("modules", "mutants", "seconds")}


def _tests(file: str) -> Part:
    folders: dict[str, dict[str, float]] = {}
    cases = (case for name in file.split(",") for case in ET.parse(name).iter("testcase"))
    for case in cases:
        if case.find("skipped") is not None:
            raise ValueError(f"{case.get('name')} was skipped")
        folder = (case.get("classname") or "").split(".")[1]
        known = folders.setdefault(folder, {"tests": 0, "seconds": 0.0})
        known["tests"] += 1
        known["seconds"] = round(known["seconds"] + float(case.get("time") or 0), 1)
    return {
        "tests": sum(int(one["tests"]) for one in folders.values()),
        "folders": dict(sorted(folders.items())),
    }


READERS: dict[str, Callable[[str], Part]] = {
    "check": _check,
    "simulate": _simulate,
    "matrix": _matrix,
    "mutants": _mutants,
    "tests": _tests,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
