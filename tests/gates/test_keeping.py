"""A failed test says which properties it keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.keeping import names_in

ROOT = Path(__file__).parents[2]

SUITE = '''
"""About S20 in general."""
from pathlib import Path
import pytest

def test_own():
    """S4: only the holder writes (B17)."""
    assert False

def test_other():
    """No property is named here."""
    assert False

def law():
    """S8, S9: release and renew are scoped."""

@pytest.mark.parametrize("check", [law], ids=["law"])
def test_check(check):
    assert False

@pytest.mark.parametrize("path", [Path(__file__).with_name("trace.txt")], ids=["trace"])
def test_trace(path):
    """A trace comes out as written."""
    assert False

def test_passes():
    """S7."""
'''


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("S4, and B17", ["S4", "B17"]),
        ("S2–S4, K1", ["S2", "S3", "S4", "K1"]),
        ("S9-S10", ["S9", "S10"]),
        ("test_it[S3]", ["S3"]),
        ("CONTRACT §4 (S3)", ["CONTRACT §4", "S3"]),
        ("SHA1, S123, XS4, CONTRACT, none", []),
        ("S4 S4", ["S4"]),
    ],
)
def test_names_are_found_in_texts(text: str, names: list[str]) -> None:
    assert names_in(text) == names


def test_a_failure_names_what_it_breaks(tmp_path: Path) -> None:
    """The closest text counts: test and parameters before the module; a trace by the comment at its head."""
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "trace.txt").write_text(
        "# One renewal is lost (L3).\n# Twice.\n\nregister p\n# S1\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.keeping", "-p", "no:cacheprovider", "--rootdir"]
    run = subprocess.run(
        [*command, str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in run.stdout.splitlines() if line.startswith("keeps: ")]
    assert said == ["keeps: S4, B17", "keeps: S20", "keeps: S8, S9", "keeps: L3"], run.stdout
