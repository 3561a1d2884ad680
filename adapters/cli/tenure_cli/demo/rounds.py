"""What is registered: each file once, and in further rounds where too little is left to lose a worker on."""

from __future__ import annotations

from collections.abc import Iterable

from tenure.canonical import canonical
from tenure.process import Provenance, Record, Registration, Work, own_session
from tenure.requests import Register
from tenure.stores import ProcessRegistry
from tenure_cli.demo.evidence import ask
from tenure_cli.demo.handler import KIND, PROGRESS
from tenure_cli.demo.library import File, Library

ENOUGH = 400
"""Processes that a run wants before it, however few files there are: killing one worker and stopping another takes its
time, and nothing can be shown on workers that have nothing left to do."""
BATCH = 500


def missing(library: Library, known: Iterable[Record]) -> list[Registration]:
    """What is to be registered beside what the store knows: the first round whole, further ones as they are needed.

    A process that is known is left as it is: registering it again would be a conflict, if the file has moved.
    """
    records = {record.id: record for record in known}
    open_ = sum(record.outcome is None for record in records.values())
    wanted: list[Registration] = []
    number = 0
    while number == 0 or (library.files and open_ + len(wanted) < ENOUGH):
        number += 1
        wanted += [registration(file, number) for file in library.files if _id(file, number) not in records]
    return wanted


def registration(file: File, number: int) -> Registration:
    """The process that measures the file in that round."""
    process_id = _id(file, number)
    work = Work(KIND, canonical({"name": file.name, "path": file.path}))
    return Registration(process_id, work, (PROGRESS,), Provenance(own_session(process_id)))


def register(store: ProcessRegistry, wanted: list[Registration]) -> None:
    """Register them, a batch at a time. Raises StoreUnavailable."""
    for start in range(0, len(wanted), BATCH):
        ask(store, [Register(one) for one in wanted[start : start + BATCH]])


def rounds_of(wanted: Iterable[Registration]) -> str:
    """Which rounds these are of, in words; empty for none."""
    numbers = sorted({_number(one.id) for one in wanted})
    if not numbers:
        return ""
    first, last = numbers[0], numbers[-1]
    return f"round-{first}" + (f" to round-{last}" if last > first else "")


def _number(process_id: str) -> int:
    head, _, number = process_id.partition("/")[0].partition("round-")
    return int(number) if not head and number.isdecimal() else 1


def _id(file: File, number: int) -> str:
    return file.name if number == 1 else f"round-{number}/{file.name}"
