"""Stores that can be put under test: how each begins empty, begins with a given state, and is opened again.

Loading goes through a store's own tables, inside a transaction of its own; the store itself is the shipped one.
"""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field

from tenure.claims import lease_of
from tenure.errors import InvalidValue
from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, Tables
from tenure.process import ClaimId, Record
from tenure.registry import Decision
from tenure.replies import Claimed, Succeeded
from tenure.stores import ProcessRegistry
from tenure.values import changed
from tenure_driver.stores import GROUP
from tenure_memory.store import MemoryRegistry
from tenure_memory.tables import MemoryTables
from tenure_sqlite.store import open_store as open_sqlite
from tenure_sqlite.tables import SqliteTables
from tenure_testing.conforming.vectors import Ability

Clock = Callable[[], StoreTime]
ALWAYS = (Ability.DENSE, Ability.SURROGATES, Ability.FENCE_LOG)


class Unable(Exception):
    """The host cannot do what it was asked: one sentence."""


class Host(Protocol):
    """Makes stores of one kind, one at a time; `clock` is what they read."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For people."""

    @property
    @abstractmethod
    def can(self) -> tuple[Ability, ...]:
        """What it is able to do."""

    @abstractmethod
    def new(self, limits: Limits, clock: Clock) -> ProcessRegistry:
        """An empty store."""

    @abstractmethod
    def load(self, state: Snapshot, clock: Clock) -> ProcessRegistry:
        """A store that holds this state. Raises Unable."""

    @abstractmethod
    def reopen(self, clock: Clock) -> ProcessRegistry:
        """The store made last, which was closed. Raises Unable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the host itself keeps."""


@define
class MemoryHost:
    """`memory:`; what it held ends with it."""

    name: str = "memory:"
    can: tuple[Ability, ...] = (*ALWAYS, Ability.LOAD)

    def new(self, limits: Limits, clock: Clock) -> ProcessRegistry:
        return MemoryRegistry(clock, limits)

    def load(self, state: Snapshot, clock: Clock) -> ProcessRegistry:
        tables = MemoryTables(state.limits)
        fill(tables, state)
        tables.commit()
        return MemoryRegistry(clock, state.limits, tables)

    def reopen(self, clock: Clock) -> ProcessRegistry:
        raise Unable("a store in memory cannot be opened again")

    def close(self) -> None:
        """Nothing is kept."""


@define
class SqliteHost:
    """`sqlite:`, in one file of the folder, emptied for each new store: a schema is made once.

    Our own connection stays open in between, so that no store's closing is the last, which would rewrite the file.
    """

    folder: Path
    name: str = "sqlite:"
    can: tuple[Ability, ...] = (*ALWAYS, Ability.LOAD, Ability.REOPEN)
    _limits: Limits = field(factory=Limits)
    _link: sqlite3.Connection | None = None

    def new(self, limits: Limits, clock: Clock) -> ProcessRegistry:
        return self.load(Snapshot(limits=limits), clock)

    def load(self, state: Snapshot, clock: Clock) -> ProcessRegistry:
        self._limits = state.limits
        if self._link is None:
            self.reopen(clock).close()  # which makes the schema
            self._link = sqlite3.connect(self._file(), isolation_level=None)
            self._link.execute("PRAGMA synchronous = OFF")
        self._link.execute("BEGIN IMMEDIATE")
        for table in ("processes", "inputs", "events", "effects", "claims", "fence_log"):
            self._link.execute(f"DELETE FROM {table}")
        self._link.execute("UPDATE meta SET number = 0, work = 0, latest = 0, fenced = 0")
        tables = SqliteTables(self._link, state.limits)
        tables.load((), reading=False)
        fill(tables, state)
        tables.flush()
        self._link.execute("COMMIT")
        return self.reopen(clock)

    def reopen(self, clock: Clock) -> ProcessRegistry:
        return open_sqlite(f"sqlite:///{self._file()}", clock=clock, limits=self._limits, gap=0)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _file(self) -> Path:
        return self.folder / "store.db"


@define
class UrlHost:
    """A store that is installed for a URL's scheme; `{n}` in the URL is a number, another one for each new store.

    Its `open_store` must take `clock=` and `limits=`, as ours do. It need not be loadable.
    """

    url: str
    can: tuple[Ability, ...] = (*ALWAYS, Ability.REOPEN)
    _opener: Callable[..., ProcessRegistry] = field(init=False)
    _made: int = 0
    _limits: Limits = field(factory=Limits)

    def __attrs_post_init__(self) -> None:
        scheme = self.url.partition(":")[0]
        offered = {point.name: point for point in entry_points(group=GROUP)}
        if scheme not in offered:
            raise InvalidValue(
                f"no store is installed for {self.url!r}; installed: {', '.join(sorted(offered))}"
            )
        opener: Any = offered[scheme].load()
        self._opener = opener

    @property
    def name(self) -> str:
        """The URL as it was given."""
        return self.url

    def new(self, limits: Limits, clock: Clock) -> ProcessRegistry:
        self._made += 1
        self._limits = limits
        return self.reopen(clock)

    def load(self, state: Snapshot, clock: Clock) -> ProcessRegistry:
        raise Unable("this store has no loader")

    def reopen(self, clock: Clock) -> ProcessRegistry:
        return self._opener(self.url.replace("{n}", str(self._made)), clock=clock, limits=self._limits)

    def close(self) -> None:
        """Nothing is kept."""


def host_of(url: str, folder: Path) -> Host:
    """The host for `memory:`, `sqlite:` (files in `folder`) or the URL of another store. Raises InvalidValue."""
    match url.rstrip(":"):
        case "memory":
            return MemoryHost()
        case "sqlite":
            return SqliteHost(folder)
        case _:
            return UrlHost(url)


# --- loading ------------------------------------------------------------------------------------------------------


class Numbered(Tables, Protocol):
    """Tables of a store, with the store-wide sequence to be set."""

    number: int


def fill(tables: Numbered, state: Snapshot) -> None:
    """Write the state into empty tables, inside the transaction that they stand for."""
    noted = {claim for claim, _ in state.claims}
    for claim, at in state.claims:
        for record in sorted(state.records, key=lambda record: record.token):
            if record.claim == claim:
                _put(tables, state, record)
        tables.note_claim(claim, at)
    for record in state.records:
        if record.claim not in noted:
            _put(tables, state, record)
    tables.number = state.number


def _put(tables: Numbered, state: Snapshot, record: Record) -> None:
    """First the row as it was registered, with its log and journal; then the row, with the claim that it came by."""
    noted = any(claim == record.claim for claim, _ in state.claims)
    bare = Record(record.registration, record.seq, record.version, record.changed_at, record.ready_at)
    if not noted:  # nobody shall be said to have been granted it just now
        bare = changed(bare, token=record.token, claim=record.claim)
    answer = Succeeded(Claimed((lease_of(record, record.claim or ClaimId("", 1)),), state.epoch))
    added = [
        *(Decision(answer, bare, event=event) for event in state.events if event.process_id == record.id),
        *(
            Decision(answer, bare, effect=effect)
            for effect in state.effects
            if effect.process_id == record.id
        ),
        Decision(answer, record),
    ]
    before = None
    for decision in (Decision(answer, bare), *added):
        tables.number = record.version - 1  # all of it is one change, as far as versions go
        tables.write(before, decision)
        before = bare
