"""Scenarios: reads and their pages, and batches (CONTRACT §4, §5; S21-S23)."""

from __future__ import annotations

from attrs import evolve

from tenure.canonical import NULL, Json
from tenure.process import Cancelled, ClaimId, Failure, Fence, Provenance, Success
from tenure.replies import ProcessEnded
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
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadOwnerEvents,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure_testing.conforming.story import TTL, K, Story, scenario, told_in
from tenure_testing.conforming.vectors import Ability
from tenure_testing.registry_world import external, process, success

# --- reads ----------------------------------------------------------------------------------------------------------


def listed(story: Story, request: List, *names: str) -> int | None:
    """List answers these processes; where the next page begins."""
    reply = story.ok(request)
    story.expect(f"{request}", [row.id for row in reply.records], list(names))
    following: int | None = reply.next
    return following


@scenario("S23")
def a_process_that_is_not_there(story: Story) -> None:
    """Get and ReadEvents refuse, ReadEffects has none, lists are empty."""
    story.refused("not_found", Get("nobody"), ReadEvents("nobody"))
    story.ok(ReadEffects("nobody"), effects=(), next=None)
    story.ok(ReadEndings(0), endings=(), latest=0)
    story.ok(ReadCancels("w"), cancels=())
    listed(story, List())


@scenario("S23")
def a_list_is_paged_by_seq(story: Story) -> None:
    """In the order of registration; `next` is null on the last page, also where that is full, and only there."""
    story.register(*"edcba")
    following = listed(story, List(limit=3), *"edc")
    last = listed(story, List(after=following or 0, limit=2), *"ba")
    story.expect("next", last, None)
    listed(story, List(after=story.row("a").seq))


@scenario("S23")
def a_list_shows_one_phase(story: Story) -> None:
    """Pending, running or ended as of store time: an expired lease is pending again."""
    story.register("waits")
    story.started("runs")
    story.ok(Complete(story.started("ended"), success()))
    story.ok(Register(external("outside")))
    listed(story, List(phase=Phase.PENDING), "waits", "outside")
    listed(story, List(phase=Phase.RUNNING), "runs")
    listed(story, List(phase=Phase.ENDED), "ended")
    story.later(TTL)
    listed(story, List(phase=Phase.RUNNING))
    listed(story, List(phase=Phase.PENDING), "waits", "runs", "outside")


@scenario("S23")
def a_list_shows_one_kind(story: Story) -> None:
    """The empty kind is that of external work; no kind given means all."""
    story.register("a", "b")
    story.register("other", kind="other")
    story.ok(Register(external("outside")))
    listed(story, List(kind="k"), "a", "b")
    listed(story, List(kind="other"), "other")
    listed(story, List(kind=""), "outside")
    listed(story, List(kind="none"))
    listed(story, List(), "a", "b", "other", "outside")


@scenario("S23")
def a_list_shows_one_owner(story: Story) -> None:
    """The empty owner scope is one of its own; null means all; filters hold together."""
    story.register("mine", owner_scope="s")
    story.register("other", kind="other", owner_scope="s")
    story.register("nobodys")
    listed(story, List(owner_scope="s"), "mine", "other")
    listed(story, List(owner_scope=""), "nobodys")
    listed(story, List(owner_scope="s", kind="k", phase=Phase.PENDING), "mine")
    listed(story, List(owner_scope="s", phase=Phase.ENDED))


@scenario("S23")
def a_filtered_page_is_full_where_enough_match(story: Story) -> None:
    """The limit counts what matches, not what was looked at."""
    for name in "abcdef":
        story.register(name, kind="k" if name in "bdf" else "other")
    following = listed(story, List(kind="k", limit=2), "b", "d")
    listed(story, List(kind="k", limit=2, after=following or 0), "f")


@scenario("S23", Ability.SURROGATES)
def a_list_of_what_no_row_can_have_is_empty(story: Story) -> None:
    """A filter that is no Unicode text matches nothing, and breaks nothing."""
    story.register("p")
    for request in (List(kind="\ud800"), List(owner_scope="\ud800"), List(kind="\0")):
        listed(story, request)


@scenario("S23")
def events_are_paged_by_number(story: Story) -> None:
    """From `after` on; `ended` comes with the terminal event only, and for good."""
    fence = story.started()
    for n in range(4):
        story.ok(EmitEvent(fence, "progress", Json(str(n)), f"k{n}"), seq=n + 1)
    first = story.ok(ReadEvents("p", 0, 3), ended=False)
    story.expect("a page", [e.payload for e in first.events], ["0", "1", "2"])
    story.ok(ReadEvents("p", 4), events=(), ended=False)
    story.ok(Complete(fence, success()))
    full = story.ok(ReadEvents("p", 0, 4), ended=False)
    story.expect("a full page before the last event", len(full.events), 4)
    rest = story.ok(ReadEvents("p", 3, 3), ended=True)
    story.expect("the rest", [e.seq for e in rest.events], [4, 5])
    story.ok(ReadEvents("p", 5), events=(), ended=True)


@scenario("S6")
def the_terminal_event_shows_the_outcome(story: Story) -> None:
    """Its payload is the outcome as canonical JSON: sorted keys, no white space, control only where there is one."""
    for name, outcome, payload in (
        ("a", Success(Json("[1]")), '{"status":"succeeded","value":[1]}'),
        ("b", Success(NULL, Json('{"n":1}')), '{"control":{"n":1},"status":"succeeded","value":null}'),
        (
            "c",
            Failure("E", "c", "é"),
            '{"class":"E","code":"c","message":"é","raw":null,"status":"failed"}',
        ),
        ("d", Cancelled("why"), '{"reason":"why","status":"cancelled"}'),
    ):
        story.ok(Complete(story.started(name), outcome))
        read = story.ok(ReadEvents(name), ended=True)
        story.expect("payload", read.events[-1].payload, payload)


@scenario("S23")
def effects_are_paged_by_key(story: Story) -> None:
    """In the order of their code points, whatever order a language has for strings; `next` where a page was full."""
    fence = story.started()
    keys = ["b", "a", "B", "é", "\U0001f600", "\uffff", "aa"]
    for key in keys:
        story.ok(RecordEffect(fence, key, "f", Json('"x"')))
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = story.ok(ReadEffects("p", after, 3))
        seen += [effect.key for effect in page.effects]
        after = page.next
    story.expect("all keys", seen, sorted(keys))


@scenario("S23")
def endings_are_read_by_version(story: Story) -> None:
    """What ended after a version, in the order of versions: how a waiter learns of many with one read."""
    story.register(*"abcd")
    a, b, _ = story.get_next("a", "b", "c", limit=3)
    story.ok(ReadEndings(0), endings=())
    story.ok(Complete(b, success()))
    story.ok(Complete(a, success()))
    story.ok(RequestCancel("d"))
    versions = [(story.row(name).version, name) for name in "bad"]
    story.ok(ReadEndings(0), endings=tuple(versions), latest=versions[-1][0])
    story.ok(ReadEndings(versions[0][0], 1), endings=(versions[1],))
    story.ok(ReadEndings(versions[-1][0]), endings=())


@scenario("S7 S16")
def a_session_is_told_what_ended(story: Story) -> None:
    """Its log has each of its processes that ended, however it did, in the order of the endings (B12)."""
    for name in ("a", "b", "c", "waits"):
        story.register(name, owner_scope="s")
    story.register("elsewhere", owner_scope="t")
    story.register("nobody's")
    story.ok(Register(evolve(external("x"), provenance=Provenance("s"))))
    story.ok(ReadOwnerEvents("s"), events=())
    a, b, other, nobodys = (story.take(name) for name in ("a", "b", "elsewhere", "nobody's"))
    story.ok(RequestCancel("a"))
    story.later(1)
    story.ok(Complete(b, Failure("E", "code", "no")))
    story.ok(Complete(other, success()))
    story.ok(Complete(nobodys, success()))
    story.ok(Release(a))
    story.ok(RequestCancel("c"))
    story.later(1)
    story.ok(CompleteExternal("x", "me", success()))
    ends = (("b", "failed"), ("a", "cancelled"), ("c", "cancelled"), ("x", "succeeded"))
    rows = [(status, story.row(name)) for name, status in ends]
    told = [ProcessEnded(row.id, status, row.version, row.token, row.changed_at) for status, row in rows]
    story.ok(ReadOwnerEvents("s"), events=tuple(told))
    story.ok(ReadOwnerEvents("s", told[0].version, 2), events=tuple(told[1:3]))
    story.ok(ReadOwnerEvents("s", told[3].version), events=())
    story.ok(ReadOwnerEvents("who"), events=())
    story.refused("blank", ReadOwnerEvents(""), ReadOwnerEvents("\u2003"))
    story.refused("name_too_long", ReadOwnerEvents("s" * 256))


@scenario("S22")
def what_ended_in_a_batch_is_told_in_it(story: Story) -> None:
    """The ending and its entry in the session's log are of one transaction (B12)."""
    fence = story.started(owner_scope="s")
    words = story.batch(Complete(fence, success()), ReadOwnerEvents("s"))
    story.expect("answers", words, ["ok", "ok"])


@scenario("S16 L4")
def cancels_are_read_by_owner(story: Story) -> None:
    """The processes that this incarnation holds and that carry the flag, in the order of seq; expired or not."""
    story.register(*"abcd")
    a, b, _ = story.get_next("a", "b", "c", limit=3)
    story.take("d", "x")
    for name in "bad":
        story.ok(RequestCancel(name, f"stop {name}"))
    both = (("a", a.token, "stop a"), ("b", b.token, "stop b"))
    story.ok(ReadCancels("w"), cancels=both)
    story.ok(ReadCancels("w", 1), cancels=both[:1])
    story.ok(Complete(a, success()))
    story.later(TTL)
    story.ok(ReadCancels("w"), cancels=both[1:])
    story.ok(Release(b))
    story.ok(ReadCancels("w"), cancels=())
    story.ok(ReadCancels("nobody"), cancels=())


@scenario("S21 S23")
def reads_are_never_older(story: Story) -> None:
    """Every accepted change is in the very next read of any kind."""
    fence = story.started()
    for n in range(5):
        version = story.ok(Renew(fence, TTL + n)).stamp.version
        story.row("p", version=version)
        story.ok(ReadEndings(0), latest=version)
        story.expect("listed", story.ok(List()).records[0].version, version)


@scenario("S21 K24", Ability.REOPEN)
def all_is_there_after_a_restart(story: Story) -> None:
    """Rows, leases, claims' numbers, logs and effects: a worker goes on as if nothing had been."""
    fence = story.started()
    story.ok(RecordEffect(fence, "e", "f", Json("1")))
    story.ok(AppendEvent("p", "signal", NULL, "k"))
    story.register("q", delay=500)
    story.reopen()
    story.ok(Renew(fence, TTL))
    story.ok(Claim(ClaimId("w", 1), "p", TTL))
    story.refused("not_ready", Claim(ClaimId("x", 1), "q", TTL))
    story.ok(Complete(fence, success()))
    story.reopen()
    story.later(500)
    story.get_next("q", owner="x")


# --- batches --------------------------------------------------------------------------------------------------------


@scenario("S22")
def an_empty_batch(story: Story) -> None:
    """No requests, no answers, no change."""
    story.expect("answers", story.batch(), [])


@scenario("S22")
def a_batch_is_answered_one_by_one(story: Story) -> None:
    """Each request sees what those before it in the batch did, and a refusal undoes nothing."""
    story.register("p", "q")
    p, q = story.get_next("p", "q")
    words = story.batch(
        Renew(p, 3 * TTL),
        RecordEffect(p, "e", "f", Json("1")),
        RecordEffect(p, "e", "f", Json("2")),
        RecordEffect(p, "e", "g", Json("2")),
        EmitEvent(p, "progress", Json("1"), "k"),
        EmitEvent(p, "progress", Json("2"), "k"),
        RequestCancel("p", "stop"),
        Release(p),
        Complete(p, Cancelled("stop")),
        Release(q, 5),
        Release(q, 9),
        Complete(q, success()),
        Get("nobody"),
    )
    story.expect("answers", words[:4], ["ok", "ok", "ok", "effect_mismatch"])
    story.expect("answers", words[4:9], ["ok", "ok", "ok", "ok", "fenced"])
    story.expect("answers", words[9:], ["ok", "ok", "fenced", "not_found"])
    story.row("p", outcome=Cancelled("stop"))


@scenario("S22")
def a_batch_of_registrations_claims_and_reads(story: Story) -> None:
    """What a batch registers it can list, claim, cancel and read, all in one transaction."""
    words = story.batch(
        Register(process("a")),
        Register(process("b")),
        Register(process("a", payload=Json("1"))),
        List(),
        ClaimNext(ClaimId("w", 1), TTL, 1, K),
        ClaimNext(ClaimId("w", 1), TTL, 1, K),
        ClaimNext(ClaimId("w", 2), TTL, 5, K),
        ClaimNext(ClaimId("w", 1), TTL, 5, K),
        Claim(ClaimId("x", 1), "a", TTL),
        RequestCancel("a", "stop"),
        ReadCancels("w"),
        Register(external("o")),
        CompleteExternal("o", "me", success()),
        ReadEndings(0),
        AppendEvent("o", "late", NULL, "k"),
        ReadEvents("o"),
    )
    story.expect("answers", words[:8], ["ok", "ok", "conflict", "ok", "ok", "ok", "ok", "fenced"])
    story.expect("answers", words[8:], ["held", "ok", "ok", "ok", "ok", "ok", "ended", "ok"])


@scenario("S22 S4", Ability.DENSE)
def a_batch_may_hold_a_whole_life(story: Story) -> None:
    """Registered, claimed and ended within one batch, under a token that is foretold; before the claim it is fenced."""
    story.register("first")
    fence = Fence("p", ClaimId("w", 1), story.row("first").version + 2)
    words = story.batch(
        Register(process("p")),
        Complete(fence, success()),
        Claim(ClaimId("w", 1), "p", TTL),
        Complete(fence, success()),
        Get("p"),
        RequestCancel("first"),
    )
    story.expect("answers", words, ["ok", "fenced", "ok", "ok", "ok", "ok"])


@scenario("S22")
def a_request_for_one_process_changes_no_other(story: Story) -> None:
    """Two rows of one claim: whatever is done to one, the other is as it was."""
    story.register("a", "b")
    a, _ = story.get_next("a", "b")
    other = story.row("b")
    story.ok(Renew(a, 2 * TTL))
    story.ok(RecordEffect(a, "e", "f", NULL))
    story.ok(EmitEvent(a, "progress", NULL, "k"))
    story.ok(RequestCancel("a"))
    story.fenced(Complete(evolve(a, token=other.token), success()))
    story.ok(Complete(a, success()))
    story.expect("the other row", story.row("b"), other)
    story.ok(ReadEvents("b"), events=())
    story.ok(ReadEffects("b"), effects=())


@scenario("S22")
def keys_of_two_processes_are_kept_apart(story: Story) -> None:
    """The same keys of effects and events in another process are other keys."""
    a, b = story.started("a"), story.started("b")
    for fence, value in ((a, Json("1")), (b, Json("2"))):
        story.ok(RecordEffect(fence, "e", "f", value), result=value)
        story.ok(EmitEvent(fence, "progress", value, "k"), seq=1)
        story.ok(AppendEvent(fence.process_id, "signal", value, "k"), seq=2)


@scenario("S22")
def a_batch_of_many(story: Story) -> None:
    """Fifty processes registered, claimed and completed in three batches."""
    names = [f"p{n:02}" for n in range(50)]
    story.expect("registered", story.batch(*(Register(process(name)) for name in names)), ["ok"] * 50)
    fences = story.get_next(*names, limit=50, of=ClaimFilter("", ("k",)))
    story.expect("completed", story.batch(*(Complete(fence, success()) for fence in fences)), ["ok"] * 50)


SCENARIOS = told_in(globals())
