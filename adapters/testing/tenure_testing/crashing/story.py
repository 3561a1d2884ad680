"""What a store is put through: chapters, each one batch, which together send every kind of request.

The story is told once to the memory store, which is the reference model; so every store is sent the same requests with
the same fences, and what it has to answer is known, be the chapter executed once, twice, or not at all.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from attrs import evolve, frozen

from tenure.canonical import NULL, Json
from tenure.limits import Limits
from tenure.process import Cancelled, ClaimId, Failure, Fence, Outcome, Success
from tenure.replies import Answer, Claimed
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
from tenure_testing.registry_world import START, ManualClock, external, process, reply_of

LIMITS = Limits(takeover_wait=10, takeover_cap=40, retry_horizon=60_000, fence_log=3)
"""Small ones, so that the story reaches them."""

TTL = 1_000
NAMES = ("a", "b", "c", "d", "x", "late")
SESSION = "s"
OWNERS = ("w", "v")
WANTED = ClaimFilter("", ("k",))


@frozen
class Chapter:
    """One batch, after the store's clock moved on by `wait` ms."""

    name: str
    batch: tuple[Request, ...]
    wait: int = 1


Story = Generator[Chapter, Sequence[Answer], None]


def story() -> Story:
    """The chapters in their order; each is told what the one before it was answered."""
    yield Chapter("register five at once", tuple(_registrations()))
    yield Chapter("register again, and otherwise", (Register(process("a")), Register(process("a", "other"))))
    yield Chapter("a client's event", (AppendEvent("c", "note", Json('"hello"'), "1"),))
    answers = yield Chapter("claim the next two", (ClaimNext(ClaimId("w", 1), TTL, 2, WANTED),))
    a, b = _fences(answers)
    answers = yield Chapter("claim one by its id", (Claim(ClaimId("v", 1), "d", TTL),))
    (d,) = _fences(answers)
    yield Chapter("renew", (Renew(a, TTL), Renew(b, TTL)))
    yield Chapter("renew what was just written", (Renew(a, TTL * 2), Renew(b, TTL)))
    yield Chapter(
        "record effects", (RecordEffect(a, "one", "f", Json("1")), RecordEffect(b, "one", "f", NULL))
    )
    yield Chapter(
        "emit events", (EmitEvent(a, "progress", Json("1"), "1"), EmitEvent(b, "progress", NULL, "1"))
    )
    yield Chapter(
        "record and emit again, and otherwise",
        (
            RecordEffect(a, "one", "f", Json("2")),
            RecordEffect(a, "one", "g", Json("1")),
            EmitEvent(a, "progress", Json("1"), "1"),
            EmitEvent(a, "undeclared", NULL, "2"),
        ),
    )
    yield Chapter("cancel a held one and a waiting one", (RequestCancel("a", "why"), RequestCancel("c")))
    yield Chapter(
        "complete, release and record in one batch",
        (Complete(a, Success(Json('"done"'))), Release(b, 50), RecordEffect(d, "two", "f", Json("2"))),
    )
    yield Chapter("nothing to claim", (ClaimNext(ClaimId("w", 2), TTL, 5, WANTED),))
    answers = yield Chapter("take over what expired", (ClaimNext(ClaimId("w", 3), TTL, 5, WANTED),), TTL * 2)
    b, d2 = sorted(_fences(answers), key=lambda fence: fence.process_id)
    yield Chapter("the same claim again", (ClaimNext(ClaimId("w", 3), TTL, 5, WANTED),))
    yield Chapter(
        "a zombie writes",
        (Complete(d, Success()), Renew(d, TTL), Release(d), RecordEffect(d, "three", "f", NULL)),
    )
    yield Chapter("a key of the holder before", (RecordEffect(d2, "two", "f", Json("3")),))
    yield Chapter("cancel the one taken over", (RequestCancel("d", "enough"),))
    yield Chapter("release what was cancelled", (Release(d2),))
    yield Chapter("complete as failed", (Complete(b, Failure("E", "code", "message")),))
    yield Chapter(
        "end the external one",
        (
            CompleteExternal("x", "operator", Cancelled("by hand")),
            CompleteExternal("a", "operator", Success()),
        ),
    )
    yield Chapter("cancel what has ended", (RequestCancel("a"), RequestCancel("nobody")))
    yield Chapter("read", tuple(reads()))
    yield Chapter("prune too early", (Prune(),))
    yield Chapter("register one more", (Register(process("late")),), LIMITS.retry_horizon * 2)
    yield Chapter("prune", (Prune(limit=3),))
    yield Chapter("write to what was pruned", (Complete(a, Success()), Release(d2)))
    yield Chapter("register what was pruned", (Register(process("a")), Register(process("b"))))
    yield Chapter("prune the rest and claim", (Prune(), ClaimNext(ClaimId("v", 2), TTL, 1, WANTED)))


def _registrations() -> list[Request]:
    return [
        *(Register(process(name, owner_scope=SESSION)) for name in "abcd"),
        Register(external("x", Json('{"by":"hand"}'))),
    ]


def _fences(answers: Sequence[Answer]) -> list[Fence]:
    return [grant.fence for grant in reply_of(answers[0], Claimed).grants]


def reads() -> list[Request]:
    """Requests that read all that a store has to tell."""
    asked: list[Request] = [List(limit=100), ReadEndings(0), ReadOwnerEvents(SESSION), ReadFenceLog(10)]
    asked += [ReadCancels(owner) for owner in OWNERS]
    for name in NAMES:
        asked += [Get(name), ReadEvents(name), ReadEffects(name)]
    return asked


def told(store: ProcessRegistry) -> object:
    """All that the store tells: what two stores in the same state tell alike."""
    return tuple(store.execute(reads())), store.wait(Cursor(), 0)


def contradictions(batch: Sequence[Request]) -> list[Request]:
    """For each completion of the batch the same one with another outcome: a conflict, once it was applied (S11)."""
    other: Outcome = Success(Json('"another"'))
    return [evolve(request, outcome=other) for request in batch if isinstance(request, Complete)]


# --- what each chapter does, by the reference ---------------------------------------------------------------------


@frozen
class Fate:
    """What a store tells and answers from here on: `state` now, `again` to the same batch with its contradictions,
    `then` its state, and `next_answers` to the next chapter's batch."""

    state: object
    again: tuple[Answer, ...]
    then: object
    next_answers: tuple[Answer, ...]


@frozen
class Page:
    """A chapter as the reference executes it: at store time `clock`, after `before`, with `answers`; and how it goes on
    where it was applied, and where it was not."""

    chapter: Chapter
    clock: int
    before: tuple[Page, ...]
    answers: tuple[Answer, ...]
    applied: Fate
    lost: Fate
    next_batch: tuple[Request, ...]

    @property
    def batch(self) -> tuple[Request, ...]:
        """The chapter's requests."""
        return self.chapter.batch

    @property
    def asked_again(self) -> tuple[Request, ...]:
        """The same requests again, and their contradictions."""
        return (*self.batch, *contradictions(self.batch))


def pages() -> tuple[Page, ...]:
    """The whole story as the reference executes it."""
    chapters, answers = _told_once()
    found: list[Page] = []
    clock = START
    for n, chapter in enumerate(chapters):
        clock += chapter.wait
        before, following = tuple(found), chapters[n + 1].batch if n + 1 < len(chapters) else ()
        applied = _fate(before, chapter, clock, following, times=1)
        lost = _fate(before, chapter, clock, following, times=0)
        found.append(Page(chapter, clock, before, answers[n], applied, lost, following))
    return tuple(found)


def _told_once() -> tuple[list[Chapter], list[tuple[Answer, ...]]]:
    clock = ManualClock()
    store = open_memory("memory:", clock=clock, limits=LIMITS)
    telling = story()
    chapters: list[Chapter] = []
    answers: list[tuple[Answer, ...]] = []
    chapter = next(telling)
    while True:
        clock.now += chapter.wait
        chapters.append(chapter)
        answers.append(tuple(store.execute(chapter.batch)))
        try:
            chapter = telling.send(answers[-1])
        except StopIteration:
            return chapters, answers


def _fate(
    before: Sequence[Page], chapter: Chapter, now: int, following: tuple[Request, ...], times: int
) -> Fate:
    clock = ManualClock()
    store = open_memory("memory:", clock=clock, limits=LIMITS)
    for page in before:
        clock.now = page.clock
        store.execute(page.batch)
    clock.now = now
    for _ in range(times):
        store.execute(chapter.batch)
    state = told(store)
    again = tuple(store.execute((*chapter.batch, *contradictions(chapter.batch))))
    return Fate(state, again, told(store), tuple(store.execute(following)))
