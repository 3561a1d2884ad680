"""What a second operating system process does in the SQLite tests: `python -m tests.stores.sqlite_child ACT URL ...`.

It talks by lines: on stdout what it did, on stdin when to go on. Everything is imported at the top, since `unwritable`
gives up the rights to read the interpreter's own files.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tenure.canonical import canonical
from tenure.errors import TenureError
from tenure.process import ClaimId, Registration, Success, Work
from tenure.replies import Claimed, Succeeded
from tenure.requests import ClaimFilter, ClaimNext, Complete, Get, Register
from tenure.stores import Cursor
from tenure_sqlite import SqliteRegistry, open_store
from tests.stores.talking import act, say, tries

WANTED = ClaimFilter("", ("k",))


def opened(url: str, name: str) -> None:
    """Ready; at a word from the parent, open the (perhaps new) store and register one process."""
    say("ready")
    sys.stdin.readline()
    store = open_store(url, busy_timeout=30)
    (answer,) = store.execute([Register(Registration(name, Work("k")))])
    say(type(answer).__name__)
    store.close()


def claims(url: str, owner: str) -> None:
    """Claim a few and complete them, again and again, until nothing is left; say what was granted."""
    store = open_store(url, busy_timeout=30)
    say("ready")
    sys.stdin.readline()
    for n in range(1, 1_000):
        (answer,) = store.execute([ClaimNext(ClaimId(owner, n), 600_000, 7, WANTED)])
        assert isinstance(answer, Succeeded), answer
        assert isinstance(answer.reply, Claimed)
        if not answer.reply.grants:
            break
        fences = [grant.fence for grant in answer.reply.grants]
        done = store.execute([Complete(fence, Success(canonical(owner))) for fence in fences])
        assert all(isinstance(one, Succeeded) for one in done), done
        for fence in fences:
            say("granted", fence.process_id, fence.token)
    store.close()


def acknowledges(url: str) -> None:
    """Register, claim and complete for ever; say what was answered right after it was."""
    store = open_store(url)
    for n in range(1_000_000):
        store.execute([Register(Registration(f"p{n}", Work("k", canonical("x" * 200))))])
        say("registered", f"p{n}")
        (answer,) = store.execute([ClaimNext(ClaimId("w", n + 1), 600_000, 1, WANTED)])
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Claimed)
        (grant,) = answer.reply.grants
        say("claimed", grant.fence.process_id, grant.fence.token)
        store.execute([Complete(grant.fence, Success(canonical(n)))])
        say("completed", grant.fence.process_id, n)


def unwritable(url: str, path: str) -> None:
    """Without root's rights, open a store that may only be read; say how that ended."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        open_store(url)
    except TenureError as error:
        say(type(error).__name__, path in str(error), error)


def forked(url: str, path: str) -> None:
    """Open a store, fork, and see in the child that every call is refused and nothing inherited was closed."""
    stores = [open_store(url)]
    stores[0].execute([Register(Registration("before", Work("k")))])
    stores[0].wait(Cursor(), 0)
    child = os.fork()
    if child == 0:
        in_the_child(stores, url, path)
        # The interpreter's own end: it must not close what was inherited either.
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    say("child", os.waitstatus_to_exitcode(status))
    (answer,) = stores[0].execute([Register(Registration("after", Work("k")))])
    say("parent", type(answer).__name__)
    stores[0].close()


def in_the_child(stores: list[SqliteRegistry], url: str, path: str) -> None:
    before = handles_of(path)
    try_all(stores[0], url)
    stores.clear()
    gc.collect()
    say("open" if before and handles_of(path) == before else "closed")
    other = open_store(url + ".other")
    other.execute([Register(Registration("elsewhere", Work("k")))])
    other.close()
    say("elsewhere")


def try_all(store: SqliteRegistry, url: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.execute([Get("before")]),
        lambda: store.wait(Cursor(), 0),
        store.close,
        lambda: open_store(url),
    ]
    tries(calls)


def handles_of(path: str) -> list[int]:
    """The file descriptors that are open on the database."""
    wanted = Path(path).stat()
    found: list[int] = []
    for number in range(256):
        try:
            status = os.fstat(number)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(number)
    return found


def starved(url: str) -> None:
    """Give all of this program's SQLite less memory than a request needs; say what that and the others get."""
    store = open_store(url)
    store.execute([Register(Registration("before", Work("k")))])
    with closing(sqlite3.connect(":memory:")) as link:
        link.execute("PRAGMA hard_heap_limit = 2000000")
    big = [Register(Registration(f"big{n}", Work("k", canonical("x" * 1_000_000)))) for n in range(3)]
    for batch in (big, [Get("big0")], [Register(Registration("after", Work("k")))]):
        say(*(type(answer).__name__ for answer in store.execute(batch)))
    store.close()


def waits(url: str) -> None:
    """Say that it waits, and then that another process did something."""
    store = open_store(url)
    before = store.wait(Cursor(), 0)
    say("waiting")
    until = time.monotonic() + 30
    say("woken" if store.wait(before, 30).work > before.work and time.monotonic() < until else "late")
    store.close()


ACTS = {act.__name__: act for act in (opened, claims, acknowledges, unwritable, forked, starved, waits)}

if __name__ == "__main__":
    act(ACTS)
