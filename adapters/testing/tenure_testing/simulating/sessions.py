"""Sessions of a simulation: the store's own, behind trouble that a plan draws, and an account of them that is kept
apart from the core. What is sent is executed, with or without an answer, or not; the account sees what is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from tenure.facets import BringsFacets, StoredFacets
from tenure.replies import Fenced, Unavailable, Unknown
from tenure.sessions import (
    Appended,
    AppendEntry,
    Entry,
    Moved,
    MoveHead,
    Open,
    Opened,
    PathRead,
    ReadPath,
    ReadTree,
    SessionAnswer,
    SessionFence,
    SessionPolicy,
    SessionReason,
    SessionRefused,
    SessionRequest,
    SessionStore,
    SessionStoreFactory,
    TreeRead,
)
from tenure.stores import DurabilityTier
from tenure_testing.playing import World
from tenure_testing.simulating.plans import Plan
from tenure_testing.simulating.rows import Violation

TROUBLE = 0.15
"""The share of requests to a session that meet trouble, while there is a storm."""


@define(eq=False)
class Tree:
    """One session by its accepted requests. `opened` has the highest (epoch, token) under which each process opened it,
    `moves` how many of the process's moves were made."""

    entries: dict[str, Entry] = field(factory=dict[str, Entry])
    head: str = ""
    opened: dict[tuple[str, str], tuple[int, int]] = field(factory=dict[tuple[str, str], tuple[int, int]])
    moves: dict[tuple[str, str], int] = field(factory=dict[tuple[str, str], int])


class Accounts:
    """Every session, as what was answered made it. `met` counts what was met."""

    def __init__(self, met: Counter[str]) -> None:
        self._met = met
        self.trees: dict[str, Tree] = {}

    def executed(self, name: str, request: SessionRequest, answer: SessionAnswer) -> None:
        """The store answered, whoever hears of it. Raises Violation."""
        tree, said = self.trees.setdefault(name, Tree()), f"{name}: {type(request).__name__}"
        fence: SessionFence | None = getattr(request, "fence", None)
        if fence is not None:
            self._fence(tree, fence, request, answer, said)
        match answer:
            case Opened() if (answer.head, answer.entries) != (tree.head, len(tree.entries)):
                told = f"{len(tree.entries)} entries and the head {tree.head!r}"
                raise Violation("S21", f"{said} answered {answer}, expected {told}")
            case Appended():
                assert isinstance(request, AppendEntry)
                self._append(tree, request, answer, said)
            case Moved():
                assert isinstance(request, MoveHead)
                self._move(tree, request, answer, said)
            case PathRead() | TreeRead():
                if answer.entries != (expected := _read(tree, request)):
                    raise Violation("S21", f"{said} answered {answer.entries}, expected {expected}")
            case SessionRefused(reason=SessionReason.HEAD_MOVED):
                self._met["head moved"] += 1
                known = request.parent if isinstance(request, AppendEntry) else getattr(request, "head", "")
                if known == tree.head:
                    raise Violation("session", f"{said} was refused, and the head is {known!r}, as it says")
            case _:
                pass

    def _fence(
        self, tree: Tree, fence: SessionFence, request: SessionRequest, answer: SessionAnswer, said: str
    ) -> None:
        """Nothing is accepted under a token that is lower than one that has opened the session for that process, and
        nothing but an opening under one that has not opened it (W9)."""
        of, rank = (fence.registry, fence.process_id), (fence.epoch, fence.token)
        highest = tree.opened.get(of)
        holds = highest is not None and rank == highest
        if isinstance(request, Open):
            holds = highest is None or rank >= highest
        said = f"{said} of {fence.process_id} under {rank}, and it was opened under {highest}"
        if isinstance(answer, Fenced):
            self._met["session fenced"] += 1
            if holds:
                raise Violation("W9", f"{said}: it was fenced")
        elif not holds:
            raise Violation("W9", f"{said}: it was answered {answer}")
        elif isinstance(answer, Opened):
            tree.opened[of] = rank

    def _append(self, tree: Tree, request: AppendEntry, answer: Appended, said: str) -> None:
        known, entry = tree.entries.get(request.entry_id), answer.entry
        if known is not None:
            self._met["entry again"] += 1
            if (entry, answer.head) != (known, tree.head):
                raise Violation(
                    "S10", f"{said} answered {answer}; stored are {known}, the head {tree.head!r}"
                )
            return
        if request.parent != tree.head:
            raise Violation(
                "session", f"{said} after {request.parent!r} was accepted at the head {tree.head!r}"
            )
        new = Entry(request.entry_id, request.parent, len(tree.entries) + 1, request.body)
        if (entry, answer.head) != (new, new.id):
            raise Violation("S10", f"{said} answered {answer}, expected {new}")
        self._met["entry"] += 1
        tree.entries[new.id], tree.head = new, new.id

    def _move(self, tree: Tree, request: MoveHead, answer: Moved, said: str) -> None:
        of = (request.fence.registry, request.fence.process_id) if request.fence is not None else ("", "")
        if not 0 < request.n <= tree.moves.get(of, 0):
            if request.to not in tree.entries or tree.head not in (request.head, request.to):
                raise Violation("session", f"{said} from {request.head!r} was accepted at {tree.head!r}")
            self._met["fork"] += 1
            tree.head, tree.moves[of] = request.to, request.n
        if answer.head != tree.head:
            raise Violation("session", f"{said} answered the head {answer.head!r}, and it is {tree.head!r}")

    def told(self, name: str, entry: Entry) -> None:
        """A handler was told that its entry is stored."""
        if self.trees[name].entries.get(entry.id) != entry:
            raise Violation("S21", f"{name}: a handler was told of {entry}, which is not in it")

    def look(self, factory: SessionStoreFactory) -> None:
        """Every session, as the store has it, is as it was answered: each entry once, and the head."""
        for name in self.trees:
            store = factory.open(name, SessionPolicy())
            for request in (Open(), ReadTree(0, 10_000)):
                self.executed(name, request, store.execute(request))


def _read(tree: Tree, request: SessionRequest) -> tuple[Entry, ...]:
    if isinstance(request, ReadTree):
        return tuple([entry for entry in tree.entries.values() if entry.seq > request.after][: request.limit])
    assert isinstance(request, ReadPath)
    path: list[Entry] = []
    at = tree.entries.get(request.leaf)
    while at is not None and len(path) < request.limit:
        path.append(at)
        at = tree.entries.get(at.parent)
    return tuple(path)


@frozen(eq=False)
class PlayedSessions:
    """The sessions of a world's store. A session goes on in the store as it is open now, after a restart too."""

    world: World
    accounts: Accounts
    trouble: Callable[[], str]

    def stored(self) -> StoredFacets:
        """The store's own."""
        assert isinstance(self.world.store.inner, BringsFacets)
        return self.world.store.inner.facets()

    def facets(self) -> StoredFacets:
        """The store's, with these sessions."""
        stored = self.stored()
        return StoredFacets(self, stored.attachments, stored.artifacts)

    @property
    def tier(self) -> DurabilityTier:
        """The store's."""
        return self.world.store.tier

    def open(self, session_id: str, policy: SessionPolicy) -> SessionStore:
        """That session."""
        return _PlayedSession(self, session_id, policy)

    def close(self) -> None:
        """The store closes what it brought."""


@frozen(eq=False)
class _PlayedSession:
    """One session, as one who opened it has it."""

    of: PlayedSessions
    name: str
    policy: SessionPolicy

    def execute(self, request: SessionRequest) -> SessionAnswer:
        """The answer; Unavailable without it having been executed, or Unknown whether or not it was."""
        trouble = "down" if self.of.world.store.down else self.of.trouble()
        if trouble in ("down", "unavailable"):
            return Unavailable("the session's store cannot be reached")
        if trouble != "lost":
            answer = self.of.stored().sessions.open(self.name, self.policy).execute(request)
            try:
                self.of.accounts.executed(self.name, request, answer)
            except Violation as violation:  # a handler's code called: no failure of its own
                self.of.world.raises(violation)
            if not trouble:
                return answer
        return Unknown("the connection was lost before the answer came")


def sessions(plan: Plan, world: World, accounts: Accounts, calm: Callable[[], bool]) -> PlayedSessions:
    """The world's store brings these sessions from now on."""
    random = plan.random("sessions")

    def trouble() -> str:
        if calm() or random.random() >= TROUBLE:
            return ""
        return random.choice(("unavailable", "lost", "unheard"))

    played = PlayedSessions(world, accounts, trouble)
    facets: Any = played.facets
    world.store.facets = facets
    return played
