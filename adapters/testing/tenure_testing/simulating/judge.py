"""Judges a simulation while it runs, by what can be seen from outside: rows by `rows`, and here what workers do with
their leases. The first property that does not hold ends the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import define

from tenure.asks import Act, Ask
from tenure.attempt_types import Permitted, StartHandler, StopHandler, StopReason
from tenure.instants import Instant
from tenure.process import Cancelled, Event, Failure, Outcome
from tenure.replies import Answer, Claimed, EffectsRead, Fenced, Refused, Succeeded, Unknown
from tenure.requests import (
    ClaimNext,
    Complete,
    Prune,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.sessions import Entry
from tenure_driver import Job
from tenure_driver.messages import Answered, Asked, Inbound, Outbox, Reply, StoreCall
from tenure_testing.histories.law import HORIZON
from tenure_testing.playing import Execution, Host, Observer, World
from tenure_testing.simulating.bounds import (
    FENCED_REQUESTS,
    budget,
    call_timeout,
    patience,
    told_of_cancel,
)
from tenure_testing.simulating.contents import Contents
from tenure_testing.simulating.logs import Logs
from tenure_testing.simulating.rows import Rows, Violation
from tenure_testing.simulating.sessions import Accounts

CHECKPOINT = 200
"""Executions between two looks at every row, where none is pruned."""

MACHINES_OWN = ("lost_too_often", "process_recovery_failed", "max_run_exceeded", "handler_cancelled")
"""Codes of the failures that a worker writes without its handler's having said so."""


MET = {"drain ended": "drained", "store up": "store restarted"}


@define
class Holding:
    """What one worker does under one token. `until`: the latest local time that may be the end of its budget."""

    host: Host
    process: str
    until: Instant
    job: Job | None = None
    told: bool = False
    cancel_at: int | None = None
    cancelled: bool = False
    running: bool = False
    started: bool = False
    outcome: Outcome | None = None
    lost: bool = False
    gone: bool = False
    call: int = 0
    called: Instant = Instant(0)
    unknown: Request | None = None


class Judge(Observer):
    """`gentle`: no fault excuses a lost lease. `horizon`: milliseconds for which what ended is kept. `met` counts what
    was met, for the sometimes-properties."""

    def __init__(self, world: World, gentle: bool, horizon: int = HORIZON) -> None:
        self._world, self._gentle, self._horizon = world, gentle, horizon
        self.met: Counter[str] = Counter()
        self.rows = Rows(self.met, gentle)
        self.logs = Logs(self.met, gentle)
        self.contents = Contents(self.met)
        self.sessions = Accounts(self.met)
        self._executed = 0
        self._holdings: dict[tuple[str, int], Holding] = {}
        self._unknown_claim: dict[str, int] = {}
        self._calls: dict[tuple[str, int], Holding] = {}
        self._incarnations: dict[str, object] = {}
        self._asked: dict[tuple[str, int], int] = {}

    # --- the store ------------------------------------------------------------------------------------------------

    def executed(self, execution: Execution) -> None:
        for request, answer in zip(execution.requests, execution.answers, strict=True):
            if isinstance(answer, Succeeded):
                self._accepted(execution, request, answer)
            elif isinstance(answer, Fenced):
                self.met["fenced " + type(request).__name__] += 1
                self.rows.fenced(request)
            elif isinstance(answer, Refused):
                self.met["refused " + answer.reason.value] += 1
                self.rows.refused(request, answer.reason)
        self._executed += 1
        if self._executed % CHECKPOINT == 0 or any(isinstance(one, Prune) for one in execution.requests):
            self.look()

    def _accepted(self, execution: Execution, request: Request, answer: Succeeded) -> None:
        reply, sender = answer.reply, execution.sender
        if isinstance(reply, EffectsRead) and reply.effects:
            self.met["effect recorded before"] += 1
        new = self.rows.apply(request, reply)
        self.logs.apply(request, reply, new, self.rows.rows, self._world.now)
        self.contents.apply(request, reply, new)
        if isinstance(request, Prune):
            gone = self.rows.prune(request, answer.reply, execution.at, self._horizon)
            self.logs.forget(gone)
            self.contents.forget(gone)
        elif isinstance(request, RequestCancel) and new:
            self._cancel_asked(request)
        elif isinstance(request, Complete):
            self._cleared_up(request, new)
            if new:
                self._reported(request)
        if new and sender is not None and execution.sent_at is not None:
            self._extended(sender, request, answer, execution.sent_at)

    def look(self) -> None:
        """Every row is as its accepted changes made it (S1, S21, S22)."""
        records = list(self._world.store.records())
        self.rows.look(records)
        self.contents.look(records)

    def look_at_logs(self) -> None:
        """Every log has what was answered, once and in order (S10, S21)."""
        self.logs.look(self._world.store.inner)

    def _cancel_asked(self, request: RequestCancel) -> None:
        row = self.rows.rows[request.process_id]
        holding = self._holdings.get((row.claim[0], row.token)) if row.held and row.claim else None
        if holding is not None:
            holding.cancel_at = self._world.now

    def _cleared_up(self, request: Complete, new: bool) -> None:
        holding = self._holdings.get((request.fence.claim.owner, request.fence.token))
        if holding is not None and holding.unknown == request:
            self.met["unknown, then found lost" if new else "unknown, then found committed"] += 1

    def _reported(self, request: Complete) -> None:
        """S17, and L4: a handler that came to its own end was told of a cancellation within one renewal."""
        outcome, process, token = request.outcome, request.fence.process_id, request.fence.token
        holding = self._holdings.get((request.fence.claim.owner, token))
        if self._gentle and holding is not None and holding.cancel_at is not None and not holding.told:
            waited = self._world.now - holding.cancel_at
            if waited > told_of_cancel(holding.host.options.timings):
                raise Violation(
                    "L4", f"{process} was to be cancelled {waited / 1e9:.1f} s ago, and was not told"
                )
        if holding is not None and holding.outcome == outcome:
            return
        if isinstance(outcome, Cancelled) and self.rows.rows[process].cancel is not None:
            return
        if isinstance(outcome, Failure) and outcome.code in MACHINES_OWN:
            if outcome.code == "lost_too_often":
                self.met["lost too often"] += 1
            return
        raise Violation("S17", f"{process} ended by {outcome}, which nobody reported under {token}")

    # --- workers --------------------------------------------------------------------------------------------------

    def _extended(self, host: Host, request: Request, answer: Succeeded, sent_at: Instant) -> None:
        """A claim or renewal was accepted: the budget counts from its sending (C3)."""
        if host.app is None:
            return
        until = Instant(sent_at + budget(host.options.timings))
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
            elif isinstance(came, Answered):
                for number, answer in came.answers:
                    if isinstance(answer, Fenced):
                        self._refused(host, number)
        for call in box.calls:
            if call.not_after is not None or isinstance(call.request, FENCED_REQUESTS):
                self._handed_over(host, call)
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
                stopped = self._holding(host, message.token)
                if stopped is not None:
                    stopped.told = True
                if self._gentle and message.reason in (StopReason.DEADLINE, StopReason.LEASE_LOST):
                    raise Violation("L3", f"{host.name} lost {message.process_id}, and no fault excuses that")

    def declined(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self.met["declined"] += len(calls)

    def happened(self, what: str, host: Host | None) -> None:
        if what in MET:
            self.met[MET[what]] += 1
        if what == "store up":
            self.look()
            self.look_at_logs()

    def _handed_over(self, host: Host, call: StoreCall) -> None:
        """The machine wants a write under a lease: with the time up to which it may be executed, and no later one than
        the budget that counts from a sending (C3), and not after it knows of the loss (S14)."""
        request: Any = call.request
        holding = self._holding(host, request.fence.token)
        if holding is None:
            return
        said = f"{host.name} asks for {type(request).__name__} of {holding.process}"
        if holding.gone:
            raise Violation("S14", f"{said} after it was told of the loss")
        patient = patience(host.options.timings) if isinstance(request, Complete | Release) else 0
        if call.not_after is None:
            raise Violation("S14", f"{said} without a time by which it has to be executed")
        if call.not_after > holding.until + patient:
            late = (call.not_after - holding.until - patient) / 1e9
            raise Violation("S13", f"{said} up to {late:.3f} s after its budget")
        holding.call, holding.called = call.id, host.clock.now()
        self._calls[host.owner, call.id] = holding

    def _refused(self, host: Host, call: int) -> None:
        """The machine is told that a call was Fenced. One that it does not wait for any more tells it nothing."""
        holding = self._calls.pop((host.owner, call), None)
        if holding is not None and holding.call == call:
            waited = host.clock.now() - holding.called
            holding.gone = holding.gone or waited < call_timeout(host.options.timings)

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
        held = self.rows.granted.get(job.token)
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
        """A handler makes an effect. It is called by the handler, whose failure nothing of this may become."""
        try:
            self._made(process, token, key)
        except Violation as violation:
            self._world.raises(violation)

    def given(self, process: str, token: int, event: Event) -> None:
        """A handler was given an event. Called by the handler, too."""
        try:
            self.logs.given(process, token, event)
        except Violation as violation:
            self._world.raises(violation)

    def stored(self, session: str, entry: Entry) -> None:
        """A handler's entry is in its session. Called by the handler, too."""
        try:
            self.sessions.told(session, entry)
        except Violation as violation:
            self._world.raises(violation)

    def in_vain(self, process: str, token: int, type: str, timeout: float) -> None:
        """A handler waited in vain. Called by the handler, too."""
        try:
            self.logs.in_vain(process, token, type, timeout, self._world.now)
        except Violation as violation:
            self._world.raises(violation)

    def _made(self, process: str, token: int, key: str) -> None:
        """What was recorded before its claim must not be made again."""
        held, recorded = self.rows.granted.get(token), self.rows.effects.get((process, key))
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
