"""A result that the journal does not take goes to an attachment by itself, and comes back from there."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, frozen

from tenure.canonical import Json, canonical, digest
from tenure.contents import Content
from tenure.effect_results import RESERVED_KEY, Attached, stored
from tenure.effects import RESULT_LIMIT, InlineEffects
from tenure.errors import (
    ContentCorrupt,
    ContentNotFound,
    EffectUnreadable,
    FacetMissing,
    NotJson,
    StoreUnavailable,
    TooLarge,
)
from tests.core.effect_worlds import Shelf, attempt, effect, journal
from tests.core.trampoline_asks import LIMIT, called, started

LARGEST = "x" * (LIMIT - 2)
"""The longest text that the journal takes: it has its quotes in JSON."""
LARGE = LARGEST + "x"


@frozen
class Page:
    text: str


def fetched() -> Page:
    return Page(LARGE)


def too_large(key: str, size: int, limit: int) -> str:
    """The message."""
    return (
        f"the result of effect {key!r} of process 'p' takes {size} bytes; the limit is {limit}. "
        "Store it elsewhere and pass a reference."
    )


def test_what_the_journal_takes_goes_there() -> None:
    world, shelf = started(), Shelf()
    assert effect(attempt(world, shelf=shelf), "k", called([], LARGEST)) == LARGEST
    assert journal(world) == {"k": canonical(LARGEST)}
    assert shelf.kept == {}


def test_a_result_over_the_limit_is_an_attachment_and_the_journal_has_its_id() -> None:
    world, shelf, log = started(), Shelf(), list[Any]()
    assert effect(attempt(world, shelf=shelf), "k", called(log, LARGE)) == LARGE
    text = canonical(LARGE)
    assert journal(world) == {"k": stored(Attached(digest(text), LIMIT + 1))}
    content = Content(digest(text), LIMIT + 1, "effect result", "application/json")
    assert shelf.kept == {content.id: (content, text.encode())}
    assert effect(attempt(world, shelf=shelf), "k", called(log, "another")) == LARGE
    assert log == [()]


def test_a_typed_result_comes_back_as_its_type_both_times() -> None:
    world, shelf = started(), Shelf()
    for _ in range(2):
        assert effect(attempt(world, shelf=shelf), "k", fetched) == Page(LARGE)


def test_sizes_are_in_bytes_and_count_what_is_stored() -> None:
    """An object with the reserved key is wrapped, which takes more than the object itself."""
    world, shelf = started(), Shelf()
    wide = {RESERVED_KEY: "x" * (LIMIT - len(canonical({RESERVED_KEY: ""})))}
    assert len(canonical(wide)) == LIMIT
    assert effect(attempt(world, shelf=shelf), "wide", called([], wide)) == wide
    assert effect(attempt(world, shelf=shelf), "wide", called([], None)) == wide
    umlauts = "ü" * (LIMIT // 2)
    assert effect(attempt(world, shelf=shelf), "umlauts", called([], umlauts)) == umlauts
    assert {content.size for content, _ in shelf.kept.values()} == {LIMIT, LIMIT + 2}
    with pytest.raises(TooLarge) as large:
        effect(attempt(world), "alone", called([], wide))
    size = LIMIT + len('{"tenure.effect":"value","value":}')
    assert str(large.value) == too_large("alone", size, LIMIT)


def test_without_attachments_it_is_too_large() -> None:
    world = started()
    with pytest.raises(TooLarge) as large:
        effect(attempt(world), "k", called([], LARGE))
    assert str(large.value) == too_large("k", LIMIT + 1, LIMIT)
    assert journal(world) == {}


def test_so_it_is_where_the_deployment_has_no_store_of_them() -> None:
    world, shelf = started(), Shelf(missing=True)
    with pytest.raises(TooLarge) as large:
        effect(attempt(world, shelf=shelf), "k", called([], LARGE))
    assert str(large.value) == too_large("k", LIMIT + 1, LIMIT)
    assert isinstance(large.value.__cause__, FacetMissing)
    assert journal(world) == {}


def test_an_attachment_is_bounded_too() -> None:
    world, shelf = started(), Shelf()
    ctx = attempt(world, shelf=shelf)
    assert RESULT_LIMIT == 16 << 20
    most = "x" * (RESULT_LIMIT - 2)
    with pytest.raises(TooLarge) as large:
        effect(ctx, "k", called([], most + "x"))
    assert str(large.value) == too_large("k", RESULT_LIMIT + 1, RESULT_LIMIT)
    with pytest.raises(TooLarge) as large:
        effect(attempt(world), "without", called([], most + "x"))
    assert str(large.value) == too_large("without", RESULT_LIMIT + 1, LIMIT)
    ctx = attempt(world, shelf=shelf)
    assert (journal(world), shelf.kept) == ({}, {})
    assert effect(ctx, "k", called([], most)) == most
    assert [content.size for content, _ in shelf.kept.values()] == [RESULT_LIMIT]


def test_a_journal_may_take_more_than_an_attachment() -> None:
    world, shelf = started(), Shelf()
    world.state = evolve(world.state, limits=evolve(world.state.limits, payload=RESULT_LIMIT + 10))
    larger = "x" * RESULT_LIMIT
    assert effect(attempt(world, shelf=shelf), "k", called([], larger)) == larger
    assert shelf.kept == {}


def test_an_inline_host_takes_as_much_as_any() -> None:
    world, shelf = started(), Shelf()
    ctx = attempt(world, InlineEffects().scope("p"), shelf)
    assert effect(ctx, "k", called([], LARGE)) == LARGE


def test_a_large_result_that_is_not_json_is_refused_by_name() -> None:
    world, shelf = started(), Shelf()
    with pytest.raises(NotJson, match=r"the result of effect 'k' of process 'p' is not JSON at \$\[1\]: set"):
        effect(attempt(world, shelf=shelf), "k", called([], [LARGE, {1}]))
    assert (journal(world), shelf.kept) == ({}, {})


# --- trouble with the store ---------------------------------------------------------------------------------------


def test_a_store_that_takes_nothing_records_nothing_and_the_effect_may_be_repeated() -> None:
    world, shelf, log = started(), Shelf(full=True), list[Any]()
    ctx = attempt(world, shelf=shelf)
    with pytest.raises(StoreUnavailable, match="the shelf is full"):
        effect(ctx, "k", called(log, LARGE))
    assert journal(world) == {}
    shelf.full = False
    assert effect(ctx, "k", called(log, LARGE)) == LARGE
    assert log == [(), ()]


def read_again(shelf: Shelf | None) -> EffectUnreadable:
    """What a later attempt is told, which has that shelf in place of the one with the attachment."""
    world = started()
    effect(attempt(world, shelf=Shelf()), "k", called([], LARGE))
    with pytest.raises(EffectUnreadable) as unreadable:
        effect(attempt(world, shelf=shelf), "k", called([], "recorded, so not called"))
    assert (unreadable.value.process_id, unreadable.value.key) == ("p", "k")
    return unreadable.value


ID = digest(canonical(LARGE))
SAID = "effect 'k' of process 'p' was recorded, and cannot be read back: "


def test_an_attachment_that_is_gone_is_told() -> None:
    gone = read_again(Shelf())
    assert str(gone) == SAID + str(ContentNotFound("attachment", ID))
    assert isinstance(gone.__cause__, ContentNotFound)


def test_an_attachment_that_no_store_is_there_for_is_told() -> None:
    missing = read_again(Shelf(missing=True))
    assert str(missing) == SAID + str(FacetMissing("attachments"))


def test_an_attachment_that_is_corrupt_is_told() -> None:
    content = Content(ID, LIMIT + 1, "", "")
    corrupt = read_again(Shelf({ID: (content, b"")}))
    assert str(corrupt) == SAID + str(ContentCorrupt("attachment", ID, "it is empty"))
    assert isinstance(corrupt.__cause__, ContentCorrupt)


@pytest.mark.parametrize("altered", [canonical(LARGE[:-1] + "y").encode(), b"\xff" * (LIMIT + 1)])
def test_an_attachment_that_was_altered_is_told_where_the_store_does_not_look(altered: bytes) -> None:
    """S21: what was recorded is what a later attempt reads, or it hears that it is not."""
    told = read_again(Shelf({ID: (Content(ID, LIMIT + 1, "", ""), altered)}))
    assert str(told) == (SAID + f"attachment {ID} of {LIMIT + 1} bytes has other bytes than were put there")


def test_an_attachment_without_a_store_is_told() -> None:
    told = read_again(None)
    assert str(told) == (
        SAID + f"it is in attachment {ID} of {LIMIT + 1} bytes, and there is no attachment store here"
    )


def test_a_stored_reference_is_no_value_of_the_users() -> None:
    """A user's object that looks like one is wrapped, so nobody can point a journal at bytes of their own."""
    world, shelf = started(), Shelf()
    forged = {RESERVED_KEY: "attachment", "id": ID, "size": 3}
    for _ in range(2):
        assert effect(attempt(world, shelf=shelf), "k", called([], forged)) == forged
    assert journal(world) == {"k": Json(f'{{"tenure.effect":"value","value":{canonical(forged)}}}')}
