"""A path of the search in words. Blocks are sorted in a state, so names are carried along from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tenure import attempt_types as t
from tenure_testing.checking.explorer import Move
from tenure_testing.checking.rows import shown as row_words
from tenure_testing.checking.sessions import shown as session_words

if TYPE_CHECKING:
    from tenure_testing.checking.world import RowWorld, State

NAMES = "ABCDEF"
STEP = "a step"
"""Stands for what the attempt machine was asked last."""


def told(world: RowWorld, path: Sequence[State]) -> list[Move]:
    """Each transition of the path, who did what, and what the world looks like after it; then the one that breaks."""
    names = list(NAMES[: world.workers])
    return [*_walked(world, path, names), *_breaking(world, path[-1], names)]


def _walked(world: RowWorld, path: Sequence[State], names: list[str]) -> Iterator[Move]:
    for old, new in pairwise(path):
        place, move, raw = next(found for found in world.labelled(old) if _sorted(found[2]) == new)
        actor = names[place] if place >= 0 else ""
        order = sorted(range(len(names)), key=lambda at: raw[2 + at])
        names[:] = [names[at] for at in order]
        yield _step(actor, move.said, shown(world, new, names))


def _breaking(world: RowWorld, state: State, names: Sequence[str]) -> Iterator[Move]:
    """The transition that broke something has no state after it: the world says who was about to move."""
    if world.breaking is not None:
        mover, how = world.breaking
        actor = names[state[2:].index(mover)] if mover >= 0 else ""
        said = world.attempts.doing if how == STEP else how
        yield _step(actor, said, "")


def _sorted(state: State) -> State:
    return (*state[:2], *sorted(state[2:]))


def _step(actor: str, said: str, note: str) -> Move:
    if said.startswith(("late: ", "stray: ")):
        return Move("the network", said, "the store", note)
    if not actor:
        clock = "clock" in said or "lost" in said
        return Move("time" if clock else "a client", said, "the store", note)
    stored = said[0].isupper()
    return Move("the store" if stored else actor, said, actor if stored else "the store", note)


def shown(world: RowWorld, state: State, names: Sequence[str]) -> str:
    """Row, pool and workers in a line."""
    row = world.rows.values[state[0]]
    words = [
        f"row {row_words(row.record)}",
        *([f"session {session_words(row.session)}"] if row.session else []),
    ]
    for number in world.pools.values[state[1]].zombies:
        zombie = world.zombies.values[number]
        words += [f"late {type(zombie.asked).__name__} of {RANKS[zombie.token]}"] if zombie else []
    for name, number in sorted(zip(names, state[2:], strict=True)):
        block = world.blocks.values[number]
        word = type(block.attempt).__name__ if block.attempt else "idle"
        token = f" under {RANKS[block.token]}" if isinstance(block.attempt, t.Holding) else ""
        mail = f", {type(block.mail).__name__} on its way" if block.mail else ""
        words.append(f"{name} {word}{token}{mail}")
    return "; ".join(words)


RANKS = ("no token yet", "an old token", "the row's token", "the next token")
