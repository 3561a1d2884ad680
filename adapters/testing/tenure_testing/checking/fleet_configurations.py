"""The fleets that are searched, each for a bug that is found in no smaller one of them; `tests/checking` plants it."""

from __future__ import annotations

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.fleet import FleetWorld
from tenure_testing.checking.promises import search_fleets


def _fleet(name: str, features: str, reason: str, *sometimes: str, large: bool = False) -> Configuration:
    given = frozenset(features.split())
    late = int("late" in given)
    search = None if "tier" in given else search_fleets
    return Configuration(name, 1, 2, 1, late, given, reason, FleetWorld, sometimes, large, search)


CLAIMED = (
    "answers a claim",
    "nothing granted",
    "completes",
    "its clock ticks, and no renewal came",
    "ticks, poll due",
)
TROUBLE = (
    "hears nothing of its claim",
    "cannot send its claim",
    "failed twice in a row",
    "may not send its claim",
)
LATE = ("unknown, then granted", "a late claim arrives", "a late claim is fenced", "loses a late claim")
STRAYS = ("a handler strays", "a strayed handler ends", "a grant of a strayed process")
DRAINED = (
    "stops, empty",
    "stops, with handlers left",
    "a grant of no use in a drain",
    "starts the worker",
)

FLEETS = (
    _fleet("fleet without its tiers", "1slots tier", "S15: it drives all the same", "stops, refused"),
    _fleet(
        "fleet of one slot",
        "1slots faults late",
        "S18: after Unknown it claims anew",
        *CLAIMED,
        *TROUBLE,
        *LATE,
    ),
    _fleet(
        "fleet and cancellations",
        "2slots cancel hints",
        "L4: a cancellation that was read is not shown",
        *CLAIMED,
        "two granted at once",
        "a cancellation is shown to its attempt",
    ),
    _fleet(
        "fleet that drains",
        "2slots faults drain",
        "L5: it claims after a drain was asked for",
        *CLAIMED,
        *TROUBLE,
        *DRAINED,
    ),
    _fleet(
        "fleet beside another worker",
        "2slots faults other",
        "S3: a claim takes what a worker of another name holds",
        *CLAIMED,
        *TROUBLE,
        "takes p1",
        "completes p1",
    ),
    _fleet(
        "fleet with handlers that stray",
        "2slots faults strays",
        "L7: the slot of a dead lease is never free again (K14)",
        *CLAIMED,
        *TROUBLE,
        *STRAYS,
    ),
    _fleet(
        "fleet with late claims",
        "2slots faults late",
        "S10: a claim for two that a later one overtook is taken for a new one as long as a lease of it is live",
        *CLAIMED,
        *TROUBLE,
        *LATE,
        "two granted at once",
    ),
    _fleet(
        "fleet of two slots, with hints and trouble",
        "2slots faults hints",
        "L5: a read of cancellations that met trouble ends the worker",
        *TROUBLE,
        "hears nothing of its read",
        large=True,
    ),
    _fleet(
        "fleet of three slots with handlers that stray",
        "3slots strays",
        "S12: of two processes whose handlers run here without a lease, one is claimed again",
        *CLAIMED,
        *STRAYS,
        large=True,
    ),
)
