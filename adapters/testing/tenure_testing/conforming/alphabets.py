"""What is asked in each closed graph of the law: leases and endings; effects; events; external work; pruning."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.limits import Limits
from tenure.process import ClaimId, External, Failure, Fence, Registration, Success, Work
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
    """The request under each of these fences; under all, where none is named."""
    return {f"{words} under {name}": under(FENCES[name], make) for name in fences or FENCES}


def claims(words: str, make: Callable[[ClaimId], Request]) -> dict[str, Ask]:
    """The claim under a new number, under the last one again, and under one before it."""

    def numbered(n: Callable[[int], int]) -> Ask:
        def ask(place: Place) -> Request | None:
            number = n(last_claim(place))
            return make(ClaimId("w", number)) if number > 0 else None

        return ask

    return {
        f"{words} anew": numbered(lambda last: last + 1),
        f"{words} again": numbered(lambda last: last),
        f"{words} before the last": numbered(lambda last: last - 1),
    }


def once_flagged(request: Request) -> Ask:
    """A request that tells something new only on a row with the cancel flag."""
    return lambda place: request if place.record is not None and place.record.cancel is not None else None


def one(claim: ClaimId) -> Request:
    return Claim(claim, PROCESS, TTL)


def following(claim: ClaimId) -> Request:
    return ClaimNext(claim, TTL, 2, FILTER)


LEASES = Alphabet(
    "leases",
    {
        "register": always(Register(WORK)),
        "register for later": always(Register(WORK, TICK)),
        "register other content": always(Register(evolve(WORK, input=Work("k", Json("1"))))),
        **claims("claim", one),
        **claims("claim next", following),
        "claim next of other kinds": lambda place: evolve(
            following(ClaimId("w", last_claim(place) + 1)), filter=ClaimFilter("", ("j",))
        ),
        **under_each("renew", lambda fence: Renew(fence, TTL)),
        "renew for less": under(current, lambda fence: Renew(fence, 1)),
        **under_each("complete", lambda fence: Complete(fence, DONE)),
        "complete otherwise": under(current, lambda fence: Complete(fence, OTHER)),
        **under_each("release", Release),
        "release for later": under(current, lambda fence: Release(fence, TICK)),
        "request cancel": always(RequestCancel(PROCESS, "a")),
        "request cancel again": once_flagged(RequestCancel(PROCESS, "b")),
        "get": always(Get(PROCESS)),
    },
)

EFFECTS = Alphabet(
    "effects",
    {
        "register": always(Register(WORK)),
        "claim anew": claims("claim", one)["claim anew"],
        **under_each(
            "record effect",
            lambda fence: RecordEffect(fence, "e", "f", Json("1")),
            *("its own fence", "an older fence", "the coming fence", "its fence of another owner"),
        ),
        **under_each(
            "record effect for another call",
            lambda fence: RecordEffect(fence, "e", "g", Json("2")),
            *("its own fence", "an older fence"),
        ),
        "renew under its own fence": under(current, lambda fence: Renew(fence, TTL)),
        "complete under its own fence": under(current, lambda fence: Complete(fence, DONE)),
        "release under its own fence": under(current, Release),
    },
)

EVENTS = Alphabet(
    "events",
    {
        "register": always(Register(WORK)),
        "claim anew": claims("claim", one)["claim anew"],
        **under_each(
            "emit event",
            lambda fence: EmitEvent(fence, "progress", Json("1"), "k"),
            *("its own fence", "an older fence", "the coming fence", "its fence of another owner"),
        ),
        "emit undeclared event": under(current, lambda fence: EmitEvent(fence, "other", NULL, "l")),
        "append event": always(AppendEvent(PROCESS, "signal", Json("2"), "k")),
        "complete under its own fence": under(current, lambda fence: Complete(fence, DONE)),
        "release under its own fence": under(current, Release),
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


def ages(place: Place) -> Hashable:
    """How long ago a row ended and a claim was noted, as far as pruning asks; and which claim numbers are noted."""

    def age(since: int) -> int:
        return min(place.clock - since, HORIZON + TICK)

    record = place.record
    ended = age(record.changed_at) if record is not None and record.outcome is not None else None
    return ended, *(age(at) for _, at in place.state.claims), min(last_claim(place), 2)


PRUNING = Alphabet(
    "pruning",
    {
        "register": always(Register(WORK)),
        **claims("claim", lambda claim: Claim(claim, PROCESS, TICK)),
        "claim next again": claims("claim next", following)["claim next again"],
        **under_each("complete", lambda fence: Complete(fence, DONE), "its own fence", "the coming fence"),
        "request cancel": always(RequestCancel(PROCESS, "a")),
        "prune": always(Prune()),
        "prune what is older": always(Prune(HORIZON + TICK)),
    },
    Limits(takeover_wait=TICK, takeover_cap=TICK, retry_horizon=HORIZON),
    ages,
)

ALPHABETS = (LEASES, EFFECTS, EVENTS, OUTSIDE, PRUNING)
