"""The command `tenure check`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenure_cli.exits import FAILED, USAGE, data, data_json, end, say
from tenure_cli.options import json_option

if TYPE_CHECKING:
    from tenure_testing.checking import Configuration, Explored

WIDTH = 140
"""Columns where stdout is no terminal: a table in a file must not depend on who wrote it."""


@click.command(short_help="Search every behaviour of small configurations of the core.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--large", is_flag=True, help="The large configurations, too: some minutes, and more memory.")
@click.option("--list", "only_list", is_flag=True, help="Say which configurations there are, and why.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="How many searches at a time; one for each core if left out."
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each counterexample into this folder.",
)
@click.option(
    "--rewrite", is_flag=True, help="Pin the counts that come out. Only if you know why they changed."
)
@json_option
def check(
    names: tuple[str, ...],
    large: bool,
    only_list: bool,
    jobs: int | None,
    save: Path | None,
    rewrite: bool,
    as_json: bool,
) -> None:
    """Search every behaviour of the configurations NAME, or of the whole gate's set, until no state is new.

    The core that is installed here is what is searched, under lost, doubled, late and reordered messages, crashes and
    pauses. Exits 1 where a property is broken, where something that must be seen sometimes was not, or where a
    configuration has other counts than those pinned. `pairs` are the distinct requests to distinct rows, `steps` the
    distinct steps of a state machine, that its transitions are made of; each of them was judged.

    With --json: {"configurations": [...], "states": N, "violations": N, "sometimes_missed": [...], "ok": BOOL}.
    """
    from tenure_testing.checking.running import run

    chosen = _chosen(names, large)
    if only_list:
        _list(chosen, as_json)
        return
    results: list[Explored] = []
    with _progress(len(chosen)) as told:
        try:
            for one in run(chosen, jobs or os.cpu_count() or 1, told):
                results.append(one)
                say(f"{one.configuration.name}: {one.states:,} states, {one.seconds:.0f} s")
        except BrokenProcessPool:
            end("a search was killed, most likely for want of memory: try --jobs 1, or name fewer", FAILED)
    results.sort(key=lambda one: chosen.index(one.configuration))
    trouble = _trouble(results, rewrite)
    data_json(body_of(results, not trouble)) if as_json else _print(results)
    for line in trouble:
        say(line)
    if save is not None:
        _save(results, save)
    if trouble:
        raise click.exceptions.Exit(FAILED)


def body_of(results: Sequence[Explored], ok: bool) -> dict[str, Any]:
    """The results as a JSON value."""
    return {
        "configurations": [
            {
                **{
                    key: getattr(one.configuration, key)
                    for key in ("name", "workers", "processes", "ttl", "zombies")
                },
                **{
                    key: getattr(one, key)
                    for key in ("states", "transitions", "depth", "pairs", "steps", "seconds", "peak_mib")
                },
            }
            for one in results
        ],
        "states": sum(one.states for one in results),
        "violations": sum(one.violation is not None for one in results),
        "sometimes_missed": [
            f"{one.configuration.name}: {missed}" for one in results for missed in one.sometimes_missed
        ],
        "ok": ok,
    }


def _chosen(names: Sequence[str], large: bool) -> list[Configuration]:
    from tenure_testing.checking import CONFIGURATIONS, GATE

    known = {one.name: one for one in CONFIGURATIONS}
    unknown = [name for name in names if name not in known]
    if unknown:
        end(f"there is no configuration {unknown[0]!r}; `tenure check --list --large` names them all", USAGE)
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    return [*(CONFIGURATIONS if large else GATE)]


def _trouble(results: Sequence[Explored], rewrite: bool) -> list[str]:
    """What is wrong, in lines: violations with their counterexamples, what was never seen, other counts."""
    from tenure_testing.checking.golden import difference
    from tenure_testing.checking.golden import rewrite as pin

    trouble: list[str] = []
    for one in results:
        if one.violation is not None:
            trouble += [f"{one.configuration.name}: {', '.join(one.violation.properties)} does not hold."]
            trouble += one.violation.lines()
        elif one.sometimes_missed:
            trouble += [f"{one.configuration.name}: never seen: {', '.join(one.sometimes_missed)}"]
    if rewrite:
        pin(one for one in results if one.violation is None)
        return trouble
    counts = [difference(one) for one in results if one.violation is None]
    return [*trouble, *[said for said in counts if said]]


def _save(results: Sequence[Explored], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in results:
        if one.violation is not None:
            path = folder / f"{one.configuration.name.replace(' ', '_')}.txt"
            path.write_text(one.violation.as_trace(), encoding="utf-8")
            say(f"the counterexample is in {path}")


# --- for people ---------------------------------------------------------------------------------------------------


def _list(chosen: Sequence[Configuration], as_json: bool) -> None:
    if as_json:
        keys = ("name", "workers", "processes", "ttl", "zombies", "large", "reason")
        shapes = [
            {**{key: getattr(one, key) for key in keys}, "features": sorted(one.features)} for one in chosen
        ]
        data_json({"configurations": shapes})
        return
    for one in chosen:
        data(f"{one.name}: {one.reason}")


def _print(results: Sequence[Explored]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(box=None, pad_edge=False)
    table.add_column("configuration", no_wrap=True)
    for column in (
        "workers",
        "processes",
        "ttl",
        "zombies",
        "states",
        "transitions",
        "depth",
        "pairs",
        "steps",
        "seconds",
        "MiB",
    ):
        table.add_column(column, justify="right")
    body = body_of(results, True)
    for row in body["configurations"]:
        name, *sizes = row.values()
        table.add_row(name, *(f"{size:,}" for size in sizes))
    console.print(table)
    missed = f", {len(body['sometimes_missed'])} never seen" if body["sometimes_missed"] else ""
    data(f"{body['states']:,} states, {body['violations']} violations{missed}")


class _progress:  # noqa: N801  it is used as a function
    """How far the searches are, on stderr: a line that is written over, where stderr is a terminal."""

    def __init__(self, total: int) -> None:
        from rich.console import Console

        self.states: dict[str, int] = {}
        self.total = total
        self.status = Console(stderr=True).status(f"searching {total} configurations")

    def __enter__(self) -> _progress:
        self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def __call__(self, name: str, states: int) -> None:
        self.states[name] = states
        told = f"{sum(self.states.values()):,} states in {len(self.states)} of {self.total} configurations"
        self.status.update(f"{told}; now {name}")
