"""Two workers and one process under clocks that drift by a bounded amount: all that the shipped core can do there.

The other searches leave a worker's clock free, as safety must not depend on it. What depends on it is judged here: that
a handler is over before anybody else is granted its process (C3), that a healthy worker keeps its lease (L3), that a
lost one is told so in time (L6). All ages are real: of leases, of calls, of claims, of handlers told to stop.

Time is in ticks of a second: the store's clock and each worker's go one tick at a time, and stay within one tick of
each other, |store - worker| <= 1. So two readings of one clock may lie two ticks further apart than of the other, which
is the least that `margin` has to cover. The smallest timings that leave no term out are then renew_interval 1,
call_timeout 1, margin 2, stop_grace 1 and ttl 6 = 2*1 + 1 + 2 + 1: a budget of three ticks.

A worker is no slower than its contract: a tick of its clock brings what is due at once (pauses are for the searches
with free clocks, where nothing may depend on them: C4); a call has its answer within `call_timeout`, or was lost, and
then the worker hears so at that very tick; a session opens, or fails, before the next tick, or hangs; a back-off, which
is much shorter than a tick, is over before the next one; and a handler that was told to stop is over within
`stop_grace`, unless the feature `stubborn` lets it go on.

What a state leaves out, and why no behaviour is lost by it:
- How long ago a handler was told to stop, once that is `stop_grace`: without max_run it is asked no further.
- Instants. Each is kept relative to its own clock's now, in whole ticks, where the machine still looks at it, and not
  at all where it does not. Every one of them is bounded by a limit in time that the machine itself keeps. A call that
  waits for its back-off waits for a moment which is shorter than any tick.
- Drift: of each worker its clock's lead over the store's, -1, 0 or 1.
- Tokens, claims and counters, as in the search of rows, whose law this is (`tenure_testing.checking.rows`).
- Requests that nobody waits for: none here; a call that was lost was either applied or not.
- Which worker is which, unless the feature `named` tells them apart, as liveness must.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tenure import attempt
from tenure import attempt_types as t
from tenure.attempt_opening import claim_one
from tenure.attempt_rules import deadline, patience_over
from tenure.instants import Instant
from tenure.process import Success
from tenure.replies import Unavailable
from tenure.requests import Claim, Complete, Release, Renew
from tenure.router import answer_event
from tenure.timings import LeaseTimings
from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Broken
from tenure_testing.checking.graph import FAULT, FREE, Edge, Graph
from tenure_testing.checking.rows import (
    CANCEL,
    CURRENT,
    FENCE,
    MAX_LOST,
    NEW,
    STALE,
    TICK,
    Asked,
    Law,
    Row,
    later,
)
from tenure_testing.checking.timed_forms import AT, MOMENT, NANOS, NOW, aged
from tenure_testing.checking.timed_properties import judge_age, judge_step
from tenure_testing.checking.world import Numbers

LOST_CALL = "lost"
"""In the place of a call's request or answer: neither will arrive."""
DRIFTS = 3
"""A worker's lead over the store's clock is one of -1, 0, 1, kept as 0, 1, 2."""


class Worker(NamedTuple):
    """A worker without its clock. `mail`: its one call's request or answer, on its way or lost, `age` ticks old.
    `session`: the session is being opened. `rested`: it may claim. `leaves`: it drains."""

    attempt: t.AttemptState | None = None
    token: int = NEW
    mail: Asked | t.AttemptEvent | str | None = None
    age: int = 0
    session: bool = False
    rested: bool = True
    leaves: bool = False


class Local(NamedTuple):
    """What a worker does by itself, or what befalls it."""

    said: str
    owed: str
    then: int


class Stored(NamedTuple):
    """What the store makes of a worker's request. `taken`: it was a claim, and granted."""

    said: str
    owed: str
    row: int
    then: int
    taken: bool


class TimedWorld(Graph):
    """Features: `faults` (lost requests and replies, outages, sessions that fail), `healthy` (of renewals, never two
    in a row are lost, and nothing else is), `crash`, `cancel`, `drain`, `slow`, `stubborn`, `steps` (of the store's
    clock, over the end of a lease: C3 cannot hold then, and is not judged), `named`."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.has = configuration.features
        self.ttl, self.times = configuration.ttl, TIMES[configuration.ttl]
        self.terms = t.Terms(self.times, "", ("kind",), max_lost=MAX_LOST, release_delay=TICK)
        self.claim = Claim(FENCE.claim, "p", self.times.ttl_ms)
        self.law, self.rows, self.blocks = Law(), Numbers(Row()), Numbers(Worker())
        self.steps: dict[tuple[t.AttemptState, t.AttemptEvent], t.Step] = {}
        self._local: dict[int, list[Local]] = {}
        self._ticked: dict[int, list[Local]] = {}
        self._stored: dict[tuple[int, int], list[Stored]] = {}

    # --- the inner loop -------------------------------------------------------------------------------------------

    def start(self) -> tuple[int, int, int]:
        """Nobody has claimed anything; the clocks agree."""
        return 0, 1, 1

    def edges(self, state: Any) -> Sequence[Edge]:
        numbers: tuple[int, int, int] = state
        row, *workers = numbers
        found: list[Edge] = []
        for place, mover in enumerate(workers):
            other, name = workers[1 - place], "AB"[place]
            block, lead = divmod(mover, DRIFTS)
            for said, owed, then in self._locals(block):
                after = self._after(row, place, then * DRIFTS + lead, other)
                found.append(Edge(name, said, _of(owed, name), after))
            if lead < DRIFTS - 1:
                for said, owed, then in self._ticks(block):
                    after = self._after(row, place, then * DRIFTS + lead + 1, other)
                    found.append(Edge(name, said, _of(owed, name), after))
            for said, owed, new, then, taken in self._by_store(row, block):
                others = self._overtaken(other, said) if taken else other
                after = self._after(new, place, then * DRIFTS + lead, others)
                found.append(Edge("store", said, _of(owed, name), after))
        if all(worker % DRIFTS for worker in workers):
            new = self.rows.number(later(self.rows.values[row]))
            after = self._after(new, 0, workers[0] - 1, workers[1] - 1)
            found.append(Edge("store", "its clock ticks", "store's clock", after))
        record = self.rows.values[row].record
        if "steps" in self.has and record is not None and record.held:
            new = self.rows.number(later(self.rows.values[row], self.ttl))
            found.append(Edge("store", "its clock steps", FAULT, self._after(new, 0, *workers)))
        if "cancel" in self.has and record is not None and record.cancel is None and record.outcome is None:
            asked = self.law.answered(self.rows.values[row], CANCEL)
            after = self._after(self.rows.number(asked.row), 0, *workers)
            found.append(Edge("client", asked.said, FAULT, after))
        return found

    def _after(self, row: int, place: int, worker: int, other: int) -> tuple[int, int, int]:
        first, second = (other, worker) if place else (worker, other)
        if first > second and "named" not in self.has:
            return row, second, first
        return row, first, second

    def view(self, state: Any) -> tuple[Row, tuple[Worker, ...]]:
        """The row, and the workers without their clocks."""
        numbers: tuple[int, int, int] = state
        row, *workers = numbers
        return self.rows.values[row], tuple(self.blocks.values[worker // DRIFTS] for worker in workers)

    # --- what a worker does ---------------------------------------------------------------------------------------

    def _locals(self, block: int) -> list[Local]:
        found = self._local.get(block)
        if found is None:
            moves = self._by_itself(self.blocks.values[block])
            numbered = [Local(said, owed, self.blocks.number(then)) for said, owed, then in moves]
            found = self._local[block] = [*dict.fromkeys(numbered)]
        return found

    def _by_itself(self, worker: Worker) -> Iterator[tuple[str, str, Worker]]:
        state, mail = worker.attempt, worker.mail
        if state is None:
            if worker.rested:
                claiming = claim_one(self.terms, self.claim, t.Tick(now=NOW, tag=1)).state
                yield "claims", "poll", Worker(aged(claiming, NOW), NEW, self.claim)
            return
        if isinstance(mail, t.CallSucceeded | t.CallRefused | t.CallFenced | t.CallUnavailable):
            yield self._moved(worker, "is answered", "answer", mail)
        yield from self._troubled(worker)
        if isinstance(state, t.Opening) and worker.session:
            opened = t.SessionOpened(**AT, call=state.opening)
            yield self._moved(worker, "its session opens", "session", opened)
            if "faults" in self.has:
                yield "its session hangs", FAULT, worker._replace(session=False)
                for permanent in (True, False):
                    fails = t.SessionFailed(**AT, call=state.opening, permanent=permanent, message="")
                    yield self._moved(worker, "its session fails", FAULT, fails)
        if isinstance(state, t.Running):
            returned = t.HandlerReturned(**AT, outcome=Success())
            yield self._moved(worker, "its handler returns", "handler", returned)
        if isinstance(state, t.Stopping | t.LeaseLost | t.Detached):
            stubborn = FREE if "stubborn" in self.has else "handler told to stop"
            for event in (t.HandlerStopped(**AT), t.HandlerReturned(**AT, outcome=Success())):
                said = "is stopped" if isinstance(event, t.HandlerStopped) else "returns"
                yield self._moved(worker, f"its handler {said}", stubborn, event)
        if "drain" in self.has and not worker.leaves:
            yield "is asked to drain", FAULT, worker._replace(leaves=True)
        if worker.leaves and not isinstance(state, t.Completing | t.Releasing):
            told = self._moved(worker, "is told to shut down", "grace", t.StopAsked(**AT))
            if told[2] != worker:
                yield told
        if _waits_a_moment(state):
            yield self._moved(worker, "its back-off is over", "back-off", t.Tick(now=MOMENT, tag=2))
        if "crash" in self.has:
            yield "crashes", FAULT, Worker(rested=False)

    def _troubled(self, worker: Worker) -> Iterator[tuple[str, str, Worker]]:
        """A call that does not get through."""
        state, mail = worker.attempt, worker.mail
        if mail is None or mail == LOST_CALL or not {"faults", "healthy"} & self.has:
            return
        if "healthy" in self.has:
            if not isinstance(state, t.Holding) or state.lease.tries:
                return  # the renewal before this one was lost
            if state.flight is None or not isinstance(state.flight.request, Renew):
                return
        request = isinstance(mail, Claim | Renew | Complete | Release)
        said = f"its {type(mail).__name__} is lost" if request else "its answer is lost"
        yield said, FAULT, worker._replace(mail=LOST_CALL)
        if request:
            unsent = t.CallUnavailable(**AT, call=1)
            yield self._moved(worker, f"cannot send its {type(mail).__name__}", FAULT, unsent)

    def _ticks(self, block: int) -> list[Local]:
        found = self._ticked.get(block)
        if found is None:
            then = self._tick(self.blocks.values[block])
            found = self._ticked[block] = [
                Local("its clock ticks", "clock", self.blocks.number(worker)) for worker in then
            ]
        return found

    def _tick(self, worker: Worker) -> list[Worker]:
        """The worker a tick later: what is due at that instant is done at once. None where something comes before."""
        state, timeout = worker.attempt, self.times.call_timeout_ns // NANOS
        if state is None:
            return [worker._replace(rested=True)]
        if worker.mail is not None and worker.mail != LOST_CALL and worker.age + 1 >= timeout:
            return []  # within call_timeout it is answered, or lost
        if _waits_a_moment(state) or worker.session:
            return []
        told = isinstance(state, t.Stopping | t.LeaseLost) and not {"stubborn", "slow"} & self.has
        if told and NANOS - getattr(state, "stopped", 0) >= self.times.stop_grace_ns:
            return []  # a handler that was told to stop is over within stop_grace
        events: list[t.AttemptEvent] = [t.Tick(now=Instant(NANOS), tag=2)]
        if worker.mail == LOST_CALL and worker.age + 1 >= timeout:
            events.insert(0, t.CallUnknown(now=Instant(NANOS), tag=2, call=1))
        for event in events:
            worker = self._stepped(worker, event)
        if worker.attempt is None:
            return [worker._replace(rested=True)]
        then = aged(worker.attempt, Instant(NANOS))
        judge_age(then, self.times)
        return [worker._replace(attempt=then, age=worker.age + 1 if worker.mail is not None else 0)]

    def _moved(self, worker: Worker, said: str, owed: str, event: t.AttemptEvent) -> tuple[str, str, Worker]:
        then = self._stepped(worker, event)
        if then.attempt is not None:
            then = then._replace(attempt=aged(then.attempt, event.now))
        return said, owed, then

    def _stepped(self, worker: Worker, event: t.AttemptEvent) -> Worker:
        """The shipped step, judged; not yet brought into its canonical form."""
        state = worker.attempt
        if state is None:
            return worker
        step = self.steps.get((state, event))
        if step is None:
            step = self.steps[state, event] = attempt.step(state, event)
            judge_step(state, event, step, "healthy" in self.has)
        then, sends = step.state, [c.request for c in step.commands if isinstance(c, t.Send)]
        if not isinstance(then, t.Claiming | t.Holding):
            return Worker(rested=False)
        waits = then.retry_at is None if isinstance(then, t.Claiming) else then.flight is not None
        session = worker.session or any(isinstance(c, t.OpenSession) for c in step.commands)
        worker = worker._replace(attempt=then, session=session and isinstance(then, t.Opening))
        if sends:
            mail: Any = sends[0]
            return worker._replace(mail=mail, age=0)
        return worker if waits else worker._replace(mail=None, age=0)

    # --- what the store does --------------------------------------------------------------------------------------

    def _by_store(self, row: int, block: int) -> list[Stored]:
        worker = self.blocks.values[block]
        if not isinstance(worker.mail, Claim | Renew | Complete | Release):
            return []
        key = row, block
        found = self._stored.get(key)
        if found is None:
            found = self._stored[key] = [self._executed(row, worker, worker.mail)]
        return found

    def _executed(self, row: int, worker: Worker, asked: Asked) -> Stored:
        """The store thread drops what comes after its `not_after` (S14); else the law decides."""
        state = worker.attempt
        if isinstance(state, t.Holding):
            last = patience_over(state) if isinstance(asked, Complete | Release) else deadline(state)
            if last < NOW:
                dropped = answer_event(1, Unavailable("too late"), NOW, 2, 0)
                then = self.blocks.number(worker._replace(mail=dropped))
                return Stored(f"drops a late {type(asked).__name__}", "store", row, then, False)
        found = self.law.answered(self.rows.values[row], asked, worker.token)
        token = CURRENT if found.taken else worker.token
        answer = answer_event(1, found.answer, NOW, 2, 0)
        then = self.blocks.number(worker._replace(mail=answer, token=token))
        return Stored(found.said, "store", self.rows.number(found.row), then, found.taken)

    def _overtaken(self, other: int, said: str) -> int:
        """The other worker, now that the row has another token. C3: its handler is over."""
        block, lead = divmod(other, DRIFTS)
        worker = self.blocks.values[block]
        if "steps" not in self.has and isinstance(worker.attempt, t.Running | t.Stopping | t.LeaseLost):
            raise Broken(["C3"], f"{said}, while the other worker's handler still runs")
        stale = self.blocks.number(worker._replace(token=min(worker.token, STALE)))
        return stale * DRIFTS + lead

    # --- for people -----------------------------------------------------------------------------------------------

    def shown(self, state: Any) -> str:
        """Row and workers in a line."""
        row, workers = self.view(state)
        words = [_row(row)]
        for name, worker, number in zip("AB", workers, state[1:], strict=True):
            what = type(worker.attempt).__name__ if worker.attempt else "idle"
            mail = worker.mail if isinstance(worker.mail, str) else type(worker.mail).__name__
            lead = number % DRIFTS - 1
            words.append(
                f"{name} {what}"
                + (" of an old token" if worker.token == STALE else "")
                + (f", {mail}" if worker.mail else "")
                + (f", {lead:+}" if lead else "")
            )
        return "; ".join(words)

    def judged(self) -> tuple[int, int]:
        """Each was asked for once."""
        return len(self.law.known), len(self.steps)

    def tables(self) -> Iterable[str]:
        """Every distinct step of the machine, and every distinct answer of the law."""
        yield from (f"{state} {event} -> {step}" for (state, event), step in self.steps.items())
        yield from (f"{pair}" for pair in self.law.pairs)


def _of(owed: str, name: str) -> str:
    return owed if owed in (FAULT, FREE) else f"{owed} of {name}"


def _waits_a_moment(state: t.AttemptState) -> bool:
    wakeup = attempt.next_wakeup(state)
    return wakeup is not None and wakeup.at == MOMENT


def _row(row: Row) -> str:
    record = row.record
    if record is None:
        return "no row"
    left = f"held for {(record.expires_at - 1_000_000) // TICK}" if record.held else "free"
    flag = ", cancel flag" if record.cancel is not None else ""
    return f"row {type(record.outcome).__name__ if record.outcome else left}, lost {record.lost}{flag}"


TIMES = {
    6: LeaseTimings(6, renew_interval=1, call_timeout=1, margin=2, stop_grace=1, completion_patience=1),
    7: LeaseTimings(7, renew_interval=1, call_timeout=2, margin=2, stop_grace=1, completion_patience=1),
    8: LeaseTimings(8, renew_interval=2, call_timeout=1, margin=2, stop_grace=1, completion_patience=1),
}
"""By the ttl, in ticks: the smallest; with calls that may take a tick; with renewals that are two ticks apart."""
