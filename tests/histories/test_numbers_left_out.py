"""A store may leave numbers out, and is not accused of it: one that promises versions without holes is held to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tenure.errors import InvalidValue
from tenure.instants import StoreTime
from tenure.limits import DEFAULT_LIMITS
from tenure.process import Registration, Work
from tenure.replies import Answer
from tenure.requests import Get, ReadEndings, Register, Request
from tenure_cli.main import cli
from tenure_driver import open_store
from tenure_memory import MemoryRegistry
from tenure_testing.histories import RecordingStore, TraceTap
from tests.histories.stories import find
from tests.histories.test_tampering import judged, whole


@pytest.mark.parametrize("header", [0, 1], ids=["worker", "store"])
def test_a_missing_version_may_be_a_number_that_the_store_left_out(header: int, tmp_path: Path) -> None:
    """One trace that does not say that versions have no holes is enough, and one of before it could say so."""
    traces = whole()
    traces[0].remove(find(traces[0], "emit_event", "q"))
    for said in (False, None):
        traces[header][0]["dense"] = said
        if said is None:
            del traces[header][0]["dense"]
        report = judged(tmp_path, *traces)
        assert report.ok, report.findings
        for number in ("S1", "S21"):
            assert report.not_checked[number].startswith("1 versions are missing: the store may have")


class Skipping(MemoryRegistry):
    """A store of somebody's own: a transaction that is rolled back takes a number, as with PostgreSQL."""

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        self._tables.number += 3
        return super().execute(batch)


def test_a_store_that_leaves_numbers_out_is_not_accused(tmp_path: Path) -> None:
    """It never said that it does not; where it says so, S1 is broken (CONTRACT §1: one growing sequence)."""
    shown = list[Result]()
    for said in (None, True):
        path = tmp_path / f"{said}.ndjson"
        recording = RecordingStore(Skipping(lambda: StoreTime(1_000), DEFAULT_LIMITS), path, dense=said)
        for request in (Register(Registration("p", Work("k"))), Register(Registration("q", Work("k")))):
            recording.execute([request])
        recording.execute([Get("q"), ReadEndings(0)])
        recording.close()
        shown.append(CliRunner().invoke(cli, ["verify-trace", "--complete", str(path)]))
    assert [result.exit_code for result in shown] == [0, 1]
    for number in ("S1", "S21"):
        (told_of,) = (line for line in shown[0].stdout.splitlines() if line.startswith(f"{number} "))
        assert "not everywhere: 9 versions are missing: the store may have left them out" in told_of
    assert "nobody made 3 versions before 8" in shown[1].stdout


@pytest.mark.parametrize("url", ["memory:", "sqlite:///{}/jobs.db"])
def test_the_stores_of_tenure_promise_versions_without_holes(url: str, tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    RecordingStore(open_store(url.format(tmp_path)), path).close()
    with TraceTap(tmp_path / "worker.ndjson", dense=True):
        pass
    for name in ("store", "worker"):
        header = json.loads((tmp_path / f"{name}.ndjson").read_text().splitlines()[0])
        assert header == {"trace": 1, "of": name, "dense": True}


def test_a_header_that_says_neither_is_refused(tmp_path: Path) -> None:
    a, others = whole()
    a[0]["dense"] = "yes"
    with pytest.raises(InvalidValue, match="dense or not, not 'yes'"):
        judged(tmp_path, a, others)
