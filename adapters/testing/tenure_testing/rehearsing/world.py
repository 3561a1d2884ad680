"""The world in which an application is rehearsed: `tenure_testing.playing.World`, and what tests say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from attrs import frozen

from tenure.client import Handle
from tenure.process import Cancelled, Failure, Outcome, Record, Success, Work
from tenure_driver import Job
from tenure_driver.blocking import BlockingHandle
from tenure_testing.playing import Host, Make, Observer, Stuck, World
from tenure_testing.playing.world import BEGIN, PATIENCE, SECOND
from tenure_testing.rehearsing.foreign import ForeignAwait, foreign

THIEF = "thief"


@frozen
class Start:
    """A handler's start: of which process, at which time (seconds since the world began), by which worker, as which
    claim of the process."""

    process_id: str
    at: float
    worker: str
    attempt: int

    def __str__(self) -> str:
        return f"attempt {self.attempt} by {self.worker} at {self.at:g} s"


class RehearsedWorld(World):
    """A `World` for tests of an application.

    `worker(app)` starts a worker, `client` starts processes and waits for them; `run_for`, `run_until` and
    `run_until_idle` let time pass; `drop_reply` and the other faults of `World` do what they say. Processes are named
    by their handle or id, workers by what `worker` returned or by name.
    """

    def __init__(self, store: str | Make = "memory:", seed: int = 0) -> None:
        super().__init__(store, seed)
        self.starts: list[Start] = []
        self.observers.append(_Starts(self))

    @property
    def elapsed(self) -> float:
        """Seconds since the world began."""
        return (self.now - BEGIN) / SECOND

    def run_until(
        self, condition: Callable[[], bool], within: float = PATIENCE, what: str = "the condition"
    ) -> None:
        """As `World.run_until`; Stuck also tells which processes wait for a worker that is not there."""
        try:
            super().run_until(condition, within, what)
        except Stuck as stuck:
            unattended = [self._unattended(row) for row in self.store.records()]
            raise Stuck("; ".join([str(stuck), *filter(None, unattended)])) from None

    def _unattended(self, row: Record) -> str:
        """Why nobody claims the process, or nothing."""
        work = isinstance(row.registration.input, Work)
        if row.outcome is not None or not work or any(handles(host, row) for host in self.hosts):
            return ""
        runs = any(host.alive and not host.finished and host.app is not None for host in self.hosts)
        profile = row.registration.provenance.host_profile_id
        asked = f"kind {row.registration.kind!r}" + (f" and profile {profile!r}" if profile else "")
        none = "none of the workers that run is for it" if runs else "no worker runs"
        return f"process {row.id!r} is of {asked}, and {none}"

    # --- asserting ------------------------------------------------------------------------------------------------

    def assert_started(self, process: Named, times: int = 1) -> None:
        """Fail unless the process's handler was started so often: more than once is a take-over or a release."""
        name = id_of(process)
        starts = [start for start in self.starts if start.process_id == name]
        if len(starts) != times:
            listed = "; ".join(map(str, starts)) or "no start"
            raise AssertionError(f"process {name!r} was started {len(starts)} times, not {times}: {listed}")

    def assert_succeeded(self, process: Named) -> None:
        """Fail unless the process has ended as a success; a failure is told with its class, code and message."""
        row = self._row(process)
        match row.outcome:
            case Success():
                return
            case Failure() as failed:
                said = f"failed: {failed.failure_class} ({failed.code}): {failed.message}"
            case Cancelled() as cancelled:
                said = f"was cancelled: {cancelled.reason!r}"
            case None:
                said = "has not ended"
            case _:
                assert_never(row.outcome)
        raise AssertionError(f"process {row.id!r} {said}")

    # --- workers --------------------------------------------------------------------------------------------------

    def pause_worker(self, worker: Host | str | None = None, seconds: float = 60.0) -> Host:
        """Have a worker stand still for so long, as by SIGSTOP: longer than a lease lasts, unless told. None: the only
        one. When it wakes it is a zombie, if somebody took over what it had."""
        host = self._worker(worker)
        host.pause(seconds)
        return host

    def holder(self, process: Named) -> Host:
        """The worker that holds the process. Raises AssertionError where nobody does."""
        row = self._row(process)
        for host in self.hosts:
            if row.held and row.claim is not None and host.owner == row.claim.owner:
                return host
        raise AssertionError(f"no worker that runs holds process {row.id!r}")

    def steal(self, process: Named, *, wakes_after: float = 1.0) -> Host:
        """Have another worker take the lease over: the holder stands still until it has expired, and wakes
        `wakes_after` seconds later, as a zombie that does not know. Another worker is started where none runs that can
        claim the process. The one that has it now is returned. Raises AssertionError where nobody took it over."""
        robbed, row = self.holder(process), self._row(process)
        others = [host for host in self.hosts if host is not robbed and self._can_claim(host, row)]
        thieves = others or [self._twin(robbed)]
        poll = max(host.options.poll_interval for host in thieves)
        left = max(0, row.expires_at - self.store_clock()) / 1_000
        robbed.pause(left + poll * 2 + wakes_after)

        def stolen() -> bool:
            return self._row(process).token != row.token

        self.run_until(stolen, left + poll * 2 + wakes_after, f"a take-over of {row.id!r}")
        return self.holder(process)

    def _twin(self, robbed: Host) -> Host:
        """A worker like that one."""
        assert robbed.app is not None, "who holds a process has an application"
        options = robbed.options
        return self.worker(
            robbed.app,
            name=THIEF,
            timings=options.timings,
            poll_interval=options.poll_interval,
            profile=options.profile,
        )

    def _can_claim(self, host: Host, row: Record) -> bool:
        """Whether the worker handles such a process, is awake, reaches the store and has a place for one more."""
        away = max(host.asleep_until, host.cut_there_until, host.cut_back_until) > self.now
        return handles(host, row) and not away and host.running < host.options.max_running

    def _worker(self, wanted: Host | str | None) -> Host:
        if isinstance(wanted, Host):
            return wanted
        alive = [host for host in self.hosts if host.alive and host.app is not None]
        found = [host for host in alive if wanted in (None, host.name)]
        if len(found) != 1:
            what = "a worker" if wanted is None else f"the worker {wanted!r}"
            names = ", ".join(host.name for host in alive) or "nobody"
            raise AssertionError(
                f"{what} cannot be told: there is {names}; say which by what `worker` returned"
            )
        return found[0]

    def _row(self, process: Named) -> Record:
        name = id_of(process)
        for row in self.store.records():
            if row.id == name:
                return row
        raise AssertionError(f"there is no process {name!r} in this world")


def handles(host: Host, row: Record) -> bool:
    """Whether it is a worker that runs, and whose kinds and profile the process asks for."""
    profile = row.registration.provenance.host_profile_id
    return (
        host.alive
        and not host.finished
        and host.app is not None
        and row.registration.kind in host.app.kinds
        and profile in ("", host.options.profile)
    )


Named = BlockingHandle[Any] | Handle[Any] | str
"""A process, by its handle or its id."""


def id_of(process: Named) -> str:
    """Its id."""
    return process if isinstance(process, str) else process.id


class _Starts(Observer):
    def __init__(self, world: RehearsedWorld) -> None:
        self._world = world

    def started(self, host: Host, job: Job) -> None:
        self._world.starts.append(Start(job.ctx.id, self._world.elapsed, host.name, job.ctx.attempt))

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        said = foreign(outcome)
        if said:
            self._world.raises(ForeignAwait(job.ctx.id, said))
