"""The letters that a registry's machine is driven with: requests over few names, keys, bodies and times.

Small alphabets make ids meet, times fall on the same moment and keys be used twice. What belongs together is one
letter, so that drawing it is one choice, and what fails shrinks to the plainest letter, the first. A letter that
depends on what happened before (whose lease, which claim is the next) is an *act*: it becomes a request when it is its
turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeAlias

from attrs import evolve, frozen

from tenure.canonical import NULL, Json
from tenure.limits import Limits
from tenure.model import Snapshot
from tenure.process import (
    Cancelled,
    ClaimId,
    External,
    Failure,
    Fence,
    Outcome,
    Provenance,
    Registration,
    Success,
    Work,
)
from tenure.requests import (
    AppendEvent,
    ClaimFilter,
    Complete,
    CompleteExternal,
    EmitEvent,
    FencedRequest,
    Get,
    List,
    Phase,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)

NAMES = ("a", "b", "c")
OUTSIDE = "x"
OWNERS = ("u", "v")
LONE = "\ud800"
"""A lone surrogate: no store can carry it."""
NOBODYS = Fence("", ClaimId("nobody", 1), 0)

TIGHT = Limits(payload=24, name=6, takeover_wait=10, takeover_cap=30, retry_horizon=60, fence_log=4)
"""Limits that bring every refusal and every wait within reach."""


@frozen(repr=False)
class Under:
    """A write under the lease that the process has, or had last; nobody's where it was never claimed."""

    process_id: str
    write: FencedRequest

    def __repr__(self) -> str:
        return f"Under({self.process_id!r}, {_bare(self.write)})"


@frozen(repr=False)
class Claiming:
    """A claim by `owner`: its next (`step` 1), its last again (0), or one before (-1). Of one process, or of whatever
    `wanted` lets through."""

    owner: str
    step: int
    ttl: int
    limit: int
    wanted: ClaimFilter | str

    def __repr__(self) -> str:
        return f"Claiming({self.owner!r}, {self.step}, {self.ttl}, {self.limit}, {self.wanted!r})"


Act: TypeAlias = Request | Under | Claiming


def _bare(write: FencedRequest) -> str:
    return repr(write).replace(f"fence={NOBODYS!r}, ", "").replace(f"fence={NOBODYS!r}", "")


def under(fence: Fence, write: FencedRequest) -> FencedRequest:
    """The write under that fence."""
    return evolve(write, fence=fence)


def last_fence(model: Snapshot, process_id: str) -> Fence:
    """The fence of the last lease of the process."""
    for record in model.records:
        if record.id == process_id and record.claim is not None:
            return Fence(process_id, record.claim, record.token)
    return evolve(NOBODYS, process_id=process_id)


def newest_fence(model: Snapshot) -> Fence:
    """The fence of the newest lease of all."""
    held = [record for record in model.records if record.claim is not None]
    return last_fence(model, max(held, key=lambda record: record.token).id if held else NAMES[0])


def bent(fence: Fence) -> tuple[Fence, ...]:
    """Fences that are nearly this one; none of them is anybody's."""
    return (
        evolve(fence, token=fence.token + 1),
        evolve(fence, token=0),
        evolve(fence, claim=ClaimId("u" if fence.claim.owner != "u" else "v", fence.claim.n)),
        evolve(fence, claim=ClaimId(fence.claim.owner, fence.claim.n + 1)),
        evolve(fence, claim=ClaimId(LONE, fence.claim.n)),
        evolve(fence, process_id=NAMES[fence.process_id == NAMES[0]]),
        evolve(fence, process_id="\0"),
    )


@frozen
class Alphabet:
    """The letters by their use, for registries with these limits. `deltas`: by how many ms the store's clock moves."""

    beginning: Sequence[Request]
    backlog: Sequence[Request]
    plain: Sequence[Request]
    odd: Sequence[Request]
    plain_claims: Sequence[Claiming]
    claims: Sequence[Claiming]
    single_claims: Sequence[Claiming]
    writes: Sequence[FencedRequest]
    odd_writes: Sequence[FencedRequest]
    clients: Sequence[Request]
    odd_clients: Sequence[Request]
    cancels: Sequence[Request]
    prunes: Sequence[Request]
    reads: Sequence[Request]
    deltas: Sequence[int]

    @property
    def oddities(self) -> Sequence[Act]:
        """What is refused, whatever the rows are."""
        return (*(Under("a", write) for write in self.odd_writes), *self.odd, *self.odd_clients)

    @property
    def acts(self) -> Sequence[Act]:
        """All of them, for batches of several."""
        leases = [Under(name, write) for name in NAMES for write in self.writes]
        requests = (*self.plain, *self.clients, *self.cancels, *self.oddities)
        claims = (*self.claims[::4], *self.single_claims)
        return (*leases, *claims, *requests, *self.prunes, *self.reads)


def alphabet(limits: Limits) -> Alphabet:
    """Letters that reach every answer under these limits."""
    wait = limits.takeover_wait
    half, long, horizon = wait // 2, wait * 2, limits.retry_horizon
    leases = (long * 5, long, half)
    large, name = Json('"' + "x" * limits.payload + '"'), "n" * (limits.name + 1)
    bodies = (NULL, Json('{"a":[1.5,"é"]}'))
    outcomes: tuple[Outcome, ...] = (
        Success(),
        Success(bodies[1], Json("2")),
        Failure("E", "c", "m", bodies[1]),
        Cancelled("why"),
    )
    unfit: tuple[Outcome, ...] = (Success(large), Failure("E", "c", LONE), Cancelled("why", large))
    here = ClaimFilter("here", ("k",))
    filters = (
        here,
        ClaimFilter("here", ("k",), ("a",)),
        ClaimFilter("", ("k", "j")),
        ClaimFilter("there", ("j",)),
        ClaimFilter("here", ("k", "k"), ("a",)),
        ClaimFilter("here", ()),
        ClaimFilter(LONE, ("k", "\0")),
    )
    steps = (1, 1, 1, 0, -1)
    return Alphabet(
        beginning=[Register(_simple(each)) for each in NAMES[:2]],
        backlog=[
            Register(_simple(NAMES[0]), half),
            Register(_other(NAMES[1])),
            Register(_simple(NAMES[2])),
        ],
        plain=[
            *(Register(_simple(each), delay) for each, delay in product(NAMES, (0, wait * 3 // 2, long * 5))),
            *(Register(_other(each), delay) for each, delay in product(NAMES[1:], (0, half))),
            Register(Registration(OUTSIDE, External())),
        ],
        odd=[
            Register(Registration(each, *rest))
            for each in (*NAMES, "", " ", name, LONE)
            for rest in _shapes(large)
        ],
        plain_claims=[
            Claiming(*each) for each in product(OWNERS, (1,), leases, (3, 1), (here, filters[2], filters[3]))
        ],
        claims=[
            *(Claiming(*each) for each in product(OWNERS, steps, leases, (1, 3), filters)),
            *(Claiming(each, 1, long, 1, here) for each in (LONE, "", name)),
            Claiming("u", 1, 0, 3, here),
            Claiming("u", 1, long, 0, here),
        ],
        single_claims=[
            *(Claiming(*each) for each in product(OWNERS, steps, leases, (1,), NAMES)),
            *(Claiming("u", 1, *each) for each in product((0, long), (1,), (OUTSIDE, "gone", LONE, ""))),
            Claiming(LONE, 1, long, 1, "a"),
        ],
        writes=[
            *(Renew(NOBODYS, ttl) for ttl in (*leases, 0)),
            *(RecordEffect(NOBODYS, key, "f", body) for key, body in product("12", bodies)),
            RecordEffect(NOBODYS, "1", "g", NULL),
            *(EmitEvent(NOBODYS, kind, body, key) for kind, body, key in product("tt", bodies, "12")),
            *(Complete(NOBODYS, outcome) for outcome in outcomes),
            *(Release(NOBODYS, delay) for delay in (0, half, long * 5)),
        ],
        odd_writes=[
            *(RecordEffect(NOBODYS, key, "f", NULL) for key in ("", name, "\0", LONE)),
            *(RecordEffect(NOBODYS, "2", print_, NULL) for print_ in (name, LONE)),
            RecordEffect(NOBODYS, "2", "f", large),
            *(EmitEvent(NOBODYS, kind, NULL, "2") for kind in ("u", "process.x", " ", LONE)),
            *(EmitEvent(NOBODYS, "t", NULL, key) for key in ("", "\0", name)),
            EmitEvent(NOBODYS, "t", large, "2"),
            *(Complete(NOBODYS, outcome) for outcome in unfit),
        ],
        clients=[
            *(AppendEvent(*each) for each in product((*NAMES, OUTSIDE), "t", bodies, ("1", "2"))),
            *(CompleteExternal(OUTSIDE, *each) for each in product(("me", "you"), outcomes)),
        ],
        odd_clients=[
            *(CompleteExternal(OUTSIDE, "me", outcome) for outcome in unfit),
            *(CompleteExternal(each, "me", Success()) for each in ("a", "gone", LONE)),
            *(CompleteExternal(OUTSIDE, each, Success()) for each in ("", name)),
            *(AppendEvent(each, "t", NULL, "1") for each in ("gone", LONE, "")),
            *(AppendEvent("a", kind, NULL, "2") for kind in ("process.x", "", LONE)),
            *(AppendEvent("a", "t", NULL, key) for key in ("", "\0", name)),
            AppendEvent("a", "t", large, "2"),
            *(RequestCancel(each, "why") for each in ("gone", LONE)),
            *(RequestCancel("a", reason) for reason in (LONE, "x" * (limits.payload + 1))),
        ],
        cancels=[RequestCancel(*each) for each in product((*NAMES[:2], OUTSIDE), ("", "why"))],
        prunes=[Prune(*each) for each in product((0, horizon * 2 // 3, horizon * 2), (1, 3))],
        reads=_reads(),
        # Whole halves of a wait, so that times meet; and 1, so that they also just miss.
        deltas=(0, 1, half, half, wait, long, limits.takeover_cap + half, horizon + wait, -long),
    )


def _simple(process_id: str) -> Registration:
    """Owned, so that there are ends for a session to be told of."""
    return Registration(process_id, Work("k"), ("t",), Provenance("s"))


def _other(process_id: str) -> Registration:
    """Of another kind: whoever wants kind `k` alone must pass it by."""
    return Registration(process_id, Work("j"), ("t",))


def _shapes(large: Json) -> list[tuple[Work | External, tuple[str, ...], Provenance]]:
    """What a registration may be besides its id: sound ones, and such as are refused."""
    nowhere, here = Provenance(), Provenance("s", "here")
    return [
        (Work("j", Json("1")), (), nowhere),
        (Work("k", Json('{"a":[1.5,"é"]}')), ("t", "u"), here),
        (Work("k"), ("t",), Provenance("", "there")),
        (External(Json("1")), (), here),
        (Work(""), (), nowhere),
        (Work("k", large), (), nowhere),
        (External(large), (), nowhere),
        (Work("k"), ("process.x",), nowhere),
        (Work("k"), ("",), nowhere),
        (Work("k"), (), Provenance(LONE, "")),
        (Work("k"), (), Provenance("", "h" * 300)),
    ]


def _reads() -> list[Request]:
    names = (*NAMES, OUTSIDE, "gone", LONE)
    listing: Callable[..., Request] = List
    return [
        *(Get(each) for each in names),
        *(listing(*each) for each in product((0, 3), (1, 2), (None, *Phase), (None, "k", ""))),
        *(List(0, 2, None, None, owner) for owner in ("s", "", LONE)),
        List(0, 2, None, LONE),
        *(ReadEvents(*each) for each in product(names, (0, 1), (1, 2))),
        *(ReadEffects(*each) for each in product(names, ("", "1", LONE), (1, 2))),
        *(ReadEndings(*each) for each in product((0, 10), (1, 2))),
        *(ReadOwnerEvents(*each) for each in product(("s", "other", "", LONE), (0, 10), (1, 2))),
        *(ReadCancels(*each) for each in product((*OWNERS, LONE), (1, 2))),
        *(ReadFenceLog(limit) for limit in (1, 3)),
    ]


LETTERS = alphabet(TIGHT)
