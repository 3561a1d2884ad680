"""What a handler and a client reach beside the registry: a session, the attachments and the artifacts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from attrs import frozen

from tenure.app import App
from tenure.asks import Act, Ask, AwaitEnd, CallPlain
from tenure.attempt_types import StopReason
from tenure.canonical import canonical
from tenure.client import Client
from tenure.contents import Contents
from tenure.context import BARE, Context
from tenure.effects import IN_THE_REGISTRY
from tenure.errors import (
    FacetMissing,
    HandlerStopped,
    InvalidValue,
    LeaseLost,
    SessionBusy,
    SessionCorrupt,
    SessionFull,
    SessionUnavailable,
    TenureError,
    TooLarge,
)
from tenure.handlers import Run
from tenure.kinds import Kind
from tenure.process import Failure, Outcome, Success, own_session
from tenure.runtime import Runtime
from tenure.session import Session
from tenure.sessions import ReadTree, Residency, SessionPolicy
from tests.core.content_shelf import Asking
from tests.core.session_scene import BOTH, Scene, id_of
from tests.core.trampoline_asks import EPOCH, LIMIT, Typed, World, driven, pause, started, together

SESSION, ATTACHMENTS, ARTIFACTS = Scene().session(), Asking().contents, Asking().contents


@frozen
class Note:
    text: str


def missing(facet: str) -> str:
    """What is said where there is none."""
    return (
        f"this deployment has no store of {facet}: its registry brings none; "
        "give a WorkerConfig that names one"
    )


def context(runtime: Runtime = BARE, opens: Callable[[], Awaitable[Session]] | None = None) -> Context:
    """Of an attempt with that around it."""
    world = started()
    return Context(world.ask, world.claim(), EPOCH, world.convert, LIMIT, runtime, opens)


def client(*facets: Any) -> Client:
    """Of a deployment with these: what opens sessions, attachments, artifacts."""
    world = World.new()
    return Client(world.ask, world.convert, str, *facets, limit=LIMIT)


def opened_one_by_one(sessions: list[Session], opened: list[str]) -> Callable[..., Awaitable[Session]]:
    """Opens the next of the sessions at each call, and writes down what for."""

    async def opens(wanted: str = "its own") -> Session:
        opened.append(wanted)
        session = sessions[len(opened) - 1]
        await pause()
        return session

    return opens


# --- a handler's --------------------------------------------------------------------------------------------------


def test_a_session_that_was_opened_before_the_handler_is_the_handlers() -> None:
    opened: list[str] = []
    opens = opened_one_by_one([Scene().session()], opened)
    ctx = context(Runtime(SESSION, None, None, IN_THE_REGISTRY), opens)
    assert driven(ctx.session()) is SESSION
    assert opened == []


def test_any_other_is_opened_once_at_its_first_use() -> None:
    opened: list[str] = []
    ctx = context(opens=opened_one_by_one([SESSION, Scene().session()], opened))
    assert opened == []
    assert driven(ctx.session()) is SESSION
    assert driven(ctx.session()) is SESSION
    assert opened == ["its own"]


def test_two_tasks_of_a_handler_have_one_session() -> None:
    """Both open it, since neither had it; the two would not know of each other's appends."""
    opened: list[str] = []
    ctx = context(opens=opened_one_by_one([SESSION, Scene().session()], opened))
    one, other = together(ctx.session(), ctx.session())
    assert (one is SESSION, other is SESSION, driven(ctx.session()) is SESSION) == (True, True, True)
    assert opened == ["its own", "its own"]


def test_an_opening_that_failed_is_tried_again_at_the_next_use() -> None:
    failures = [LeaseLost("p")]

    async def opens() -> Session:
        await pause()
        if failures:
            raise failures.pop()
        return SESSION

    ctx = context(opens=opens)
    with pytest.raises(LeaseLost):
        driven(ctx.session())
    assert driven(ctx.session()) is SESSION


def away(times: int, then: Callable[[], None] = lambda: None) -> Callable[[], Awaitable[Session]]:
    """Opens the session after so many failures that pass; `then` is called at each."""
    left = [SessionUnavailable("process:p", "opening it", "connection refused")] * times

    async def opens() -> Session:
        await pause()
        if left:
            then()
            raise left.pop()
        return SESSION

    return opens


def test_w4_a_store_that_is_away_is_asked_again_as_long_as_the_lease_lasts() -> None:
    world = started()
    grant = world.claim()
    ctx = Context(world.ask, grant, EPOCH, world.convert, LIMIT, BARE, away(2))
    world.asked.clear()
    assert driven(ctx.session()) is SESSION
    assert world.asked == [Act(grant.fence.token, None), AwaitEnd("p", 1.0)] * 2


def test_w4_it_is_not_asked_again_once_the_lease_is_lost_or_the_handler_is_to_stop() -> None:
    world = started()
    grant = world.claim()
    lost = Context(
        world.ask,
        grant,
        EPOCH,
        world.convert,
        LIMIT,
        BARE,
        away(9, lambda: world.lost.add(grant.fence.token)),
    )
    world.asked.clear()
    with pytest.raises(LeaseLost):
        driven(lost.session())
    assert world.asked == [Act(grant.fence.token, None)]
    world.asked.clear()
    stopped = Context(
        world.ask,
        grant,
        EPOCH,
        world.convert,
        LIMIT,
        BARE,
        away(9, lambda: stopped.told_to_stop(StopReason.DRAIN)),
    )
    with pytest.raises(HandlerStopped, match="drain"):
        driven(stopped.session())
    assert world.asked == []


VERDICTS: list[TenureError] = [
    SessionCorrupt("process:p", "e", "it has no parent"),
    SessionFull("process:p", "entries", "3 of 2"),
    InvalidValue("too long"),
]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("plain", [False, True])
def test_b19_an_own_session_that_nobody_can_open_ends_the_process_like_an_owners(
    verdict: TenureError, plain: bool
) -> None:
    async def opens() -> Session:
        raise verdict

    async def later(ctx: Any) -> object:
        return await ctx.session()

    def now(ctx: Any) -> object:
        return driven(ctx.session())

    def outcome(handler: Callable[..., Any]) -> Outcome | None:
        world = started()
        grant = world.claim()
        kind: Kind[Any, Any] = App().process("job")(handler)
        run = Run(kind, grant, world.convert, LIMIT)
        ctx = Context(world.ask, grant, EPOCH, world.convert, LIMIT, BARE, opens)
        return run.blocking(ctx) if kind.plain else driven(run.awaited(ctx))

    failed = Failure("execution", "process_recovery_failed", str(verdict))
    assert outcome(now if plain else later) == failed

    async def catches(ctx: Any) -> str:
        with suppress(type(verdict)):
            await ctx.session()
        return "without"

    assert outcome(catches) == Success(canonical("without"))


def test_what_a_session_says_after_its_opening_is_the_handlers_own_failure() -> None:
    """Such as a limit that its own appends reached."""
    assert TenureError.unopenable is False
    world = started()
    grant = world.claim()

    async def appends(ctx: Any) -> None:
        raise SessionFull("s", "entries", "3 of 2")

    kind: Kind[Any, Any] = App().process("job")(appends)
    ended = driven(Run(kind, grant, world.convert, LIMIT).awaited(None))
    assert ended == Failure("SessionFull", "raised", str(SessionFull("s", "entries", "3 of 2")))


def test_a_handler_has_the_deployments_contents() -> None:
    ctx = context(Runtime(None, ATTACHMENTS, ARTIFACTS, IN_THE_REGISTRY))
    assert (ctx.attachments is ATTACHMENTS, ctx.artifacts is ARTIFACTS) == (True, True)


# --- a client's ---------------------------------------------------------------------------------------------------


def test_a_client_opens_each_session_that_it_asks_for() -> None:
    opened: list[str] = []
    other = Scene().session()
    asking = client(opened_one_by_one([SESSION, other], opened))
    assert driven(asking.session("s")) is SESSION
    assert driven(asking.session("s")) is other
    assert opened == ["s", "s"]


def test_a_client_has_the_deployments_contents() -> None:
    asking = client(None, ATTACHMENTS, ARTIFACTS)
    assert (asking.attachments is ATTACHMENTS, asking.artifacts is ARTIFACTS) == (True, True)


# --- none ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", [context(), client()], ids=lambda one: type(one).__name__)
def test_what_the_deployment_does_not_have_is_named(holder: Context | Client) -> None:
    for facet in ("attachments", "artifacts"):
        with pytest.raises(FacetMissing) as raised:
            getattr(holder, facet)
        assert (raised.value.facet, str(raised.value)) == (facet, missing(facet))
    with pytest.raises(FacetMissing) as raised:
        driven(holder.session() if isinstance(holder, Context) else holder.session("s"))
    assert (raised.value.facet, str(raised.value)) == ("sessions", missing("sessions"))


def test_one_kind_of_contents_never_stands_in_for_the_other() -> None:
    for facets in (
        Runtime(None, ATTACHMENTS, None, IN_THE_REGISTRY),
        Runtime(None, None, ARTIFACTS, IN_THE_REGISTRY),
    ):
        ctx = context(facets)
        asking = client(None, facets.attachments, facets.artifacts)
        for holder in (ctx, asking):
            there, not_there = (
                ("attachments", "artifacts") if facets.attachments else ("artifacts", "attachments")
            )
            assert isinstance(getattr(holder, there), Contents)
            with pytest.raises(FacetMissing, match=missing(not_there)):
                getattr(holder, not_there)


# --- a session for another caller ---------------------------------------------------------------------------------


def test_a_process_without_an_owner_has_a_session_of_its_own() -> None:
    assert own_session("p") == "process:p"


@BOTH
def test_a_session_is_handed_over_as_it_stands(residency: Residency) -> None:
    scene = Scene()
    first = scene.session(residency=residency)
    a = driven(first.append("a"))
    driven(first.append("b"))
    driven(first.fork(a.id))
    asked: list[CallPlain] = []

    async def asking(ask: Ask) -> Any:
        assert isinstance(ask, CallPlain)
        asked.append(ask)
        return ask.called()

    scene.asked.clear()
    other = first.over(asking)
    assert (other.id, other.head, other.path) == ("s", a.id, (a,))
    if residency is Residency.KEEP_ALL:
        assert other.tree == first.tree
    else:
        with pytest.raises(InvalidValue, match="holds its active path only"):
            _ = other.tree
    assert scene.asked == []
    # Its appends and forks go on being counted where those before were.
    c = driven(other.append("c"))
    assert (c.id, c.parent) == (id_of("process", "r", "p", "#3"), a.id)
    driven(other.fork(a.id))
    d = driven(other.append("d"))
    assert (d.parent, other.path, scene.head()) == (a.id, (a, d), d.id)
    assert len(asked) == 3


@BOTH
def test_what_either_appends_then_the_other_does_not_know(residency: Residency) -> None:
    scene = Scene()
    first = scene.session(residency=residency)
    a = driven(first.append("a"))
    other = first.over(scene.ask)
    b = driven(other.append("b"))
    assert (first.path, other.path) == ((a,), (a, b))
    if residency is Residency.KEEP_ALL:
        assert (first.tree, other.tree) == ((a,), (a, b))
    driven(other.refresh())
    loads_its_tree = any(isinstance(request, ReadTree) for request in scene.asked)
    assert loads_its_tree is (residency is Residency.KEEP_ALL)


def test_a_session_that_is_handed_over_keeps_its_fence_converter_and_limits() -> None:
    scene = Scene()
    other = scene.session(policy=SessionPolicy(entry_bytes=16)).over(scene.ask)
    with pytest.raises(TooLarge, match="an entry of session 's' takes"):
        driven(other.append("a text that is longer"))
    driven(other.append(Note("x")))
    scene.session(11)
    with pytest.raises(LeaseLost):
        driven(other.append("a"))
    assert scene.stored() == [{"text": "x"}]


def test_a_session_that_is_handed_over_in_the_middle_of_a_call_may_be_used() -> None:
    """Its caller's calls come one at a time, and so do the other's."""
    scene = Scene()
    first = scene.session()
    under_way = first.append("a")
    under_way.send(None)
    with pytest.raises(SessionBusy):
        driven(first.refresh())
    other = first.over(scene.ask)
    driven(other.refresh())
    driven(under_way)
    assert scene.stored() == ["a"]


def test_a_session_that_nothing_was_read_of_yet_holds_nothing() -> None:
    scene = Scene()
    store = scene.open("s", SessionPolicy())
    session = Session(scene.ask, store, "s", SessionPolicy(), Residency.KEEP_ALL, None, Typed())
    assert (session.id, session.head, session.path, session.tree) == ("s", "", (), ())
