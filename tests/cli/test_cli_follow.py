"""`tenure events --follow`: each event as it comes, to the last; an end by Ctrl-C; what is not there."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

import tenure_driver
from tests.cli.commanding import refused, running, tenure


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with a process that nobody handles."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    assert tenure("start", "nobody", "--id", "one", store=url).exit_code == 0
    return url


def append(store: str, *types: str) -> None:
    with tenure_driver.connect(store) as client:
        for name in types:
            client.append("one", name, {"of": name})


def following(process: subprocess.Popen[str], lines: int) -> list[list[str]]:
    """The words of so many lines, which come while the command runs."""
    assert process.stdout is not None
    return [process.stdout.readline().split() for _ in range(lines)]


def test_each_event_is_printed_as_it_comes(store: str, tmp_path: Path) -> None:
    append(store, "first")
    with running("events", "one", "--follow", "--store", store, cwd=tmp_path) as process:
        head, first = following(process, 2)
        assert head == ["SEQ", "AT", "TYPE", "PAYLOAD"]
        assert (first[0], first[3:]) == ("1", ["first", '{"of":', '"first"}'])
        append(store, "second")
        ((*_, kind, _, _),) = following(process, 1)
        assert kind == "second"
        assert tenure("cancel", "one", store=store).exit_code == 0
        out, err = process.communicate(timeout=20)
        assert [line.split()[3] for line in out.splitlines()] == [
            "process.cancel_requested",
            "process.ended",
        ]
        assert (process.returncode, err) == (0, "")


def test_as_json_each_is_a_line_of_its_own(store: str) -> None:
    append(store, "first")
    tenure("cancel", "one", store=store)
    result = tenure("events", "one", "--follow", "--json", "--after", "1", store=store)
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(event["seq"], event["type"]) for event in events] == [
        (2, "process.cancel_requested"),
        (3, "process.ended"),
    ]
    assert events[1]["payload"] == {"status": "cancelled", "reason": ""}


def test_ctrl_c_ends_it(store: str, tmp_path: Path) -> None:
    append(store, "first")
    with running("events", "one", "--follow", "--json", "--store", store, cwd=tmp_path) as process:
        following(process, 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (130, "")
        assert err == "Error: interrupted\n"


def test_what_is_not_there_is_not_followed(store: str) -> None:
    refused(tenure("events", "two", "--follow", "--json", store=store), 3, "'two'")
