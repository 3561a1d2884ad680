"""The page of the original's mistakes: each of its rules put back, and the shortest behaviour that the search finds
under it, drawn as a sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenure_testing.checking.explorer import Move, Violation
from tenure_testing.checking.variants import VARIANTS, counterexample

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "why.md"

HEAD = """\
<!-- Generated: `pytest tests/docs --rewrite` finds and draws it anew. -->
# Why it is done like this

The worker that tenure re-creates got these things wrong, and so do most libraries of its kind. Each rule below is put
back into the shipped core, as a patch in `tenure_testing.checking.variants`, and the search that finds nothing in
tenure finds the shortest behaviour that breaks a property. Its diagram is made from that very behaviour: two workers A
and B, one process, a ttl of two ticks of the store's clock. The properties are those of
[reference/properties.md](reference/properties.md).
"""

INSTEAD = {
    "W1": """\
tenure writes the outcome, its event and the release in one transaction, under the fence, which the store tests while it
holds the row. What passes between a renewal and the write does not matter, because no renewal is needed.""",
    "W2": """\
To tenure an answer that did not come is no loss: the renewal is sent again, as long as there is budget left. Only the
answer Fenced is a loss.""",
    "W2, no deadline": """\
tenure counts a budget from the sending of the last claim or renewal that was granted. When it is spent, no handler
starts, and one that runs is told to stop, whether or not the store can be reached.""",
    "W3": """\
tenure repeats the same write until it is answered, and the store answers a repeated write with what it has stored. So a
process that ended stays ended, and its handler does not run again.""",
}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(name) for name in VARIANTS)])


def section(name: str) -> str:
    """One rule of the original, what comes of it, and what tenure does."""
    variant, found = VARIANTS[name], counterexample(name)
    said = (
        f"The rule was: {variant.says}. It breaks {', '.join(found.properties)}, in {len(found.path)} steps:"
    )
    return f"## {name}\n\n{said}\n\n{diagram(found)}\n{INSTEAD[name]}\n"


def diagram(found: Violation) -> str:
    """The behaviour as a sequence diagram, with what it breaks at its end."""
    workers = sorted({who for move in found.path for who in (move.actor, move.target) if len(who) == 1})
    lines = ["```mermaid", "sequenceDiagram"]
    lines += [f"    participant {name} as worker {name}" for name in workers]
    lines += [
        "    participant S as the store",
        *(f"    {line}" for move in answered(found) for line in told(move)),
    ]
    over = f"{workers[0]},S" if workers else "S"
    said = found.said.replace(";", ",")  # which ends a line of a diagram
    return "\n".join([*lines, f"    Note over {over}: breaks {found.properties[0]}: {said}", "```"]) + "\n"


def answered(found: Violation) -> list[Move]:
    """The path; the answer that breaks a property, of which a move knows the request alone, in the words of `said`."""
    *path, last = found.path
    words = found.said.partition(";")[0]
    return [*path, last._replace(action=words) if words.startswith(f"{last.action} ") else last]


def told(move: Move) -> Iterator[str]:
    """One step: messages are arrows, what somebody does alone is a note."""
    said, _, sends = move.action.partition(", sends ")
    if move.actor == "the store":
        yield f"S-->>{move.target}: {move.action}"
    elif len(move.actor) > 1:
        yield f"Note over S: {move.action}"
    elif said == "claims":
        yield f"{move.actor}->>S: Claim"
    else:
        if said != "is answered":
            yield f"Note over {move.actor}: {said}"
        if sends:
            yield f"{move.actor}->>S: {sends}"
