"""What became of each mutant, kept line by line in a file, so that a run that was broken off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from attrs import asdict, frozen

from tests.mutants.generate import Mutant


@frozen
class Result:
    """`fate`: killed, timed out, same graphs or survived; `by`: the test that ended it; `digest`: of the change
    and what is around it; `seconds` of work."""

    name: str
    fate: str
    by: str
    digest: str
    seconds: float

    @property
    def dead(self) -> bool:
        return self.fate != "survived"


def digest_of(mutant: Mutant) -> str:
    """The same as long as the function is, wherever it moves, so that its result is good until then."""
    text = "\0".join((mutant.module, mutant.owner, str(mutant.number), mutant.around, mutant.difference))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path) -> dict[str, Result]:
    """The latest result of each mutant, by the digest of its text."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {result.digest: result for result in (Result(**json.loads(line)) for line in lines)}


def add(path: Path, results: Iterable[Result]) -> None:
    """Append, each line in one write: several processes may add to one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        for result in results:
            os.write(handle, (json.dumps(asdict(result)) + "\n").encode())
    finally:
        os.close(handle)
