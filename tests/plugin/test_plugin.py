"""The pytest plugin as a user meets it: what loading it brings in, and the page's tests as a file of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "testing.md"
BOUND = 120
"""Seconds until a child is given up; a bound, not a speed."""


def ran(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=BOUND, check=False
    )


def test_loading_the_plugin_brings_in_nothing_but_itself(tmp_path: Path) -> None:
    """pytest loads it in every run of everyone who installed tenure."""
    said = ran(
        "-c",
        "import json, sys, pytest; before = set(sys.modules); import tenure_testing.plugin; "
        "print(json.dumps(sorted(set(sys.modules) - before)))",
        folder=tmp_path,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == ["tenure_testing", "tenure_testing.plugin"]


def test_pytest_finds_the_fixtures_and_each_says_what_it_is(tmp_path: Path) -> None:
    said = ran("-m", "pytest", "--fixtures", "-q", "-p", "no:cacheprovider", folder=tmp_path).stdout
    for name in ("tenure_world", "tenure_store_url", "tenure_crash_at_every_effect"):
        line = said.index(f"\n{name} -- ")
        assert said[line:].splitlines()[2].startswith("    "), "its docstring comes after it"


def test_the_tests_on_the_page_pass_as_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "test_orders.py").write_text("\n".join(blocks(PAGE, "python")))
    said = ran("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert said.returncode == 0, said.stdout
    assert "6 passed" in said.stdout


def test_they_fail_where_the_application_is_wrong(tmp_path: Path) -> None:
    """A charge that is no effect is made again by whoever takes over, and a count of attempts is no outcome."""
    code = "\n".join(blocks(PAGE, "python"))
    wrong = code.replace(
        'await ctx.effect("charge", charge, ctx.id, cents)', "charge(ctx.id, cents) + str(ctx.attempt)"
    )
    assert wrong != code
    (tmp_path / "test_orders.py").write_text(wrong)
    said = ran("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    for name in ("test_a_zombie_does_no_harm", "test_a_crashed_worker_is_replaced", "test_it_survives"):
        assert f"FAILED test_orders.py::{name}" in said.stdout
    assert "a crash before its first line" in said.stdout


def test_the_store_can_be_another(tmp_path: Path) -> None:
    code = "\n".join(blocks(PAGE, "python"))
    code += (
        "\n\n@pytest.fixture\ndef tenure_store_url(tmp_path):\n    return f'sqlite:///{tmp_path}/orders.db'\n"
        "\n\ndef test_it_is_there(tenure_world, tmp_path):\n    assert (tmp_path / 'orders.db').exists()\n"
    )
    (tmp_path / "test_orders.py").write_text(code)
    said = ran("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert said.returncode == 0, said.stdout
    assert "7 passed" in said.stdout
