"""A handler that does again after a crash what it did to its session, and others who write to it (B7, CONTRACT §8)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve

from tenure.errors import (
    EntryConflict,
    HeadMoved,
    InvalidValue,
    LeaseLost,
    SessionFull,
)
from tenure.session import Session, open_session
from tenure.sessions import (
    AppendEntry,
    MoveHead,
    Residency,
    SessionFence,
    SessionPolicy,
)
from tests.core.session_scene import BOTH, FENCE, Scene, id_of, values
from tests.core.trampoline_asks import Typed, driven

# --- again --------------------------------------------------------------------------------------------------------


class Crash(Exception):
    """The worker died here."""


async def handler(session: Session) -> None:
    """Appends, with and without keys, and forks, back and forth."""
    a = await session.append("a")
    b = await session.append("b", key="k")
    await session.append("c")
    await session.fork(a.id)
    await session.append("d")
    await session.fork(b.id)
    await session.append("e")
    await session.append("f", key="last")


STORED = ["a", "b", "c", "d", "e", "f"]
PATH = ["a", "b", "e", "f"]


@BOTH
@pytest.mark.parametrize("applied", [False, True])
def test_a_handler_that_crashed_anywhere_leaves_what_one_run_would(
    residency: Residency, *, applied: bool
) -> None:
    """CONTRACT §8: the second attempt's appends and forks are those of the first, wherever that broke off."""
    finished = False
    for broken in range(20):
        scene = Scene()
        session = scene.session(residency=residency)
        left = broken

        async def ask(ask: Any, scene: Scene = scene) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                if applied:
                    ask.called()
                raise Crash
            return ask.called()

        with suppress(Crash):
            driven(handler(session.over(ask)))
            finished = True
        second = scene.session(11, residency)
        driven(handler(second))
        assert (scene.stored(), values(second), scene.head()) == (STORED, PATH, second.head), broken
        driven(second.append("g"))
        assert values(scene.session(12)) == [*PATH, "g"]
    assert finished


def test_a_replayed_append_answers_the_entry_and_the_head_stays() -> None:
    scene = Scene()
    first = scene.session()
    a, b = driven(first.append("a")), driven(first.append("b"))
    second = scene.session(11)
    scene.asked.clear()
    assert driven(second.append("a")) == a
    assert (second.head, second.path) == (b.id, (a, b))
    assert [type(request) for request in scene.asked] == [AppendEntry]
    assert driven(second.append("b")) == b
    c = driven(second.append("c"))
    assert (c.parent, second.path, scene.stored()) == (b.id, (a, b, c), ["a", "b", "c"])


@BOTH
def test_after_a_replay_the_head_is_the_true_one(residency: Residency) -> None:
    """Somebody else wrote after the second attempt had opened: its path shows that before its first new append."""
    scene = Scene()
    a = driven(scene.session().append("a"))
    second = scene.session(11, residency)
    client = scene.session(None)
    b = driven(client.append("by a client"))
    assert driven(second.append("a")) == a
    assert second.path == (a, b)
    assert driven(second.append("c")).parent == b.id


@BOTH
def test_after_a_replayed_fork_the_head_is_the_true_one(residency: Residency) -> None:
    scene = Scene()
    first = scene.session()
    a = driven(first.append("a"))
    driven(first.fork(a.id))
    second = scene.session(11, residency)
    b = driven(scene.session(None).append("by a client"))
    driven(second.fork(a.id))
    assert second.path == (a, b)


@BOTH
def test_what_branches_off_a_head_that_was_taken_back_does_not_move_it_when_it_is_replayed(
    residency: Residency,
) -> None:
    """Entry b follows a, where the head is again; the second attempt's append of b leaves it there."""
    scene = Scene()
    first = scene.session()
    a, b = driven(first.append("a")), driven(first.append("b"))
    driven(first.fork(a.id))
    second = scene.session(11, residency)
    assert [driven(second.append(text)) for text in ("a", "b")] == [a, b]
    assert (second.path, scene.head()) == ((a,), a.id)
    scene.asked.clear()
    driven(second.fork(a.id))
    assert scene.asked == [MoveHead(a.id, a.id, 1, evolve(FENCE, token=11))]


@BOTH
def test_a_client_that_says_again_what_the_head_follows_leaves_it_there(residency: Residency) -> None:
    scene = Scene()
    client = scene.session(None, residency)
    a = driven(client.append("a", key="k"))
    b = driven(client.append("b"))
    assert driven(client.append("a", key="k")) == a
    assert (client.path, scene.head()) == ((a, b), b.id)


def test_another_body_under_a_key_is_an_error() -> None:
    scene = Scene()
    first = scene.session()
    a, b = driven(first.append("a")), driven(first.append("b", key="k"))
    second = scene.session(11)
    for key, entry, name in ((None, a, "#1"), ("k", b, "=k")):
        with pytest.raises(EntryConflict) as raised:
            driven(second.append("other", key=key))
        assert vars(raised.value) == {"session_id": "s", "entry_id": entry.id, "key": name}
        assert str(raised.value) == (
            f"session 's': the append {name!r} was made before with another body (entry {entry.id!r}); "
            "give a different entry a key of its own"
        )
    assert scene.stored() == ["a", "b"]


# --- others -------------------------------------------------------------------------------------------------------


@BOTH
def test_who_does_not_know_the_head_is_told(residency: Residency) -> None:
    scene = Scene()
    session, client = scene.session(residency=residency), scene.session(None)
    a = driven(client.append("a"))
    with pytest.raises(HeadMoved) as raised:
        driven(session.append("b"))
    assert vars(raised.value) == {"session_id": "s", "known": "", "head": a.id}
    assert str(raised.value) == (
        f"session 's': its head is {a.id!r} and no longer '', since somebody else wrote to it; "
        "refresh() shows what is there, then decide again"
    )
    assert values(session) == []
    driven(session.refresh())
    assert session.path == (a,)
    b = driven(session.append("b"))
    assert b.id == id_of("process", "r", "p", "#1")  # what was refused was not counted
    with pytest.raises(HeadMoved):
        driven(client.fork(a.id))


def test_a_later_attempt_fences_an_earlier_one() -> None:
    scene = Scene()
    first = scene.session()
    a = driven(first.append("a"))
    scene.session(11)
    for call in (first.append("b"), first.append("a"), first.fork(a.id), first.refresh(), first.delete()):
        with pytest.raises(LeaseLost) as raised:
            driven(call)
        assert raised.value.process_id == "p"
    with pytest.raises(LeaseLost):
        scene.session(10)
    assert scene.stored() == ["a"]


def test_a_session_that_is_full_says_which_limit() -> None:
    scene = Scene()
    session = scene.session(policy=SessionPolicy(entries=1))
    driven(session.append("a"))
    with pytest.raises(SessionFull) as raised:
        driven(session.append("b"))
    assert vars(raised.value) == {
        "session_id": "s",
        "limit": "entries",
        "detail": "2 entries; the limit is 1",
    }
    assert str(raised.value) == (
        "session 's' exceeds the limit 'entries' of its policy: 2 entries; the limit is 1; "
        "raise the limit, or go on in another session"
    )
    driven(scene.session(11).append("b", key="k"))
    with pytest.raises(SessionFull, match="2 entries; the limit is 1"):
        scene.session(12, policy=SessionPolicy(entries=1))


def test_a_fence_that_no_store_can_carry_is_refused() -> None:
    scene = Scene()
    fence = SessionFence("r", "\0", 1, 1)
    opening = open_session(scene.ask, scene, "s", SessionPolicy(), Residency.KEEP_ALL, fence, Typed())
    with pytest.raises(
        InvalidValue, match=r"^session 's': the fence's registry or process: it contains U\+0000$"
    ):
        driven(opening)


@BOTH
def test_a_deleted_session_begins_anew(residency: Residency) -> None:
    scene = Scene()
    session = scene.session(residency=residency)
    driven(session.append("a"))
    driven(session.delete())
    assert (session.head, session.path, scene.stored()) == ("", (), [])
    b = driven(session.append("b"))
    assert (b.parent, b.seq, session.path) == ("", 1, (b,))
    if residency is Residency.KEEP_ALL:
        assert session.tree == (b,)
    else:
        with pytest.raises(InvalidValue):
            _ = session.tree
