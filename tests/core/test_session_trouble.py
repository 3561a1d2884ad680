"""A session store that fails on open, in the middle of a load, on append; and one whose content is corrupt (B7, W4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from tenure.canonical import Json
from tenure.errors import (
    ForkedProcess,
    InvalidValue,
    SessionCorrupt,
    SessionFull,
    SessionUnavailable,
    WorkerClosed,
)
from tenure.replies import Fenced, Unavailable, Unknown
from tenure.session import TRIES, open_session
from tenure.sessions import (
    NAME_LIMIT,
    Appended,
    AppendEntry,
    Delete,
    Entry,
    Open,
    Opened,
    PathRead,
    ReadPath,
    ReadTree,
    Residency,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionRequest,
    TreeRead,
    session_name,
)
from tests.core.session_scene import FENCE, Scene, values
from tests.core.trampoline_asks import Typed, driven

BOTH = pytest.mark.parametrize("residency", list(Residency), ids=lambda one: one.value)


def opening(scene: Scene, session_id: str = "s") -> Any:
    return open_session(scene.ask, scene, session_id, SessionPolicy(), Residency.KEEP_ALL, FENCE, Typed())


# --- trouble that may pass ----------------------------------------------------------------------------------------


def test_what_a_store_could_not_answer_is_asked_again() -> None:
    scene = Scene()
    session = scene.session()
    scene.trouble.extend([Unavailable("away"), Unknown("no answer")])
    a = driven(session.append("a"))
    assert scene.asked[1:] == [AppendEntry(a.id, "", Json('"a"'), FENCE)] * TRIES
    assert (TRIES, session.path, scene.stored()) == (3, (a,), ["a"])


@pytest.mark.parametrize(
    ("last", "cause"),
    [(Unavailable("away"), "away"), (Unknown("lost"), "lost"), (Unknown(), "the store gave no cause")],
)
def test_not_for_ever(last: Any, cause: str) -> None:
    scene = Scene()
    session = scene.session()
    scene.trouble.extend([Unavailable("first"), Unavailable("second"), last])
    with pytest.raises(SessionUnavailable) as raised:
        driven(session.append("a"))
    assert vars(raised.value) == {"session_id": "s", "doing": "an append", "cause": cause}
    assert str(raised.value) == (
        f"session 's': an append did not succeed: {cause}. It may pass: repeat the same call"
    )
    assert len(scene.asked) == 1 + TRIES
    a = driven(session.append("a"))
    b = driven(session.append("b"))
    assert (session.path, scene.stored()) == ((a, b), ["a", "b"])


def test_each_call_says_what_it_was_doing() -> None:
    scene = Scene()
    session = scene.session()
    a = driven(session.append("a"))
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: session.append("b"), "an append"),
        (lambda: session.fork(a.id), "a fork"),
        (session.delete, "deleting it"),
        (session.refresh, "opening it"),
    ]
    for call, doing in calls:
        scene.trouble.extend([Unavailable("away")] * TRIES)
        with pytest.raises(SessionUnavailable) as raised:
            driven(call())
        assert (raised.value.doing, raised.value.cause) == (doing, "away")
    for residency, doing in (
        (Residency.KEEP_ALL, "reading its tree"),
        (Residency.ACTIVE_PATH_ONLY, "reading its path"),
    ):
        scene.trouble.extend([None, *[Unknown("in the middle of the load")] * TRIES])
        with pytest.raises(SessionUnavailable) as raised:
            scene.session(11, residency)
        assert (raised.value.doing, raised.value.cause) == (doing, "in the middle of the load")
        scene.trouble.clear()
    assert values(scene.session(11)) == ["a"]


def test_whatever_a_store_raises_may_pass() -> None:
    scene = Scene()
    session = scene.session()
    lost = OSError(5, "the disk")
    scene.trouble.append(lost)
    with pytest.raises(SessionUnavailable) as raised:
        driven(session.append("a"))
    assert vars(raised.value) == {
        "session_id": "s",
        "doing": "an append",
        "cause": "OSError: [Errno 5] the disk",
    }
    assert raised.value.__cause__ is lost
    driven(session.append("a"))
    assert scene.stored() == ["a"]


@pytest.mark.parametrize(
    "raised", [OSError("no route"), StopIteration("none"), InvalidValue("not that one"), KeyError(1)]
)
def test_whatever_a_factory_raises_may_pass(raised: Exception) -> None:
    """W4: a session store that is down for ten seconds fails no process."""

    class Broken(Scene):
        def open(self, session_id: str, policy: SessionPolicy) -> Any:
            raise raised

    with pytest.raises(SessionUnavailable) as caught:
        driven(opening(Broken()))
    assert vars(caught.value) == {
        "session_id": "s",
        "doing": "opening it",
        "cause": f"{type(raised).__name__}: {raised}",
    }
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "verdict",
    [
        SessionCorrupt("s", "e", "why"),
        SessionFull("s", "entries", "why"),
        SessionUnavailable("s", "asking", "why"),
        ForkedProcess("opened before fork()"),
    ],
)
def test_a_verdict_of_the_store_is_no_trouble_that_may_pass(verdict: Exception) -> None:
    scene = Scene()
    session = scene.session()
    scene.trouble.append(verdict)
    with pytest.raises(type(verdict)) as caught:
        driven(session.append("a"))
    assert caught.value is verdict


def test_what_the_loop_raises_is_the_loops() -> None:
    """A worker that was closed is no store that is away."""
    closed = WorkerClosed("closed")

    async def ask(ask: Any) -> Any:
        raise closed

    scene = Scene()
    with pytest.raises(WorkerClosed) as caught:
        driven(open_session(ask, scene, "s", SessionPolicy(), Residency.KEEP_ALL, None, Typed()))
    assert caught.value is closed


def test_an_answer_that_means_nothing_may_pass_too() -> None:
    """A client has no lease that could be lost; and a store of somebody's own may answer anything."""
    scene = Scene()
    session, client = scene.session(), scene.session(None)
    scene.trouble.append(Fenced())
    with pytest.raises(SessionUnavailable) as raised:
        driven(client.append("a"))
    assert raised.value.cause == "the store answered Fenced()"
    driven(client.delete())
    scene.trouble.append(Opened("", 0, 0))
    with pytest.raises(SessionUnavailable) as raised:
        driven(session.append("a"))
    assert raised.value.cause == "the store answered Opened(head='', entries=0, size=0)"


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


# --- names and numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("", "a session's id is ''; it must be a string, neither empty nor blank"),
        (" \t", "a session's id is ' \\t'; it must be a string, neither empty nor blank"),
        (5, "a session's id is 5; it must be a string, neither empty nor blank"),
        ("a\0", "a session's id is 'a\\x00': it contains U+0000"),
        ("\ud800", "a session's id is '\\ud800': it contains a lone surrogate"),
        ("x" * 513, f"a session's id has 513 characters; the limit is 512: '{'x' * 513}'"),
    ],
)
def test_an_id_that_no_session_can_have_is_refused_for_good(wrong: Any, says: str) -> None:
    """Permanent, so it is no trouble of the factory's, which is not asked."""
    scene = Scene()
    with pytest.raises(InvalidValue) as raised:
        driven(opening(scene, wrong))
    assert str(raised.value) == says
    assert scene.opened == []
    assert type(raised.value) is InvalidValue


def test_an_id_may_be_as_long_as_a_process_makes_it() -> None:
    assert NAME_LIMIT == 512
    assert session_name("x" * 512) == "x" * 512


POLICIES: list[tuple[Callable[[], object], str]] = [
    (lambda: SessionPolicy(entries=0), "SessionPolicy.entries is 0; it must be a whole number within 1"),
    (
        lambda: SessionPolicy(entry_bytes=0),
        "SessionPolicy.entry_bytes is 0; it must be a whole number within 1",
    ),
    (
        lambda: SessionPolicy(total_bytes=0),
        "SessionPolicy.total_bytes is 0; it must be a whole number within 1",
    ),
    (lambda: SessionPolicy(True), "SessionPolicy.entries is True; it must be a whole number within 1"),
    (
        lambda: SessionPolicy(1 << 53),
        f"SessionPolicy.entries is {1 << 53}; it must be a whole number within 1",
    ),
    (lambda: SessionFence("r", "p", -1, 0), "SessionFence.epoch is -1; it must be a whole number within 0"),
    (lambda: SessionFence("r", "p", 0, -1), "SessionFence.token is -1; it must be a whole number within 0"),
    (lambda: ReadPath("a", 0), "ReadPath.limit is 0; it must be a whole number within 1"),
    (lambda: ReadTree(-1), "ReadTree.after is -1; it must be a whole number within 0"),
    (lambda: ReadTree(0, 0), "ReadTree.limit is 0; it must be a whole number within 1"),
]


@pytest.mark.parametrize(("made", "says"), POLICIES)
def test_numbers_that_no_store_takes(made: Callable[[], object], says: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        made()
    assert str(raised.value) == f"{says} and {(1 << 53) - 1}"


def test_the_largest_and_the_smallest_are_taken() -> None:
    most = (1 << 53) - 1
    assert SessionPolicy(most, most, most) != SessionPolicy(1, 1, 1)
    assert SessionFence("", "", 0, most) != SessionFence("", "", most, 0)


def test_the_defaults() -> None:
    policy = SessionPolicy()
    assert (policy.entries, policy.entry_bytes, policy.total_bytes) == (100_000, 1_048_576, 268_435_456)
    assert (ReadPath("a").limit, ReadTree().after, ReadTree().limit) == (500, 0, 500)
    assert Appended(A, "a") == Appended(A, "a")
