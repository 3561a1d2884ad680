"""The purity gate passes on the shipped core, and each of its rules is seen to fail on a planted source."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree

import pytest

from tests.gates import purity


def reasons(source: str) -> list[str]:
    return [f"{breach.line}: {breach.reason}" for breach in purity.check_source(source, Path("planted.py"))]


def test_the_shipped_core_is_pure() -> None:
    assert (purity.CORE / "tenure").is_dir()
    assert any(purity.CORE.rglob("*.py"))
    assert [str(breach) for breach in purity.check_tree(purity.CORE)] == []


@pytest.mark.parametrize(
    "module",
    [
        "os",
        "time",
        "random",
        "asyncio",
        "threading",
        "attr",
        "cattrs",
        "trio",
        "importlib",
        "builtins",
        "tenure_driver",
    ],
)
def test_a_module_off_the_list_is_refused(module: str) -> None:
    expected = [f"2: imports {module}, which is not on the allow-list"]
    assert reasons(f"import json\nimport {module}\n") == expected
    assert reasons(f"import json\nfrom {module} import anything\n") == expected
    assert reasons(f"def lazily():\n    import {module}\n") == expected


@pytest.mark.parametrize("module", sorted(purity.ALLOWED_MODULES))
def test_a_module_on_the_list_is_allowed(module: str) -> None:
    assert reasons(f"import {module}\n") == []


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("from json import codecs", "codecs"),
        ("import json\njson.codecs.open('x')", "codecs"),
        ("import json as j\nj.codecs.open('x')", "codecs"),
        ("import re\nre.enum.sys.stdout.write('x')", "sys"),
        ("import collections.abc\ncollections._sys.exit()", "sys"),
    ],
)
def test_a_module_reached_through_another_one_is_refused(source: str, reached: str) -> None:
    assert [reason for reason in reasons(source) if f"reaches the module {reached} through" in reason]


@pytest.mark.parametrize("name", sorted(purity.REFUSED_NAMES))
def test_a_refused_name_is_refused_as_a_call_and_as_a_value(name: str) -> None:
    assert reasons(f"\n{name}('x')") == [f"2: calls {name}"]
    assert reasons(f"\nx = sorted(map({name}, 'x'))") == [f"2: takes the builtin {name} as a value"]
    # A field of that name does not make the builtin another thing inside the methods.
    assert reasons(f"class C:\n    {name}: str\n    def f(self):\n        return {name}") == [
        f"4: takes the builtin {name} as a value"
    ]


def test_a_parameter_or_field_may_have_a_refused_name() -> None:
    assert reasons("def start(*, id: str) -> str:\n    return id") == []
    assert reasons("class Process:\n    id: str\n    same = id") == []
    assert reasons("def f(process):\n    return process.id, [id for id in process.ids]") == []
    assert reasons("def f(id):\n    return id()") == ["2: calls id"]


@pytest.mark.parametrize(
    "source",
    [
        "__builtins__['open']('x')",
        "getattr(__builtins__, 'open')",
        "getattr(anything, 'eval')",
        "getattr(anything, '__globals__')",
        "import operator\noperator.attrgetter('__globals__')",
        "globals()['__builtins__']",
        "vars()",
        "compile('1', 'x', 'eval')",
        "breakpoint()",
        "f.__globals__['open']",
        "().__class__.__base__.__subclasses__()",
        "'x'.__hash__()",
        "__loader__.load_module('os')",
    ],
)
def test_ways_around_are_refused(source: str) -> None:
    assert [reason for reason in reasons(source) if "a way around the allow-list" in reason]


@pytest.mark.parametrize(
    "source",
    [
        "for x in {1, 2}:\n    f(x)",
        "for x in set(y):\n    f(x)",
        "for x in frozenset(y) - z:\n    f(x)",
        "for x in a | {b}:\n    f(x)",
        "for x in set(y).union(z):\n    f(x)",
        "[x for x in {1, 2}]",
        "(x for x in set(y))",
        "{x: 1 for x in frozenset(y)}",
        "{x for x in {z for z in y}}",
        "tuple({1, 2})",
        "list(set(y))",
        "enumerate(set(y))",
        "','.join({'a', 'b'})",
        "f(*set(y))",
        "[*{1, 2}]",
        "a, b = {1, 2}",
        "def f():\n    yield from set(y)",
        "def f(names: frozenset[str]):\n    return [x for x in names]",
        "def f(names: 'frozenset[str] | None'):\n    return [x for x in names]",
        "def f():\n    names = set(y)\n    for x in names:\n        g(x)",
        "NAMES: Final[frozenset[str]] = y\ndef f():\n    return tuple(NAMES)",
        "class C:\n    kinds: frozenset[str]\ndef f(c):\n    return [x for x in c.kinds]",
    ],
)
def test_the_order_of_a_set_is_refused(source: str) -> None:
    assert [reason for reason in reasons(source) if "iterates a set, whose order differs" in reason]


@pytest.mark.parametrize(
    "source",
    [
        "for x in sorted({1, 2}):\n    f(x)",
        "len({1, 2}) + max(set(y))",
        "frozenset({1, 2}) | {*a, *b}",
        "x in {1, 2}",
        "def f(names: tuple[str, ...]):\n    return [x for x in names]",
        "class C:\n    k: frozenset[str]\nclass D:\n    k: tuple[str, ...]\ndef f(d):\n    return list(d.k)",
    ],
)
def test_what_shows_no_order_is_allowed(source: str) -> None:
    assert reasons(source) == []


def test_a_set_field_of_one_file_is_known_in_another(tmp_path: Path) -> None:
    (tmp_path / "declares.py").write_text("class C:\n    kinds: frozenset[str]\n")
    (tmp_path / "iterates.py").write_text("def f(c):\n    return tuple(c.kinds)\n")
    assert [breach.path.name for breach in purity.check_tree(tmp_path)] == ["iterates.py"]


def test_the_program_prints_file_and_line_and_fails(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("import json\nimport socket\n")
    program = [sys.executable, str(Path(purity.__file__)), str(tmp_path)]
    run = subprocess.run(program, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout == f"{planted}:2: imports socket, which is not on the allow-list\n"
    planted.write_text("import json\n")
    assert subprocess.run(program, check=False).returncode == 0


IMPORT_THE_CORE = """
import importlib, json, pkgutil, sys
sys.path[:0] = [{library!r}, {core!r}]
for name in {allowed!r}:
    importlib.import_module(name)
before = set(sys.modules)
import tenure
for module in pkgutil.walk_packages(tenure.__path__, "tenure."):
    importlib.import_module(module.name)
print(json.dumps([sorted(set(sys.modules) - before), tenure.__file__]))
"""


def import_the_core(library: Path, core: Path) -> tuple[list[str], str]:
    """Import every module of the core beside attrs alone; returns what this added, and where from."""
    program = IMPORT_THE_CORE.format(
        library=str(library), core=str(core), allowed=sorted(purity.ALLOWED_MODULES)
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    added, origin = json.loads(run.stdout)
    return added, origin


@pytest.fixture(scope="module")
def attrs_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("attrs_alone")
    for package in ("attr", "attrs"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        copytree(Path(spec.origin).parent, library / package)
    return library


def test_importing_the_core_adds_no_module_but_its_own(attrs_alone: Path) -> None:
    added, origin = import_the_core(attrs_alone, purity.CORE)
    assert origin == str(purity.CORE / "tenure" / "__init__.py")
    assert [name for name in added if name.partition(".")[0] != "tenure"] == []


def test_a_planted_import_would_be_seen(attrs_alone: Path, tmp_path: Path) -> None:
    (tmp_path / "tenure").mkdir()
    (tmp_path / "tenure" / "__init__.py").write_text("import tenure.inner")
    (tmp_path / "tenure" / "inner.py").write_text("import wave")
    added, _ = import_the_core(attrs_alone, tmp_path)
    assert "wave" in added
