"""The demo's parts, each by itself: what it measures, what it takes for its input, what it registers, what it shows."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from attrs import evolve
from rich.console import Console

from tenure.instants import StoreTime
from tenure.process import Record, Success
from tenure_cli.demo import display, library, rounds
from tenure_cli.demo.display import LiveDisplay, PlainDisplay, Seen
from tenure_cli.demo.evidence import RUNS, runs_seconds
from tenure_cli.demo.journal import Damaged, Journal, Line, What, lines
from tenure_cli.demo.library import File, Library, learnt
from tenure_cli.demo.measure import INLINE, FileChanged, measure, read

# --- measuring ------------------------------------------------------------------------------------------------------

SOURCE = """\
class One:
    def two(self, a):
        if a:
            return [b for b in self]
        elif self:
            return self
        elif a:
            with a: pass

async def three(): ...
"""


def write(folder: Path, content: str | bytes) -> str:
    path = folder / "file.py"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_file_is_read_and_measured(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCE)
    source = read(path)
    assert (source.size, source.text) == (len(SOURCE), SOURCE)
    found = measure("file.py", path, source)
    assert (found.path, found.size, found.lines, found.parses) == ("file.py", len(SOURCE), 10, True)
    assert (found.functions, found.classes, found.depth) == (2, 1, 4)
    assert found.names == {"a": 3, "self": 3, "b": 2}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("def (:\n", "SyntaxError"),
        (b"x = '\xff'\n", "SyntaxError"),
        (b"# coding: nonsense\n", "SyntaxError"),
        (b"x = 1\0\n", "null byte"),
        ("(" * 5_000 + ")" * 5_000, "Error"),
        ("-" * 200_000 + "1", "Error"),
    ],
)
def test_a_file_that_does_not_parse_is_measured_as_that(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    path = write(tmp_path, content)
    found = measure("file.py", path, read(path))
    assert (found.parses, found.functions, found.names) == (False, 0, {})
    assert why in found.why


@pytest.mark.parametrize(
    ("content", "counted"), [("", 0), ("\n", 1), ("x = 1", 1), ("x = 1\ny = 2", 2), ("x = 1\r\n", 1)]
)
def test_lines(tmp_path: Path, content: str, counted: int) -> None:
    path = write(tmp_path, content)
    assert measure("file.py", path, read(path)).lines == counted


def test_a_text_in_another_encoding_is_kept_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "# coding: latin-1\nx = 'ü'\n".encode("latin-1"))
    source = read(path)
    assert source.text == "# coding: latin-1\nx = 'ü'\n"
    assert measure("file.py", path, source).parses


def test_a_large_file_is_read_again_and_must_be_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, "x = 1\n" + "#" * INLINE)
    source = read(path)
    assert source.text is None
    assert measure("file.py", path, source).lines == 2
    write(tmp_path, "x = 2\n" + "#" * INLINE)
    with pytest.raises(FileChanged):
        measure("file.py", path, source)


# --- the library ----------------------------------------------------------------------------------------------------


def test_the_library_is_the_whole_standard_library() -> None:
    found = library.library()
    names = [file.name for file in found.files]
    assert {"json/decoder.py", "ast.py"} <= set(names)
    assert len(set(names)) == len(names)
    assert found.added == sum(name.startswith("site-packages/") for name in names)
    assert (found.added > 0) == (len(names) - found.added < library.FEWEST)


def test_site_packages_are_added_to_a_small_one_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "FEWEST", 1_000_000)
    found = library.library()
    assert 0 < found.added <= library.MOST_ADDED
    assert f"{found.added} of them of site-packages" in found.said


def test_a_few_files_are_spread_over_the_library() -> None:
    found = library.library(10)
    assert len(found.files) == 10
    assert found.files[-1].name > "m"


def test_what_is_learnt_counts_a_file_once() -> None:
    figures = {
        "size": 1,
        "lines": 2,
        "functions": 3,
        "classes": 4,
        "depth": 5,
        "parses": True,
        "names": {"x": 6},
    }
    found = learnt([{"path": "a"} | figures, {"path": "a"} | figures, {"path": "b"} | figures | {"depth": 9}])
    assert (found.files, found.parsed, found.lines, found.functions) == (2, 2, 4, 6)
    assert found.deepest == (9, "b")
    assert found.names == (("x", 12),)


# --- rounds ---------------------------------------------------------------------------------------------------------

FILES = Library(tuple(File(f"f{n}.py", f"/f{n}.py") for n in range(10)), 0)


def record(number: int, round_: int, *, ended: bool) -> Record:
    made = rounds.registration(FILES.files[number], round_)
    one = Record(made, number + 1, 1, StoreTime(1), StoreTime(1))
    return evolve(one, outcome=Success()) if ended else one


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten processes are enough."""
    monkeypatch.setattr(rounds, "ENOUGH", len(FILES.files))


@pytest.mark.usefixtures("few")
def test_at_first_each_file_is_registered_once() -> None:
    wanted = rounds.missing(FILES, [])
    assert [one.id for one in wanted] == [file.name for file in FILES.files]


@pytest.mark.usefixtures("few")
def test_a_round_that_broke_off_is_completed() -> None:
    wanted = rounds.missing(FILES, [record(n, 1, ended=False) for n in range(6)])
    assert [one.id for one in wanted] == ["f6.py", "f7.py", "f8.py", "f9.py"]


@pytest.mark.usefixtures("few")
def test_another_round_follows_where_too_few_are_left() -> None:
    known = [record(n, 1, ended=n > 0) for n in range(10)]
    wanted = rounds.missing(FILES, known)
    assert [one.id for one in wanted] == [f"round-2/f{n}.py" for n in range(10)]
    known += [record(n, 2, ended=True) for n in range(10)]
    assert [one.id for one in rounds.missing(FILES, known)] == [f"round-3/f{n}.py" for n in range(10)]


@pytest.mark.parametrize("number", [1, 6, 10])
def test_however_few_files_there_are_there_is_enough_to_do(number: int) -> None:
    wanted = rounds.missing(Library(FILES.files[:number], 0), [])
    assert rounds.ENOUGH <= len({one.id for one in wanted}) == len(wanted) < rounds.ENOUGH + number
    assert rounds.rounds_of(wanted) == f"round-1 to round-{-(-rounds.ENOUGH // number)}"


def test_without_any_file_there_is_nothing_to_do() -> None:
    assert rounds.missing(Library((), 0), []) == []
    assert rounds.rounds_of([]) == ""


def test_the_rounds_in_words() -> None:
    second = [rounds.registration(file, 2) for file in FILES.files]
    assert rounds.rounds_of(second) == "round-2"
    assert rounds.rounds_of([*second, rounds.registration(FILES.files[0], 10)]) == "round-2 to round-10"


# --- the workers' files ---------------------------------------------------------------------------------------------


def test_a_line_comes_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w.ndjson")
    began = journal.write(What.EFFECT_BEGUN, "p", 7, "read")
    ended = journal.write(What.EFFECT_ENDED, "p", 7, "read", since=began)
    journal.close()
    assert list(lines(tmp_path / "w.ndjson")) == [
        Line(What.EFFECT_BEGUN, "p", 7, "read", began, None),
        Line(What.EFFECT_ENDED, "p", 7, "read", began, ended),
    ]
    assert ended > began


def test_what_is_no_line_is_told_apart_from_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "w.ndjson"
    path.write_bytes(b'{"what": "sta')
    assert list(lines(path)) == []
    path.write_bytes(b'{"what": "sta\n')
    with pytest.raises(Damaged, match="line 1"):
        list(lines(path))


def test_the_seconds_of_all_runs_are_added_up(tmp_path: Path) -> None:
    (tmp_path / RUNS).write_text(
        '{"run": "a", "at": 1000000000}\n{"run": "a", "at": 3000000000}\n{"run": "a", "a\n'
        '{"run": "b", "at": 500000000}\n{"run": "b", "at": 1000000000}\n'
    )
    assert runs_seconds(tmp_path) == 2.5


# --- the display ----------------------------------------------------------------------------------------------------

WORKERS = [Seen("w1", "trio", 12, "killed"), Seen("w2", "asyncio", 13, "running")]


def test_plain_lines_where_stderr_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "EVERY", 0.0)
    with display.display() as shown:
        assert isinstance(shown, PlainDisplay)
        shown.say("something\x1b[2J happened")
        shown.progress(3, 9, WORKERS)
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.endswith("s  something\\x1b[2J happened")
    assert second.endswith("s  3 of 9 processes ended; w1 killed, w2 running")


def test_a_live_display_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = io.StringIO()
    with LiveDisplay(Console(file=text, force_terminal=True, width=80)) as shown:
        shown.say("something [bold]happened\x1b[2J")
        shown.progress(3, 9, WORKERS)
    assert "something [bold]happened\\x1b[2J" in text.getvalue()
    assert "3/9" in text.getvalue()
    assert "killed" in text.getvalue()
    assert text.getvalue().rindex("\x1b[?25h") > text.getvalue().rindex("\x1b[?25l"), (
        "the cursor is shown again"
    )


def test_the_terminal_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(display.display(), LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display.display(), PlainDisplay)
