"""`make bench`: figures, not assertions. Compare them with each other, in one run; the machine may be noisy.

python -m tests.bench.run [--processes 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import sqlite3
import statistics
import tempfile
import time
import tracemalloc
from itertools import count
from pathlib import Path

import tenure
import tenure_asyncio
import tenure_driver
from tenure.attempt_types import OpenSession, Send, Terms
from tenure.claims import grant, lease_of
from tenure.instants import Instant, StoreTime
from tenure.process import Provenance, Record, Registration, Success, Work
from tenure.replies import Answer, Claimed, Completed, Grant, Stamp, Succeeded
from tenure.requests import ClaimNext, Complete, Register, Request
from tenure.router import Router
from tenure.worker_types import WorkerTerms
from tests.bench.raw_sqlite import limits

app = tenure.App()


@app.process("noop")
async def noop(ctx: tenure.Context) -> None:
    return None


@app.process("waits")
async def waits(ctx: tenure.Context) -> None:
    await Gate.open.wait()


class Gate:
    """What the handlers of kind `waits` wait for."""

    open: asyncio.Event


class Counted(tenure_driver.Tap):
    """Sets `done` in the loop once so many processes are completed, `claimed` once so many were claimed."""

    def __init__(self, processes: int, claims: int = 0) -> None:
        self._loop, self._left, self._unclaimed = asyncio.get_running_loop(), processes, claims
        self.claimed, self.done = asyncio.Event(), asyncio.Event()

    def answered(self, request: Request, answer: Answer) -> None:
        reply = answer.reply if isinstance(answer, Succeeded) else None
        if isinstance(reply, Completed):
            self._left -= 1
            if self._left == 0:
                self._loop.call_soon_threadsafe(self.done.set)
        elif isinstance(reply, Claimed) and reply.grants:
            self._unclaimed -= len(reply.grants)
            if self._unclaimed <= 0:
                self._loop.call_soon_threadsafe(self.claimed.set)


def registration(n: int, kind: str) -> Registration:
    return Registration(f"p{n}", Work(kind), (), Provenance(f"process:p{n}"))


def fill(store: tenure.ProcessRegistry, processes: int, kind: str) -> None:
    for first in range(0, processes, 1_000):
        last = min(first + 1_000, processes)
        store.execute([Register(registration(n, kind)) for n in range(first, last)])


class Machines:
    """The machines of one worker over an imagined store that grants and completes everything."""

    def __init__(self) -> None:
        terms = Terms(tenure.LeaseTimings(), "", ("noop",))
        self.router = Router(
            WorkerTerms("w", terms, 1_000, 1_000, 10**9), Instant(0), count(1).__next__, lambda: 0
        )
        self.tokens = count(1)

    def round(self) -> int:
        """Claim, open, run and complete as many processes as the worker takes; how many."""
        sent = [send for send in self.router.tick(Instant(0)) if isinstance(send, Send)]
        assert len(sent) == 1
        claim = sent[0].request
        assert isinstance(claim, ClaimNext)
        grants: list[Grant] = []
        for _ in range(claim.limit):
            token = next(self.tokens)
            row = Record(registration(token, "noop"), token, token, StoreTime(0), StoreTime(0))
            held = grant(row, claim.claim, claim.ttl, StoreTime(0), token)
            grants.append(lease_of(held, claim.claim))
        for opening in self.router.answered(sent[0].id, Succeeded(Claimed(tuple(grants), 1)), Instant(0)):
            assert isinstance(opening, OpenSession)
            self.router.session_opened(opening.id, Instant(0))
            for write in self.router.handler_returned(opening.token, Success(), Instant(0)):
                assert isinstance(write, Send)
                assert isinstance(write.request, Complete)
                reply = Completed(Stamp(1, 1, StoreTime(0)), write.request.outcome)
                self.router.answered(write.id, Succeeded(reply), Instant(0))
        return len(grants)


def bench_steps(rounds: int) -> dict[str, float]:
    """A process takes five steps: three of its attempt's events, the grant, and the worker's note that it ended."""
    machines = Machines()
    machines.round()
    best: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        done = machines.round()
        best.append((time.perf_counter() - begun) / done / 5)
    gc.collect()
    tracemalloc.start()
    machines = Machines()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    done = machines.round()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return {"us_per_step": statistics.median(best) * 1e6, "peak_bytes_per_process": peak / done}


async def drained(store: tenure.ProcessRegistry, processes: int, max_running: int) -> tuple[float, float]:
    """Seconds, and CPU seconds of this OS process, until all are completed."""
    tap = Counted(processes)
    begun, cpu = time.perf_counter(), time.process_time()
    async with tenure_asyncio.worker(app, store, max_running=max_running, tap=tap):
        await tap.done.wait()
        return time.perf_counter() - begun, time.process_time() - cpu


def bench_drain(directory: Path, processes: int, rounds: int) -> dict[str, float]:
    rates: list[float] = []
    cpus: list[float] = []
    for n in range(rounds):
        store = tenure_driver.open_store(f"sqlite:///{directory}/drain-{n}.db")
        fill(store, processes, "noop")
        seconds, cpu = asyncio.run(drained(store, processes, 1_000))
        store.close()
        rates.append(processes / seconds)
        cpus.append(cpu / processes * 1e6)
    return {"processes_per_second": statistics.median(rates), "cpu_us_per_process": statistics.median(cpus)}


async def idle_cpu(store: tenure.ProcessRegistry, seconds: float) -> float:
    async with tenure_asyncio.worker(app, store):
        await asyncio.sleep(1)
        cpu, begun = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        return (time.process_time() - cpu) / (time.perf_counter() - begun)


async def bytes_per_process(store: tenure.ProcessRegistry, running: int, waiting: int) -> tuple[float, float]:
    """Bytes that a worker's OS process holds more per waiting process, and per running one with task and coroutine."""
    Gate.open = asyncio.Event()
    tap = Counted(running + waiting, claims=running)
    fill(store, running, "waits")
    tracemalloc.start()
    async with tenure_asyncio.worker(app, store, max_running=running, tap=tap, poll_interval=0.1):
        await tap.claimed.wait()
        await asyncio.sleep(0.5)
        full = traced()
        fill(store, running + waiting, "waits")  # the first of them exist, and are answered as repeated
        await asyncio.sleep(1.5)
        with_waiting = traced()
        Gate.open.set()
        await tap.done.wait()
        await asyncio.sleep(0.5)
        empty = traced()
    tracemalloc.stop()
    return (with_waiting - full) / waiting, (full - empty) / running


def traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}")
    steps = bench_steps(args.rounds)
    print(
        f"step: {steps['us_per_step']:.1f} us, {steps['peak_bytes_per_process']:.0f} bytes at the peak per process"
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        raw = limits(name)
        drain = bench_drain(directory, args.processes, args.rounds)
        print(
            f"drain of {args.processes} no-op processes on SQLite, max_running 1000, median of {args.rounds}: "
            f"{drain['processes_per_second']:.0f} a second, {drain['cpu_us_per_process']:.0f} us of CPU each"
        )
        for name_, rate in raw.items():
            ratio = drain["processes_per_second"] / rate
            print(f"  SQLite alone, {name_.replace('_', ' ')}: {rate} a second; tenure is {ratio:.2f} of it")
        idle = asyncio.run(idle_cpu(tenure_driver.open_store(f"sqlite:///{directory}/idle.db"), 5.0))
        print(f"idle worker on SQLite: {idle * 100:.2f} % of a core")
        store = tenure_driver.open_store(f"sqlite:///{directory}/memory.db")
        waiting, running = asyncio.run(bytes_per_process(store, 1_000, 5_000))
        print(f"memory in the worker: {running:.0f} bytes per running process, {waiting:.0f} per waiting one")


if __name__ == "__main__":
    main()
