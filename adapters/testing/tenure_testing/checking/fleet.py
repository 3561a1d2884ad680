"""Every behaviour of one worker with several slots and two processes: the shipped worker machine over the shipped law.

The worker machine (`tenure.worker`) knows attempts only as slots, so here an attempt is only what it can tell the
worker: it runs, it strayed (its handler still runs without a lease), it is unwanted (granted in vain, to be given
back), it is over. The rows are real, two of them: claims go through `tenure.model.apply`, which chooses among them.

What a state leaves out, and why no behaviour is lost by it:
- Instants. The worker's clock is free: each thing that it waits for (a claim's back-off, the poll, the end of a
  drain's grace) may be due at any moment, alone or with others, so a tick comes with the set of what it makes due. The
  first sending of a claim is before now; that it is kept, and when it may be forgotten, is judged as the claim is sent.
- Tokens. Of each process one is CURRENT, the row's; others are stale, and numbered only to be told apart.
- Claim numbers, but for their order and for which rows and requests carry the same one. `last`, the highest that
  granted rows, is part of it.
- Jitter: drawn as its two extremes, and what comes of it is judged. Back-off saturates at two failures.
- `lost`, the wait after a take-over, counters: of the search of rows (`tenure_testing.checking.rows`).
- Answers to calls that were given up: the worker ignores them by their number, as its table says.
- Which of two attempts that are alike is which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import evolve

from tenure import model, worker
from tenure.attempt_types import (
    CallFenced,
    CallRefused,
    CallSucceeded,
    CallUnavailable,
    CallUnknown,
    Send,
    Terms,
    Tick,
)
from tenure.instants import Instant
from tenure.limits import Limits
from tenure.model import Snapshot
from tenure.process import ClaimId, Fence, Record, Success
from tenure.replies import Answer, Claimed, Fenced, Grant, Reason, Succeeded
from tenure.requests import Claim, ClaimNext, Complete, ReadCancels, Release, Request, RequestCancel
from tenure.router import answer_event
from tenure.timings import LeaseTimings, nanos
from tenure.values import changed
from tenure.worker_types import (
    AttemptEnded,
    AttemptUnheld,
    BeginAttempt,
    DrainAsked,
    Draining,
    Driving,
    WorkerEvent,
    WorkerState,
    WorkerStep,
    WorkerTerms,
    WorkHinted,
    Working,
)
from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.fleet_forms import (
    ASKED,
    CLAIM,
    CLOCK,
    CURRENT,
    NOW,
    NUMBER,
    READ,
    ROWS,
    TAG,
    TICK,
    Attempt,
    Fleet,
    Mail,
    canonical,
    granted_by,
)
from tenure_testing.checking.fleet_properties import judge_step, judge_store
from tenure_testing.checking.graph import FAULT, FREE, Edge, Graph
from tenure_testing.checking.world import Numbers

LIMITS = Limits(takeover_wait=0, takeover_cap=0)
TIMES = LeaseTimings.scaled(1.0)
GRACE = nanos(1100.0)
"""A drain's that is not over yet; longer than what is left of one that was asked for before, which then counts."""


class FleetWorld(Graph):
    """Features: "late" claims, "cancel" (and the reads of it), "drain", "other" (another worker), "hints", "faults"
    of calls, "strays" (attempts may lose their lease), "tier" (the store is not durable: it never drives)."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.has = configuration.features
        slots = next(int(word[0]) for word in configuration.features if word.endswith("slots"))
        fault = "the store is not durable" if "tier" in self.has else ""
        terms = Terms(TIMES, "", ("kind",), tier_fault=fault)
        self.terms = WorkerTerms("w", terms, slots, min(2, slots), nanos(1.0))
        self.parts: list[Numbers[Any]] = [Numbers(None) for _ in Fleet._fields]
        self.steps: dict[tuple[WorkerState, WorkerEvent, tuple[Attempt, ...]], WorkerStep] = {}
        self.law: dict[tuple[Any, ...], tuple[tuple[Record, ...], int, Answer]] = {}

    # --- states as small numbers ----------------------------------------------------------------------------------

    def packed(self, state: Fleet) -> tuple[int, ...]:
        """The state in its canonical form, by the numbers of its parts."""
        return tuple([part.number(value) for part, value in zip(self.parts, canonical(state), strict=True)])

    def unpacked(self, state: Sequence[int]) -> Fleet:
        return Fleet(*[part.values[number] for part, number in zip(self.parts, state, strict=True)])

    def start(self) -> tuple[int, ...]:
        """The worker has not been started."""
        return self.packed(Fleet(None, (), tuple(ROWS.values()), 0, None, None, None))

    def edges(self, state: Any) -> Sequence[Edge]:
        fleet = self.unpacked(state)
        moves = [*self._worker(fleet), *self._calls(fleet), *self._attempts(fleet), *self._others(fleet)]
        return [Edge(actor, said, owed, self.packed(then)) for actor, said, owed, then in moves]

    # --- the worker -----------------------------------------------------------------------------------------------

    def stepped(self, fleet: Fleet, event: WorkerEvent) -> Fleet:
        """The shipped step, judged; attempts begin, and calls go out."""
        assert fleet.worker is not None
        key = fleet.worker, event, fleet.attempts
        step = self.steps.get(key)
        if step is None:
            step = self.steps[key] = worker.step(fleet.worker, event)
            self.seen.update(judge_step(fleet.worker, event, step, self.terms, fleet.attempts))
        attempts, claim, read = fleet.attempts, fleet.claim, fleet.read
        for command in step.commands:
            if isinstance(command, BeginAttempt):
                fence, stage = command.grant.fence, "runs" if command.wanted else "unwanted"
                attempts = (*attempts, Attempt(fence.process_id, fence.token, stage))
            elif isinstance(command, Send) and isinstance(command.request, ClaimNext):
                claim = ASKED
            elif isinstance(command, Send):
                read = ASKED
        return fleet._replace(worker=step.state, attempts=attempts, claim=claim, read=read)

    def _worker(self, fleet: Fleet) -> Iterator[Edge]:
        state = fleet.worker
        if not isinstance(state, Working):
            if state is None or "drain" in self.has:
                begun = worker.start(self.terms, NOW)
                self.seen.update(judge_step(None, None, begun, self.terms, ()))
                yield Edge("operator", "starts the worker", "operator", fleet._replace(worker=begun.state))
            return
        for due, timed in _timed(state):
            owed = due if due in ("poll", "retry", "tick") else FREE
            then = self.stepped(fleet._replace(worker=timed), Tick(now=NOW, tag=TAG))
            if then != fleet:
                yield Edge("worker", f"ticks, {due} due" if due != "tick" else "ticks", owed, then)
        if "hints" in self.has and isinstance(state, Driving):
            yield Edge("feed", "hints", FAULT, self.stepped(fleet, WorkHinted(now=NOW, tag=TAG)))
        if "drain" in self.has:
            for grace in (0, GRACE):
                asked = self.stepped(fleet, DrainAsked(now=NOW, tag=TAG, grace=grace))
                yield Edge("operator", "asks for a drain" + ("" if grace else ", at once"), FAULT, asked)

    def _calls(self, fleet: Fleet) -> Iterator[Edge]:
        """Answers, and calls that get none."""
        if isinstance(fleet.worker, Working) and fleet.worker.claim is not None:
            without = fleet._replace(claim=None)
            if fleet.claim == ASKED:
                rows, last, answer = self._asked(fleet, fleet.worker.claim.request)
                event = answer_event(CLAIM, answer, NOW, TAG, 0)
                said = "answers a claim" if _grants(answer) else "has nothing to grant"
                then = fleet._replace(rows=rows, last=last, claim=event)
                yield Edge("store", said, "store", then)
            yield from self._heard(fleet, without, fleet.claim, CLAIM)
        if isinstance(fleet.worker, Working) and fleet.worker.reading is not None:
            without = fleet._replace(read=None)
            if fleet.read == ASKED:
                _, _, answer = self._asked(fleet, ReadCancels("w"))
                event = answer_event(READ, answer, NOW, TAG, 0)
                yield Edge("store", "answers a read of cancellations", "store", fleet._replace(read=event))
            yield from self._heard(fleet, without, fleet.read, READ)
        if fleet.late is not None:
            gone = fleet._replace(late=None)
            rows, last, answer = self._asked(gone, fleet.late)
            said = "a late claim is fenced" if isinstance(answer, Fenced) else "a late claim arrives"
            yield Edge("store", said, FREE, gone._replace(rows=rows, last=last))
            yield Edge("network", "loses a late claim", FREE, gone)

    def _heard(self, fleet: Fleet, without: Fleet, mail: Mail, call: int) -> Iterator[Edge]:
        name = "claim" if call == CLAIM else "read"
        at: dict[str, Any] = {"now": NOW, "tag": TAG, "call": call}
        if isinstance(mail, CallSucceeded):
            yield Edge("worker", f"is answered its {name}", "answer", self._jittered(without, mail))
        elif isinstance(mail, CallRefused | CallFenced | CallUnavailable | CallUnknown):
            yield Edge("worker", f"is refused its {name}", "answer", self.stepped(without, mail))
        if "faults" not in self.has:
            return
        then = self._jittered(without, CallUnknown(**at))
        yield Edge("worker", f"hears nothing of its {name}", FAULT, then)
        if mail != ASKED:
            return
        if call == CLAIM and "late" in self.has and fleet.late is None:
            assert isinstance(fleet.worker, Working)
            assert fleet.worker.claim is not None
            late = then._replace(late=fleet.worker.claim.request)
            yield Edge("worker", f"hears nothing of its {name}, which is late", FAULT, late)
        yield Edge("worker", f"cannot send its {name}", FAULT, self.stepped(without, CallUnavailable(**at)))
        refused = CallRefused(reason=Reason.BLANK, detail="", **at)
        yield Edge("worker", f"may not send its {name}", FAULT, self.stepped(without, refused))

    def _jittered(self, fleet: Fleet, event: CallSucceeded | CallUnknown) -> Fleet:
        """The step with the least and with the most jitter: both are judged, and no state keeps what is left of it."""
        self.stepped(fleet, evolve(event, jitter=999))
        return self.stepped(fleet, event)

    # --- attempts -------------------------------------------------------------------------------------------------

    def _attempts(self, fleet: Fleet) -> Iterator[Edge]:
        for mine in dict.fromkeys(fleet.attempts):
            row = next(row for row in fleet.rows if row.id == mine.process)
            claim = row.claim if mine.token == CURRENT and row.claim else ClaimId("w", 0)
            fence, who = Fence(mine.process, claim, mine.token), f"attempt at {mine.process}"
            if mine.stage == "strayed":
                yield Edge(who, "ends, long without a lease", "strayed", self._over(fleet, mine))
                continue
            given_back = self._over(self._written(fleet, Release(fence)), mine)
            if mine.stage == "unwanted":
                yield Edge(who, "is given back, since it was not wanted", "attempts", given_back)
                continue
            done = self._over(self._written(fleet, Complete(fence, Success())), mine)
            yield Edge(who, "completes", "attempts", done)
            yield Edge(who, "is given back", FAULT, given_back)
            if "strays" in self.has:
                left = tuple(each for each in fleet.attempts if each != mine)
                strayed = fleet._replace(attempts=(*left, mine._replace(stage="strayed")))
                event = AttemptUnheld(now=NOW, tag=TAG, process_id=mine.process, token=mine.token)
                yield Edge(who, "runs on without its lease", FAULT, self.stepped(strayed, event))

    def _over(self, fleet: Fleet, mine: Attempt) -> Fleet:
        left = list(fleet.attempts)
        left.remove(mine)
        event = AttemptEnded(now=NOW, tag=TAG, process_id=mine.process, token=mine.token)
        return self.stepped(fleet._replace(attempts=tuple(left)), event)

    # --- the store, and who else is there ----------------------------------------------------------------------------

    def _others(self, fleet: Fleet) -> Iterator[Edge]:
        for row in fleet.rows:
            if "cancel" in self.has and row.outcome is None and row.cancel is None:
                asked = self._written(fleet, RequestCancel(row.id, "asked"))
                yield Edge("client", f"cancels {row.id}", FAULT, asked)
            if "other" in self.has and row.outcome is None:
                taken = self._written(fleet, Claim(ClaimId("o", 1), row.id, TICK))
                if taken != fleet:
                    yield Edge("other worker", f"takes {row.id}", FAULT, taken)
            if row.held and row.claim is not None and row.claim.owner == "o":
                done = Complete(Fence(row.id, row.claim, row.token), Success())
                yield Edge("other worker", f"completes {row.id}", FREE, self._written(fleet, done))
        yield from self._clock(fleet)

    def _clock(self, fleet: Fleet) -> Iterator[Edge]:
        """What nobody renews expires. A lease of an attempt that runs here does so only where its renewals fail (L3 is
        judged under bounded drift, not here)."""
        renewed = {(each.process, each.token) for each in fleet.attempts if each.stage == "runs"}
        renewed |= {(fence.process_id, fence.token) for fence in granted_by(fleet.claim)}
        kept = tuple(_expired(row) if (row.id, row.token) not in renewed else row for row in fleet.rows)
        if kept != fleet.rows:
            yield Edge("store", "its clock ticks", "clock", fleet._replace(rows=kept))
        lost = tuple(_expired(row) for row in fleet.rows)
        if lost != kept:
            yield Edge("store", "its clock ticks, and no renewal came", FAULT, fleet._replace(rows=lost))

    def _written(self, fleet: Fleet, request: Request) -> Fleet:
        rows, last, _ = self._asked(fleet, request)
        return fleet._replace(rows=rows, last=last)

    def _asked(self, fleet: Fleet, request: Request) -> tuple[tuple[Record, ...], int, Answer]:
        return self.answered(fleet.rows, fleet.last, request)

    def answered(
        self, rows: tuple[Record, ...], last: int, request: Request
    ) -> tuple[tuple[Record, ...], int, Answer]:
        """The rows after the request, the last claim that granted some, and the answer. Judged (S3, S19, S22)."""
        key = rows, last, request
        known = self.law.get(key)
        if known is None:
            noted = ((ClaimId("w", last), CLOCK),) if last else ()
            before = Snapshot(rows, claims=noted, number=NUMBER, limits=LIMITS)
            after, answer = model.apply(before, request, CLOCK)
            judge_store(before, request, after, answer, CLOCK)
            last = max((claim.n for claim, _ in after.claims if claim.owner == "w"), default=0)
            known = self.law[key] = after.records, last, answer
        return known

    # --- for people -----------------------------------------------------------------------------------------------

    def shown(self, state: Any) -> str:
        fleet = self.unpacked(state)
        words = [_row(row) for row in fleet.rows]
        words += [f"{each.stage} {each.process}" for each in fleet.attempts]
        return "; ".join([*words, type(fleet.worker).__name__])

    def judged(self) -> tuple[int, int]:
        """Each was asked for once."""
        return len(self.law), len(self.steps)

    def tables(self) -> Iterable[str]:
        yield from (f"{state} {event} -> {step}" for (state, event, _), step in self.steps.items())
        yield from (f"{key} -> {then}" for key, then in self.law.items())


def _expired(row: Record) -> Record:
    return changed(row, expires_at=CLOCK) if row.held else row


def _row(row: Record) -> str:
    if row.outcome is not None:
        return f"{row.id} ended"
    return f"{row.id} " + (("held" if row.expires_at > CLOCK else "expired") if row.held else "free")


def _grants(answer: Answer) -> tuple[Grant, ...]:
    reply = answer.reply if isinstance(answer, Succeeded) else None
    return reply.grants if isinstance(reply, Claimed) else ()


def _timed(state: Working) -> Iterator[tuple[str, Working]]:
    """The state with each set of its timers due."""
    waits = state.claim is not None and state.claim.retry_at is not None
    again = [("", state)]
    if waits:
        again.append(("retry", changed(state, claim=changed(state.claim, retry_at=NOW))))
    for first, timed in again:
        yield first or "tick", timed
        if isinstance(timed, Driving):
            yield f"{first} and poll" if first else "poll", changed(timed, poll_at=NOW)
        elif isinstance(timed, Draining):
            wait = worker.leave_at(changed(timed, until=NOW))
            yield f"{first} and grace" if first else "grace", changed(timed, until=NOW)
            yield f"{first} and leave" if first else "leave", changed(timed, until=Instant(-wait))
