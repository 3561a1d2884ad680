"""A store of contents that dies at each of its points, and what the next program finds:
`python -m tests.stores.contents_deaths FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from tenure import contents
from tenure.errors import ContentNotFound
from tenure_sqlite import SqliteContents
from tenure_sqlite.contents import FORGOTTEN, PER_WRITE
from tenure_sqlite.link import Connect
from tenure_testing.content_contract import id_of
from tenure_testing.registry_world import ManualClock
from tests.stores.contents_tables import rows_of
from tests.stores.deaths import die_everywhere, note, noted

CHUNK = 64
"""Bytes of a chunk here: where a store dies does not depend on how large they are, how long it takes does."""
LARGE = b"".join(n.to_bytes(8, "big") * (CHUNK // 8) for n in range(PER_WRITE + 1))
BODIES = (b"small", LARGE)


def lives(path: Path, connect: Connect) -> None:
    """Everything that a store does, with the id of what was put noted."""
    clock = ManualClock()
    store = SqliteContents(path, "attachment", clock, gap=0, open_connection=connect)
    for body in (*BODIES, LARGE):
        upload = store.begin()
        upload.write(body)
        note(path, upload.commit("", "").id)
    for give_up in ("abort", "abandon"):
        upload = store.begin()
        upload.write(LARGE[CHUNK:] + LARGE)
        getattr(upload, give_up)()
    upload = store.begin()
    upload.write(LARGE[CHUNK:] + LARGE)
    clock.now += FORGOTTEN + 1
    store.begin()
    assert b"".join(store.chunks(id_of(LARGE))) == LARGE
    store.close()


def finds(path: Path, connect: Connect) -> None:
    """In the next program: what was acknowledged is there and whole, and nothing else is, or all of it."""
    clock = ManualClock()
    clock.now += 3 * FORGOTTEN
    store = SqliteContents(path, "attachment", clock, gap=0, open_connection=connect)
    acknowledged = noted(path)
    there: list[bytes] = []
    for body in BODIES:
        try:
            assert b"".join(store.chunks(id_of(body))) == body
            there.append(body)
        except ContentNotFound:
            assert id_of(body) not in acknowledged
    store.begin()
    assert sorted(row["id"] for row in rows_of(path, "contents")) == sorted(map(id_of, there))
    assert len(rows_of(path, "content_chunks")) == sum(-(-len(body) // CHUNK) for body in there)
    store.close()


if __name__ == "__main__":
    contents.CHUNK = CHUNK
    sys.exit(die_everywhere(Path(sys.argv[1]), lives, finds))
