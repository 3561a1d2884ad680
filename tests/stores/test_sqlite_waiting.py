"""Waiting for another process's write transaction: which time counts, how long it may take, how others get in."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from attrs import define, field

from tenure.limits import Limits
from tenure.process import ClaimId, Fence, Registration, Work
from tenure.replies import Answer, Claimed, Fenced, Renewed, Unavailable
from tenure.requests import Claim, Get, Register, Renew, Request
from tenure.timings import LeaseTimings
from tenure_sqlite import SqliteRegistry, open_store
from tenure_sqlite.link import connect
from tenure_testing.registry_world import START, TTL, ManualClock, reply_of

PATIENCE = 10.0
"""Seconds until a thread is given up; a bound, not a speed."""


@define
class Tries:
    """Connections that say when a try for the lock failed."""

    failed: Event = field(factory=Event)

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        failed = self.failed

        class Telling(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                try:
                    return super().execute(sql, parameters)
                except sqlite3.OperationalError:
                    failed.set()
                    raise

        uri = f"{path.as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Telling
        )


@contextmanager
def asked_while_locked(store: SqliteRegistry, request: Request, tries: Tries) -> Generator[list[Answer]]:
    """Inside, the request waits for another connection's lock; its answer is in the list afterwards."""
    seen: list[Answer] = []
    asker = Thread(target=lambda: seen.extend(store.execute([request])), daemon=True)
    with closing(connect(store.path, "rw")) as other:
        other.execute("BEGIN IMMEDIATE")
        asker.start()
        assert tries.failed.wait(PATIENCE)
        yield seen
        assert seen == []
        other.execute("ROLLBACK")
    asker.join(PATIENCE)
    assert not asker.is_alive()


@pytest.mark.parametrize("late", [True, False])
def test_the_clock_is_read_once_the_lock_is_held(tmp_path: Path, late: bool) -> None:
    """C1, K6: a lease that expired while its renewal waited for the lock is lost; somebody may have seen it so."""
    clock, tries = ManualClock(), Tries()
    store = SqliteRegistry(tmp_path / "s.db", clock, Limits(), PATIENCE, tries.connect)
    fence = held(store)
    with asked_while_locked(store, Renew(fence, TTL), tries) as answers:
        clock.now = START + (TTL if late else TTL - 1)
    if late:
        assert answers == [Fenced()]
    else:
        assert reply_of(answers[0], Renewed).expires_at == START + TTL - 1 + TTL
    store.close()


@define
class StoppedTime:
    """In the place of `time`: it moves by what is slept only, and what is slept is kept."""

    now: float = 100.0
    pauses: list[float] = field(factory=list[float])

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_the_lock_is_given_up_before_the_worker_gives_up_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15, L3: with all defaults: else the worker would drop the answer of a renewal that got the lock late."""
    store = open_store(f"sqlite:///{tmp_path}/s.db", clock=ManualClock())
    time = StoppedTime()
    began = time.now
    with closing(connect(store.path, "rw")) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("tenure_sqlite.link.time", time)
        (answer,) = store.execute([register("a")])
    assert isinstance(answer, Unavailable)
    assert 1.0 < time.now - began < LeaseTimings().call_timeout - 0.5
    store.close()


def test_other_processes_get_a_gap_between_two_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONTRACT §5: a millisecond from one write transaction to the next; reads are not held up, nor late writes."""
    time = StoppedTime()
    monkeypatch.setattr("tenure_sqlite.store.time", time)
    store = open_store(f"sqlite:///{tmp_path}/s.db", clock=ManualClock())

    def pauses(request: Request, later: float = 0.0) -> list[float]:
        time.pauses.clear()
        time.now += later
        store.execute([request])
        return time.pauses

    assert pauses(register("a")) == []
    assert pauses(register("b")) == pytest.approx([0.001])
    assert pauses(Get("a")) == []
    assert pauses(register("c"), later=0.000_75) == pytest.approx([0.000_25])
    assert pauses(register("d"), later=0.002) == []
    store.close()


def register(name: str) -> Request:
    return Register(Registration(name, Work("k")))


def held(store: SqliteRegistry) -> Fence:
    _, answer = store.execute([register("p"), Claim(ClaimId("w", 1), "p", TTL)])
    (grant,) = reply_of(answer, Claimed).grants
    return grant.fence
