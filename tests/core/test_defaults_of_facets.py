"""What is left out where sessions, contents, effects and events are concerned; their limits, and what is only theirs to
set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from tenure import contents, effects, sessions
from tenure.asks import AwaitEvents, Submit
from tenure.canonical import Json
from tenure.client import Client
from tenure.config import WithoutPlugins
from tenure.context import BARE
from tenure.direct import FOREVER, WAKES_THE_OWNER, Cancellation, ExecutionContext
from tenure.errors import EntryConflict, EntryNotFound, InvalidValue
from tenure.events import NO_SHAPES, Following, Hearing
from tenure.fitness import Check
from tenure.handlers import Run
from tenure.kinds import Kind
from tenure.plugins import Plugin, PluginStack
from tenure.process import Event
from tenure.requests import ReadEvents, ReadOwnerEvents
from tenure.session import ID_LENGTH, TRIES
from tenure.session_model import FORGOTTEN_AT_ONCE
from tenure.session_tables import Mark, SessionRow
from tenure.sessions import (
    AppendEntry,
    Delete,
    MoveHead,
    Open,
    ReadPath,
    ReadTree,
    Residency,
    SessionFence,
    SessionPolicy,
    SessionReason,
    SessionRefused,
)
from tenure.stores import DurabilityTier
from tests.core.session_scene import Scene
from tests.core.trampoline_asks import LIMIT, World, driven, started


def test_limits_are_those_that_the_documents_name() -> None:
    assert (contents.CHUNK, contents.NAME_LIMIT) == (262_144, 255)
    assert (contents.SIZE_LIMIT, contents.WHOLE_LIMIT) == (17_179_869_184, 67_108_864)
    assert (effects.READ_TIMEOUT, effects.RESULT_LIMIT, effects.NAME_LIMIT) == (30.0, 16_777_216, 200)
    assert (sessions.NAME_LIMIT, sessions.PAGE, TRIES, ID_LENGTH, FORGOTTEN_AT_ONCE) == (512, 500, 3, 32, 10)
    assert SessionPolicy() == SessionPolicy(100_000, 1_048_576, 268_435_456)
    assert FOREVER == 9_223_372_036_854_775_807


def test_words_that_are_stored_or_said() -> None:
    assert [one.value for one in Residency] == ["keep_all", "active_path_only"]
    assert [one.value for one in SessionReason] == [
        "entries",
        "entry_bytes",
        "total_bytes",
        "head_moved",
        "unknown_entry",
        "conflict",
        "bad_text",
    ]
    assert [one.value for one in Check] == ["id", "profile", "tiers", "external", "owner", "kind"]
    assert effects.ATTACHMENT_NAME == "effect result"


def test_a_request_that_says_nothing_more_is_a_clients_and_begins_at_the_start() -> None:
    assert ReadPath("x") == ReadPath("x", 500)
    assert ReadTree() == ReadTree(0, 500)
    assert ReadOwnerEvents("shop") == ReadOwnerEvents("shop", 0, 100)
    assert AppendEntry("x", "", Json("1")) == AppendEntry("x", "", Json("1"), None)
    assert MoveHead("x", "y") == MoveHead("x", "y", 0, None)
    assert (Open(), Delete()) == (Open(None), Delete(None))
    assert SessionRefused(SessionReason.CONFLICT, "no") == SessionRefused(SessionReason.CONFLICT, "no", "")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (partial(MoveHead, "x", "y"), "MoveHead.n"),
        (ReadTree, "ReadTree.after"),
        (partial(SessionFence, "r", "p", token=1), "SessionFence.epoch"),
        (partial(SessionFence, "r", "p", 1), "SessionFence.token"),
    ],
)
def test_a_number_of_a_request_is_0_or_more(made: Any, said: str) -> None:
    made(0)
    for wrong in (-1, True, 1.0, 1 << 63):
        with pytest.raises(
            InvalidValue, match=rf"^{said} is {wrong!r}; it must be a whole number within 0 and "
        ):
            made(wrong)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (partial(ReadPath, "x"), "ReadPath.limit"),
        (partial(ReadTree, 0), "ReadTree.limit"),
        (partial(SessionPolicy, entry_bytes=1, total_bytes=1), "SessionPolicy.entries"),
        (partial(SessionPolicy, 1, total_bytes=1), "SessionPolicy.entry_bytes"),
        (partial(SessionPolicy, 1, 1), "SessionPolicy.total_bytes"),
    ],
)
def test_a_limit_is_1_or_more(made: Any, said: str) -> None:
    made(1)
    for wrong in (0, True, 1.0, 1 << 63):
        with pytest.raises(
            InvalidValue, match=rf"^{said} is {wrong!r}; it must be a whole number within 1 and "
        ):
            made(wrong)


def test_a_session_begins_with_nothing() -> None:
    assert SessionRow() == SessionRow("", 0, 0, 0)
    assert Mark(1, 2).moves == 0


def test_what_is_around_a_process_of_a_registry_alone() -> None:
    assert (BARE.session, BARE.attachments, BARE.artifacts) == (None, None, None)
    assert BARE.effects is effects.IN_THE_REGISTRY
    assert effects.InlineEffects().tier is DurabilityTier.INLINE


def test_a_plugin_needs_neither_lifespan_nor_services_and_a_kind_no_shapes() -> None:
    plugin = Plugin("shop", {})
    assert (plugin.lifespan, plugin.services) == (None, None)
    assert Kind("job", print, True, False, None, None, (), None).shapes is NO_SHAPES
    assert NO_SHAPES == {}
    assert WithoutPlugins.__total__ is False


def test_a_direct_run_wakes_the_owner_and_a_cancellation_needs_no_reason() -> None:
    assert WAKES_THE_OWNER == ExecutionContext("") == ExecutionContext()
    cancellation = Cancellation()
    cancellation.cancel()
    assert cancellation.reason == ""


def test_who_waits_for_any_event_is_no_handler() -> None:
    assert AwaitEvents("p", 0, None) == AwaitEvents("p", 0, None, "", 0)


def test_what_a_machine_keeps_for_itself_nobody_hands_it() -> None:
    made: list[tuple[Any, tuple[Any, ...]]] = [
        (Cancellation, ("why",)),
        (Cancellation, (None, [])),
        (Following, (print, 0, [])),
        (Following, (print, 0, [], True)),
        (Hearing, (print, "p", 1, {})),
        (PluginStack, ((), {})),
        (Run, (None, None, None, 1, [])),
    ]
    for kind, given in made:
        with pytest.raises(TypeError):
            kind(*given)
    by_name: list[tuple[Any, dict[str, Any]]] = [
        (Cancellation, {"reason": None}),
        (Cancellation, {"told": []}),
        (Following, {"more": print, "after": 0, "page": []}),
    ]
    for kind, named in by_name:
        with pytest.raises(TypeError, match="unexpected keyword"):
            kind(**named)


def test_a_client_is_told_its_limits_by_name() -> None:
    world = World.new()
    make: Any = Client
    with pytest.raises(TypeError):
        make(world.ask, world.convert, str, None, None, None, LIMIT)
    with pytest.raises(TypeError):
        make(world.ask, world.convert, str, None, None, None, 2.5, limit=LIMIT)


def test_a_refusal_of_what_is_about_no_entry_names_none() -> None:
    """A store of somebody's own may refuse whatever it likes."""
    scene = Scene()
    session = scene.session()
    scene.trouble.append(SessionRefused(SessionReason.UNKNOWN_ENTRY, "no"))
    with pytest.raises(EntryNotFound) as unknown:
        driven(session.refresh())
    assert vars(unknown.value) == {"session_id": "s", "entry_id": ""}
    scene.trouble.append(SessionRefused(SessionReason.CONFLICT, "no"))
    with pytest.raises(EntryConflict) as conflict:
        driven(session.refresh())
    assert vars(conflict.value) == {"session_id": "s", "entry_id": "", "key": ""}


def test_an_owners_log_is_read_from_a_number_and_in_pages() -> None:
    wrong: Any
    for wrong in (-1, True, 1.0):
        with pytest.raises(InvalidValue, match=r"^ReadOwnerEvents\.after is "):
            ReadOwnerEvents("shop", wrong)
    for wrong in (0, True, 1.0):
        with pytest.raises(InvalidValue, match=r"^ReadOwnerEvents\.limit is "):
            ReadOwnerEvents("shop", 0, wrong)


async def first_of(following: AsyncIterator[Event]) -> Event:
    return await anext(following)


def test_a_client_reads_from_the_start_and_a_process_may_be_claimed_at_once() -> None:
    world = started()
    client = world.client()
    assert world.record("p").ready_at == world.record("p").changed_at
    driven(client.append("p", "note"))
    for following in (client.follow("p"), client.handle("p").follow()):
        world.asked.clear()
        assert driven(first_of(following)).seq == 1
        assert world.asked == [AwaitEvents("p", 0, None)]
    world.asked.clear()
    driven(client.events("p"))
    assert world.asked == [Submit(ReadEvents("p", 0, 1_000), 30.0)]
