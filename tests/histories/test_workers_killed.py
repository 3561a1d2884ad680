"""The trace of a worker that was killed in the middle of its work holds as well: processes of their own on one SQLite
file, recorded by `tenure worker --trace`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tenure.process import Provenance, Registration, Work
from tenure.requests import Register
from tenure_testing.histories import verify
from tests.cli.commanding import execute, line_with, module, running, tenure, until

APP = """
import asyncio, pathlib, tenure
app = tenure.App()

@app.process("gated")
async def gated(ctx, payload):
    async def once():
        return ctx.id
    await ctx.effect("once", once)
    while not pathlib.Path("gate").exists():
        await asyncio.sleep(0.02)
    return ctx.id
"""

PROCESSES = [f"p{number}" for number in range(8)]


def started(trace: Path) -> int:
    """How many handlers the worker of that trace started."""
    return trace.read_text().count('{"started":') if trace.exists() else 0


def test_a_worker_that_is_killed_leaves_a_trace_that_holds(tmp_path: Path) -> None:
    """S1-S23 on what was recorded: the second worker takes everything over."""
    module(tmp_path, "app", [APP])
    store = f"sqlite:///{tmp_path}/jobs.db"
    execute(store, *(Register(Registration(name, Work("gated"), (), Provenance(name))) for name in PROCESSES))
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson"
    worker = ["worker", "app:app", "--store", store, "--ttl", "1"]
    with running(*worker, "--trace", str(first), cwd=tmp_path) as lost:
        assert until(lambda: started(first) >= len(PROCESSES), 20)
        lost.kill()
        lost.wait(20)
        with running(*worker, "--trace", str(second), cwd=tmp_path) as healthy:
            line_with(healthy, "ready")
            assert until(lambda: started(second) >= len(PROCESSES), 20)
            (tmp_path / "gate").touch()
            for name in PROCESSES:
                assert tenure("wait", name, "--timeout", "20", store=store).exit_code == 0
            healthy.send_signal(signal.SIGTERM)
            healthy.communicate(timeout=20)
    heads = [json.loads(trace.read_text().partition("\n")[0]) for trace in (first, second)]
    assert [head["dense"] for head in heads] == [True, True]
    report = verify([first, second])
    assert report.ok, report.findings
    assert (report.processes, report.ended) == (len(PROCESSES), len(PROCESSES))
    assert report.looked["S12"] >= 2 * len(PROCESSES)
    lost_once = [json.loads(line) for line in second.read_text().splitlines() if '"lost":1' in line]
    assert sum(len(line["got"]["reply"]["grants"]) for line in lost_once) >= len(PROCESSES)
