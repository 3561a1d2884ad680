"""What a session's lines say about rows: accepted changes, replays and reads, each at a version, as flat tuples.

A trace of a million lines is a million of them, so they are tuples and not objects.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]
Outcome: TypeAlias = tuple[tuple[str, str], ...]


class Shown(NamedTuple):
    """A row as a reply showed it; `registration` is None where that is judged elsewhere."""

    token: int
    held: bool
    expires_at: int
    cancel: str | None
    claims: int
    lost: int
    outcome: Outcome | None
    registration: Json | None = None


class Change(NamedTuple):
    """One accepted request on one process at the version that was answered: the change itself, a replay, or a read.

    `place` is (session, line). `claim` is (owner, n) of the fence or of the claim. `value` is what the kind needs
    besides. `stamped` is the token that was answered, None where that is judged elsewhere.
    """

    version: int
    kind: str
    process: str
    token: int
    claim: tuple[str, int] | None
    at: int
    value: Any
    place: tuple[int, int]
    stamped: int | None = None


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
        record["registration"],
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
        stamp["token"],
    )


def client(kind: str, process: str, reply: Json, place: tuple[int, int], value: Any) -> Change:
    """An accepted request of a client."""
    stamp = reply["stamp"]
    token = stamp["token"]
    return Change(stamp["version"], kind, process, token, None, stamp["at"], value, place, token)


def astray(ask: Json, nth: int, grant: Json) -> str:
    """In words, why the nth lease of an answer is none that its claim can get as a new one; empty for one that is."""
    fence, record = grant["fence"], grant["record"]
    registration = record["registration"]
    if not ask["claim"] == fence["claim"] == record["claim"]:
        return "answers another claim than was sent"
    if fence["process_id"] != registration["id"] or record["token"] != fence["token"]:
        return "has a fence that is not that of the row it shows"
    if registration["input"]["is"] != "work":
        return "is of an external process, which nobody claims"
    if ask["is"] == "claim":
        return (
            ""
            if fence["process_id"] == ask["process_id"]
            else f"was not asked for: {ask['process_id']!r} was"
        )
    wanted, profile = ask["filter"], registration["provenance"]["host_profile_id"]
    if nth >= ask["limit"]:
        return f"is lease {nth + 1} of a claim for {ask['limit']}"
    if registration["input"]["kind"] not in wanted["kinds"]:
        return f"is of kind {registration['input']['kind']!r}, and the claim was for {wanted['kinds']}"
    if fence["process_id"] in wanted["exclude"]:
        return "was granted to a claim that excluded it"
    if profile and profile != wanted["profile"]:
        return f"is for profile {profile!r}, and the claim was of {wanted['profile']!r}"
    return ""


def granted(ask: Json, nth: int, grant: Json, place: tuple[int, int]) -> Change:
    """One lease of an accepted claim."""
    fence, record = grant["fence"], grant["record"]
    return Change(
        record["version"],
        "claim",
        fence["process_id"],
        fence["token"],
        claim_of(fence["claim"]),
        record["changed_at"],
        (ask["ttl"], shown(record), astray(ask, nth, grant)),
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
