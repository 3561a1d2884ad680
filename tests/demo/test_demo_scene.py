"""The demo as it happens, with workers that do nothing: all the work is done before anything could be shown on it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tenure.process import Cancelled, ClaimId, Fence
from tenure.replies import Claimed, Succeeded
from tenure.requests import ClaimFilter, ClaimNext, Complete
from tenure.stores import ProcessRegistry
from tenure_cli.demo import scene
from tenure_cli.demo.children import Children
from tenure_cli.demo.display import PlainDisplay, Seen
from tenure_cli.demo.handler import KIND
from tenure_cli.demo.journal import Journal, What
from tenure_cli.demo.library import File, Library
from tenure_cli.demo.scene import DemoFailed, Scene
from tenure_sqlite import open_store

FILES = Library(tuple(File(f"f{n}.py", f"/f{n}.py") for n in range(20)), 0)
IDLE = [sys.executable, "-c", "import sys; sys.stdin.read()"]
"""A worker that ends with the demo, and does nothing until then."""


class Elsewhere(PlainDisplay):
    """Whenever the demo shows how far it is, somebody else ends all processes. Where the first worker is to `hold`
    one, that one goes on until the worker is killed."""

    def __init__(self, store: ProcessRegistry, folder: Path, hold: bool) -> None:
        super().__init__()
        self._store, self._folder, self._hold, self._n = store, folder, hold, 0
        self._held: list[Fence] = []

    def progress(self, done: int, total: int, workers: Sequence[Seen]) -> None:
        """End them."""
        first = workers[0]
        if self._hold:
            self._hold = False
            journal = Journal(self._folder / f"{first.name}.ndjson")
            journal.write(What.READY, key=first.name)
            journal.close()
            self._held = self._claim(first.name, 1)
        while fences := self._claim("elsewhere", 100):
            self._end(fences)
        if first.state == "killed":
            self._end(self._held)
            self._held = []

    def _claim(self, owner: str, most: int) -> list[Fence]:
        self._n += 1
        request = ClaimNext(ClaimId(owner, self._n), 60_000, most, ClaimFilter("", (KIND,)))
        (answer,) = self._store.execute([request])
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Claimed)
        return [grant.fence for grant in answer.reply.grants]

    def _end(self, fences: list[Fence]) -> None:
        self._store.execute([Complete(fence, Cancelled("")) for fence in fences])


@pytest.mark.parametrize(
    ("hold", "words"), [(False, "a worker to have some in its hands"), (True, "a worker to stop itself")]
)
def test_when_all_has_ended_nothing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold: bool, words: str
) -> None:
    monkeypatch.setattr(scene, "PATIENCE", 5.0)
    store = open_store(f"sqlite:///{tmp_path}/demo.db")
    try:
        shown = Elsewhere(store, tmp_path, hold)
        with Children(IDLE, tmp_path) as children, pytest.raises(DemoFailed, match=words) as failed:
            Scene(store, children, tmp_path, shown).play(FILES)
    finally:
        store.close()
    assert "all 400 processes have ended" in str(failed.value)
    assert "again on the same store" in str(failed.value)
