"""A user's mistake is one clear sentence and the exit code of its kind, never a traceback, and changes nothing."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from tenure.plugins import Plugin
from tenure_cli.loading import load_app
from tests.cli.commanding import module, refused, shown, tenure


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with one process."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    assert tenure("start", "resize", "1", "--id", "one", store=url).exit_code == 0
    return url


@pytest.fixture(autouse=True)
def _own_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("{", ["not JSON"]),
        ("order", ["not JSON", "quote it"]),
        ("", ["not JSON"]),
        ("NaN", ["NaN"]),
        ("[Infinity]", ["Infinity"]),
        ("-Infinity", ["-Infinity"]),
        (DEEP, ["nested"]),
        ("[" * 300 + "]" * 300, ["nested", "200"]),
        ('"\\u0000"', ["U+0000"]),
        ('"\\ud800"', ["surrogate"]),
        ('{"a": 1, "a": 2}', ["'a'", "twice"]),
        ("9" * 5_000, ["digits"]),
        ("1e999", ["not a JSON number"]),
        ('"' + "x" * (1 << 20) + '"', ["1048578 bytes", "1048576"]),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_payload_that_is_not_json_or_too_large(store: str, payload: str, words: list[str]) -> None:
    refused(tenure("start", "resize", "-", "--id", "two", store=store, stdin=payload), 2, *words)
    assert len(shown("list", store=store)["processes"]) == 1


def test_a_large_integer_comes_back_equal(store: str) -> None:
    assert tenure("start", "resize", str(2**70), "--id", "big", store=store).exit_code == 0
    assert shown("show", "big", store=store)["payload"] == 2**70


def test_a_misspelt_option_is_no_payload(store: str) -> None:
    for arguments in (["--emit", "x"], ["-x"], ["-Infinity"], ["-6", "-5"]):
        refused(tenure("start", "resize", *arguments, store=store), 2, "No such option", "-")
    refused(tenure("start", "-5", "resize", store=store), 2, "No such option", "-5")
    refused(tenure("start", "resize", "-5", "6", store=store), 2, "unexpected extra argument")
    refused(tenure("start", "resize", "-5x", store=store), 2, "not JSON")
    assert len(shown("list", store=store)["processes"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["start", "resize", "--id", ""], 3, ["blank"]),
        (["start", "resize", "--id", " \t"], 3, ["blank"]),
        (["start", "", "--id", "two"], 3, ["blank"]),
        (["start", "resize", "--id", "x" * 256], 3, ["too long", "255"]),
        (["start", "resize", "2", "--id", "one"], 3, ["'one'", "another id"]),
        (["start", "resize", "--id", "two", "--emits", "process.ended"], 3, ["registry's own"]),
        (["start", "resize", "--id", "two", "--delay", "-1"], 2, ["delay"]),
        (["start", "resize", "--id", "two", "--delay", "nan"], 2, ["delay"]),
        (["start"], 2, ["KIND"]),
        (["show", "nobody"], 3, ["'nobody'"]),
        (["events", "nobody"], 3, ["'nobody'"]),
        (["events", "one", "--follow", "--limit", "5"], 2, ["--follow", "--limit"]),
        (["cancel", "nobody"], 3, ["'nobody'"]),
        (["wait", "nobody"], 3, ["'nobody'"]),
        (["wait", "one", "--timeout", "-1"], 2, ["--timeout"]),
        (["wait", "one", "--timeout", "nan"], 2, ["--timeout"]),
        (["list", "--phase", "asleep"], 2, ["asleep"]),
        (["list", "--limit", "0"], 2, ["limit"]),
        (["show"], 2, ["ID"]),
        (["resize"], 2, ["resize"]),
        (["list", "--app", "nowhere:app"], 2, ["no module 'nowhere'"]),
    ],
)
def test_a_wrong_argument(store: str, arguments: list[str], code: int, words: list[str]) -> None:
    refused(tenure(*arguments, store=store), code, *words)
    assert [p["id"] for p in shown("list", store=store)["processes"]] == ["one"]


@pytest.mark.parametrize("command", [["list"], ["show", "one"], ["start", "resize"], ["worker", "os:sep"]])
def test_no_store_is_named(command: list[str]) -> None:
    refused(tenure(*command), 2, "--store", "TENURE_STORE")


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("jobs.db", 2, ["no store URL"]),
        ("", 2, ["no store URL"]),
        ("redis://localhost", 2, ["redis", "sqlite"]),
        ("sqlite://jobs.db", 2, ["sqlite:///"]),
        ("sqlite:///", 2, ["names no file"]),
        ("sqlite:///no/such/folder/jobs.db", 4, ["folder"]),
        ("sqlite:///folder", 4, ["folder"]),
        ("sqlite:///text.db", 4, ["text.db"]),
        ("sqlite:///other.db", 4, ["another program"]),
        ("sqlite:///newer.db", 4, ["newer"]),
    ],
)
def test_a_store_that_cannot_be_used(tmp_path: Path, url: str, code: int, words: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("a" * 5_000)
    for name, statements in (
        ("other.db", ["CREATE TABLE t (x)"]),
        (
            "newer.db",
            ["PRAGMA application_id = 0x746E7572", "PRAGMA user_version = 99", "CREATE TABLE t (x)"],
        ),
    ):
        link = sqlite3.connect(tmp_path / name)
        for statement in statements:
            link.execute(statement)
        link.commit()
        link.close()
    refused(tenure("start", "resize", "--store", url), code, *words)


@pytest.mark.parametrize("url", ["memory:", "memory://"])
@pytest.mark.parametrize(
    "command", ["start resize", "list", "show one", "cancel one", "events one", "wait one", "worker good:app"]
)
def test_a_store_in_memory_that_nobody_else_would_ever_see(tmp_path: Path, command: str, url: str) -> None:
    module(tmp_path, "good", APPS["good"])
    said = refused(tenure(*command.split(), store=url), 2, "in memory", "sqlite:///")
    assert said.count("\n") == 1, said


@pytest.mark.parametrize("command", ["list", "show one", "events one", "cancel one", "wait one"])
def test_a_misspelt_store_is_not_made(tmp_path: Path, command: str) -> None:
    refused(tenure(*command.split(), store="sqlite:///jibs.db"), 4, "there is no file", "jibs.db")
    assert not (tmp_path / "jibs.db").exists()


APPS = {
    "good": ["import tenure", "app = tenure.App()", "@app.process('k')", "def k(ctx): ...", "text = 'x'"],
    "empty": ["import tenure", "app = tenure.App()"],
    "broken": ["x = 1", "y = nothing"],
    "mistyped": ["def f(:"],
    "needy": ["import no_such_package"],
    "exits": ["import sys", "sys.exit(0)"],
    "twice": ["import tenure", "app = tenure.App()"] + ["@app.process('k')", "def k(ctx): ..."] * 2,
}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("good", ["module:app"]),
        (":app", ["module:app"]),
        ("good:", ["module:app"]),
        ("nowhere:app", ["no module 'nowhere'"]),
        ("nowhere.deeper:app", ["no module 'nowhere.deeper'"]),
        (".good:app", ["'.good'"]),
        ("good:api", ["no 'api'", "'app'"]),
        ("good:app.deeper", ["no 'app.deeper'"]),
        ("good:text", ["type str"]),
        ("empty:app", ["no handlers"]),
        ("broken:app", ["NameError", "line 2"]),
        ("mistyped:app", ["SyntaxError", "mistyped.py"]),
        ("needy:app", ["no_such_package"]),
        ("exits:app", ["SystemExit"]),
        ("twice:app", ["two handlers", "'k'"]),
    ],
)
def test_an_import_path_without_an_application(
    tmp_path: Path, store: str, path: str, words: list[str]
) -> None:
    for name, lines in APPS.items():
        module(tmp_path, name, lines)
    refused(tenure("worker", path, store=store), 2, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ttl", "0"], ["renew_interval"]),
        (["--ttl", "-1"], ["ttl"]),
        (["--ttl", "nan"], ["ttl"]),
        (["--ttl", "10", "--renew-interval", "6"], ["must not exceed"]),
        (["--max-running", "0"], ["max-running"]),
        (["--grace", "-1"], ["grace"]),
        (["--loop", "curio"], ["curio"]),
    ],
)
def test_timings_and_limits_of_a_worker(
    tmp_path: Path, store: str, arguments: list[str], words: list[str]
) -> None:
    module(tmp_path, "timed_app", APPS["good"])
    refused(tenure("worker", "timed_app:app", *arguments, store=store), 2, *words)


def test_a_missing_extra_is_named(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, "trio_app", APPS["good"])
    monkeypatch.delitem(sys.modules, "tenure_trio", raising=False)
    monkeypatch.setitem(sys.modules, "trio", None)
    refused(tenure("worker", "trio_app:app", "--loop", "trio", store=store), 2, "tenure[trio]")


def test_a_worker_takes_a_plugin_where_it_takes_an_application(tmp_path: Path) -> None:
    """With what it opens, too: an App is sugar over one."""
    lines = [*APPS["good"], "from tenure.plugins import Plugin", "web = Plugin('web', app.kinds)"]
    module(tmp_path, "plugged", lines)
    loaded = load_app("plugged:web")
    assert isinstance(loaded, Plugin)
    assert list(loaded.kinds) == ["k"]
