"""Several threads and operating system processes at one session: one of two who know the same head writes (B7, S21)."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tenure.canonical import canonical
from tenure.sessions import (
    Appended,
    AppendEntry,
    MoveHead,
    Open,
    Opened,
    Residency,
    SessionAnswer,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    SessionStore,
)
from tenure_memory import MemorySessions
from tenure_sqlite import open_sessions
from tests.stores import children
from tests.stores.children import ended, go, line
from tests.stores.session_stores import opened

PATIENCE = 60
"""Seconds until a thread or a child is given up; a bound, not a speed."""
child = partial(children.child, "session_child")


def test_of_two_processes_at_one_head_one_writes(tmp_path: Path) -> None:
    """Both know the head before either writes."""
    url, rounds = f"sqlite:///{tmp_path}/s.db", 20
    won: list[str] = []
    with ExitStack() as stack:
        both = {name: stack.enter_context(child("races", url, name, str(rounds))) for name in "ab"}
        for n in range(rounds):
            heads = {line(running) for running in both.values()}
            assert len(heads) == 1
            for running in both.values():
                go(running)
            said = {name: line(running) for name, running in both.items()}
            assert sorted(said.values()) == ["Appended", "SessionRefused"]
            won += [f"{name}{n}" for name, answer in said.items() if answer == "Appended"]
    sessions = open_sessions(url)
    assert [entry.id for entry in opened(sessions, residency=Residency.KEEP_ALL).tree] == won
    sessions.close()


@pytest.mark.parametrize("durable", [False, True])
def test_of_two_threads_at_one_head_one_writes(tmp_path: Path, *, durable: bool) -> None:
    """Appends and moves: one of them, and the other is told where the head is."""
    sessions = open_sessions(f"sqlite:///{tmp_path}/s.db") if durable else MemorySessions()
    store: SessionStore = sessions.open("s", SessionPolicy())
    assert isinstance(store.execute(AppendEntry("root", "", canonical(0))), Appended)
    assert isinstance(store.execute(AppendEntry("leaf", "root", canonical(0))), Appended)
    for n in range(30):
        at = store.execute(Open())
        assert isinstance(at, Opened)
        to = "root" if at.head != "root" else "leaf"
        requests: list[SessionRequest] = [
            AppendEntry(f"a{n}", at.head, canonical("a")),
            MoveHead(at.head, to) if n % 2 else AppendEntry(f"b{n}", at.head, canonical("b")),
        ]
        answers: list[SessionAnswer] = []
        together = Barrier(2)

        def write(
            request: SessionRequest, answers: list[SessionAnswer] = answers, together: Barrier = together
        ) -> None:
            together.wait(PATIENCE)
            answers.append(store.execute(request))

        threads = [Thread(target=write, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        refused = [answer for answer in answers if isinstance(answer, SessionRefused)]
        head = store.execute(Open())
        assert isinstance(head, Opened)
        assert head.head != at.head
        assert [(one.reason, one.head) for one in refused] == [(SessionReason.HEAD_MOVED, head.head)]
        assert len(answers) == 2
    sessions.close()


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """S21: the session is whole, and has at least what was answered; the one append that was under way may be there."""
    for n in range(3):
        url = f"sqlite:///{tmp_path}/{n}.db"
        with child("appends", url) as running:
            said = [line(running) for _ in range(40)]
            running.send_signal(signal.SIGKILL)
            running.wait(PATIENCE)
        head, count = said[-1].split()
        sessions = open_sessions(url)
        session = opened(sessions, residency=Residency.KEEP_ALL)
        assert len(session.tree) >= int(count)
        assert head in {entry.id for entry in session.tree}
        assert [entry.seq for entry in session.tree] == list(range(1, len(session.tree) + 1))
        assert opened(sessions).path == session.path
        sessions.close()


def test_a_forked_child_is_refused_by_both_stores(tmp_path: Path) -> None:
    with child("forked", f"sqlite:///{tmp_path}/s.db") as running:
        said = ended(running)
    assert said == [*["refused"] * 5, "child 0", "parent Appended", "parent Appended"]
