"""BlockingSession has what Session has, without `await`, and does the same."""

from __future__ import annotations

import inspect

import pytest

from tenure.errors import HeadMoved, InvalidValue
from tenure.session import Session
from tenure.sessions import Residency
from tenure_driver.blocking_session import BlockingSession
from tenure_memory import MemorySessions
from tests.stores.session_stores import opened


def public(cls: type) -> dict[str, object]:
    names = [name for name in dir(cls) if not name.startswith("_") or name == "__iter__"]
    return {name: inspect.getattr_static(cls, name) for name in names if name != "over"}


def test_the_same_names_and_signatures() -> None:
    awaited, blocking = public(Session), public(BlockingSession)
    assert set(awaited) == set(blocking)
    for name, ours in blocking.items():
        theirs = awaited[name]
        if isinstance(ours, property):
            assert isinstance(theirs, property)
            ours, theirs = ours.fget, theirs.fget
        assert callable(ours)
        assert callable(theirs)
        assert not inspect.iscoroutinefunction(ours)
        assert inspect.signature(ours) == inspect.signature(theirs)


def test_a_blocking_program() -> None:
    sessions = MemorySessions()
    session = BlockingSession(opened(sessions, residency=Residency.KEEP_ALL))
    other = BlockingSession(opened(sessions))
    a, b = session.append("a"), session.append("b", key="k")
    assert (session.id, session.head, session.path, session.tree) == ("s", b.id, (a, b), (a, b))
    assert list(session) == [a, b]
    session.fork(a.id)
    assert session.path == (a,)
    with pytest.raises(HeadMoved):
        other.append("c")
    other.refresh()
    assert other.path == (a,)
    with pytest.raises(InvalidValue):
        _ = other.tree
    other.delete()
    session.refresh()
    assert (session.head, session.tree) == ("", ())
