"""The command `tenure demo`."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from tenure.canonical import digest, parsed
from tenure.errors import StoreUnusable
from tenure.process import Success
from tenure_cli.exits import DONE, FAILED, REFUSED, data, data_json, end, say
from tenure_cli.options import file_of, json_option, lasting, shown

if TYPE_CHECKING:
    from tenure.stores import ProcessRegistry
    from tenure_cli.demo.library import Library

TTL = 3.0
"""Seconds that the demo's leases last: so short that a take-over is quickly seen."""
MAX_RUNNING = 16


@click.command(short_help="See a worker killed, another one stopped, and nothing lost.")
@click.option(
    "--store",
    "url",
    metavar="URL",
    help="A store of your own, or of an earlier demo, which then goes on.  [default: a new SQLite file]",
)
@click.option(
    "--files",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take N files only; a few of them are measured again and again.",
)
@json_option
@click.pass_context
def demo(ctx: click.Context, url: str | None, files: int | None, as_json: bool) -> None:
    """Measure every source file of the standard library, a process each, with three workers.

    One worker is killed and replaced. Another stops itself just before it writes an outcome, and is continued when
    others have taken over its processes: the store refuses what it then writes. An audit follows, of the store and of
    what the workers wrote down beside it; the exit code is 1 where it does not hold.
    """
    from tenure_cli.demo.audit import audit
    from tenure_cli.demo.evidence import gather
    from tenure_cli.demo.handler import KIND
    from tenure_cli.demo.library import learnt, library
    from tenure_cli.demo.report import print_report
    from tenure_driver import open_store

    signal.signal(signal.SIGTERM, _terminated)
    url = lasting(url or _new_store())
    store = open_store(url)
    try:
        folder = _folder(url)
        tell = say if as_json else data
        tell(f"store: {shown(url)}")
        tell(f"files of the workers: {folder}")
        input_ = library(files)
        tell(input_.said)
        with alone(folder):
            _play(store, url, folder, input_)
            evidence = gather(store, folder, KIND)
    finally:
        store.close()
    audited = audit(evidence)
    if as_json:
        data_json(audited.shape(shown(url)))
    else:
        values = (parsed(r.outcome.value) for r in evidence.records if isinstance(r.outcome, Success))
        print_report(learnt(values), audited)
    ctx.exit(DONE if audited.ok else FAILED)


def _play(store: ProcessRegistry, url: str, folder: Path, input_: Library) -> None:
    from tenure_cli.demo.children import ChildEnded, Children
    from tenure_cli.demo.display import display
    from tenure_cli.demo.scene import DemoFailed, Scene

    command = [sys.executable, "-P", "-m", "tenure_cli.demo.worker", "--store", url]
    command += ["--ttl", str(TTL), "--max-running", str(MAX_RUNNING)]
    try:
        with display() as screen, Children(command, folder) as children:
            Scene(store, children, folder, screen).play(input_)
    except (DemoFailed, ChildEnded) as error:
        end(str(error), FAILED)
    except KeyboardInterrupt:
        say(f"to go on: tenure demo --store {shown(url)}")
        raise


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # by an exception, so that the display and the children are put away


def _new_store() -> str:
    return "sqlite:///" + quote(str(Path(tempfile.mkdtemp(prefix="tenure-demo-"), "demo.db")))


def _folder(url: str) -> Path:
    """Where the workers' files are: beside the database, or, for a store that is no file, in the working directory."""
    path = file_of(url)
    folder = (
        Path.cwd() / f"tenure-demo-{digest(url)[:12]}"
        if path is None
        else path.with_name(path.name + ".demo")
    )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreUnusable(f"{folder}, for the workers' files, cannot be made: {error.strerror}") from error
    return folder


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Nobody else runs the demo on this store: two would wait for one another's workers."""
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            end("another demo is running on this store; wait for its end, or name another", REFUSED)
        yield
    finally:
        os.close(held)
