"""Whatever is stored comes back equal: any text, any JSON, any number within the limits, read by another connection.

`tests/core/test_canonical.py` has the laws of canonical JSON itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.canonical import MAX_DEPTH, MAX_DIGITS, Json, canonical, parsed
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS, Limits
from tenure.process import (
    Cancelled,
    ClaimId,
    Effect,
    EndedBy,
    Event,
    External,
    Failure,
    Outcome,
    Provenance,
    Record,
    Registration,
    Success,
    Work,
)
from tenure.replies import Claimed, EffectsRead, EventsRead, Got, Listed, Refused, Registered
from tenure.requests import (
    LARGEST,
    ClaimFilter,
    ClaimNext,
    Complete,
    EmitEvent,
    Get,
    List,
    ReadEffects,
    ReadEvents,
    RecordEffect,
    Register,
    Request,
)
from tenure.stores import ProcessRegistry
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store as open_sqlite
from tenure_sqlite import rows
from tenure_sqlite.schema import create
from tenure_testing.registry_world import ManualClock, reply_of

RARE = (
    "\x01",
    "\u2028",
    "\ufeff",
    "\U0001f600",
    "é",
    "e\u0301",
    "ß",
    "İ",
    "'",
    '"',
    "\\",
    "%",
    "_",
    "--",
    "\r\n",
)
"""What something on the way to a disk might take for something else."""
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(RARE)
names = texts.filter(lambda text: bool(text) and not text.isspace())
numbers = st.integers(0, LARGEST) | st.sampled_from((0, 1, LARGEST))
moments = numbers.map(StoreTime)
scalars = (
    st.none() | st.booleans() | texts | st.floats(allow_nan=False, allow_infinity=False) | st.integers()
) | st.sampled_from((2**63, -(2**63) - 1, 10**400, -0.0, 5e-324, 1.7976931348623157e308))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
bodies = values.map(canonical)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Success, bodies, bodies),
    st.builds(Failure, texts, texts, texts, bodies, bodies),
    st.builds(Cancelled, texts, bodies),
)
registrations = st.builds(
    Registration,
    names,
    st.builds(Work, names, bodies) | st.builds(External, bodies),
    st.lists(names.filter(lambda name: not name.startswith("process.")), max_size=3).map(tuple),
    st.builds(Provenance, texts, texts),
)
claim_ids = st.builds(ClaimId, names, st.integers(1, LARGEST))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any row that the tables take, whether or not the law would ever make it."""
    outcome = draw(st.none() | outcomes)
    return Record(
        draw(registrations),
        seq=draw(numbers),
        version=draw(numbers),
        changed_at=draw(moments),
        ready_at=draw(moments),
        token=draw(numbers),
        claim=draw(st.none() | claim_ids),
        held=outcome is None and draw(st.booleans()),
        expires_at=draw(moments),
        cancel=draw(st.none() | texts),
        claims=draw(numbers),
        lost=draw(st.integers(0, 40)),
        events=draw(numbers),
        outcome=outcome,
        ended_by=draw(st.sampled_from(EndedBy)) if outcome else None,
        authority=draw(texts),
    )


@pytest.fixture(scope="module")
def link() -> Iterator[sqlite3.Connection]:
    """The tables alone."""
    link = sqlite3.connect(":memory:", isolation_level=None)
    create(link)
    yield link
    link.close()


@given(record=records())
def test_a_row_comes_back(link: sqlite3.Connection, record: Record) -> None:
    link.execute("DELETE FROM processes")
    link.execute("DELETE FROM inputs")
    link.execute(rows.INSERT, rows.inserted(record, DEFAULT_LIMITS))
    link.execute(rows.INSERT_INPUT, rows.inserted_input(record))
    query = f"{rows.SELECT} FROM processes p JOIN inputs i ON i.seq = p.seq"
    assert rows.record_from(link.execute(query).fetchone()) == record


@given(before=records(), after=records())
def test_a_row_that_changed_comes_back(link: sqlite3.Connection, before: Record, after: Record) -> None:
    """Each of the updates writes all that it is for."""
    before = evolve(before, outcome=None, ended_by=None)
    after = evolve(after, registration=before.registration, seq=before.seq)
    if after.outcome is None:
        after = evolve(after, authority=before.authority)
    link.execute("DELETE FROM processes")
    link.execute("DELETE FROM inputs")
    link.execute(rows.INSERT, rows.inserted(before, DEFAULT_LIMITS))
    link.execute(rows.INSERT_INPUT, rows.inserted_input(before))
    if after.outcome is None:
        link.execute(rows.MOVE, rows.moved(after, DEFAULT_LIMITS))
    else:
        link.execute(rows.END, rows.ended(after))
    query = f"{rows.SELECT} FROM processes p JOIN inputs i ON i.seq = p.seq"
    assert rows.record_from(link.execute(query).fetchone()) == after


@given(event=st.builds(Event, names, numbers, names, bodies, names, numbers, numbers))
def test_an_event_comes_back(link: sqlite3.Connection, event: Event) -> None:
    link.execute("DELETE FROM events")
    link.execute(rows.INSERT_EVENT, rows.event_row(1, event))
    assert rows.event_from(event.process_id, link.execute(rows.SELECT_EVENT).fetchone()) == event


@given(effect=st.builds(Effect, names, names, texts, bodies, numbers, numbers))
def test_an_effect_comes_back(link: sqlite3.Connection, effect: Effect) -> None:
    link.execute("DELETE FROM effects")
    link.execute(rows.INSERT_EFFECT, rows.effect_row(1, effect))
    assert rows.effect_from(effect.process_id, link.execute(rows.SELECT_EFFECT).fetchone()) == effect


# --- through the whole store --------------------------------------------------------------------------------------


class Pair:
    """A store that writes, and another opening of it that reads: what the writer remembers helps nobody."""

    def __init__(self, writer: ProcessRegistry, reader: ProcessRegistry) -> None:
        self.writer, self.reader = writer, reader
        self.unique = count(1)

    def write(self, request: Request) -> Any:
        return self.writer.execute([request])[0]

    def read(self, request: Request) -> Any:
        return self.reader.execute([request])[0]


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    clock = ManualClock()
    if request.param == "memory":
        writer: ProcessRegistry = open_memory("memory:", clock=clock)
        stores = [writer, writer]
    else:
        path: Path = tmp_path_factory.mktemp("trips") / "s.db"
        stores = [open_sqlite(f"sqlite:///{path}", clock=clock, gap=0) for _ in range(2)]
    yield Pair(*stores)
    for store in stores:
        store.close()


few = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@given(
    wanted=registrations,
    outcome=outcomes,
    result=bodies,
    payload=bodies,
    key=names,
    kind=names,
    fingerprint=texts,
)
@few
def test_a_life_comes_back(
    pair: Pair,
    wanted: Registration,
    outcome: Outcome,
    result: Json,
    payload: Json,
    key: str,
    kind: str,
    fingerprint: str,
) -> None:
    """What was registered, claimed by its kind and profile, recorded, emitted and completed."""
    unique = f"{wanted.id}.{next(pair.unique)}"
    kind = kind if not kind.startswith("process.") else "t"
    source = wanted.input if isinstance(wanted.input, Work) else Work("k", wanted.input.metadata)
    source = evolve(source, kind=f"{source.kind}.{unique}")
    wanted = Registration(unique, source, (kind,), wanted.provenance)
    seq = reply_of(pair.write(Register(wanted)), Registered).seq
    found = reply_of(pair.read(Get(unique)), Got).record
    assert found.registration == wanted
    assert reply_of(pair.read(List(seq - 1, 1)), Listed).records == (found,)

    mine = ClaimFilter(wanted.provenance.host_profile_id, (source.kind,))
    claim = ClaimNext(ClaimId(f"w{unique}", LARGEST), 1_000, 10, mine)
    (grant,) = reply_of(pair.write(claim), Claimed).grants
    assert grant.record == reply_of(pair.read(Get(unique)), Got).record
    pair.write(RecordEffect(grant.fence, key, fingerprint, result))
    pair.write(EmitEvent(grant.fence, kind, payload, key))
    (effect,) = reply_of(pair.read(ReadEffects(unique)), EffectsRead).effects
    assert (effect.key, effect.fingerprint, effect.result) == (key, fingerprint, result)
    pair.write(Complete(grant.fence, outcome))
    event, last = reply_of(pair.read(ReadEvents(unique)), EventsRead).events
    assert (event.type, event.payload, event.token) == (kind, payload, grant.fence.token)
    assert last.seq == 2
    assert reply_of(pair.read(Get(unique)), Got).record.outcome == outcome


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


EXTREMES = [
    nested(MAX_DEPTH),
    10**MAX_DIGITS - 1,
    -(10**MAX_DIGITS) + 1,
    "é" * 500_000,
    {"": {"": {"": ""}}},
    [1e308, 5e-324, -0.0],
]


@pytest.mark.parametrize("value", EXTREMES, ids=["deep", "large", "negative", "long", "empty keys", "floats"])
def test_the_extremes_come_back(pair: Pair, value: Any) -> None:
    unique = f"extreme.{next(pair.unique)}"
    wanted = Registration(unique, Work("k", canonical(value)))
    reply_of(pair.write(Register(wanted)), Registered)
    found = reply_of(pair.read(Get(unique)), Got).record.registration
    assert found == wanted
    assert isinstance(found.input, Work)
    assert parsed(found.input.payload) == value


def test_what_is_larger_by_one_is_refused(pair: Pair) -> None:
    """The limits are inclusive, in bytes for a body and in characters for a name."""
    limits = Limits()
    for size, fits in ((limits.payload, True), (limits.payload + 1, False)):
        body = Json('"' + "x" * (size - 2) + '"')
        answer = pair.write(Register(Registration(f"large.{next(pair.unique)}", Work("k", body))))
        assert isinstance(answer, Refused) != fits
    for size, fits in ((limits.name, True), (limits.name + 1, False)):
        name = f"{next(pair.unique)}." + "é" * size
        answer = pair.write(Register(Registration(name[:size], Work("k"))))
        assert isinstance(answer, Refused) != fits
