"""The named configurations of rows and workers under free clocks: what is in the set, why, and what must be seen there.

Each is here for a bug that it finds and no smaller one of the set does; `tests/checking` plants the bug and looks.
Where that bug needs no second worker, `reason` says what the second one is there for. Two stand apart, with a third
worker and with a second zombie: they are searched for whether there is anything new in them (`cutoff`). `FLEETS` are
searches of the worker machine, `TIMED` those under bounded drift, with liveness.

`Complete refused (conflict)` is not among what must be seen: an attempt writes one outcome and never replaces it (S18),
so no worker asks for another one under its token. What it would be answered is asked by the judge itself, after each
Complete (S11).
"""

from __future__ import annotations

from attrs import evolve

from tenure_testing.checking.configuration import Configuration, Search
from tenure_testing.checking.cutoff import no_news
from tenure_testing.checking.explorer import explore_world
from tenure_testing.checking.fleet_configurations import FLEETS
from tenure_testing.checking.rows import Law
from tenure_testing.checking.session_world import SessionWorld
from tenure_testing.checking.timed_configurations import TIMED
from tenure_testing.checking.world import UNAPPLIED, RowWorld


def _rows(
    name: str,
    sizes: tuple[int, int, int],
    features: str,
    reason: str,
    sometimes: tuple[str, ...],
    large: bool = False,
    search: Search | None = None,
) -> Configuration:
    """`sizes`: workers, ttl, zombies."""
    workers, ttl, zombies = sizes
    given = frozenset(features.split())
    world = SessionWorld if "session" in given else RowWorld
    return Configuration(name, workers, 1, ttl, zombies, given, reason, world, sometimes, large, search)


ALWAYS = (
    "crashes",
    "hears nothing",
    "Claim succeeded",
    "Claim succeeded, a take-over",
    "Claim succeeded, a replay",  # unknown, then granted
    "Claim succeeded, granted nothing",
    "Claim refused (not_ready)",
    "Claim refused (ended)",
    "Renew succeeded",
    "Renew fenced",
    "Release succeeded",
    "Release succeeded, again",
    "Complete succeeded",
    "Complete succeeded, lost too often",
)
RIVALS = ("Claim refused (held)", "Complete fenced", "Release fenced")
ZOMBIES = (
    *(f"{name} {UNAPPLIED}" for name in ("Claim", "Complete", "Release")),  # unknown, then lost
    "late: Claim succeeded",
    "late: Claim succeeded, a take-over",
    "late: Claim succeeded, a replay",
    "late: Renew succeeded",
    "late: Renew fenced",
    "late: Complete succeeded",  # unknown, then committed
    "late: Complete succeeded, again",
    "late: Complete fenced",  # a zombie is refused
    "late: Release succeeded",
    "late: Release fenced",
)
CANCELS = (
    "RequestCancel succeeded, on a live lease",
    "RequestCancel succeeded, ends it",
    "RequestCancel succeeded, had ended, again",
    "Complete succeeded, though cancelled",  # complete against cancel, both ways
    "Complete fenced, cancelled before",
    "Release succeeded, ends as cancelled",
    "sees the cancel flag",
)
EFFECTS = (
    "RecordEffect succeeded",
    "RecordEffect succeeded, again",
    "RecordEffect fenced",
    "its handler asks, sends RecordEffect",
)
EVENTS = ("EmitEvent succeeded", "EmitEvent succeeded, again", "EmitEvent fenced")
SESSIONS = (
    "Open succeeded",
    "Open succeeded, not heard of",  # unknown, then committed
    "Open succeeded, again",
    "Open fenced",
    "AppendEntry succeeded",
    "AppendEntry succeeded, again",  # by its key
    "AppendEntry fenced",
    "AppendEntry refused (head_moved)",
    "AppendEntry succeeded, a client's",
    "AppendEntry refused (head_moved), a client's",
    "MoveHead succeeded",
    "MoveHead succeeded, again",
    "MoveHead fenced",
)
FORGOTTEN = (
    "Prune succeeded",
    "Register succeeded",
    "Register succeeded, again",
    "Claim refused (not_found)",
)

ROWS: tuple[Configuration, ...] = (
    _rows(
        "tiers",
        (1, 2, 0),
        "tiers",
        "S15: a worker whose tiers do not suffice runs handlers",
        (*ALWAYS[:9], "its session opens", "is answered, sends Release"),
    ),
    _rows(
        "forgotten rows",
        (2, 2, 0),
        "prune",
        "S11, K20: a completion of a process that was pruned makes its row again; "
        "S8, K3, with the second worker: a stale release is not refused",
        (*ALWAYS, *RIVALS, *FORGOTTEN),
    ),
    _rows(
        "effects and events",
        (2, 2, 0),
        "effects events",
        "S10: a later attempt's effect replaces what the first one recorded; "
        "S4, with the second worker: an event under a stale lease is recorded",
        (*ALWAYS, *RIVALS, *EFFECTS, *EVENTS),
    ),
    _rows(
        "effects and session watermark",
        (2, 2, 0),
        "effects session",
        "CONTRACT §8, fence: an opening does not raise the watermark, so that an earlier handler goes on writing; "
        "one worker shows it, by requests that nobody waits for; with the second one handlers write while it opens",
        (*ALWAYS, *RIVALS, *EFFECTS, *SESSIONS),
    ),
    _rows(
        "rows and zombies",
        (2, 2, 1),
        "",
        "S9, K16: a renewal that is late undoes the release of its own worker; "
        "one worker and a zombie show it, the second worker is there for the cut-off",
        (*ALWAYS, *RIVALS, *ZOMBIES),
    ),
    _rows(
        "three workers",
        (3, 2, 0),
        "",
        "cut-off: with a third worker there would be requests to a row, or steps, that fewer do not bring",
        (*ALWAYS, *RIVALS),
        search=no_news,
    ),
    _rows(
        "drain and cancel",
        (2, 2, 1),
        "drain cancel",
        "S17: an attempt that is cancelled in a drain forgets who asked for it, and why; "
        "one worker shows it, the second worker is there for the cut-off",
        (*ALWAYS, *RIVALS, *ZOMBIES, *CANCELS, "is told to shut down"),
    ),
    _rows(
        "rows and two zombies",
        (2, 2, 2),
        "",
        "cut-off: with a second zombie there would be requests to a row, or steps, that fewer do not bring",
        (*ALWAYS, *RIVALS, *ZOMBIES),
        large=True,
        search=no_news,
    ),
)
CONFIGURATIONS = (*ROWS, *FLEETS, *TIMED)
GATE = tuple(one for one in CONFIGURATIONS if not one.large)
LARGE = tuple(one for one in CONFIGURATIONS if one.large)


def named(name: str) -> Configuration:
    """Raises KeyError for a name that there is not."""
    return {one.name: one for one in CONFIGURATIONS}[name]


def shrunk(configuration: Configuration) -> Configuration:
    """One of rows that makes the same requests and takes the same steps, and is closed in seconds: with a zombie, one
    worker brings all that more bring (`cutoff`); of effects beside a session, `effects and events` has all."""
    if "session" in configuration.features:
        return evolve(configuration, features=configuration.features - {"effects"})
    return evolve(configuration, workers=1, zombies=1) if configuration.zombies else configuration


def law_of(configuration: Configuration) -> Law:
    """The law as it was asked in all of the configuration's behaviours: `pairs` has each distinct request to each
    distinct registry; `known` is the same as a graph, from row and request to the row after it."""
    world = RowWorld(configuration)
    explore_world(configuration, world)
    return world.law
