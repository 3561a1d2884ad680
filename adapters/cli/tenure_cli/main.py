"""The console script `tenure`."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import click

from tenure_cli.check import check
from tenure_cli.clients import cancel, start, wait
from tenure_cli.conform import conform
from tenure_cli.demo.command import demo
from tenure_cli.exits import TABLE, Commands
from tenure_cli.readers import events, list_, show
from tenure_cli.simulate import simulate
from tenure_cli.verify_trace import verify_trace
from tenure_cli.workers import worker


@click.group(cls=Commands, epilog=TABLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenure", prog_name="tenure")
def cli() -> None:
    """Processes that survive kill -9.

    Data goes to stdout, messages to stderr. Every reading command has --json.
    """


for command in (
    worker,
    start,
    list_,
    show,
    cancel,
    events,
    wait,
    demo,
    check,
    verify_trace,
    conform,
    simulate,
):
    cli.add_command(command)


def main() -> None:
    """Run the command; exits with one of `tenure_cli.exits`' codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no id and no path may fail in somebody's locale
    cli()
