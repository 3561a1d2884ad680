"""The mutants of a store's SQL: in every statement each condition in turn holds for everything.

`WHERE a = ? AND b = ?` becomes `WHERE (a = ? OR 1) AND b = ?`, and so on, the conditions of joins, of checks and of
partial indexes included: a condition is dropped, and the statement takes the same parameters as before.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from tests.mutants.generate import Mutant, difference, offsets

BEGIN = re.compile(r"\bWHERE\s+|\bAND\s+|\bON\s+(?=\w+\.\w+ =)|\bCHECK \(")
"""After this a condition begins."""
END = re.compile(r"\s+(?:AND|ORDER|LIMIT|JOIN|CROSS|WHERE)\b|\s*\"|\s*\n")
"""Here it ends, where it has closed the brackets that it opened."""
SQL = re.compile(r"\b(?:SELECT|UPDATE|DELETE|CREATE|FROM|JOIN|AND|WHERE)\b")


def statements_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of the module's SQL, in the order of the source."""
    found: list[Mutant] = []
    for first, last in _conditions(source):
        text = f"{source[:first]}({source[first:last]} OR 1){source[last:]}"
        before, after = difference(source, text)
        line = source.count("\n", 0, first) + 1
        found.append(Mutant(module, "SQL", None, line, len(found) + 1, before, after, before, text))
    return found


def _conditions(source: str) -> Iterator[tuple[int, int]]:
    """From where to where each condition goes."""
    starts = offsets(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.STRING or not SQL.search(token.string):
            continue
        begin = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        for match in BEGIN.finditer(source, begin, end):
            last = _end(source, match.end(), end)
            if last > match.end():
                yield match.end(), last


def _end(source: str, first: int, last: int) -> int:
    """Where the condition that begins at `first` ends: at a word that cannot be part of it, or a bracket too many."""
    depth = 0
    for at in range(first, last):
        if source[at] == "(":
            depth += 1
        elif source[at] == ")":
            depth -= 1
            if depth < 0:
                return at
        if depth == 0 and END.match(source, at):
            return at
    return last
