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
from operator import itemgetter

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
    registered,
    remade,
    replayable,
    take_as_shown,
)

NOBODY = "was read at a version that no request of these traces made"

VERSION = itemgetter(0)


class Rows:
    """The pass over all changes. `unexplained`: how often a row was taken as it was shown, since a request that nobody
    recorded must have changed it; `seen` of these at a version that only a replay or a read has. There may be no more
    of them than `doubts`. `pruned`: rows were removed, so an id may be used again; `anew` are those that were.
    `certain`: every request that was accepted is in these traces with its answer. `dense`: their store leaves no number
    out; where both are so, no version is missing."""

    def __init__(self, findings: Findings, doubts: float, pruned: bool, certain: bool, dense: bool) -> None:
        self.findings, self.rows, self.seen = findings, dict[str, Row](), 0
        self.doubts, self.pruned, self.certain, self.dense = doubts, pruned, certain, dense
        self.token = self.unexplained = self.absent = self.last = 0
        self.applied = Counter[str]()
        self.anew = set[str]()

    def take(self, changes: list[Change]) -> None:
        """Judge all of them; they are sorted here, which costs little since each session is in order already."""
        changes.sort(key=VERSION)
        at, rank, end = 0, 0, len(changes)
        while at < end:
            change = changes[at]
            version, after = change.version, at + 1
            while after < end and changes[after].version == version:
                after += 1
            if version - rank - 1 != self.absent:
                self._missing(version - rank - 1 - self.absent, change)
            rank += 1
            if after - at > 1 or not self._alone(change):
                self._version(version, changes[at:after])
            at = after
        self.last = changes[-1].version if changes else 0
        looked = self.findings.looked
        looked["S22"] += rank
        for kind, times in self.applied.items():
            for number in JUDGED[kind]:
                looked[number] += times

    def ends_at(self, latest: int, place: tuple[int, int]) -> None:
        """S1: the store said that this is its latest version."""
        lost = latest - self.last
        if lost > 0:
            self.absent += lost
            if self.certain and self.dense and self.rows:
                what = f"the store was at version {latest}, and nobody made {lost} versions after {self.last}"
                self.findings.broke("S1", f"{what}: a line was lost, or a change was", place)

    def _missing(self, versions: int, change: Change) -> None:
        """S1: nothing in these traces made the versions before that of the change. Those before the first may be older
        than the traces."""
        self.absent += versions
        if self.certain and self.dense and self.rows:
            what = f"nobody made {versions} versions before {change.version}, that of {change.kind} of"
            self.findings.broke(
                "S1", f"{what} {change.process!r}: a line was lost, or a change was", change.place
            )

    def _alone(self, change: Change) -> bool:
        """Judge the one change of a version; False where it does not fit, or is a read. A shorter way for most."""
        kind = change.kind
        if kind == "read":
            return False
        row = self.rows.get(change.process)
        if row is not None and row.born != self.absent and self.doubts:
            row.known = False  # an effect or an event may be in it that nobody was answered
        if RULES[kind](row, change, self.token) is not None:
            return False
        row = self._applied(row, change)
        row.version = change.version
        if kind == "claim" or kind == "register":
            row.absent = self.absent
        return True

    def _version(self, version: int, group: list[Change]) -> None:
        process = group[0].process
        if len(group) > 1:
            others = [change for change in group if change.process != process]
            for change in others:
                said = f"version {version} is of {process!r} and of {change.process!r}"
                self.findings.broke("S22", said, change.place)
            group = [change for change in group if change.process == process]
        row = self.rows.get(process)
        if row is not None and row.born != self.absent and self.doubts:
            row.known = False
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
        if any(
            change.kind in ("claim", "read") or (change is made and change.kind == "register")
            for change in group
        ):
            row.absent = self.absent

    def _applied(self, row: Row | None, change: Change) -> Row:
        kind = change.kind
        self.applied[kind] += 1
        if row is None or kind == "register":
            if row is not None:
                self.anew.add(change.process)
                if not (self.pruned or change.at - row.at >= HORIZON or self._doubted()):
                    what = f"register made {change.process!r} anew, and nothing was pruned"
                    self.findings.broke("S7", what, change.place)
            row = self.rows[change.process] = Row()
            row.born = self.absent
        since = change.at - row.at
        if since < 0 and row.whole:
            what = f"{kind} of {change.process!r} at {change.at} ms, after its row was changed at {row.at} ms"
            self.findings.broke("S1", what, change.place)
        elif since >= HORIZON and self.absent > row.absent and self.doubts:
            row.registration = None  # it may have ended unseen, been pruned, and been made of something else
        row.at = change.at
        EFFECTS[kind](row, change)
        if change.stamped is not None and change.stamped != row.token:
            self._stamped(row, change)
        if kind == "claim":
            self.token = max(self.token, change.token)
        return row

    def _stamped(self, row: Row, change: Change) -> None:
        """S2: an answer shows the token of the row, which a claim alone moves. One that no trace has may have, where it
        is the answer to somebody who does not hold the row."""
        assert change.stamped is not None
        claimed = change.claim is None and change.stamped > row.token and self._may_hide(row)
        if not claimed and (row.whole or change.claim is not None):
            said = f"was answered with token {change.stamped}, and the row has {row.token}"
            self.findings.broke("S2", f"{change.kind} of {change.process!r} {said}", change.place)

    def _unexplained(
        self, row: Row | None, group: list[Change], objections: list[tuple[Change, Objection]]
    ) -> Row:
        """No request that was recorded made this version of the row."""
        if not objections or any(row is not None and replayable(row, change) for change, _ in objections):
            excused = self._doubted()
            self.seen += excused
            for change in group:
                if row is not None and change.kind == "read" and remade(row, change, self.pruned):
                    self._differs(row, change)
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

    def _may_hide(self, row: Row | None) -> bool:
        """Whether a request that nobody recorded may have changed the row since it was last seen whole."""
        missing = self.absent > (row.absent if row is not None else 0)
        return missing and self.unexplained - self.seen < self.absent and self.unexplained < self.doubts

    def _hidden(self, row: Row | None) -> bool:
        """The same; and if it may, that is counted."""
        return self._may_hide(row) and self._doubted()

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
        stamped = change.stamped
        if stamped is not None and stamped != row.token and row.whole and not self._may_hide(row):
            said = f"{what} was answered with token {stamped}, and the row has {row.token}"
            findings.broke("S2", said, place)
        if change.kind in ("read", "claim"):
            seen: Shown = change.value if change.kind == "read" else change.value[1]
            if not row.whole:
                if remade(row, change, self.pruned):
                    self._differs(row, change)
                take_as_shown(row, change)
            elif seen != known_of(row) or change.at != row.at or change.claim != row.claim:
                if not remade(row, change, self.pruned) and self._hidden(row):
                    row.whole = False
                    take_as_shown(row, change)
                else:
                    self._differs(row, change)
        elif change.kind == "register":
            if row.registration not in (None, change.value):
                said = f"{what} was answered as one that had been, of {registered(row.registration, change.value)}"
                findings.broke("S10", said, place)
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
            elif recorded is not None and recorded != change.value[1:3]:
                findings.broke("S10", f"{what} under a known key was answered differently", place)
        elif change.kind == "renew" and row.known:
            findings.broke("S1", f"{what} has a version that another change made", place)
        elif change.kind == "release" and row.whole and (row.held or row.outcome != change.value):
            findings.broke("S10", f"{what} was answered as one that had been, and it had not", place)

    def _differs(self, row: Row, change: Change) -> None:
        """S1, S21, S10: a read, or a claim that is answered again, shows the row otherwise than it is."""
        reads = change.kind == "read"
        said = [differences(known_of(row), change.value if reads else change.value[1])]
        said += [f"claim {change.claim} for {row.claim}"] * (change.claim != row.claim)
        said += [f"a change at {change.at} ms for {row.at} ms"] * (change.at != row.at)
        what = f"{change.kind} of {change.process!r} shows {', '.join(filter(None, said))}"
        for number in ("S21", "S1") if reads else ("S10",):
            self.findings.broke(number, f"{what} at version {change.version}", change.place)


def known_of(row: Row) -> Shown:
    """The row as a reply has to show it."""
    return Shown(
        row.token,
        row.held,
        row.expires_at,
        row.cancel,
        row.claims,
        row.lost,
        row.outcome,
        row.registration,
    )


def outcomes(rows: Iterable[Row]) -> int:
    """How many of the rows have ended."""
    return sum(row.outcome is not None for row in rows)
