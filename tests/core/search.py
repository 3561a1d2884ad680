"""Every behaviour of two workers and one process: a breadth-first search over the shipped attempt machine and the
shipped law of rows, until no state is new.

Requests and replies are lost, late or doubled; workers crash; a client cancels; the store's clock ticks (a ttl is two
ticks), a worker's is free: what its attempt waits for may come at once. What a worker can do is kept by (row, zombie,
block), which are small integers, and the inner loop sees nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from tenure import attempt_types as t
from tenure import replies as r
from tenure.attempt import step
from tenure.attempt_opening import claim_one
from tenure.instants import Instant, StoreTime, after
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import ClaimId, Fence, Provenance, Record, Registration, Success, Work
from tenure.requests import Claim, Complete, Release, Renew, RequestCancel
from tenure.router import answer_event
from tenure.timings import LeaseTimings
from tenure.values import changed

Asked: TypeAlias = Claim | Renew | Complete | Release | RequestCancel
State: TypeAlias = tuple[int, int, int, int]  # row, zombie, a block, the other
Move: TypeAlias = tuple[str, int, int, int, bool]  # what; row, zombie, the mover's block; was the row taken

NEW, STALE, CURRENT, NEXT = range(4)  # tokens: not granted yet, before the row's, the row's, the next
TICK, CLOCK, NOW = 1_000, StoreTime(1_000_000), Instant(0)
TIMES = LeaseTimings(ttl=2, renew_interval=0.5, call_timeout=0.5, margin=0, stop_grace=0.5)
WAITS = (TIMES.renew_interval_ns, TIMES.budget_ns, TIMES.ttl_ns, TIMES.budget_ns + TIMES.patience_ns)
TERMS = t.Terms(TIMES, "", ("kind",), max_lost=2, release_delay=TICK)
LIMITS = Limits(takeover_wait=TICK, takeover_cap=TICK)
ROW = Record(Registration("p", Work("kind"), (), Provenance("owner")), 1, 0, CLOCK, CLOCK)
FENCE, STAMP = Fence("p", ClaimId("w", 1), 1), r.Stamp(0, 0, CLOCK)  # nobody looks into them
CLAIM, CANCEL = Claim(FENCE.claim, "p", TIMES.ttl_ms), RequestCancel("p", "asked")
AT: dict[str, Any] = {"now": NOW, "tag": 2}
EVENTS: tuple[t.AttemptEvent, ...] = (
    *(t.Tick(now=after(NOW, wait), tag=2) for wait in WAITS),
    *(t.SessionFailed(**AT, call=0, permanent=permanent, message="") for permanent in (True, False)),
    *(t.SessionOpened(**AT, call=0), t.HandlerReturned(**AT, outcome=Success()), t.HandlerStopped(**AT)),
    *(t.CallFenced(**AT, call=0), t.CallSucceeded(**AT, call=0, reply=r.Released(STAMP, None))),  # old ones
    t.CancelSeen(**AT, reason="asked"),
)
RUNS = dict.fromkeys((t.HandlerReturned, t.HandlerStopped), t.Running | t.Stopping | t.LeaseLost | t.Detached)
ONLY: dict[type, Any] = {t.SessionOpened: t.Opening, t.SessionFailed: t.Opening, **RUNS}


class Block(NamedTuple):
    """A worker: its attempt (None: idle), its token, and the request or the answer that is on its way."""

    attempt: t.AttemptState | None = None
    token: int = NEW
    mail: Asked | t.AttemptEvent | None = None


class Zombie(NamedTuple):
    """A request that may still arrive. `owner`: the mover (1) or the other (-1) waits for that NEW claim, or nobody."""

    asked: Asked | None = None
    token: int = NEW
    owner: int = 0


def rebased(row: Record, ticks: int = 0) -> Record:
    """The row `ticks` later, without counters and without what cannot matter any more."""
    ended, spent = row.outcome is not None, ticks * TICK
    claim, lost = ClaimId("w", CURRENT) if row.token else None, 0 if ended else min(row.lost, 2)
    expires_at = max(CLOCK - TICK * min(row.lost, 1), row.expires_at - spent) if row.held else CLOCK
    ready_at = CLOCK if ended or row.held else max(CLOCK, row.ready_at - spent)
    row = changed(row, token=min(row.token, CURRENT), claim=claim, ready_at=ready_at, expires_at=expires_at)
    return changed(row, version=0, changed_at=CLOCK, claims=0, events=0, lost=lost)


def clipped(state: t.AttemptState, now: Instant) -> t.AttemptState | None:
    """The attempt under a free clock, None if it is over: a lease is always new, a claim's grant in time or late."""
    if isinstance(state, t.Claiming):
        sent_at = -TIMES.budget_ns if now - state.sent_at >= TIMES.budget_ns else NOW
        return changed(state, call=1, sent_at=sent_at, began=sent_at, retry_at=state.retry_at and 1, tries=0)
    if not isinstance(state, t.Holding):
        return None
    lease = changed(state.lease, since=NOW, renew_at=after(NOW, WAITS[0]), renewing=None, tries=0)
    flight = state.flight and changed(state.flight, id=1, ready_at=NOW, tries=0)
    queue = tuple(changed(call, ready_at=int(call.ready_at > now), tries=0) for call in state.queue)
    marks = [mark for mark in ("opening", "claimed", "started", "stopped") if hasattr(state, mark)]
    return changed(state, record=ROW, lease=lease, flight=flight, queue=queue, **dict.fromkeys(marks, 0))


class Search:
    """`judge` names each transition of the row, or raises; then `state` is where, and `parents` tell the way there."""

    def __init__(self, judge: Callable[[Record, Asked, Record, r.Answer], str]) -> None:
        ids = (defaultdict[Any, int](count(1).__next__, {first: 0}) for first in (ROW, Zombie(), Block()))
        self.rows, self.zombies, self.blocks = ids
        self.judge, self.seen, self.parents = judge, set[str](), {(0, 0, 0, 0): (0, 0, 0, 0)}
        self.law, self.moves, self.local = cache(self._law), cache(self._moves), cache(self._local)
        self.turned, self.stale = cache(self._turned), cache(self._stale)

    def _law(self, row: int, asked: Asked, token: int) -> tuple[str, int, t.AttemptEvent, bool]:
        """What the store does: in words, the row, the answer without numbers, and whether the row was claimed."""
        before, claim = [*self.rows][row], ClaimId("w", token or NEXT)
        own: dict[str, Any] = {"claim": claim} if asked is CLAIM else {"fence": Fence("p", claim, token)}
        asked = asked if asked is CANCEL else changed(asked, **own)
        store = Snapshot((before,), claims=((claim, CLOCK),) if token else (), number=CURRENT, limits=LIMITS)
        store, answer = apply(store, asked, CLOCK)
        (then,) = store.records
        said = self.judge(before, asked, then, answer)
        if isinstance(answer, r.Succeeded) and isinstance(answer.reply, r.Claimed):
            grant = r.Grant(FENCE, changed(ROW, cancel=then.cancel, lost=min(then.lost, 2)))
            answer = r.Succeeded(r.Claimed((grant,) * len(answer.reply.grants), 1))
        elif isinstance(answer, r.Succeeded):
            answer = r.Succeeded(changed(answer.reply, stamp=STAMP))
        return said, self.rows[rebased(then)], answer_event(1, answer, NOW, 2, 0), then.token != before.token

    def _local(self, mover: int) -> list[tuple[str, int, Asked | None]]:
        """What a worker does by itself: in words, the block after it, and the request that it leaves in the air."""
        state, token, mail = [*self.blocks][mover]
        if state is None:
            claiming = claim_one(TERMS, CLAIM, t.Tick(now=NOW, tag=1)).state
            return [("claims", self.blocks[Block(claiming, NEW, CLAIM)], None)]
        sent, answer = (mail, None) if isinstance(mail, Asked) else (None, mail)
        can = [(type(e).__name__, e, mail) for e in EVENTS if isinstance(state, ONLY.get(type(e), object))]
        can += [("hears nothing", t.CallUnknown(**AT, call=1), mail)] if mail else []
        can += [("cannot send", t.CallUnavailable(**AT, call=1), None)] if sent else []
        can += [("is answered", answer, None)] if answer else []
        moves = [("crashes", 0, sent)]
        for said, event, left in can:
            then = step(state, event)
            new, orphan = clipped(then.state, event.now), sent if left else None
            sends: list[Any] = [c.request for c in then.commands if isinstance(c, t.Send)]
            waits = new.retry_at is None if isinstance(new, t.Claiming) else getattr(new, "flight", None)
            if new is None:
                moves.append((said, 0, sends[0] if sends else orphan))
            elif sends or not waits:
                moves.append((said, self.blocks[Block(new, token, *sends)], orphan))
            elif new != state:
                moves.append((said, self.blocks[Block(new, token, left)], None))
        return [*dict.fromkeys(moves)]

    def _moves(self, row: int, z: int, mover: int, first: bool) -> list[Move]:
        """What a worker does and what is done for it; for the `first` also what needs no worker."""
        record, block, zombie = [*self.rows][row], [*self.blocks][mover], [*self.zombies][z]
        moves: list[Move] = []
        for said, then, orphan in self.local(mover):
            left = Zombie(orphan, block.token, int(not block.token)) if orphan and not z else zombie
            left = left._replace(owner=0) if left.owner == 1 and not then else left
            if said != "CancelSeen" or record.cancel is not None:
                moves.append((said, row, self.zombies[left], then, False))
        if isinstance(block.mail, Asked):
            said, late, answer, taken = self.law(row, block.mail, block.token)
            then = self.blocks[Block(block.attempt, CURRENT if taken else block.token, answer)]
            token = CURRENT if zombie.owner == 1 else min(zombie.token, STALE)
            left = Zombie(zombie.asked, token, min(zombie.owner, 0)) if taken else zombie
            moves.append((said, late, self.zombies[left], then, taken))
        if zombie.asked and (zombie.owner == 1 or (first and not zombie.owner)):
            said, late, _, taken = self.law(row, zombie.asked, zombie.token)
            token = CURRENT if zombie.owner else min(block.token, STALE)
            then = self.blocks[block._replace(token=token)] if taken else mover
            moves.append((f"late: {said}", late, 0, then, taken))
            moves.append(("a late request is lost", row, 0, mover, False))
        if first:
            said, late, *_ = self.law(row, CANCEL, NEW)
            moves.append((said, late, z, mover, False))
            moves.append(("the store's clock ticks", self.rows[rebased(record, 1)], z, mover, False))
        self.seen.update(move[0] for move in moves)
        return moves

    def _stale(self, other: int) -> int:
        block = [*self.blocks][other]
        return self.blocks[block._replace(token=min(block.token, STALE))]

    def _turned(self, z: int) -> int:
        zombie = [*self.zombies][z]
        return self.zombies[zombie._replace(owner=-zombie.owner)]

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        row, z, a, b = state
        for zombie, mover, other, first in ((z, a, b, True), (self.turned(z), b, a, False)):
            for said, then, left, c, taken in self.moves(row, zombie, mover, first):
                d = self.stale(other) if taken else other
                inorder = c < d or (c == d and left <= self.turned(left))
                yield said, (then, left, c, d) if inorder else (then, self.turned(left), d, c)

    def run(self) -> tuple[int, int]:
        """The numbers of states and of transitions."""
        queue, parents, transitions = [*self.parents], self.parents, 0
        for self.state in queue:
            for _, then in self.successors(self.state):
                transitions += 1
                if then not in parents:
                    parents[then] = self.state
                    queue.append(then)
        return len(queue), transitions
