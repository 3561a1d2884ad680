"""Two installs of one commit bring the same packages, and each direct one is there for a reason."""

import re
import tomllib
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Brought by `python -m venv`, not by our install; tenure is what is installed.
NOT_OURS = {"pip", "setuptools", "tenure"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [
        re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines if not line.startswith("#")
    ]
    assert all(found), "a line of constraints.txt is not name==version"
    return {match[1]: match[2] for match in found if match}


def direct_dependencies() -> set[str]:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras: dict[str, list[str]] = data["project"]["optional-dependencies"]
    wanted = [*data["project"]["dependencies"], *data["build-system"]["requires"], *chain(*extras.values())]
    return {canonical(re.split(r"[^A-Za-z0-9._-]", requirement)[0]) for requirement in wanted} - NOT_OURS


def test_everything_installed_is_pinned() -> None:
    installed = {canonical(found.name): found.version for found in distributions()}
    assert {name: version for name, version in installed.items() if name not in NOT_OURS} == {
        name: version for name, version in pins().items() if name in installed
    }


def test_every_direct_dependency_is_pinned() -> None:
    assert direct_dependencies() <= pins().keys()


def test_every_direct_dependency_has_its_reason() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = guide.partition("## Dependencies")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    named = {name for name, _, _ in rows} - {"package", "---"}
    assert named == direct_dependencies()
    assert all(len(reason.split()) > 1 for name, _, reason in rows if name in named)


def test_no_file_of_the_install_names_an_address() -> None:
    for name in ("constraints.txt", "pyproject.toml", "Makefile", ".ci/run"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8"), name
