"""Reads traces, has them judged, and says of each property whether it holds, was broken, or was not looked at."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tenure.errors import InvalidValue
from tenure_testing.histories.changes import Change, claim_of
from tenure_testing.histories.findings import Finding, Findings
from tenure_testing.histories.recording import VERSION
from tenure_testing.histories.rows import Rows, outcomes
from tenure_testing.histories.sessions import Session

PROPERTIES = tuple(f"S{number}" for number in range(1, 24))

WORKERS = ("S12", "S13", "S14", "S15", "S17")
"""What only a worker's own trace can show."""

SKIPPED = (
    "the store may have left them out, as not every trace says that its versions have no holes (`dense`)"
)
"""Of versions that are missing where everything that was accepted should be in the traces."""


@frozen
class Report:
    """`looked` and `broken` count by property; `findings` are the first that were broken; `not_checked` says why."""

    files: tuple[str, ...]
    sessions: int
    lines: int
    processes: int
    ended: int
    looked: dict[str, int]
    broken: dict[str, int]
    not_checked: dict[str, str]
    findings: tuple[Finding, ...]
    places: tuple[str, ...]
    missing: int
    unexplained: int

    @property
    def ok(self) -> bool:
        """Whether nothing that was looked at is broken."""
        return not self.broken

    def where(self, finding: Finding) -> str:
        """The file and line of a finding."""
        session, line = finding.place
        return f"{self.places[session]}:{line}"


def verify(paths: Sequence[Path], complete: bool = False) -> Report:
    """Judge the traces of these files together. `complete`: they are of everybody who wrote to the store; then nothing
    is put down to requests that nobody recorded, but for those whose answers were lost and those of killed sessions.

    Raises InvalidValue for a file that cannot be read, and for a line that no trace has, with its number. A last line
    that is cut short is left out: its writer was killed.
    """
    findings, changes = Findings(), list[Change]()
    sessions, places, started, lines = list[Session](), list[str](), set[tuple[str, int]](), 0
    for path in paths:
        session: Session | None = None
        seen = dict[str, int]()  # of the whole file: a store that is opened again has what it had (S21, S23)
        for number, line in _lines(path):
            lines += 1
            try:
                if "trace" in line:
                    session = _session(line, len(sessions), findings, changes, started, seen)
                    sessions.append(session)
                    places.append(str(path))
                elif session is None:
                    break
                else:
                    session.take(line, number)
            except (KeyError, TypeError, ValueError, AttributeError) as wrong:
                if isinstance(wrong, InvalidValue):
                    raise
                raise InvalidValue(f"{path}:{number} is no line of a trace ({wrong!r})") from wrong
        if session is None:
            raise InvalidValue(f"{path} does not begin as a trace does")
    cut = any(not session.over for session in sessions)
    doubts = sum(len(session.doubts) for session in sessions) if complete and not cut else math.inf
    certain = complete and not cut and not any(session.unknown for session in sessions)
    dense = all(session.dense for session in sessions)
    rows = Rows(findings, doubts, any(session.pruned for session in sessions), certain, dense)
    try:
        rows.take(changes)
        rows.ends_at(*max((session.latest for session in sessions), default=(0, (0, 0))))
    except TypeError as wrong:
        raise InvalidValue(f"a number in these traces is none ({wrong})") from wrong
    _fenced_in_vain(sessions, rows, findings)
    unseen = _not_found(sessions, rows, findings, complete)
    missing = rows.absent
    return Report(
        tuple(map(str, paths)),
        len(sessions),
        lines,
        len(rows.rows),
        outcomes(rows.rows.values()),
        dict(findings.looked),
        dict(findings.broken),
        _not_checked(findings, sessions, rows, unseen),
        tuple(findings.kept),
        tuple(places),
        missing,
        rows.unexplained,
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    decode = json.JSONDecoder().raw_decode
    cut: InvalidValue | None = None
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, text in enumerate(file, 1):
                if cut is not None and not text.startswith('{"trace"'):
                    raise cut
                cut = None
                if text[-1] != "\n":
                    return
                try:
                    line, end = decode(text)
                except (ValueError, RecursionError) as wrong:
                    cut = InvalidValue(f"{path}:{number} is not JSON: {wrong}")
                    continue  # no mistake if a session begins after it: its writer was killed
                if type(line) is not dict or end < len(text) - 1:
                    raise InvalidValue(f"{path}:{number} is not one JSON object")
                yield number, line
            if cut is not None:
                raise cut
    except OSError as error:
        raise InvalidValue(f"the trace {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidValue(f"the trace {path} is not in UTF-8") from error


def _session(
    line: dict[str, Any],
    number: int,
    findings: Findings,
    changes: list[Change],
    started: set[tuple[str, int]],
    seen: dict[str, int],
) -> Session:
    if line["trace"] != VERSION:
        raise InvalidValue(f"this trace is of version {line['trace']!r}; this tenure reads version {VERSION}")
    if line["of"] not in ("worker", "store"):
        raise InvalidValue(f"a trace is of a worker or of a store, not of {line['of']!r}")
    session = Session(number, line["of"], findings, changes, started, seen)
    session.dense = line.get("dense", False)
    if type(session.dense) is not bool:
        raise InvalidValue(f"a trace's versions are dense or not, not {session.dense!r}")
    return session


def _fenced_in_vain(sessions: Iterable[Session], rows: Rows, findings: Findings) -> None:
    """S11: whose outcome stands, and had been seen to stand, is answered with it and not Fenced."""
    for session in sessions:
        for fence, outcome, seen, place in session.fenced:
            row, token = rows.rows.get(fence["process_id"]), fence["token"]
            findings.looked["S11"] += 1
            if rows.pruned or row is None or row.by != "complete":
                continue
            if (row.outcome, row.token, row.claim) == (
                outcome,
                token,
                claim_of(fence["claim"]),
            ) and row.version <= seen:
                what = (
                    f"complete of {fence['process_id']!r} under token {token} was fenced, though it ended it"
                )
                findings.broke("S11", what, place)


def _not_found(sessions: Iterable[Session], rows: Rows, findings: Findings, complete: bool) -> int:
    """S21: a row that was seen is found, until it has ended and was pruned. How often that is not known."""
    unseen = 0
    for session in sessions:
        for kind, process, place in session.gone:
            row = rows.rows.get(process)
            ended = row is None or row.outcome is not None or process in rows.anew
            unrecorded = not rows.certain and rows.absent > 0
            if not complete or ((rows.pruned or not rows.certain) and (ended or unrecorded)):
                unseen += not (complete and rows.pruned and ended)
                continue
            findings.looked["S21"] += 1
            what = f"{kind} of {process!r} does not find it, which was there"
            findings.broke(
                "S21", f"{what}, and {'nothing was pruned' if ended else 'it has not ended'}", place
            )
    return unseen


def _not_checked(findings: Findings, sessions: Sequence[Session], rows: Rows, unseen: int) -> dict[str, str]:
    """Why a property was not looked at, or not everywhere."""
    workers = any(session.worker for session in sessions)
    why = {
        number: "nothing in these traces shows it"
        if workers or number not in WORKERS
        else "needs workers' traces"
        for number in PROPERTIES
        if not findings.looked[number] and not findings.broken[number]
    }
    skipped = SKIPPED if rows.absent and rows.certain and not rows.dense else ""
    if rows.unexplained:
        why["S1"] = (
            f"{rows.unexplained} changes were made by requests that no trace has; {rows.absent} versions are missing"
        )
    elif skipped:
        why["S1"] = f"{rows.absent} versions are missing: {skipped}"
    elif rows.absent:
        why["S1"] = f"{rows.absent} versions are missing, and no trace says what they changed"
    if unseen:
        why["S21"] = f"{unseen} times a row was not found that somebody who is in no trace may have pruned"
    elif skipped and "S21" not in why:
        why["S21"] = f"{rows.absent} versions are missing: {skipped}"
    elif rows.absent and "S21" not in why:
        why["S21"] = f"{rows.absent} versions are missing, and no trace says whether they were acknowledged"
    return why
