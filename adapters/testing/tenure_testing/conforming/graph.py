"""Closed graphs of the law: every state of one process that some requests lead to, and what each request does there.

A state is a *class* of concrete ones: times relative to now, in ticks, clipped where they cannot matter any more;
tokens by whether they are the row's, an older lease's or nobody's; `lost` saturated. Each class keeps one concrete
`Place` that is reached from an empty store by the shortest way. So the graph is finite, is explored to its fixpoint,
and every edge of it can be walked on a real store.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from attrs import define, evolve, field, frozen

from tenure.canonical import NULL
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Fence, Record, Registration, Work
from tenure.replies import Answer, Claimed, Succeeded
from tenure.requests import Request

TICK = 1_000
TTL = 2 * TICK
BEGIN = StoreTime(1_000_000)
PROCESS = "p"
WORK = Registration(PROCESS, Work("k", NULL), ("progress",))
LIMITS = Limits(takeover_wait=TICK, takeover_cap=TICK)
"""One wait for all take-overs but the first, so that `lost` need not be counted further than 2."""
MOST_LOST = 2


@frozen
class Place:
    """A concrete state: what the store holds, its clock, and the leases granted on the row as it is registered now."""

    state: Snapshot
    clock: StoreTime
    leases: tuple[Fence, ...] = ()

    @property
    def record(self) -> Record | None:
        """The row, if there is one."""
        return self.state.records[0] if self.state.records else None


Ask = Callable[[Place], Request | None]
"""A request made for a place, None where it has no meaning there."""


@frozen
class Alphabet:
    """What is asked in one graph; an ask is named in words. `tick` is among them for all graphs."""

    name: str
    asks: dict[str, Ask] = field(eq=False)
    limits: Limits = LIMITS
    clip: Callable[[Place], Hashable] = field(default=lambda place: None)
    """What tells places apart besides the row: none, unless the graph says."""


@frozen
class Edge:
    """From a class, by an ask or the tick, to a class."""

    source: int
    ask: str
    target: int


TICKS = "a tick"


def after(place: Place, request: Request) -> tuple[Place, Answer]:
    """The place after a request, and what the model answers."""
    state, answer = apply(place.state, request, place.clock)
    leases = place.leases
    if isinstance(answer, Succeeded) and isinstance(answer.reply, Claimed):
        leases += tuple(grant.fence for grant in answer.reply.grants if grant.fence not in leases)
    if not state.records:
        leases = ()
    return Place(state, place.clock, leases), answer


def ticked(place: Place) -> Place:
    """A tick later."""
    return evolve(place, clock=StoreTime(place.clock + TICK))


@define
class Graph:
    """An alphabet's classes and edges; `explored` makes it."""

    alphabet: Alphabet
    places: list[Place] = field(factory=list[Place])
    edges: list[Edge] = field(factory=list[Edge])
    _numbers: dict[Hashable, int] = field(factory=dict[Hashable, int])

    def number(self, place: Place) -> int:
        """The class of the place; a new one where it was not seen before."""
        key = class_of(place), self.alphabet.clip(place)
        number = self._numbers.setdefault(key, len(self.places))
        if number == len(self.places):
            self.places.append(place)
        return number

    def asked(self, place: Place) -> Iterator[tuple[str, Request]]:
        """All that may be asked there."""
        for name, ask in self.alphabet.asks.items():
            request = ask(place)
            if request is not None:
                yield name, request


def explored(alphabet: Alphabet) -> Graph:
    """The graph from an empty store, to its fixpoint."""
    graph = Graph(alphabet)
    graph.number(Place(Snapshot(limits=alphabet.limits), BEGIN))
    for source, place in enumerate(graph.places):
        for name, request in graph.asked(place):
            graph.edges.append(Edge(source, name, graph.number(after(place, request)[0])))
        graph.edges.append(Edge(source, TICKS, graph.number(ticked(place))))
    return graph


# --- which places are the same ------------------------------------------------------------------------------------


def class_of(place: Place) -> Hashable:
    """What of the place the law can tell, with times from now on and tokens by rank."""
    return row_class(place), journal_class(place)


def row_class(place: Place) -> Hashable:
    """The row's part of it."""
    record = place.record
    if record is None:
        return ()
    ended = record.outcome is not None
    live = record.held and not ended
    lost = 0 if ended else min(record.lost, MOST_LOST)
    # An expired lease matters until its take-over is free; a row that nobody holds, until it is ready.
    left = max(record.expires_at - place.clock, -TICK * min(lost, 1)) if live else 0
    wait = 0 if live or ended else max(0, record.ready_at - place.clock)
    return (
        *(live, left, wait, lost, record.cancel, record.outcome, record.ended_by, record.authority),
        *(type(record.registration.input), min(len(place.leases), 2)),
    )


def journal_class(place: Place) -> Hashable:
    """The part of what hangs on the row: which keys are taken, and by whom."""
    state = place.state
    return (
        *((effect.key, effect.fingerprint, rank(place, effect.token)) for effect in state.effects),
        *(sorted((event.key, rank(place, event.token)) for event in state.events)),
    )


def recorders(place: Place) -> set[int]:
    """The tokens under which effects and events were recorded."""
    state = place.state
    return {effect.token for effect in state.effects} | {event.token for event in state.events if event.token}


def rank(place: Place, token: int) -> str:
    """Whose the token is: a client's, the row's last lease's, or an older one's."""
    if token == 0:
        return "client"
    return "current" if place.leases and place.leases[-1].token == token else "stale"


# --- fences and claim ids, by rank --------------------------------------------------------------------------------


def current(place: Place) -> Fence | None:
    """The fence of the row's last lease."""
    return place.leases[-1] if place.leases else None


def stale(place: Place) -> Fence | None:
    """The fence of an older lease: one that recorded something, where there is one."""
    older = place.leases[:-1]
    tokens = recorders(place)
    return next((fence for fence in older if fence.token in tokens), older[-1] if older else None)


def bystander(place: Place) -> Fence | None:
    """The fence of an older lease that recorded nothing, though another older one did."""
    fence = stale(place)
    return next((older for older in place.leases[:-1] if older != fence), None) if recorders(place) else None


def coming(place: Place) -> Fence | None:
    """The fence that the next claim will have: not granted yet."""
    if place.leases:
        return None
    return Fence(PROCESS, ClaimId("w", 1), place.state.number + 1)


def strange_token(place: Place) -> Fence | None:
    """The row's claim with a token that nobody has."""
    fence = current(place)
    return fence and evolve(fence, token=place.state.number + 1)


def strange_claim(place: Place) -> Fence | None:
    """The row's token under another claim of the same incarnation."""
    fence = current(place)
    return fence and evolve(fence, claim=ClaimId(fence.claim.owner, fence.claim.n + 1))


def strange_owner(place: Place) -> Fence | None:
    """The row's token and claim number, of another incarnation."""
    fence = current(place)
    return fence and evolve(fence, claim=ClaimId("stranger", fence.claim.n))


FENCES: dict[str, Callable[[Place], Fence | None]] = {
    "its own fence": current,
    "an older fence": stale,
    "an older fence of nothing": bystander,
    "the coming fence": coming,
    "its fence with another token": strange_token,
    "its fence with another claim number": strange_claim,
    "its fence of another owner": strange_owner,
}


def last_claim(place: Place, owner: str) -> int:
    """The highest claim number that granted something to the owner, 0 where none did."""
    return max((claim.n for claim, _ in place.state.claims if claim.owner == owner), default=0)
