"""Several operating system processes at one SQLite file (S2, S19, S21), a fork, and SIGKILL between commits."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from tenure.canonical import canonical
from tenure.process import Record, Registration, Success, Work
from tenure.replies import Got, Listed, Succeeded
from tenure.requests import Get, List, Register, Request
from tenure_sqlite import SqliteRegistry, open_store
from tests.stores import children
from tests.stores.children import ended, go, line

child = partial(children.child, "sqlite_child")


def rows(store: SqliteRegistry) -> tuple[Record, ...]:
    (answer,) = store.execute([List(limit=10_000)])
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Listed)
    return answer.reply.records


@pytest.mark.parametrize("round_", range(3))
def test_a_new_file_is_made_once_by_many(tmp_path: Path, round_: int) -> None:
    url = f"sqlite:///{tmp_path}/new{round_}.db"
    with child("opened", url, "a") as a, child("opened", url, "b") as b, child("opened", url, "c") as c:
        many = (a, b, c)
        assert [line(one) for one in many] == ["ready"] * 3
        for one in many:
            go(one)
        assert [ended(one) for one in many] == [["Succeeded"]] * 3
    store = open_store(url)
    assert sorted(row.id for row in rows(store)) == ["a", "b", "c"]
    assert [row.seq for row in rows(store)] == [1, 2, 3]
    store.close()


def test_no_row_and_no_token_is_granted_twice(tmp_path: Path) -> None:
    """S2, S3: three processes claim and complete; each row is granted once, each token to one row."""
    url = f"sqlite:///{tmp_path}/s.db"
    store = open_store(url)
    names = [f"p{n:03}" for n in range(300)]
    store.execute([Register(Registration(name, Work("k"))) for name in names])
    with child("claims", url, "x") as x, child("claims", url, "y") as y, child("claims", url, "z") as z:
        many = (x, y, z)
        assert [line(one) for one in many] == ["ready"] * 3
        for one in many:
            go(one)
        said = [ended(one) for one in many]
    granted = [words.split()[1:] for lines in said for words in lines]
    assert sorted(name for name, _ in granted) == names
    assert len({token for _, token in granted}) == len(names)
    tokens = {name: int(token) for name, token in granted}
    for row in rows(store):
        assert (row.token, row.claims, row.lost) == (tokens[row.id], 1, 0)
        assert row.claim
        assert row.outcome == Success(canonical(row.claim.owner))
    store.close()


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """S21: whatever was answered before the kill is there after it."""
    url = f"sqlite:///{tmp_path}/s.db"
    for kill_after in (1, 2, 3, 50, 151):
        with child("acknowledges", url) as running:
            said = [line(running).split() for _ in range(kill_after)]
            running.send_signal(signal.SIGKILL)
            assert running.stdout
            said += [words.split() for words in running.stdout.read().splitlines()]
        store = open_store(url)
        for verb, name, *rest in said:
            (answer,) = store.execute([Get(name)])
            assert isinstance(answer, Succeeded)
            assert isinstance(answer.reply, Got)
            row = answer.reply.record
            if verb == "claimed":
                assert row.token == int(rest[0])
            if verb == "completed":
                assert row.outcome == Success(canonical(int(rest[0])))
        store.close()
        for path in tmp_path.glob("s.db*"):
            path.unlink()


def test_a_forked_child_is_refused_and_closes_nothing(tmp_path: Path) -> None:
    """A child may neither use, close nor reopen what its parent had open; the parent's commits stay. Another file is
    the child's own affair."""
    path = tmp_path / "s.db"
    with child("forked", f"sqlite:///{path}", str(path)) as running:
        said = ended(running)
    assert said == [*["refused"] * 4, "open", "elsewhere", "child 0", "parent Succeeded"]
    store = open_store(f"sqlite:///{path}")
    assert [row.id for row in rows(store)] == ["before", "after"]
    store.close()


def test_no_memory_for_a_request_ends_no_program(tmp_path: Path) -> None:
    """CONTRACT §2: what SQLite had no memory for is surely not applied; the rest goes on, with a new connection."""
    url = f"sqlite:///{tmp_path}/s.db"
    with child("starved", url) as running:
        assert ended(running) == [" ".join(["Unavailable"] * 3), "Refused", "Succeeded"]
    store = open_store(url)
    assert [row.id for row in rows(store)] == ["before", "after"]
    store.close()


def test_waiting_sees_another_process(tmp_path: Path) -> None:
    """CONTRACT §9: the feed crosses operating system processes."""
    url = f"sqlite:///{tmp_path}/s.db"
    store = open_store(url)
    with child("waits", url) as running:
        assert line(running) == "waiting"
        request: Request = Register(Registration("p", Work("k")))
        store.execute([request])
        assert ended(running) == ["woken"]
    store.close()
