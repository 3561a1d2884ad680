"""What many seeds add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import define, field

from tenure_testing.simulating.plans import FAULTS
from tenure_testing.simulating.run import Verdict

SOMETIMES: dict[str, str] = {
    "takeover": "a lease expired and another worker took the process",
    "fenced Renew": "a renewal was refused after the loss",
    "fenced Complete": "a zombie's outcome was refused",
    "fenced Release": "a zombie's release was refused",
    "fenced RecordEffect": "a zombie's effect was refused",
    "fenced ClaimNext": "an older claim arrived after a newer one",
    "completed after expiry": "an outcome was accepted after the expiry, since nobody had taken the process",
    "unknown, then found committed": "an outcome whose answer was lost had been written",
    "unknown, then found lost": "an outcome whose answer was lost had not been written",
    "outcome won over cancel": "a handler's outcome was written although a cancellation had been asked for",
    "cancel won": "a process was cancelled while its handler ran",
    "cancelled at once": "a process that nobody held was cancelled",
    "stop deadline": "a handler was told to stop because its lease could not be renewed",
    "stop lease_lost": "a handler was told that its lease was lost",
    "stop max_run": "a handler was told to stop because it had run too long",
    "stop drain": "a handler was told to stop by a drain",
    "left behind": "a handler did not stop and was left behind",
    "declined": "a write that came too late was dropped by its worker",
    "release": "a process was given back",
    "drained": "a worker drained and started again",
    "lost too often": "a process was failed because it had lost its workers too often",
    "effect recorded before": "an attempt met an effect that an earlier one had recorded",
    "append_event": "a client appended an event",
    "event again": "an event that was sent again was answered as the first time",
    "refused ended": "a client's event came after the end of its process",
    "heard": "a handler was given an event that it waited for",
    "heard again": "a later attempt was given an event that an earlier one had been given",
    "waited in vain": "no event came within the time of a handler's wait",
    "followed": "a client followed a log to its end",
    "pruned": "what had ended was pruned",
    "fenced where pruned": "a write came after its process was pruned",
    "not found where pruned": "a client asked for a process that was pruned",
    "entry": "a handler appended to a session",
    "entry again": "an append was answered with the entry that an earlier one had stored",
    "fork": "a handler moved a session's head",
    "head moved": "a session was written to by somebody else meanwhile",
    "session fenced": "an attempt wrote to a session that a later one had opened",
    "store restarted": "the store was closed and opened again, and had everything that it had answered",
}
"""What has to be met sometime in a run of enough seeds, so that no property holds for want of occasion."""

LARGE = 2_000
"""Seeds from which on a run is judged by how much happened in it."""
STEPS_A_SEED = 2_500
"""Machine steps that seeds have on average, at least: 5 million in 2,000."""
STEPS_A_FAULT = 100
"""Machine steps for which there is a fault, at least."""


@define
class Report:
    """Sums over seeds. `hashes` has each seed's trace hash. A step is one call of a shipped machine's `step`."""

    seeds: int = 0
    steps: int = 0
    events: int = 0
    hashes: dict[int, str] = field(factory=dict[int, str])
    faults: Counter[str] = field(factory=Counter[str])
    met: Counter[str] = field(factory=Counter[str])
    stores: Counter[str] = field(factory=Counter[str])
    failures: list[Verdict] = field(factory=list[Verdict])

    def add(self, verdict: Verdict) -> None:
        """One more seed."""
        self.seeds += 1
        self.steps += verdict.steps
        self.events += verdict.events
        self.hashes[verdict.plan.seed] = verdict.hash
        self.faults.update(verdict.faults)
        self.met.update(verdict.met)
        self.stores[verdict.plan.store] += 1
        if not verdict.ok:
            self.failures.append(verdict)

    @property
    def fault_count(self) -> int:
        """How many faults there were."""
        return sum(self.faults.values())

    @property
    def ok(self) -> bool:
        """Whether every property held in every seed."""
        return not self.failures

    def sometimes_missed(self) -> list[str]:
        """What was never met of what should be, sometimes."""
        return [name for name in SOMETIMES if not self.met[name]]

    def faults_missed(self) -> list[str]:
        """The faults of which there was not one."""
        return [fault for fault in FAULTS if not self.faults[fault]]

    def too_little(self) -> list[str]:
        """What a large run has too little of: steps for its seeds, faults for its steps. Nothing for a smaller run."""
        if self.seeds < LARGE:
            return []
        said: list[str] = []
        if self.steps < STEPS_A_SEED * self.seeds:
            said.append(f"{self.steps:,} machine steps, where {STEPS_A_SEED * self.seeds:,} are due")
        if self.fault_count * STEPS_A_FAULT < self.steps:
            said.append(f"{self.fault_count:,} faults, where one in {STEPS_A_FAULT} machine steps is due")
        return said

    def json(self) -> dict[str, Any]:
        """As JSON, without the hashes."""
        return {
            "seeds": self.seeds,
            "steps": self.steps,
            "events": self.events,
            "faults": dict(sorted(self.faults.items())),
            "faults_missed": self.faults_missed(),
            "fault_count": self.fault_count,
            "stores": dict(sorted(self.stores.items())),
            "sometimes": {name: self.met[name] for name in SOMETIMES},
            "sometimes_missed": self.sometimes_missed(),
            "failures": [failure.json() for failure in self.failures],
        }


def total(verdicts: Iterable[Verdict]) -> Report:
    """The report of these verdicts."""
    report = Report()
    for verdict in verdicts:
        report.add(verdict)
    return report
