"""The command `tenure verify-trace`."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenure_cli.exits import FAILED, data, data_json
from tenure_cli.options import json_option

if TYPE_CHECKING:
    from tenure_testing.histories import Report


@click.command("verify-trace", short_help="Check the safety properties on recorded traces.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--complete", is_flag=True, help="The traces are of everybody who wrote to the store.")
@json_option
def verify_trace(files: tuple[Path, ...], complete: bool, as_json: bool) -> None:
    """Check S1-S23 on what workers and stores recorded: `tenure worker --trace FILE`, or a RecordingStore.

    Give the traces of all of them together, and say --complete if nobody else wrote: then nothing is put down to
    requests that were not recorded. What only a trace that is missing could show is reported as not checked. Exits 1
    where a property is broken.
    """
    from tenure_testing.histories import verify

    # This process ends with the report, and what it makes until then has no cycles.
    gc.disable()
    report = verify(files, complete)
    data_json(body_of(report)) if as_json else _print(report)
    if not report.ok:
        raise click.exceptions.Exit(FAILED)


def body_of(report: Report) -> dict[str, Any]:
    """The report as a JSON value."""
    from tenure_testing.histories.verifying import PROPERTIES

    return {
        "files": list(report.files),
        "sessions": report.sessions,
        "lines": report.lines,
        "processes": report.processes,
        "ended": report.ended,
        "missing_versions": report.missing,
        "unexplained": report.unexplained,
        "properties": {
            number: {
                "looked": report.looked.get(number, 0),
                "broken": report.broken.get(number, 0),
                "not_checked": report.not_checked.get(number),
            }
            for number in PROPERTIES
        },
        "findings": [
            {"property": found.property, "what": found.what, "where": report.where(found)}
            for found in report.findings
        ],
        "ok": report.ok,
    }


def _print(report: Report) -> None:
    data(
        f"{report.lines} lines of {report.sessions} sessions: {report.processes} processes, {report.ended} ended; "
        f"{report.missing} versions are missing"
    )
    for number, body in body_of(report)["properties"].items():
        said = f"BROKEN {body['broken']} times" if body["broken"] else f"held, {body['looked']} times"
        if not body["looked"] and not body["broken"]:
            said = f"not checked: {body['not_checked']}"
        elif body["not_checked"]:
            said += f"; not everywhere: {body['not_checked']}"
        data(f"{number:4} {said}")
    for found in report.findings:
        data(f"{report.where(found)}: {found.property}: {found.what}")
