"""How a trace shows states, commands, requests, answers and rows: one line each, in the words of the domain."""

from __future__ import annotations

from collections.abc import Callable

from tenure import attempt
from tenure import attempt_types as t
from tenure import worker as worker_machine
from tenure import worker_types as w
from tenure.attempt_rules import deadline, grace_over, patience_over
from tenure.canonical import NULL
from tenure.process import Cancelled, Event, Failure, Outcome, Record, Success
from tenure.replies import (
    Answer,
    CancelAccepted,
    CancelsRead,
    Claimed,
    EffectRecorded,
    Fenced,
    Refused,
    Released,
    Renewed,
    Reply,
    Succeeded,
    Unavailable,
)
from tenure.requests import (
    Claim,
    ClaimNext,
    Complete,
    EmitEvent,
    RecordEffect,
    Release,
    Renew,
    Request,
)

Number = Callable[[int], int]
"""Ids as they come are not shown: a trace counts its calls from 1."""


def local(moment: int) -> str:
    """Local nanoseconds as seconds."""
    return f"{round(moment / 1e9, 6):g}s"


def store(moment: int) -> str:
    """Store milliseconds as seconds."""
    return f"{moment / 1000:g}s"


def outcome(value: Outcome) -> str:
    match value:
        case Success():
            return f"success {value.value}"
        case Failure():
            return f"failure {value.failure_class}/{value.code}: {value.message}"
        case Cancelled():
            return f"cancelled, reason {value.reason!r}"


def request(asked: Request, number: Number) -> str:
    match asked:
        case Claim():
            return f"Claim {asked.process_id}, claim id {number(asked.claim.n)}"
        case ClaimNext():
            without = f", without {', '.join(asked.filter.exclude)}" if asked.filter.exclude else ""
            return f"ClaimNext up to {asked.limit}, claim id {number(asked.claim.n)}{without}"
        case Renew():
            what = ""
        case RecordEffect():
            what = f", {asked.key} = {asked.result}"
        case EmitEvent():
            what = f", {asked.type} {asked.payload}"
        case Complete():
            what = f", {outcome(asked.outcome)}"
        case Release():
            what = f", claimable {store(asked.delay)} later" if asked.delay else ""
        case _:
            return type(asked).__name__
    return f"{type(asked).__name__} {asked.fence.process_id} under token {asked.fence.token}{what}"


def reply(given: Reply) -> str:
    match given:
        case Claimed():
            leases = (
                f"{grant.record.id} under token {grant.fence.token} until {store(grant.record.expires_at)}"
                for grant in given.grants
            )
            return "granted " + (", ".join(leases) or "nothing")
        case Renewed():
            flag = "" if given.cancel is None else f", cancel flag {given.cancel!r}"
            return f"renewed until {store(given.expires_at)}{flag}"
        case EffectRecorded():
            return f"recorded {given.result}"
        case Released() | CancelAccepted():
            done = "released" if isinstance(given, Released) else "cancel accepted"
            return done if given.outcome is None else f"{done}; the process ended: {outcome(given.outcome)}"
        case CancelsRead():
            return "cancels of " + (", ".join(name for name, _, _ in given.cancels) or "nothing")
        case _:
            return type(given).__name__


def answer(given: Answer) -> str:
    match given:
        case Succeeded():
            return reply(given.reply)
        case Refused():
            return f"refused: {given.reason.value}" + (f" ({given.detail})" if given.detail else "")
        case Fenced():
            return "fenced"
        case _:
            word = "unavailable" if isinstance(given, Unavailable) else "unknown"
            return f"{word} ({given.cause})" if given.cause else word


def command(said: t.Command, number: Number) -> str:
    match said:
        case t.Send():
            until = f", not after {local(said.not_after)}" if said.not_after is not None else ""
            return f"send #{number(said.id)} {request(said.request, number)}{until}"
        case t.OpenSession():
            return f"open session {said.owner_scope} for {said.process_id}"
        case t.StartHandler():
            who = f"{said.grant.record.id} under token {said.grant.fence.token}"
            return f"start handler of {who}, wake {said.wake}, not after {local(said.not_after)}"
        case t.StopHandler():
            return f"stop handler of {said.process_id}: {said.reason.value}"
        case t.AnswerAsk():
            given = said.answer
            what = f"may act until {local(given.until)}" if isinstance(given, t.Permitted) else answer(given)
            return f"tell the handler (ask {said.ask}): {what}"
        case t.Report():
            return f"report {said.process_id or 'the worker'}: {said.what}"


def attempt_state(state: t.AttemptState, number: Number) -> str:
    """The state, what it waits for, and when time alone changes it."""
    name = type(state).__name__
    match state:
        case t.ClaimRefused():
            text = f"{name} {state.process_id}: {state.why}"
        case t.Ended():
            text = f"{name} {state.process_id}: {state.how.value}"
        case t.AlreadyTerminal():
            text = f"{name} {state.process_id}"
        case t.Claiming():
            unwanted = "" if state.wanted else ", not wanted any more"
            text = f"{name} {state.request.process_id}{unwanted}"
        case _:
            text = f"{name} {state.record.id}{_limit(state)}{_calls(state, number)}"
    wakeup = attempt.next_wakeup(state)
    return text + (f"; wakes at {local(wakeup.at)}: {wakeup.reason}" if wakeup else "")


def _limit(state: t.Holding) -> str:
    match state:
        case t.Opening() | t.Running():
            return f", deadline {local(deadline(state))}"
        case t.Stopping():
            spent = ", budget spent" if state.spent else f", deadline {local(deadline(state))}"
            ran_out = ", max_run over" if state.ran_out and state.why is not t.StopReason.MAX_RUN else ""
            return f" ({state.why.value}){spent}{ran_out}"
        case t.LeaseLost():
            return f", left behind at {local(grace_over(state))}"
        case t.Completing() | t.Releasing():
            return f", tried until {local(patience_over(state))}"
        case _:
            return ""


def _calls(state: t.Holding, number: Number) -> str:
    flying = f", in flight #{number(state.flight.id)}" if state.flight else ""
    queued = ", ".join(type(call.request).__name__ for call in state.queue)
    return flying + (f", queued {queued}" if queued else "")


def worker_state(state: w.WorkerState) -> str:
    match state:
        case w.Stopped():
            left = f", {state.left} handlers left behind" if state.left else ""
            return f"worker Stopped{left}{': ' + state.refused if state.refused else ''}"
        case _:
            free = f"{state.running} of {state.terms.max_running} slots taken"
            reserved = f", {state.claim.request.limit} asked for" if state.claim else ""
            without = f", without {', '.join(name for name, _ in state.exclude)}" if state.exclude else ""
            wakeup = worker_machine.next_wakeup(state)
            wakes = f"; wakes at {local(wakeup.at)}: {wakeup.reason}" if wakeup else ""
            return f"worker {type(state).__name__}, {free}{reserved}{without}{wakes}"


def row(record: Record | None, name: str) -> str:
    if record is None:
        return f"{name}: no such row"
    if record.outcome is not None:
        return f"{name}: ended, {outcome(record.outcome)}; claims {record.claims}, lost {record.lost}"
    if record.held and record.claim is not None:
        where = f"held by {record.claim.owner} under token {record.token} until {store(record.expires_at)}"
    else:
        where = f"free, claimable from {store(record.ready_at)}"
    flag = "" if record.cancel is None else f", cancel flag {record.cancel!r}"
    return f"{name}: {where}; claims {record.claims}, lost {record.lost}{flag}"


def event(logged: Event) -> str:
    payload = "" if logged.payload == NULL else f" {logged.payload}"
    return f"{logged.seq}. {logged.type}{payload}"
