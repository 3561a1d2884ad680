"""What is asked in each closed graph: leases and endings; effects; events; messages; external work; pruning."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.limits import Limits
from tenure.process import ClaimId, EndedBy, External, Failure, Fence, Registration, Success, Work
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    FencedRequest,
    Get,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_testing.conforming.graph import (
    FENCES,
    PROCESS,
    TICK,
    TTL,
    WORK,
    Alphabet,
    Ask,
    Place,
    current,
    last_claim,
)

DONE, OTHER = Success(Json('"done"')), Failure("ValueError", "", "other")
FILTER = ClaimFilter("", ("k",))
EXTERNAL = Registration(PROCESS, External(NULL))


def always(request: Request) -> Ask:
    """The same request everywhere."""
    return lambda place: request


def under(fence: Callable[[Place], Fence | None], make: Callable[[Fence], FencedRequest]) -> Ask:
    """A request under that fence, where there is one."""

    def ask(place: Place) -> Request | None:
        found = fence(place)
        return None if found is None else make(found)

    return ask


def under_each(words: str, make: Callable[[Fence], FencedRequest], *fences: str) -> dict[str, Ask]:
    """The request under each of these fences."""
    return {f"{words} under {name}": under(FENCES[name], make) for name in fences}


def holder(place: Place) -> str:
    """Who claimed the row last."""
    fence = current(place)
    return fence.claim.owner if fence else "v"


def rival(place: Place) -> str:
    """Who claims it next: two workers in turn."""
    return "v" if holder(place) == "w" else "w"


def claims(words: str, make: Callable[[ClaimId], Request]) -> dict[str, Ask]:
    """The claim under a new number, under the last one again by either worker, and under one before it."""

    def numbered(owner: Callable[[Place], str], step: int) -> Ask:
        def ask(place: Place) -> Request | None:
            number = last_claim(place, owner(place)) + step
            return make(ClaimId(owner(place), number)) if number > 0 else None

        return ask

    return {
        f"{words} anew": numbered(rival, 2),  # so that there is always one before the last
        f"{words} again": numbered(holder, 0),
        f"{words} again, though taken": numbered(rival, 0),
        f"{words} before the last": numbered(holder, -1),
    }


def once_flagged(request: Request) -> Ask:
    """A request that tells something new only on a row with the cancel flag."""
    return lambda place: request if place.record is not None and place.record.cancel is not None else None


def one(claim: ClaimId) -> Request:
    return Claim(claim, PROCESS, TTL)


def following(claim: ClaimId) -> Request:
    return ClaimNext(claim, TTL, 2, FILTER)


def too_late(place: Place) -> Request | None:
    """What the holder reports once a client's cancel has ended the row, with the very outcome that it has."""
    fence, record = current(place), place.record
    if fence is None or record is None or record.ended_by is not EndedBy.CANCEL or record.outcome is None:
        return None
    return Complete(fence, record.outcome)


PLAIN = tuple(name for name in FENCES if name != "an older fence of nothing")
"""Where nothing is recorded, who recorded it makes no difference."""

LEASES = Alphabet(
    "leases",
    {
        "register": always(Register(WORK)),
        "register for later": always(Register(WORK, TICK)),
        "register other content": always(Register(evolve(WORK, input=Work("k", Json("1"))))),
        **claims("claim", one),
        **claims("claim next", following),
        "claim next of other kinds": always(ClaimNext(ClaimId("x", 1), TTL, 2, ClaimFilter("", ("j",)))),
        **under_each("renew", lambda fence: Renew(fence, TTL), *PLAIN),
        "renew for less": under(current, lambda fence: Renew(fence, 1)),
        **under_each("complete", lambda fence: Complete(fence, DONE), *PLAIN),
        "complete as it was cancelled": too_late,
        "complete otherwise": under(current, lambda fence: Complete(fence, OTHER)),
        **under_each("release", Release, *PLAIN),
        "release for later": under(current, lambda fence: Release(fence, TICK)),
        "request cancel": always(RequestCancel(PROCESS, "a")),
        "request cancel again": once_flagged(RequestCancel(PROCESS, "b")),
    },
)


def leases(place: Place) -> Hashable:
    """Whether there can be a recorder and a bystander among the older leases."""
    return min(len(place.leases), 3)


EFFECTS = Alphabet(
    "effects",
    {
        "register": always(Register(WORK)),
        "claim anew": claims("claim", one)["claim anew"],
        **under_each(
            "record effect",
            lambda fence: RecordEffect(fence, "e", "f", Json("1")),
            *("its own fence", "an older fence", "an older fence of nothing", "the coming fence"),
        ),
        **under_each(
            "record effect for another call",
            lambda fence: RecordEffect(fence, "e", "g", Json("2")),
            *("its own fence", "an older fence"),
        ),
        "renew under its own fence": under(current, lambda fence: Renew(fence, TTL)),
        "complete under its own fence": under(current, lambda fence: Complete(fence, DONE)),
        "release under its own fence": under(current, Release),
        "release for later": under(current, lambda fence: Release(fence, TICK)),
    },
    clip=leases,
)

EVENTS = Alphabet(
    "events",
    {
        "register": always(Register(WORK)),
        "claim anew": claims("claim", one)["claim anew"],
        **under_each(
            "emit event",
            lambda fence: EmitEvent(fence, "progress", Json("1"), "k"),
            *("its own fence", "an older fence", "an older fence of nothing", "the coming fence"),
        ),
        "emit undeclared event": under(current, lambda fence: EmitEvent(fence, "other", NULL, "l")),
        "complete under its own fence": under(current, lambda fence: Complete(fence, DONE)),
        "release under its own fence": under(current, Release),
        "release for later": under(current, lambda fence: Release(fence, TICK)),
    },
    clip=leases,
)

MESSAGES = Alphabet(
    "messages",
    {
        "register": always(Register(WORK)),
        "claim anew": claims("claim", one)["claim anew"],
        "append event": always(AppendEvent(PROCESS, "signal", Json("2"), "k")),
        "emit event under its own fence": under(
            current, lambda fence: EmitEvent(fence, "progress", Json("1"), "k")
        ),
        "complete under its own fence": under(current, lambda fence: Complete(fence, DONE)),
    },
)

OUTSIDE = Alphabet(
    "external",
    {
        "register": always(Register(EXTERNAL)),
        "register as work": always(Register(WORK)),
        "complete external": always(CompleteExternal(PROCESS, "me", DONE)),
        "complete external otherwise": always(CompleteExternal(PROCESS, "me", OTHER)),
        "complete external by another": always(CompleteExternal(PROCESS, "you", DONE)),
        "claim": always(one(ClaimId("w", 1))),
        "claim next": always(following(ClaimId("w", 1))),
        "complete under the coming fence": under(
            FENCES["the coming fence"], lambda fence: Complete(fence, DONE)
        ),
        "append event": always(AppendEvent(PROCESS, "signal", Json("2"), "k")),
        "request cancel": always(RequestCancel(PROCESS, "a")),
        "get": always(Get(PROCESS)),
    },
)

HORIZON = TICK


def brief(claim: ClaimId) -> Request:
    """A claim that is over with the first tick."""
    return Claim(claim, PROCESS, TICK)


def ages(place: Place) -> Hashable:
    """How long ago a row ended and a claim was noted, as far as pruning asks; and which claim numbers are noted."""

    def age(since: int) -> int:
        return min(place.clock - since, HORIZON + TICK)

    record = place.record
    ended = age(record.changed_at) if record is not None and record.outcome is not None else None
    return ended, *sorted((age(at), claim.owner == holder(place)) for claim, at in place.state.claims)


PRUNING = Alphabet(
    "pruning",
    {
        "register": always(Register(WORK)),
        **{name: ask for name, ask in claims("claim", brief).items() if name != "claim again, though taken"},
        **under_each("complete", lambda fence: Complete(fence, DONE), "its own fence", "the coming fence"),
        "request cancel": always(RequestCancel(PROCESS, "a")),
        "prune": always(Prune()),
        "prune what is younger": always(Prune(1)),
    },
    Limits(takeover_wait=TICK, takeover_cap=TICK, retry_horizon=HORIZON),
    ages,
)

ALPHABETS = (LEASES, EFFECTS, EVENTS, MESSAGES, OUTSIDE, PRUNING)
