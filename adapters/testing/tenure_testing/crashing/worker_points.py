"""Every boundary of a worker, a client or a direct run, struck: it dies there, or stands still for longer than its
lease; the store goes down; a request or its answer is lost, refused, doubled, or arrives when another has taken over.

After each strike another worker starts, or the client starts again, and the law is asked: every process ends, once, as
it ends undisturbed (L1, L9, S6), and nobody holds it; effects that were recorded before a claim are not made again
under it; sessions have the tree that they have undisturbed, and a client is told the same; each change of a row and
each step of a worker is judged as in a simulation (`tenure_testing.simulating.judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from attrs import define, field, frozen

from tenure.process import ENDED, Outcome
from tenure.replies import EventsRead, Succeeded
from tenure.requests import ReadEvents
from tenure.sessions import Open, Opened, ReadTree, SessionPolicy, TreeRead
from tenure_testing.crashing.client_scenes import CLIENT_SCENES
from tenure_testing.crashing.direct_runs import DIRECT_SCENES
from tenure_testing.crashing.points import Boundary, Violation, Watch
from tenure_testing.crashing.stage import ProgramFailed, Scene, SceneJudge, Stage
from tenure_testing.crashing.steps import Boundaries
from tenure_testing.crashing.worker_scenes import WORKER_SCENES
from tenure_testing.playing import NO_ANSWER, UNREACHABLE, Fate, Host, Stuck, World
from tenure_testing.simulating.rows import Violation as Judged

SECOND = 1_000_000_000
LATER = 40 * SECOND
"""When a delayed request arrives: its sender's lease has expired, and somebody else may have the process."""
PAUSE = 45.0
"""Seconds for which a worker stands still: longer than its lease and the wait for a take-over."""
DOWN = 2.0
"""Seconds for which the store is away."""
SCENES = (*WORKER_SCENES, *CLIENT_SCENES, *DIRECT_SCENES)
QUIET = 240.0
"""Seconds in which all is quiet (L9): twice the lease, poll and back-off, and the handlers' own time."""


# --- what can happen at a boundary --------------------------------------------------------------------------------


@frozen
class Blow:
    """`name` says what happens. `strike(world, worker, scene)` makes it happen; `before` only at the sending of a
    batch, with that `fate` for it; `dies` with the boundary after it, so that the batch has left already."""

    name: str
    strike: Callable[[World, Host, Scene], object] | None = None
    fate: Fate | None = None
    dies: bool = False
    rescued: bool = True

    def fits(self, boundary: Boundary) -> bool:
        """Whether it can happen there."""
        return self.fate is None or (boundary.when == "before" and boundary.kind.startswith("sending "))


def _crash(world: World, worker: Host, scene: Scene) -> None:
    worker.crash()


def _pause(world: World, worker: Host, scene: Scene) -> None:
    worker.pause(PAUSE)


def _store_down(world: World, worker: Host, scene: Scene) -> None:
    """A session is open in its handler's own process; the world's restart would close it there, as nothing does."""
    world.store_down(DOWN, restarts=not scene.sessions)


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
    """`boundaries`: as many as undisturbed runs reached; `listed`: the strikes; `kinds`: which boundaries, in words;
    `met`: see `Boundaries`."""

    boundaries: int = 0
    listed: list[tuple[str, str, str]] = field(factory=list[tuple[str, str, str]])
    kinds: set[str] = field(factory=set[str])
    met: set[tuple[str, type]] = field(factory=set[tuple[str, type]])
    violations: list[Violation] = field(factory=list[Violation])


@frozen
class Ended:
    """How a scene ended: the outcomes, the sessions' trees, what a client was told, how often each process was claimed,
    and what was reached and met by whoever was struck."""

    outcomes: dict[str, Outcome | None]
    trees: dict[str, object]
    told: object
    claims: dict[str, int]
    seen: tuple[Boundary, ...]
    met: frozenset[tuple[str, type]]
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
        points.met |= whole.met
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
    elif struck.trees != whole.trees:
        yield "CONTRACT §8", f"the sessions are {struck.trees}, and undisturbed {whole.trees}"
    elif struck.told != whole.told:
        yield "S10", f"the client is told {struck.told}, and undisturbed {whole.told}"
    elif not blow.rescued and blow.fate is not None:
        for process, claims in struck.claims.items():
            if claims > whole.claims[process]:
                said = f"one fault on the way, and {process} was claimed {claims} times, not {whole.claims[process]}"
                yield "L3", said


def play(scene: Scene, watch: Watch, blow: Blow | None, url: str) -> Ended:
    """One run of the scene, struck at `watch.at`; then whoever is to come comes, and all is let go on until it is
    quiet."""
    boundaries = Boundaries(watch)
    with World(url, weather=scene.weather(), limits=scene.limits) as world:
        judge = SceneJudge(world)
        stage = Stage(world, judge, partial(_employed, boundaries))
        world.observers += [judge, boundaries] if scene.judged else [boundaries]
        if blow is not None:
            watch.strike = partial(_struck, world, boundaries, blow, scene, stage.rescue)
        breach = None
        try:
            scene.play(stage)
            watch.on = False  # what comes now is the same, whatever happened
            stage.rescue()
            world.run_until_idle(QUIET)
            if world.store.down:
                world.run_for(DOWN)
            _only_once(world)
            if blow is not None and (blow.fate is not None or blow.strike is _pause):
                world.run_for(LATER / SECOND + PAUSE)  # whatever arrives late, or wakes up
                _only_once(world)
            if scene.judged:
                judge.look()
                judge.rows.conclude()
        except Judged as judged:
            breach = judged.number, judged.what
        except Stuck as stuck:
            breach = "L9", str(stuck)
        except ProgramFailed as failed:
            breach = "S10", str(failed)
        ended, claims = _outcomes(world), {row.id: row.claims for row in world.store.records()}
        met = frozenset(boundaries.met)
        return Ended(ended, _trees(world, scene), stage.told, claims, tuple(watch.seen), met, breach)


def _outcomes(world: World) -> dict[str, Outcome | None]:
    """How every process ended."""
    return {row.id: row.outcome for row in world.store.records()}


def _trees(world: World, scene: Scene) -> dict[str, object]:
    """Head and entries of each session that the scene names, as whoever opens it next finds them."""
    trees: dict[str, object] = {}
    for name in scene.sessions:
        session = world.store.facets().sessions.open(name, SessionPolicy())
        opened, tree = session.execute(Open()), session.execute(ReadTree())
        assert isinstance(opened, Opened)
        assert isinstance(tree, TreeRead)
        trees[name] = opened.head, [(entry.id, entry.parent, entry.body) for entry in tree.entries]
    return trees


def _employed(boundaries: Boundaries, host: Host) -> None:
    boundaries.host = host
    boundaries.watch.on = True


def _struck(
    world: World, boundaries: Boundaries, blow: Blow, scene: Scene, rescue: Callable[[], object]
) -> None:
    worker, watch = boundaries.host, boundaries.watch
    assert worker is not None
    if blow.fate is not None:
        world.rule(object, blow.fate, worker.name)
    if blow.dies:
        assert watch.at is not None
        watch.at, watch.strike = watch.at + 1, worker.crash
    if blow.strike is not None:
        blow.strike(world, worker, scene)
    if blow.rescued:
        world.after(0.1, rescue)


def _only_once(world: World) -> None:
    """S6 in the log: exactly one terminal event, the last; and an event with a key once per process. Nobody holds
    what has ended."""
    for row in world.store.records():
        if row.held:
            raise Judged("L1", f"{row.id} is held, and all is quiet")
        (answer,) = world.execute(ReadEvents(row.id, limit=1_000))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, EventsRead)
        types = [event.type for event in answer.reply.events]
        if types.count(ENDED) != 1 or types[-1] != ENDED:
            raise Judged("S6", f"{row.id} has the events {types}, where one ended and that is the last")
        keys = [event.key for event in answer.reply.events]
        if len(set(keys)) != len(keys):
            raise Judged("S10", f"{row.id} has an event twice: {keys}")
