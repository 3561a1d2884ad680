"""Plays vectors to a store under test, and says what was not as foreseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from attrs import define, field, frozen

from tenure.instants import StoreTime
from tenure.model import Snapshot, apply
from tenure.replies import Answer, EffectsRead, EventsRead, Got, Reason, Refused, Succeeded
from tenure.requests import Get, ReadEffects, ReadEvents, Request
from tenure_testing.conforming.comparing import Comparison, shown
from tenure_testing.conforming.driving import Subject, Trouble
from tenure_testing.conforming.vectors import (
    PROTOCOL,
    Ability,
    Answers,
    Command,
    Done,
    Exchange,
    Execute,
    Greeting,
    Hello,
    Load,
    New,
    Reopen,
    RowStep,
    Script,
    Seen,
    Vector,
)
from tenure_testing.conforming.vectors import Trouble as Refusal

R = TypeVar("R")

MOST_TROUBLES = 3
"""Time-outs, crashes and garbage after which a store is not asked any further."""


@frozen
class Finding:
    """A vector that a store does not keep: in which step (from 1), what was asked there, what is not as foreseen."""

    file: str
    vector: str
    why: str
    step: int
    asked: str
    differences: tuple[str, ...]


@define
class Tally:
    """What became of the vectors of one file."""

    passed: int = 0
    failed: int = 0
    not_run: int = 0


@define
class Report:
    """What was found of one store."""

    store: str
    can: tuple[Ability, ...]
    files: dict[str, Tally] = field(factory=dict[str, Tally])
    findings: list[Finding] = field(factory=list[Finding])
    lacking: dict[str, int] = field(factory=dict[str, int])
    """How many vectors were not run for want of an ability."""
    given_up: bool = False

    @property
    def ok(self) -> bool:
        """Whether vectors were run, and all of these were passed."""
        return not self.findings and not self.given_up and any(tally.passed for tally in self.files.values())


class Differs(Exception):
    """The first step that was not as foreseen."""

    def __init__(self, step: int, asked: str, differences: Sequence[str]) -> None:
        super().__init__(step, asked, differences)
        self.step, self.asked, self.differences = step, asked, tuple(differences)


def run(
    subject: Subject, files: Mapping[str, Iterable[Vector]], progress: Callable[[str, str], object] = print
) -> Report:
    """Play all vectors of all files. Raises Trouble where the store does not even greet."""
    greeting = _said(subject, Hello(PROTOCOL), Greeting)
    if greeting.protocol != PROTOCOL:
        raise Trouble(f"it speaks protocol {greeting.protocol}; this is protocol {PROTOCOL}")
    report, troubles = Report(greeting.store, greeting.can), 0
    for file, vectors in files.items():
        tally = report.files.setdefault(file, Tally())
        for vector in vectors:
            lacking = [need for need in needs_of(vector) if need not in report.can]
            if lacking or report.given_up:
                tally.not_run += 1
                for need in lacking:
                    report.lacking[need.value] = report.lacking.get(need.value, 0) + 1
                continue
            progress(file, vector.name)
            finding, trouble = _played(subject, file, vector)
            if finding is None:
                tally.passed += 1
            else:
                tally.failed += 1
                report.findings.append(finding)
            if trouble:
                troubles += 1
                report.given_up = troubles >= MOST_TROUBLES
                subject.restart()
    return report


def needs_of(vector: Vector) -> tuple[Ability, ...]:
    """What a store must be able to do for this vector."""
    return vector.needs if isinstance(vector, Script) else (Ability.LOAD,)


def _played(subject: Subject, file: str, vector: Vector) -> tuple[Finding | None, bool]:
    """What is not as foreseen, if anything, and whether the store has to be started anew."""
    play = Play(subject)
    why = vector.why if isinstance(vector, Script) else "the law of one row"
    try:
        if isinstance(vector, Script):
            play.script(vector)
        else:
            play.row(vector)
    except Differs as found:
        return Finding(file, vector.name, why, found.step, found.asked, found.differences), False
    except Trouble as trouble:
        return Finding(file, vector.name, why, play.step, play.asked, (str(trouble),)), True
    return None, False


@define
class Play:
    """One vector on its way."""

    subject: Subject
    compared: Comparison = field(factory=Comparison)
    step: int = 0
    asked: str = "to begin"

    def script(self, script: Script) -> None:
        """Play a sequence from an empty store. Raises Differs, Trouble."""
        _said(self.subject, New(script.limits), Done)
        for self.step, step in enumerate(script.steps, 1):
            if isinstance(step, Exchange):
                self._exchange(step.now, step.requests, step.answers)
            else:
                self.asked = "to reopen"
                _said(self.subject, Reopen(), Done)

    def row(self, row: RowStep) -> None:
        """Load a state, send one request, and look at the process. Raises Differs, Trouble."""
        _said(self.subject, Load(row.before), Done)
        self.compared.loaded(row.before)
        after = row.after or seen(row.before, row.process_id)
        self.step = 1
        self._exchange(row.now, (row.request, *looks(row.process_id)), (row.answer, *told(after)))

    def _exchange(self, now: StoreTime, requests: Sequence[Request], wanted: Sequence[Answer]) -> None:
        self.asked = f"at {now}: {', '.join(shown(request) for request in requests)}"
        sent = tuple(self.compared.to_send(request) for request in requests)
        answers = _said(self.subject, Execute(now, sent), Answers).answers
        if len(answers) != len(wanted):
            raise Differs(self.step, self.asked, [f"{len(answers)} answers to {len(wanted)} requests"])
        for request, one, other in zip(requests, wanted, answers, strict=True):
            differences = self.compared.differences(one, other)
            if differences:
                raise Differs(self.step, f"at {now}: {shown(request)}", differences)


def looks(process_id: str) -> tuple[Request, ...]:
    """The reads that show a process."""
    return Get(process_id), ReadEvents(process_id), ReadEffects(process_id)


def told(after: Seen) -> tuple[Answer, ...]:
    """What those reads answer."""
    effects = Succeeded(EffectsRead(after.effects, None))
    if after.record is None:
        return Refused(Reason.NOT_FOUND), Refused(Reason.NOT_FOUND), effects
    ended = after.record.outcome is not None
    return Succeeded(Got(after.record)), Succeeded(EventsRead(after.events, ended)), effects


def seen(state: Snapshot, process_id: str) -> Seen:
    """The process in that state of the model."""
    record, events, effects = (apply(state, look, StoreTime(0))[1] for look in looks(process_id))
    return Seen(
        record.reply.record if isinstance(record, Succeeded) and isinstance(record.reply, Got) else None,
        events.reply.events if isinstance(events, Succeeded) and isinstance(events.reply, EventsRead) else (),
        effects.reply.effects
        if isinstance(effects, Succeeded) and isinstance(effects.reply, EffectsRead)
        else (),
    )


def _said(subject: Subject, command: Command, kind: type[R]) -> R:
    response = subject.ask(command)
    if isinstance(response, Refusal):
        raise Trouble(f"it reports: {response.error[:300]}")
    if not isinstance(response, kind):
        raise Trouble(f"it answered {type(command).__name__} with {type(response).__name__}")
    return response
