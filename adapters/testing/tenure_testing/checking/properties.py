"""What must hold of every answer of a store: the properties that speak of rows, judged here and not by the core.

Each looks at one `Transition`: the registry before and after one request, and the answer. The order of `PROPERTIES` is
the order in which they are reported: what names a fault best comes first, so a stale release is S8 before it is S4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import field, frozen

from tenure import claims
from tenure.canonical import canonical
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot
from tenure.process import Cancelled, EndedBy, Failure, Outcome, Record, Success
from tenure.replies import (
    Answer,
    CancelAccepted,
    Claimed,
    Completed,
    EffectRecorded,
    Reason,
    Refused,
    Released,
    Renewed,
    Succeeded,
)
from tenure.requests import (
    Claim,
    ClaimFilter,
    Complete,
    EmitEvent,
    Prune,
    RecordEffect,
    Register,
    Release,
    Renew,
    RequestCancel,
)
from tenure.values import changed

if TYPE_CHECKING:
    from tenure_testing.checking.rows import Asked, Pair

FENCED = Renew | RecordEffect | EmitEvent | Complete | Release


@frozen
class Transition:
    """The store answers one request. `apply` does another one to the state that it is given."""

    pair: Pair
    apply: Callable[[Asked, Snapshot], tuple[Snapshot, Answer]] = field(eq=False, repr=False)

    @property
    def asked(self) -> Asked:
        return self.pair.request

    @property
    def answer(self) -> Answer:
        return self.pair.answer

    @property
    def before(self) -> Record | None:
        return next(iter(self.pair.before.records), None)

    @property
    def row(self) -> Record | None:
        return next(iter(self.pair.after.records), None)

    @property
    def changes(self) -> bool:
        return self.row != self.before

    @property
    def grants(self) -> bool:
        """It made a new lease."""
        return self.changes and isinstance(self.asked, Claim)

    @property
    def ended(self) -> Outcome | None:
        """The outcome before it."""
        return None if self.before is None else self.before.outcome

    @property
    def held(self) -> bool:
        return self.before is not None and self.before.held

    @property
    def live(self) -> bool:
        """Before it; the expiry is exclusive."""
        return self.before is not None and self.before.held and self.before.expires_at > NOW

    @property
    def own(self) -> bool:
        """The request carries the lease that the row had last."""
        fence = self.asked.fence if isinstance(self.asked, FENCED) else None
        row = self.before
        return fence is not None and row is not None and (fence.token, fence.claim) == (row.token, row.claim)

    @property
    def stale(self) -> bool:
        """A change under a fence that does not hold."""
        written = self.changes or self.pair.after.effects != self.pair.before.effects
        return written and isinstance(self.asked, FENCED) and not (self.own and (self.held or self.ended))


NOW = StoreTime(1_000_000)
"""What the store's clock says in every transition, pruning aside."""


# --- S2, S3, S19: claims ------------------------------------------------------------------------------------------


def token_grows_by_claims_only(of: Transition) -> bool:
    """S2: a claim's token is the next number that the store draws, so above all others; and bears the claim's name."""
    if of.row is None or of.before is None:
        return of.row is None or of.row.token == 0
    lease = (of.row.token, of.row.claim)
    if isinstance(of.asked, Claim) and of.grants:
        return lease == (of.pair.before.number + 1, of.asked.claim)
    return lease == (of.before.token, of.before.claim)


def claims_what_is_free(of: Transition) -> bool:
    """S3, and no sooner than CONTRACT §4 lets it; and who may claim it by its name may find it by ClaimNext."""
    if not isinstance(of.asked, Claim) or of.before is None:
        return not of.grants
    last = max((claim.n for claim, _ in of.pair.before.claims), default=0)
    free = not (of.ended or of.live) and _may_be_claimed_at(of.before, of.pair.before.limits) <= NOW
    listed = claims.claimable(of.before, ClaimFilter("", ("kind",)), NOW, of.pair.before.limits)
    return (free or not (of.grants or listed)) and of.grants == (listed and of.asked.claim.n > last)


def claims_what_is_due(of: Transition) -> bool:
    """L1, as far as one answer can show it: none waits longer than that. At the very expiry S5 is what is judged."""
    if not isinstance(of.asked, Claim) or of.before is None or of.ended or of.live:
        return True
    if of.before.held and of.before.expires_at == NOW:
        return True
    late = isinstance(of.answer, Refused) and of.answer.reason is Reason.NOT_READY
    return not late or _may_be_claimed_at(of.before, of.pair.before.limits) > NOW


def _may_be_claimed_at(row: Record, limits: Limits) -> int:
    """CONTRACT §4, in ms: a row that nobody holds when it is ready; one whose holder was lost at its expiry for the
    first time, and each further time in a row after a wait twice as long as the one before, up to the cap."""
    if not row.held:
        return row.ready_at
    waits = [0, limits.takeover_wait]
    while len(waits) <= row.lost:
        waits.append(waits[-1] * 2)
    return row.expires_at + min(waits[row.lost], limits.takeover_cap)


def answers_what_it_changed(of: Transition) -> bool:
    """S19: each grant is a live lease of this claim, as the row shows it; made by it, or by its first sending."""
    if not (isinstance(of.answer, Succeeded) and isinstance(of.answer.reply, Claimed)):
        return True
    row, asked = of.row, of.asked
    if not isinstance(asked, Claim) or row is None:
        return not of.answer.reply.grants
    mine = row.held and row.claim == asked.claim and row.outcome is None and row.expires_at > NOW
    grants = of.answer.reply.grants
    shown = all(grant.record == row and grant.fence.token == row.token for grant in grants)
    return len(grants) == (1 if mine else 0) and shown


# --- S4, S5, S8, S9: writes under a lease -------------------------------------------------------------------------


def writes_under_its_lease(of: Transition) -> bool:
    """S4."""
    return not of.stale


def revives_nothing(of: Transition) -> bool:
    """S5: neither by a write, nor by telling a claim again that it has a lease."""
    reply = of.answer.reply if isinstance(of.answer, Succeeded) else None
    if isinstance(reply, Claimed) and reply.grants and of.row is not None and of.row.expires_at <= NOW:
        return False
    tested = isinstance(of.asked, Renew | RecordEffect)
    written = of.changes or of.pair.after.effects != of.pair.before.effects
    return not (tested and written) or of.live


def releases_its_own(of: Transition) -> bool:
    """S8."""
    return not (of.stale and isinstance(of.asked, Release))


def renews_its_own_and_never_shortens(of: Transition) -> bool:
    """S9."""
    if not isinstance(of.asked, Renew) or of.row is None or of.before is None:
        return True
    return not of.stale and of.row.expires_at >= of.before.expires_at


def gives_back_as_asked(of: Transition) -> bool:
    """CONTRACT §4: a process that was given back may be claimed after the delay that the release asks for."""
    if not isinstance(of.asked, Release) or not of.changes or of.row is None or of.row.outcome is not None:
        return True
    return not of.row.held and of.row.ready_at == NOW + of.asked.delay


# --- S6, S7, S11, S16, S17: the end -------------------------------------------------------------------------------


def ends_once(of: Transition) -> bool:
    """S6: neither another outcome nor another terminal event, and who is told of an outcome finds it in the row."""
    said = of.answer.reply if isinstance(of.answer, Succeeded) else None
    told = said.outcome if isinstance(said, Completed | Released | CancelAccepted) else None
    if told is not None and (of.row is None or told != of.row.outcome):
        return False
    if isinstance(of.asked, Complete) and isinstance(said, Completed) and told != of.asked.outcome:
        return False
    if of.before is None or not of.ended or of.row is None:
        return True
    return (of.row.outcome, of.row.events) == (of.before.outcome, of.before.events)


def end_is_absorbing(of: Transition) -> bool:
    """S7: only pruning, long after it, removes what has ended; and it removes nothing else."""
    if isinstance(of.asked, Prune):
        return of.row is None if of.ended else not of.changes
    return not (of.ended and of.changes)


def makes_nothing_again(of: Transition) -> bool:
    """S11: a row that is gone is made anew by its registration only."""
    return of.before is not None or not of.changes or isinstance(of.asked, Register)


def completing_again_is_answered(of: Transition) -> bool:
    """S11: the same outcome again is answered with what is stored, another is a conflict; both change nothing."""
    if not isinstance(of.asked, Complete) or of.row is None or of.row.ended_by is not EndedBy.COMPLETE:
        return True
    if (of.asked.fence.token, of.asked.fence.claim) != (of.row.token, of.row.claim):
        return True
    for outcome in (of.row.outcome, Success(canonical(1)), Cancelled("another")):
        assert outcome is not None
        again, answer = of.apply(changed(of.asked, outcome=outcome), of.pair.after)
        same = isinstance(answer, Succeeded) and isinstance(answer.reply, Completed)
        refused = isinstance(answer, Refused) and answer.reason is Reason.CONFLICT
        if again != of.pair.after or not (same if outcome == of.row.outcome else refused):
            return False
    return True


def cancel_is_sticky(of: Transition) -> bool:
    """S16: the flag stays, with its first reason; it ends what is not live, rides on renewals, is answered with the
    outcome of what has ended; and who completes in time completes, flag or not."""
    if of.before is None or of.row is None:
        return True
    reply = of.answer.reply if isinstance(of.answer, Succeeded) else None
    kept = of.row.cancel == of.before.cancel
    if isinstance(of.asked, Complete) and of.own and of.held:
        return kept and of.row.outcome == of.asked.outcome
    if isinstance(of.asked, Renew) and isinstance(reply, Renewed):
        return kept and reply.cancel == of.row.cancel
    if isinstance(of.asked, Release) and of.changes and not of.stale:
        return kept and (of.row.outcome is not None) == (of.row.cancel is not None)
    if not isinstance(of.asked, RequestCancel):
        return kept
    if not isinstance(reply, CancelAccepted):
        return False
    if of.ended:
        return not of.changes and reply.outcome == of.ended
    first = of.asked.reason if of.before.cancel is None else of.before.cancel
    outcome = None if of.live else Cancelled(first)
    return (of.row.cancel, of.row.outcome, reply.outcome) == (first, outcome, outcome)


def invents_no_outcome(of: Transition) -> bool:
    """S17: an outcome is the one that a Complete brought; cancelled is what somebody asked for, with that reason."""
    if of.row is None or of.row.outcome is None or of.ended:
        return True
    if isinstance(of.row.outcome, Cancelled) and of.row.outcome != Cancelled(of.row.cancel or ""):
        return False
    if isinstance(of.row.outcome, Cancelled) and of.row.cancel is None:
        return False
    brought = of.asked.outcome if isinstance(of.asked, Complete) else Cancelled(of.row.cancel or "")
    return of.row.outcome == brought


# --- S10, S20, versions: replays and counting ---------------------------------------------------------------------


def replays_change_nothing(of: Transition) -> bool:
    """S10: the same request again changes nothing and answers the same."""
    replayed = isinstance(of.asked, Claim | Complete | Release | RecordEffect | EmitEvent | Register)
    if not replayed or not isinstance(of.answer, Succeeded):
        return True
    if isinstance(of.asked, Claim) and isinstance(of.answer.reply, Claimed) and not of.answer.reply.grants:
        return True
    again, answer = of.apply(of.asked, of.pair.after)
    return (again, answer) == (of.pair.after, of.answer)


def first_writer_wins(of: Transition) -> bool:
    """S10: what is recorded under a key stays, and is what every later writer is told."""
    before, after = of.pair.before, of.pair.after
    if before.records and not isinstance(of.asked, Prune):
        kept = set(before.effects) <= set(after.effects) and set(before.events) <= set(after.events)
        if not kept or len(after.effects) > 1:
            return False
    told = of.answer.reply if isinstance(of.answer, Succeeded) else None
    return not isinstance(told, EffectRecorded) or [told.result] == [made.result for made in after.effects]


def counts(of: Transition) -> bool:
    """S20, and a refusal changes nothing."""
    if not isinstance(of.answer, Succeeded) and of.pair.after != of.pair.before:
        return False
    if of.before is None or of.row is None:
        return True
    lost = of.before.lost + (1 if of.grants and of.before.held else 0)
    if of.changes and isinstance(of.asked, RecordEffect | Release) and of.row.outcome is None:
        lost = 0
    return (of.row.claims, of.row.lost) == (of.before.claims + (1 if of.grants else 0), lost)


def versions_grow(of: Transition) -> bool:
    """Every accepted change draws one number, and the row bears it as its version (CONTRACT §1)."""
    if of.row is None or of.before is None:
        return True
    return of.row.version == (of.pair.before.number + 1 if of.changes else of.before.version)


PROPERTIES: tuple[tuple[str, Callable[[Transition], bool]], ...] = (
    ("S11", makes_nothing_again),
    ("S2", token_grows_by_claims_only),
    ("S3", claims_what_is_free),
    ("S8", releases_its_own),
    ("S9", renews_its_own_and_never_shortens),
    ("S4", writes_under_its_lease),
    ("S5", revives_nothing),
    ("S11", completing_again_is_answered),
    ("S6", ends_once),
    ("S7", end_is_absorbing),
    ("S17", invents_no_outcome),
    ("S16", cancel_is_sticky),
    ("S19", answers_what_it_changed),
    ("S10", replays_change_nothing),
    ("S10", first_writer_wins),
    ("S20", counts),
    ("L1", claims_what_is_due),
    ("CONTRACT 4", gives_back_as_asked),
    ("version", versions_grow),
)


def broken_by(transition: Transition) -> list[str]:
    """The properties that the transition breaks, in their order, each once."""
    return [*dict.fromkeys(name for name, holds in PROPERTIES if not holds(transition))]


def words(of: Transition) -> str:
    """The transition by the name under which `sometimes` knows it."""
    asked, answer = of.asked, of.answer
    said = f"{type(asked).__name__} {type(answer).__name__.lower()}"
    if isinstance(answer, Refused):
        return f"{said} ({answer.reason.value})"
    if of.grants and of.held:
        return f"{said}, a take-over"
    if isinstance(asked, Claim) and isinstance(answer, Succeeded) and not of.changes:
        granted = isinstance(answer.reply, Claimed) and answer.reply.grants
        return f"{said}, a replay" if granted else f"{said}, granted nothing"
    if isinstance(asked, Complete):
        failure = asked.outcome if isinstance(asked.outcome, Failure) else None
        said += ", lost too often" if failure and failure.code == "lost_too_often" else ""
        said += ", though cancelled" if of.changes and of.before and of.before.cancel is not None else ""
        said += ", cancelled before" if isinstance(of.ended, Cancelled) and of.own else ""
    elif isinstance(asked, Release) and of.changes and of.row and of.row.outcome:
        said += ", ends as cancelled"
    elif isinstance(asked, RequestCancel) and of.before and isinstance(answer, Succeeded):
        said += ", had ended" if of.ended else ", on a live lease" if of.live else ", ends it"
    if isinstance(asked, FENCED | RequestCancel | Register) and isinstance(answer, Succeeded):
        said += "" if of.pair.after != of.pair.before else ", again"
    return said
