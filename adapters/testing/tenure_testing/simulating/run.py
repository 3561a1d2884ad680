"""One seed from its plan to its verdict."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from tenure.limits import Limits
from tenure.timings import LeaseTimings
from tenure_testing.playing import Host, Stuck, Task, World
from tenure_testing.simulating.bounds import outside
from tenure_testing.simulating.clients import (
    LATEST_CANCEL,
    LONGEST_DELAY,
    PAUSE,
    WasPruned,
    cancelling,
    starting,
)
from tenure_testing.simulating.company import HORIZONS, company
from tenure_testing.simulating.judge import Judge
from tenure_testing.simulating.plans import Plan
from tenure_testing.simulating.rows import Violation
from tenure_testing.simulating.scripts import BOUNDED, MAX_RUN, application, script_of
from tenure_testing.simulating.sessions import sessions
from tenure_testing.simulating.storm import CLIENT, OUTLASTS, Chaos, Storm
from tenure_testing.simulating.tracing import Trace

LIMITS = Limits(takeover_wait=500, takeover_cap=4_000)
TIMINGS = LeaseTimings()
CANCELLED = 0.3
"""The share of processes that somebody cancels, where a plan has that."""
MAX_LOST = (3, 10)
POLL = 1.0
GRACE = 10.0
SETTLING = (
    2 * TIMINGS.ttl + POLL + LIMITS.takeover_cap / 1_000 + LONGEST_DELAY + 2 * TIMINGS.call_timeout + PAUSE
)
"""Seconds after the last fault for two leases, a look at the store, the wait for a take-over, a start's delay, a call
without an answer and its repetition: what convergence owes besides the time that handlers take (L9)."""

LEFT_BEHIND = MAX_RUN + TIMINGS.ttl + LIMITS.takeover_cap / 1_000
"""Seconds for which an attempt that does not stop has its process."""
ERROR = "error"
"""Stands for a property where the product raised what it must not raise."""


@frozen
class Verdict:
    """What became of a seed. `broken` and `what` say which property does not hold, or are empty; `last` are the
    newest lines of the trace then. `met` and `faults` count."""

    plan: Plan
    hash: str
    steps: int
    events: int
    seconds: float
    faults: dict[str, int]
    met: dict[str, int]
    broken: str = ""
    what: str = ""
    last: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every property holds."""
        return not self.broken

    def json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def run(plan: Plan) -> Verdict:
    """Play the plan to its end, or to the first property that does not hold."""
    if plan.store == "memory":
        return _run(plan, "memory:")
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="tenure-simulation-", dir=shared if shared.is_dir() else None
    ) as folder:
        return _run(plan, f"sqlite:///{folder}/{plan.seed}.db")


def _run(plan: Plan, url: str) -> Verdict:
    faults: Counter[str] = Counter()

    def count(fault: str) -> None:
        faults[fault] += 1

    storm = Storm(plan, count)
    number, what = "", ""
    limits = _limits(plan)
    with World(url, plan.seed, weather=storm, limits=limits) as world:
        judge, trace = Judge(world, plan.gentle, limits.retry_horizon), Trace(world)
        world.observers += [trace, judge, *outside(plan, world, judge.met)]
        began = world.now
        try:
            _play(plan, world, storm, judge, count)
        except Violation as broken:
            number, what = broken.number, broken.what
        except Stuck as stuck:
            number, what = "L9", str(stuck)
        except Exception as raised:  # a machine's Misuse, say: no schedule may bring that about
            number, what = ERROR, f"{type(raised).__name__}: {raised}"
        return Verdict(
            plan,
            trace.hash,
            world.steps,
            trace.count,
            (world.now - began) / 1e9,
            dict(sorted(faults.items())),
            dict(sorted(judge.met.items())),
            number,
            what,
            tuple(trace.last) if number else (),
        )


def _limits(plan: Plan) -> Limits:
    """Those of the store."""
    if "prune" not in plan.company:
        return LIMITS
    return evolve(LIMITS, retry_horizon=plan.random("horizon").choice(HORIZONS))


def _play(plan: Plan, world: World, storm: Storm, judge: Judge, count: Callable[[str], None]) -> None:
    played = sessions(plan, world, judge.sessions, lambda: storm.calm) if "sessions" in plan.company else None
    app = application(judge.made, judge, count)
    random = plan.random("workers")
    alone = random.random() < 0.7  # else all have one name
    workers = [
        world.worker(
            app,
            name=f"w{number}" if alone else "twin",
            offset=random.randrange(100),
            max_lost=random.choice(MAX_LOST),
            max_running=plan.slots,
            timings=TIMINGS,
            poll_interval=POLL,
            grace=GRACE,
        )
        for number in range(1, plan.workers + 1)
    ]
    visitor = world.visitor(CLIENT)
    tasks, seconds = _clients(plan, visitor, judge.rows.was_pruned, count)
    others = company(plan, visitor, judge)
    chaos = Chaos(plan, world, workers, count)
    world.run_for(plan.storm)
    storm.calm = True
    chaos.calm()
    bound = _bound(plan, seconds) + chaos.stepped
    waiting = tasks + others

    def over() -> bool:
        while waiting and waiting[-1].done:
            waiting.pop()
        if waiting or any(host.running for host in workers):
            return False
        return "prune" not in plan.company or judge.rows.ended

    try:
        world.run_until(over, bound, "the end of every process")
    except Stuck as stuck:
        raise Violation("L9", f"{stuck}: {_unfinished(world, tasks + others)}") from stuck
    for number, task in enumerate(tasks[: plan.processes]):
        if task.error is not None:
            raise Violation("L9", f"the client of p{number} ended by {task.error!r}")
        if task.value is not None:
            judge.rows.agrees(f"p{number}", task.value)
    for task in others:
        if task.error is not None:
            raise task.error
    judge.look()
    judge.look_at_logs()
    if played is not None:
        judge.sessions.look(played.stored().sessions)
    judge.rows.conclude()
    judge.logs.conclude()


def _bound(plan: Plan, seconds: list[float]) -> float:
    """Seconds after the storm in which everything is over (L9). Handlers take as long as the longest, and as the sum
    shared by all slots; one that blocks its loop has its worker to itself."""
    outlasts = max((OUTLASTS.get(fault, 0.0) for fault in plan.faults), default=0.0)
    if "cancel" in plan.faults:
        outlasts = max(outlasts, (LATEST_CANCEL - 1) * plan.storm)
    places = plan.workers * (1 if "blocks" in plan.faults else plan.slots)
    # A start that comes late, after its process was pruned, makes it once more.
    times = 2 if "prune" in plan.company else 1
    return outlasts + times * (SETTLING + max(seconds) + sum(seconds) / places)


def _clients(
    plan: Plan, visitor: Host, was_pruned: WasPruned, count: Callable[[str], None]
) -> tuple[list[Task], list[float]]:
    tasks: list[Task] = []
    seconds: list[float] = []
    for number in range(plan.processes):
        kind, script, takes = script_of(plan, number)
        # Past its max_run and deaf, it is left behind again and again, until it has lost its workers too often; and
        # each time it keeps its place until it returns, and perhaps there is no other.
        deaf = (
            kind == BOUNDED
            and takes > MAX_RUN
            and any(operation in ("block", "ignore") for operation, *_ in script)
        )
        seconds.append((1 + max(MAX_LOST)) * max(takes, LEFT_BEHIND) if deaf else takes)
        tasks.append(visitor.play(starting(visitor.client, plan, number, kind, script, was_pruned)))
    if "cancel" in plan.faults:
        random = plan.random("cancels")
        for number in range(plan.processes):
            if random.random() < CANCELLED:
                count("cancel")
                tasks.append(visitor.play(cancelling(visitor.client, plan, number, was_pruned)))
    return tasks, seconds


def _unfinished(world: World, tasks: list[Task]) -> str:
    rows = [row.id for row in world.store.records() if row.outcome is None]
    held = [host.name for host in world.hosts if host.running]
    return f"processes {rows}, workers that hold something {held}, clients that wait {sum(not t.done for t in tasks)}"
