"""Every boundary of a worker, struck: it dies there, or stands still for longer than its lease; the store goes down; a
request or its answer is lost, refused, doubled, or arrives when another has taken over.

After each strike another worker starts, and the law is asked: every process ends, once, as it ends undisturbed (L1,
L9, S6); effects that were recorded before a claim are not made again under it; each change of a row and each step of
a worker is judged as in a simulation (`tenure_testing.simulating.judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import assert_never

from attrs import define, field, frozen

from tenure.asks import Act, Ask, AwaitEnd, AwaitEvents, CallPlain, Submit
from tenure.process import ENDED, Outcome
from tenure.replies import Answer, EventsRead, Succeeded
from tenure.requests import ReadEvents
from tenure_driver import Job
from tenure_driver.messages import Inbound, Outbox, StoreCall
from tenure_testing.crashing.points import Boundary, Violation, Watch
from tenure_testing.crashing.worker_scenes import Scene, Stage, outcomes
from tenure_testing.playing import (
    NO_ANSWER,
    UNREACHABLE,
    Execution,
    Fate,
    Host,
    Observer,
    Stuck,
    World,
)
from tenure_testing.simulating.judge import Judge
from tenure_testing.simulating.rows import Violation as Judged

SECOND = 1_000_000_000
LATER = 40 * SECOND
"""When a delayed request arrives: its sender's lease has expired, and somebody else may have the process."""
PAUSE = 45.0
"""Seconds for which a worker stands still: longer than its lease and the wait for a take-over."""
DOWN = 2.0
"""Seconds for which the store is away."""
QUIET = 240.0
"""Seconds in which all is quiet (L9): twice the lease, poll and back-off, and the handlers' own time."""


class Boundaries(Observer):
    """Has a watch reach a boundary at each step of one worker: `host`, once it is employed."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.host: Host | None = None

    def _at(self, host: Host | None, when: str, kind: str) -> None:
        if host is self.host and host is not None and host.alive:
            self.watch.reach(Boundary(when, kind))

    def turned(self, host: Host, inbox: Sequence[Inbound], box: Outbox) -> None:
        wants = [*(type(call.request) for call in box.calls), *map(type, box.loop)]
        self._at(host, "after", f"a turn that wants {_names(wants)}")

    def declined(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._at(host, "after", f"dropping {_of(calls)}")

    def sending(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._at(host, "before", f"sending {_of(calls)}")

    def sent(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._at(host, "after", f"sending {_of(calls)}")

    def executed(self, execution: Execution) -> None:
        self._at(execution.sender, "after", f"the commit of {_names(map(type, execution.requests))}")

    def heard(self, host: Host, calls: Sequence[StoreCall], answers: Sequence[Answer]) -> None:
        self._at(host, "after", f"hearing {_names(map(type, answers))} of {_of(calls)}")

    def starting(self, host: Host, job: Job) -> None:
        self._at(host, "before", "starting a handler")

    def started(self, host: Host, job: Job) -> None:
        self._at(host, "before", "the handler's first line")

    def cancelling(self, host: Host, token: int) -> None:
        self._at(host, "before", "cancelling a handler")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self._at(host, "after", f"the handler's end: {type(outcome).__name__}")

    def asking(self, host: Host, ask: Ask) -> None:
        self._at(host, "before", f"a handler's call: {_ask(ask)}")

    def replied(self, host: Host, ask: Ask) -> None:
        self._at(host, "after", f"a handler's call: {_ask(ask)}")


def _of(calls: Sequence[StoreCall]) -> str:
    return _names(type(call.request) for call in calls)


def _names(kinds: Iterable[type]) -> str:
    return " and ".join(sorted({kind.__name__ for kind in kinds})) or "nothing"


def _ask(ask: Ask) -> str:
    match ask:
        case Act(request=None):
            return "leave to act"
        case Act() | Submit():
            return type(ask.request).__name__
        case CallPlain():
            return "a plain function"
        case AwaitEnd():
            return "the end of a process"
        case AwaitEvents():
            return "an event"
        case _:
            assert_never(ask)


# --- what can happen at a boundary --------------------------------------------------------------------------------


@frozen
class Blow:
    """`name` says what happens. `strike(world, worker)` makes it happen; `before` only at the sending of a batch, with
    that `fate` for it; `dies` with the boundary after it, so that the batch has left already."""

    name: str
    strike: Callable[[World, Host], object] | None = None
    fate: Fate | None = None
    dies: bool = False
    rescued: bool = True

    def fits(self, boundary: Boundary) -> bool:
        """Whether it can happen there."""
        return self.fate is None or (boundary.when == "before" and boundary.kind.startswith("sending "))


def _crash(world: World, worker: Host) -> None:
    worker.crash()


def _pause(world: World, worker: Host) -> None:
    worker.pause(PAUSE)


def _store_down(world: World, worker: Host) -> None:
    world.store_down(DOWN)


DIES = Blow("the worker dies", _crash)
PAUSES = Blow("the worker stands still", _pause)
STORE_DOWN = Blow("the store goes down", _store_down, rescued=False)
ON_THE_WAY = (
    Blow("it dies, and the request is lost", fate=Fate(()), dies=True),
    Blow("it dies, and the request arrives late", fate=Fate((LATER,)), dies=True),
    Blow("the request is lost", fate=Fate((), 2 * SECOND, NO_ANSWER), rescued=False),
    Blow("the answer is lost", fate=Fate(heard=2 * SECOND, says=NO_ANSWER), rescued=False),
    Blow("the store cannot be reached", fate=Fate((), says=UNREACHABLE), rescued=False),
    Blow("the request is doubled", fate=Fate((SECOND // 1_000, LATER)), rescued=False),
    Blow("the request arrives late", fate=Fate((LATER,), 2 * SECOND, NO_ANSWER), rescued=False),
)
BLOWS = (DIES, *ON_THE_WAY, STORE_DOWN, PAUSES)


# --- enumeration --------------------------------------------------------------------------------------------------


@define
class WorkerPoints:
    """`boundaries`: as many as undisturbed runs reached; `listed`: the strikes; `kinds`: which boundaries, in words."""

    boundaries: int = 0
    listed: list[tuple[str, str, str]] = field(factory=list[tuple[str, str, str]])
    kinds: set[str] = field(factory=set[str])
    violations: list[Violation] = field(factory=list[Violation])


@frozen
class Ended:
    """How a scene ended: the outcomes, how often each process was claimed, and what its worker reached."""

    outcomes: dict[str, Outcome | None]
    claims: dict[str, int]
    seen: tuple[Boundary, ...]
    breach: tuple[str, str] | None


def worker_points(
    scenes: Iterable[Scene], blows: Iterable[Blow] = BLOWS, url: Callable[[], str] = lambda: "memory:"
) -> WorkerPoints:
    """Strike each boundary of each scene by each blow that fits there. `url` makes a store's URL for each run."""
    points = WorkerPoints()
    blows = tuple(blows)
    for scene in scenes:
        whole = play(scene, Watch(), None, url())
        if whole.breach:
            points.violations.append(
                Violation(whole.breach[0], f"nothing, in {scene.name!r}", whole.breach[1])
            )
        points.boundaries += len(whole.seen)
        points.kinds.update(map(str, whole.seen))
        for at, boundary in enumerate(whole.seen):
            for blow in blows:
                if blow.fits(boundary):
                    points.listed.append((scene.name, blow.name, str(boundary)))
                    struck = play(scene, Watch(at), blow, url())
                    point = f"{blow.name!r} {boundary}, boundary {at} of {scene.name!r}"
                    for law, said in _judged(whole, struck, at, blow):
                        points.violations.append(Violation(law, point, said))
    return points


def _judged(whole: Ended, struck: Ended, at: int, blow: Blow) -> Iterable[tuple[str, str]]:
    if struck.seen[: at + 1] != whole.seen[: at + 1]:
        yield "the harness", "the run up to the strike was another one"
    elif struck.breach:
        yield struck.breach
    elif struck.outcomes != whole.outcomes:
        yield "S6", f"it ended as {struck.outcomes}, and undisturbed as {whole.outcomes}"
    elif not blow.rescued and blow.fate is not None:
        for process, claims in struck.claims.items():
            if claims > whole.claims[process]:
                said = f"one fault on the way, and {process} was claimed {claims} times, not {whole.claims[process]}"
                yield "L3", said


def play(scene: Scene, watch: Watch, blow: Blow | None, url: str) -> Ended:
    """One run of the scene, struck at `watch.at`; then another worker comes, and all is let go on until it is quiet."""
    boundaries = Boundaries(watch)
    with World(url, weather=scene.weather()) as world:
        judge = Judge(world, gentle=False)
        stage = Stage(world, judge, partial(_employed, boundaries))
        world.observers += [judge, boundaries]
        rescue = partial(stage.another, "rescue")
        if blow is not None:
            watch.strike = partial(_struck, world, boundaries, blow, rescue)
        breach = None
        try:
            scene.play(stage)
            watch.on = False  # what comes now is the same, whatever happened
            if not any(host.name == "rescue" for host in world.hosts):
                rescue()
            world.run_until_idle(QUIET)
            if world.store.down:
                world.run_for(DOWN)
            _only_once(world)
            if blow is not None and (blow.fate is not None or blow.strike is _pause):
                world.run_for(LATER / SECOND + PAUSE)  # whatever arrives late, or wakes up
                _only_once(world)
            judge.look()
            judge.rows.conclude()
        except Judged as judged:
            breach = judged.number, judged.what
        except Stuck as stuck:
            breach = "L9", str(stuck)
        claims = {row.id: row.claims for row in world.store.records()}
        return Ended(outcomes(world), claims, tuple(watch.seen), breach)


def _employed(boundaries: Boundaries, host: Host) -> None:
    boundaries.host = host
    boundaries.watch.on = True


def _struck(world: World, boundaries: Boundaries, blow: Blow, rescue: Callable[[], object]) -> None:
    worker, watch = boundaries.host, boundaries.watch
    assert worker is not None
    if blow.fate is not None:
        world.rule(object, blow.fate, worker.name)
    if blow.dies:
        assert watch.at is not None
        watch.at, watch.strike = watch.at + 1, worker.crash
    if blow.strike is not None:
        blow.strike(world, worker)
    if blow.rescued:
        world.after(0.1, rescue)


def _only_once(world: World) -> None:
    """S6 in the log: exactly one terminal event, the last; and an event with a key once per process."""
    for row in world.store.records():
        (answer,) = world.execute(ReadEvents(row.id, limit=1_000))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, EventsRead)
        types = [event.type for event in answer.reply.events]
        if types.count(ENDED) != 1 or types[-1] != ENDED:
            raise Judged("S6", f"{row.id} has the events {types}, where one ended and that is the last")
        keys = [event.key for event in answer.reply.events]
        if len(set(keys)) != len(keys):
            raise Judged("S10", f"{row.id} has an event twice: {keys}")
