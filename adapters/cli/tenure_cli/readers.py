"""The commands that only read: list, show, events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tenure.errors import InvalidValue
from tenure.process import Event, Record, status_of
from tenure.requests import Phase
from tenure_cli.exits import data, data_json, printable, say
from tenure_cli.loading import load_app
from tenure_cli.options import id_argument, json_option, must_exist, store_option
from tenure_cli.shapes import event_shape, record_shape

if TYPE_CHECKING:
    from tenure_driver import BlockingClient

PAGE = click.IntRange(min=1, max=100_000)


@click.command("list", short_help="List processes.")
@store_option
@click.option(
    "--phase", type=click.Choice([phase.value for phase in Phase]), help="Only those in this phase."
)
@click.option("--kind", help="Only those of this kind.")
@click.option("--owner", help="Only those of this session.")
@click.option(
    "--app",
    "app_path",
    metavar="MODULE:APP",
    help="Mark the pending ones that this application does not handle.",
)
@click.option("--after", type=click.IntRange(min=0), default=0, help="The `next` of the page before.")
@click.option("--limit", type=PAGE, default=100, show_default=True, help="How many at the most.")
@json_option
def list_(
    url: str,
    phase: str | None,
    kind: str | None,
    owner: str | None,
    app_path: str | None,
    after: int,
    limit: int,
    as_json: bool,
) -> None:
    """List processes in the order of their registration.

    With --json: {"processes": [...], "next": N}, where N is the --after of the next page, or null.
    """
    import tenure_driver

    kinds = None if app_path is None else frozenset(load_app(app_path).kinds)
    wanted = None if phase is None else Phase(phase)
    with tenure_driver.connect(must_exist(url)) as client:
        page = client.list(phase=wanted, kind=kind, owner=owner, after=after, limit=limit)
        running = _running(client, page.records, wanted)
    rows = [(record, _phase(record, running)) for record in page.records]
    unclaimable = {record.id for record, at in rows if kinds is not None and _unclaimable(record, at, kinds)}
    if as_json:
        mark = kinds is not None
        shapes = [record_shape(r, at, r.id in unclaimable if mark else None) for r, at in rows]
        data_json({"processes": shapes, "next": page.next})
        return
    table = [("ID", "KIND", "PHASE", "ATTEMPTS", "CHANGED")]
    for record, at in rows:
        words = _phase_words(record, at) + (" (unclaimable)" if record.id in unclaimable else "")
        shown_kind = record.registration.kind or "(external)"
        table.append((record.id, shown_kind, words, str(record.claims), _moment(record.changed_at)))
    for line in _columns(table):
        data(line)
    if page.next is not None:
        say(f"there are more: --after {page.next}")


@click.command(short_help="Show one process.")
@id_argument
@store_option
@json_option
def show(process_id: str, url: str, as_json: bool) -> None:
    """Show everything that the registry knows of process ID, its events aside."""
    import tenure_driver

    with tenure_driver.connect(must_exist(url)) as client:
        record = client.get(process_id)
        phase = _phase(record, _running(client, (record,), None))
    shape = record_shape(record, phase)
    if as_json:
        data_json(shape)
        return
    for name in ("changed_at", "expires_at", "ready_at"):
        shape[name] = None if shape[name] is None else _moment(shape[name])
    for line in _columns([(name, _value(value)) for name, value in shape.items() if value not in (None, "")]):
        data(line)


@click.command(short_help="Show a process's events.")
@id_argument
@store_option
@click.option("--after", type=click.IntRange(min=0), default=0, help="The `next` of the page before.")
@click.option("--limit", type=PAGE, show_default="1000", help="How many at the most.")
@click.option("--follow", is_flag=True, help="Print each event as it comes, until the process has ended.")
@json_option
def events(process_id: str, url: str, after: int, limit: int | None, follow: bool, as_json: bool) -> None:
    """Show the events of process ID in their order; the last one of an ended process is `process.ended`.

    With --json: {"id": ID, "events": [...], "next": N}, where N is the --after of the next page, or null. With --follow
    --json: each event as a JSON value on a line of its own.
    """
    import tenure_driver

    if follow and limit is not None:
        raise InvalidValue("--follow goes on to the last event, so --limit cannot be given with it")
    most = limit or 1_000
    with tenure_driver.connect(must_exist(url)) as client:
        if follow:
            _print_each(client.follow(process_id, after=after), as_json)
            return
        found = client.events(process_id, after=after, limit=most)
        more = len(found) == most and bool(client.events(process_id, after=found[-1].seq, limit=1))
    if as_json:
        shapes = [event_shape(event) for event in found]
        data_json({"id": process_id, "events": shapes, "next": found[-1].seq if more else None})
        return
    for line in _columns([EVENT, *map(_event_row, found)]):
        data(line)
    if more:
        say(f"there are more: --after {found[-1].seq}")


EVENT = ("SEQ", "AT", "TYPE", "PAYLOAD")


def _event_row(event: Event) -> tuple[str, ...]:
    return str(event.seq), _moment(event.at), event.type, json.dumps(event.value)


def _print_each(found: Iterable[Event], as_json: bool) -> None:
    """Each as soon as it is there; what is to come does not say how wide the columns will have to be."""
    if not as_json:
        data("  ".join(EVENT))
    for event in found:
        if as_json:
            data(json.dumps(event_shape(event)))
        else:
            data(_columns([_event_row(event)])[0])


def _running(client: BlockingClient, records: tuple[Record, ...], wanted: Phase | None) -> frozenset[str]:
    """Which of the records, in the order of seq, somebody holds: only the store's clock can tell (C1)."""
    if wanted is not None:
        return frozenset(r.id for r in records) if wanted is Phase.RUNNING else frozenset()
    held = [r for r in records if r.held]
    if not held:
        return frozenset()
    page = client.list(phase=Phase.RUNNING, after=held[0].seq - 1, limit=len(records))
    return frozenset(r.id for r in page.records)


def _phase(record: Record, running: frozenset[str]) -> Phase:
    if record.outcome is not None:
        return Phase.ENDED
    return Phase.RUNNING if record.id in running else Phase.PENDING


def _unclaimable(record: Record, phase: Phase, kinds: frozenset[str]) -> bool:
    kind = record.registration.kind
    return phase is Phase.PENDING and bool(kind) and kind not in kinds


def _phase_words(record: Record, phase: Phase) -> str:
    return phase.value if record.outcome is None else status_of(record.outcome)


def _moment(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows with their columns under one another."""
    cells = [[printable(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
