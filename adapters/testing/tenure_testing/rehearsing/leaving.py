"""What a handler leaves beside its outcome: its events, and the entries of its session. A crash may not change it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TypeAlias

from attrs import field, frozen

from tenure.canonical import Json, canonical
from tenure.errors import TenureError
from tenure.process import Event, own_session
from tenure.replies import EventsRead, Succeeded
from tenure.requests import ReadEvents
from tenure_testing.rehearsing.world import RehearsedWorld

MOST = 100_000
"""Events that are compared."""
SHOWN = 100
"""Characters of a payload in a message."""
OWN = "h:="
"""How the stored key of a handler's event begins that has a key of its own."""

Said: TypeAlias = tuple[str, Json]
"""An event's type and payload."""

BELONGS = (
    "What differs from one attempt to the next (the time, a random number, `ctx.attempt`, a variable of the module) "
    "belongs in an effect, whose recorded result every attempt gets"
)


@frozen
class Left:
    """`keyed`: events with a key of their own, by key. `attempts`: what each attempt appended without one. `session`:
    what the process's own session says, from its first entry to its head."""

    keyed: dict[str, Said] = field(factory=dict[str, Said])
    attempts: tuple[Counter[Said], ...] = (Counter(),)
    session: tuple[Json, ...] = ()


def left_in(world: RehearsedWorld, process_id: str, but: Collection[str] = ()) -> Left:
    """What the handler of a process that has ended left in that world, `but` for events of these types."""
    (row,) = (row for row in world.store.records() if row.id == process_id)
    (answer,) = world.execute(ReadEvents(process_id, limit=MOST))
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, EventsRead)
    events = (event for event in answer.reply.events if event.type not in but)
    emitted = [event for event in events if event.key.startswith("h:")]
    keyed = {event.key.removeprefix(OWN): _said(event) for event in emitted if event.key.startswith(OWN)}
    keyless = [event for event in emitted if not event.key.startswith(OWN)]
    tokens = sorted({row.token, *(event.token for event in keyless)})
    attempts = tuple(Counter(_said(event) for event in keyless if event.token == token) for token in tokens)
    return Left(keyed, attempts, _session(world, process_id))


def _said(event: Event) -> Said:
    return (event.type, event.payload)


def _session(world: RehearsedWorld, process_id: str) -> tuple[Json, ...]:
    """Bodies on the path of the process's own session. None where the store brings no sessions, or refuses this one:
    the handler was told so as well, and it shows in the outcome."""
    try:
        return tuple(canonical(entry.value) for entry in world.client.session(own_session(process_id)))
    except TenureError:
        return ()


def difference(whole: Left, struck: Left) -> str:
    """What the crash changed, as the rest of a sentence that begins with the crash; empty where nothing."""
    return (
        _differing_keys(whole.keyed, struck.keyed)
        or _differing_attempts(whole.attempts[-1], struck.attempts)
        or _differing_session(whole.session, struck.session)
    )


def _differing_keys(whole: dict[str, Said], struck: dict[str, Said]) -> str:
    for key in sorted(struck.keys() - whole.keys()):
        return (
            f"the log has event {struck[key][0]!r} under key {key!r}, and without a crash it has none under that key. "
            "A key that is new on every attempt appends its event again: make it of the process's id, of its payload "
            f"and of what effects returned. {_may_differ(struck[key])}"
        )
    for key in sorted(whole.keys() - struck.keys()):
        return (
            f"event {whole[key][0]!r} under key {key!r} is not in the log, and without a crash it is: whether it is "
            f"appended may depend on the payload and on what effects return, and on nothing else. {BELONGS}. "
            f"{_may_differ(whole[key])}"
        )
    for key in sorted(key for key in whole if whole[key] != struck[key]):
        was, is_now = _shown(whole[key]), _shown(struck[key])
        said = f"the event under key {key!r} is {is_now}, and without a crash {was}. {BELONGS}"
        return f"{said}. {_may_differ(whole[key])}"
    return ""


def _differing_attempts(whole: Counter[Said], attempts: tuple[Counter[Said], ...]) -> str:
    """No attempt appended others, and together they appended all: one that was cut short is not the only one."""
    together = Counter[Said]()
    for attempt in attempts:
        together |= attempt
    for said in sorted(together - whole):
        return (
            f"an attempt appended event {_shown(said)} without a key, and without a crash it is not appended, or not "
            f"as often. Such an event comes once on every attempt, and each attempt must say the same. {BELONGS}. "
            f"{_may_differ(said)}"
        )
    for said in sorted(whole - together):
        return (
            f"no attempt appended event {_shown(said)} without a key, and without a crash it is appended: whether it "
            f"is may depend on the payload and on what effects return, and on nothing else. {BELONGS}. "
            f"{_may_differ(said)}"
        )
    return ""


def _differing_session(whole: tuple[Json, ...], struck: tuple[Json, ...]) -> str:
    if whole == struck:
        return ""
    return (
        f"the session of the process says {_listed(struck)}, and without a crash {_listed(whole)}. An entry whose key "
        "is new on every attempt is appended again: leave the key out, or make it of the process's id, of its payload "
        f"and of what effects returned. {BELONGS}"
    )


def _may_differ(said: Said) -> str:
    """What to do about an event that is meant to differ."""
    return (
        "If it only tells of the attempt itself, and nobody counts on it, "
        f"say attempts_may_differ_in=({said[0]!r},), and its type is not compared"
    )


def _listed(bodies: tuple[Json, ...]) -> str:
    return _cut(", ".join(bodies)) or "nothing"


def _shown(said: Said) -> str:
    return f"{said[0]!r} with {_cut(said[1])}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
