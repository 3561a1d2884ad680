"""How large the product may grow, and that each tool of `make check` fails when it should.

A gate that cannot fail protects nothing: every tool runs here with the project's own configuration, once on a
tree that is right and once with one thing planted.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import copy

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["packages"]

PRODUCT = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("adapters/**/*.py")])
FILE_LIMIT = 400
LOOP_ADAPTER_LIMIT = 200


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_of_the_product_is_over_the_limit() -> None:
    assert PRODUCT
    assert {str(path.relative_to(ROOT)): lines(path) for path in PRODUCT if lines(path) > FILE_LIMIT} == {}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_loop_adapter_is_a_bridge_and_a_runner_only(loop: str) -> None:
    files = [path for path in PRODUCT if path.is_relative_to(ROOT / "adapters" / loop)]
    assert files
    assert sum(map(lines, files)) <= LOOP_ADAPTER_LIMIT


def run(tool: str, *arguments: str, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one tool of the environment in `cwd`, with the caches there, and the imports of `path` first."""
    environment = {"HOME": str(cwd), "PATH": f"{BIN}:/usr/bin:/bin", "COLUMNS": "200", "NO_COLOR": "1"}
    environment["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"
    if path is not None:
        environment["PYTHONPATH"] = path
    return subprocess.run(
        [str(BIN / tool), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The project's configuration over its packages, each of them empty."""
    copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    for package in PACKAGES:
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text('"""Empty."""\n')
        (tmp_path / package / "py.typed").touch()
    return tmp_path


def source_of(skeleton: Path, package: str) -> Path:
    return next(skeleton / path for path in PACKAGES if path.endswith("/" + package)) / "__init__.py"


def lint_imports(skeleton: Path) -> subprocess.CompletedProcess[str]:
    path = ":".join(str((skeleton / package).parent) for package in PACKAGES)
    return run("lint-imports", "--no-cache", cwd=skeleton, path=path)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("tenure", "tenure_driver"),
        ("tenure", "tenure_memory"),
        ("tenure_driver", "tenure_asyncio"),
        ("tenure_driver", "tenure_sqlite"),
        ("tenure_asyncio", "tenure_trio"),
        ("tenure_trio", "tenure_memory"),
        ("tenure_asyncio", "tenure_testing"),
        ("tenure_sqlite", "tenure_memory"),
        ("tenure_memory", "tenure_driver"),
        ("tenure_sqlite", "tenure_testing"),
        ("tenure_testing", "tenure_cli"),
    ],
)
def test_the_layers_refuse(skeleton: Path, importer: str, imported: str) -> None:
    source_of(skeleton, importer).write_text(f'"""Planted."""\n\nimport {imported}\n')
    linted = lint_imports(skeleton)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "BROKEN" in linted.stdout
    assert f"{importer} -> {imported}" in linted.stdout


def test_the_layers_allow_the_way_down(skeleton: Path) -> None:
    for importer, imported in [
        ("tenure_cli", "tenure_testing, tenure_asyncio, tenure_trio, tenure_sqlite"),
        ("tenure_testing", "tenure_driver, tenure_memory"),
        ("tenure_asyncio", "tenure_driver"),
        ("tenure_trio", "tenure_driver"),
        ("tenure_driver", "tenure"),
        ("tenure_sqlite", "tenure"),
    ]:
        source_of(skeleton, importer).write_text(f'"""Planted."""\n\nimport {imported}\n')
    linted = lint_imports(skeleton)
    assert linted.returncode == 0, linted.stdout + linted.stderr


UNTYPED = '"""Planted."""\n\n\ndef f(x):\n    return x\n'
MISTYPED = '"""Planted."""\n\nx: int = "text"\n'


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (UNTYPED, "[no-untyped-def]"),
        (MISTYPED, "[assignment]"),
        (MISTYPED[:-1] + "  # type: ignore\n", "[ignore-without-code]"),
    ],
)
def test_mypy_refuses(skeleton: Path, planted: str, expected: str) -> None:
    source_of(skeleton, "tenure").write_text(planted)
    checked = run("mypy", "--strict", "core", cwd=skeleton)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert expected in checked.stdout


def test_pyright_refuses(skeleton: Path) -> None:
    """One run over three plants, because starting it is slow: core, an adapter and the tests are all covered."""
    source_of(skeleton, "tenure").write_text(MISTYPED)
    source_of(skeleton, "tenure_driver").write_text(UNTYPED)
    (skeleton / "tests" / "test_planted.py").write_text('"""Planted."""\n\nx = 1  # pyright: ignore\n')
    checked = run("pyright", cwd=skeleton)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "reportAssignmentType" in checked.stdout
    assert "reportMissingParameterType" in checked.stdout
    assert "reportUnnecessaryTypeIgnoreComment" in checked.stdout


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        ("import os\n", "F401"),
        ("print(1)\n", "T201"),
        ("import datetime\n\nnow = datetime.datetime.now()\n", "DTZ005"),
        ("x = 1  # noqa\n", "PGH004"),
        (f"x = {'1' * 120}\n", "E501"),
    ],
)
def test_ruff_refuses(skeleton: Path, planted: str, rule: str) -> None:
    source_of(skeleton, "tenure").write_text(planted)
    linted = run("ruff", "check", "--no-cache", "core", cwd=skeleton)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert rule in linted.stdout


def test_the_format_is_checked(skeleton: Path) -> None:
    source_of(skeleton, "tenure").write_text("x = 'single'\n")
    assert run("ruff", "format", "--no-cache", "--check", "core", cwd=skeleton).returncode == 1


def test_what_is_right_passes(skeleton: Path) -> None:
    for arguments in (
        ["ruff", "check", "--no-cache", "core", "adapters", "tests"],
        ["ruff", "format", "--no-cache", "--check", "core", "adapters", "tests"],
        ["mypy", "--strict", "core", "adapters"],
        ["pyright"],
    ):
        checked = run(*arguments, cwd=skeleton)
        assert checked.returncode == 0, checked.stdout + checked.stderr


BRANCHED = """def f(x: bool) -> int:
    if x:
        return 1
    return 2
"""


@pytest.mark.parametrize(
    ("tested", "passes"),
    [("f(True), f(False)", True), ("f(True)", False)],
)
def test_a_branch_that_is_not_taken_fails_the_core(skeleton: Path, tested: str, passes: bool) -> None:
    source_of(skeleton, "tenure").write_text(BRANCHED)
    (skeleton / "uses.py").write_text(f"from tenure import f\n\n{tested}\n")
    assert run("coverage", "run", "uses.py", cwd=skeleton, path=str(skeleton / "core")).returncode == 0
    reported = run("coverage", "report", cwd=skeleton)
    assert (reported.returncode == 0) is passes, reported.stdout + reported.stderr


def test_no_comment_excludes_a_line_from_coverage(skeleton: Path) -> None:
    source_of(skeleton, "tenure").write_text(BRANCHED.replace("return 2", "return 2  # pragma: no cover"))
    (skeleton / "uses.py").write_text("from tenure import f\n\nf(True)\n")
    assert run("coverage", "run", "uses.py", cwd=skeleton, path=str(skeleton / "core")).returncode == 0
    assert run("coverage", "report", cwd=skeleton).returncode != 0
