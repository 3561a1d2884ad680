"""A session store that fails on open, in the middle of a load, on append; what it cannot take (B7, W4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    AppendEntry,
    Opened,
    ReadPath,
    ReadTree,
    Residency,
    SessionFence,
    SessionPolicy,
    session_name,
)
from tests.core.session_scene import FENCE, Scene, values
from tests.core.trampoline_asks import Typed, driven


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
    [(Unavailable("away"), "away"), (Unknown("lost"), "lost"), (Unknown(), "second")],
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


def test_a_store_may_give_no_cause() -> None:
    scene = Scene()
    session = scene.session()
    scene.trouble.extend([Unknown(), Unavailable(), Unknown()])
    with pytest.raises(SessionUnavailable) as raised:
        driven(session.append("a"))
    assert raised.value.cause == "the store gave no cause"


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
    assert vars(raised.value) == {
        "session_id": "s",
        "doing": "an append",
        "cause": "the store answered Fenced()",
    }
    driven(client.delete())
    scene.trouble.append(Opened("", 0, 0))
    with pytest.raises(SessionUnavailable) as raised:
        driven(session.append("a"))
    assert raised.value.cause == "the store answered Opened(head='', entries=0, size=0)"


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
