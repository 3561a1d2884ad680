"""Places that are no store: one clear sentence each, at once, and nothing is changed there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.errors import InvalidValue, StoreUnusable
from tenure.process import Registration, Work
from tenure.replies import Succeeded
from tenure.requests import Get, Register
from tenure.stores import DurabilityTier
from tenure_memory import open_store as open_memory
from tenure_sqlite import open_store
from tenure_sqlite.location import path_of
from tenure_sqlite.schema import APPLICATION_ID, VERSION
from tests.docs.pages import ROOT
from tests.stores.children import command


def unusable(path: Path, *words: str) -> None:
    """Opening the path fails with one sentence that names it and says these words."""
    with pytest.raises(StoreUnusable) as raised:
        open_store(f"sqlite:///{path}")
    message = str(raised.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


def raw(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        for statement in statements:
            link.execute(statement)


def test_urls_name_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of("sqlite:///jobs.db") == tmp_path / "jobs.db"
    assert path_of("sqlite:////var/lib/jobs.db") == Path("/var/lib/jobs.db")
    assert path_of("sqlite:///a%20b/%C3%A9%3F%23.db") == tmp_path / "a b" / "é?#.db"
    assert path_of("sqlite:///./x") == tmp_path / "x"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite::memory:",
        "sqlite:///:memory:",
        "sqlite://host/file.db",
        "sqlite:file.db",
        "sqlite:///file.db?mode=ro",
        "sqlite:///a%00b",
        "postgresql:///db",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidValue, match="sqlite"):
        open_store(url)


def test_memory_takes_its_own_url_only() -> None:
    for url in ("memory:///x", "sqlite:///x", ""):
        with pytest.raises(InvalidValue):
            open_memory(url)
    assert open_memory("memory:").tier is DurabilityTier.INLINE


def test_any_name_that_a_file_can_have(tmp_path: Path) -> None:
    folder = tmp_path / "a b#%é"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder}/j?.db".replace("%", "%25").replace("?", "%3F"))
    store.execute([Register(Registration("p", Work("k")))])
    assert (folder / "j?.db").exists()
    assert store.tier is DurabilityTier.DURABLE
    store.close()


def test_a_store_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is resolved once: changing the directory afterwards makes no second file."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///s.db")
    monkeypatch.chdir(elsewhere)
    (answer,) = store.execute([Register(Registration("p", Work("k")))])
    assert isinstance(answer, Succeeded)
    store.close()
    assert list(elsewhere.iterdir()) == []


def test_a_directory(tmp_path: Path) -> None:
    unusable(tmp_path, "is a directory")


def test_a_missing_folder(tmp_path: Path) -> None:
    unusable(tmp_path / "no" / "s.db", "does not exist", str(tmp_path / "no"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    unusable(tmp_path / "file" / "s.db", "does not exist")


@pytest.mark.parametrize(
    "text", ["hello", "not a database, but long enough for a header of SQLite's own " * 40]
)
def test_not_a_database(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.db"
    path.write_text(text)
    unusable(path, "is not a database")
    assert path.read_text() == text


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    raw(path, "CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)")
    before = path.read_bytes()
    unusable(path, "another program")
    assert path.read_bytes() == before
    raw(path, "DROP TABLE theirs", "PRAGMA application_id = 7")
    unusable(path, "another program")
    raw(path, "PRAGMA application_id = 0", "PRAGMA user_version = 3")
    unusable(path, "another program")


def test_a_newer_schema(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    open_store(f"sqlite:///{path}").close()
    raw(path, f"PRAGMA user_version = {VERSION + 1}")
    unusable(path, f"schema {VERSION + 1}", "upgrade")
    raw(path, "PRAGMA user_version = 0")
    unusable(path, "schema 0")


def test_an_empty_file_and_a_half_made_one_are_new(tmp_path: Path) -> None:
    """Somebody's `touch`, and a process killed right after the file was made."""
    (tmp_path / "empty.db").touch()
    raw(tmp_path / "half.db", "PRAGMA journal_mode = WAL")
    for name in ("empty.db", "half.db"):
        store = open_store(f"sqlite:///{tmp_path}/{name}")
        (answer,) = store.execute([Register(Registration("p", Work("k")))])
        assert isinstance(answer, Succeeded)
        store.close()


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    """`application_id`, `user_version`, strict tables, a write-ahead log: for whoever looks at the file."""
    path = tmp_path / "s.db"
    store = open_store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as link:
        assert link.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert link.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        tables = link.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
        assert {strict for name, strict in tables if not name.startswith("sqlite_")} == {1}
    store.close()


def test_a_store_that_lost_its_log_mode_gets_it_back(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    open_store(f"sqlite:///{path}").close()
    raw(path, "PRAGMA journal_mode = DELETE")
    open_store(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as link:
        assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", ["file", "folder", "hidden"])
def test_what_may_only_be_read(open_folder: Path, what: str) -> None:
    """Seen by a process without root's rights, whoever runs the tests."""
    path = open_folder / "s.db"
    store = open_store(f"sqlite:///{path}")
    store.execute([Register(Registration("p", Work("k")))])
    store.close()
    path.chmod({"file": 0o444, "folder": 0o666, "hidden": 0o000}[what])
    open_folder.chmod(0o777 if what != "folder" else 0o555)
    words = command("sqlite_child", "unwritable", f"sqlite:///{path}", str(path))
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.startswith("StoreUnusable True"), ended.stdout + ended.stderr
    assert "give this user the right" in ended.stdout
    open_folder.chmod(0o755)
    path.chmod(0o644)
    store = open_store(f"sqlite:///{path}")
    (answer,) = store.execute([Get("p")])
    assert isinstance(answer, Succeeded)
    store.close()
