"""Which exit code each of tenure's errors means."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure import errors
from tenure.errors import TenureError
from tenure_cli.exits import code_of
from tenure_cli.options import shown
from tests.cli.commanding import module, running

CODES = {
    1: {
        "BlankProcessId",
        "ContentCorrupt",
        "ContentNotFound",
        "EffectFailed",
        "EffectHostFailed",
        "EffectKeyReused",
        "EffectUnreadable",
        "EntryConflict",
        "EntryNotFound",
        "FacetMissing",
        "HandlerStopped",
        "HeadMoved",
        "LeaseLost",
        "LeaseRequired",
        "Misuse",
        "OwnerScopeMissing",
        "PluginFailed",
        "ProcessCancelled",
        "ProcessFailed",
        "ProfileMismatch",
        "ServicesFailed",
        "SessionBusy",
        "SessionCorrupt",
        "SessionFull",
        "SessionUnavailable",
        "TenureError",
        "TierMismatch",
        "Unfit",
    }
    | {"WorkerClosed", "WorkerCrashed"},
    2: {
        "DuplicateKind",
        "DuplicatePlugin",
        "EventMismatch",
        "ForkedProcess",
        "InvalidTimings",
        "InvalidValue",
        "NotJson",
        "TooLarge",
        "UnknownKind",
    },
    3: {
        "Conflict",
        "EffectMismatch",
        "ProcessNotFound",
        "RequestRefused",
        "UndeclaredEvent",
        "WorkerRefused",
    },
    4: {"StoreUnavailable", "StoreUnknown", "StoreUnusable"},
    124: {"WaitTimeout"},
}


def test_each_error_has_its_code() -> None:
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    found: dict[int, set[str]] = {}
    for name, kind in kinds.items():
        assert issubclass(kind, TenureError)
        found.setdefault(code_of(kind.__new__(kind)), set()).add(name)
    assert found == CODES


def test_a_worker_that_crashed_because_of_its_store_says_so() -> None:
    crashed = errors.WorkerCrashed()
    crashed.__cause__ = errors.StoreUnusable()
    assert code_of(crashed) == 4


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_worker_whose_thread_dies_exits_1(tmp_path: Path, loop: str) -> None:
    lines = ["import tenure", "from tenure_driver import threads", "app = tenure.App()", "@app.process('k')"]
    lines += [
        "def k(ctx): ...",
        "def feed(self): raise RuntimeError('planted')",
        "threads.Threads._feed = feed",
    ]
    module(tmp_path, "crashing", lines)
    arguments = ["worker", "crashing:app", "--store", "sqlite:///jobs.db", "--loop", loop]
    with running(*arguments, cwd=tmp_path, environment={"NO_COLOR": "1"}) as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (1, ""), err
        assert "planted" in err


def test_a_password_is_not_printed() -> None:
    assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert shown("sqlite:///a:b@c.db") == "sqlite:///a:b@c.db"
    assert shown("postgresql://[::1") == "postgresql://[::1"
