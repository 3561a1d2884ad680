"""The demo for real, on a few files: a whole run, and every way in which it can end before its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commanding import TENURE, until

FILES = 200
PROCESSES = 2 * FILES
"""A run wants 400: two rounds of these files."""
GONE = 2.0
"""Seconds that a child may outlive the demo."""


@contextmanager
def demo(folder: Path, files: int = FILES) -> Generator[subprocess.Popen[str]]:
    """The demo as a process, killed at the end of the block if it still runs."""
    url = f"sqlite:///{folder}/demo.db"
    process = subprocess.Popen(
        [*TENURE, "demo", "--json", "--files", str(files), "--store", url],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """The lines on stderr up to the one with these words."""
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return seen
    raise AssertionError(f"no {words!r} in: {''.join(seen)}")


def pids(lines: list[str]) -> list[int]:
    """The workers that were started."""
    return [int(found) for line in lines for found in re.findall(r"started on \w+, process (\d+)", line)]


def alive(pid: int) -> bool:
    """Whether the process runs or is stopped; what nobody has waited for yet is dead all the same."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()


def none_is_left(workers: list[int], group: int) -> bool:
    """Whether all of them, and the reaper, whose id is the group's, are gone within the bound."""
    return until(lambda: not any(alive(pid) for pid in [*workers, group]), GONE)


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """The one object of a run that has to hold, and what it said meanwhile."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    body: dict[str, Any] = json.loads(out)
    assert body["ok"] is True, body
    return body, err


def test_one_is_killed_one_comes_back_too_late_and_the_audit_holds(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        body, err = finish(process)
    assert body["processes"] == body["succeeded"] == PROCESSES
    assert (body["failed"], body["cancelled"]) == (0, 0)
    assert (body["terminal_events_max_per_process"], body["starts_max_per_token"]) == (1, 1)
    assert (body["effects"], body["effects_repeated"]) == (2 * PROCESSES, 0)
    assert body["recovered"] > 0
    assert body["fenced_refused"] > 0
    assert body["acquisitions"] > PROCESSES
    assert body["store"] == f"sqlite:///{tmp_path}/demo.db"
    assert len(set(re.findall(r"started on (\w+)", err))) == 2
    for words in ("killed with SIGKILL", "stopped itself with SIGSTOP"):
        (share,) = re.findall(rf"{words}.*at (\d+)% of the work", err)
        assert int(share) <= 33, "both in the first third"
    assert "the store refused its" in err
    assert not any(alive(pid) for pid in pids(err.splitlines()))


def test_one_file_is_enough_for_a_whole_run(tmp_path: Path) -> None:
    with demo(tmp_path, files=1) as process:
        body, err = finish(process)
    assert body["processes"] == body["succeeded"] == PROCESSES
    assert body["recovered"] > 0
    assert body["fenced_refused"] > 0
    assert "1 source file of" in err
    assert "400 processes registered (round-1 to round-400)" in err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_no_child_outlives_the_demo_the_stopped_one_included(tmp_path: Path, number: int, code: int) -> None:
    with demo(tmp_path) as process:
        workers = pids(read_until(process, "stopped itself with SIGSTOP"))
        group = os.getpgid(workers[-1])
        assert len(workers) == 4
        assert sum(alive(pid) for pid in workers) == 3, "one was killed by the demo"
        assert alive(group)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert process.returncode == code, err
        assert none_is_left(workers, group)
        if number == signal.SIGINT:
            assert f"--store sqlite:///{tmp_path}/demo.db" in err


def test_workers_go_by_themselves_where_the_reaper_was_killed_as_well(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        workers = pids(read_until(process, "killed with SIGKILL"))
        group = os.getpgid(workers[-1])
        os.kill(group, signal.SIGKILL)
        process.kill()
        process.communicate()
        assert none_is_left(workers, group)


def test_killed_in_the_middle_with_all_its_processes_it_resumes(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        workers = pids(read_until(process, "killed with SIGKILL"))
        group = os.getpgid(workers[-1])
        os.killpg(group, signal.SIGKILL)
        process.kill()
        process.communicate()
        assert none_is_left(workers, group)
    with demo(tmp_path) as process:
        body, err = finish(process)
    assert f"the store has {PROCESSES} processes" in err
    assert f"{FILES} processes registered (round-3)" in err, "too few were left"
    assert body["processes"] == body["succeeded"] == PROCESSES + FILES, "cumulative"
    assert body["effects"] == 2 * (PROCESSES + FILES)


def test_a_worker_that_ends_by_itself_ends_the_demo_with_a_sentence(tmp_path: Path) -> None:
    """A module that Python imports first breaks every worker here."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'tenure_cli.demo.worker' in sys.orig_argv: sys.exit('no worker today')\n"
    )
    result = subprocess.run(
        [*TENURE, "demo", "--files", "10", "--store", "sqlite:///demo.db"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "ended by itself" in result.stderr
    assert "no worker today" in result.stderr


def test_the_reaper_ends_its_group_whatever_the_group_ignores() -> None:
    """Alone: the kernel and the workers themselves would do a part of it."""
    reaper = subprocess.Popen(
        [sys.executable, "-m", "tenure_cli.demo.reaper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert reaper.stdin is not None
    assert reaper.stdout is not None
    assert reaper.stdout.readline() == b"ready\n"
    deaf = "import os, signal\n" + "".join(f"signal.signal({n:d}, signal.SIG_IGN)\n" for n in (1, 2, 15))
    deaf += "print(flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: signal.pause()\n"
    member = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, process_group=reaper.pid)
    try:
        assert member.stdout is not None
        member.stdout.readline()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            reaper.send_signal(number)
        assert (reaper.poll(), member.poll()) == (None, None)
        reaper.stdin.close()
        assert (reaper.wait(GONE), member.wait(GONE)) == (-signal.SIGKILL, -signal.SIGKILL)
    finally:
        for process in (reaper, member):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
