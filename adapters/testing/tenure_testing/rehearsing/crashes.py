"""`crash_at_every_effect`: a handler, crashed at each of its boundaries, ends as it does without a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from attrs import define, field, frozen

from tenure.app import App
from tenure.asks import Act, Ask
from tenure.canonical import Json
from tenure.context import Context
from tenure.kinds import Kind
from tenure.process import Failure, Outcome, Success
from tenure.replies import EffectsRead, Succeeded
from tenure.requests import EmitEvent, ReadEffects, RecordEffect
from tenure_driver import Job
from tenure_testing.playing import Execution, Host, Make, Observer, Stuck
from tenure_testing.rehearsing.leaving import Left, difference, left_in
from tenure_testing.rehearsing.recalling import recalling
from tenure_testing.rehearsing.world import RehearsedWorld

PROCESS = "under-test"
Handler = Kind[Any, Any] | Callable[..., Any]
"""What `App.process` returned, or a bare function."""

PATIENCE = 24 * 3_600.0
"""Seconds of the world's time in which a handler has to end, take-over included."""
POLL = 30.0
"""Seconds between two looks of a worker at its idle store: it has nothing to look for, until it takes over."""


def _in_memory(run: int) -> str:
    return "memory:"


@frozen
class Survived:
    """The handler's `outcome`, and the `points` at which it was crashed, in words."""

    outcome: Outcome
    points: tuple[str, ...]


def crash_at_every_effect(
    handler: Handler,
    payload: Any = None,
    *,
    fails: bool = False,
    within: float = PATIENCE,
    store: Callable[[int], str] = _in_memory,
    attempts_may_differ_in: Collection[str] = (),
) -> Survived:
    """Run the handler without a crash, then once for each boundary, with a crash of its worker exactly there.

    The boundaries: before its first line; before each effect, after it ran and before it is recorded, and after it is
    recorded; likewise for events; and after it returned, before that is recorded. Each time another worker takes the
    process over, and must end it with the same outcome; an effect that was recorded must not run again, and each
    attempt must use the same keys. The log must hold the same events: those with a key of their own once, with the same
    type and payload; those without one, which come once per attempt, on no attempt others. The process's own session
    must say the same. An effect may well return something else each time it runs (an id, the time): with a crash its
    result is recorded as it was without, and the handler gets that. What the handler makes of it, it must make again.

    `handler` is what `App.process` returned, or a bare function `(ctx)` or `(ctx, payload)`, async or plain. It runs in
    a world without an event loop (`ForeignAwait`), several times: let it act on a fresh fake, or on one that forgives
    that. `fails`: an outcome that is a failure is meant to be. `store` gives each run, by its number, the URL of an
    empty store; `within` so many seconds of the world's time each run has to end. `attempts_may_differ_in`: types of
    events that tell of the attempt itself ("resumed"), and are not compared; the handler is crashed at them as well.

    Raises AssertionError, which names the boundary, and what came of the crash and without one; ForeignAwait.
    """
    but = {attempts_may_differ_in} if isinstance(attempts_may_differ_in, str) else set(attempts_may_differ_in)
    whole = _run(handler, payload, store(0), within, None, but)
    if isinstance(whole.outcome, Failure) and not fails:
        raise AssertionError(f"without any crash the handler ends as {_shown(whole.outcome)}")
    for at in range(len(whole.points)):
        with_results = recalling(store(at + 1), whole.results)
        _compare(whole, _run(handler, payload, with_results, within, at, but), at)
    return Survived(whole.outcome, tuple(whole.points))


@define
class _Seen:
    """One run: the boundaries that its first worker came by, in words. `ran` counts how often the body of each effect
    ran to its end; `results` are those recorded, by key and fingerprint."""

    points: list[str] = field(factory=list[str])
    ran: Counter[str] = field(factory=Counter[str])
    results: dict[tuple[str, str], Json] = field(factory=dict[tuple[str, str], Json])
    before_crash: set[str] = field(factory=set[str])
    outcome: Outcome = Success()
    left: Left = Left()

    @property
    def recorded(self) -> list[str]:
        """The keys of the effects that were recorded."""
        return [key for key, _ in self.results]


class _Crash(Observer):
    """Writes the boundaries of the first worker down, and crashes it at number `at`."""

    def __init__(self, seen: _Seen, at: int | None) -> None:
        self._seen, self._at = seen, at
        self.host: Host | None = None
        self.crashed = False
        self._effect: str | None = None

    def _reach(self, host: Host | None, point: str) -> None:
        if host is None or host is not self.host or not host.alive:
            return
        self._seen.points.append(point)
        if len(self._seen.points) - 1 == self._at:
            self.crashed = True
            host.crash()

    def started(self, host: Host, job: Job) -> None:
        if host is self.host:
            self._follow(job.ctx)
        self._reach(host, "before its first line")

    def _follow(self, ctx: Context) -> None:
        """Know in which effect the handler is: what it asks for before an effect's body runs does not name a key, and
        a body that raises never comes to be recorded."""
        effect = ctx.effect

        async def followed(key: str, fn: Callable[..., Any], *args: Any) -> Any:
            self._effect = key
            try:
                return await effect(key, fn, *args)
            finally:
                self._effect = None

        vars(ctx)["effect"] = followed

    def asking(self, host: Host, ask: Ask) -> None:
        if not isinstance(ask, Act):
            return
        request = ask.request
        if request is None:
            return
        if isinstance(request, RecordEffect):
            self._seen.ran[request.key] += 1
            self._reach(host, f"after effect {request.key!r} ran and before it was recorded")
        else:
            self._reach(host, f"before event {request.type!r}")

    def replied(self, host: Host, ask: Ask) -> None:
        if not isinstance(ask, Act):
            return
        if isinstance(ask.request, EmitEvent):
            self._reach(host, f"after event {ask.request.type!r} was appended")
        elif ask.request is None and self._effect is not None:
            self._reach(host, f"before effect {self._effect!r}")

    def executed(self, execution: Execution) -> None:
        for request, answer in zip(execution.requests, execution.answers, strict=True):
            if isinstance(request, RecordEffect) and isinstance(answer, Succeeded):
                if not self.crashed:
                    self._seen.before_crash.add(request.key)
                self._reach(execution.sender, f"after effect {request.key!r} was recorded")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self._reach(host, "after it returned and before that was recorded")


def _run(
    handler: Handler, payload: Any, store: str | Make, within: float, at: int | None, but: Collection[str]
) -> _Seen:
    kind = _registered(App(), handler)
    seen = _Seen()
    with RehearsedWorld(store) as world:
        crash = _Crash(seen, at)
        world.observers.append(crash)
        world.client.start(kind.kind, payload, id=PROCESS)
        crash.host = world.worker(kind.app, name="crashed", poll_interval=POLL)
        try:
            if at is not None:
                world.run_until(lambda: crash.crashed or _ended(world), within, f"boundary {at + 1}")
                world.worker(kind.app, name="recovering", poll_interval=POLL)
            world.run_until(lambda: _ended(world), within, "the handler's end")
        except Stuck as stuck:
            reached = _listed(seen.points)
            raise AssertionError(
                f"the handler did not end: {stuck}; it reached the boundaries: {reached}"
            ) from stuck
        (row,) = world.store.records()
        assert row.outcome is not None, "it has ended"
        seen.outcome = row.outcome
        (answer,) = world.execute(ReadEffects(PROCESS, limit=100_000))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, EffectsRead)
        seen.left = left_in(world, PROCESS, but)
        seen.results = {(effect.key, effect.fingerprint): effect.result for effect in answer.reply.effects}
    return seen


def _ended(world: RehearsedWorld) -> bool:
    """Whether the one process has ended."""
    return all(row.outcome is not None for row in world.store.records())


@frozen
class _Registered:
    app: App
    kind: Kind[Any, Any]


def _registered(app: App, handler: Handler) -> _Registered:
    """The handler in an application of its own, under its own name."""
    if isinstance(handler, Kind):
        register = app.process(handler.name, emits=handler.emits, max_run=handler.max_run)
        return _Registered(app, register(handler.handler))
    name = getattr(handler, "__name__", "handler")
    return _Registered(app, app.process(name)(handler))


def _compare(whole: _Seen, struck: _Seen, at: int) -> None:
    came_by = struck.points[: at + 1]
    if came_by != whole.points[: at + 1]:
        raise AssertionError(
            f"before any crash the handler came by the boundaries {_listed(came_by)}, and in a run before by "
            f"{_listed(whole.points[: at + 1])}: its way may depend on its payload and on what its effects return, "
            "and on nothing else"
        )
    where = f"a crash {whole.points[at]} (boundary {at + 1} of {len(whole.points)})"
    if struck.outcome != whole.outcome:
        raise AssertionError(
            f"after {where} the handler ended as {_shown(struck.outcome)}, and without a crash as "
            f"{_shown(whole.outcome)}. What differs from one attempt to the next (the time, a random number, "
            "a variable of the module) belongs in an effect, whose recorded result every attempt gets"
        )
    for key in sorted(struck.before_crash):
        if struck.ran[key] > 1:
            raise AssertionError(
                f"after {where} effect {key!r} ran {struck.ran[key]} times, though it had been recorded: "
                "an effect must be asked for under the same key on every attempt"
            )
    if struck.recorded != whole.recorded:
        raise AssertionError(
            f"after {where} the effects {_quoted(struck.recorded)} were recorded, and without a crash "
            f"{_quoted(whole.recorded)}: a key that is new on every attempt makes its effect run again"
        )
    differs = difference(whole.left, struck.left)
    if differs:
        raise AssertionError(f"after {where} {differs}")


def _listed(points: list[str]) -> str:
    return ", ".join(points) or "none"


def _quoted(keys: list[str]) -> str:
    return _listed([repr(key) for key in keys])


def _shown(outcome: Outcome) -> str:
    match outcome:
        case Success():
            return f"Success({outcome.value})"
        case Failure():
            return f"Failure({outcome.failure_class}: {outcome.message})"
        case _:
            return repr(outcome)
