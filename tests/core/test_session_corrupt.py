"""A session whose stored content is no tree of JSON entries, and one that changes while it is read (B7)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tenure.canonical import Json
from tenure.errors import (
    SessionCorrupt,
    SessionUnavailable,
)
from tenure.replies import Unavailable
from tenure.session import TRIES
from tenure.sessions import (
    Delete,
    Entry,
    Open,
    Opened,
    PathRead,
    ReadPath,
    ReadTree,
    Residency,
    SessionAnswer,
    SessionPolicy,
    SessionRequest,
    TreeRead,
)
from tests.core.session_scene import BOTH, FENCE, Scene, values
from tests.core.trampoline_asks import driven

# --- what is corrupt ----------------------------------------------------------------------------------------------


class Stored(Scene):
    """A store whose content is what the test says."""

    def holding(self, head: str, *entries: Entry, count: int | None = None) -> Stored:
        by_id = {entry.id: entry for entry in entries}

        def answered(request: SessionRequest, _: SessionAnswer) -> SessionAnswer:
            match request:
                case Open():
                    return Opened(head, len(entries) if count is None else count, 0)
                case ReadPath():
                    return PathRead((by_id[request.leaf],) if request.leaf in by_id else ())
                case ReadTree():
                    return TreeRead(tuple(entry for entry in entries if entry.seq > request.after))
                case _:
                    raise AssertionError(request)

        self.answered = answered
        return self

    def refuses(self, residency: Residency, entry_id: str, reason: str) -> None:
        """Permanently, naming session and entry; after it was read again, since it might have been deleted."""
        with pytest.raises(SessionCorrupt) as raised:
            self.session(residency=residency)
        assert vars(raised.value) == {"session_id": "s", "entry_id": entry_id, "reason": reason}
        assert str(raised.value) == (
            f"session 's' is corrupt at entry {entry_id!r}: {reason}; restore it from a backup, or delete it"
        )
        assert self.asked.count(Open(FENCE)) == TRIES


def entry(name: str, parent: str, seq: int, body: str = "1") -> Entry:
    return Entry(name, parent, seq, Json(body))


A, B = entry("a", "", 1), entry("b", "a", 2)


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[1, 2]",
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        "NaN",
        "1e999",
        '"\ud800"',
        '"\\u0041"',
        "[" * 100_000,
    ],
    ids=lambda body: body[:9].encode(errors="replace").decode(),
)
def test_a_body_that_is_no_canonical_json(residency: Residency, body: str) -> None:
    bad = entry("b", "a", 2, body)
    Stored().holding("b", A, bad).refuses(residency, "b", "its body is not canonical JSON")


@BOTH
def test_a_body_that_is_no_text(residency: Residency) -> None:
    bad = Entry("b", "a", 2, cast(Any, 5))
    Stored().holding("b", A, bad).refuses(residency, "b", "its body is not canonical JSON")


@BOTH
def test_a_head_that_does_not_exist(residency: Residency) -> None:
    Stored().holding("c", A, B).refuses(residency, "c", "it does not exist, though it is the head")


@BOTH
def test_entries_without_a_head(residency: Residency) -> None:
    Stored().holding("", A, B).refuses(residency, "", "it has entries, but no head")


def test_a_parent_that_does_not_exist() -> None:
    world = Stored().holding("b", entry("b", "a", 2))
    world.refuses(Residency.ACTIVE_PATH_ONLY, "a", "it does not exist, though it is the parent of 'b'")
    world.asked.clear()
    world.refuses(Residency.KEEP_ALL, "b", "its parent 'a' is no entry before it")


def test_a_cycle() -> None:
    world = Stored().holding("b", entry("a", "b", 1), B)
    world.refuses(
        Residency.ACTIVE_PATH_ONLY,
        "b",
        "what is stored there is no older entry, though it is the parent of 'a'",
    )
    world.asked.clear()
    world.refuses(Residency.KEEP_ALL, "a", "its parent 'b' is no entry before it")


def test_an_entry_that_is_its_own_parent() -> None:
    world = Stored().holding("a", entry("a", "a", 1))
    world.refuses(
        Residency.ACTIVE_PATH_ONLY,
        "a",
        "what is stored there is no older entry, though it is the parent of 'a'",
    )
    world.asked.clear()
    world.refuses(Residency.KEEP_ALL, "a", "its parent 'a' is no entry before it")


def test_a_parent_that_is_as_old_as_its_child() -> None:
    Stored().holding("b", A, entry("b", "a", 1)).refuses(
        Residency.ACTIVE_PATH_ONLY,
        "a",
        "what is stored there is no older entry, though it is the parent of 'b'",
    )


def test_another_entry_in_its_place() -> None:
    world = Stored().holding("b", A, B)
    inner = world.answered
    world.answered = lambda request, answer: (
        PathRead((A,)) if request == ReadPath("b") else inner(request, answer)
    )
    world.refuses(
        Residency.ACTIVE_PATH_ONLY, "b", "what is stored there is no older entry, though it is the head"
    )


@pytest.mark.parametrize("twice", [entry("a", "", 2), entry("b", "", 1)])
def test_an_entry_that_is_stored_twice(twice: Entry) -> None:
    world = Stored().holding("a", A, twice)
    inner = world.answered
    world.answered = lambda request, answer: (
        TreeRead((A, twice)) if isinstance(request, ReadTree) else inner(request, answer)
    )
    world.refuses(Residency.KEEP_ALL, twice.id, "it is stored twice")


def test_entries_that_are_missing() -> None:
    said = "2 entries are stored, and 3 were appended"
    Stored().holding("b", A, B, count=3).refuses(Residency.KEEP_ALL, "b", said)
    # What somebody else appended since the session was opened is there, and no fault.
    assert values(Stored().holding("a", A, B, count=1).session(residency=Residency.KEEP_ALL)) == [1]


@BOTH
def test_a_session_that_is_deleted_while_it_is_read_is_not_corrupt(residency: Residency) -> None:
    scene = Scene()
    for n in range(3):
        driven(scene.session(None).append(n))

    def deleting(request: SessionRequest, answer: SessionAnswer) -> SessionAnswer:
        if isinstance(request, Open) and len(scene.asked) == 1:
            scene.memory.execute("s", SessionPolicy(), Delete())
        return answer

    scene.asked.clear()
    scene.answered = deleting
    session = scene.session(residency=residency)
    assert (session.head, session.path) == ("", ())
    assert scene.asked.count(Open(FENCE)) == 2


@BOTH
def test_what_was_held_stays_where_a_load_fails(residency: Residency) -> None:
    scene = Scene()
    session = scene.session(residency=residency)
    a = driven(session.append("a"))
    driven(scene.session(None).append("b"))
    scene.trouble.extend([None, *[Unavailable("away")] * TRIES])
    with pytest.raises(SessionUnavailable):
        driven(session.refresh())
    assert session.path == (a,)


def test_an_append_whose_load_fails_is_settled_by_repeating_it() -> None:
    scene = Scene()
    a = driven(scene.session().append("a"))
    second = scene.session(11)
    b = driven(scene.session(None).append("b"))
    scene.trouble.extend([None, *[Unavailable("away")] * TRIES])
    with pytest.raises(SessionUnavailable):
        driven(second.append("a"))
    assert driven(second.append("a")) == a
    assert second.path == (a, b)
