"""No behaviour of two workers and one process breaks S2-S9 or S20, and the search would notice.

`search` explores the world; here is what must hold of each transition of the row, what must be seen sometimes, and
for each property a bug that breaks it. One configuration is checked: two workers, one process, a ttl of two ticks, one
zombie request, max_lost 2, free clocks; without effects, drain, max_run and the age of calls.

What a state leaves out, and why no behaviour is lost by it:
- Instants. Both clocks are rebased to now. A worker's clock is free against the store's, so that what waits for the age
  of a lease may come at any moment: the lease is kept as new, and the ticks to each limit are always possible.
- Tokens but for their rank. The law compares them for equality with the row's, and S2 holds on every transition.
- Owners. Claims are named by the token that they got, under one owner: who compared owners alone would be found out.
  A claim that its worker gave up before it was granted counts as that of a worker that crashed.
- Versions, claims, numbers of events: checked on transitions. `lost` saturates at max_lost, the wait with it.
- A request that is doubled in the air: it is late, and sent again. A reply that is doubled: it answers no call.
- Which worker is which.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from attrs import frozen

from tenure import attempt, claims
from tenure.process import Cancelled, Failure, Record
from tenure.replies import Answer, Refused, Succeeded
from tenure.requests import Claim, ClaimFilter, Complete, Release, Renew
from tests.core import search
from tests.core.search import CLOCK, LIMITS, NEXT, NOW, TERMS, TICK, WAITS, Search, State

STATES, TRANSITIONS = 2_242_081, 30_318_602
"""How large the whole world is. Commit other numbers only if you know which behaviours came or went."""

# --- what must hold -----------------------------------------------------------------------------------------------


@frozen
class Transition:
    """The store answers one request."""

    before: Record
    asked: search.Asked
    row: Record
    answer: Answer

    @property
    def changes(self) -> bool:
        return self.row != self.before

    @property
    def grants(self) -> bool:
        return self.changes and isinstance(self.asked, Claim)

    @property
    def ended(self) -> bool:
        """Before it."""
        return self.before.outcome is not None

    @property
    def live(self) -> bool:
        """Before it; judged here and not by the core, so that the core's own judgement is checked."""
        return self.before.held and self.before.expires_at > CLOCK

    @property
    def stale(self) -> bool:
        """A change under a fence that does not hold."""
        if not self.changes or not isinstance(self.asked, Renew | Complete | Release):
            return False
        lease = (self.before.token, self.before.claim)
        return lease != (self.asked.fence.token, self.asked.fence.claim) or not (
            self.before.held or self.ended
        )


def token_grows_by_claims_only(of: Transition) -> bool:
    """S2; `NEXT` is above every token there has been, and a claim is named by the token that it gets."""
    lease = (of.row.token, of.row.claim)
    if of.grants:
        return lease == (NEXT, of.asked.claim if isinstance(of.asked, Claim) else None)
    return lease == (of.before.token, of.before.claim)


def claims_what_is_free(of: Transition) -> bool:
    """S3, and Claim and ClaimNext agree about what is free."""
    free = claims.claimable(of.before, ClaimFilter(TERMS.profile, TERMS.kinds), CLOCK, LIMITS)
    anew = isinstance(of.asked, Claim) and of.asked.claim.n == NEXT
    return not (of.grants and (of.ended or of.live)) and of.grants == (anew and free)


def ends_once(of: Transition) -> bool:
    """S6: neither another outcome nor another terminal event, and who is told of an outcome finds it in the row."""
    told = of.asked.outcome if isinstance(of.asked, Complete) and isinstance(of.answer, Succeeded) else None
    if told is not None and told != of.row.outcome:
        return False
    return not of.ended or (of.row.outcome, of.row.events) == (of.before.outcome, of.before.events)


def renews_its_own_and_never_shortens(of: Transition) -> bool:
    """S9."""
    return not isinstance(of.asked, Renew) or not (of.stale or of.row.expires_at < of.before.expires_at)


def counts(of: Transition) -> bool:
    """S20, and a refusal changes nothing."""
    lost = of.before.lost + (1 if of.before.held else 0) if of.grants else of.before.lost
    if of.changes and isinstance(of.asked, Release) and of.row.outcome is None:
        lost = 0
    counted = (of.row.claims, of.row.lost) == (of.before.claims + (1 if of.grants else 0), lost)
    return counted and (isinstance(of.answer, Succeeded) or not of.changes)


PROPERTIES: dict[str, Callable[[Transition], bool]] = {
    "S2": token_grows_by_claims_only,
    "S3": claims_what_is_free,
    "S4": lambda of: not of.stale,
    "S5": lambda of: not (of.changes and isinstance(of.asked, Renew)) or of.live,
    "S6": ends_once,
    "S7": lambda of: not (of.ended and of.changes),
    "S8": lambda of: not (of.stale and isinstance(of.asked, Release)),
    "S9": renews_its_own_and_never_shortens,
    "S20": counts,
    "version": lambda of: of.row.version == (NEXT if of.changes else of.before.version),
}


class Broken(Exception):
    """A behaviour that breaks `properties`; the notes tell how it came to that."""

    def __init__(self, properties: list[str], of: Transition) -> None:
        super().__init__(
            f"{', '.join(properties)}: {of.asked} is answered {of.answer} and makes {of.before} {of.row}"
        )
        self.properties = properties


def judge(before: Record, asked: search.Asked, row: Record, answer: Answer) -> str:
    of = Transition(before, asked, row, answer)
    broken = [name for name, holds in PROPERTIES.items() if not holds(of)]
    if broken:
        raise Broken(broken, of)
    said = f"{type(asked).__name__} {type(answer).__name__.lower()}"
    if isinstance(answer, Refused):
        return f"{said} ({answer.reason.value})"
    if of.grants and before.held:
        return f"{said}, a take-over"
    if isinstance(asked, Complete):
        said += (
            ", lost too often"
            if isinstance(asked.outcome, Failure) and asked.outcome.code == "lost_too_often"
            else ""
        )
        said += ", though cancelled" if of.changes and before.cancel is not None else ""
        said += (
            ", cancelled before"
            if isinstance(before.outcome, Cancelled) and asked.fence.token == before.token
            else ""
        )
    return said


def explored() -> tuple[Search, int, int]:
    """A search that ran. A fault of it has the shortest way there in its notes."""
    world = Search(judge)
    try:
        return world, *world.run()
    except Exception as fault:
        for line in story(world):
            fault.add_note(line)
        raise


def story(world: Search) -> list[str]:
    """How the world came to its state."""
    path = [world.state]
    while path[-1] != world.parents[path[-1]]:
        path.append(world.parents[path[-1]])
    steps = (
        (next(said for said, then in world.successors(old) if then == new), new)
        for old, new in pairwise(path[::-1])
    )
    return [f"{number:3} {said:40} {shown(world, state)}" for number, (said, state) in enumerate(steps, 1)]


def shown(world: Search, state: State) -> str:
    """Row, zombie and both workers in a line."""
    row: Record = [*world.rows][state[0]]
    zombie: search.Zombie = [*world.zombies][state[1]]
    workers: list[search.Block] = [[*world.blocks][block] for block in state[2:]]
    left = f"held for {(row.expires_at - CLOCK) // TICK}" if row.held else "free"
    words = [f"row {type(row.outcome).__name__ if row.outcome else left}", f"lost {row.lost}"]
    words += ["cancel"] if row.cancel is not None else []
    words += [f"zombie {type(zombie.asked).__name__} of token {zombie.token}"] if zombie.asked else []
    for worker in workers:
        name = type(worker.attempt).__name__ if worker.attempt else "idle"
        words.append(f"{name} {worker.token}" + (f" and {type(worker.mail).__name__}" if worker.mail else ""))
    return "; ".join(words)


# --- all behaviours -----------------------------------------------------------------------------------------------


def test_no_behaviour_breaks_a_property_and_all_have_been_seen() -> None:
    """S2-S9, S20: to the fixpoint, without a bound on the depth; and the world is as large, and as rich, as it was."""
    world, states, transitions = explored()
    assert set(SOMETIMES) <= world.seen
    for (
        block
    ) in world.blocks:  # no limit in time lies between the instants to which an attempt is said to wait
        assert block.attempt is None or attempt.overdue_at(block.attempt) in (None, NOW, *WAITS)
    assert (states, transitions) == (STATES, TRANSITIONS)


SOMETIMES = [
    "crashes",
    "Claim succeeded",
    "Claim succeeded, a take-over",
    "Claim refused (held)",
    "Claim refused (not_ready)",
    "Claim refused (ended)",
    "Renew succeeded",
    "Renew fenced",
    "Release succeeded",
    "Release fenced",
    "RequestCancel succeeded",
    "Complete succeeded",
    "Complete succeeded, lost too often",
    "Complete succeeded, though cancelled",  # complete against cancel, both ways
    "Complete fenced, cancelled before",
    "late: Complete fenced",  # a zombie is refused
    "late: Release fenced",
    "late: Renew fenced",
    "late: Claim succeeded, a take-over",
    "late: Complete succeeded",  # unknown, then committed
    "late: Renew succeeded",
    "a late request is lost",  # unknown, then lost
]
