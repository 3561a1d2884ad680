"""Checks of a session's tree: entries, head, branches, policy, and what is refused (CONTRACT §8; B7)."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from tenure.canonical import Json, canonical
from tenure.errors import InvalidValue
from tenure.replies import Unavailable
from tenure.sessions import (
    Appended,
    AppendEntry,
    Delete,
    Deleted,
    Entry,
    Moved,
    MoveHead,
    Open,
    Opened,
    PathRead,
    ReadPath,
    ReadTree,
    SessionFence,
    SessionPolicy,
    SessionReason,
    TreeRead,
)
from tenure.stores import DurabilityTier
from tenure_testing.registry_world import expect, holds
from tenure_testing.session_world import BAD_TEXTS, FIRST, SECOND, SessionWorld


def what_nobody_wrote_is_empty(world: SessionWorld) -> None:
    """A session need not be made: it has no head and no entries, and reading makes nothing."""
    expect(world.open(), Opened("", 0, 0))
    expect(world.reply(ReadPath("nothing"), PathRead), PathRead(()))
    expect(world.reply(ReadPath(""), PathRead), PathRead(()))
    expect(world.reply(ReadTree(), TreeRead), TreeRead(()))
    expect(world.reply(Delete(), Deleted), Deleted(0))
    expect(world.open(FIRST), Opened("", 0, 0), "opened under a fence")
    holds(world.store.tier in tuple(DurabilityTier), "a store states its tier")


def an_entry_follows_the_head(world: SessionWorld) -> None:
    """An append's parent is the head, which moves to it; seq counts from 1, sizes are bytes of UTF-8."""
    a = world.append("a", value={"text": "é"})
    b = world.append("b", value=[1, 2.5, None])
    expect(a, Entry("a", "", 1, Json('{"text":"é"}')))
    expect(b, Entry("b", "a", 2, Json("[1,2.5,null]")))
    expect(world.open(), Opened("b", 2, len('{"text":"é"}'.encode()) + len("[1,2.5,null]")))
    expect(world.reply(ReadPath("b"), PathRead).entries, (b, a))
    expect(world.reply(ReadTree(), TreeRead).entries, (a, b))


def what_is_large_is_read_in_pages(world: SessionWorld) -> None:
    """A path from any leaf towards the root, the tree by seq, each at most as long as asked for."""
    made = tuple(world.append(f"e{n}", value=n) for n in range(7))
    expect(world.reply(ReadPath("e6", 3), PathRead).entries, made[:3:-1])
    expect(world.reply(ReadPath("e3", 3), PathRead).entries, (made[3], made[2], made[1]))
    expect(world.reply(ReadPath("e0", 3), PathRead).entries, (made[0],))
    expect(world.reply(ReadTree(0, 3), TreeRead).entries, made[:3])
    expect(world.reply(ReadTree(3, 100), TreeRead).entries, made[3:])
    expect(world.reply(ReadTree(7, 100), TreeRead).entries, ())
    expect(world.reply(ReadTree(100, 1), TreeRead).entries, ())


def an_append_is_made_once(world: SessionWorld) -> None:
    """Repeated, by the same attempt or a later one and whatever head that knows, it is answered with what is stored;
    the head stays where it is."""
    world.open(FIRST)
    a = world.append("a", FIRST, 1)
    first = AppendEntry("a", "", Json("1"), FIRST)
    expect(world.ask(first), Appended(a, "a"), "repeated at once")
    world.append("b", FIRST, 2)
    expect(world.ask(first), Appended(a, "b"), "repeated later")
    world.open(SECOND)
    before = world.everything()
    for parent in ("", "b", "unknown"):
        expect(world.ask(AppendEntry("a", parent, Json("1"), SECOND)), Appended(a, "b"), "by a later attempt")
    expect(world.everything(), before, "the session after the repeated appends")


def the_same_append_with_another_body_is_refused(world: SessionWorld) -> None:
    """An entry's id stands for its body: whoever asks for another one has taken it for something else."""
    world.append("a", value=1)
    world.refused(AppendEntry("a", "a", Json("2")), SessionReason.CONFLICT)
    world.refused(AppendEntry("a", "", Json('"1"')), SessionReason.CONFLICT)


def the_head_moves_by_compare_and_set(world: SessionWorld) -> None:
    """Of two who know the same head, one writes; the other is told where the head is."""
    world.append("a")
    world.append("b")
    for known in ("", "a", "c", *BAD_TEXTS):
        refused = world.refused(AppendEntry("c", known, Json("1")), SessionReason.HEAD_MOVED)
        expect(refused.head, "b", "the head that is told")
    world.append("c")
    refused = world.refused(MoveHead("b", "a"), SessionReason.HEAD_MOVED)
    expect(refused.head, "c", "the head that is told")


def a_move_begins_a_branch(world: SessionWorld) -> None:
    """The next append follows the entry that the head was moved to; nothing of the tree is lost."""
    a, b = world.append("a"), world.append("b")
    expect(world.ask(MoveHead("b", "a")), Moved("a"))
    expect(world.open().head, "a")
    c = world.append("c")
    expect(c, Entry("c", "a", 3, Json("null")))
    expect(world.reply(ReadPath("c"), PathRead).entries, (c, a))
    expect(world.reply(ReadTree(), TreeRead).entries, (a, b, c))
    expect(world.ask(MoveHead("c", "b")), Moved("b"))


def a_clients_move_may_be_repeated(world: SessionWorld) -> None:
    """A client that got no answer asks again: the head is where it wanted it."""
    world.append("a")
    world.append("b")
    move = MoveHead("b", "a")
    expect([world.ask(move), world.ask(move)], [Moved("a"), Moved("a")])


def a_head_moves_to_an_entry_only(world: SessionWorld) -> None:
    """What is not in the tree is refused, the empty head of an empty session too."""
    world.append("a")
    for to in ("", "b", *BAD_TEXTS):
        world.refused(MoveHead("a", to), SessionReason.UNKNOWN_ENTRY)


def the_policy_bounds_what_is_appended(world: SessionWorld) -> None:
    """Entries, bytes of one entry, bytes of all: up to the limit, and no further; the refusal names the limit."""
    policy = SessionPolicy(entries=3, entry_bytes=10, total_bytes=20)
    eleven, ten = canonical("x" * 9), canonical("x" * 8)
    refused = world.refused(AppendEntry("a", "", eleven), SessionReason.ENTRY_BYTES, policy)
    holds("11" in refused.detail and "10" in refused.detail, f"size and limit are told: {refused.detail!r}")
    world.reply(AppendEntry("a", "", ten), Appended, policy=policy)
    world.reply(AppendEntry("b", "a", ten), Appended, policy=policy)
    refused = world.refused(AppendEntry("c", "b", Json("1")), SessionReason.TOTAL_BYTES, policy)
    holds("21" in refused.detail and "20" in refused.detail, f"size and limit are told: {refused.detail!r}")
    roomy = evolve(policy, total_bytes=21)
    world.reply(AppendEntry("c", "b", Json("1")), Appended, policy=roomy)
    refused = world.refused(
        AppendEntry("d", "c", Json("1")), SessionReason.ENTRIES, evolve(policy, total_bytes=99)
    )
    holds("4" in refused.detail and "3" in refused.detail, f"number and limit are told: {refused.detail!r}")
    expect(
        world.ask(AppendEntry("b", "", ten), policy=policy),
        Appended(Entry("b", "a", 2, ten), "c"),
        "a replay",
    )
    world.refused(
        AppendEntry("é", "c", canonical("é" * 9)), SessionReason.ENTRY_BYTES, evolve(policy, entry_bytes=19)
    )


def the_policy_is_checked_at_opening(world: SessionWorld) -> None:
    """A session that is larger than the policy allows is not opened, and no watermark is raised."""
    world.open(FIRST)
    world.append("a", FIRST, "x" * 8)
    world.append("b", FIRST)
    fits = SessionPolicy(entries=2, entry_bytes=10, total_bytes=14)
    for small, reason in (
        (evolve(fits, entries=1), SessionReason.ENTRIES),
        (evolve(fits, entry_bytes=9), SessionReason.ENTRY_BYTES),
        (evolve(fits, total_bytes=13), SessionReason.TOTAL_BYTES),
    ):
        world.refused(Open(), reason, small)
        world.refused(Open(SECOND), reason, small)
    world.reply(Open(FIRST), Opened, policy=fits)
    world.append("c", FIRST)


def a_deleted_session_begins_anew(world: SessionWorld) -> None:
    """Its entries are gone, their ids free and its moves not made; deleting it again removes nothing."""
    world.open(FIRST)
    for name in ("a", "b"):
        world.append(name, FIRST, name)
    world.ask(MoveHead("b", "a", 1, FIRST))
    expect([world.ask(Delete(FIRST)), world.ask(Delete(FIRST))], [Deleted(2), Deleted(0)])
    expect(world.open(), Opened("", 0, 0))
    expect(world.reply(ReadPath("a"), PathRead).entries, ())
    world.refused(MoveHead("", "a", 1, FIRST), SessionReason.UNKNOWN_ENTRY)
    expect(world.append("a", FIRST, "other").seq, 1)
    world.append("b", FIRST, "other")
    expect(world.ask(MoveHead("b", "a", 1, FIRST)), Moved("a"))


def sessions_are_apart(world: SessionWorld) -> None:
    """Each id is a session of its own, however alike two of them are."""
    ids = ["s", "S", "s ", " s", "ß", "ss", "é", "e\u0301", "s/1", "s%1", "s_1", "x" * 512]
    for name in ids:
        world.append("a", session=name, value=name)
    for name in ids:
        expect([entry.value for entry in world.reply(ReadTree(), TreeRead, name).entries], [name], repr(name))
    world.ask(Delete(), "S")
    expect([name for name in ids if world.head(name) != "a"], ["S"], "the sessions without entries")


def what_no_store_can_carry_is_refused(world: SessionWorld) -> None:
    """A session's id, an entry's id, a body, and the names in a fence: refused alike by every store."""
    wrong: list[Any] = ["", " ", "\t\n", "x" * 513, None, 5, b"s", *BAD_TEXTS]
    for session_id in wrong:
        try:
            world.store.open(session_id, SessionPolicy())
        except InvalidValue:
            continue
        raise AssertionError(f"a session was opened under the id {session_id!r}")
    for text in BAD_TEXTS:
        world.refused(AppendEntry("a", "", Json(f'"{text}"')), SessionReason.BAD_TEXT)
        world.refused(Open(evolve(FIRST, registry=text)), SessionReason.BAD_TEXT)
    for name in ("", " ", "x" * 256, *BAD_TEXTS):
        world.refused(AppendEntry(name, "", Json("1")), SessionReason.BAD_TEXT)
        world.refused(Open(evolve(FIRST, process_id=name)), SessionReason.BAD_TEXT)
    world.refused(Open(evolve(FIRST, registry="x" * 513)), SessionReason.BAD_TEXT)
    world.open(SessionFence("", "x" * 255, 0, 0))


def a_closed_store_is_unavailable(world: SessionWorld) -> None:
    """Closing is repeatable, and a call after it was surely not applied."""
    session = world.store.open("s", SessionPolicy())
    world.store.close()
    world.store.close()
    for request in (Open(), Open(FIRST), ReadPath("a"), AppendEntry("a", "", Json("1"))):
        holds(isinstance(session.execute(request), Unavailable), f"{request!r} after close is Unavailable")


TREE_CHECKS = (
    what_nobody_wrote_is_empty,
    an_entry_follows_the_head,
    what_is_large_is_read_in_pages,
    an_append_is_made_once,
    the_same_append_with_another_body_is_refused,
    the_head_moves_by_compare_and_set,
    a_move_begins_a_branch,
    a_clients_move_may_be_repeated,
    a_head_moves_to_an_entry_only,
    the_policy_bounds_what_is_appended,
    the_policy_is_checked_at_opening,
    a_deleted_session_begins_anew,
    sessions_are_apart,
    what_no_store_can_carry_is_refused,
    a_closed_store_is_unavailable,
)
