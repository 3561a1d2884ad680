"""Rows that this process wrote or read last, so that completing a process does not read anew what claiming it wrote,
and looking whether its log grew does not read the row."""

from __future__ import annotations

from tenure.process import Record, Work

MOST = 4096
"""Rows kept; the oldest go first."""
LARGEST = 4096
"""Characters of a body; a longer one is read again instead."""


class KnownRows:
    """Held rows by id, as last committed.

    A version is drawn once from the store-wide sequence, and is of one row in one state (S2): so a row that still has
    the version that we know has the content that we know, whatever other processes did meanwhile.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Record] = {}

    def at(self, name: str, version: int) -> Record | None:
        """The row in that version, if it is known."""
        record = self._rows.get(name)
        return record if record is not None and record.version == version else None

    def remember(self, record: Record) -> None:
        """Keep a committed row while somebody holds it."""
        known, name = self._rows, record.id
        known.pop(name, None)
        if record.held and _body_size(record) <= LARGEST:
            if len(known) >= MOST:
                del known[next(iter(known))]
            known[name] = record


def _body_size(record: Record) -> int:
    source = record.registration.input
    return len(source.payload if isinstance(source, Work) else source.metadata)
