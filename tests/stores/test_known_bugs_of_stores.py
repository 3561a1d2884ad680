"""The known bugs that a store's own tables could have (docs/reference/properties.md §5), each shown not to be there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tenure.canonical import NULL, canonical
from tenure.limits import Limits
from tenure.process import ClaimId, Effect, Event, Fence, Provenance, Record, Registration, Success, Work
from tenure.replies import (
    Answer,
    Claimed,
    EffectsRead,
    EndingsRead,
    EventsRead,
    Fenced,
    FenceLogRead,
    Got,
    OwnerEventsRead,
    Reason,
    Refused,
    Reply,
    Succeeded,
)
from tenure.requests import (
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    EmitEvent,
    Get,
    List,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.stores import Cursor, ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite
from tenure_testing.registry_world import ManualClock

R = TypeVar("R", bound=Reply)
TTL = 1_000
DAY = Limits().retry_horizon


class Store:
    """A store, its clock, and what a test asks of it."""

    def __init__(self, make: Callable[[ManualClock], ProcessRegistry]) -> None:
        self._make, self.clock, self._claims = make, ManualClock(), 0
        self.store = make(self.clock)

    def ask(self, request: Request) -> Answer:
        return self.store.execute([request])[0]

    def get(self, request: Request, kind: type[R]) -> R:
        answer = self.ask(request)
        assert isinstance(answer, Succeeded), answer
        assert isinstance(answer.reply, kind)
        return answer.reply

    def register(self, *names: str, kind: str = "k", profile: str = "") -> None:
        for name in names:
            self.ask(Register(Registration(name, Work(kind), ("note",), Provenance("scope", profile))))

    def claim(self, limit: int = 10, owner: str = "us") -> dict[str, Fence]:
        """What ClaimNext grants of kind k, here."""
        self._claims += 1
        wanted = ClaimFilter("here", ("k",))
        reply = self.get(ClaimNext(ClaimId(owner, self._claims), TTL, limit, wanted), Claimed)
        return {grant.record.id: grant.fence for grant in reply.grants}

    def record(self, name: str) -> Record:
        return self.get(Get(name), Got).record

    def log(self, name: str) -> tuple[Event, ...]:
        return self.get(ReadEvents(name), EventsRead).events

    def journal(self, name: str) -> tuple[Effect, ...]:
        return self.get(ReadEffects(name), EffectsRead).effects

    def whole(self, name: str) -> tuple[object, ...]:
        """All that there is of a process."""
        return self.record(name), self.log(name), self.journal(name)

    def opened_again(self) -> None:
        """SQLite's file, closed and opened; memory goes on as it is."""
        if self.store.tier.value == "durable":
            self.store.close()
            self.store = self._make(self.clock)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return Store(lambda clock: open_memory("memory:", clock=clock))
    return Store(lambda clock: open_sqlite(f"sqlite:///{tmp_path}/s.db", clock=clock))


def test_what_was_answered_is_read_again(store: Store) -> None:
    """S21, S23, K24: by this connection and by the next one, row, log and journal."""
    store.register("p")
    fence = store.claim()["p"]
    store.ask(EmitEvent(fence, "note", canonical(1), "key"))
    store.ask(RecordEffect(fence, "key", "f", canonical(2)))
    store.ask(Complete(fence, Success(canonical("done"))))
    said = store.whole("p")
    store.opened_again()
    assert store.whole("p") == said
    assert [event.type for event in store.log("p")] == ["note", "process.ended"]
    assert len(store.journal("p")) == 1


def test_at_its_expiry_a_lost_process_is_claimed(store: Store) -> None:
    """K18, K21, K6, S5, L1: not a millisecond before, and not one later, though nothing has changed meanwhile."""
    store.register("p")
    assert list(store.claim()) == ["p"]
    store.clock.now += TTL - 1
    assert list(store.claim(owner="them")) == []
    store.clock.now += 1
    assert list(store.claim(owner="them")) == ["p"]


def test_what_a_claim_answers_is_what_the_row_is(store: Store) -> None:
    """K12, S19, S12: also where it took the row over, and also for who opens the store after it."""
    store.register("p")
    for _ in range(2):
        fence = store.claim()["p"]
        store.opened_again()
        assert (store.record("p").token, store.record("p").claim) == (fence.token, fence.claim)
        store.clock.now += TTL


def test_a_claim_gets_what_it_asks_for_each_row_once(store: Store) -> None:
    """S3, S19, S22: what is of another kind, made for another host, excluded, held or ended stays where it is."""
    store.register("a", "b", "excluded")
    store.register("c", profile="here")
    store.register("other", kind="j")
    store.register("third", kind="l")
    store.register("there", profile="there")
    store.ask(RequestCancel("b"))
    wanted = ClaimFilter("here", ("k", "j"), ("excluded",))
    for owner, names in (("us", ["a", "c", "other"]), ("them", [])):
        grants = store.get(ClaimNext(ClaimId(owner, 1), TTL, 10, wanted), Claimed).grants
        assert [grant.record.id for grant in grants] == names


def test_tokens_grow_across_openings(store: Store) -> None:
    """K19, S2: the sequence is kept."""
    store.register("p")
    tokens = [0]
    for _ in range(3):
        fence = store.claim()["p"]
        tokens.append(fence.token)
        store.ask(Release(fence, 0))
        store.opened_again()
    assert tokens == sorted(set(tokens))


def test_a_repeated_claim_answers_what_it_got(store: Store) -> None:
    """S10, S2: the rows of this very claim, also after reopening; an earlier one is fenced; another worker's n is its
    own."""
    store.register("a", "b")
    wanted = ClaimFilter("", ("k",))
    request = ClaimNext(ClaimId("us", 2), TTL, 1, wanted)
    first = store.ask(request)
    store.opened_again()
    assert store.ask(request) == first
    assert store.ask(ClaimNext(ClaimId("us", 1), TTL, 1, wanted)) == Fenced()
    (grant,) = store.get(ClaimNext(ClaimId("them", 1), TTL, 1, wanted), Claimed).grants
    assert grant.record.id == "b"
    store.ask(Release(grant.fence, 0))
    (again,) = store.get(ClaimNext(ClaimId("them", 2), TTL, 1, wanted), Claimed).grants
    assert again.record.id == "b"
    assert store.get(ClaimNext(ClaimId("them", 2), TTL, 1, wanted), Claimed).grants == (again,)
    assert isinstance(store.ask(Claim(ClaimId("zz", 1), "b", TTL)), Refused)


@pytest.mark.parametrize("number", range(6))
def test_a_request_changes_its_own_row_and_no_other(store: Store, number: int) -> None:
    """S22: neither what the neighbours are nor what hangs on them."""
    names = ["a", "b", "c"]
    store.register(*names)
    fences = store.claim()
    for fence in fences.values():
        store.ask(EmitEvent(fence, "note", NULL, "first"))
        store.ask(RecordEffect(fence, "first", "f", NULL))
    before = {name: store.whole(name) for name in names}
    own = fences["b"]
    requests: list[Request] = [
        Renew(own, 2 * TTL),
        Release(own, 0),
        EmitEvent(own, "note", NULL, "key"),
        RecordEffect(own, "key", "f", NULL),
        RequestCancel("b", "why"),
        Complete(own, Success(canonical("done"))),
    ]
    assert isinstance(store.ask(requests[number]), Succeeded)
    store.opened_again()
    assert {name: store.whole(name) == before[name] for name in names} == {"a": True, "b": False, "c": True}


def test_keys_are_found_in_their_own_process(store: Store) -> None:
    """S10, S22: a key that another process used, or a later key of this one, is a new one."""
    store.register("a", "b")
    fences = store.claim()
    for name, keys in (("b", "zk"), ("a", "km")):
        for key in keys:
            assert isinstance(
                store.ask(RecordEffect(fences[name], key, "f", canonical(name + key))), Succeeded
            )
            assert isinstance(store.ask(EmitEvent(fences[name], "note", NULL, key)), Succeeded)
    assert [effect.result for effect in store.journal("a")] == ['"ak"', '"am"']
    assert len(store.log("a")) == len(store.log("b")) == 2


def test_pruning_removes_what_ended_long_ago_and_nothing_else(store: Store) -> None:
    """S7, S10, S11, S22, L8: what has not ended stays; what ended of late can still answer a replay; and a claim of
    late is still known."""
    store.register("old", "new", "held")
    fences = store.claim()
    for name, fence in fences.items():
        store.ask(EmitEvent(fence, "note", NULL, "key"))
        store.ask(RecordEffect(fence, "key", "f", NULL))
        if name == "old":
            store.ask(Complete(fence, Success()))
    store.clock.now += DAY
    done = Complete(fences["new"], Success())
    store.ask(done)
    store.register("late")
    late = store.claim(1)
    kept = {name: store.whole(name) for name in ("new", "held", "late")}
    store.clock.now += 1
    store.ask(Prune(0))
    assert store.ask(Get("old")) == Refused(Reason.NOT_FOUND)
    assert {name: store.whole(name) for name in kept} == kept
    assert isinstance(store.ask(done), Succeeded)
    assert late
    assert store.ask(ClaimNext(ClaimId("us", 1), TTL, 1, ClaimFilter("", ("k",)))) == Fenced()


def test_refusals_are_told(store: Store) -> None:
    """CONTRACT §4: the fence log keeps what was refused."""
    store.register("a")
    store.ask(Renew(Fence("a", ClaimId("zombie", 1), 1), TTL))
    (note,) = store.get(ReadFenceLog(10), FenceLogRead).notes
    assert note.owner == "zombie"


def test_no_ending_is_missed(store: Store) -> None:
    """CONTRACT §9: by whoever reads on from the last version that was told."""
    store.register("a", "b")
    seen = 0
    for name, fence in store.claim().items():
        store.ask(Complete(fence, Success()))
        ((seen, ended),) = store.get(ReadEndings(seen, 10), EndingsRead).endings
        assert ended == name


@pytest.mark.parametrize(
    "read",
    [Get("p"), List(), ReadEvents("p"), ReadEffects("p"), ReadCancels("us")],
    ids=lambda read: type(read).__name__,
)
def test_a_batch_reads_what_it_did(store: Store, read: Request) -> None:
    """S23: the row, and every page that shows it, is as the requests before left it."""
    store.register("p")
    fence = store.claim()["p"]
    did: list[Request] = [
        EmitEvent(fence, "note", NULL, "key"),
        RecordEffect(fence, "key", "f", NULL),
        RequestCancel("p", "why"),
    ]
    answers = store.store.execute([*did, read])
    assert answers[-1] == store.ask(read)


def test_what_another_connection_changed_is_read_anew(tmp_path: Path) -> None:
    """S23, S1: rows that this connection wrote, and remembers, are another's by now."""
    mine, other = (
        Store(lambda clock: open_sqlite(f"sqlite:///{tmp_path}/s.db", clock=clock)) for _ in range(2)
    )
    mine.register("p", "q")
    assert list(mine.claim()) == ["p", "q"]
    other.ask(RequestCancel("p", "why"))
    answers = mine.store.execute([Get("p"), Get("q")])
    assert answers[0] == other.ask(Get("p"))
    assert mine.record("p").cancel == "why"


def test_an_owner_is_told_of_its_own_processes_alone(store: Store) -> None:
    """B12, CONTRACT §8."""
    owners = ("s", "t", "r", "")
    for owner in owners:
        store.ask(Register(Registration(f"of {owner}", Work("k"), (), Provenance(owner))))
        store.ask(RequestCancel(f"of {owner}"))
    for owner in owners[:3]:
        told = store.get(ReadOwnerEvents(owner), OwnerEventsRead).events
        assert [one.process_id for one in told] == [f"of {owner}"]


def test_a_cancel_between_the_look_and_the_wait_ends_the_wait(store: Store) -> None:
    """K17, L4: read the cursor, then the state, then wait (CONTRACT §9): what came in between is no old news."""
    store.register("p")
    store.claim()
    looked = store.store.wait(Cursor(), 0)
    store.ask(RequestCancel("p"))
    moved = store.store.wait(looked, 0)
    assert moved.work > looked.work
    assert store.store.wait(moved, 0) == moved
