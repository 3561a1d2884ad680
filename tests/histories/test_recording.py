"""What real workers record is judged: two of them on one SQLite file, with a lost lease, a cancel and a failure."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import tenure
import tenure_asyncio
from tenure import LeaseTimings
from tenure_cli.main import cli
from tenure_driver import Tap, open_store
from tenure_testing.histories import RecordingStore, TraceTap, verify
from tests.histories.stories import told

app = tenure.App()


@app.process("work", emits=["progress"])
async def work(ctx: tenure.Context, number: int) -> int:
    async def doubled(value: int) -> int:
        return 2 * value

    if number == 3:
        raise ValueError("three")
    if number == 4:
        await asyncio.Event().wait()
    value = await ctx.effect("double", doubled, number)
    await ctx.emit("progress", {"value": value})
    return value


class Seen(Tap):
    """Counts what passes through the tap that records."""

    def __init__(self) -> None:
        self.requests = self.turns = 0

    def answered(self, request: object, answer: object) -> None:
        self.requests += 1

    def turned(self, inbox: object, now: object, box: object) -> None:
        self.turns += 1


async def worked(url: str, folder: Path, seen: Tap) -> None:
    timings = LeaseTimings.scaled(2.0)
    with TraceTap(folder / "one.ndjson", seen) as one, TraceTap(folder / "two.ndjson") as two:
        async with (
            tenure_asyncio.worker(app, url, tap=one, timings=timings, max_running=3) as worker,
            tenure_asyncio.worker(app, url, tap=two, timings=timings, max_running=3),
        ):
            client = worker.client
            handles = [await client.start(work, number, id=f"p{number}") for number in range(12)]
            await handles[4].cancel("enough")
            for handle in handles:
                try:
                    await handle.wait()
                except tenure.TenureError:
                    pass
            await client.list()


def test_what_workers_recorded_holds(tmp_path: Path) -> None:
    """Every request of everybody is in the traces, so no version is missing and nothing is unexplained (S1-S23)."""
    seen = Seen()
    asyncio.run(worked(f"sqlite:///{tmp_path}/jobs.db", tmp_path, seen))
    report = verify([tmp_path / "one.ndjson", tmp_path / "two.ndjson"])
    assert report.ok, report.findings
    assert (report.sessions, report.processes, report.ended) == (2, 12, 12)
    assert (report.missing, report.unexplained) == (0, 0)
    assert {"S1", "S2", "S3", "S4", "S6", "S7", "S13", "S14", "S16", "S17", "S20", "S21", "S23"} <= set(
        report.looked
    )
    assert seen.requests
    assert seen.turns


def test_the_trace_of_one_worker_leaves_the_others_changes_unexplained(tmp_path: Path) -> None:
    asyncio.run(worked(f"sqlite:///{tmp_path}/jobs.db", tmp_path, Tap()))
    report = verify([tmp_path / "one.ndjson"])
    assert report.ok, report.findings


def test_a_store_around_a_store_records_its_answers(tmp_path: Path) -> None:
    store = RecordingStore(open_store(f"sqlite:///{tmp_path}/jobs.db"), tmp_path / "store.ndjson")

    async def main() -> None:
        async with tenure_asyncio.worker(app, store) as worker:
            assert await (await worker.client.start(work, 1)).wait() == 2

    asyncio.run(main())
    store.close()
    report = verify([tmp_path / "store.ndjson"])
    assert report.ok, report.findings
    assert (report.ended, report.missing, report.unexplained) == (1, 0, 0)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_prints_each_property_and_ends_well(tmp_path: Path) -> None:
    paths = [tmp_path / "a.ndjson", tmp_path / "others.ndjson"]
    story = told()
    for path, lines in zip(paths, (story.a, story.others), strict=True):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = CliRunner().invoke(cli, ["verify-trace", *map(str, paths)])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == [
        f"S{number}" for number in range(1, 24)
    ]
    body = json.loads(CliRunner().invoke(cli, ["verify-trace", "--json", *map(str, paths)]).stdout)
    assert body["ok"] is True
    assert body["properties"]["S6"] == {"looked": 3, "broken": 0, "not_checked": None}
    assert (body["processes"], body["missing_versions"], body["findings"]) == (5, 0, [])


def test_the_command_names_what_is_broken(tmp_path: Path) -> None:
    story = told()
    story.a.append(next(line for line in story.a if "started" in line))
    path = tmp_path / "a.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in story.a))
    shown = CliRunner().invoke(cli, ["verify-trace", str(path)])
    assert shown.exit_code == 1
    assert "S12  BROKEN 1 times" in shown.stdout
    assert f"{path}:{len(story.a)}: S12: a handler of 'p' was started" in shown.stdout
    assert json.loads(CliRunner().invoke(cli, ["verify-trace", "--json", str(path)]).stdout)["ok"] is False


@pytest.mark.parametrize("text", ["", "{}\n"])
def test_the_command_refuses_what_is_no_trace(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(text)
    shown = CliRunner().invoke(cli, ["verify-trace", str(path)])
    assert shown.exit_code == 2
    assert "does not begin as a trace does" in shown.stderr
