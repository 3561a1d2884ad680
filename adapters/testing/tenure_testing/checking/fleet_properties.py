"""What must hold of each step of the worker machine, and of what the store answers to a fleet.

Judged here and not by the core, so that the core's own judgement is checked: which rows are free, how many slots are,
which handlers run without a lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tenure import worker
from tenure.attempt_types import CallFenced, CallRefused, CallSucceeded, CallUnavailable, CallUnknown, Send
from tenure.instants import Instant, StoreTime, after
from tenure.model import Snapshot
from tenure.process import ClaimId, Record
from tenure.replies import Answer, CancelsRead, Claimed, Succeeded
from tenure.requests import Claim, ClaimNext, ReadCancels, Request
from tenure.timings import nanos
from tenure.worker_types import (
    AttemptEnded,
    AttemptUnheld,
    BeginAttempt,
    DrainAsked,
    Draining,
    Driving,
    ShowCancels,
    Stopped,
    WorkerEvent,
    WorkerState,
    WorkerStep,
    WorkerTerms,
    WorkHinted,
    Working,
)
from tenure_testing.checking.explorer import Broken

Slots = Sequence[tuple[str, int, str]]
"""(process id, token, stage) of each attempt that has not ended."""

# --- the worker machine -------------------------------------------------------------------------------------------


def judge_step(
    before: WorkerState | None, event: WorkerEvent | None, step: WorkerStep, terms: WorkerTerms, slots: Slots
) -> set[str]:
    """Raises Broken if the step breaks a property, else says what was seen. `slots`: those after the event, but
    without the attempts that the step begins. `before` is None where the step is the first."""
    broken = dict(_broken(before, event, step, terms, slots))
    if broken:
        raise Broken([*broken], f"{'; '.join(broken.values())}: {_words(before, event, step)}")
    return set(_seen(before, event, step))


def _words(before: WorkerState | None, event: WorkerEvent | None, step: WorkerStep) -> str:
    """The step in a line."""
    did = [
        f"Send({type(said.request).__name__})" if isinstance(said, Send) else type(said).__name__
        for said in step.commands
    ]
    begins = "its start" if event is None else f"{type(event).__name__} in {type(before).__name__}"
    return f"{begins} leads to {type(step.state).__name__}, and to {', '.join(did) or 'nothing'}"


def _broken(
    before: WorkerState | None, event: WorkerEvent | None, step: WorkerStep, terms: WorkerTerms, slots: Slots
) -> Iterator[tuple[str, str]]:
    state = step.state
    claims = [
        said for said in step.commands if isinstance(said, Send) and isinstance(said.request, ClaimNext)
    ]
    begun = [said for said in step.commands if isinstance(said, BeginAttempt)]
    if terms.terms.tier_fault and (not isinstance(state, Stopped) or step.commands):
        yield "S15", "a worker whose stores do not suffice drives"
    yield from _claims(before, step, terms, slots, claims, event)
    yield from _grants(before, event, terms, slots, begun)
    if isinstance(state, Working):
        yield from _books(state, terms, slots, len(begun))
    yield from _goes_on(before, event, state)
    leaves = isinstance(state, Stopped) and state.left > 0
    if leaves and isinstance(before, Working) and event and event.now < _last_moment(before, event):
        yield "L5", "a worker leaves while its handlers have time left"
    if isinstance(state, Draining) and isinstance(before, Working) and state.until != _until(before, event):
        yield "L5", "a drain's grace ends at another moment than was asked for"
    shown = [said.cancels for said in step.commands if isinstance(said, ShowCancels)]
    read = event.reply if isinstance(event, CallSucceeded) else None
    if isinstance(before, Working) and isinstance(read, CancelsRead) and shown != [read.cancels]:
        yield "L4", "a cancellation that was read is not shown to its attempt"


def _last_moment(before: Working, event: WorkerEvent) -> Instant:
    """Until when a worker that drains stays with handlers that do not stop (CONTRACT 7), counted here."""
    until, times = _until(before, event), before.terms.terms.timings
    return after(event.now if until is None else until, round((times.stop_grace + times.call_timeout) * 1e9))


def _until(before: Working, event: WorkerEvent | None) -> Instant | None:
    """Until when the handlers of a worker that drains go on untold: of all that was asked for, the earliest. What the
    state before says of it was judged by this when it was reached. None where nobody has asked."""
    ends: list[Instant] = [before.until] if isinstance(before, Draining) else []
    if isinstance(event, DrainAsked):
        ends.append(after(event.now, event.grace))
    return min(ends, default=None)


def _claims(
    before: WorkerState | None,
    step: WorkerStep,
    terms: WorkerTerms,
    slots: Slots,
    claims: list[Send],
    event: WorkerEvent | None,
) -> Iterator[tuple[str, str]]:
    """One claim at a time; repeated it is the same; none after a drain was asked for."""
    old = before.claim if isinstance(before, Working) else None
    new = step.state.claim if isinstance(step.state, Working) else None
    for send in claims:
        request = send.request
        assert isinstance(request, ClaimNext)
        if len(claims) > 1 or (old is not None and old.retry_at is None):
            yield "CONTRACT 4", "a second claim while one is under way"
        elif old is not None:
            if request != old.request:
                yield "S18", "another claim, although the first may have been granted"
            if new is None or new.sent_at != (old.sent_at if old.doubtful else _now(event)):
                yield "S12", "the budget does not count from the first sending that may have been granted"
        else:
            if not isinstance(before, Driving):
                yield "L5", "a new claim by a worker that drains or has stopped"
            if request.claim != ClaimId(terms.owner, event.tag if event else 0):
                yield "CONTRACT 1", "a claim without a number of its own"
            if {*request.filter.exclude} != {process for process, _, stage in slots if stage == "strayed"}:
                yield "S12", "a claim that does not leave alone whose handler runs here without a lease"
            if not 0 < request.limit <= min(terms.claim_limit, terms.max_running - len(slots)):
                yield "CONTRACT 4", "a claim for more than the free slots, or than one claim may ask for"


def _grants(
    before: WorkerState | None,
    event: WorkerEvent | None,
    terms: WorkerTerms,
    slots: Slots,
    begun: list[BeginAttempt],
) -> Iterator[tuple[str, str]]:
    """Every grant becomes one attempt; where it is of no use here it is one that is given back (CONTRACT 7)."""
    reply = event.reply if isinstance(event, CallSucceeded) else None
    granted = reply.grants if isinstance(reply, Claimed) else ()
    if not isinstance(before, Working) or before.claim is None or not _answers(before, event):
        return
    if [each.grant for each in begun] != [*granted]:
        yield "S12", "attempts begin that were not granted, or a grant is ignored"
    strayed = {process for process, _, stage in slots if stage == "strayed"}
    for each in begun:
        useful = isinstance(before, Driving) and each.grant.record.id not in strayed
        if each.wanted and not useful:
            yield "CONTRACT 7", "a grant that is of no use is run"
        if not each.wanted and useful:
            yield "L1", "a grant that could be run is given back"
        if each.sent_at != before.claim.sent_at:
            yield "S13", "an attempt's budget does not count from its claim"
        if (each.grant.fence.process_id, each.grant.fence.token) in {slot[:2] for slot in slots}:
            yield "S12", "a second attempt under one token"


def _books(state: Working, terms: WorkerTerms, slots: Slots, begun: int) -> Iterator[tuple[str, str]]:
    """The worker's counts are true: else it runs too many, or a slot is blocked by what is gone (K14)."""
    running = len(slots) + begun
    reserved = state.claim.request.limit if state.claim else 0
    if running > terms.max_running:
        yield "CONTRACT 4", "more attempts than slots"
    if running + reserved > terms.max_running and isinstance(state, Driving):
        yield "CONTRACT 4", "the claim under way has not reserved its slots"
    if state.running != running:
        yield "L7", "the worker counts other slots as taken than those that are"
    if sorted(state.exclude) != sorted(slot[:2] for slot in slots if slot[2] == "strayed"):
        yield (
            "L7",
            "the worker leaves other processes alone than those whose handlers run here without a lease",
        )


def _goes_on(
    before: WorkerState | None, event: WorkerEvent | None, state: WorkerState
) -> Iterator[tuple[str, str]]:
    """Nothing that goes wrong keeps a worker from asking again, and in time."""
    claim = before.claim if isinstance(before, Working) else None
    if isinstance(event, CallUnavailable | CallUnknown) and claim is not None and event.call == claim.call:
        dropped = isinstance(before, Draining) and isinstance(event, CallUnavailable) and not claim.doubtful
        again = state.claim if isinstance(state, Working) else None
        if again is None and not dropped:
            yield "L8", "a claim that met trouble is not repeated"
        if again is not None and not _soon(again.retry_at, event.now, 1.0):
            yield "L8", "a claim that met trouble is not repeated within a second"
        if again is not None and isinstance(event, CallUnknown) and not again.doubtful:
            yield "S18", "a claim that may have been granted counts as one that surely was not"
    if isinstance(before, Driving) and isinstance(state, Driving) and _answers(before, event):
        if not _soon(state.poll_at, _now(event), 1.25):
            yield "L1", "the next poll is not within the interval and its jitter"
        if isinstance(event, CallSucceeded) and before.hinted and not state.hungry:
            yield "L1", "a hint that came while a claim was under way is forgotten"
    if isinstance(event, WorkHinted) and isinstance(state, Driving):
        kept = state.hungry and state.hinted == (state.claim is not None)
        if not kept:
            yield "L1", "a hint is forgotten, or one that a claim under way did not see"
    waits = isinstance(state, Working) and (state.claim is None or state.claim.retry_at is not None)
    full = isinstance(state, Driving) and state.claim is None and state.running >= state.terms.max_running
    if waits and not full and worker.next_wakeup(state) is None:
        yield "L8", "a worker that could claim waits for nothing"


def _answers(before: Working, event: WorkerEvent | None) -> bool:
    """Whether the event is the last answer to the worker's claim."""
    if before.claim is None or not isinstance(event, CallSucceeded | CallRefused | CallFenced):
        return False
    return event.call == before.claim.call


def _soon(at: Instant | None, now: Instant, seconds: float) -> bool:
    return at is not None and now < at <= now + nanos(seconds)


def _now(event: WorkerEvent | None) -> Instant:
    return event.now if event else Instant(0)


def _seen(before: WorkerState | None, event: WorkerEvent | None, step: WorkerStep) -> Iterator[str]:
    state, begun = step.state, [said for said in step.commands if isinstance(said, BeginAttempt)]
    if isinstance(state, Stopped) and not isinstance(before, Stopped):
        yield f"stops, {'refused' if state.refused else 'with handlers left' if state.left else 'empty'}"
    if len(begun) > 1:
        yield "two granted at once"
    if any(isinstance(said, ShowCancels) and said.cancels for said in step.commands):
        yield "a cancellation is shown to its attempt"
    if any(not each.wanted for each in begun):
        yield (
            "a grant of no use in a drain" if isinstance(before, Draining) else "a grant of a strayed process"
        )
    if isinstance(before, Working) and before.claim and _answers(before, event):
        if not begun:
            yield "nothing granted"
        if before.claim.doubtful and begun:
            yield "unknown, then granted"
    if isinstance(state, Working) and state.tries > 1:
        yield "failed twice in a row"
    if isinstance(event, AttemptUnheld):
        yield "a handler strays"
    gone = (event.process_id, event.token) if isinstance(event, AttemptEnded) else None
    if isinstance(before, Working) and gone in before.exclude:
        yield "a strayed handler ends"


# --- the store ----------------------------------------------------------------------------------------------------


def judge_store(
    before: Snapshot, request: Request, after: Snapshot, answer: Answer, clock: StoreTime
) -> None:
    """Raises Broken where a request changes a row that is not its own, or a claim grants others than it must."""
    old, new = {row.id: row for row in before.records}, {row.id: row for row in after.records}
    changes = [name for name in old if old[name] != new[name]]
    if not isinstance(request, ClaimNext):
        named = _named(request)
        if not {*changes} <= {named}:
            raise Broken(["S22"], f"{type(request).__name__} for {named} changes {changes}")
        if isinstance(request, ReadCancels):
            _judge_cancels(before, request, answer)
        if isinstance(request, Claim) and changes and _live(old[named], clock):
            raise Broken(["S3"], f"{type(request).__name__} takes a process that is held")
        return
    reply = answer.reply if isinstance(answer, Succeeded) else None
    granted = [grant.record.id for grant in reply.grants] if isinstance(reply, Claimed) else []
    last = max((claim.n for claim, _ in before.claims if claim.owner == request.claim.owner), default=0)
    if request.claim.n <= last:
        again = [name for name, row in old.items() if _live(row, clock) and row.claim == request.claim]
        if changes or (request.claim.n == last and granted != again):
            raise Broken(
                ["S10"], f"{type(request).__name__}, repeated, changes {changes} and grants {granted}"
            )
        return
    wanted = list(_first(before.records, request, clock))[: request.limit]
    if any(_live(old[name], clock) or old[name].outcome is not None for name in changes):
        raise Broken(
            ["S3"], f"{type(request).__name__} takes {changes}, of which some are held or have ended"
        )
    if sorted(granted) != sorted(changes):
        raise Broken(["S19"], f"{type(request).__name__} answers {granted}, and changes {changes}")
    if granted != wanted:
        raise Broken(
            ["CONTRACT 4"], f"{type(request).__name__} grants {granted}; the first in order are {wanted}"
        )


def _judge_cancels(before: Snapshot, request: ReadCancels, answer: Answer) -> None:
    reply = answer.reply if isinstance(answer, Succeeded) else None
    told = sorted(told[:2] for told in reply.cancels) if isinstance(reply, CancelsRead) else []
    held = [row for row in before.records if row.held and row.claim and row.claim.owner == request.owner]
    flagged = sorted((row.id, row.token) for row in held if row.cancel is not None)
    if told != flagged:
        raise Broken(
            ["S16"], f"{type(request).__name__} is told {told}; of what it holds {flagged} is to be cancelled"
        )


def _named(request: Request) -> str:
    """The process that the request is for; empty for a read of many."""
    fence = getattr(request, "fence", None)
    return str(getattr(request, "process_id", "") if fence is None else fence.process_id)


def _live(row: Record, clock: StoreTime) -> bool:
    return row.held and row.expires_at > clock


def _first(rows: Iterable[Record], request: ClaimNext, clock: StoreTime) -> Iterator[str]:
    for row in sorted(rows, key=lambda row: (row.ready_at, row.seq)):
        if row.outcome is None and not _live(row, clock) and row.id not in request.filter.exclude:
            yield row.id
