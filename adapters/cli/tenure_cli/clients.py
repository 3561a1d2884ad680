"""The commands that change or await a process: start, cancel, wait."""

from __future__ import annotations

import json

import click

from tenure.canonical import parsed
from tenure.errors import InvalidValue
from tenure.process import Cancelled, Failure, Outcome, Success
from tenure_cli.exits import FAILED, data, data_json, say
from tenure_cli.options import id_argument, json_option, must_exist, store_option
from tenure_cli.payloads import TakesPayload, payload_of
from tenure_cli.shapes import outcome_shape


@click.command(short_help="Start a process.", cls=TakesPayload)
@click.argument("kind")
@click.argument("payload", required=False)
@store_option
@click.option(
    "--id", "process_id", help="Its id, by default a new one. The same id and content again is no error."
)
@click.option(
    "--emits",
    multiple=True,
    metavar="TYPE",
    help="An event type that its handler may emit; may be given again.",
)
@click.option("--owner", help="The session that owns it, by default one of its own.")
@click.option("--profile", default="", help="The host profile that may run it, by default any.")
@click.option(
    "--delay", type=float, default=0.0, metavar="SECONDS", help="How long it waits before it may be claimed."
)
@json_option
def start(
    kind: str,
    payload: str | None,
    url: str,
    process_id: str | None,
    emits: tuple[str, ...],
    owner: str | None,
    profile: str,
    delay: float,
    as_json: bool,
) -> None:
    """Register a process of KIND and print its id.

    PAYLOAD is JSON, null without one; `-` reads it from stdin.
    """
    import tenure_driver

    value = payload_of(payload)
    with tenure_driver.connect(url) as client:
        handle = client.start(
            kind, value, id=process_id, owner=owner, profile=profile, emits=emits, delay=delay
        )
    if as_json:
        data_json({"id": handle.id, "kind": kind})
    else:
        data(handle.id)


@click.command(short_help="Ask a process to stop.")
@id_argument
@store_option
@click.option("--reason", default="", help="Why; the first reason that anybody gave stays.")
@json_option
def cancel(process_id: str, url: str, reason: str, as_json: bool) -> None:
    """Ask for the cancellation of process ID.

    One that nobody runs ends at once; a running one is told, and ends soon.
    """
    import tenure_driver

    with tenure_driver.connect(must_exist(url)) as client:
        outcome = client.cancel(process_id, reason)
    if as_json:
        data_json({"id": process_id, "ended": outcome is not None, "outcome": outcome_shape(outcome)})
    elif outcome is None:
        say(f"process {process_id!r} is running and was asked to stop")
    else:
        say(f"process {process_id!r} has ended: {_words(outcome)}")


@click.command(short_help="Wait for a process to end.")
@id_argument
@store_option
@click.option("--timeout", type=float, metavar="SECONDS", help="How long to wait, by default for ever.")
@json_option
@click.pass_context
def wait(ctx: click.Context, process_id: str, url: str, timeout: float | None, as_json: bool) -> None:
    """Wait until process ID has ended; print what its handler returned, as JSON.

    Exits 0 where it succeeded, 1 where it failed or was cancelled, 124 where the time was up.
    """
    import tenure_driver

    if timeout is not None and not 0 <= timeout <= 86_400 * 366:
        raise InvalidValue(f"--timeout {timeout!r} is not a duration in seconds up to a year")
    with tenure_driver.connect(must_exist(url)) as client:
        outcome = client.wait(process_id, timeout)
    if as_json:
        data_json({"id": process_id, "outcome": outcome_shape(outcome)})
    elif isinstance(outcome, Success):
        click.echo(json.dumps(parsed(outcome.value)))
    else:
        say(f"process {process_id!r} {_words(outcome)}")
    if not isinstance(outcome, Success):
        ctx.exit(FAILED)


def _words(outcome: Outcome) -> str:
    match outcome:
        case Success():
            return "succeeded"
        case Failure():
            return f"failed: {outcome.failure_class} ({outcome.code}): {outcome.message}"
        case Cancelled():
            return "was cancelled" + (f": {outcome.reason}" if outcome.reason else "")
