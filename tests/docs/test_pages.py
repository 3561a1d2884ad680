"""The pages under docs/: their code runs, what they embed is what it is a copy of, and they leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import tenure_driver
from tenure_cli.exits import TABLE
from tenure_cli.main import cli
from tests.docs.pages import DOCS, ROOT, blocks, execute, links

FOLDER = ROOT / "docs"


def test_there_are_pages_and_the_index_has_them_all() -> None:
    listed = {link for link in links(FOLDER / "README.md") if "/" not in link}
    assert {page.name for page in DOCS} == listed | {"README.md"}


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_is_short_and_its_code_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generated page is as long as what it lists."""
    monkeypatch.chdir(tmp_path)
    assert page.read_text().count("\n") <= 120 or page.read_text().startswith("<!-- Generated: ")
    execute(page, {"__name__": "__main__"})


def test_the_trace_that_is_shown_is_the_one_that_is_tested() -> None:
    page = FOLDER / "machine.md"
    (shown,) = blocks(page, "trace")
    (trace,) = [link for link in links(page) if "tests/traces/" in link]
    assert shown == (FOLDER / trace).read_text()


def test_what_an_adapter_brings_is_all_there() -> None:
    rows = set(re.findall(r"^\| `(\w+)\(", (FOLDER / "embedding.md").read_text(), re.MULTILINE))
    protocols = (tenure_driver.Loop, tenure_driver.AsyncLoop)
    wanted = {name for protocol in protocols for name in vars(protocol) if not name.startswith("_")}
    assert rows == wanted


def test_every_command_and_option_is_listed_and_no_others() -> None:
    listed = {
        name: set(re.findall(r"--[a-z-]+", options))
        for name, options in re.findall(
            r"^\| `tenure ([\w-]+)[^|]*\|[^|]*\|([^|]*)\|$", (FOLDER / "cli.md").read_text(), re.MULTILINE
        )
    }
    there = {
        name: {option for param in command.params if isinstance(param, click.Option) for option in param.opts}
        for name, command in cli.commands.items()
    }
    assert listed == there


def test_every_exit_code_is_listed_and_no_others() -> None:
    listed = re.findall(r"^\| (\d+) \|", (FOLDER / "cli.md").read_text(), re.MULTILINE)
    assert listed == re.findall(r"^  (\d+)  ", TABLE, re.MULTILINE)
