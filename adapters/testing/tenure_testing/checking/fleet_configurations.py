"""The fleets that are searched, each for a bug that is found in no smaller one of them."""

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
        "S18: after Unknown it claims anew, or its budget counts from the last sending (K4)",
        *CLAIMED,
        *TROUBLE,
        *LATE,
    ),
    _fleet(
        "fleet and cancellations",
        "2slots cancel hints",
        "L4: a cancellation that was read is not shown; a hint during a claim is forgotten",
        *CLAIMED,
        "two granted at once",
        "a cancellation is shown to its attempt",
    ),
    _fleet(
        "fleet that drains",
        "2slots faults drain",
        "L5: it claims anew, or runs what it was granted, after a drain was asked for",
        *CLAIMED,
        *TROUBLE,
        *DRAINED,
    ),
    _fleet(
        "fleet beside another worker",
        "2slots faults other",
        "S3, S22: a claim takes what another holds, or a request changes the other row",
        *CLAIMED,
        *TROUBLE,
        "takes p1",
        "completes p1",
    ),
    _fleet(
        "fleet with handlers that stray",
        "2slots faults strays",
        "L7: the slot of a dead lease is never free again (K14); a process is claimed whose handler still runs",
        *CLAIMED,
        *TROUBLE,
        *STRAYS,
    ),
    _fleet(
        "fleet with late claims",
        "2slots faults late",
        "CONTRACT 4: with two slots, what a late claim took is begun again, or beyond the slots",
        *CLAIMED,
        *TROUBLE,
        *LATE,
        "two granted at once",
    ),
    _fleet(
        "fleet of two slots, with hints and trouble",
        "2slots faults hints",
        "L8: a read that met trouble stops the claims",
        *TROUBLE,
        "hears nothing of its read",
        large=True,
    ),
    _fleet(
        "fleet of three slots with handlers that stray",
        "3slots strays",
        "CONTRACT 4: two claims in a row together ask for more than the slots",
        *CLAIMED,
        *STRAYS,
        large=True,
    ),
)
