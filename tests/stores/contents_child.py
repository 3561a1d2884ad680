"""What a second operating system process does in the tests of contents:
`python -m tests.stores.contents_child ACT URL ...`.

It talks by lines: on stdout what it did, on stdin when to go on.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256

from tenure.asks import Ask, CallPlain
from tenure.contents import CHUNK, Contents, ContentStore, Upload
from tenure_driver.blocking_contents import BlockingContents
from tenure_memory import MemoryContents
from tenure_sqlite import open_contents
from tests.stores.talking import act, say, tries

MIB = 1 << 20


async def ask(ask: Ask) -> object:
    """A program without an event loop makes each call right there."""
    assert isinstance(ask, CallPlain)
    return ask.called()


def peak() -> int:
    """Bytes: the most memory that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def pieces(size: int) -> Iterator[bytes]:
    """So many bytes, none of them in memory for long, no two MiB alike."""
    filler = os.urandom(MIB - 8)
    for number in range(size // MIB):
        yield number.to_bytes(8, "big") + filler


def streams(url: str, mib: str) -> None:
    """Put and stream back a large content, after a small one, so that all code and caches are there; say how much the
    peak of memory grew."""
    # What a program is told of its peak begins with that of the program that started it, until it forks.
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    contents = BlockingContents(Contents(ask, open_contents(url, "attachment"), "attachment"))
    small = contents.put(pieces(MIB))
    for _ in contents.stream(small.id):
        pass
    before = peak()
    expected = sha256()

    def hashed() -> Iterator[bytes]:
        for piece in pieces(int(mib) * MIB):
            expected.update(piece)
            yield piece

    content = contents.put(hashed())
    written = peak()
    size, digest = 0, sha256()
    for chunk in contents.stream(content.id):
        size += len(chunk)
        digest.update(chunk)
    assert (size, digest.hexdigest()) == (content.size, content.id) == (int(mib) * MIB, expected.hexdigest())
    say("grew", written - before, peak() - before)


def uploads(url: str, chunks: str) -> None:
    """Begin an upload, write so many chunks, and wait to be killed."""
    upload = open_contents(url, "attachment").begin()
    for number in range(int(chunks)):
        upload.write(number.to_bytes(8, "big") * (CHUNK // 8))
    say("written")
    sys.stdin.readline()


def puts(url: str, times: str) -> None:
    """Put the same contents as the others, and read each back at once."""
    store = open_contents(url, "attachment", busy_timeout=30)
    contents = BlockingContents(Contents(ask, store, "attachment"))
    say("ready")
    sys.stdin.readline()
    for number in range(int(times)):
        data = number.to_bytes(8, "big") * (CHUNK // 8 * 3)
        content = contents.put(data)
        assert contents.get(content.id) == data
        say(content.id)
    store.close()


def forked(url: str) -> None:
    """Open stores, fork, and see in the child that every call is refused."""
    stores: list[ContentStore] = [open_contents(url, "attachment"), MemoryContents()]
    used: list[tuple[ContentStore, str, Upload, Iterator[bytes]]] = []
    for store in stores:
        upload = store.begin()
        upload.write(bytes(CHUNK))
        content = upload.commit("", "")
        upload, reading = store.begin(), store.chunks(content.id)
        upload.write(b"begun")
        used.append((store, content.id, upload, reading))
    child = os.fork()
    if child == 0:
        for store, content_id, upload, reading in used:
            calls: list[Callable[[], object]] = [
                store.begin,
                partial(store.stat, content_id),
                partial(next, reading),
                partial(upload.commit, "", ""),
                store.close,
            ]
            tries(calls)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    say("child", os.waitstatus_to_exitcode(status))
    for store, _, upload, reading in used:
        say("parent", upload.commit("", "").size, len(b"".join(reading)))
        store.close()


ACTS = {act.__name__: act for act in (streams, uploads, puts, forked)}

if __name__ == "__main__":
    act(ACTS)
