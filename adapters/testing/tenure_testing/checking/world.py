"""Workers and one row: the product of `attempts` and `rows`, with requests that are late, doubled or lost between them.

A state is (row, pool, worker, worker, ...), small integers that stand for values. A worker has the call that it waits
for in its own block; requests that nobody waits for are in the pool, at most `zombies` of them, the further copies of
a claim that its worker still repeats included. Clocks are apart: the store's ticks, a worker's is free.

What is left out, and why no behaviour is lost by it:
- Which worker is which: blocks are sorted.
- A worker that crashed and its next incarnation: an idle block is both, since no claim is named by its owner. A claim
  that its worker gave up before it was granted counts as that of a worker that crashed.
- A request that is doubled in the air: it is late, and sent again. One that finds the pool full is lost.
- Answers that come late: an answer waits in its block for as long as anything else may happen.
What a worker can do is kept by (row, pool, block), so the inner loop sees nothing but integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from tenure.requests import Claim, EmitEvent, RecordEffect
from tenure_testing.checking.attempts import Attempts, Block, Local
from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Move
from tenure_testing.checking.rows import (
    CANCEL,
    CURRENT,
    NEW,
    PRUNE,
    REGISTER,
    STALE,
    Answered,
    Asked,
    Law,
    Row,
    later,
)
from tenure_testing.checking.telling import STEP, told

State: TypeAlias = tuple[int, ...]
T = TypeVar("T")


class Zombie(NamedTuple):
    """A request in the air that nobody waits for."""

    asked: Asked
    token: int


class Pool(NamedTuple):
    """Zombies, as sorted numbers; and how many places are taken by copies of claims that workers still repeat."""

    zombies: tuple[int, ...] = ()
    copies: int = 0


class Moved(NamedTuple):
    """What the world looks like after a transition. `others`: 0 if other workers keep their tokens, 1 if theirs are
    stale now, and 2 if what they recorded is gone, too."""

    said: str
    row: int
    pool: int
    block: int
    others: int


class Numbers(Generic[T]):
    """Values by number, in the order in which they came up."""

    def __init__(self, first: T) -> None:
        self.values: list[T] = [first]
        self.of: dict[T, int] = {first: 0}

    def number(self, value: T) -> int:
        found = self.of.get(value)
        if found is None:
            found = self.of[value] = len(self.values)
            self.values.append(value)
        return found


class RowWorld:
    """The world of a configuration. Features: `cancel`, `drain`, `effects`, `events`, `prune`, `tiers`; and
    `sessions open`, without which they may also fail to."""

    unsaid = ""

    def __init__(self, configuration: Configuration) -> None:
        features = configuration.features
        self.workers, self.places, self.features = configuration.workers, configuration.zombies, features
        self.law, self.attempts = Law(remembers=True), Attempts(configuration.ttl, features)
        self.rows, self.blocks, self.pools = Numbers(Row()), Numbers(Block()), Numbers(Pool())
        self.zombies: Numbers[Zombie | None] = Numbers(None)
        self.seen: set[str] = set()
        self.breaking: tuple[int, str] | None = None  # the block that moves, -1 for nobody; and how
        self._local: dict[int, list[Local]] = {}
        self._of_worker: dict[tuple[int, int, int], list[Moved]] = {}
        self._of_world: dict[tuple[int, int], list[Moved]] = {}
        self._outdated: tuple[list[int], ...] = ([], [], [])

    def start(self) -> State:
        """Nobody has claimed anything yet."""
        return (0,) * (2 + self.workers)

    # --- the inner loop -------------------------------------------------------------------------------------------

    def successors(self, state: State) -> list[State]:
        """The states after each transition."""
        row, pool, *blocks = state
        after: list[State] = []
        for _, then_row, then_pool, _, others in self._world_moves(row, pool):
            rest = [self._others(block, others) for block in blocks] if others else blocks
            rest.sort()
            after.append((then_row, then_pool, *rest))
        if len(blocks) == 2:
            first, second = blocks
            self._pair(after, row, pool, first, second)
            self._pair(after, row, pool, second, first)
            return after
        for place, block in enumerate(blocks):
            rest = blocks[:place] + blocks[place + 1 :]
            for _, then_row, then_pool, then, others in self._worker_moves(row, pool, block):
                kept = [self._others(other, others) for other in rest] if others else rest
                then_row = self._beside(then_row, rest) if others else then_row
                after.append((then_row, then_pool, *sorted((then, *kept))))
        return after

    def _pair(self, after: list[State], row: int, pool: int, mover: int, other: int) -> None:
        moves = self._of_worker.get((row, pool, mover))
        if moves is None:
            moves = self._worker_moves(row, pool, mover)
        for _, then_row, then_pool, then, others in moves:
            kept = other
            if others:
                kept, then_row = self._others(other, others), self._beside(then_row, [other])
            after.append(
                (then_row, then_pool, then, kept) if then <= kept else (then_row, then_pool, kept, then)
            )

    def _beside(self, row: int, others: Sequence[int]) -> int:
        """The row that one worker took, beside the others as they were until then."""
        return row

    def _others(self, block: int, how: int) -> int:
        """The block of a worker whose row another one took, or that is gone."""
        known = self._outdated[how]
        while len(known) < len(self.blocks.values):
            old = self.blocks.values[len(known)]
            new = old._replace(token=min(old.token, STALE), made=old.made if how == 1 else frozenset())
            known.append(-1)
            known[-1] = self.blocks.number(new)
        return known[block]

    # --- what can happen ------------------------------------------------------------------------------------------

    def _worker_moves(self, row: int, pool: int, mover: int) -> list[Moved]:
        key = (row, pool, mover)
        moves = self._of_worker.get(key)
        if moves is None:
            self.breaking = (mover, STEP)
            moves = self._of_worker[key] = [
                *self._by_itself(row, pool, mover),
                *self._by_the_store(row, pool, mover),
            ]
            self.seen.update(move.said for move in moves)
        return moves

    def _world_moves(self, row: int, pool: int) -> list[Moved]:
        key = (row, pool)
        moves = self._of_world.get(key)
        if moves is None:
            self.breaking = (-1, "a request")
            moves = self._of_world[key] = [*self._without_workers(row, pool)]
            self.seen.update(move.said for move in moves)
        return moves

    def _by_itself(self, row: int, pool: int, mover: int) -> Iterator[Moved]:
        block, flag = self.blocks.values[mover], self.rows.values[row].record
        local = self._local.get(mover)
        if local is None:
            local = self._local[mover] = self.attempts.moves(block)
        for said, then, orphan in local:
            if said.startswith("sees the cancel flag") and (flag is None or flag.cancel is None):
                continue
            air, room = self.pools.values[pool], self.places - self._taken(pool)
            repeats = then.attempt is not None and block.token == NEW
            if orphan is not None and room:
                if repeats:
                    then, air = then._replace(copies=block.copies + 1), air._replace(copies=air.copies + 1)
                else:
                    air = self._with(air, Zombie(orphan, block.token))
            if not repeats and block.copies:  # nobody repeats that claim any more
                air = air._replace(copies=air.copies - block.copies)
                air = self._with(air, *[Zombie(self.attempts.claim, NEW)] * block.copies)
                then = then._replace(copies=0)
            yield Moved(said, row, self.pools.number(air), self.blocks.number(then), 0)

    def _by_the_store(self, row: int, pool: int, mover: int) -> Iterator[Moved]:
        """The store answers the worker's call, or gets another copy of its claim."""
        block, air = self.blocks.values[mover], self.pools.values[pool]
        if isinstance(block.mail, Asked):
            self.breaking = (mover, type(block.mail).__name__)
            yield self._executed(row, pool, block, block.mail)
        if block.copies:
            self.breaking = (mover, "late: Claim")
            fewer, left = block._replace(copies=block.copies - 1), air._replace(copies=air.copies - 1)
            found = self.law.answered(self.rows.values[row], self.attempts.claim)
            yield self._granted(f"late: {found.said}", found, left, fewer)
            yield Moved(LOST, row, self.pools.number(left), self.blocks.number(fewer), 0)

    def _executed(self, row: int, pool: int, block: Block, asked: Asked) -> Moved:
        kind = KEYED.get(type(asked), "")
        found = self.law.answered(self.rows.values[row], asked, block.token, kind in block.made)
        answered = block._replace(mail=self.attempts.heard(found.answer))
        before = self.rows.values[row]
        if (found.row.effect, found.row.event) != (before.effect, before.event):
            answered = answered._replace(made=block.made | {kind})
        if found.row != before and self._sent_before(pool, block, asked):
            self.seen.add(f"{type(asked).__name__} {UNAPPLIED}")
        return self._granted(found.said, found, self.pools.values[pool], answered)

    def _sent_before(self, pool: int, block: Block, asked: Asked) -> bool:
        """Whether that very request of the worker is still in the air: it was sent, and its sender heard Unknown. A
        worker that goes on leaves one behind only so; and of the row's token there is one worker alone."""
        if isinstance(asked, Claim):
            return block.copies > 0
        air = [self.zombies.values[number] for number in self.pools.values[pool].zombies]
        return block.token == CURRENT and Zombie(asked, CURRENT) in air

    def _granted(self, said: str, found: Answered, air: Pool, block: Block) -> Moved:
        """If the row was taken, all other tokens are stale, and further copies of the claim are of the new token."""
        if found.taken:
            air = self._stale(air)._replace(copies=air.copies - block.copies)
            air = self._with(air, *[Zombie(self.attempts.claim, CURRENT)] * block.copies)
            block = block._replace(token=CURRENT, copies=0, made=frozenset())
        row, pool = self.rows.number(found.row), self.pools.number(air)
        return Moved(said, row, pool, self.blocks.number(block), int(found.taken))

    def _without_workers(self, row: int, pool: int) -> Iterator[Moved]:
        """Clients, the store's clock, and requests that nobody waits for."""
        value, air = self.rows.values[row], self.pools.values[pool]
        yield Moved(TICKS, self.rows.number(later(value, remembers=True)), pool, 0, 0)
        for feature, asked in (("cancel", CANCEL), ("prune", PRUNE), ("prune", REGISTER)):
            if feature in self.features:
                found = self.law.answered(value, asked)
                left = self._stale(air) if found.gone else air
                yield Moved(
                    found.said, self.rows.number(found.row), self.pools.number(left), 0, 2 * found.gone
                )
        for place, number in enumerate(air.zombies):
            zombie = self.zombies.values[number]
            assert zombie is not None
            self.breaking = (-1, f"late: {type(zombie.asked).__name__}")
            left = air._replace(zombies=air.zombies[:place] + air.zombies[place + 1 :])
            found = self.law.answered(value, zombie.asked, zombie.token)
            after = self._stale(left) if found.taken else left
            then = self.rows.number(found.row)
            yield Moved(f"late: {found.said}", then, self.pools.number(after), 0, int(found.taken))
            yield Moved(LOST, row, self.pools.number(left), 0, 0)

    # --- the pool -------------------------------------------------------------------------------------------------

    def _taken(self, pool: int) -> int:
        air = self.pools.values[pool]
        return len(air.zombies) + air.copies

    def _with(self, air: Pool, *zombies: Zombie) -> Pool:
        numbers = (self.zombies.number(zombie) for zombie in zombies)
        return air._replace(zombies=tuple(sorted((*air.zombies, *numbers))))

    def _stale(self, air: Pool) -> Pool:
        zombies = (self.zombies.values[number] for number in air.zombies)
        old = [zombie._replace(token=min(zombie.token, STALE)) for zombie in zombies if zombie is not None]
        return self._with(air._replace(zombies=()), *old)

    # --- for people -----------------------------------------------------------------------------------------------

    def labelled(self, state: State) -> Iterator[tuple[int, Moved, State]]:
        """Each transition with the place of its mover, -1 for nobody; the state after it is not sorted yet."""
        row, pool, *blocks = state
        for move in self._world_moves(row, pool):
            rest = [self._others(block, move.others) if move.others else block for block in blocks]
            yield -1, move, (move.row, move.pool, *rest)
        for place, block in enumerate(blocks):
            for move in self._worker_moves(row, pool, block):
                rest = [self._others(other, move.others) if move.others else other for other in blocks]
                rest[place] = move.block
                others = [*blocks[:place], *blocks[place + 1 :]]
                row_then = self._beside(move.row, others) if move.others else move.row
                yield place, move, (row_then, move.pool, *rest)

    def told(self, path: Sequence[State]) -> list[Move]:
        """The path for people; `telling` has the words."""
        return told(self, path)

    def judged(self) -> tuple[int, int]:
        """Each was asked for once."""
        return len(self.law.known), len(self.attempts.steps)

    def tables(self) -> Iterator[str]:
        """Every answer of the law, every step of the machine, and what it refuses as misuse."""
        for pair in self.law.pairs:
            yield f"{pair.before} {pair.request} {pair.after} {pair.answer}"
        for (state, event, _), step in self.attempts.steps.items():
            yield f"{state} {event} {step}"
        yield from self.attempts.impossible()


LOST, TICKS = "a late request is lost", "the store's clock ticks"
UNAPPLIED = "is repeated after Unknown, and was not applied before"
KEYED: dict[type, str] = {RecordEffect: "effects", EmitEvent: "events"}
