"""What the audit looks at: everything that the store says, and everything that the workers wrote down."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from tenure.errors import StoreUnavailable
from tenure.process import ENDED, Effect, Record
from tenure.replies import EffectsRead, EventsRead, FenceLogRead, FenceNote, Listed, Reply, Succeeded
from tenure.requests import List, ReadEffects, ReadEvents, ReadFenceLog, Request
from tenure.stores import ProcessRegistry
from tenure_cli.demo.journal import SUFFIX, Damaged, Line, lines

PAGE = 1_000
FENCE_LOG = 10_000
"""Refusals that a store keeps."""
RUNS = "runs.jsonl"
"""The demo's own file beside the workers': when each run began, and until when it was seen."""
READ_PATIENCE = 10.0
"""Seconds that reading may take in vain, while workers are writing."""


@frozen
class Evidence:
    """`terminals` counts the terminal events in each process's log; `damage` says what of the files cannot be read;
    `seconds` is how long all runs took together."""

    records: tuple[Record, ...]
    effects: tuple[Effect, ...]
    terminals: Mapping[str, int]
    refusals: tuple[FenceNote, ...]
    refused: int
    lines: tuple[Line, ...]
    seconds: float
    damage: tuple[str, ...] = field(default=())


def gather(store: ProcessRegistry, folder: Path, kind: str) -> Evidence:
    """All evidence on the processes of that kind. Raises StoreUnavailable."""
    records = read_records(store, kind)
    effects: list[Effect] = []
    terminals: dict[str, int] = {}
    for start in range(0, len(records), PAGE):
        ids = [record.id for record in records[start : start + PAGE]]
        asked: list[Request] = [ReadEffects(one, limit=PAGE) for one in ids]
        asked += [ReadEvents(one, limit=PAGE) for one in ids]
        for request, reply in zip(asked, ask(store, asked), strict=True):
            if isinstance(reply, EffectsRead):
                effects.extend(reply.effects)
            elif isinstance(reply, EventsRead) and isinstance(request, ReadEvents):
                terminals[request.process_id] = sum(event.type == ENDED for event in reply.events)
    (log,) = ask(store, [ReadFenceLog(FENCE_LOG)])
    assert isinstance(log, FenceLogRead)
    written: list[Line] = []
    damage: list[str] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            written.extend(lines(path))
        except Damaged as error:
            damage.append(str(error))
    return Evidence(
        tuple(records),
        tuple(effects),
        terminals,
        log.notes,
        log.total,
        tuple(written),
        runs_seconds(folder),
        tuple(damage),
    )


def read_records(store: ProcessRegistry, kind: str) -> list[Record]:
    """All records of that kind, in the order of their registration."""
    found: list[Record] = []
    after: int | None = 0
    while after is not None:
        (page,) = ask(store, [List(after, PAGE, kind=kind)])
        assert isinstance(page, Listed)
        found.extend(page.records)
        after = page.next
    return found


def ask(store: ProcessRegistry, batch: Sequence[Request]) -> list[Reply]:
    """The replies, once all of the batch's requests succeeded. Raises StoreUnavailable where they do not.

    For requests that may be repeated: reads, and Register. A refusal is final.
    """
    until = time.monotonic() + READ_PATIENCE
    while True:
        answers = store.execute(batch)
        replies = [answer.reply for answer in answers if isinstance(answer, Succeeded)]
        if len(replies) == len(batch):
            return replies
        bad = next(answer for answer in answers if not isinstance(answer, Succeeded))
        if time.monotonic() > until or not hasattr(bad, "cause"):
            raise StoreUnavailable(f"the store did not do what the demo asked: {bad}")
        time.sleep(0.02)


class Runs:
    """Writes down how long the demo runs, so that the figures of all runs can be added up, even of one that was
    killed: each run is as long as it was last seen."""

    def __init__(self, folder: Path, run: str) -> None:
        self._run = run
        self._fd = os.open(folder / RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.seen()

    def seen(self) -> None:
        """It still runs."""
        os.write(self._fd, (json.dumps({"run": self._run, "at": time.monotonic_ns()}) + "\n").encode())

    def close(self) -> None:
        """Seen for the last time."""
        self.seen()
        os.close(self._fd)


def runs_seconds(folder: Path) -> float:
    """How long all runs took together."""
    spans: dict[str, tuple[int, int]] = {}
    path = folder / RUNS
    for text in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            body = json.loads(text)
            run, at = str(body["run"]), int(body["at"])
        except (ValueError, KeyError, TypeError):
            continue  # torn by a kill; the line before it is as good
        first, _ = spans.get(run, (at, at))
        spans[run] = (first, at)
    return sum(last - first for first, last in spans.values()) / 1e9
