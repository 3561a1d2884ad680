"""Other operating system processes, that run a module of this folder and talk by lines (`talking.py`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeAlias

from tests.docs.pages import ROOT

PATIENCE = 600
"""Seconds until a child is given up; a bound, not a speed."""

Child: TypeAlias = subprocess.Popen[str]


def command(module: str, act: str, *words: str) -> list[str]:
    """How the module's act is run; from the project's folder."""
    return [sys.executable, "-m", f"tests.stores.{module}", act, *words]


@contextmanager
def child(module: str, act: str, *words: str) -> Generator[Child]:
    """The running act; whatever is left of it at the end is killed."""
    with subprocess.Popen(
        command(module, act, *words), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: Child) -> str:
    """The next one that it says."""
    assert running.stdout
    return running.stdout.readline().strip()


def go(running: Child) -> None:
    """Tell it to go on."""
    assert running.stdin
    running.stdin.write("go\n")
    running.stdin.flush()


def ended(running: Child) -> list[str]:
    """What it still said, once it has ended well."""
    said, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
    return said.splitlines()
