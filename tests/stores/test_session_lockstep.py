"""Memory, SQLite and a plain telling of the law answer the same to anything, and hold the same after every request.

A few names for everything, so that what is drawn meets; the clock also steps back (C1). SQLite is opened anew in
between as after a kill: without `close`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.canonical import Json
from tenure.limits import Limits
from tenure.sessions import (
    AppendEntry,
    Delete,
    MoveHead,
    Open,
    ReadPath,
    ReadTree,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    SessionStoreFactory,
)
from tenure_memory import MemorySessions
from tenure_sqlite import SqliteSessions, open_sessions
from tenure_testing.registry_world import ManualClock
from tests.stores.session_oracle import Oracle

HORIZON = 20
SHARED_MEMORY = Path("/dev/shm")
"""Where there is one, SQLite's files are there: nobody pulls the plug here, so that a disk would only be slow."""

names = st.sampled_from(["s", "t"])
ids = st.sampled_from([*"abcdef", ""])
fences = st.none() | st.builds(
    SessionFence,
    st.sampled_from("rrrrq"),
    st.sampled_from("pppo"),
    st.sampled_from([1, 1, 1, 2]),
    st.integers(1, 3),
)
bodies = st.sampled_from([Json(text) for text in ("1", "2", '"é"', "[1,2,3]", '"' + "x" * 30 + '"')])
policies = st.sampled_from(
    [
        SessionPolicy(),
        SessionPolicy(),
        SessionPolicy(),
        SessionPolicy(entries=2),
        SessionPolicy(entry_bytes=7),
        SessionPolicy(total_bytes=12),
    ]
)
HEAD = "the head"
"""Stands for the head as it is when the request is made."""
heads = st.sampled_from([HEAD, HEAD, HEAD, "a", "b", ""])
requests: st.SearchStrategy[SessionRequest] = st.one_of(
    st.builds(Open, fences),
    st.builds(Open, fences),
    st.builds(AppendEntry, st.sampled_from("abcdef"), heads, bodies, fences),
    st.builds(AppendEntry, st.sampled_from("abcdef"), heads, bodies, fences),
    st.builds(AppendEntry, st.sampled_from("abcdef"), heads, bodies, st.none()),
    st.builds(MoveHead, heads, ids, st.integers(0, 3), fences),
    st.builds(ReadPath, ids, st.integers(1, 3)),
    st.builds(ReadTree, st.integers(0, 4), st.integers(1, 3)),
    st.builds(Delete, fences),
)
ticks = st.sampled_from([0, 0, 0, 1, 5, 21, -3])
steps = st.lists(st.tuples(names, policies, requests, ticks, st.integers(0, 19)), min_size=20, max_size=80)

tally: Counter[str] = Counter()


def aimed(request: SessionRequest, head: str) -> SessionRequest:
    """The request at the head, where it is meant to be."""
    if isinstance(request, AppendEntry) and request.parent == HEAD:
        return AppendEntry(request.entry_id, head, request.body, request.fence)
    if isinstance(request, MoveHead) and request.head == HEAD:
        return MoveHead(head, request.to, request.n, request.fence)
    return request


def shown(answer: SessionAnswer) -> Any:
    """As the oracle says it."""
    if not isinstance(answer, SessionRefused):
        return answer
    moved = answer.reason is SessionReason.HEAD_MOVED
    return (answer.reason, answer.head) if moved else answer.reason


def play(drawn: list[tuple[str, SessionPolicy, SessionRequest, int, int]], folder: str) -> None:
    clock, oracle = ManualClock(), Oracle(HORIZON)
    limits = Limits(retry_horizon=HORIZON)

    def opened() -> SqliteSessions:
        return open_sessions(f"sqlite:///{folder}/s.db", clock=clock, limits=limits, gap=0)

    sqlite = opened()
    stores: dict[str, SessionStoreFactory] = {
        "memory": MemorySessions(clock=clock, limits=limits),
        "sqlite": sqlite,
    }
    for name, policy, request, tick, reopen in drawn:
        clock.now += tick
        told = oracle.sessions.get(name)
        wanted_request = aimed(request, told.head if told else "")
        wanted = oracle.answer(name, policy, wanted_request, clock.now)
        answers = {store: made.open(name, policy).execute(wanted_request) for store, made in stores.items()}
        assert answers["memory"] == answers["sqlite"]
        assert shown(answers["memory"]) == wanted, wanted_request
        tally[f"{type(request).__name__}: {type(answers['memory']).__name__}"] += 1
        if isinstance(answers["memory"], SessionRefused):
            tally[str(answers["memory"].reason)] += 1
        if reopen == 0:
            for link in sqlite.file.connections():
                link.close()  # all that a kill does
            stores["sqlite"] = sqlite = opened()
        if reopen < 3:
            for whole in (Open(), ReadTree(0, 100)):
                expected = oracle.answer(name, SessionPolicy(), whole, clock.now)
                assert [made.open(name, SessionPolicy()).execute(whole) for made in stores.values()] == [
                    expected
                ] * 2
    for made in stores.values():
        made.close()


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(steps)
def keep_step(drawn: list[tuple[str, SessionPolicy, SessionRequest, int, int]]) -> None:
    folder = mkdtemp(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None)
    try:
        play(drawn, folder)
    finally:
        rmtree(folder)


def test_memory_and_sqlite_keep_step_with_the_law() -> None:
    """CONTRACT §8; and every request succeeded and every refusal was given, or this tests less than it says."""
    tally.clear()
    keep_step()
    succeeded = {
        "Open: Opened",
        "ReadPath: PathRead",
        "ReadTree: TreeRead",
        "AppendEntry: Appended",
        "MoveHead: Moved",
        "Delete: Deleted",
    }
    fenced = {f"{kind.__name__}: Fenced" for kind in (Open, AppendEntry, MoveHead, Delete)}
    assert {line.split(":")[0] for line in succeeded} == {kind.__name__ for kind in get_args(SessionRequest)}
    reasons = {str(reason) for reason in SessionReason} - {str(SessionReason.BAD_TEXT)}
    assert (succeeded | fenced | reasons) - set(tally) == set()
