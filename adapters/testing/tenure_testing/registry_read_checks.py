"""Checks of batches and reads (CONTRACT §4–§5; S10, S21, S23)."""

from __future__ import annotations

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.limits import Limits
from tenure.process import Cancelled, ClaimId, Effect, Failure, Fence, Provenance, terminal_event
from tenure.replies import (
    CancelsRead,
    EffectsRead,
    EndingsRead,
    EventsRead,
    Fenced,
    Got,
    Listed,
    OwnerEventsRead,
    ProcessEnded,
    Reason,
    Refused,
    Registered,
    Released,
    Renewed,
    Succeeded,
)
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
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_testing.registry_world import TTL, World, expect, external, process, reply_of, success

# --- batches ------------------------------------------------------------------------------------------------------


def _scenario(fence: Fence, other: Fence) -> list[Request]:
    wanted = ClaimFilter("", ("k",))
    return [
        Renew(fence, 3 * TTL),
        RecordEffect(fence, "e", "f", Json("1")),
        RecordEffect(fence, "e", "f", Json("2")),
        RecordEffect(fence, "e", "g", Json("2")),
        EmitEvent(fence, "progress", Json("1"), "k"),
        EmitEvent(fence, "progress", Json("2"), "k"),
        RequestCancel("p", "stop"),
        Renew(fence, TTL),
        Register(process("new", payload=Json("[1]"))),
        Register(process("new", payload=Json("[1]"))),
        Register(process("new", payload=Json("[2]"))),
        AppendEvent("new", "signal", NULL, "k"),
        AppendEvent("new", "signal", NULL, "k"),
        ReadEvents("new"),
        ClaimNext(ClaimId("w", 2), TTL, 5, wanted),
        ClaimNext(ClaimId("w", 2), TTL, 5, wanted),
        ClaimNext(ClaimId("w", 1), TTL, 5, wanted),
        Claim(ClaimId("w", 3), "new", TTL),
        List(limit=2),
        Release(fence),
        Complete(fence, Cancelled("stop")),
        Release(other, 5),
        Release(other, 9),
        Complete(other, success()),
        Register(external("x")),
        CompleteExternal("x", "me", success()),
        CompleteExternal("x", "me", success()),
        List(),
        RequestCancel("q"),
        ReadEndings(0),
        ReadEffects("p"),
        ReadEvents("p"),
        ReadCancels("w"),
        Prune(),
        ReadFenceLog(),
        Get("p"),
        Get("nobody"),
    ]


def _two_claimed(world: World) -> tuple[Fence, Fence]:
    world.register("p")
    world.register("q")
    first, second = world.claim("w", 1)
    return first.fence, second.fence


def a_batch_equals_its_requests_one_by_one(world: World) -> None:
    """CONTRACT §5, S23: each request is answered on its own and sees what those before it did."""
    other = world.another()
    try:
        expect(_two_claimed(world), _two_claimed(other))
        requests = _scenario(*_two_fences(world))
        together = world.batch(*requests)
        for request, answer in zip(requests, together, strict=True):
            expect(answer, other.ask(request), f"{request!r} in a batch, against alone")
        expect(world.everything(), other.everything())
        kinds = {type(answer) for answer in together}
        expect(kinds, {Succeeded, Refused, Fenced}, "what the scenario meets")
    finally:
        other.store.close()


def _two_fences(world: World) -> tuple[Fence, Fence]:
    p, q = world.record("p"), world.record("q")
    return Fence("p", ClaimId("w", 1), p.token), Fence("q", ClaimId("w", 1), q.token)


def a_batch_may_hold_a_whole_life(world: World) -> None:
    """CONTRACT §5: a request sees rows that the same batch registered, claimed and ended; refusals undo nothing."""
    number = world.register("first").version
    fence = Fence("p", ClaimId("w", 1), number + 2)
    answers = world.batch(
        Register(process("p")),
        Complete(fence, success()),
        Claim(ClaimId("w", 1), "p", TTL),
        Complete(fence, success()),
        Get("p"),
        RequestCancel("first"),
    )
    expect(answers[1], Fenced(), "not claimed yet")
    expect(reply_of(answers[4], Got).record.outcome, success())
    expect(reply_of(answers[4], Got).record, world.record("p"))


def an_empty_batch_is_answered(world: World) -> None:
    """CONTRACT §5: no requests, no answers, no change."""
    expect(world.batch(), [])
    expect(world.rows(), ())


def a_large_batch_is_one_transaction(world: World) -> None:
    """CONTRACT §5: a thousand processes registered, claimed and completed by three batches."""
    names = [f"p{n:04}" for n in range(1_000)]
    world.batch(*(Register(process(name)) for name in names))
    grants = world.claim("w", 1, limit=1_000)
    expect([grant.record.id for grant in grants], names)
    answers = world.batch(*(Complete(grant.fence, success(n)) for n, grant in enumerate(grants)))
    expect({type(answer) for answer in answers}, {Succeeded})
    expect([row.outcome for row in world.rows()], [success(n) for n in range(1_000)])


# --- reads --------------------------------------------------------------------------------------------------------


def listing_pages_by_seq(world: World) -> None:
    """List: in the order of seq; `next` is None on the last page, and only there."""
    for name in "edcba":
        world.register(name)
    first = world.reply(List(limit=3), Listed)
    expect([row.id for row in first.records], list("edc"))
    second = world.reply(List(after=first.next or 0, limit=2), Listed)
    expect(([row.id for row in second.records], second.next), (list("ba"), None))
    expect(world.reply(List(after=second.records[-1].seq), Listed), Listed((), None))


def listing_filters(world: World) -> None:
    """List: by phase (as of store time), kind and owner scope, together; a page is full where enough match."""
    world.register("waits", owner_scope="s")
    world.register("other", kind="other", owner_scope="s")
    world.reply(Register(external("outside")), Registered)
    world.started("runs")
    world.complete(_second(world, "ended"))
    expected: list[tuple[List, list[str]]] = [
        (List(), ["waits", "other", "outside", "runs", "ended"]),
        (List(phase=Phase.PENDING), ["waits", "other", "outside"]),
        (List(phase=Phase.RUNNING), ["runs"]),
        (List(phase=Phase.ENDED), ["ended"]),
        (List(kind="other"), ["other"]),
        (List(kind="k"), ["waits", "runs", "ended"]),
        (List(kind=""), ["outside"]),
        (List(kind="none"), []),
        (List(owner_scope="s"), ["waits", "other"]),
        (List(owner_scope=""), ["outside", "runs", "ended"]),
        (List(owner_scope="s", kind="k", phase=Phase.PENDING), ["waits"]),
        (List(owner_scope="none"), []),
    ]
    for request, names in expected:
        expect([row.id for row in world.reply(request, Listed).records], names, repr(request))
    page = world.reply(List(kind="k", limit=2), Listed)
    expect(([row.id for row in page.records], page.next), (["waits", "runs"], page.records[-1].seq))
    for request in (List(kind="\ud800"), List(owner_scope="\ud800"), List(kind="\0")):
        expect(world.reply(request, Listed), Listed((), None), "what no row can have")
    world.clock.now += TTL
    expect([row.id for row in world.reply(List(phase=Phase.RUNNING), Listed).records], [], "expired")


def _second(world: World, name: str) -> Fence:
    world.register(name)
    return world.take(name, "v")


def events_are_read_in_order(world: World) -> None:
    """ReadEvents: by number from `after` on; `ended` only with the terminal event, and for good."""
    fence = world.started()
    for n in range(4):
        world.ask(EmitEvent(fence, "progress", Json(str(n)), f"k{n}"))
    first = world.reply(ReadEvents("p", 0, 3), EventsRead)
    expect(([e.payload for e in first.events], first.ended), (["0", "1", "2"], False))
    expect(world.reply(ReadEvents("p", 4), EventsRead), EventsRead((), False))
    world.complete(fence)
    exactly = world.reply(ReadEvents("p", 0, 4), EventsRead)
    expect((len(exactly.events), exactly.ended), (4, False), "a full page that ends before the last event")
    rest = world.reply(ReadEvents("p", 3, 3), EventsRead)
    expect(([e.seq for e in rest.events], rest.ended), ([4, 5], True))
    expect(rest.events[-1], terminal_event(world.record("p")))
    expect(world.reply(ReadEvents("p", 5), EventsRead), EventsRead((), True))
    world.refused(ReadEvents("nobody"), Reason.NOT_FOUND)


def effects_are_read_by_key(world: World) -> None:
    """ReadEffects: in the order of the keys' code points, paged by key."""
    fence = world.started()
    keys = ["b", "a", "B", "é", "\U0001f600", "￿", "aa"]
    for key in keys:
        world.ask(RecordEffect(fence, key, "f", Json('"x"')))
    seen: list[Effect] = []
    after: str | None = ""
    while after is not None:
        page = world.reply(ReadEffects("p", after, 3), EffectsRead)
        seen.extend(page.effects)
        after = page.next
    expect([effect.key for effect in seen], sorted(keys))
    expect({(e.process_id, e.fingerprint, e.result, e.token) for e in seen}, {("p", "f", '"x"', fence.token)})
    expect(world.reply(ReadEffects("nobody"), EffectsRead), EffectsRead((), None))


def endings_are_read_by_version(world: World) -> None:
    """ReadEndings: what ended after a version, in the order of version, with the store's latest version."""
    for name in "abcd":
        world.register(name)
    a, b, *_ = (grant.fence for grant in world.claim("w", 1, limit=3))
    expect(world.reply(ReadEndings(0), EndingsRead).endings, ())
    world.complete(b)
    world.complete(a)
    world.ask(RequestCancel("d"))
    ended = [(world.record(name).version, name) for name in "bad"]
    read = world.reply(ReadEndings(0), EndingsRead)
    expect(read, EndingsRead(tuple(ended), ended[-1][0]))
    expect(world.reply(ReadEndings(ended[0][0], 1), EndingsRead).endings, tuple(ended[1:2]))
    expect(world.reply(ReadEndings(read.latest), EndingsRead).endings, ())


def a_session_is_told_what_ended(world: World) -> None:
    """ReadOwnerEvents (B12, S7, S16): from the transaction on that ends it, each of the session's processes that
    ended, however it did: once, in the order of the endings, paged by version, until it is pruned."""
    for name in ("complete", "release", "cancel", "pending"):
        world.register(name, owner_scope="s")
    world.register("elsewhere", owner_scope="t")
    world.register("nobody's")
    world.ask(Register(evolve(external("external"), provenance=Provenance("s"))))
    expect(world.reply(ReadOwnerEvents("s"), OwnerEventsRead).events, ())
    told: list[ProcessEnded] = []

    def ends(name: str, status: str, request: Request) -> None:
        answers = world.store.execute([request, ReadOwnerEvents("s")])
        row = world.record(name)
        told.append(ProcessEnded(name, status, row.version, row.token, row.changed_at))
        expect(answers[1], Succeeded(OwnerEventsRead(tuple(told))), f"after {request}")
        world.clock.now += 1

    release = world.take("release")
    ends("complete", "failed", Complete(world.take("complete", n=2), Failure("E", "code", "no")))
    world.ask(RequestCancel("release"))
    ends("release", "cancelled", Release(release))
    ends("cancel", "cancelled", RequestCancel("cancel"))
    ends("external", "succeeded", CompleteExternal("external", "me", success()))
    for name in ("elsewhere", "nobody's"):
        world.complete(world.take(name, n=3 if name == "elsewhere" else 4))
    page = world.reply(ReadOwnerEvents("s", told[0].version, 2), OwnerEventsRead)
    expect(page.events, tuple(told[1:3]))
    expect(world.reply(ReadOwnerEvents("s", told[3].version), OwnerEventsRead).events, ())
    (other,) = world.reply(ReadOwnerEvents("t"), OwnerEventsRead).events
    expect((other.process_id, other.status), ("elsewhere", "succeeded"))
    expect(world.reply(ReadOwnerEvents("who"), OwnerEventsRead).events, ())
    for owner, reason in (("", Reason.BLANK), (" ", Reason.BLANK), ("\ud800", Reason.BAD_TEXT)):
        world.refused(ReadOwnerEvents(owner), reason)
    world.refused(ReadOwnerEvents("s" * 256), Reason.NAME_TOO_LONG)
    world.clock.now += Limits().retry_horizon + 1
    world.ask(Prune(limit=1))
    expect(world.reply(ReadOwnerEvents("s"), OwnerEventsRead).events, tuple(told[1:]), "after pruning")


def cancels_are_read_by_owner(world: World) -> None:
    """ReadCancels: the processes that this incarnation holds and that carry the flag."""
    for name in "abcd":
        world.register(name)
    a, b, c = (grant.fence for grant in world.claim("w", 1, limit=3))
    world.take("d", "x")
    for name in "abd":
        world.ask(RequestCancel(name, f"stop {name}"))
    wanted = (("a", a.token, "stop a"), ("b", b.token, "stop b"))
    expect(world.reply(ReadCancels("w"), CancelsRead).cancels, wanted)
    expect(world.reply(ReadCancels("w", 1), CancelsRead).cancels, wanted[:1])
    world.complete(a)
    world.reply(Release(b), Released)
    world.complete(c)
    for owner in ("w", "nobody", "\ud800"):
        expect(world.reply(ReadCancels(owner), CancelsRead).cancels, ())
    world.clock.now += Limits().retry_horizon + 1
    world.ask(Prune())
    expect(world.reply(ReadCancels("w"), CancelsRead).cancels, (), "after pruning")


def reads_are_never_older(world: World) -> None:
    """S21, S23: every accepted mutation is in the very next read of any kind."""
    fence = world.started()
    for n in range(20):
        version = world.reply(Renew(fence, TTL + n), Renewed).stamp.version
        expect(world.record("p").version, version)
        expect(world.rows()[0].version, version)
        expect(world.reply(ReadEndings(0), EndingsRead).latest, version)


READ_CHECKS = (
    a_batch_equals_its_requests_one_by_one,
    a_batch_may_hold_a_whole_life,
    an_empty_batch_is_answered,
    a_large_batch_is_one_transaction,
    listing_pages_by_seq,
    listing_filters,
    events_are_read_in_order,
    effects_are_read_by_key,
    endings_are_read_by_version,
    a_session_is_told_what_ended,
    cancels_are_read_by_owner,
    reads_are_never_older,
)
