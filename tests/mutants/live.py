"""Make a mutant of the modules that are loaded: new code for the functions that are there, new entries for the tables.

Everything that already refers to a function (a machine's table, another module) then runs the mutant, and nothing is
imported anew. This is done in a forked child, so nothing has to be undone.
"""

from __future__ import annotations

import gc
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.mutants.generate import Mutant

TABLED = frozenset({"tenure.attempt", "tenure.worker"})
"""Modules whose top level makes dictionaries that others refer to, and no class."""

Live = dict[tuple[str, int], list[FunctionType]]


def functions(package: str) -> Live:
    """All functions of a package that are there, by module and first line: methods, properties and cached ones too."""
    found: Live = {}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and f"{thing.__module__}.".startswith(f"{package}."):
            code = thing.__code__
            home = getattr(sys.modules.get(thing.__module__), "__file__", None)
            if code.co_filename == home:
                found.setdefault((thing.__module__, code.co_firstlineno), []).append(thing)
    return found


def can_be_made(mutant: Mutant, live: Live) -> bool:
    """Whether the change is one of a function's body or of a table, and not of what only an import runs."""
    if mutant.lines is not None:
        return (mutant.module, mutant.lines.start) in live
    return mutant.module in TABLED


def make(mutant: Mutant, live: Live) -> None:
    module = sys.modules[mutant.module]
    assert module.__file__ is not None
    text = compile(mutant.source, module.__file__, "exec", dont_inherit=True)
    if mutant.lines is not None:
        (code,) = _codes(text, mutant.lines.start)
        for function in live[mutant.module, mutant.lines.start]:
            function.__code__ = code
    else:
        _retable(module, text)
    _forget(module)


def _codes(code: CodeType, line: int) -> list[CodeType]:
    """The functions that begin at this line, in the module's body or in a class's."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    found = [each for each in inner if each.co_firstlineno == line and each.co_name != "<lambda>"]
    return found or [each for block in inner for each in _codes(block, line)]


def _retable(module: ModuleType, text: CodeType) -> None:
    """Run the module's text beside it, and take over what is in its dictionaries."""
    beside = ModuleType(module.__name__)
    beside.__file__ = module.__file__
    exec(text, beside.__dict__)
    value: Any
    for name, value in vars(module).items():
        new: Any = vars(beside).get(name)
        if name.startswith("__"):
            continue
        if _is_table(value) and _is_table(new):
            value.clear()
            value.update(new)
        elif isinstance(value, str | int | tuple | dict):
            setattr(module, name, new)


def _is_table(value: object) -> bool:
    """Whether it is replaced in place, since others refer to it."""
    return isinstance(value, dict)


def _forget(module: ModuleType) -> None:
    """Empty what the module's functions keep of earlier calls."""
    for value in vars(module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
