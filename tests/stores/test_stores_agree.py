"""Memory, SQLite and the reference model answer the same to anything (S1, in one thread), and keep the same rows.

Small limits bring every refusal and every wait within reach; the clock also steps back (C1). Fences are the ones that
claims answered, current or long superseded, and such as nobody ever had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from tenure.canonical import NULL, Json
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import (
    Cancelled,
    ClaimId,
    External,
    Failure,
    Fence,
    Provenance,
    Registration,
    Success,
    Work,
)
from tenure.replies import Answer, Claimed, Succeeded
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Get,
    List,
    Phase,
    Prune,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
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
from tenure_testing.registry_contract import ManualClock

T = TypeVar("T")

LIMITS = Limits(payload=24, name=6, takeover_wait=10, takeover_cap=30, retry_horizon=60, fence_log=4)


@define
class Seen:
    """What a plan's requests can refer to: the fences that claims answered, and each incarnation's last claim."""

    fences: list[Fence] = field(factory=list[Fence])
    last: dict[str, int] = field(factory=dict[str, int])

    def learn(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, Succeeded) and isinstance(answer.reply, Claimed):
                self.fences += [g.fence for g in answer.reply.grants if g.fence not in self.fences]

    def claim(self, owner: str, by: int) -> ClaimId:
        """The incarnation's next claim (1), its last again (0), or one before (-1)."""
        n = max(1, self.last.get(owner, 0) + by)
        self.last[owner] = max(n, self.last.get(owner, 0))
        return ClaimId(owner, n)


Act = Callable[[Seen], Request]
"""A request, once it is known what there is to refer to."""


def mostly(good: list[T], bad: list[T]) -> st.SearchStrategy[T]:
    return st.sampled_from([*good * (1 + 9 * len(bad) // len(good)), *bad])


ids = mostly(["a", "b", "c"], ["x", "toolong", "", "\ud800"])
good_ids = st.sampled_from(["a", "b", "c"])
kinds = mostly(["k"], ["j"])
keys = mostly(["1", "2"], ["\0", "\ud800", "toolong"])
types = mostly(["t"], ["u", "process.x", " "])
bodies = mostly([NULL, Json("1"), Json('{"a":[1.5,"\u00e9"]}')], [Json('"' + "x" * 30 + '"')])
times = st.integers(0, 40)
pages = st.integers(1, 3)
owners = mostly(["u", "v"], ["\ud800"])
moves = st.sampled_from([1, 1, 1, 1, 0, -1])
outcomes = st.one_of(
    st.builds(Success, bodies, st.sampled_from([NULL, Json("2")])),
    st.builds(Failure, st.just("E"), st.just("c"), mostly(["m"], ["\ud800"]), bodies),
    st.builds(Cancelled, st.sampled_from(["", "why"])),
)
wanted = st.builds(
    ClaimFilter,
    st.sampled_from(["", "here"]),
    st.lists(kinds, max_size=3).map(tuple),
    st.lists(good_ids, max_size=1).map(tuple),
)
registrations = st.builds(
    Registration,
    ids,
    st.one_of(st.builds(Work, mostly(["k"], ["j", ""]), bodies), st.builds(External, bodies)),
    mostly([("t",), ("t", "u"), ()], [("process.x",)]),
    st.builds(Provenance, st.sampled_from(["", "s"]), st.sampled_from(["", "here", "there"])),
)
simple = st.builds(Registration, good_ids, st.just(Work("k")), st.just(("t",)))
outside = st.builds(Registration, st.just("x"), st.just(External()))


def plainly(requests: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    """A request that refers to nothing."""
    return requests.map(lambda request: lambda seen: request)


@st.composite
def claiming(draw: st.DrawFn) -> Act:
    owner, by, ttl, limit = draw(owners), draw(moves), draw(mostly([8, 20], [0])), draw(st.integers(0, 3))
    choice = draw(st.one_of(st.just(ClaimFilter("here", ("k",))), wanted, ids))

    def act(seen: Seen) -> Request:
        claim = seen.claim(owner, by)
        return Claim(claim, choice, ttl) if isinstance(choice, str) else ClaimNext(claim, ttl, limit, choice)

    return act


@st.composite
def under_a_fence(draw: st.DrawFn) -> Act:
    key, kind, body, ttl, outcome = draw(keys), draw(types), draw(bodies), draw(times), draw(outcomes)
    fingerprint = draw(mostly(["f"], ["g", "\ud800"]))
    makes: list[Callable[[Fence], Request]] = [
        lambda fence: Renew(fence, ttl),
        lambda fence: RecordEffect(fence, key, fingerprint, body),
        lambda fence: EmitEvent(fence, kind, body, key),
        lambda fence: Complete(fence, outcome),
        lambda fence: Release(fence, ttl),
    ]
    make = draw(st.sampled_from(makes))
    # The newest fence mostly, or an older one, or one that is bent.
    place, bent = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3])), draw(mostly(["no"], ["token", "owner", "id"]))

    def act(seen: Seen) -> Request:
        fence = seen.fences[-1 - place] if place < len(seen.fences) else Fence("a", ClaimId("u", 1), 3)
        match bent:
            case "token":
                fence = evolve(fence, token=fence.token + 1)
            case "owner":
                fence = evolve(fence, claim=ClaimId("\ud800", fence.claim.n))
            case "id":
                fence = evolve(fence, process_id="a" if fence.process_id != "a" else "\0")
            case _:
                pass
        return make(fence)

    return act


reads = st.one_of(
    st.builds(Get, ids),
    st.builds(
        List,
        st.integers(0, 20),
        pages,
        st.sampled_from([None, *Phase]),
        st.sampled_from([None, "k", ""]),
        st.sampled_from([None, "s", ""]),
    ),
    st.builds(ReadEvents, ids, st.integers(0, 3), pages),
    st.builds(ReadEffects, ids, st.sampled_from(["", "1"]), pages),
    st.builds(ReadEndings, st.integers(0, 20), pages),
    st.builds(ReadCancels, st.sampled_from(["u", "v"]), pages),
    st.builds(ReadFenceLog, pages),
)
acts: st.SearchStrategy[Act] = st.one_of(
    under_a_fence(),
    under_a_fence(),
    under_a_fence(),
    claiming(),
    claiming(),
    plainly(st.builds(Register, simple, st.sampled_from([0, 0, 15]))),
    plainly(st.builds(Register, st.one_of(registrations, outside), st.sampled_from([0, 15]))),
    plainly(st.builds(AppendEvent, ids, types, bodies, keys)),
    plainly(st.builds(RequestCancel, ids, mostly(["", "why"], ["\ud800"]))),
    plainly(st.builds(CompleteExternal, mostly(["x"], ["a"]), mostly(["me", "you"], [""]), outcomes)),
    plainly(st.builds(Prune, times, pages)),
    plainly(reads),
)
Plan = list[tuple[int, list[Act], int]]
"""Steps: how far the clock moves, what is asked in one batch, and whether a copy of it breaks off before (0)."""

deltas = st.sampled_from([0, 0, 1, 5, 5, 12, 35, 70, -20])
plans: st.SearchStrategy[Plan] = st.lists(
    st.tuples(deltas, st.lists(acts, min_size=1, max_size=6), st.integers(0, 9)), min_size=10, max_size=30
)


START: list[Request] = [Register(Registration(name, Work("k"), ("t",))) for name in ("a", "b")]


def told(store: ProcessRegistry) -> object:
    """All that a store can tell, the fence log included."""
    asked: list[Request] = [List(limit=100), ReadEndings(0), ReadFenceLog(10)]
    for name in ("a", "b", "c", "x"):
        asked += [ReadEvents(name), ReadEffects(name)]
    return list(store.execute(asked)), store.wait(Cursor(), 0)


def model_told(state: Snapshot, clock: StoreTime) -> tuple[object, object]:
    return apply(state, List(limit=100), clock)[1], apply(state, ReadEndings(0), clock)[1]


@given(plans)
def test_all_stores_and_the_model_agree(plan: Plan) -> None:
    clock = ManualClock(1_000)
    with TemporaryDirectory() as folder:
        memory = open_memory("memory:", clock=clock, limits=LIMITS)
        sqlite = open_sqlite(f"sqlite:///{folder}/s.db", clock=clock, limits=LIMITS)
        try:
            agree(plan, clock, memory, sqlite)
        finally:
            memory.close()
            sqlite.close()


def agree(
    plan: list[tuple[int, list[Act], int]],
    clock: ManualClock,
    memory: ProcessRegistry,
    sqlite: ProcessRegistry,
) -> None:
    state = Snapshot(limits=LIMITS)
    memory.execute(START)
    sqlite.execute(START)
    for request in START:
        state, _ = apply(state, request, clock())
    seen = Seen()
    for delta, batch, chance in plan:
        clock.now += delta
        requests = [act(seen) for act in batch]
        if chance == 0:
            breaks_off(memory, requests)
            breaks_off(sqlite, requests)
        answers = list(memory.execute(requests))
        assert list(sqlite.execute(requests)) == answers
        for request, answer in zip(requests, answers, strict=True):
            state, wanted_answer = apply(state, request, clock())
            if not isinstance(request, ReadFenceLog):
                assert answer == wanted_answer, request
        seen.learn(answers)
        assert told(sqlite) == told(memory)
        listed, endings = memory.execute([List(limit=100), ReadEndings(0)])
        assert (listed, endings) == model_told(state, clock())


def breaks_off(store: ProcessRegistry, requests: Sequence[Request]) -> None:
    """A batch that an error of ours ends half-way changes nothing; only memory's fence log may have noted more."""
    rows = store.execute([List(limit=100)]), store.wait(Cursor(), 0)
    readable = [request for request in requests if not is_noted(request)]
    with pytest.raises(AttributeError):
        store.execute([*readable, Renew(cast(Fence, None), 1)])
    assert (store.execute([List(limit=100)]), store.wait(Cursor(), 0)) == rows


def is_noted(request: Request) -> bool:
    """Whether a refusal of it would be noted in the fence log, which memory keeps where a batch breaks off."""
    return isinstance(request, Renew | RecordEffect | EmitEvent | Complete | Release | Claim | ClaimNext)


def waiting(n: int) -> Registration:
    return Registration(f"p{n}", Work("kj"[n % 2]), (), Provenance("", "here" if n % 3 else ""))


def test_a_backlog_is_claimed_in_order_by_both(tmp_path: Path) -> None:
    """More rows than any page, registered at mixed times under several kinds: the same order everywhere."""
    orders: list[list[str]] = []
    clock = ManualClock()
    stores: list[ProcessRegistry] = [
        open_memory("memory:", clock=clock),
        open_sqlite(f"sqlite:///{tmp_path}/s.db", clock=clock),
    ]
    for store in stores:
        store.execute([Register(waiting(n), n * 7919 % 400) for n in range(2_000)])
        clock.now += 400
        order: list[str] = []
        for n in range(1, 50):
            (answer,) = store.execute(
                [ClaimNext(ClaimId("w", n), 1_000, 50, ClaimFilter("here", ("k", "j")))]
            )
            assert isinstance(answer, Succeeded)
            assert isinstance(answer.reply, Claimed)
            order += [grant.record.id for grant in answer.reply.grants]
        store.close()
        orders.append(order)
    assert len(orders[0]) == 2_000
    assert (
        orders[0]
        == orders[1]
        == sorted(orders[0], key=lambda name: (int(name[1:]) * 7919 % 400, int(name[1:])))
    )
