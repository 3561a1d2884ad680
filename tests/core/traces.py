"""Runs a trace: domain words in, and under each of them the commands that came of it and the state afterwards.

A trace file is words, one a line, each followed by what it brought about, indented; `pytest --rewrite` writes the
indented lines anew (commit the change only if you understand it). `#` begins a comment, and the first line of a file
says why it exists; `== title` begins a fresh world. The machines are the shipped ones, the store is the reference
model, and nothing moves but by a word: two clocks, that of the worker and that of the store, both begin at 0 s.

The words, by what they move (`[...]` may be left out):

    register P [kind=k owner=s profile=x emits=a,b delay=2s external]     cancel P [why]      row P      events P
    other worker claims P [for 30s] | completes P | releases P           store limits payload=100
    terms [max_run=4s max_lost=2 profile=x kinds=a,b tier_fault=... limit=n]
    claim P                           one attempt by itself, by a single claim
    worker max_running=N              a whole worker, which claims by itself
    at 5s | worker clock 5s | store +5s | tick                  both clocks to 5 s, ours alone, the store's alone
    running P | worker running P      for short: register, claim or worker max_running=1, deliver, session opens
    deliver [all | at 5s]             the oldest request reaches the store, its answer the machine (then)
    lose reply | lose request | delay request      ... it does, or does not, or not yet, and the machine hears Unknown
    request arrives, then: answer arrives | answer is lost       the same as deliver or lose reply, in two moves
    delayed request arrives           at the store, long after the machine gave up on its answer
    answer [#N] unavailable | unknown | fenced | wrong | refused REASON    without the store
    session opens | session fails for good: why | session fails for now: why
    handler [of P] returns V | raises CLASS message | stopped
    ask effect KEY = V | ask emit TYPE V | ask leave
    flag seen: why | shutdown | hint | drain 30s
"""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import evolve

from tenure import attempt_types as t
from tenure.canonical import canonical, digest
from tenure.errors import Misuse
from tenure.instants import NANOS_PER_SECOND, Instant, StoreTime
from tenure.limits import Limits
from tenure.process import (
    ClaimId,
    External,
    Failure,
    Fence,
    Provenance,
    Registration,
    Success,
    Work,
)
from tenure.replies import (
    Answer,
    Claimed,
    EventsRead,
    Fenced,
    Pruned,
    Reason,
    Refused,
    Registered,
    Succeeded,
    Unavailable,
    Unknown,
)
from tenure.requests import (
    Claim,
    Complete,
    EmitEvent,
    ReadEvents,
    RecordEffect,
    Register,
    Release,
    RequestCancel,
)
from tenure.worker_types import WorkerTerms
from tests.core import trace_text as text
from tests.core.edges import Recorder, recording
from tests.core.trace_machines import OWNER, Alone, Whole
from tests.core.trace_scene import Scene, seconds

SILENT = ("register", "terms", "store ")
"""Words that only set the scene."""

WORDS: list[tuple[re.Pattern[str], Callable[..., None]]] = []


def word(pattern: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The method answers lines of that pattern; the groups are its arguments."""

    def known(method: Callable[..., None]) -> Callable[..., None]:
        WORDS.append((re.compile(pattern), method))
        return method

    return known


def given_in(rest: str) -> dict[str, str]:
    """`key=value` and bare words, as the trace writes them."""
    parts = (part.partition("=") for part in shlex.split(rest))
    return {key: value for key, _, value in parts}


class World(Scene):
    """The words. Each method is one, and its pattern shows how it is written."""

    def run(self, line: str) -> list[str]:
        """What the word brought about."""
        self.out = []
        before = len(self.recorder.taken)
        for pattern, method in WORDS:
            if found := pattern.fullmatch(line):
                try:
                    method(self, *found.groups())
                except Misuse as misuse:
                    self.out.append(f"misuse: {misuse.reason}")
                except (
                    IndexError
                ):  # a counterexample to rules that were mended since goes another way from here on
                    self.out.append("nothing is on its way")
                break
        else:
            raise AssertionError(f"no such word: {line!r}")
        for taken, edge in self.recorder.taken[before:]:
            if edge.go is None and not edge.misuse and taken.event != "Tick":
                self.out.append(f"ignored: {edge.reason}")
        self.show_states()
        return self.out or ([] if line.startswith(SILENT) else ["nothing happens"])

    # --- the store and everybody else -----------------------------------------------------------------------------

    @word(r"register (\S+)((?: \S+)*)")
    def register(self, name: str, rest: str) -> None:
        given = given_in(rest)
        owner = given.get("owner", "main")
        source = Provenance("" if owner == "none" else owner, given.get("profile", ""))
        body = External() if "external" in given else Work(given.get("kind", "k"))
        types = tuple(given["emits"].split(",")) if "emits" in given else ()
        delay = seconds(given.get("delay", "0s")) // 1_000_000
        answer = self.ask(Register(Registration(name, body, types, source), delay))
        assert isinstance(answer, Succeeded), answer
        assert isinstance(answer.reply, Registered)

    @word(r"cancel (\S+)(?: (.*))?")
    def cancel(self, name: str, why: str | None) -> None:
        self.tell(RequestCancel(name, why or ""))

    @word(r"row (\S+)")
    def row(self, name: str) -> None:
        self.out.append(text.row(self.record(name), name))

    @word(r"events (\S+)")
    def events(self, name: str) -> None:
        answer = self.ask(ReadEvents(name))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, EventsRead)
        self.out += [text.event(event) for event in answer.reply.events]

    @word(r"other worker claims (\S+)(?: for (\S+)s)?")
    def other_claims(self, name: str, ttl: str | None) -> None:
        self.claims += 1
        self.tell(Claim(ClaimId("other", self.claims), name, int(float(ttl or "30") * 1000)))

    @word(r"other worker (completes|releases) (\S+)")
    def other_ends(self, how: str, name: str) -> None:
        record = self.record(name)
        assert record is not None
        assert record.claim is not None
        fence = Fence(name, record.claim, record.token)
        self.tell(Release(fence) if how == "releases" else Complete(fence, Success(canonical("theirs"))))

    @word(r"store limits payload=(\d+)")
    def limits(self, payload: str) -> None:
        self.model = evolve(self.model, limits=Limits(payload=int(payload)))

    # --- the clocks -----------------------------------------------------------------------------------------------

    @word(r"at (\S+)s")
    def at(self, moment: str) -> None:
        now = Instant(seconds(moment))
        self.clock = StoreTime(self.clock + (now - self.now) // 1_000_000)
        self._pass_to(now)

    @word(r"worker clock (\S+)s")
    def worker_clock(self, moment: str) -> None:
        self._pass_to(Instant(seconds(moment)))

    @word(r"tick")
    def tick(self) -> None:
        self._pass_to(self.now)

    def _pass_to(self, now: Instant) -> None:
        assert now >= self.now, "clocks only move forward"
        self.now = now
        if self.machine:
            self.did(self.machine.tick(now))

    @word(r"store \+(\S+)s")
    def store_clock(self, more: str) -> None:
        self.clock = StoreTime(self.clock + int(float(more) * 1000))

    # --- the machine ----------------------------------------------------------------------------------------------

    @word(r"terms (.*)")
    def set_terms(self, rest: str) -> None:
        given = given_in(rest)
        taken: dict[str, Any] = {}
        for key, value in given.items():
            match key:
                case "max_run":
                    taken[key] = (("k", seconds(value)),)
                case "kinds":
                    taken[key] = tuple(value.split(","))
                case "max_lost":
                    taken[key] = int(value)
                case _:
                    taken[key] = value
        self.terms = evolve(self.terms, **taken)

    @word(r"worker max_running=(\d+)")
    def worker(self, slots: str) -> None:
        terms = WorkerTerms(OWNER, self.terms, int(slots), 10, NANOS_PER_SECOND)
        self.machine = Whole(terms, self.now)
        self.did([])

    @word(r"claim (\S+)")
    def claim(self, name: str) -> None:
        self.machine = self.machine if isinstance(self.machine, Alone) else Alone(self.terms)
        self.did(self.machine.claim(name, self.now))

    @word(r"running (\S+)")
    def running(self, name: str) -> None:
        self.register(name, "")
        self.claim(name)
        self.deliver(None, None)
        self.session_opens()
        self.out = []

    @word(r"worker running (\S+)")
    def worker_running(self, name: str) -> None:
        self.register(name, "")
        self.worker("1")
        self.deliver(None, None)
        self.session_opens()
        self.out = []

    @word(r"deliver(?:( all)| at (\S+)s)?")
    def deliver(self, everything: str | None, moment: str | None) -> None:
        while self.sent:
            sent = self.sent.popleft()
            answer = self.executed(sent)
            self.out.append(f"store, to #{self.number(sent.id)}: {text.answer(answer)}")
            if moment is not None:
                self.now = Instant(seconds(moment))
            self.answered(sent, answer)
            if not everything:
                break

    @word(r"lose (reply|request)")
    def lose(self, what: str) -> None:
        sent = self.sent.popleft()
        lost = f"store, to #{self.number(sent.id)}: "
        lost += text.answer(self.executed(sent)) + "; lost" if what == "reply" else "never reached"
        self.out.append(lost)
        self.answered(sent, Unknown())

    @word(r"request arrives")
    def request_arrives(self) -> None:
        sent = self.sent.popleft()
        answer = self.executed(sent)
        self.out.append(f"store, to #{self.number(sent.id)}: {text.answer(answer)}; on its way")
        self.answers.append((sent, answer))

    @word(r"answer (arrives|is lost)")
    def answer_arrives(self, how: str) -> None:
        sent, answer = self.answers.popleft()
        self.answered(sent, answer if how == "arrives" else Unknown())

    @word(r"delay request")
    def delay(self) -> None:
        sent = self.sent.popleft()
        self.delayed.append(sent)
        self.answered(sent, Unknown())

    @word(r"delayed request arrives")
    def arrives(self) -> None:
        """C4: a pause between the look at `not_after` and the transaction is unbounded."""
        sent = self.delayed.popleft()
        self.out.append(f"store, to #{self.number(sent.id)}: {text.answer(self.ask(sent.request))}")

    @word(r"answer (?:#(\d+) )?(unavailable|unknown|fenced|wrong|nothing|refused (\S+))")
    def answer(self, number: str | None, what: str, reason: str | None) -> None:
        answers: dict[str, Answer] = {
            "unavailable": Unavailable(),
            "unknown": Unknown(),
            "fenced": Fenced(),
            "wrong": Succeeded(Pruned(0)),
            "nothing": Succeeded(Claimed((), 1)),
        }
        answer = Refused(Reason(reason)) if reason else answers[what]
        if number is None:
            self.answered(self.sent.popleft(), answer)
        else:
            raw = next((raw for raw, shown in self.numbers.items() if shown == int(number)), 0)
            self.sent = deque(sent for sent in self.sent if sent.id != raw)
            self.did(self.driven.answered(raw, answer, self.now))

    @word(r"session opens")
    def session_opens(self) -> None:
        self.did(self.driven.session_opened(self.sessions.popleft(), self.now))

    @word(r"session fails for (good|now): (.*)")
    def session_fails(self, how: str, why: str) -> None:
        self.did(self.driven.session_failed(self.sessions.popleft(), how == "good", why, self.now))

    @word(r"another session (opens|fails)")
    def another_session(self, how: str) -> None:
        if how == "opens":
            self.did(self.driven.session_opened(999, self.now))
        else:
            self.did(self.driven.session_failed(999, True, "stray", self.now))

    @word(r"handler (?:of (\S+) )?(?:returns (\S+)|raises (\S+) (.*)|stopped)")
    def handler(self, name: str | None, value: str | None, error: str | None, said: str | None) -> None:
        token = self.token(name)
        if value is not None:
            self.did(self.driven.handler_returned(token, Success(canonical(int(value))), self.now))
        elif error is not None:
            failed = Failure("application", error, said or "")
            self.did(self.driven.handler_returned(token, failed, self.now))
        else:
            self.did(self.driven.handler_stopped(token, self.now))

    @word(r"ask (?:effect (\S+) = (\S+)|emit (\S+) (\S+)|leave)")
    def handler_asks(
        self, key: str | None, result: str | None, kind: str | None, payload: str | None
    ) -> None:
        self.asks += 1
        token = self.token(None)
        fence = self._fence(token)
        request: RecordEffect | EmitEvent | None = None
        if key is not None:
            request = RecordEffect(fence, key, digest(key), canonical(int(result or "0")))
        elif kind is not None:
            request = EmitEvent(fence, kind, canonical(int(payload or "0")), f"{fence.token}/{self.asks}")
        self.did(self.driven.asked(token, self.asks, request, self.now))

    def _fence(self, token: int) -> Fence:
        machine = self.driven
        state = machine.state if isinstance(machine, Alone) else machine.attempts.get(token)
        return state.lease.fence if isinstance(state, t.Holding) else Fence("", ClaimId(OWNER, 1), 0)

    @word(r"flag seen: (.*)")
    def flag_seen(self, why: str) -> None:
        self.did(self.alone.cancel_seen(why, self.now))

    @word(r"shutdown")
    def shutdown(self) -> None:
        self.did(self.alone.stop_asked(self.now))

    @word(r"hint")
    def hint(self) -> None:
        self.did(self.whole.hinted(self.now))

    @word(r"drain (\S+)s")
    def drain(self, grace: str) -> None:
        self.did(self.whole.drain(seconds(grace), self.now))


def rerun(trace: str) -> tuple[str, Recorder]:
    """The trace as it comes out today, and the edges that it took."""
    lines: list[str] = []
    with recording() as recorder:
        world = World(recorder)
        for line in trace.splitlines():
            if line.startswith("  "):
                continue
            lines.append(line)
            if line.startswith("=="):
                world = World(recorder)
            elif line and not line.startswith("#"):
                lines += [f"  {said}".rstrip() for said in world.run(line)]
    return "\n".join(lines) + "\n", recorder
