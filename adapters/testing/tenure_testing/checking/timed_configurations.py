"""The searches under bounded drift, each for a bug that is found in no smaller one of them; `tests/checking` plants it.
One has none of its own, and says so."""

from __future__ import annotations

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.promises import search_workers
from tenure_testing.checking.timed import TimedWorld


def _timed(
    name: str, ttl: int, features: str, reason: str, *sometimes: str, large: bool = False
) -> Configuration:
    """Promises are looked at where workers are told apart (`named`)."""
    given = frozenset(features.split())
    search = search_workers if "named" in given else None
    return Configuration(name, 2, 1, ttl, 0, given, reason, TimedWorld, sometimes, large, search)


RUNS = ("Claim succeeded", "Renew succeeded", "Complete succeeded", "its clock ticks", "its handler returns")
CRASHES = ("crashes", "Claim succeeded, a take-over", "Complete succeeded, lost too often")
RENEWALS = ("its Renew is lost", "its answer is lost", "cannot send its Renew", "its back-off is over")
LOSSES = (
    *RENEWALS,
    "its Complete is lost",
    "Claim succeeded, a replay",
    "Complete succeeded, again",
    "Release succeeded, again",
    "Release fenced",
    "its session hangs",
    "its session fails",
    "its handler is stopped",
)
CANCELS = (
    "RequestCancel succeeded, on a live lease",
    "RequestCancel succeeded, ends it",
    "Complete succeeded, though cancelled",
)
DRAINS = ("is asked to drain", "is told to shut down", "its handler is stopped", "Release succeeded")

TIMED = (
    _timed(
        "healthy workers that are cancelled",
        6,
        "healthy crash cancel named",
        "L4: the flag on a reply is not seen (K17); L3: a renewal is never due (K11), or one that is lost ends the "
        "attempt (K22); L1: an expired process is not claimed again",
        *RUNS,
        *CRASHES,
        *RENEWALS,
        *CANCELS,
    ),
    _timed(
        "healthy workers that drain",
        6,
        "healthy crash drain slow named",
        "L5: a handler that takes its time to stop is not renewed any more (K8), or its process is given back before "
        "it has ended, or it is never told; S9: the release does not wait for the renewal that is in flight (K16)",
        *RUNS,
        *CRASHES,
        *RENEWALS,
        *DRAINS,
    ),
    _timed(
        "ages and deadlines",
        6,
        "faults crash",
        "C3: a deadline that counts from the answer, or leaves no margin for drift, lets two handlers meet",
        *RUNS,
        *CRASHES,
        *LOSSES,
    ),
    _timed(
        "handlers that do not stop",
        6,
        "faults stubborn",
        "C3: one that goes on after the deadline and its grace is not left behind in time",
        *RUNS,
        *LOSSES,
    ),
    _timed(
        "a store whose clock steps",
        6,
        "stubborn steps crash",
        "L6: a handler is not told that its lease is lost, or is left behind late",
        *RUNS,
        *CRASHES,
        "its clock steps",
        "Renew fenced",
        "its handler is stopped",
    ),
    _timed(
        "after any trouble",
        6,
        "faults named",
        "L2: a write that met trouble (K9) is to be tried again, and is never sent; that it is dropped at once is seen "
        "in each search of attempts",
        *RUNS,
        *LOSSES,
    ),
    _timed(
        "healthy workers that renew every other tick",
        8,
        "healthy crash cancel named",
        "no bug of its own: a renewal that is due at every other tick shows no others, and the same (K11, K17, K22)",
        *RUNS,
        *CRASHES,
        *RENEWALS,
        *CANCELS,
        large=True,
    ),
)
