"""Every boundary of a worker, a client and a direct run is struck, by a death and by each fault that fits there, and
the law holds after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, get_args
from weakref import WeakKeyDictionary

import pytest

import tenure.claims
import tenure.registry
from tenure.asks import Act, Ask, AwaitEnd
from tenure.canonical import Json
from tenure.client import Client
from tenure.effects import Effects
from tenure.events import Hearing
from tenure.process import Event, Fence, Record
from tenure.replies import Answer, Fenced, Unknown
from tenure.requests import (
    Claim,
    ClaimRequest,
    ClientRequest,
    FencedRequest,
    List,
    ReadCancels,
    ReadEffects,
    ReadFenceLog,
    ReadOwnerEvents,
    ReadRequest,
    Release,
    Request,
)
from tenure.session import Session
from tenure.session_tables import Mark
from tenure.sessions import Delete, ReadPath, ReadTree, SessionRequest
from tenure_driver.direct import DirectCalls
from tenure_driver.messages import Failed, Loopward
from tenure_driver.turn import Driver
from tenure_testing.crashing.points import Watch
from tenure_testing.crashing.stage import CLIENT, DIRECT, here
from tenure_testing.crashing.steps import WORKER, Boundaries
from tenure_testing.crashing.worker_points import (
    BLOWS,
    DIES,
    ON_THE_WAY,
    PAUSES,
    SCENES,
    STORE_DOWN,
    WorkerPoints,
    play,
    worker_points,
)
from tenure_testing.playing import Observer, World
from tenure_testing.playing.host import Life

LISTED = Path(__file__).with_name("worker_points.txt")
SCENE = {scene.name: scene for scene in SCENES}


@pytest.fixture(scope="module")
def struck() -> WorkerPoints:
    return worker_points(SCENES, [DIES, *ON_THE_WAY])


def test_a_worker_that_is_struck_anywhere_keeps_the_law(struck: WorkerPoints) -> None:
    """L1, L9, S6 and all that a simulation is judged by: it dies at every boundary, with what it sent executed, lost
    or late; a request or its answer is lost, refused, late or doubled."""
    assert list(map(str, struck.violations)) == []


def test_a_worker_that_stands_still_or_whose_store_goes_down_keeps_the_law(
    request: pytest.FixtureRequest,
) -> None:
    """At every boundary of one scene; of every scene under `--hypothesis-profile=verify`."""
    every = request.config.getoption("--hypothesis-profile") == "verify"
    found = worker_points(SCENES if every else [SCENE["a plain handler"]], [PAUSES, STORE_DOWN])
    assert list(map(str, found.violations)) == []
    assert len(found.listed) == 2 * found.boundaries > 100


def test_every_boundary_was_struck_by_a_death(struck: WorkerPoints) -> None:
    """100 %: as many deaths as boundaries that an undisturbed run reaches, and the other blows wherever they fit."""
    by = Counter(blow for _, blow, _ in struck.listed)
    assert by[DIES.name] == struck.boundaries
    sendings = sum(
        boundary.startswith("before sending ") for _, blow, boundary in struck.listed if blow == DIES.name
    )
    assert {blow.name: by[blow.name] for blow in ON_THE_WAY} == {blow.name: sendings for blow in ON_THE_WAY}


def test_the_points_are_those_that_are_listed(struck: WorkerPoints, request: pytest.FixtureRequest) -> None:
    """A boundary of a new kind, or one that is no longer reached, is seen in the list's difference."""
    counted = Counter(boundary for _, _, boundary in struck.listed)
    total = f"{struck.boundaries} boundaries, {len(struck.listed)} strikes; by kind:\n"
    text = total + "".join(f"{counted[kind]:5} {kind}\n" for kind in sorted(counted))
    if request.config.getoption("--rewrite"):
        LISTED.write_text(text)
    assert LISTED.read_text() == text


def test_whatever_can_be_seen_is_a_boundary() -> None:
    """A new kind of step has to be decided on here."""
    steps = {name for name in vars(Observer) if not name.startswith("_")}
    assert steps - set(vars(Boundaries)) == {"happened"}  # a fault is nobody's step


KINDS: dict[str, tuple[object, ...]] = {
    "": (Ask, Request, SessionRequest, Loopward),
    WORKER: (FencedRequest, ClaimRequest, ReadRequest, Ask, SessionRequest, Loopward),
    CLIENT: (ClientRequest, ReadRequest, Ask, SessionRequest),
    DIRECT: (FencedRequest, Ask, SessionRequest),
}
"""What has to be in a scene, whoever is struck in it, or a worker, a client or a direct run: all that can be asked for,
sent to a registry or a session, and told to a loop."""

EXCUSED: dict[str, dict[type, str]] = {
    "": {
        Failed: "a thread ended by an error; a played worker has none, and dies everywhere as with them",
    },
    WORKER: {
        Failed: "see above",
        Claim: "it claims whatever is next; who wants a certain process runs it directly",
        List: "a client's, and its handlers ask as any client does",
        ReadOwnerEvents: "likewise",
        ReadFenceLog: "likewise",
        Delete: "a client's: a handler that deletes its session has nothing that is the same undisturbed",
        ReadTree: "its sessions are those with their path; a direct run is struck that holds the whole tree",
    },
    CLIENT: {
        Act: "it holds no lease",
        ReadCancels: "a worker's, of what it holds itself",
        ReadEffects: "a journal's, which only who runs a handler has",
        ReadPath: "a worker opens a session with entries in the same words",
        ReadTree: "a client has its path; a direct run is struck that holds the whole tree",
    },
    DIRECT: {
        Release: "it gives nothing back: a caller that does not complete lets the lease expire",
        AwaitEnd: "a handler's only by a client, and a direct run brings none",
        ReadPath: "its session is one with its whole tree; a worker's is one with its path",
        Delete: "a client's, as for a worker",
    },
}
"""What is in none, and why."""


@pytest.mark.parametrize("whose", KINDS)
def test_every_kind_that_there_is_is_in_a_scene_or_excused(struck: WorkerPoints, whose: str) -> None:
    """100 %: the kinds are those of the unions themselves, so a new one is missed here. An excuse for what is met after
    all is an error, too."""
    there = {kind for union in KINDS[whose] for kind in get_args(union)}
    met = {kind for who, kind in struck.met if whose in ("", who)}
    assert there - met == set(EXCUSED[whose])


def test_on_sqlite_it_is_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Deaths in one scene; every blow in every scene under `--hypothesis-profile=verify`."""
    every = request.config.getoption("--hypothesis-profile") == "verify"
    numbers = count()
    scenes = SCENES if every else [SCENE["the worker becomes a zombie"]]
    found = worker_points(
        scenes, BLOWS if every else [DIES], lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    )
    assert list(map(str, found.violations)) == []
    assert len(found.listed) >= found.boundaries > 50


def test_a_scene_is_the_same_each_time() -> None:
    """So that the boundary that is struck is the one that was counted."""
    for scene in SCENES:
        assert play(scene, Watch(), None, "memory:") == play(scene, Watch(), None, "memory:")


# --- bugs ---------------------------------------------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch], None]


def never_taken_over(patch: pytest.MonkeyPatch) -> None:
    """K21: what a worker claimed and never started stays claimed."""
    import tenure_memory.tables as tables

    def claimable(record: Record, *given: Any) -> bool:
        return not record.held and tenure.claims.claimable(record, *given)

    patch.setattr(tables, "claimable", claimable)


def doubt_is_a_loss(patch: pytest.MonkeyPatch) -> None:
    """K9: an ambiguous error is taken for an answer."""
    answered = Driver._answered  # pyright: ignore[reportPrivateUsage]  # the bug is seeded where answers come in

    def wrong(self: Driver, call: int, answer: Any, now: Any) -> None:
        answered(self, call, Fenced() if isinstance(answer, Unknown) else answer, now)

    patch.setattr(Driver, "_answered", wrong)


def stale_writes_count(patch: pytest.MonkeyPatch) -> None:
    """K1, K23: whoever has held the process once may write."""

    def holds(record: Record, fence: Fence) -> bool:
        return record.held

    patch.setattr(tenure.registry, "_fence_holds", holds)


def the_journal_is_not_read(patch: pytest.MonkeyPatch) -> None:
    """W9: an effect that was recorded is run again by the next attempt."""

    async def nothing(self: Effects, journal: object) -> dict[str, Any]:
        return {}

    patch.setattr(Effects, "_recorded", nothing)


def no_handler_is_cancelled(patch: pytest.MonkeyPatch) -> None:
    """A handler that was told to stop goes on: that is seen inside of it, and must not become its own failure."""

    def nothing(self: Life, token: int) -> None: ...

    patch.setattr(Life, "cancel", nothing)


def late_attempts_write_to_sessions(patch: pytest.MonkeyPatch) -> None:
    """The watermark is not looked at: whoever has had the session once may write to it."""

    def everybodys(self: Mark) -> Any:
        return Anything()

    patch.setattr(Mark, "height", property(everybodys))


class Anything:  # noqa: PLW1641  # nobody puts it into a set
    """Whatever it is compared with, that is all right."""

    def __eq__(self, other: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return False


def entries_of_attempts_differ(patch: pytest.MonkeyPatch) -> None:
    """A handler that runs again appends again."""
    named = Session._entry_id  # pyright: ignore[reportPrivateUsage]  # the bug is seeded where ids are made

    def wrong(self: Session, name: str, text: Json, *, keyed: bool) -> str:
        fence = self._fence  # pyright: ignore[reportPrivateUsage]  # likewise
        return named(self, f"{name} {fence.token if fence else ''}", text, keyed=keyed)

    patch.setattr(Session, "_entry_id", wrong)


def clients_keys_are_not_used(patch: pytest.MonkeyPatch) -> None:
    """A client that is started again appends its event again."""
    append = Client.append

    async def wrong(
        self: Client, process: str, type: str, payload: Any = None, *, key: str | None = None
    ) -> int:
        return await append(self, process, type, payload)

    patch.setattr(Client, "append", wrong)


def doubt_ends_a_direct_run(patch: pytest.MonkeyPatch) -> None:
    """S18: an ambiguous answer is passed on, instead of asking again."""

    def wrong(self: DirectCalls, request: Request, until: Any) -> Answer:
        return self.config.registry.execute([request])[0]

    patch.setattr(DirectCalls, "_answer", wrong)


def an_event_is_given_once(patch: pytest.MonkeyPatch) -> None:
    """What an earlier attempt was given is not given again: the handler waits for ever."""
    heard, given = Hearing.next, WeakKeyDictionary[World, set[int]]()

    async def wrong(self: Hearing, type: str, timeout: float | None) -> Event:
        known = given.setdefault(here().world, set())
        event = await heard(self, type, timeout)
        while event.seq in known:
            event = await heard(self, type, timeout)
        known.add(event.seq)
        return event

    patch.setattr(Hearing, "next", wrong)


@pytest.mark.parametrize(
    ("bug", "scene", "law"),
    [
        (never_taken_over, "a plain handler", "L9"),
        (doubt_is_a_loss, "a plain handler", "S18"),
        (stale_writes_count, "the worker becomes a zombie", "S4"),
        (the_journal_is_not_read, "a plain handler", "delivery"),
        (no_handler_is_cancelled, "a process is cancelled while it runs", "S14"),
        (late_attempts_write_to_sessions, "a zombie writes to its session", "CONTRACT §8"),
        (entries_of_attempts_differ, "a handler writes to its session", "CONTRACT §8"),
        (clients_keys_are_not_used, "a client starts, tells, cancels and waits", "S10"),
        (doubt_ends_a_direct_run, "a direct run of a plain handler", "L3"),
        (an_event_is_given_once, "a handler waits for an event", "L9"),
    ],
)
def test_a_bug_is_found_and_its_property_named(
    bug: Patch, scene: str, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    found = worker_points([SCENE[scene]], [DIES, *ON_THE_WAY])
    assert law in {violation.law for violation in found.violations}
