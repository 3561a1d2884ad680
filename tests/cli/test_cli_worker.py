"""`tenure worker` as a process of its own: its signals, its end, its exit codes, and what it says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commanding import line_with, module, running, shown, tenure

APP = """
import asyncio, signal, sys, threading, time, tenure
app = tenure.App()

@app.process("double")
async def double(ctx, number):
    return number * 2

@app.process("sleep")
def sleep(ctx, seconds):
    print("asleep", file=sys.stderr, flush=True)
    time.sleep(seconds)

@app.process("block")
async def block(ctx, seconds):
    print("asleep", file=sys.stderr, flush=True)
    time.sleep(seconds)

@app.process("signals")
def signals(ctx, count):
    for _ in range(count):  # to this very thread: the main thread is asleep in its loop, and nothing wakes it
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        time.sleep(0.3)
    time.sleep(600)

@app.process("loop")
async def loop(ctx):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
"""

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "trio"])


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store, and a module `work` beside it."""
    module(tmp_path, "work", [APP])
    url = f"sqlite:///{tmp_path}/jobs.db"
    assert tenure("start", "double", "21", "--id", "one", store=url).exit_code == 0
    return url


@LOOPS
def test_it_works_until_it_is_told_to_stop(store: str, tmp_path: Path, loop: str) -> None:
    arguments = ["worker", "work:app", "--store", store, "--loop", loop, "--name", "w7"]
    with running(*arguments, cwd=tmp_path) as process:
        ready = line_with(process, "ready")
        assert store in ready
        for words in ("worker w7 is ready", f"loop {loop}", "kinds block, double, loop, signals, sleep"):
            assert words in ready
        waited = tenure("wait", "one", "--timeout", "20", store=store)
        assert (waited.exit_code, waited.stdout) == (0, "42\n"), waited.stderr
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, ""), err


def test_ctrl_c_drains_as_well(store: str, tmp_path: Path) -> None:
    with running("worker", "work:app", "--store", store, cwd=tmp_path) as process:
        line_with(process, "ready")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert "Traceback" not in err


def test_a_drain_waits_for_its_handlers(store: str, tmp_path: Path) -> None:
    assert tenure("start", "sleep", "0.3", "--id", "two", store=store).exit_code == 0
    with running("worker", "work:app", "--store", store, cwd=tmp_path) as process:
        line_with(process, "asleep")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    assert shown("show", "two", store=store)["outcome"] == {"status": "succeeded", "value": None}


@LOOPS
@pytest.mark.parametrize("kind", ["sleep", "block"])
def test_the_second_signal_ends_it_whatever_its_handlers_do(
    store: str, tmp_path: Path, loop: str, kind: str
) -> None:
    assert tenure("start", kind, "600", "--id", "two", store=store).exit_code == 0
    with running("worker", "work:app", "--store", store, "--loop", loop, cwd=tmp_path) as process:
        line_with(process, "asleep")
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 128 + signal.SIGTERM
    assert shown("show", "two", store=store)["outcome"] is None


def test_a_second_signal_of_the_other_kind(store: str, tmp_path: Path) -> None:
    assert tenure("start", "sleep", "600", "--id", "two", store=store).exit_code == 0
    with running("worker", "work:app", "--store", store, cwd=tmp_path) as process:
        line_with(process, "asleep")
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(2) == 128 + signal.SIGINT


def test_a_drain_that_leaves_a_handler_behind_exits_1_and_does_not_wait_for_it(
    store: str, tmp_path: Path
) -> None:
    assert tenure("start", "sleep", "600", "--id", "two", store=store).exit_code == 0
    arguments = ["worker", "work:app", "--store", store, "--grace", "0", "--ttl", "1"]
    with running(*arguments, cwd=tmp_path) as process:
        line_with(process, "asleep")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "1 handler" in err
        assert "Traceback" not in err


@LOOPS
@pytest.mark.parametrize("deleted", [False, True], ids=["moved", "deleted"])
def test_a_store_that_goes_away_for_good_exits_4_and_says_so_once(
    store: str, tmp_path: Path, loop: str, deleted: bool
) -> None:
    with running("worker", "work:app", "--store", store, "--loop", loop, cwd=tmp_path) as process:
        line_with(process, "ready")
        file = tmp_path / "jobs.db"
        if deleted:
            file.unlink()
        else:
            file.rename(tmp_path / "moved.db")
        _, err = process.communicate(timeout=20)
        assert process.returncode == 4, err
        (said,) = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert said.count("moved, removed or replaced") == 1, said


@LOOPS
@pytest.mark.parametrize(("count", "code"), [(1, 1), (2, 128 + signal.SIGTERM)])
def test_a_signal_counts_though_the_main_thread_does_not_wake(
    store: str, tmp_path: Path, loop: str, count: int, code: int
) -> None:
    """The kernel may hand a signal to any thread; and one that comes just before the loop sleeps wakes nobody."""
    assert tenure("start", "signals", str(count), "--id", "two", store=store).exit_code == 0
    arguments = ["worker", "work:app", "--store", store, "--loop", loop, "--ttl", "1"]
    with running(*arguments, "--grace", "0" if count == 1 else "60", cwd=tmp_path) as process:
        _, err = process.communicate(timeout=20)
        assert process.returncode == code, err


def test_a_handler_that_takes_signals_of_its_own_does_not_take_ours(store: str, tmp_path: Path) -> None:
    assert tenure("start", "loop", "--id", "two", store=store).exit_code == 0
    with running("worker", "work:app", "--store", store, cwd=tmp_path) as process:
        line_with(process, "ready")
        assert tenure("wait", "two", "--timeout", "20", store=store).exit_code == 0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err


def test_a_store_that_cannot_be_used_exits_4(tmp_path: Path) -> None:
    module(tmp_path, "work", [APP])
    with running("worker", "work:app", "--store", "sqlite:///no/such.db", cwd=tmp_path) as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (4, "")
        assert "Traceback" not in err


def test_help_has_the_exit_codes_and_imports_no_loop_and_no_store() -> None:
    loaded = (
        "import sys\n"
        "from tenure_cli.main import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'asyncio', 'trio', 'sqlite3', 'tenure_asyncio', 'tenure_trio', 'tenure_sqlite', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout
    *text, modules = printed.splitlines()
    assert modules == "[]"
    firsts = [line.split()[0] for line in text if line]
    for word in ("0", "1", "2", "3", "4", "124", "130"):
        assert word in firsts[firsts.index("Exit") :]
    commands = ["worker", "start", "list", "show", "cancel", "events", "wait", "demo"]
    assert [word for word in firsts if word in commands] == commands
