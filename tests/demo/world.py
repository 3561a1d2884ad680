"""A small demo that never ran: three processes, one whose worker was lost, one whose worker came back too late, with
what the workers wrote down. Everything that the audit judges is in it once, so that a test can plant the opposite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from attrs import asdict, define, field

from tenure.canonical import canonical, digest
from tenure.instants import StoreTime
from tenure.process import ClaimId, Fence, Outcome, Success
from tenure.replies import Answer, Claimed, Completed, Fenced, Got, Succeeded
from tenure.requests import Claim, Complete, Get, RecordEffect, Request
from tenure.stores import ProcessRegistry
from tenure_cli.demo.audit import Audit, audit
from tenure_cli.demo.evidence import Runs, gather
from tenure_cli.demo.handler import EFFECTS, KIND
from tenure_cli.demo.journal import Journal, What
from tenure_cli.demo.library import File
from tenure_cli.demo.measure import Measured
from tenure_cli.demo.rounds import register, registration
from tenure_sqlite import open_store

TTL = 1_000


@define
class World:
    """The store, and the folder of the workers' files beside it. `now` is the store's clock, in ms."""

    path: Path
    now: int = 1_000_000
    store: ProcessRegistry = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.folder.mkdir()
        self.store = open_store(self.url, clock=lambda: StoreTime(self.now))

    @property
    def url(self) -> str:
        """The store's."""
        return f"sqlite:///{self.path}"

    @property
    def folder(self) -> Path:
        """Where the command looks for the workers' files."""
        return self.path.with_name(self.path.name + ".demo")

    def journal(self, worker: str) -> Path:
        """A worker's file."""
        return self.folder / f"{worker}.ndjson"

    def execute(self, request: Request) -> Answer:
        (answer,) = self.store.execute([request])
        return answer

    def claim(self, worker: str, n: int, process: str) -> Fence:
        answer = self.execute(Claim(ClaimId(worker, n), process, TTL))
        assert isinstance(answer, Succeeded), answer
        assert isinstance(answer.reply, Claimed)
        return answer.reply.grants[0].fence

    def attempt(self, worker: str, fence: Fence, effects: int, outcome: Outcome | None) -> Answer | None:
        """One attempt, written down as a worker does: so many effects, and the outcome, if it comes to that."""
        journal = Journal(self.journal(worker))
        where = (fence.process_id, fence.token)
        journal.write(What.STARTED, *where)
        for key in EFFECTS[:effects]:
            since = journal.write(What.EFFECT_BEGUN, *where, key)
            journal.write(What.EFFECT_ENDED, *where, key, since=since)
            recorded = self.execute(RecordEffect(fence, key, "fingerprint", canonical(1)))
            assert isinstance(recorded, Succeeded), recorded
        answer = None
        if outcome is not None:
            answer = self.execute(Complete(fence, outcome))
            if isinstance(answer, Succeeded):
                assert isinstance(answer.reply, Completed)
                journal.write(What.ENDED, *where, str(answer.reply.stamp.version))
        journal.close()
        return answer

    def audit(self) -> Audit:
        """What the audit says of it now."""
        return audit(gather(self.store, self.folder, KIND))

    def append(self, worker: str, what: What, process: str, token: int, key: str = "") -> None:
        """Plant a line."""
        journal = Journal(self.journal(worker))
        journal.write(what, process, token, key)
        journal.close()

    def drop(self, worker: str, unwanted: Callable[[dict[str, object]], bool]) -> None:
        """Take lines out of a file."""
        path = self.journal(worker)
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not unwanted(json.loads(line))]
        assert len(kept) < len(lines)
        path.write_text("".join(kept))

    def tamper(self, *statements: str) -> None:
        """Change the database behind the store's back."""
        link = sqlite3.connect(self.path, isolation_level=None)
        try:
            for statement in statements:
                assert link.execute(statement).rowcount > 0, statement
        finally:
            link.close()

    def token(self, process: str) -> int:
        """The token that the process ended under."""
        answer = self.execute(Get(process))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Got)
        return answer.reply.record.token


def measured(name: str) -> Success:
    """What a handler returns."""
    return Success(canonical(asdict(Measured(name, 10, 2, True, names={"self": 3}))))


def sound_world(folder: Path) -> World:
    """A world in which everything holds."""
    world = World(folder / "demo.db")
    register(
        world.store, [registration(File(name, f"/{digest(name)}"), 1) for name in ("plain", "lost", "late")]
    )
    Runs(world.folder, "run").close()

    assert isinstance(world.attempt("w1", world.claim("w1", 1, "plain"), 2, measured("plain")), Succeeded)

    world.attempt("w1", world.claim("w1", 2, "lost"), 1, None)  # killed after its first effect
    late = world.claim("w2", 1, "late")
    world.now += TTL  # the lease is over at its expiry, and not a moment later
    journal = Journal(world.journal("w3"))
    lost = world.claim("w3", 1, "lost")
    journal.write(What.STARTED, "lost", lost.token)
    since = journal.write(
        What.EFFECT_BEGUN, "lost", lost.token, EFFECTS[1]
    )  # the first one is in the journal
    journal.write(What.EFFECT_ENDED, "lost", lost.token, EFFECTS[1], since=since)
    world.execute(RecordEffect(lost, EFFECTS[1], "fingerprint", canonical(1)))
    for _ in range(2):  # the second one is a replay, after an answer that came late
        answer = world.execute(Complete(lost, measured("lost")))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Completed)
        journal.write(What.ENDED, "lost", lost.token, str(answer.reply.stamp.version))
    journal.close()

    assert isinstance(world.attempt("w3", world.claim("w3", 2, "late"), 2, measured("late")), Succeeded)
    assert isinstance(world.attempt("w2", late, 0, measured("late")), Fenced)
    world.append("w2", What.DECLINED, "late", late.token, "Renew")
    # The zombie was about to begin an effect when it was stopped: that may happen, and is no repetition.
    world.append("w2", What.EFFECT_BEGUN, "late", late.token, EFFECTS[0])
    return world
