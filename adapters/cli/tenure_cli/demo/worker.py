"""One worker of the demo, a process of the operating system: `python -m tenure_cli.demo.worker ...`.

It stops itself with SIGSTOP, once, when it was told to on its stdin: at the driver's fault point, with a Complete in
its hands that was checked and not yet sent. When stdin closes, whoever started it is gone, and it goes too.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import tenure_driver
from tenure.errors import TenureError
from tenure.process import Fence
from tenure.replies import Answer, Completed, Succeeded
from tenure.requests import Complete, EmitEvent, RecordEffect, Release, Renew, Request
from tenure.timings import LeaseTimings
from tenure_cli.demo.handler import demo_app
from tenure_cli.demo.journal import Journal, What
from tenure_cli.exits import code_of, say
from tenure_cli.running import run_worker
from tenure_cli.signals import Draining

STOP = b"stop\n"
"""What the demo writes to a worker's stdin to make it the zombie."""

SWITCH = 0.001
"""Seconds after which a thread that computes gives way (CPython's own is 0.005): the store's and the machine's threads
wait for a thread that parses."""


class DemoTap(tenure_driver.Tap):
    """Writes down what the store acknowledged and what was declined, and stops the whole process when it is told to.

    All of it is called in the store thread.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._begun = 0
        self.to_stop = threading.Event()

    def before_transaction(self, requests: Sequence[Request]) -> None:
        """The fault point. A batch without a Complete is let through: the store must refuse a Complete."""
        self._begun = time.monotonic_ns()
        completes = [request.fence for request in requests if isinstance(request, Complete)]
        if completes and self.to_stop.is_set():
            self.to_stop.clear()
            for fence in completes:
                self._journal.write(What.STOPPED, fence.process_id, fence.token)
            # To this very thread: a signal to the process may first stop another one, while this one goes on into
            # the transaction, and a worker that is stopped in there keeps everybody else out of the file.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def answered(self, request: Request, answer: Answer) -> None:
        """A Complete that succeeded is a terminal event that somebody was told of. Its version is written down: a
        Complete that was sent again, since the store took long, is answered with the event that there is."""
        if (
            isinstance(request, Complete)
            and isinstance(answer, Succeeded)
            and isinstance(answer.reply, Completed)
        ):
            fence, version = request.fence, str(answer.reply.stamp.version)
            self._journal.write(What.ENDED, fence.process_id, fence.token, version, since=self._begun)

    def declined(self, request: Request) -> None:
        """A write whose time had passed."""
        fence = _fence_of(request)
        if fence is not None:
            self._journal.write(What.DECLINED, fence.process_id, fence.token, type(request).__name__)


def _fence_of(request: Request) -> Fence | None:
    match request:
        case Renew() | RecordEffect() | EmitEvent() | Complete() | Release():
            return request.fence
        case _:
            return None


def _obey(tap: DemoTap) -> None:
    while told := os.read(0, 4_096):  # not sys.stdin: its lock would be held when the interpreter ends
        if STOP in told:
            tap.to_stop.set()
    os._exit(1)


def _timings(ttl: float) -> LeaseTimings:
    """A lease this short would leave a call of the store a tenth of it by the default proportions: too little for
    a busy disk. So it is renewed more often instead."""
    return LeaseTimings(ttl, ttl * 0.26, ttl * 0.26, ttl / 30, ttl / 6)


def main() -> int:
    """Run the worker; the exit code of `tenure worker`."""
    parser = argparse.ArgumentParser(prog="python -m tenure_cli.demo.worker")
    parser.add_argument("--store", required=True)
    parser.add_argument("--loop", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--journal", required=True, type=Path)
    parser.add_argument("--ttl", required=True, type=float)
    parser.add_argument("--max-running", required=True, type=int)
    told = parser.parse_args()
    logging.basicConfig(
        level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    warnings.simplefilter("ignore")  # of what the parser thinks of the library's files
    sys.setswitchinterval(SWITCH)
    journal = Journal(told.journal)
    tap = DemoTap(journal)
    threading.Thread(target=_obey, args=(tap,), name="demo-stdin", daemon=True).start()
    options: tenure_driver.Options = {
        "name": told.name,
        "max_running": told.max_running,
        "timings": _timings(told.ttl),
        "poll_interval": 0.2,
        "grace": 5.0,
        "tap": tap,
    }

    def ready(worker: Draining) -> None:
        journal.write(What.READY, key=worker.owner)

    try:
        return run_worker(demo_app(journal), told.store, told.loop, options, ready)
    except TenureError as error:
        say(f"Error: {error}")
        return code_of(error)


if __name__ == "__main__":
    sys.exit(main())
