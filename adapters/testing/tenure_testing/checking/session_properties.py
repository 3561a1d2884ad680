"""What must hold of every answer of a store of sessions (CONTRACT §8), judged here and not by the core.

Each property looks at one `Change`: the session before and after one request, and the answer. Ranks are compared as
the judge counted them: `opened` is the highest under which an Open was answered, whatever the law wrote down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from tenure.replies import Fenced
from tenure.sessions import (
    Appended,
    AppendEntry,
    Entry,
    Moved,
    MoveHead,
    Open,
    Opened,
    SessionAnswer,
    SessionReason,
    SessionRefused,
)

if TYPE_CHECKING:
    from tenure_testing.checking.sessions import Asked, Kept

Again: TypeAlias = "Callable[[Kept], tuple[Kept, SessionAnswer]]"


@frozen
class Change:
    """The store answers one request. `rank`: of the lease that it is under, 0 for a client. `again`: what the same
    request does to another state."""

    before: Kept
    asked: Asked
    rank: int
    after: Kept
    answer: SessionAnswer
    again: Again = field(eq=False, repr=False)

    @property
    def changes(self) -> bool:
        return self.after != self.before

    @property
    def fenced(self) -> bool:
        return isinstance(self.answer, Fenced)

    @property
    def known(self) -> Entry | None:
        """What was stored before it under the id that it appends."""
        wanted = self.asked.entry_id if isinstance(self.asked, AppendEntry) else None
        return next((entry for entry in self.before.entries if entry.id == wanted), None)


def later_openings_fence(of: Change) -> bool:
    """After a later token has opened the session, nothing under an earlier one is accepted."""
    stale = of.rank and of.rank < of.before.opened
    return of.fenced or not stale


def only_who_opened_writes(of: Change) -> bool:
    """Nothing is written under a token that never opened; the last that opened is not fenced, nor is a client."""
    unopened = of.rank > of.before.opened and not isinstance(of.asked, Open)
    earlier = of.rank and of.rank < of.before.opened
    return of.fenced == bool(unopened or earlier)


def watermark_never_falls(of: Change) -> bool:
    """Nor does the number of moves that it carries."""
    return of.after.mark >= of.before.mark and of.after.moves >= of.before.moves


def entries_are_stored_once(of: Change) -> bool:
    """What is stored stays as it was first stored; what is new is what was asked for; and who is told of an entry finds
    it in the session. The same id with another body is refused."""
    before, after = of.before.entries, of.after.entries
    ids = [entry.id for entry in after]
    if after[: len(before)] != before or len(set(ids)) < len(ids):
        return False
    if isinstance(of.answer, Appended) and of.answer.entry not in after:
        return False
    if isinstance(of.asked, AppendEntry) and of.known and of.known.body != of.asked.body and not of.fenced:
        return isinstance(of.answer, SessionRefused) and of.answer.reason is SessionReason.CONFLICT
    if not isinstance(of.asked, AppendEntry) or not isinstance(of.answer, Appended) or of.known:
        return after == before
    made = Entry(of.asked.entry_id, of.asked.parent, len(before) + 1, of.asked.body)
    return after == (*before, made) and of.answer.entry == made


def head_moves_from_what_was_seen(of: Change) -> bool:
    """No update is lost: the head moves only from where the writer saw it, to what it asked for; it is told where the
    head is; and who saw the head is not refused."""
    before, after, answer = of.before.head, of.after.head, of.answer
    if isinstance(answer, Appended | Moved | Opened) and answer.head != after:
        return False
    if isinstance(answer, SessionRefused) and answer.reason is SessionReason.HEAD_MOVED:
        seen = of.asked.head if isinstance(of.asked, MoveHead) else getattr(of.asked, "parent", before)
        return seen != before and answer.head == before
    if after == before:
        return True
    if isinstance(of.asked, AppendEntry):
        return of.asked.parent == before and after == of.asked.entry_id
    return isinstance(of.asked, MoveHead) and of.asked.head == before and after == of.asked.to


def repeated_it_changes_nothing(of: Change) -> bool:
    """S10: the same request again is answered the same and changes nothing; and so does, though another attempt makes
    it, the append of an entry that is there, and a move whose number was made. A refusal changes nothing either."""
    if of.fenced or isinstance(of.answer, SessionRefused):
        return not of.changes
    made = isinstance(of.asked, MoveHead) and 0 < of.asked.n <= of.before.moves
    if of.changes and (of.known or made):
        return False
    return of.again(of.after) == (of.after, of.answer)


PROPERTIES: tuple[tuple[str, Callable[[Change], bool]], ...] = (
    ("CONTRACT §8, fence", later_openings_fence),
    ("CONTRACT §8, opened", only_who_opened_writes),
    ("CONTRACT §8, watermark", watermark_never_falls),
    ("CONTRACT §8, head", head_moves_from_what_was_seen),
    ("S10", repeated_it_changes_nothing),
    ("CONTRACT §8, entries", entries_are_stored_once),
)


def broken_by(change: Change) -> list[str]:
    """The properties that the change breaks, in their order."""
    return [name for name, holds in PROPERTIES if not holds(change)]


def words(of: Change) -> str:
    """The change by the name under which `sometimes` knows it."""
    name = type(of.asked).__name__
    by = "" if of.rank else ", a client's"
    if of.fenced:
        return f"{name} fenced{by}"
    if isinstance(of.answer, SessionRefused):
        return f"{name} refused ({of.answer.reason.value}){by}"
    return f"{name} succeeded{by}{'' if of.changes else ', again'}"
