"""A counterexample in the words of `tests/traces`: what goes in, so that `pytest --rewrite` adds what comes out.

A trace has one worker, us, and another one of whom only what it makes of the row is told; we are the one who breaks
the property, or else whoever moves most. Two ticks of the store's clock are the ttl of 30 s; a worker's free clock is
put to what it waits for. What the format cannot say (a worker crashes, the other one's late requests, pruning) stays
as a comment; so does a whole behaviour of a world that the format has no words for, and its first line says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tenure.timings import LeaseTimings

if TYPE_CHECKING:
    from tenure_testing.checking.explorer import Move, Violation

TIMES = LeaseTimings()
STORE_TICK = TIMES.ttl / 2
BUDGET = TIMES.ttl - TIMES.margin - TIMES.stop_grace
WAITS = {
    "the next renewal": TIMES.renew_interval,
    "the deadline": BUDGET,
    "the end of its grace": BUDGET + TIMES.stop_grace,
    "the end of its patience": BUDGET + TIMES.ttl,
}
AGAIN = 1.0
"""By then whatever waits to be tried again is tried."""
SAID = {
    "its session opens": "session opens",
    "its handler returns": "handler returns 1",
    "its handler is stopped": "handler stopped",
    "sees the cancel flag": "flag seen: asked",
    "is told to shut down": "shutdown",
    "cannot send": "answer unavailable",
}
OTHERS = {
    "Claim": "other worker claims p",
    "Complete": "other worker completes p",
    "Release": "other worker releases p",
}


def trace_of(violation: Violation) -> str:
    """The counterexample as a trace."""
    path, broke = violation.path, ", ".join(violation.properties)
    told = [f"# {line}" for line in violation.lines()]
    if violation.unsaid:
        head = f"# A behaviour that broke {broke}; it cannot be replayed, because {violation.unsaid}."
        return "\n".join([head, "", *told]) + "\n"
    us = (_worker(path[-1]) if path else "") or _busiest(path)
    head = f"# A behaviour that broke {broke}: {violation.said}."
    body = [*_lines(path, us), "row p"]
    return "\n".join([head, "", "register p", *body, *told]) + "\n"


def _worker(move: Move) -> str:
    """Which worker the move is about."""
    return next((who for who in (move.actor, move.target) if len(who) == 1), "")


def _busiest(path: Sequence[Move]) -> str:
    return max(
        Counter(who for move in path if (who := _worker(move))).items(),
        key=lambda one: one[1],
        default=("A", 0),
    )[0]


def _lines(path: Sequence[Move], us: str) -> Iterator[str]:
    clock = since = 0.0
    sent = answered = False  # whether our call is on its way, or its answer
    for move in path:
        said, _, sends = move.action.partition(", sends ")
        if move.actor == "the store" and move.target == us:
            sent, answered = False, True
            yield "request arrives"
        elif move.actor == us and said.startswith("its time passes to "):
            wait = WAITS.get(said.removeprefix("its time passes to "))
            clock = clock + AGAIN if wait is None else max(clock, since + wait)
            yield f"worker clock {clock:g}s"
        elif move.actor == us and said == "its session opens late":
            clock = max(clock, since + BUDGET)
            yield from (f"worker clock {clock:g}s", "session opens")
        elif move.actor == us:
            yield from _ours(said, sends, sent, answered)
        else:
            yield _theirs(move)
        if move.actor == us and (sends or said == "claims"):
            sent, answered, since = True, False, clock
        elif move.actor == us and said in ("is answered", "hears nothing", "cannot send", "crashes"):
            sent = answered = False


def _ours(said: str, sends: str, sent: bool, answered: bool) -> Iterator[str]:
    match said:
        case "claims":
            yield "claim p"
        case "is answered":
            yield "answer arrives"
        case "hears nothing" if sent:
            yield "delay request"
        case "hears nothing" if answered:
            yield "answer is lost"
        case "its session fails":
            yield f"session fails for {'good' if sends == 'Complete' else 'now'}: why"
        case _ if said in SAID:
            yield SAID[said]
        case _:
            yield f"# we: {said}"


def _theirs(move: Move) -> str:
    request, _, answer = move.action.partition(" ")
    if move.action == "the store's clock ticks":
        return f"store +{STORE_TICK:g}s"
    if move.actor == "a client" and request == "RequestCancel":
        return "cancel p asked"
    if move.actor == "the store" and answer.startswith("succeeded") and request in OTHERS:
        return OTHERS[request]
    if move.action.startswith("late: "):
        return "delayed request arrives"
    return f"# {move.actor}: {move.action}"
