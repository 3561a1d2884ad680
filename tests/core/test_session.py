"""What a handler and a client do with a session: append, fork, read, and do it again after a crash (B7)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from attrs import evolve, frozen

from tenure.asks import CallPlain
from tenure.canonical import Json
from tenure.errors import (
    EntryNotFound,
    InvalidValue,
    NotJson,
    SessionBusy,
    TooLarge,
)
from tenure.sessions import (
    PAGE,
    AppendEntry,
    Entry,
    MoveHead,
    Open,
    ReadPath,
    ReadTree,
    Residency,
    SessionPolicy,
)
from tests.core.session_scene import BOTH, FENCE, Scene, id_of
from tests.core.trampoline_asks import driven, together

# --- appending ----------------------------------------------------------------------------------------------------


@BOTH
def test_entries_follow_one_another(residency: Residency) -> None:
    scene = Scene()
    session = scene.session(residency=residency)
    assert (session.id, session.head, session.path, list(session)) == ("s", "", (), [])
    a = driven(session.append({"b": 1, "a": None}))
    b = driven(session.append("two"))
    first, second = id_of("process", "r", "p", "#1"), id_of("process", "r", "p", "#2")
    assert a == Entry(first, "", 1, Json('{"a":null,"b":1}'))
    assert b == Entry(second, first, 2, Json('"two"'))
    assert (session.head, session.path, list(session)) == (second, (a, b), [a, b])
    assert (a.value, b.value) == ({"a": None, "b": 1}, "two")
    again = scene.session(11, residency)
    assert (again.head, again.path) == (second, (a, b))
    assert scene.opened == [("s", SessionPolicy()), ("s", SessionPolicy())]


def test_what_is_sent_names_the_head_and_the_fence() -> None:
    scene = Scene()
    session = scene.session()
    a = driven(session.append(1, key="k"))
    b = driven(session.append(2))
    driven(session.fork(a.id))
    assert scene.asked == [
        Open(FENCE),
        AppendEntry(id_of("process", "r", "p", "=k"), "", Json("1"), FENCE),
        AppendEntry(id_of("process", "r", "p", "#1"), a.id, Json("2"), FENCE),
        MoveHead(b.id, a.id, 1, FENCE),
    ]


def test_a_client_names_no_fence_and_its_entries_are_known_by_what_they_say() -> None:
    scene = Scene()
    session = scene.session(None)
    a = driven(session.append("x"))
    b = driven(session.append("x"))
    c = driven(session.append("x", key="k"))
    driven(session.fork(b.id))
    digest = hashlib.sha256(b'"x"').hexdigest()
    assert [a.id, b.id, c.id] == [
        id_of("client", "", digest),
        id_of("client", a.id, digest),
        id_of("client", "=k"),
    ]
    assert scene.asked == [
        Open(),
        AppendEntry(a.id, "", Json('"x"')),
        AppendEntry(b.id, a.id, Json('"x"')),
        AppendEntry(c.id, b.id, Json('"x"')),
        MoveHead(c.id, b.id, 0),
    ]
    driven(session.append("other"))
    assert driven(session.append("x", key="k")) == c
    assert scene.stored() == ["x", "x", "x", "other"]


@BOTH
@pytest.mark.parametrize("key", [None, "k"])
def test_a_client_that_says_it_again_goes_on_from_there(residency: Residency, key: str | None) -> None:
    """The head was taken back; the entry is there, once, and the next one follows it."""
    scene = Scene()
    session = scene.session(None, residency)
    a = driven(session.append("a"))
    b = driven(session.append("b", key=key))
    driven(session.fork(a.id))
    assert driven(session.append("b", key=key)) == b
    assert (session.path, scene.head()) == ((a, b), b.id)
    assert scene.asked[-1] == (
        MoveHead(a.id, b.id) if residency is Residency.KEEP_ALL else ReadPath(b.id, PAGE)
    )
    c = driven(session.append("c"))
    assert (c.parent, scene.stored()) == (b.id, ["a", "b", "c"])


def test_a_handlers_append_that_was_made_before_leaves_the_head_where_it_was_taken_back() -> None:
    scene = Scene()
    first = scene.session()
    a, b = driven(first.append("a")), driven(first.append("b"))
    driven(first.fork(a.id))
    second = scene.session(11)
    driven(second.append("a"))
    assert driven(second.append("b")) == b
    assert (second.path, scene.head()) == ((a,), a.id)


@frozen
class Said:
    word: str


def test_a_typed_body_is_converted() -> None:
    session = Scene().session()
    assert driven(session.append(Said("hello"))).value == {"word": "hello"}


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ({1, 2}, NotJson, "an entry of session 's' is not JSON at $: "),
        (
            {"a": float("nan")},
            NotJson,
            "an entry of session 's' is not JSON at $.a: nan is not a JSON number",
        ),
        ("xx", TooLarge, "an entry of session 's' takes 4 bytes; the limit is 3. "),
    ],
)
def test_a_body_that_is_no_json_or_too_large_is_not_sent(
    body: Any, error: type[Exception], says: str
) -> None:
    scene = Scene()
    session = scene.session(policy=SessionPolicy(entry_bytes=3))
    with pytest.raises(error) as raised:
        driven(session.append(body))
    assert str(raised.value).startswith(says)
    assert scene.asked == [Open(FENCE)]
    assert driven(session.append("x")).id == id_of("process", "r", "p", "#1")


@pytest.mark.parametrize("token", [10, None])
def test_a_key_is_a_text_that_a_store_can_carry(token: int | None) -> None:
    session = Scene().session(token)
    wrong: Any = 5
    with pytest.raises(InvalidValue, match=r"^session 's': the key of an append must be a string; it is 5$"):
        driven(session.append(1, key=wrong))
    with pytest.raises(
        NotJson, match=r"^session 's': the key of an append is not JSON at \$\[\d\]: it contains U\+0000$"
    ):
        driven(session.append(1, key="\0"))


# --- branches -----------------------------------------------------------------------------------------------------


@BOTH
def test_a_fork_begins_a_branch(residency: Residency) -> None:
    scene = Scene()
    session = scene.session(residency=residency)
    a, b = driven(session.append("a")), driven(session.append("b"))
    driven(session.fork(a.id))
    assert (session.head, session.path) == (a.id, (a,))
    c = driven(session.append("c"))
    assert c.parent == a.id
    assert session.path == (a, c)
    driven(session.fork(c.id))
    assert session.path == (a, c)
    driven(session.fork(b.id))
    assert session.path == (a, b)
    assert scene.head() == b.id
    reads = [request for request in scene.asked if isinstance(request, ReadPath | ReadTree)]
    if residency is Residency.KEEP_ALL:
        assert session.tree == (a, b, c)
        assert reads == [ReadTree(0, PAGE)]
    else:
        assert reads == [ReadPath(b.id, PAGE)]


def test_the_tree_is_held_where_all_is_kept() -> None:
    scene = Scene()
    session = scene.session(residency=Residency.KEEP_ALL)
    a, b = driven(session.append("a")), driven(session.append("b"))
    driven(session.fork(a.id))
    c = driven(session.append("c"))
    assert session.tree == (a, b, c)
    assert scene.session(11, Residency.KEEP_ALL).tree == (a, b, c)
    with pytest.raises(InvalidValue) as raised:
        _ = scene.session(12).tree
    assert str(raised.value) == (
        "session 's' holds its active path only; open it with Residency.KEEP_ALL to see the tree"
    )


@BOTH
def test_a_fork_to_what_somebody_else_wrote_is_read(residency: Residency) -> None:
    scene = Scene()
    client = scene.session(None)
    a = driven(client.append("a"))
    session = scene.session(residency=residency)
    b = driven(client.append("b"))
    driven(client.fork(a.id))
    driven(session.fork(b.id))
    assert session.path == (a, b)


def test_a_fork_to_no_entry_is_an_error() -> None:
    scene = Scene()
    session = scene.session()
    a = driven(session.append("a"))
    with pytest.raises(EntryNotFound) as raised:
        driven(session.fork("nothing"))
    assert str(raised.value) == "session 's' has no entry 'nothing'; fork() takes the id of one it has"
    wrong: Any = None
    with pytest.raises(
        InvalidValue, match=r"^session 's': the entry to fork at must be a string; it is None$"
    ):
        driven(session.fork(wrong))
    driven(session.fork(a.id))
    assert scene.asked[-1] == MoveHead(a.id, a.id, 1, FENCE)


# --- one call at a time -------------------------------------------------------------------------------------------


def test_two_calls_at_the_same_time_are_refused() -> None:
    scene = Scene()
    session = scene.session()
    first, second, third = together(session.append("a"), session.append("b"), session.refresh())
    assert first.value == "a"
    for refused in (second, third):
        assert isinstance(refused, SessionBusy)
        assert vars(refused) == {"session_id": "s"}
        assert str(refused) == (
            "session 's': another call on it has not ended yet; await one before the next begins"
        )
    assert scene.stored() == ["a"]
    driven(session.append("b"))


@pytest.mark.parametrize("steps", [1, 2])
def test_an_append_that_was_cut_short_is_settled_by_repeating_it(steps: int) -> None:
    """Cancelled before or after the store had it: the same entry, once."""
    scene = Scene()
    session = scene.session()
    call = session.append("a")
    for _ in range(steps):
        call.send(None)
    call.close()
    a = driven(session.append("a"))
    b = driven(session.append("b"))
    assert [a.id, b.id] == [id_of("process", "r", "p", f"#{n}") for n in (1, 2)]
    assert (session.path, scene.stored()) == ((a, b), ["a", "b"])


@BOTH
def test_a_session_over_another_ask_goes_on_where_this_one_stands(residency: Residency) -> None:
    scene = Scene()
    session = scene.session(residency=residency)
    a, b = driven(session.append("a")), driven(session.append("b"))
    driven(session.fork(a.id))
    asked: list[Any] = []

    async def ask(ask: Any) -> Any:
        asked.append(ask)
        return ask.called()

    other = session.over(ask)
    assert (other.id, other.head, other.path) == ("s", a.id, (a,))
    c = driven(other.append("c"))
    assert c.id == id_of("process", "r", "p", "#3")
    assert (session.path, other.path) == ((a,), (a, c))
    driven(other.fork(c.id))
    assert scene.asked[-1] == MoveHead(c.id, c.id, 2, FENCE)
    assert [type(one) for one in asked] == [CallPlain, CallPlain]
    if residency is Residency.KEEP_ALL:
        assert (session.tree, other.tree) == ((a, b), (a, b, c))
    else:
        with pytest.raises(InvalidValue):
            _ = other.tree


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_what_is_long_is_read_in_pages(length: int) -> None:
    scene = Scene()
    client = scene.session(None)
    made = tuple(driven(client.append(n)) for n in range(length))
    scene.asked.clear()
    assert scene.session(None).path == made
    heads = [made[length - 1 - n].id for n in range(0, length, PAGE)]
    assert scene.asked == [Open(), *(ReadPath(head, PAGE) for head in heads)]
    scene.asked.clear()
    session = scene.session(None, Residency.KEEP_ALL)
    assert session.tree == session.path == made
    afters = [*range(0, length, PAGE), length]
    assert scene.asked == [Open(), *(ReadTree(after, PAGE) for after in afters)]


def test_an_entry_is_a_value() -> None:
    entry = Entry("a", "", 1, Json("[1]"))
    assert evolve(entry, seq=2) != entry == Entry("a", "", 1, Json("[1]"))
    assert entry.value == [1]
