"""What a session's lines say about rows: accepted changes, replays and reads, each at a version, as flat tuples.

A trace of a million lines is a million of them, so they are tuples and not objects.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]
Outcome: TypeAlias = tuple[tuple[str, str], ...]


class Shown(NamedTuple):
    """A row as a reply showed it."""

    token: int
    held: bool
    expires_at: int
    cancel: str | None
    claims: int
    lost: int
    outcome: Outcome | None


class Change(NamedTuple):
    """One accepted request on one process at the version that was answered: the change itself, a replay, or a read.

    `place` is (session, line). `claim` is (owner, n) of the fence or of the claim. `until` is an expiry, `value` what
    the kind needs besides.
    """

    version: int
    kind: str
    process: str
    token: int
    claim: tuple[str, int] | None
    at: int
    value: Any
    place: tuple[int, int]


def shown(record: Json) -> Shown:
    """The row of a grant, a read or a list."""
    return Shown(
        record["token"],
        record["held"],
        record["expires_at"],
        record["cancel"],
        record["claims"],
        record["lost"],
        outcome_of(record["outcome"]),
    )


def outcome_of(outcome: Json | None) -> Outcome | None:
    """An outcome as something that can be compared."""
    return None if outcome is None else tuple(sorted(outcome.items()))


def words(outcome: Outcome | None) -> str:
    """An outcome in words."""
    return "nothing" if outcome is None else " ".join(f"{name}={value!r}" for name, value in outcome)


def claim_of(claim: Json | None) -> tuple[str, int] | None:
    """A claim id."""
    return None if claim is None else (claim["owner"], claim["n"])


def fenced(kind: str, ask: Json, reply: Json, place: tuple[int, int], value: Any) -> Change:
    """An accepted request under a fence."""
    fence, stamp = ask["fence"], reply["stamp"]
    claim = fence["claim"]
    return Change(
        stamp["version"],
        kind,
        fence["process_id"],
        fence["token"],
        (claim["owner"], claim["n"]),
        stamp["at"],
        value,
        place,
    )


def client(kind: str, process: str, reply: Json, place: tuple[int, int], value: Any) -> Change:
    """An accepted request of a client."""
    stamp = reply["stamp"]
    return Change(stamp["version"], kind, process, stamp["token"], None, stamp["at"], value, place)


def granted(grant: Json, place: tuple[int, int], ttl: int) -> Change:
    """One lease of an accepted claim."""
    fence, record = grant["fence"], grant["record"]
    return Change(
        record["version"],
        "claim",
        fence["process_id"],
        fence["token"],
        claim_of(fence["claim"]),
        record["changed_at"],
        (ttl, shown(record)),
        place,
    )


def read(record: Json, place: tuple[int, int]) -> Change:
    """A row that was read."""
    return Change(
        record["version"],
        "read",
        record["registration"]["id"],
        record["token"],
        claim_of(record["claim"]),
        record["changed_at"],
        shown(record),
        place,
    )
