"""A worker as the search keeps it: the shipped attempt machine, the token it has, and the one call on its way.

What is left out, and why no behaviour is lost by it:
- Instants. They are rebased to now after every step. A worker's clock is free against the store's, so whatever waits
  for the age of a lease may come at any moment: the lease is kept as new, and a tick to each limit is always possible.
- How often something was tried: it only stretches pauses, and under free clocks a pause may have any length.
- The record that the claim brought, but for its flag and its count, which decide what happens at once.
- What a session is: here it opens, fails or is not heard of. With the feature `session` it opens when the store of
  `sessions` has opened it, and fails, for now, at any time before that; that it fails for good the others have.
- A reply that is doubled: it answers a call that is over, as the events with call 0 do.
- A handler's calls, but for one effect and one event, one at a time: an attempt has one fenced call in flight, and the
  others wait in its queue, so a second waiting call adds only what the first one shows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tenure import attempt
from tenure import attempt_types as t
from tenure.attempt_opening import claim_one
from tenure.canonical import NULL
from tenure.errors import Misuse
from tenure.instants import Instant, after
from tenure.process import Success
from tenure.replies import Answer, Released
from tenure.requests import Claim, EmitEvent, RecordEffect
from tenure.router import answer_event
from tenure.stores import DurabilityTier
from tenure.tiers import Facets, tier_fault
from tenure.timings import LeaseTimings
from tenure.values import changed
from tenure_testing.checking.explorer import Broken
from tenure_testing.checking.rows import (
    EFFECT,
    EVENT,
    FENCE,
    FINGERPRINT,
    MAX_LOST,
    NEW,
    RECORD,
    STAMP,
    TICK,
    Asked,
)
from tenure_testing.checking.steps import broken_by, words

NOW = Instant(0)
AT: dict[str, Any] = {"now": NOW, "tag": 2}
RUNS = t.Running | t.Stopping | t.LeaseLost | t.Detached
ONLY: dict[type, Any] = {
    t.SessionOpened: t.Opening,
    t.SessionFailed: t.Opening,
    t.HandlerReturned: RUNS,
    t.HandlerStopped: RUNS,
    t.Asked: RUNS,
}
ASKS: dict[str, tuple[RecordEffect | EmitEvent, ...]] = {
    "effects": (RecordEffect(FENCE, EFFECT, FINGERPRINT, NULL),),
    "events": (EmitEvent(FENCE, "progress", NULL, EVENT),),
}


class Block(NamedTuple):
    """A worker: its attempt (None: idle), its token, and the request or the answer that is on its way. `copies`: how
    many more of that claim are in the air. `made`: what it recorded under this token, as words of `ASKS`. `fit`: the
    tiers that it is built on suffice. `session`: where its OpenSession is, if that is sent to a store of sessions."""

    attempt: t.AttemptState | None = None
    token: int = NEW
    mail: Asked | t.AttemptEvent | None = None
    copies: int = 0
    made: frozenset[str] = frozenset()
    fit: bool = True
    session: str = ""


class Local(NamedTuple):
    """What a worker does by itself. `orphan`: the request that it leaves in the air."""

    said: str
    block: Block
    orphan: Asked | None = None


class Attempts:
    """What workers do; each pair of attempt and event is asked for once, and judged."""

    def __init__(self, ttl: int, features: frozenset[str]) -> None:
        self.times = LeaseTimings(ttl, renew_interval=0.5, call_timeout=0.5, margin=0, stop_grace=0.5)
        times = self.times
        self.waits = (
            times.renew_interval_ns,
            times.budget_ns,
            times.ttl_ns,
            times.budget_ns + times.patience_ns,
        )
        self.terms = t.Terms(times, "", ("kind",), max_lost=MAX_LOST, release_delay=TICK)
        self.claim = Claim(FENCE.claim, "p", times.ttl_ms)
        self.features, self.stored = features, "session" in features
        self.events = self._events()
        self.tiers = _tiers() if "tiers" in features else ((True, ""),)
        self.doing = ""  # what the machine was asked last, in words
        self.steps: dict[tuple[t.AttemptState, t.AttemptEvent, bool], t.Step] = {}

    def _events(self) -> tuple[t.AttemptEvent, ...]:
        """All that may come to an attempt besides the answer that it waits for."""
        failures = () if "sessions open" in self.features else (False,) if self.stored else (True, False)
        requests = [request for name, asks in ASKS.items() if name in self.features for request in asks]
        return (
            *(t.Tick(now=after(NOW, wait), tag=2) for wait in self.waits),
            *(t.SessionFailed(**AT, call=0, permanent=permanent, message="") for permanent in failures),
            *(t.SessionOpened(**AT, call=0), t.HandlerReturned(**AT, outcome=Success())),
            t.SessionOpened(now=after(NOW, self.times.budget_ns), tag=2, call=0),
            *(t.HandlerStopped(**AT), t.CallFenced(**AT, call=0)),
            t.CallSucceeded(**AT, call=0, reply=Released(STAMP, None)),  # an old one, as is the one before
            *([t.CancelSeen(**AT, reason="asked")] if "cancel" in self.features else []),
            *([t.StopAsked(**AT)] if "drain" in self.features else []),
            *([t.Asked(**AT, ask=1, request=None)] if requests else []),
            *(t.Asked(**AT, ask=1, request=request) for request in requests),
        )

    def stepped(self, state: t.AttemptState, event: t.AttemptEvent, fit: bool) -> t.Step:
        """The shipped step, judged."""
        known = self.steps.get((state, event, fit))
        if known is None:
            known = self.steps[state, event, fit] = attempt.step(state, event)
            broken = broken_by(state, event, known, fit)
            if broken:
                raise Broken(broken, words(state, event, known))
        return known

    def heard(self, answer: Answer) -> t.AttemptEvent:
        """The answer to the one call that an attempt waits for."""
        return answer_event(1, answer, NOW, 2, 0)

    def moves(self, block: Block) -> list[Local]:
        """What the worker may do, and what may happen to it, without the store."""
        state, mail = block.attempt, block.mail
        if state is None:
            return [*dict.fromkeys(self._claims(fit, fault) for fit, fault in self.tiers)]
        sent, answer = (mail, None) if isinstance(mail, Asked) else (None, mail)
        can = [
            (self._said(state, event), event, mail)
            for event in self.events
            if self._may_come(block, state, event)
        ]
        can += [("hears nothing", t.CallUnknown(**AT, call=1), mail)] if mail else []
        can += [("cannot send", t.CallUnavailable(**AT, call=1), None)] if sent else []
        can += [("is answered", answer, None)] if answer else []
        moves = [Local("crashes", Block(), sent)]
        ticked: set[tuple[Block, Asked | None]] = set()
        for said, event, left in can:
            for move in self._moved(block, said, event, left, sent):
                if not isinstance(event, t.Tick) or move[1:] not in ticked:
                    moves.append(move)
                if isinstance(event, t.Tick):
                    ticked.add(move[1:])
        return [*dict.fromkeys(moves)]

    def _claims(self, fit: bool, fault: str) -> Local:
        terms = changed(self.terms, tier_fault=fault)
        claiming = claim_one(terms, self.claim, t.Tick(now=NOW, tag=1)).state
        return Local("claims", Block(claiming, NEW, self.claim, fit=fit))

    def _may_come(self, block: Block, state: t.AttemptState, event: t.AttemptEvent) -> bool:
        if self.stored and isinstance(event, t.SessionOpened | t.SessionFailed):
            return block.session == (ANSWERED if isinstance(event, t.SessionOpened) else ASKED)
        if isinstance(event, t.Asked) and isinstance(state, t.Holding) and event.request is not None:
            waiting = [*state.queue, *([state.flight] if state.flight else [])]
            return isinstance(state, RUNS) and not any(call.ask is not None for call in waiting)
        return isinstance(state, ONLY.get(type(event), object))

    def _moved(
        self,
        block: Block,
        said: str,
        event: t.AttemptEvent,
        left: Asked | t.AttemptEvent | None,
        sent: Asked | None,
    ) -> list[Local]:
        assert block.attempt is not None
        self.doing = said
        then = self.stepped(block.attempt, event, block.fit)
        new, orphan = self.clipped(then.state, event.now), sent if left else None
        sends: list[Any] = [command.request for command in then.commands if isinstance(command, t.Send)]
        waits = new.retry_at is None if isinstance(new, t.Claiming) else getattr(new, "flight", None)
        said = f"{said}, sends {type(sends[0]).__name__}" if sends else said
        if new is None:
            return [Local(said, Block(), sends[0] if sends else orphan)]
        if self.stored:
            block = block._replace(session=_opening(block, new))
        if sends or not waits:
            return [Local(said, block._replace(attempt=new, mail=sends[0] if sends else None), orphan)]
        return [Local(said, block._replace(attempt=new, mail=left))] if new != block.attempt else []

    def clipped(self, state: t.AttemptState, now: Instant) -> t.AttemptState | None:
        """The attempt under a free clock, None if it is over: its lease is new, a claim's grant in time or late."""
        if isinstance(state, t.Claiming):
            sent_at = Instant(-self.times.budget_ns if now - state.sent_at >= self.times.budget_ns else NOW)
            again = state.retry_at and 1
            return changed(state, call=1, sent_at=sent_at, began=sent_at, retry_at=again, tries=0)
        if not isinstance(state, t.Holding):
            return None
        renew_at = after(NOW, self.times.renew_interval_ns)
        lease = changed(state.lease, since=NOW, renew_at=renew_at, renewing=None, tries=0)
        flight = state.flight and changed(state.flight, id=1, ready_at=NOW, tries=0)
        queue = tuple(changed(call, ready_at=int(call.ready_at > now), tries=0) for call in state.queue)
        marks = [mark for mark in ("opening", "claimed", "started", "stopped") if hasattr(state, mark)]
        return changed(
            state, record=RECORD, lease=lease, flight=flight, queue=queue, **dict.fromkeys(marks, 0)
        )

    def _said(self, state: t.AttemptState, event: t.AttemptEvent) -> str:
        if isinstance(event, t.Tick):
            wait = self.waits.index(event.now)
            tries = not wait and isinstance(state, t.Claiming | t.Completing | t.Releasing)
            return f"its time passes to {'its next try' if tries else PASSED[wait]}"
        late = " late" if isinstance(event, t.SessionOpened) and event.now else ""
        return SAID[type(event)] + late

    def impossible(self) -> list[str]:
        """What the machine says to events that cannot come in the states that were reached."""
        said: dict[str, None] = {}
        for state, _, _ in [*self.steps]:
            for event in self.events:
                try:
                    attempt.step(state, event)
                except Misuse as misuse:
                    said[f"{type(state).__name__}, {type(event).__name__}: {misuse.reason}"] = None
        return [*said]


PASSED = ("the next renewal", "the deadline", "the end of its grace", "the end of its patience")
SAID: dict[type, str] = {
    t.SessionFailed: "its session fails",
    t.SessionOpened: "its session opens",
    t.HandlerReturned: "its handler returns",
    t.HandlerStopped: "its handler is stopped",
    t.CallFenced: "hears an old refusal",
    t.CallSucceeded: "hears an old answer",
    t.CancelSeen: "sees the cancel flag",
    t.StopAsked: "is told to shut down",
    t.Asked: "its handler asks",
}


ASKED, ANSWERED = "asked", "answered"


def _opening(block: Block, then: t.AttemptState) -> str:
    """Where the OpenSession is after a step: it is sent when the attempt begins to open, and is lost, as there are no
    zombies, when the attempt does not wait for it any more."""
    return (block.session or ASKED) if isinstance(then, t.Opening) else ""


def _tiers() -> tuple[tuple[bool, str], ...]:
    """For all facets that a worker can be built on: whether they suffice (B6), judged here, and what the core says."""
    kinds = (DurabilityTier.INLINE, DurabilityTier.DURABLE)
    found: dict[tuple[bool, str], None] = {}
    for bits in range(1 << 5):
        effect_host, *stores = (kinds[bits >> place & 1] for place in range(5))
        fit = effect_host is DurabilityTier.INLINE or all(s is DurabilityTier.DURABLE for s in stores)
        found[fit, tier_fault(Facets(effect_host, *stores))] = None
    return tuple(found)
