"""All accepted changes in the order of their versions, each judged on the row as the ones before it left it.

The order is given, so nothing is searched: S1 holds where every change fits, and S2-S11, S16, S19-S22 are the ways in
which one may not. Several answers may show one version: one of them is of the request that made it, the others are
replays and reads, which must show the row as it is. A request whose answer nobody got leaves its version out, or shows
it when it is repeated; and a trace may be missing. So a change that does not fit is set against the versions that are
missing before it: each of them may explain one such row, which is then taken as it is shown, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from tenure_testing.histories.changes import Change, Shown, words
from tenure_testing.histories.findings import Findings
from tenure_testing.histories.law import (
    EFFECTS,
    HORIZON,
    JUDGED,
    RULES,
    Objection,
    Row,
    differences,
    possible,
    replayable,
    take_as_shown,
)

NOBODY = "was read at a version that no request of these traces made"

WHOLE = ("claim", "read", "register")
"""What shows, or makes, a whole row."""


class Rows:
    """The pass over all changes. `unexplained`: how often a row was taken as it was shown, since a request that nobody
    recorded must have changed it; `seen` of these at a version that only a replay or a read has. There may be no more
    of them than `doubts`. `pruned`: rows were removed, so an id may be used again."""

    def __init__(self, findings: Findings, doubts: float, pruned: bool) -> None:
        self.findings, self.rows, self.seen = findings, dict[str, Row](), 0
        self.doubts, self.pruned = doubts, pruned
        self.token = self.unexplained = self.absent = 0
        self.applied = Counter[str]()

    def take(self, changes: list[Change]) -> None:
        """Judge all of them; they are sorted here, which costs little since each session is in order already."""
        changes.sort(key=attrgetter("version"))
        for rank, (version, group) in enumerate(groupby(changes, key=attrgetter("version")), 1):
            self.absent = version - rank
            self._version(version, [*group])
        looked = self.findings.looked
        looked["S22"] += len({change.version for change in changes})
        for kind, times in self.applied.items():
            for number in JUDGED[kind]:
                looked[number] += times

    def _version(self, version: int, group: list[Change]) -> None:
        process = group[0].process
        if len(group) > 1:
            others = [change for change in group if change.process != process]
            for change in others:
                said = f"version {version} is of {process!r} and of {change.process!r}"
                self.findings.broke("S22", said, change.place)
            group = [change for change in group if change.process == process]
        row = self.rows.get(process)
        made = None
        objections: list[tuple[Change, Objection]] = []
        for change in group:
            if change.kind == "read":
                continue
            objection = RULES[change.kind](row, change, self.token)
            if objection is None:
                made = change
                break
            objections.append((change, objection))
        if made is not None:
            row = self._applied(row, made)
        else:
            row = self._unexplained(row, group, objections)
        row.version = version
        if len(group) > 1 or made is None:
            for change in group:
                if change is not made:
                    self._shows(row, change)
        if any(change.kind in WHOLE for change in group):
            row.absent = self.absent

    def _applied(self, row: Row | None, change: Change) -> Row:
        kind = change.kind
        self.applied[kind] += 1
        if row is None or kind == "register":
            if row is not None and not (self.pruned or change.at - row.at >= HORIZON or self._doubted()):
                self.findings.broke(
                    "S7", f"register made {change.process!r} anew, and nothing was pruned", change.place
                )
            row = self.rows[change.process] = Row()
        if change.at < row.at and row.whole:
            what = f"{kind} of {change.process!r} at {change.at} ms, after its row was changed at {row.at} ms"
            self.findings.broke("S1", what, change.place)
        row.at = change.at
        EFFECTS[kind](row, change)
        if kind == "claim":
            self.token = max(self.token, change.token)
        return row

    def _unexplained(
        self, row: Row | None, group: list[Change], objections: list[tuple[Change, Objection]]
    ) -> Row:
        """No request that was recorded made this version of the row."""
        if not objections or any(row is not None and replayable(row, change) for change, _ in objections):
            excused = self._doubted()
            self.seen += excused
        else:
            fits = any(possible(row, change, self.token, self.pruned) for change, _ in objections)
            excused = fits and self._hidden(row)
        if not excused:
            change, (numbers, said) = objections[0] if objections else (group[0], (("S1",), NOBODY))
            for number in numbers:
                self.findings.broke(number, f"{change.kind} of {change.process!r} {said}", change.place)
        row = self.rows.setdefault(group[0].process, Row())
        row.whole = row.known = False
        for change in group:
            take_as_shown(row, change)
            self.token = max(self.token, change.token)
        return row

    def _hidden(self, row: Row | None) -> bool:
        """Whether a request that nobody recorded may have changed the row since it was last seen whole; then that is
        counted."""
        missing = self.absent > (row.absent if row is not None else 0)
        return missing and self.unexplained - self.seen < self.absent and self._doubted()

    def _doubted(self) -> bool:
        """Whether one more request that nobody recorded may be assumed."""
        doubted = self.unexplained < self.doubts
        self.unexplained += doubted
        return doubted

    def _shows(self, row: Row, change: Change) -> None:
        """A replay, or a read, at a version that is known: it shows the row as it is."""
        findings, place, what = self.findings, change.place, f"{change.kind} of {change.process!r}"
        for number in ("S21", "S1") if change.kind == "read" else ("S10",):
            findings.looked[number] += 1
        if change.kind in ("read", "claim"):
            seen: Shown = change.value if change.kind == "read" else change.value[1]
            known = Shown(row.token, row.held, row.expires_at, row.cancel, row.claims, row.lost, row.outcome)
            if row.whole and seen != known and self._hidden(row):
                row.whole = False
            elif row.whole and seen != known:
                said = f"{what} shows {differences(known, seen)} at version {change.version}"
                for number in ("S21", "S1") if change.kind == "read" else ("S10",):
                    findings.broke(number, said, place)
            if not row.whole:
                take_as_shown(row, change)
        elif change.kind == "complete":
            findings.looked["S11"] += 1
            if row.outcome != change.value[1]:
                findings.broke(
                    "S11", f"{what} was answered with another outcome than {words(row.outcome)}", place
                )
        elif change.kind in ("record_effect", "emit_event", "append_event"):
            recorded = row.keys.get(change.value[0])
            if recorded is None and row.known:
                findings.broke("S1", f"{what} has a version that another change made", place)
            elif recorded is not None and recorded != change.value[1:]:
                findings.broke("S10", f"{what} under a known key was answered differently", place)
        elif change.kind == "renew" and row.known:
            findings.broke("S1", f"{what} has a version that another change made", place)
        elif change.kind == "release" and row.whole and (row.held or row.outcome != change.value):
            findings.broke("S10", f"{what} was answered as one that had been, and it had not", place)


def outcomes(rows: Iterable[Row]) -> int:
    """How many of the rows have ended."""
    return sum(row.outcome is not None for row in rows)
