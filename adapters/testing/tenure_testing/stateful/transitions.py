"""What must hold of one row when one request was answered: each property, written anew.

Nothing here asks the core what is right: each property is written from docs/reference/properties.md and
docs/reference/contract.md again, so that a bug in the law itself is found although every store obeys it.

The checker states the same properties in `tenure_testing.checking.properties`: it imports the core only and judges
millions of transitions, this judges few and says what is wrong, and neither knows of the other's mistakes.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ENDED, Cancelled, EndedBy, Event, External, Record
from tenure.replies import (
    Answer,
    CancelAccepted,
    Completed,
    Fenced,
    Reason,
    Refused,
    Renewed,
    Succeeded,
)
from tenure.requests import (
    Claim,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure.values import changed


@frozen
class Transition:
    """What one request did to one row. `highest`: the highest version or token that there was before."""

    request: Request
    answer: Answer
    before: Record | None
    after: Record | None
    clock: StoreTime
    highest: int
    limits: Limits
    added: tuple[Event, ...] = ()

    @property
    def moves(self) -> bool:
        return self.before != self.after

    @property
    def reply(self) -> object:
        return self.answer.reply if isinstance(self.answer, Succeeded) else None

    @property
    def grants(self) -> bool:
        return isinstance(self.request, Claim | ClaimNext) and self.moves

    @property
    def now(self) -> int:
        """Store time for the row (C1)."""
        return max(self.clock, self.before.changed_at) if self.before else self.clock

    @property
    def live(self) -> bool:
        """Before it, by this module's own reading of CONTRACT §1: the expiry is exclusive."""
        return self.before is not None and self.before.held and self.before.expires_at > self.now

    @property
    def holds(self) -> bool:
        """Whether the request's fence is that of the row's holder."""
        request, row = self.request, self.before
        if not isinstance(request, Renew | RecordEffect | EmitEvent | Complete | Release) or row is None:
            return False
        fence = request.fence
        return row.outcome is None and row.held and (row.token, row.claim) == (fence.token, fence.claim)

    @property
    def ends(self) -> bool:
        open_before = self.before is None or self.before.outcome is None
        return open_before and self.after is not None and self.after.outcome is not None


# --- one property each: what is wrong, or nothing -----------------------------------------------------------------


def _tokens(of: Transition) -> str:
    """S2."""
    if of.after is None:
        return ""
    lease = (of.after.token, of.after.claim)
    if of.grants:
        claim = of.request.claim if isinstance(of.request, Claim | ClaimNext) else None
        return (
            ""
            if of.after.token > of.highest and lease[1] == claim
            else "a claim's token is not new, or another's"
        )
    if of.before is None and of.after.version <= of.highest:
        return "the sequence of versions and tokens begins again"
    known = (of.before.token, of.before.claim) if of.before else (0, None)
    return "" if lease == known else "the token changed without a claim"


def _claims_what_is_free(of: Transition) -> str:
    """S3."""
    if not of.grants or of.before is None:
        return "" if not of.grants else "a claim made a row"
    if of.before.outcome is not None or isinstance(of.before.registration.input, External):
        return "a claim got what cannot be claimed"
    return "a claim got what somebody holds" if of.live else ""


def _fenced(of: Transition) -> str:
    """S4."""
    fenced = isinstance(of.request, Renew | RecordEffect | EmitEvent | Complete | Release)
    return "a write under a fence that does not hold" if fenced and of.moves and not of.holds else ""


def _unexpired(of: Transition) -> str:
    """S5."""
    tests_expiry = isinstance(of.request, Renew | RecordEffect)
    return "a write under a lease that has expired" if tests_expiry and of.moves and not of.live else ""


def _ends_once(of: Transition) -> str:
    """S6."""
    row, after = of.before, of.after
    if row is not None and row.outcome is not None and after is not None and after.outcome != row.outcome:
        return "a second outcome"
    told = of.reply.outcome if isinstance(of.reply, Completed | CancelAccepted) else None
    if told is not None and (after is None or after.outcome != told):
        return "the outcome that was answered is not the row's"
    ends = [event for event in of.added if event.type == ENDED]
    return "" if len(ends) == int(of.ends) else "not one terminal event for one outcome"


def _absorbs(of: Transition) -> str:
    """S7."""
    ended = of.before is not None and of.before.outcome is not None and of.after is not None
    return "a row changed after its end" if ended and (of.moves or of.added) else ""


def _release_is_scoped(of: Transition) -> str:
    """S8."""
    if not isinstance(of.request, Release) or not isinstance(of.answer, Succeeded):
        return ""
    fence, row = of.request.fence, of.before
    own = row is not None and (row.token, row.claim) == (fence.token, fence.claim)
    return "" if own and (of.holds or not of.moves) else "a release under a fence that is not the row's"


def _renews_its_own(of: Transition) -> str:
    """S9."""
    if not isinstance(of.request, Renew) or not of.moves:
        return ""
    if not of.holds or of.before is None or of.after is None:
        return "a renewal of somebody else's lease"
    if of.after.expires_at < of.before.expires_at:
        return "a renewal that shortens"
    but = {"version": of.after.version, "changed_at": of.after.changed_at, "expires_at": of.after.expires_at}
    return "" if changed(of.before, **but) == of.after else "a renewal that changes more than the expiry"


def _completes_again(of: Transition) -> str:
    """S11."""
    if of.before is None and of.after is not None and not isinstance(of.request, Register):
        return "a row that nobody registered"
    if not isinstance(of.request, Complete):
        return ""
    fence, row = of.request.fence, of.before
    if row is None:
        return "" if of.answer == Fenced() else "a completion of what is not there is not fenced"
    if row.ended_by is not EndedBy.COMPLETE or (row.token, row.claim) != (fence.token, fence.claim):
        return ""
    if row.outcome == of.request.outcome:
        return "" if isinstance(of.reply, Completed) else "the same completion again is not answered"
    conflict = isinstance(of.answer, Refused) and of.answer.reason is Reason.CONFLICT
    return "" if conflict else "another outcome under the same token is no conflict"


def _cancel_sticks(of: Transition) -> str:
    """S16."""
    row, after, request = of.before, of.after, of.request
    if row is None or after is None:
        return ""
    if isinstance(of.reply, Renewed) and of.reply.cancel != row.cancel:
        return "a renewal does not tell of the cancellation"
    if not isinstance(request, RequestCancel):
        return "" if after.cancel == row.cancel else "the cancel flag changed"
    if row.outcome is not None:
        told = isinstance(of.reply, CancelAccepted) and of.reply.outcome == row.outcome
        return "" if told else "a cancellation after the end is not answered with the outcome"
    if not isinstance(of.answer, Succeeded):
        return (
            ""
            if isinstance(of.answer, Refused) and of.answer.reason in _UNFIT
            else "a cancellation is not taken"
        )
    if after.cancel != (request.reason if row.cancel is None else row.cancel):
        return "the first reason does not stay"
    return (
        "" if (after.outcome is None) == of.live else "a cancellation ends what is not live, and nothing else"
    )


_UNFIT = (Reason.BAD_TEXT, Reason.TOO_LARGE)


def _no_outcome_is_invented(of: Transition) -> str:
    """S17."""
    if not of.ends or of.after is None:
        return ""
    match of.request:
        case Complete() | CompleteExternal():
            return "" if of.after.outcome == of.request.outcome else "another outcome than was reported"
        case RequestCancel() | Release():
            asked = of.after.cancel is not None and of.after.outcome == Cancelled(of.after.cancel)
            return "" if asked else "cancelled without a request"
        case _:
            return "an outcome that nobody reported"


def _counts(of: Transition) -> str:
    """S20."""
    if of.after is None:
        return ""
    claims, lost = (of.before.claims, of.before.lost) if of.before else (0, 0)
    if of.grants:
        claims, lost = claims + 1, lost + int(of.before is not None and of.before.held)
    elif of.moves and (
        isinstance(of.request, RecordEffect) or (isinstance(of.request, Release) and not of.ends)
    ):
        lost = 0
    return "" if (of.after.claims, of.after.lost) == (claims, lost) else "claims or lost is counted wrongly"


def _time_and_version(of: Transition) -> str:
    """S23, as far as writing goes: nothing newer than what comes next."""
    if of.after is None or not of.moves:
        return ""
    return "" if of.after.version > of.highest else "a version is not new"


def _clock(of: Transition) -> str:
    """C1."""
    if of.after is None or not of.moves:
        return ""
    return "" if of.after.changed_at == of.now else "store time is not the clock's, or goes back for a row"


def _healthy(of: Transition) -> str:
    """L3: a holder that renews in time is never refused; nor is its outcome (L2)."""
    renews = isinstance(of.request, Renew) and of.live
    writes = renews or isinstance(of.request, Complete | Release)
    return "a holder is fenced" if of.holds and writes and of.answer == Fenced() else ""


PROPERTIES: tuple[tuple[str, Callable[[Transition], str]], ...] = (
    ("S6", _ends_once),
    ("S7", _absorbs),
    ("S8", _release_is_scoped),
    ("S9", _renews_its_own),
    ("S11", _completes_again),
    ("S2", _tokens),
    ("S3", _claims_what_is_free),
    ("S5", _unexpired),
    ("S4", _fenced),
    ("S16", _cancel_sticks),
    ("S17", _no_outcome_is_invented),
    ("S20", _counts),
    ("S23", _time_and_version),
    ("C1", _clock),
    ("L3", _healthy),
)
"""Each judges one row, the one that says most first; what is about several, or what came before, is in `Judge`."""
