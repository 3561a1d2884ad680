"""Judges a simulation while it runs, by what can be seen from outside: each change of a row by the law of
`tenure_testing.histories`, and what workers do by rules of its own. The first that does not hold ends the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import define, frozen

from tenure.asks import Act, Ask
from tenure.attempt_types import Permitted, StartHandler, StopHandler, StopReason
from tenure.instants import Instant
from tenure.process import Cancelled, Failure, Outcome
from tenure.replies import Answer, Claimed, EffectsRead, Fenced, Refused, Succeeded, Unknown
from tenure.requests import (
    ClaimNext,
    Complete,
    EmitEvent,
    RecordEffect,
    Release,
    Renew,
    Request,
)
from tenure_driver import Job
from tenure_driver.messages import Asked, Inbound, Outbox, Reply, StoreCall
from tenure_testing.histories.changes import Change, Shown
from tenure_testing.histories.law import EFFECTS, RULES, Row, differences
from tenure_testing.playing import Execution, Host, Observer, World
from tenure_testing.simulating.changes import changes, read, told

CHECKPOINT = 200
"""Executions between two looks at every row."""

FENCED_REQUESTS = (Renew, RecordEffect, EmitEvent, Complete, Release)
MACHINES_OWN = ("lost_too_often", "process_recovery_failed", "max_run_exceeded", "handler_cancelled")
"""Codes of the failures that a worker writes without its handler's having said so."""


MET = {"drain ended": "drained", "store up": "store restarted"}


class Violation(AssertionError):
    """A property does not hold: its number, and what was seen, when."""

    def __init__(self, number: str, what: str) -> None:
        super().__init__(f"{number}: {what}")
        self.number, self.what = number, what


@frozen
class Held:
    """A lease as it was granted: to whom, for which process, at which version."""

    owner: str
    process: str
    version: int


@define
class Holding:
    """What one worker does under one token. `until`: the latest local time that may be the end of its budget."""

    host: Host
    process: str
    until: Instant
    job: Job | None = None
    cancelled: bool = False
    running: bool = False
    started: bool = False
    outcome: Outcome | None = None
    lost: bool = False
    unknown: Request | None = None


class Judge(Observer):
    """`gentle`: no fault excuses a lost lease. `met` counts what was met, for the sometimes-properties."""

    def __init__(self, world: World, gentle: bool) -> None:
        self._world, self._gentle = world, gentle
        self.rows: dict[str, Row] = {}
        self.met: Counter[str] = Counter()
        self._version = self._token = self._executed = 0
        self._granted: dict[int, Held] = {}
        self._holdings: dict[tuple[str, int], Holding] = {}
        self._budget: dict[str, int] = {}
        self._unknown_claim: dict[str, int] = {}
        self._effects: dict[tuple[str, str], int] = {}
        self._incarnations: dict[str, object] = {}
        self._asked: dict[tuple[str, int], int] = {}

    # --- rows -----------------------------------------------------------------------------------------------------

    def executed(self, execution: Execution) -> None:
        sender = execution.sender
        for request, answer in zip(execution.requests, execution.answers, strict=True):
            if isinstance(answer, Succeeded):
                before, reply = self._version, answer.reply
                if isinstance(reply, EffectsRead) and reply.effects:
                    self.met["effect recorded before"] += 1
                for change in changes(request, reply):
                    self._changed(change, request)
                if isinstance(request, Complete):
                    self._cleared_up(request, self._version > before)
                if self._version > before and sender is not None and execution.sent_at is not None:
                    self._extended(sender, request, answer, execution.sent_at)
            elif isinstance(answer, Fenced):
                self.met["fenced " + type(request).__name__] += 1
            elif isinstance(answer, Refused):
                self.met["refused " + answer.reason.value] += 1
        self._executed += 1
        if self._executed % CHECKPOINT == 0:
            self.look()

    def _cleared_up(self, request: Complete, new: bool) -> None:
        holding = self._holdings.get((request.fence.claim.owner, request.fence.token))
        if holding is not None and holding.unknown == request:
            self.met["unknown, then found lost" if new else "unknown, then found committed"] += 1

    def _changed(self, change: Change, request: Request) -> None:
        row, kind, version = self.rows.get(change.process), change.kind, change.version
        said = f"{kind} of {change.process} at version {version}"
        if version > self._version:
            if version != self._version + 1 or kind == "read":
                raise Violation("S1", f"{said}: no request made the versions from {self._version + 1}")
            objection = RULES[kind](row, change, self._token)
            if objection is not None:
                raise Violation(objection[0][0], f"{said} {objection[1]}")
            if row is None:
                row = self.rows[change.process] = Row()
            if change.at < row.at:
                raise Violation("C1", f"{said} at {change.at} ms, after a change at {row.at} ms")
            self._meet(row, change)
            row.at = change.at
            EFFECTS[kind](row, change)
            row.version = self._version = version
            if kind == "claim":
                self._token = change.token
                assert change.claim is not None
                self._granted[change.token] = Held(change.claim[0], change.process, version)
            elif kind == "record_effect":
                self._effects[change.process, change.value[0]] = version
            elif kind == "complete":
                self._reported(change, request)
        elif row is None or version != row.version:
            at = "there is no such row" if row is None else f"the row is at version {row.version}"
            raise Violation("S23", f"{said}, and {at}")
        else:
            self._shows(row, change, said)

    def _shows(self, row: Row, change: Change, said: str) -> None:
        """A replay, or a read."""
        if change.kind in ("claim", "read"):
            seen: Shown = change.value[1] if change.kind == "claim" else change.value
            known = Shown(row.token, row.held, row.expires_at, row.cancel, row.claims, row.lost, row.outcome)
            if seen != known:
                number = "S10" if change.kind == "claim" else "S21"
                raise Violation(number, f"{said} shows {differences(known, seen)}")
        elif change.kind == "renew":
            raise Violation("S9", f"{said} changed nothing, and was accepted")
        elif change.kind == "complete" and row.outcome != change.value[1]:
            raise Violation("S11", f"{said} answered another outcome than the row's")
        elif change.kind in ("record_effect", "emit_event"):
            # The first writer wins, so what counts is what was answered.
            recorded = row.keys.get(change.value[0])
            if recorded is None or recorded[-1] != change.value[-1]:
                raise Violation("S10", f"{said} answered another result than what is recorded")

    def _meet(self, row: Row, change: Change) -> None:
        kind = change.kind
        self.met[kind] += 1
        if kind == "claim" and row.held:
            self.met["takeover"] += 1
            if self._gentle:
                raise Violation(
                    "L3",
                    f"{change.process} was taken over under token {change.token}, and no fault excuses that",
                )
        elif kind == "complete" and row.cancel is not None:
            self.met[
                "cancel won" if change.value[0] == told(Cancelled(row.cancel)) else "outcome won over cancel"
            ] += 1
        elif kind == "complete" and change.at >= row.expires_at:
            self.met["completed after expiry"] += 1
        elif kind == "request_cancel" and change.value[1] is not None:
            self.met["cancelled at once"] += 1

    def _reported(self, change: Change, request: Request) -> None:
        """S17, and the handler must have ended."""
        assert isinstance(request, Complete)
        assert change.claim is not None
        outcome, row = request.outcome, self.rows[change.process]
        holding = self._holdings.get((change.claim[0], change.token))
        if holding is not None and holding.outcome == outcome:
            return
        if isinstance(outcome, Cancelled) and row.cancel is not None:
            return
        if isinstance(outcome, Failure) and outcome.code in MACHINES_OWN:
            if outcome.code == "lost_too_often":
                self.met["lost too often"] += 1
            return
        raise Violation(
            "S17", f"{change.process} ended by {outcome}, which nobody reported under {change.token}"
        )

    def look(self) -> None:
        """Every row is as its accepted changes made it (S1, S21, S22)."""
        seen = 0
        for record in self._world.store.records():
            seen += 1
            row = self.rows.get(record.id)
            if row is None:
                raise Violation("S1", f"{record.id} exists, and nobody registered it")
            self._shows(row, read(record), f"a read of {record.id}")
            if row.version != record.version:
                raise Violation("S21", f"{record.id} is at version {record.version}, expected {row.version}")
        if seen != len(self.rows):
            raise Violation("S21", f"{len(self.rows) - seen} rows are gone")

    # --- workers --------------------------------------------------------------------------------------------------

    def _extended(self, host: Host, request: Request, answer: Succeeded, sent_at: Instant) -> None:
        """A claim or renewal was accepted: the budget counts from its sending (C3)."""
        if host.app is None:
            return
        until = Instant(sent_at + host.options.timings.budget_ns)
        if isinstance(request, Renew):
            holding = self._holdings.get((request.fence.claim.owner, request.fence.token))
            if holding is not None:
                holding.until = max(holding.until, until)
        elif isinstance(answer.reply, Claimed):
            for grant in answer.reply.grants:
                key = (grant.fence.claim.owner, grant.fence.token)
                self._holdings[key] = Holding(host, grant.record.id, until)

    def _holding(self, host: Host, token: int) -> Holding | None:
        return self._holdings.get((host.owner, token))

    def turned(self, host: Host, inbox: Sequence[Inbound], box: Outbox) -> None:
        """S13, by the machine's own time of the turn; S12."""
        for came in inbox:
            if isinstance(came, Asked) and isinstance(came.what, Act) and came.what.request is None:
                self._asked[host.owner, came.ask] = came.what.token
        for report in box.reports:
            if "left behind and keeps" in report.what:
                self.met["left behind"] += 1
        for message in box.loop:
            if isinstance(message, StartHandler):
                token = message.grant.fence.token
                holding = self._holding(host, token)
                if holding is None:
                    raise Violation(
                        "S12", f"{host.name} starts a handler under {token}, which it was not granted"
                    )
                if holding.started:
                    raise Violation("S12", f"{host.name} starts a second handler under {token}")
                holding.started = True
                self._within(host, holding, "starts the handler of")
            elif isinstance(message, Reply) and isinstance(message.value, Permitted):
                holding = self._holding(host, self._asked.pop((host.owner, message.ask)))
                if holding is not None:
                    self._within(host, holding, "lets act the handler of")
            elif isinstance(message, StopHandler):
                self.met["stop " + message.reason.value] += 1
                if self._gentle and message.reason in (StopReason.DEADLINE, StopReason.LEASE_LOST):
                    raise Violation("L3", f"{host.name} lost {message.process_id}, and no fault excuses that")

    def declined(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self.met["declined"] += len(calls)

    def happened(self, what: str, host: Host | None) -> None:
        if what in MET:
            self.met[MET[what]] += 1
        if what == "store up":
            self.look()

    def _within(self, host: Host, holding: Holding, what: str) -> None:
        if host.clock.now() > holding.until:
            late = (host.clock.now() - holding.until) / 1e9
            raise Violation("S13", f"{host.name} {what} {holding.process} {late:.3f} s after its budget")

    def started(self, host: Host, job: Job) -> None:
        self._handles(host, job, "starts the code of")
        holding = self._holding(host, job.token)
        assert holding is not None
        if job.ctx.stop_reason is not None:
            raise Violation(
                "S12", f"{host.name} starts the code of {job.ctx.id}, which was told to stop before"
            )
        if holding.running:
            raise Violation("S12", f"{host.name} runs a second handler under {job.token}")
        holding.running, holding.job = True, job
        self._within(host, holding, "starts the code of")

    def _handles(self, host: Host, job: Job, what: str) -> None:
        held = self._granted.get(job.token)
        if held is None or held.process != job.ctx.id or held.owner != host.owner:
            raise Violation("S12", f"{host.name} {what} {job.ctx.id} under {job.token}, which is not its own")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        holding = self._holding(host, job.token)
        if holding is not None:
            holding.running, holding.outcome = False, outcome

    def cancelling(self, host: Host, token: int) -> None:
        holding = self._holding(host, token)
        if holding is not None:
            holding.cancelled = True

    def asking(self, host: Host, ask: Ask) -> None:
        """S14: a handler that is to stop has been cancelled before it goes on."""
        holding = self._holding(host, ask.token) if isinstance(ask, Act) else None
        if holding is None or holding.job is None or holding.job.plain or holding.cancelled:
            return
        if holding.job.ctx.stop_reason is not None:
            raise Violation(
                "S14", f"the handler of {holding.process} goes on: it was to stop, and not cancelled"
            )

    def made(self, process: str, token: int, key: str) -> None:
        """A handler makes an effect. What was recorded before its claim must not be made again."""
        held, recorded = self._granted.get(token), self._effects.get((process, key))
        if held is None or held.process != process:
            raise Violation("S12", f"{process} makes {key} under {token}, which was not granted for it")
        if recorded is not None and recorded < held.version:
            raise Violation("delivery", f"{process} makes {key} again, recorded before the claim of {token}")
        self.met["effect made"] += 1

    def sending(self, host: Host, calls: Sequence[StoreCall]) -> None:
        if host.app is not None and self._incarnations.setdefault(host.owner, host.life) is not host.life:
            raise Violation("S12", f"{host.name} is {host.owner}, as another worker was: one owner for two")
        for call in calls:
            request = call.request
            if call.not_after is not None and host.clock.now() > call.not_after:
                raise Violation("S14", f"{host.name} sends {type(request).__name__} after its time was over")
            if isinstance(request, ClaimNext):
                n = self._unknown_claim.get(host.owner)
                if n is not None and request.claim.n != n:
                    raise Violation("S18", f"{host.name} claims anew, and claim {n} may have been granted")
            elif isinstance(request, FENCED_REQUESTS):
                holding = self._holding(host, request.fence.token)
                if holding is not None:
                    self._leaving(host, holding, request)

    def _leaving(self, host: Host, holding: Holding, request: Request) -> None:
        """S14, S18, L5."""
        name, process = type(request).__name__, holding.process
        if holding.lost:
            raise Violation("S14", f"{host.name} sends {name} of {process} after it lost its lease")
        if isinstance(request, Complete | Release):
            if holding.running:
                number = "L5" if isinstance(request, Release) else "S17"
                raise Violation(number, f"{host.name} sends {name} of {process} while its handler runs")
            unknown = holding.unknown
            if unknown is not None and unknown != request:
                raise Violation("S18", f"{host.name} sends {name} of {process} after {unknown} was Unknown")

    def heard(self, host: Host, calls: Sequence[StoreCall], answers: Sequence[Answer]) -> None:
        for call, answer in zip(calls, answers, strict=True):
            request = call.request
            if isinstance(answer, Unknown):
                self.met["unknown"] += 1
            if isinstance(request, ClaimNext):
                if isinstance(answer, Unknown):
                    self._unknown_claim[host.owner] = request.claim.n
                elif isinstance(answer, Succeeded | Fenced | Refused):
                    self._unknown_claim.pop(host.owner, None)
            elif isinstance(request, FENCED_REQUESTS):
                holding = self._holding(host, request.fence.token)
                if holding is not None:
                    self._told(holding, request, answer)

    def _told(self, holding: Holding, request: Request, answer: Answer) -> None:
        if isinstance(answer, Fenced):
            holding.lost = True
        elif isinstance(answer, Unknown) and isinstance(request, Complete | Release):
            holding.unknown = request
        elif isinstance(answer, Refused):
            holding.unknown = None

    # --- the end --------------------------------------------------------------------------------------------------

    def conclude(self) -> None:
        """Everything ended, exactly once, as the rows say (L9, S6)."""
        self.look()
        for process, row in self.rows.items():
            if row.outcome is None:
                raise Violation("L9", f"{process} has not ended")

    def agrees(self, process: str, outcome: Outcome) -> None:
        """What a client was told is how the row says that the process ended (S11, S23)."""
        row = self.rows.get(process)
        if row is None or row.outcome != told(outcome):
            raise Violation(
                "S11", f"a client was told that {process} ended by {outcome}, and the row says otherwise"
            )
