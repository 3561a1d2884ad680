"""The demo as it happens: three workers, one of them killed and replaced, one stopped and come back too late."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tenure.process import Record
from tenure.replies import EndingsRead, FenceLogRead, Got
from tenure.requests import Get, ReadEndings, ReadFenceLog
from tenure.stores import ProcessRegistry
from tenure_cli.demo.children import Children, Worker
from tenure_cli.demo.display import Display, Seen
from tenure_cli.demo.evidence import FENCE_LOG, PAGE, Runs, ask, read_records
from tenure_cli.demo.handler import KIND
from tenure_cli.demo.journal import What, lines
from tenure_cli.demo.library import Library
from tenure_cli.demo.rounds import missing, register, rounds_of

TICK = 0.05
"""Seconds between two looks at everything."""
KILL_AT, STOP_AT = 0.04, 0.08
"""Shares of the work after which the one worker is killed and the other stopped: both within the first third."""
PATIENCE = 60.0
"""Seconds without any progress, or for one step, after which the demo has failed."""


class DemoFailed(Exception):
    """Something that the demo waits for did not come."""


class Scene:
    """One run of the demo on a store."""

    def __init__(self, store: ProcessRegistry, children: Children, folder: Path, shown: Display) -> None:
        self._store, self._children, self._folder, self._shown = store, children, folder, shown
        self._run = secrets.token_hex(3)
        self._runs = Runs(folder, self._run)
        self._todo: frozenset[str] = frozenset()
        self._done: set[str] = set()
        self._version = 0
        self._gone: set[str] = set()
        self._killed: set[str] = set()

    def play(self, library: Library) -> None:
        """All of it. Raises DemoFailed, ChildEnded, StoreUnavailable."""
        try:
            known = read_records(self._store, KIND)
            doomed = self._start("trio")
            zombie = self._start("asyncio")
            self._start("asyncio")
            self._register(library, known)
            self._kill_one(doomed)
            self._stop_one(zombie)
            self._bring_back(zombie)
            self._finish()
        finally:
            self._runs.close()

    # --- the acts -------------------------------------------------------------------------------------------------

    def _start(self, loop: str) -> Worker:
        worker = self._children.start(f"{self._run}-{len(self._children.workers) + 1}", loop)
        self._shown.say(f"worker {worker.name} started on {loop}, process {worker.pid}")
        return worker

    def _register(self, library: Library, known: list[Record]) -> None:
        wanted = missing(library, known)
        open_ = [record.id for record in known if record.outcome is None]
        if known:
            self._shown.say(
                f"the store has {len(known)} processes; {len(open_)} of them have not ended and go on"
            )
        self._todo = frozenset(open_) | {one.id for one in wanted}
        register(self._store, wanted)
        rounds = rounds_of(wanted)
        self._shown.say(f"{len(wanted)} processes registered" + (f" ({rounds})" if rounds else ""))

    def _kill_one(self, doomed: Worker) -> None:
        self._until(
            lambda: self._share() >= KILL_AT and bool(self._held(doomed)),
            "the first processes to end, and a worker to have some in its hands",
            at_work=True,
        )
        held = len(self._held(doomed))
        self._gone.add(doomed.name)
        self._killed.add(doomed.name)
        doomed.send(signal.SIGKILL)
        self._shown.say(
            f"worker {doomed.name} killed with SIGKILL, {held} processes in its hands, "
            f"at {self._share():.0%} of the work; another one replaces it"
        )
        self._start("trio")

    def _stop_one(self, zombie: Worker) -> None:
        self._until(lambda: self._share() >= STOP_AT, "more processes to end")
        zombie.tell_to_stop()
        self._until(
            lambda: not zombie.running, "a worker to stop itself with a Complete in its hands", at_work=True
        )
        late = len(self._late(zombie))
        self._shown.say(
            f"worker {zombie.name} stopped itself with SIGSTOP, {late} outcomes about to be written, "
            f"at {self._share():.0%} of the work"
        )

    def _bring_back(self, zombie: Worker) -> None:
        """Continue it once nothing is its own any more, and see the store refuse what it then writes."""
        held, late = self._held(zombie), self._late(zombie)
        self._until(lambda: self._taken(held), "other workers to take over from the stopped one")
        zombie.send(signal.SIGCONT)
        self._shown.say(
            f"worker {zombie.name} continued: others hold or have ended its {len(held)} processes"
        )
        self._until(lambda: late <= self._refused(), "the store to refuse the late writes")
        self._shown.say(f"the store refused its {len(late)} late outcomes")

    def _finish(self) -> None:
        self._until(lambda: self._todo <= self._done, "all processes to end")
        self._gone = {worker.name for worker in self._children.workers}
        for worker in self._children.workers:
            worker.send(signal.SIGTERM)
        alive = [worker for worker in self._children.workers if worker.name not in self._killed]
        self._until(lambda: all(w.exit is not None for w in alive), "the workers to drain")
        for worker in alive:
            if worker.exit != 0:
                raise DemoFailed(
                    f"worker {worker.name} drained with exit status {worker.exit}; see {worker.log}"
                )
        self._shown.say("all processes have ended, the workers are drained")

    # --- what it looks at -----------------------------------------------------------------------------------------

    def _until(self, holds: Callable[[], bool], what: str, *, at_work: bool = False) -> None:
        """Look at everything, again and again, until it holds. Raises DemoFailed where nothing moves any more, and at
        once where it takes workers `at_work` and all processes have ended."""
        moved, done = time.monotonic(), -1
        while True:
            self._look()
            if holds():
                return
            if at_work and self._todo <= self._done:
                raise DemoFailed(
                    f"all {len(self._todo)} processes have ended, and it still takes {what}: "
                    "start the demo again on the same store, which registers more"
                )
            now = time.monotonic()
            if len(self._done) != done:
                moved, done = now, len(self._done)
            if now - moved > PATIENCE:
                raise DemoFailed(f"waited {PATIENCE:g} s in vain for {what}; see the logs in {self._folder}")
            time.sleep(TICK)

    def _look(self) -> None:
        self._children.unexpected(self._gone)
        self._runs.seen()
        more = True
        while more:
            (reply,) = ask(self._store, [ReadEndings(self._version, PAGE)])
            assert isinstance(reply, EndingsRead)
            self._done |= {name for _, name in reply.endings} & self._todo
            more = len(reply.endings) == PAGE
            if reply.endings:
                self._version = reply.endings[-1][0]
        workers = [Seen(w.name, w.loop, w.pid, self._state(w)) for w in self._children.workers]
        self._shown.progress(len(self._done), len(self._todo), workers)

    def _state(self, worker: Worker) -> str:
        if worker.name in self._killed:
            return "killed"
        return "stopped" if worker.stopped else "running" if worker.exit is None else "drained"

    def _share(self) -> float:
        return len(self._done) / max(1, len(self._todo))

    def _held(self, worker: Worker) -> dict[str, int]:
        """The processes that the worker holds, each with its token; whoever is stopped holds them past the expiry."""
        owner = worker.owner()
        if owner is None:
            return {}
        found: dict[str, int] = {}
        left = sorted(self._todo - self._done)
        for start in range(0, len(left), PAGE):
            for reply in ask(self._store, [Get(one) for one in left[start : start + PAGE]]):
                assert isinstance(reply, Got)
                record = reply.record
                if record.held and record.claim is not None and record.claim.owner == owner:
                    found[record.id] = record.token
        return found

    def _taken(self, held: dict[str, int]) -> bool:
        replies = ask(self._store, [Get(one) for one in held])
        records = [reply.record for reply in replies if isinstance(reply, Got)]
        return all(record.token > held[record.id] or record.outcome is not None for record in records)

    def _late(self, zombie: Worker) -> set[tuple[str, int]]:
        return {(line.process, line.token) for line in lines(zombie.journal) if line.what is What.STOPPED}

    def _refused(self) -> set[tuple[str, int]]:
        (log,) = ask(self._store, [ReadFenceLog(FENCE_LOG)])
        assert isinstance(log, FenceLogRead)
        return {(note.process_id, note.stale) for note in log.notes if note.request == "Complete"}
