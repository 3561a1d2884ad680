"""`tenure.Session` for code that blocks: plain handlers in their threads, and programs without an event loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from tenure.session import Session
from tenure.sessions import Entry
from tenure_driver.driving import driven


@frozen(eq=False)
class BlockingSession:
    """`tenure.Session` without `await`; its `ask` blocks."""

    _session: Session

    @property
    def id(self) -> str:
        """The session's id."""
        return self._session.id

    @property
    def head(self) -> str:
        """As `Session.head`."""
        return self._session.head

    @property
    def path(self) -> tuple[Entry, ...]:
        """As `Session.path`."""
        return self._session.path

    @property
    def tree(self) -> tuple[Entry, ...]:
        """As `Session.tree`."""
        return self._session.tree

    def __iter__(self) -> Iterator[Entry]:
        """Over the path."""
        return iter(self._session)

    def append(self, body: Any, *, key: str | None = None) -> Entry:
        """As `Session.append`."""
        return driven(self._session.append(body, key=key))

    def fork(self, entry_id: str) -> None:
        """As `Session.fork`."""
        driven(self._session.fork(entry_id))

    def refresh(self) -> None:
        """As `Session.refresh`."""
        driven(self._session.refresh())

    def delete(self) -> None:
        """As `Session.delete`."""
        driven(self._session.delete())
