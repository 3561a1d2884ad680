"""Whether what the demo promises held, judged from the store and from the workers' own files. Pure.

What is judged: every process ended once (S6), with an outcome that a handler of that very lease returned (S17) and
that stands where it was acknowledged (S21); no lease started two handlers (S12); the late writer was refused (S4);
and no attempt repeated an effect that was recorded before its claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import asdict, frozen

from tenure.process import Cancelled, Failure, Record, Success
from tenure_cli.demo.evidence import Evidence
from tenure_cli.demo.handler import EFFECTS
from tenure_cli.demo.journal import Line, What


@frozen
class Figures:
    """What `tenure demo --json` prints, `store` and `ok` aside."""

    processes: int
    succeeded: int
    failed: int
    cancelled: int
    terminal_events_max_per_process: int
    starts_max_per_token: int
    acquisitions: int
    recovered: int
    fenced_refused: int
    declined_late: int
    effects: int
    effects_repeated: int
    seconds: float
    processes_per_second: float


@frozen
class Finding:
    """One thing that has to hold; `value` is what was found, `fault` says where it does not hold (empty: it does)."""

    name: str
    wanted: str
    value: str
    fault: str = ""


@frozen
class Audit:
    """The figures, and everything that was judged."""

    figures: Figures
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether all of it holds."""
        return not any(finding.fault for finding in self.findings)

    def shape(self, store: str) -> dict[str, Any]:
        """The one object of `--json`."""
        return {**asdict(self.figures), "store": store, "ok": self.ok}


def audit(evidence: Evidence) -> Audit:
    """Judge the evidence."""
    figures = _figures(evidence)
    return Audit(figures, tuple(_findings(evidence, figures)))


def _figures(evidence: Evidence) -> Figures:
    records = evidence.records
    ended = [record for record in records if record.outcome is not None]
    seconds = round(evidence.seconds, 3)
    return Figures(
        processes=len(records),
        succeeded=sum(isinstance(record.outcome, Success) for record in records),
        failed=sum(isinstance(record.outcome, Failure) for record in records),
        cancelled=sum(isinstance(record.outcome, Cancelled) for record in records),
        terminal_events_max_per_process=max(
            [*_acknowledged(evidence).values(), *evidence.terminals.values()], default=0
        ),
        starts_max_per_token=max(_starts(evidence).values(), default=0),
        acquisitions=sum(record.claims for record in records),
        recovered=sum(record.claims > 1 for record in ended),
        fenced_refused=evidence.refused,
        declined_late=sum(line.what is What.DECLINED for line in evidence.lines),
        effects=len(evidence.effects),
        effects_repeated=len(_repeated(evidence)),
        seconds=seconds,
        processes_per_second=round(len(ended) / seconds, 1) if seconds else 0.0,
    )


def _findings(evidence: Evidence, figures: Figures) -> Iterator[Finding]:
    records = {record.id: record for record in evidence.records}
    starts, acknowledged = _starts(evidence), _acknowledged(evidence)
    ended = figures.succeeded + figures.failed + figures.cancelled

    open_ = [record.id for record in evidence.records if record.outcome is None]
    yield Finding(
        "processes that ended", "all", f"{ended} of {figures.processes}", _some("without outcome", open_)
    )

    failed = [r.id for r in evidence.records if isinstance(r.outcome, Failure)]
    yield Finding("failures", "0", str(figures.failed), _some("failed", failed))

    twice = [one for one, count in acknowledged.items() if count > 1]
    odd = [r.id for r in records.values() if evidence.terminals.get(r.id, 0) != (r.outcome is not None)]
    fault = _some("acknowledged more than once", twice) or _some("without its one terminal event", odd)
    value = str(figures.terminal_events_max_per_process)
    yield Finding("terminal events per process, at most", "1", value, fault)

    gone = [
        line.process
        for line in evidence.lines
        if line.what is What.ENDED and not _stands(records.get(line.process), line)
    ]
    yield Finding(
        "acknowledged outcomes that do not stand",
        "0",
        str(len(gone)),
        _some("acknowledged, not stored", gone),
    )

    doubled = [f"{process} ({token})" for (process, token), count in starts.items() if count > 1]
    value = str(figures.starts_max_per_token)
    yield Finding("handler starts per (process, token), at most", "1", value, _some("started twice", doubled))

    invented = [
        r.id for r in evidence.records if isinstance(r.outcome, Success) and (r.id, r.token) not in starts
    ]
    value = str(len(invented))
    yield Finding("outcomes without a start under their token", "0", value, _some("never started", invented))

    attempts = Counter(process for process, _ in starts)
    unheld = [one for one, count in attempts.items() if one not in records or count > records[one].claims]
    yield Finding("acquisitions", "≥ starts", str(figures.acquisitions), _some("started unclaimed", unheld))

    fault = "" if figures.recovered else "no process ended after its worker was lost"
    yield Finding("processes recovered", "≥ 1", str(figures.recovered), fault)

    late = [note for note in evidence.refusals if note.request == "Complete" and note.current > note.stale]
    fault = "" if figures.fenced_refused and late else "the fence log has no late Complete"
    yield Finding("fenced writes refused", "≥ 1", str(figures.fenced_refused), fault)

    yield Finding("writes declined late, by the workers", "any", str(figures.declined_late))

    by_process = Counter(effect.process_id for effect in evidence.effects)
    wrong = [
        r.id for r in evidence.records if isinstance(r.outcome, Success) and by_process[r.id] != len(EFFECTS)
    ]
    bodies = {(x.process, x.key, x.token) for x in evidence.lines if x.what is What.EFFECT_BEGUN}
    unseen = [
        f"{e.process_id} {e.key}" for e in evidence.effects if (e.process_id, e.key, e.token) not in bodies
    ]
    fault = _some(f"without exactly {len(EFFECTS)} effects", wrong) or _some("recorded, never begun", unseen)
    yield Finding("effects recorded", f"{len(EFFECTS)} per success", str(figures.effects), fault)

    fault = _some("begun again after its result was recorded", _repeated(evidence))
    yield Finding("effects repeated", "0", str(figures.effects_repeated), fault)

    yield Finding("files that cannot be read", "0", str(len(evidence.damage)), "; ".join(evidence.damage))


def _starts(evidence: Evidence) -> Counter[tuple[str, int]]:
    return Counter((x.process, x.token) for x in evidence.lines if x.what is What.STARTED)


def _acknowledged(evidence: Evidence) -> Counter[str]:
    """Terminal events that somebody was told of, per process. Told again of the same one, by a Complete that was sent
    again (S10), counts once: every change has a version of its own."""
    told = {(x.process, x.token, x.key) for x in evidence.lines if x.what is What.ENDED}
    return Counter(process for process, _, _ in told)


def _repeated(evidence: Evidence) -> list[str]:
    """Bodies begun under a token that had, or was claimed after, the recorded result.

    Tokens and versions are drawn from one sequence (CONTRACT §1), so that comparing them says which came first: a
    token above the version at which the result was recorded belongs to a later claim.
    """
    recorded = {(effect.process_id, effect.key): effect for effect in evidence.effects}
    seen: set[tuple[str, str]] = set()
    repeated: list[str] = []
    for line in evidence.lines:
        place = (line.process, line.key)
        effect = recorded.get(place)
        if line.what is not What.EFFECT_BEGUN or effect is None:
            continue
        own = line.token == effect.token
        if line.token > effect.version or (own and place in seen):
            repeated.append(f"{line.process} {line.key}")
        if own:
            seen.add(place)
    return repeated


def _stands(record: Record | None, line: Line) -> bool:
    """Whether the acknowledged terminal event is what the store has: nothing changes a process that ended (S7)."""
    if record is None or record.outcome is None:
        return False
    return (record.token, str(record.version)) == (line.token, line.key)


def _some(what: str, ids: list[str]) -> str:
    """The fault, with the first few ids; empty where there are none."""
    if not ids:
        return ""
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"{what}: {', '.join(ids[:3])}{more}"
