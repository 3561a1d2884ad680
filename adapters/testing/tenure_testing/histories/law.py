"""The law of one row, told once more and apart from the core: which changes fit a row, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from tenure.limits import Limits
from tenure_testing.histories.changes import Change, Json, Outcome, Shown, words

Objection: TypeAlias = tuple[tuple[str, ...], str]
"""The properties that a change breaks, and what was seen."""


HORIZON = Limits().retry_horizon
"""Milliseconds for which a row that ended is kept, where nobody says otherwise."""


class Row:
    """One process as its changes left it. Not `whole`: a missing change may have touched what is not in its token.
    `known`: it was made here, and every change since is known, so that `keys` are all its keys. `by`: what ended it.
    `absent` and `born` count the versions that were missing when it was last seen whole, and when it was made."""

    __slots__ = (
        "absent", "at", "born", "by", "cancel", "claim", "claims", "expires_at", "held", "keys", "known", "lost",
        "outcome", "registration", "token", "version", "whole",
    )  # fmt: skip

    def __init__(self) -> None:
        self.claim: tuple[str, int] | None = None
        self.token, self.held, self.expires_at = 0, False, 0
        self.cancel: str | None = None
        self.claims = self.lost = self.version = self.at = self.absent = self.born = 0
        self.outcome: Outcome | None = None
        self.registration: Json | None = None
        self.keys: dict[str, Any] = {}
        self.whole, self.known, self.by = True, False, ""


# --- which changes fit --------------------------------------------------------------------------------------------


def replayable(row: Row, change: Change) -> bool:
    """Whether the answer could be that of a replay, so that some other request, which was not recorded, made its
    version. Nothing makes one of a row that ended."""
    if row.outcome is not None:
        return False
    match change.kind:
        case "register":
            return True
        case "request_cancel":
            return row.cancel is not None and change.value[1] is None
        case "claim":
            return row.token == change.token
        case "record_effect" | "emit_event" | "append_event":
            return change.value[0] in row.keys
        case _:
            return False


def possible(row: Row | None, change: Change, newest: int, pruned: bool) -> bool:
    """Whether requests that nobody recorded could have made the row such that the change fits: others may have claimed
    it, renewed, given back, cancelled, pruned and made it anew. None of them brings an old token back, and nothing is
    pruned within the retry horizon."""
    if row is not None and row.outcome is not None and not pruned and change.at - row.at < HORIZON:
        return False
    if change.kind == "claim":
        if row is not None and remade(row, change, pruned):
            return False
        counted = row is None or row.outcome is not None or change.value[1].claims > row.claims
        return change.token > newest and counted
    if row is None or change.claim is None or change.token > row.token:
        return True
    if change.token < row.token or not row.held or row.claim != change.claim or change.kind == "complete":
        return False
    return change.kind != "renew" or change.value[1] >= row.expires_at


def remade(row: Row, change: Change, pruned: bool) -> bool:
    """Whether a grant or a read shows what was registered as something else, and the id cannot have been used again
    meanwhile: only a prune lets go of it."""
    seen: Shown = change.value[1] if change.kind == "claim" else change.value
    return (
        seen.registration != row.registration
        and seen.registration is not None
        and row.registration is not None
        and not pruned
        and change.at - row.at < HORIZON
    )


def _claim(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S2, S3, S16, S19, S20."""
    ttl, seen, *astray = change.value
    if row is None:
        return ("S3",), "was granted, and nobody registered it"
    if row.outcome is not None:
        return ("S3", "S7"), f"was granted after it ended by {words(row.outcome)}"
    if row.token == change.token:
        return ("S10",), "is a replay at a version of its own"
    if row.whole and row.held and change.at < row.expires_at:
        return (
            ("S3",),
            f"was granted at {change.at} ms, and the lease of token {row.token} lived until {row.expires_at} ms",
        )
    if change.token <= newest:
        return ("S2",), f"got token {change.token} after token {newest} was given"
    if astray and astray[0]:
        return ("S19",), str(astray[0])
    if seen.registration != row.registration and row.registration is not None:
        return ("S19",), f"shows {registered(row.registration, seen.registration)}"
    if not row.whole:
        return None
    lost = row.lost + 1 if row.held else row.lost
    if (seen.claims, seen.lost) != (row.claims + 1, lost):
        return (
            "S20",
        ), f"counts {seen.claims} claims and {seen.lost} lost, expected {row.claims + 1} and {lost}"
    if seen.cancel != row.cancel:
        return ("S16",), f"shows the cancel flag {seen.cancel!r}, which is {row.cancel!r}"
    if not seen.held or seen.outcome is not None or seen.expires_at != change.at + ttl:
        return ("S19",), f"shows a row that it did not make: {seen}"
    return None


def _fence(row: Row | None, change: Change, number: str = "") -> Objection | None:
    """S4, S7: what every write under a lease needs; `number` is the property of this one."""
    more = (number,) if number else ()
    if row is None:
        return (*more, "S4"), "was accepted, and there is no such row"
    if row.outcome is not None:
        return ("S6", "S7") if change.kind == "complete" else (*more, "S7"), (
            f"was accepted after it ended by {words(row.outcome)}"
        )
    if not row.held or row.token != change.token or row.claim != change.claim:
        held = f"token {row.token} of {row.claim} holds it" if row.held else "nobody holds it"
        return (*more, "S4"), f"was accepted under token {change.token} of {change.claim}, and {held}"
    return None


def _unexpired(row: Row | None, change: Change) -> Objection | None:
    """S5."""
    objection = _fence(row, change)
    if objection is None and row is not None and row.whole and change.at >= row.expires_at:
        return ("S5",), f"was accepted at {change.at} ms, and its lease had expired at {row.expires_at} ms"
    return objection


def _renew(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S5, S9, S16."""
    objection = _fence(row, change, "S9") or _unexpired(row, change)
    if objection or row is None or not row.whole:
        return objection
    ttl, expires_at, cancel = change.value
    if expires_at != max(row.expires_at, change.at + ttl):
        return (
            "S9",
        ), f"set the expiry from {row.expires_at} ms to {expires_at} ms, at {change.at} ms for {ttl} ms"
    if cancel != row.cancel:
        return ("S16",), f"showed the cancel flag {cancel!r}, which is {row.cancel!r}"
    return None


def _effect(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S1, S4, S5, S7, S10: an effect that is new is answered with the result that was sent."""
    if row is not None and change.value[0] in row.keys:
        return ("S10",), "changed a row in which its key was recorded"
    objection = _unexpired(row, change)
    if objection or row is None or not row.known:
        return objection
    _, _, result, *sent = change.value
    if sent and sent[0] != result:
        return ("S1",), f"was new, was sent with {sent[0]}, and answered {result}"
    return None


def _emit(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S4, S7, S10: a handler's event that is new."""
    if row is not None and change.value[0] in row.keys:
        return ("S10",), "changed a row in which its key was recorded"
    return _fence(row, change)


def _complete(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S4, S6, S7, S11."""
    asked, answered = change.value
    objection = _fence(row, change)
    if objection is None and asked != answered:
        return ("S11",), f"was asked for {words(asked)} and answered {words(answered)}"
    return objection


def _release(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S8, S16."""
    objection = _fence(row, change, "S8")
    if objection is None and row is not None and row.whole and (row.cancel is None) != (change.value is None):
        return ("S16",), f"ended with {words(change.value)}, and the cancel flag was {row.cancel!r}"
    return objection


def _register(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S10; an id may be used again once its row was pruned."""
    if row is not None and row.outcome is None:
        return ("S10",), "was made again"
    return None


def _append_event(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S7, S10."""
    if row is None:
        return ("S4",), "was accepted, and there is no such row"
    if row.outcome is not None:
        return ("S7",), f"was accepted after it ended by {words(row.outcome)}"
    return (("S10",), "changed a row in which its key was recorded") if change.value[0] in row.keys else None


def _request_cancel(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S16, all four clauses."""
    _, outcome = change.value
    if row is None:
        return ("S16",), "was accepted, and there is no such row"
    if row.outcome is not None:
        return ("S7", "S16"), f"changed it after it ended by {words(row.outcome)}"
    if not row.whole:
        return None
    live = row.held and change.at < row.expires_at
    if live and row.cancel is not None:
        return ("S16",), "changed a row that had its flag"
    if live == (outcome is not None):
        return ("S16",), f"ended it by {words(outcome)}, and its lease {'lived' if live else 'did not live'}"
    return None


def _complete_external(row: Row | None, change: Change, newest: int) -> Objection | None:
    """S6, S11."""
    asked, answered = change.value
    if row is None:
        return ("S4",), "was accepted, and there is no such row"
    if row.outcome is not None:
        return ("S6", "S7"), f"was accepted after it ended by {words(row.outcome)}"
    return (
        (("S11",), f"was asked for {words(asked)} and answered {words(answered)}")
        if asked != answered
        else None
    )


RULES: dict[str, Callable[[Row | None, Change, int], Objection | None]] = {
    "claim": _claim,
    "renew": _renew,
    "record_effect": _effect,
    "emit_event": _emit,
    "complete": _complete,
    "release": _release,
    "register": _register,
    "append_event": _append_event,
    "request_cancel": _request_cancel,
    "complete_external": _complete_external,
}

JUDGED: dict[str, tuple[str, ...]] = {
    "claim": ("S1", "S2", "S3", "S7", "S16", "S19", "S20"),
    "renew": ("S1", "S2", "S4", "S5", "S7", "S9", "S16"),
    "record_effect": ("S1", "S2", "S4", "S5", "S7", "S10"),
    "emit_event": ("S1", "S2", "S4", "S7", "S10"),
    "complete": ("S1", "S2", "S4", "S6", "S7", "S11"),
    "release": ("S1", "S2", "S4", "S7", "S8", "S16"),
    "register": ("S1", "S2", "S10"),
    "append_event": ("S1", "S2", "S7", "S10"),
    "request_cancel": ("S1", "S2", "S7", "S16"),
    "complete_external": ("S1", "S2", "S6", "S7", "S11"),
}
"""Which properties an accepted change is judged by."""

# --- what a change makes of the row -------------------------------------------------------------------------------


def _by_claim(row: Row, change: Change) -> None:
    take_as_shown(row, change)


def _by_renew(row: Row, change: Change) -> None:
    row.expires_at = change.value[1]


def _by_effect(row: Row, change: Change) -> None:
    row.keys[change.value[0]] = change.value[1:3]
    row.lost = 0


def _by_event(row: Row, change: Change) -> None:
    row.keys[change.value[0]] = change.value[1:]


def _by_ended(row: Row, change: Change) -> None:
    row.outcome, row.held, row.by = change.value[1], False, change.kind


def _by_release(row: Row, change: Change) -> None:
    row.held, row.outcome = False, change.value
    if row.outcome is None:
        row.lost = 0


def _by_register(row: Row, change: Change) -> None:
    row.token, row.known, row.registration = 0, True, change.value


def _by_cancel(row: Row, change: Change) -> None:
    reason, outcome = change.value
    row.cancel = reason if row.cancel is None else row.cancel
    if outcome is not None:
        row.outcome, row.held = outcome, False


EFFECTS: dict[str, Callable[[Row, Change], None]] = {
    "claim": _by_claim,
    "renew": _by_renew,
    "record_effect": _by_effect,
    "emit_event": _by_event,
    "complete": _by_ended,
    "release": _by_release,
    "register": _by_register,
    "append_event": _by_event,
    "request_cancel": _by_cancel,
    "complete_external": _by_ended,
}


def take_as_shown(row: Row, change: Change) -> None:
    """The row as a reply shows it, as far as it does."""
    row.at = max(row.at, change.at)
    if change.kind in ("claim", "read"):
        seen: Shown = change.value[1] if change.kind == "claim" else change.value
        row.token, row.claim, row.held, row.expires_at = seen.token, change.claim, seen.held, seen.expires_at
        row.cancel, row.claims, row.lost, row.outcome = seen.cancel, seen.claims, seen.lost, seen.outcome
        row.registration, row.whole = seen.registration, True
        return
    row.token = change.token
    if change.kind == "register":
        row.registration = change.value
        return
    if change.claim is not None:
        row.claim, row.held = change.claim, True
    EFFECTS[change.kind](row, change)


def differences(known: Shown, seen: Shown) -> str:
    """What a row shows that it should not, in words."""
    names = Shown._fields
    return ", ".join(
        registered(want, got) if name == "registration" else f"{name} {got!r} for {want!r}"
        for name, want, got in zip(names, known, seen, strict=True)
        if want != got
    )


def registered(known: Any, seen: Any, of: str = "registration") -> str:
    """What of a registration is shown otherwise than it was made, in words."""
    if not isinstance(known, dict) or not isinstance(seen, dict):
        return "" if known == seen else f"{of} {seen!r} for {known!r}"
    made, shown = cast("Json", known), cast("Json", seen)
    said = [registered(made.get(name), shown.get(name), f"{of}.{name}") for name in sorted({*made, *shown})]
    return ", ".join(filter(None, said))
