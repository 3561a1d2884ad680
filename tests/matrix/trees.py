"""Copies of the tree, one for each job: a patch is applied there, layers run there, and the patch is taken back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.keeping import names_in
from tests.matrix.layers import PACKAGES, SECONDS, Part
from tests.matrix.patches import ROOT, BadPatch, Patch

PARTS = ("core", "adapters", "tests", "docs", "pyproject.toml", "README.md", "Makefile", "constraints.txt")
"""What a layer needs of the tree."""

FAILURES = 2
"""Failures after which a run of pytest stops: enough to see what they name."""

_LATER = 10
"""Seconds by which a patched file is younger, so that its compiled form is not taken for the other's."""


@frozen
class Verdict:
    """What a layer made of a tree. `seen`: the properties that the failures' own texts name. `kept`: those that the
    failed tests say that they keep. `first`: the test that failed first, or what else went wrong."""

    killed: bool
    seen: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    first: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(dict.fromkeys((*self.seen, *self.kept)))


class Tree:
    """A copy of the tree in `folder`."""

    def __init__(self, folder: Path, like: Tree | None = None) -> None:
        """A copy of the working tree; or of another copy, with all that was compiled there."""
        self.folder = folder
        if like is not None:
            shutil.copytree(like.folder, folder)
            return
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(
                    source, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis")
                )
            elif source.exists():
                shutil.copy2(source, folder / part)

    @contextmanager
    def patched(self, patch: Patch) -> Generator[None]:
        """With the bug in it. Raises BadPatch where the patch does not fit, or makes no program."""
        path = self.folder / patch.file
        shipped, times = path.read_text(encoding="utf-8"), path.stat()
        text = patch.applied(shipped)
        try:
            compile(text, patch.file, "exec")
        except SyntaxError as error:
            raise BadPatch(f"{patch.id}: {patch.file} does not compile with it: {error}") from error
        path.write_text(text, encoding="utf-8")
        os.utime(path, (times.st_atime + _LATER, times.st_mtime + _LATER))
        try:
            yield
        finally:
            path.write_text(shipped, encoding="utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def imported(self) -> dict[str, str]:
        """Where each package is imported from, when run in this tree."""
        names = [Path(package).name for package in PACKAGES]
        program = f"import {', '.join(names)}\nfor m in ({', '.join(names)},): print(m.__name__, m.__file__)"
        said = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=self._env(keep_compiled=True),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return dict(line.split(" ", 1) for line in said.stdout.splitlines())

    def run(self, part: Part, *, keep_compiled: bool = False) -> Verdict:
        """The verdict of a layer's part."""
        pytest = [
            "pytest",
            "-q",
            "--tb=short",
            "--no-header",
            f"--maxfail={FAILURES}",
            "-p",
            "no:cacheprovider",
        ]
        pytest += ["--hypothesis-profile=matrix", f"--basetemp={self.folder / '.tmp'}", *part.tests]
        with subprocess.Popen(
            [sys.executable, "-m", *(part.program or pytest)],
            cwd=self.folder,
            env=self._env(keep_compiled=keep_compiled),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return Verdict(True, first=f"hung for {SECONDS} s")
        return verdict_of(process.returncode, said)

    def _env(self, *, keep_compiled: bool) -> dict[str, str]:
        """Only the copy's packages are found: PYTHONPATH comes before what the editable installation adds."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
        sources = {str((self.folder / package).parent) for package in PACKAGES}
        sources |= {
            str(self.folder),
            *(str(path) for path in (self.folder / "adapters").iterdir() if path.is_dir()),
        }
        return kept | {
            "PYTHONPATH": os.pathsep.join(sorted(sources)),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "" if keep_compiled else "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / ".hypothesis"),
        }


def verdict_of(status: int, said: str) -> Verdict:
    """What pytest's exit status and output say."""
    if status == 0:
        return Verdict(False)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+?(?:\[.*?\])?)(?: - .*)?$", said, re.MULTILINE)
    first = failed[0] if failed else f"pytest ended with {status}: {said.strip().splitlines()[-1:]}"
    seen, kept = (
        tuple(names_in("\n".join(line for line in said.splitlines() if line.startswith(mark))))
        for mark in ("E  ", "keeps: ")
    )
    return Verdict(True, seen, kept, first)
