"""docs/verification.md, made of docs/verification.json: what was checked, how much of it, when and with what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "docs" / "verification.json"
PAGE = ROOT / "docs" / "verification.md"

Part: TypeAlias = dict[str, Any]
"""What one tool measured, and under `measured` when and with which versions."""

HEAD = """\
<!-- Generated: `make verify` measures it, `python -m tests.verification.run` writes it. -->
# What was verified, and how far

tenure's shipped code is its own checked model: the state machines that run in production are the ones that are
searched, drawn, simulated and mutated below. What may be said of it is this: **checked for all behaviours of the listed
configurations; tested beyond**. Nothing here is a proof about programs, machines or networks in general. The properties
are those of [reference/properties.md](reference/properties.md).
"""

NOT_COVERED = """\
## What is not covered

- More than three workers, two zombie requests or a ttl of three ticks, and all features at once, are not searched; the
  simulation meets larger fleets, by chance and not exhaustively.
- Values are few in the search: one kind, one payload, one outcome a handler. What depends on content (limits, canonical
  JSON, paging, filters) is left to the drawn tests, the contract kit and the vectors.
- Threads, event loops and SQLite itself are not modelled. They are run: the adapters' tests on asyncio, trio and a bare
  trampoline, crashes of real operating system processes at each boundary of the store, the demo with SIGKILL and
  SIGSTOP.
- Liveness is checked for two workers, under the fairness that `tenure_testing.checking.liveness` states, and for clocks
  that drift at most one tick apart; "within ..." is checked as "at last". That a healthy worker never loses a lease
  (L3) needs answers within `renew_interval`: keep `call_timeout` below it, as the defaults do.
- `max_run`, undeclared events and mismatching effects are not in the search; traces, vectors and drawn tests have them.
- No worker of the search completes with another outcome than before, since none replaces its last write (S18): that
  this is a conflict (S11) the judge asks by itself, after each Complete.
- A store that lies, bit rot, and a C function that keeps the interpreter's lock (the leases may expire, nothing else
  breaks) are out of scope.
- Of sessions the search has openings, appends and one move, under two workers and a client, without late requests of
  attempts that are over (what these would be answered is judged in each state); it has no deletion and no limits. The
  simulation has sessions of async handlers and none of the late requests. Attachments and artifacts are in neither;
  crash points strike them, drawn tests hold both stores to their law, and kits hold any other.
- The simulation sends no `Claim` of one process and no `CompleteExternal`, and its workers all have the same kinds and
  profile; crash points, vectors and drawn tests have these. Nothing in it judges that a deaf handler is detached in
  time.
- `tenure verify-trace` does not judge what is read of events, effects, endings and cancellations. PostgreSQL does not
  exist yet.
"""


def page(data: dict[str, Part]) -> str:
    """The whole page."""
    sections = [write(data[name]) for name, write in SECTIONS.items() if name in data]
    return "\n".join([HEAD, *sections, NOT_COVERED])


def read() -> dict[str, Part]:
    """What is committed."""
    data: dict[str, Part] = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    return data


# --- the sections -------------------------------------------------------------------------------------------------


SIZES, COUNTS = ("workers", "processes", "ttl", "zombies", "set"), ("states", "transitions", "depth")
HEADINGS = ("configuration", *SIZES, *COUNTS, "pairs", "steps", "s", "MiB")


def _check(part: Part) -> str:
    rows = [
        f"| {one['name']} | {one['workers']} | {one['processes']} | {one['ttl']} | {one['zombies']} "
        f"| {'large' if one['large'] else 'gate'} | {one['states']:,} | {one['transitions']:,} | {one['depth']} "
        f"| {one['pairs']:,} | {one['steps']:,} "
        f"| {one['seconds']:.0f} | {one['peak_mib']:.0f} |"
        for one in part["configurations"]
    ]
    return _section(
        "Every behaviour of small configurations",
        f"`tenure check --large`: {part['states']:,} states, each configuration searched until no state is new, "
        f"{part['violations']} violations, {len(part['sometimes_missed'])} of the things that must happen sometimes "
        "never seen. The counts are pinned; the set *gate* is part of `make test`. *Pairs* are the distinct requests "
        "to distinct rows, *steps* the distinct steps of a state machine, that the transitions are made of: each of "
        "them is judged, once, and more states of the same ones show only that no order of them breaks more.",
        [
            f"| {' | '.join(HEADINGS)} |",
            "| --- " * len(HEADINGS) + "|",
            *rows,
        ],
        part,
    )


def _simulate(part: Part) -> str:
    faults = ", ".join(f"{name} {times:,}" for name, times in part["faults"].items())
    met = ", ".join(f"{name} {times:,}" for name, times in part["sometimes"].items())
    stores = " and ".join(f"{times:,} on {name}" for name, times in part["stores"].items())
    return _section(
        "Fleets under seeded faults",
        f"`tenure simulate`: {part['seeds']:,} seeds ({stores}), {part['steps']:,} steps of the machines, "
        f"{part['fault_count']:,} faults; every seed played twice, under two PYTHONHASHSEEDs, with the same trace; "
        f"{len(part['failures'])} failed, in {part['seconds']:,.0f} s.",
        [f"Faults: {faults}.", "", f"Met: {met}."],
        part,
    )


def _lists(part: Part) -> str:
    vectors = part["vectors"]
    passed = (
        f"Stores in memory, on SQLite and in JavaScript pass {vectors['steps']:,} steps, {vectors['tours']:,} tours "
        f"that take every transition of closed graphs of the law, and {vectors['scenarios']:,} scenarios "
        "([conformance](conformance/README.md))."
    )
    return _section(
        "Boundaries and vectors",
        f"A store on SQLite dies, as a process of the operating system, at each of {part['store_points']}, and a "
        f"played worker is struck at {part['worker_points']} ([the store's](../tests/crashes/store_points.txt), "
        "[the worker's](../tests/crashes/worker_points.txt)).",
        [passed],
        part,
    )


def _tests(part: Part) -> str:
    rows = [f"| {name} | {one['tests']:,} | {one['seconds']:,.0f} |" for name, one in part["folders"].items()]
    return _section(
        "Tests",
        f"`make test`, {part['tests']:,} tests, none skipped; the core's own reach every branch of the core.",
        ["| tests/ | tests | seconds |", "| --- | --- | --- |", *rows],
        part,
    )


def _matrix(part: Part) -> str:
    layers = ", ".join(f"{name} {killed} of {tried}" for name, (killed, tried) in part["layers"].items())
    return _section(
        "Known bugs",
        f"`make kill-matrix`: {part['bugs']} one-line bugs, {part['survivors']} survive; each is killed by its "
        "property and by at least two layers. [kill-matrix.md](kill-matrix.md) has them all.",
        [f"Killed, by layer: {layers}."],
        part,
    )


def _mutants(part: Part) -> str:
    fates: dict[str, int] = {}
    for row in part["modules"].values():
        for fate, number in row.items():
            fates[fate] = fates.get(fate, 0) + number
    said = ", ".join(f"{number:,} {fate}" for fate, number in fates.items())
    return _section(
        "Mutants of the core",
        f"`make mutants`: {part['mutants']:,} mutants: {said}. [mutants.md](mutants.md) has them by module, and the "
        f"excused with their reasons. It took {part['seconds'] / 60:,.0f} minutes of one core.",
        [],
        part,
    )


def _section(title: str, said: str, lines: list[str], part: Part) -> str:
    measured = part["measured"]
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    body = [
        f"## {title}",
        "",
        said,
        "",
        *lines,
        *([""] if lines else []),
        f"Measured {measured['date']}: {versions}.",
    ]
    return "\n".join(body) + "\n"


SECTIONS: dict[str, Callable[[Part], str]] = {
    "check": _check,
    "simulate": _simulate,
    "matrix": _matrix,
    "mutants": _mutants,
    "lists": _lists,
    "tests": _tests,
}
"""By the name of the part, in the order of the page."""


def counts(part: Part) -> dict[str, dict[str, int]]:
    """The counts of each configuration of the check, as they are pinned."""
    return {
        one["name"]: {name: one[name] for name in ("states", "transitions", "depth")}
        for one in part["configurations"]
    }
