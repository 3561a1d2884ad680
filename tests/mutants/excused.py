"""The mutants that no test can kill, each with its reason: `excused.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from tests.mutants.generate import Mutant

FILE = Path(__file__).with_name("excused.toml")


@frozen
class Excuse:
    """`before` and `after`: the changed lines, as the runner prints them. One excuse may be for several mutants."""

    module: str
    owner: str
    before: str
    after: str
    reason: str

    def covers(self, mutant: Mutant) -> bool:
        return (self.module, self.owner, self.before, self.after) == (
            mutant.module,
            mutant.owner,
            mutant.before,
            mutant.after,
        )


def excuses(file: Path = FILE) -> tuple[Excuse, ...]:
    found = tomllib.loads(file.read_text(encoding="utf-8")).get("excused", [])
    return tuple(Excuse(**entry) for entry in found)


def pointless(known: Iterable[Excuse], mutants: Iterable[Mutant]) -> list[Excuse]:
    """The excuses of mutants that are not there."""
    mutants = list(mutants)
    return [excuse for excuse in known if not any(excuse.covers(mutant) for mutant in mutants)]
