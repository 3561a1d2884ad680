"""How the tests call `tenure`: in this process where they can, in one of its own where signals or exits matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import tenure_driver
from tenure.process import ClaimId, Fence, Outcome
from tenure.replies import Claimed, Reply, Succeeded
from tenure.requests import ClaimFilter, ClaimNext, Complete, Request
from tenure_cli.main import cli

NUMBERS = count(1)
TENURE = (sys.executable, "-m", "tenure_cli")


def tenure(*arguments: str, store: str | None = None, stdin: str | None = None) -> Result:
    """Run the command here. Nothing but an exit code may come out of it."""
    environment = {"TENURE_STORE": store} if store else {}
    result = CliRunner(env=environment).invoke(cli, list(arguments), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def shown(*arguments: str, store: str) -> Any:
    """What the command prints with `--json`; it has to exit 0."""
    result = tenure(*arguments, "--json", store=store)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(result: Result, code: int, *words: str) -> str:
    """The one message of a command that failed with `code`: no traceback, nothing on stdout, and these words."""
    assert result.exit_code == code, (result.exit_code, result.stderr)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    return result.stderr


def execute(store: str, *batch: Request) -> list[Reply]:
    """The raw store's replies."""
    registry = tenure_driver.open_store(store)
    try:
        answers = registry.execute(batch)
    finally:
        registry.close()
    assert all(isinstance(answer, Succeeded) for answer in answers), answers
    return [answer.reply for answer in answers if isinstance(answer, Succeeded)]


def claimed(store: str, kind: str, ttl: int = 60_000) -> Fence:
    """Hold the next process of that kind, as a worker would: each claim has a number of its own."""
    (reply,) = execute(store, ClaimNext(ClaimId("somebody", next(NUMBERS)), ttl, 1, ClaimFilter("", (kind,))))
    assert isinstance(reply, Claimed)
    return reply.grants[0].fence


def completed(store: str, kind: str, outcome: Outcome) -> None:
    """Run and end the next process of that kind."""
    execute(store, Complete(claimed(store, kind), outcome))


@contextmanager
def running(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None
) -> Generator[subprocess.Popen[str]]:
    """The command in a process of its own, killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        [*TENURE, *arguments],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
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


def line_with(process: subprocess.Popen[str], word: str) -> str:
    """The first line on stderr that has the word; the process has to write it before it ends."""
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if word in line:
            return line
    raise AssertionError(f"it ended without {word!r}: {seen}")


def until(holds: Callable[[], bool], timeout: float) -> bool:
    """Whether it held within `timeout` seconds."""
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def module(folder: Path, name: str, lines: Sequence[str]) -> None:
    """Write a module of a user's."""
    (folder / f"{name}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
