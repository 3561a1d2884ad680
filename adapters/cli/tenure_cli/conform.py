"""`tenure conform`: does a store, in whatever language, keep the law? And the other end of that: `--serve`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from tenure_cli.exits import DONE, FAILED, USAGE, data, data_json, end, say
from tenure_cli.options import json_option

if TYPE_CHECKING:
    from tenure_testing.conforming.running import Report

FINDINGS_SHOWN = 10


def _finite(ctx: click.Context, param: click.Parameter, seconds: float) -> float:
    if not isfinite(seconds):
        raise click.BadParameter(f"{seconds} is no number of seconds.")
    return seconds


@click.command()
@click.option(
    "--only", metavar="NAME", default="", help="Vectors of this name, beginning or pattern; or one file."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.001),
    callback=_finite,
    default=10.0,
    help="Seconds for each answer.  [10]",
)
@click.option(
    "--serve", "url", metavar="URL", help="Be the store under test: memory:, sqlite:, or a store's URL."
)
@json_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def conform(only: str, timeout: float, url: str | None, as_json: bool, command: Sequence[str]) -> None:
    """Play the conformance vectors to a store: tenure conform -- COMMAND...

    COMMAND is a program that speaks the protocol of docs/conformance on its stdin and stdout: the store under test.
    Its stderr is shown. Exits with 1 where an answer is not as foreseen, and says which, and why it matters.
    """
    if url is not None:
        if command:
            end("--serve takes no COMMAND: it is the store under test itself", USAGE)
        _serve(url)
    elif not command:
        end("name the program of the store under test: tenure conform -- COMMAND...", USAGE)
    else:
        raise click.exceptions.Exit(_conform(only, timeout, as_json, command))


def _serve(url: str) -> None:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from tenure_testing.conforming.hosts import host_of
    from tenure_testing.conforming.serving import serve

    def write(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    with TemporaryDirectory(prefix="tenure-conform-") as folder:
        serve(host_of(url, Path(folder)), sys.stdin, write)


def _conform(only: str, timeout: float, as_json: bool, command: Sequence[str]) -> int:
    from tenure_testing.conforming.catalogue import selected
    from tenure_testing.conforming.driving import Program, Trouble
    from tenure_testing.conforming.running import run

    vectors = selected(only)
    if not any(vectors.values()):
        end(f"no vector is called {only!r}; the names are in docs/conformance", USAGE)
    try:
        with Program(command, timeout) as program:
            report = run(program, vectors, _progress())
    except Trouble as trouble:
        end(f"the store under test cannot be asked: {trouble}", FAILED)
    if as_json:
        data_json(shape(report))
    else:
        show(report)
    return DONE if report.ok else FAILED


def _progress() -> Any:
    """Tells on stderr when another file begins."""
    begun = set[str]()

    def tell(file: str, name: str) -> None:
        if file not in begun:
            begun.add(file)
            say(f"{file} ...")

    return tell


def shape(report: Report) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "store": report.store,
        "can": [ability.value for ability in report.can],
        "files": {
            file: {"passed": tally.passed, "failed": tally.failed, "not_run": tally.not_run}
            for file, tally in report.files.items()
        },
        "lacking": report.lacking,
        "findings": [
            {
                "file": found.file,
                "vector": found.vector,
                "why": found.why,
                "step": found.step,
                "asked": found.asked,
                "differences": list(found.differences),
            }
            for found in report.findings
        ],
        "given_up": report.given_up,
        "ok": report.ok,
    }


def show(report: Report) -> None:
    """The report for people."""
    for found in report.findings[:FINDINGS_SHOWN]:
        data(f"{found.file} {found.vector}, step {found.step}")
        data(f"  {found.why}")
        data(f"  asked {found.asked}")
        for difference in found.differences:
            data(f"  - {difference}")
    if len(report.findings) > FINDINGS_SHOWN:
        data(f"... and {len(report.findings) - FINDINGS_SHOWN} more; --json has all, --only NAME plays one")
    if report.given_up:
        data("given up: the store under test did not answer, ended or answered garbage too often")
    data(f"store under test: {report.store}")
    for file, tally in report.files.items():
        data(f"  {file:10} {tally.passed:5} passed  {tally.failed:5} failed  {tally.not_run:5} not run")
    for need, count in report.lacking.items():
        data(f"  {count} not run, since the store says that it has not the ability {need!r}")
    data("conforms" if report.ok else "does not conform")
