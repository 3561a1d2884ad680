"""What the README shows works as it is written, for somebody who copies it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tenure_driver
from tenure.replies import EffectsRead, Succeeded
from tenure.requests import ReadEffects
from tests.docs.pages import PAGES, README, ROOT, blocks, commands, execute, links, paths

MAIN = blocks(README, "python")[0]
BOUND = 60


def ran(command: list[str], folder: Path) -> tuple[int, str, str]:
    """Run a program in that folder, with `tenure` on its path: its exit status, stdout and stderr. Whatever it leaves
    running is ended."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            printed, said = program.communicate(timeout=BOUND)
        finally:
            try:
                os.killpg(program.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return program.returncode, printed, said


def test_the_main_example_is_short() -> None:
    code = [line for line in MAIN.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 20


def under(loop: str) -> str:
    """The main example, its one import line changed as its comment says."""
    line = next(line for line in MAIN.splitlines() if "# or: " in line)
    asyncio_line, _, trio_line = line.partition("  # or: ")
    assert (asyncio_line, trio_line) == ("from tenure_asyncio import run", "from tenure_trio import run")
    return MAIN.replace(line, asyncio_line if loop == "asyncio" else trio_line)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_the_main_example_runs_as_a_program_and_the_second_run_prints_the_recorded_result(
    loop: str, tmp_path: Path
) -> None:
    program = tmp_path / "jobs.py"
    program.write_text(under(loop))
    counted = {"lines": under(loop).count("\n")}
    for _ in range(2):
        status, printed, said = ran([sys.executable, "-W", "error", program.name], tmp_path)
        assert (status, said) == (0, "")
        assert printed == f"{counted}\n"
        with program.open("a") as file:  # were the effect run again, it would count this line too
            file.write("# another line\n")
    with tenure_driver.connect(f"sqlite:///{tmp_path}/jobs.db") as client:
        assert client.get("count-this-file").claims == 1
        assert [event.type for event in client.events("count-this-file")] == ["progress", "process.ended"]
        read = client.submit(ReadEffects("count-this-file"))
        assert isinstance(read, Succeeded)
        assert isinstance(read.reply, EffectsRead)
        assert [effect.key for effect in read.reply.effects] == ["read"]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the main example as `jobs.py` and some `notes.txt`, as the working directory."""
    (tmp_path / "jobs.py").write_text(MAIN)
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_python_block_runs(beside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(README, {"__name__": "__main__", "__file__": str(beside / "jobs.py")})
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str({"lines": MAIN.count("\n")}), str({"lines": 2})]


def test_the_shell_commands_run_as_they_are_written(beside: Path) -> None:
    shown = [line for line in commands(README) if line.startswith("tenure ")]
    assert [line.split()[1] for line in shown] == ["worker", "start", "wait"]
    script = "\n".join(["trap 'kill $!' EXIT", *shown])
    status, printed, said = ran(["sh", "-ec", script], beside)
    assert status == 0, said
    process_id, _, waited = printed.partition("\n")
    assert process_id == "order-17"
    assert json.loads(waited)["outcome"] == {"status": "succeeded", "value": {"lines": 2}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_names_exist(page: Path, tmp_path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    inline = re.findall(r"`((?:make|tenure) [^`]+)`", page.read_text())
    for command in {*commands(page), *inline}:
        words = command.partition("#")[0].split()
        if words[0] == "make":
            named = {word for word in words[1:] if re.fullmatch(r"[a-z-]+", word)}
            assert named <= targets, command
        else:
            status, helped, said = ran(["tenure", words[1], "--help"], tmp_path)
            assert status == 0, said
            for option in re.findall(r"--[a-z-]+", command):
                assert option in helped, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_to_what_exists(page: Path) -> None:
    for link in links(page):
        assert (page.parent / link).exists(), link
    for path in paths(page):
        assert list(ROOT.glob(path.rstrip("/"))), path
